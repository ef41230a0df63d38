import type {Row} from './messages.ts'

/** As people post them: cut out of logs, folded by tables and consoles, with masks where names were. */
export const posts: readonly Row[] = [
  [
    'Module plan failed: The role "arn:aws:iam::NNNNNNNNNNNN:role/shared-network" cannot be assumed.\n\n  There are several possible causes of this.',
    'role_assume_denied',
    {role: 'arn:aws:iam::NNNNNNNNNNNN:role/shared-network'},
  ],
  [
    'Message_: "Role with arn: arn:aws:iam::NNNNNNNN:role/web-cluster, could not be assumed because the trusted entity is not correct"',
    'role_assume_denied',
    {role: 'arn:aws:iam::NNNNNNNN:role/web-cluster'},
  ],
  [
    "ValidationException: Provided role 'arn:aws:iam::111122223333:role/timer' cannot be assumed by principal 'events.amazonaws.com'.",
    'role_assume_denied',
    {principal: 'events.amazonaws.com', role: 'arn:aws:iam::111122223333:role/timer'},
  ],
  [
    'An error occurred (AccessDenied) when calling the AssumeRole operation: User: arn:aws:iam::111122223333:user/ci is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/cluster-admin\nUnable to connect to the server: getting credentials: exec: executable aws failed with exit code 254',
    'role_assume_denied',
    {
      principal: 'arn:aws:iam::111122223333:user/ci',
      action: 'sts:AssumeRole',
      resource: 'arn:aws:iam::111122223333:role/cluster-admin',
      role: 'arn:aws:iam::111122223333:role/cluster-admin',
    },
  ],
  [
    ',ResourceStatus           ResourceType             LogicalResourceId        ResourceStatusReason   \n' +
      ',CREATE_FAILED            AWS::IAM::Role           HelloRole                API: iam:CreateRole    \n' +
      ',                                                                           User: arn:aws:iam::111 \n' +
      ',                                                                           122223333:user/walterp \n' +
      ',                                                                           aul is not authorized  \n' +
      ',                                                                           to perform:            \n' +
      ',                                                                           iam:CreateRole on      \n' +
      ',                                                                           resource: arn:aws:iam: \n' +
      ',                                                                           :111122223333:role/web ',
    'action_not_allowed',
    {principal: 'arn:aws:iam::111122223333:user/walterpaul', action: 'iam:CreateRole', resource: 'arn:aws:iam::111122223333:role/web'},
  ],
  [
    'ERROR    deploy failed: arn:aws:iam::111122223333:user/ana is\n' +
      '                              not authorized to perform:\n' +
      '                              lambda:GetLayerVersion on resource: arn:aws:lambda:eu-\n' +
      '                              west-1:444455556666:layer:watch:7 because no resource-based\n' +
      '                              policy allows the lambda:GetLayerVersion action',
    'resource_policy',
    undefined,
  ],
  [
    '* data.aws_ami.eks: UnauthorizedOperation: You are not authorized to perform this operation.\n\tstatus code: 403, request id: aaaa',
    'unknown_denial',
    {},
  ],
  [
    'Model access is denied: the role is not authorized to perform the required Marketplace actions (aws-marketplace:ViewSubscriptions, aws-marketplace:Subscribe).',
    'action_not_allowed',
    {action: 'aws-marketplace:ViewSubscriptions'},
  ],
  [
    'ERROR : Insufficient Lake Formation permission(s) on sales (Service: AWSGlue; Status Code: 400)',
    'action_not_allowed',
    {resource: 'sales'},
  ],
  [
    'api error AccessDeniedException: Insufficient Lake Formation permission(s): Required Create Database on Catalog',
    'action_not_allowed',
    {resource: 'Catalog'},
  ],
  [
    'Error executing "GetAuthorizationToken" on "https://ecr.eu-west-1.amazonaws.com"; AWS HTTP error: `400 Bad Request`: {"__type":"UnrecognizedClientException"}',
    'credentials_invalid',
    {action: 'GetAuthorizationToken'},
  ],
  [
    'operation error STS: GetSessionToken, failed to resolve service endpoint, an AWS region is required, but was not found',
    'not_a_denial',
    {action: 'GetSessionToken'},
  ],
  ['The retrieved credentials have already expired: Now = 06/21/2025, Credentials expiration = 06/18/2025', 'credentials_expired', {}],
  ['An error occurred (TokenRefreshRequired) when calling the ListObjects operation', 'credentials_expired', {action: 'ListObjects'}],
  ['Need to perform AWS calls for account 111122223333, but the current credentials are for 444455556666', 'credentials_invalid', {}],
  ['C: pooler error: password authentication failed', 'db_auth', {}],
  [
    "AccessDeniedException: 403,  does not have storage.objects.list access to the Google Cloud Storage bucket.\nPermission 'storage.objects.list' denied on resource (or it may not exist).",
    'gcp_iam',
    {action: 'storage.objects.list'},
  ],
  [
    "googleapi: Error 403: Permission 'iam.serviceaccounts.actAs' denied on service account 123-compute@developer.gserviceaccount.com (or it may not exist)., forbidden",
    'gcp_iam',
    {action: 'iam.serviceaccounts.actAs', resource: '123-compute@developer.gserviceaccount.com'},
  ],
  [
    'ERROR: (gcloud.builds.submit) PERMISSION_DENIED: caller does not have permission to act as service account 10909550',
    'gcp_iam',
    {resource: '10909550'},
  ],
  [
    'Error: You must have permission iam.serviceAccounts.ActAs on service account shop-1@appspot.gserviceaccount.com.',
    'gcp_iam',
    {action: 'iam.serviceAccounts.ActAs', resource: 'shop-1@appspot.gserviceaccount.com'},
  ],
  [
    'Error: HTTP Error: 403, Permission denied to get service [cloudfunctions.googleapis.com]',
    'gcp_iam',
    {resource: 'cloudfunctions.googleapis.com'},
  ],
  [
    'InvalidParameterException: Could not assume the provided role. Reason: Roles may not be assumed by root accounts',
    'role_assume_denied',
    {},
  ],
  ['You need the storage.objects.list permission to list objects in this bucket.', 'gcp_iam', {action: 'storage.objects.list'}],
  ['You do not have sufficient permissions to access this VM instance.', 'gcp_iam', {}],
  [
    'Access Denied: Project shop-1: The user lena@shop.example does not have bigquery.jobs.create permission in project shop-1.',
    'gcp_iam',
    {principal: 'lena@shop.example', action: 'bigquery.jobs.create', resource: 'shop-1'},
  ],
  ['Failed upload artifact out/pack.zip to the bucket. Response code received: 403.', 'unknown_denial', {}],
  ['artifact store answered, response status 401, giving up', 'credentials_invalid', {}],
  [
    "An error occurred (InsufficientPrivilegesException) when calling the UpdateEnvironment operation: You do not have permission to perform the 's3:CreateBucket' action.",
    'action_not_allowed',
    {action: 's3:CreateBucket'},
  ],
  ['You do not have sufficient permissions to call s3.putObject for the deployment bucket', 'action_not_allowed', {action: 's3.putObject'}],
  [
    'Failed to retrieve credentials.\ncaused by Invalid Identity token: No OpenIDConnect provider found in account',
    'role_assume_denied',
    {},
  ],
  ['InvalidAccessException: Account 111122223333 is not an administrator for this organization', 'unknown_denial', {}],
  [
    'response code: 403 ({"type"=>"security_exception", "reason"=>"no permissions for [indices:data/write/index, indices:data/write/bulk[s]] and User [name=shipper, roles=[]]"})',
    'db_auth',
    {principal: 'shipper'},
  ],
  [
    'Failed to read a.txt from bucket lake-raw: An error occurred (AccessDenied) when calling the GetObject operation: Access Denied',
    'unknown_denial',
    {action: 'GetObject', resource: 'lake-raw'},
  ],
  ['(CRITICAL) Fatal error: MFA_REQUIRED', 'mfa_required', {}],
  ["Unsupported App sign on rule: 'Prompt for factor'.", 'mfa_required', {}],
  [
    'error: Unable to upgrade connection: {"kind":"Status","status":"Failure","message":"the server does not allow this method on the requested resource","reason":"MethodNotAllowed","code":405}',
    'not_a_denial',
    {},
  ],
  [
    'S3UploadFailedError: Failed to upload /tmp/a.csv to lake/a.csv: An error occurred (AccessDenied) when calling the PutObject operation: Access Denied',
    'unknown_denial',
    {action: 'PutObject', resource: 'lake/a.csv'},
  ],
  [
    'java.nio.file.AccessDeniedException: s3a://lake/raw/part-0: getFileStatus: Forbidden (Service: Amazon S3; Status Code: 403)',
    'unknown_denial',
    {resource: 's3a://lake/raw/part-0'},
  ],
  [
    'P1000: Authentication failed against database server at `db.example`, the provided database credentials for `shop` are not valid.',
    'db_auth',
    {principal: 'shop'},
  ],
  ['P1010: User `shop` was denied access on the database `shop.public`', 'db_auth', {principal: 'shop', resource: 'shop.public'}],
  [
    'Setting up data channel with id ana-1 failed: failed to create websocket for datachannel: dial tcp 10.0.0.1:443: i/o timeout',
    'network_denied',
    {resource: '10.0.0.1:443'},
  ],
  [
    'Failed to connect to Systems Manager with SSM role credentials. error calling RequestManagedInstanceRoleToken: AccessDeniedException: the instance management role is not configured',
    'unknown_denial',
    {action: 'RequestManagedInstanceRoleToken'},
  ],
  [
    '│ Error: googleapi: Error 403: Permission denied on resource project #1029900783057.\n│ Details:\n│ [\n│   {\n│     "@type": "type.googleapis.com/google.rpc.ErrorInfo"',
    'gcp_iam',
    {resource: '#1029900783057'},
  ],
]
