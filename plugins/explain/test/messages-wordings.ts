import type {Row} from './messages.ts'

const ana = 'arn:aws:iam::111122223333:user/ana'

/** Wordings of AWS services, their SDKs and consoles that no general form covers, and the general form as it is broken, marked and cut in posts. */
export const wordings: readonly Row[] = [
  // marks around the words
  ['> Error: **Not authorized to perform sts:AssumeRoleWithWebIdentity**', 'role_assume_denied', {action: 'sts:AssumeRoleWithWebIdentity'}],
  [
    `User: ${ana} is not authorized to perform: **ec2:RunInstances** on resource: arn:aws:ec2:eu-west-1:111122223333:instance/*`,
    'action_not_allowed',
    {principal: ana, action: 'ec2:RunInstances', resource: 'arn:aws:ec2:eu-west-1:111122223333:instance/*'},
  ],
  [
    `# error: AccessDenied: User: arn:aws:sts::.../ci-session\n#   is not authorized to perform: s3:PutBucketPolicy with an explicit deny in a service control policy`,
    'scp_deny',
    {principal: 'arn:aws:sts::.../ci-session', action: 's3:PutBucketPolicy'},
  ],
  [
    'User: arn:aws:sts::111122223333:assumed-role/Reader/[name hidden] is not authorized to perform: glue:GetDatabase on resource: arn:aws:glue:us-east-1:111122223333:database/main',
    'action_not_allowed',
    {
      principal: 'arn:aws:sts::111122223333:assumed-role/Reader/[name hidden]',
      action: 'glue:GetDatabase',
      resource: 'arn:aws:glue:us-east-1:111122223333:database/main',
    },
  ],
  // folds after a slash or a hyphen
  [
    'AccessDeniedException: User: arn:aws:sts::111122223333:assumed-role/\noperator/lena is not authorized to perform:\nkms:GetKeyRotationStatus on resource: arn:aws:kms:us-east-2:111122223333:key/\nmrk-77 because no resource-based policy allows\nthe kms:GetKeyRotationStatus action',
    'kms_key',
    {
      principal: 'arn:aws:sts::111122223333:assumed-role/operator/lena',
      action: 'kms:GetKeyRotationStatus',
      resource: 'arn:aws:kms:us-east-2:111122223333:key/mrk-77',
    },
  ],
  [
    `User: ${ana} is not authorized to perform: logs:PutLogEvents on resource: arn:aws:logs:eu-west-1:111122223333:log-group:/app/\nwith an explicit deny in an identity-based policy`,
    'explicit_deny_identity',
    {principal: ana, action: 'logs:PutLogEvents', resource: 'arn:aws:logs:eu-west-1:111122223333:log-group:/app/'},
  ],
  // cut
  [
    'You are not authorized to perform this operation. Encoded authorization failure message: Kq_3......',
    'unknown_denial',
    {encoded: true},
  ],
  [
    'failed to create stream: AccessDeniedException: User: arn:aws:sts::111122223333:assumed-role/web-task/0aa...',
    'unknown_denial',
    {principal: 'arn:aws:sts::111122223333:assumed-role/web-task/0aa...'},
  ],
  // roles
  ['AccessDeniedException: Not authorized to set roleSessionName', 'role_assume_denied', {}],
  ['ValidationException: The role you provide must allow the scheduler service to assume the role.', 'role_assume_denied', {}],
  ['The scheduler was not able to assume the role', 'role_assume_denied', {}],
  ['ClientException: the job role is not valid or is missing trust relationship', 'role_assume_denied', {}],
  ['Role crawler should be given assume role permissions for the crawling service.', 'role_assume_denied', {}],
  [
    'An error occurred (AccessDenied) when calling the AssumeRole operation: Roles may not be assumed by root accounts.',
    'role_assume_denied',
    {action: 'AssumeRole'},
  ],
  ['Could not switch roles using the provided information.', 'role_assume_denied', {}],
  ['You do not have any roles assigned in this account', 'role_assume_denied', {}],
  // permissions
  [
    'Cannot access stream arn:aws:kinesis:eu-west-1:111122223333:stream/clicks. Please ensure the role can perform the GetRecords action on your stream.',
    'action_not_allowed',
    {action: 'GetRecords', resource: 'arn:aws:kinesis:eu-west-1:111122223333:stream/clicks'},
  ],
  ['You do not have WRITE permissions to the requested S3 Prefix: s3://lake/team-b/*', 'unknown_denial', {resource: 's3://lake/team-b/*'}],
  ["Access to the path 'C:\\ProgramData\\profile' is denied.", 'unknown_denial', {resource: 'C:\\ProgramData\\profile'}],
  ['Not Authorized to access getOrder on type Query', 'unknown_denial', {action: 'getOrder'}],
  ['{"errorType":"UnauthorizedException","message":"Permission was not given"}', 'unknown_denial', {}],
  ['The account 111122223333 does not have access to this feature', 'unknown_denial', {}],
  [
    "aws: Making api call: (s3, list_multipart_uploads) with args:{'Bucket': 'builds'}\nResponse: {'Error': {'Code': 'AccessDenied', 'Message': 'Access Denied'}}",
    'unknown_denial',
    {action: 'list_multipart_uploads', resource: 'builds'},
  ],
  ['the upload got <Code>AccessDenied</Code>, and then fatal runtime error: stack overflow', 'unknown_denial', {}],
  ['AccessDenied: explicit deny in policy DenyDelete', 'explicit_deny_identity', {}],
  ['The role is missing the permission ec2:DescribeNetworkInterfaces', 'action_not_allowed', {action: 'ec2:DescribeNetworkInterfaces'}],
  ['The crawler requires the following permissions: s3:GetObject', 'action_not_allowed', {action: 's3:GetObject'}],
  ['The execution role lacks `ssm:GetParameters` or the route to it is missing', 'action_not_allowed', {action: 'ssm:GetParameters'}],
  [
    `denied: User: ${ana} is not authorized to perform: ecr:BatchGetImage on resource...`,
    'action_not_allowed',
    {principal: ana, action: 'ecr:BatchGetImage'},
  ],
  ['The user lacks the iam:PassRole permission', 'action_not_allowed', {action: 'iam:PassRole'}],
  [
    `You do not have the permission required to perform this operation. Ask your administrator to add permissions.\nUser: ${ana}\nAction: iam:ListUsers\nOn resource(s): arn:aws:iam::111122223333:user/`,
    'action_not_allowed',
    {principal: ana, action: 'iam:ListUsers', resource: 'arn:aws:iam::111122223333:user/'},
  ],
  [
    `You don't have the permission required to perform this operation.\nUser: ${ana}\nService: iam\nAction: ListRoles\nOn resource(s): *\nContext: an SCP: explicit deny in a service control policy`,
    'scp_deny',
    {principal: ana, action: 'ListRoles', resource: '*'},
  ],
  ["You don't have the permission for this page", 'unknown_denial', {}],
  // kinds of policy, in words of somebody's own
  ['Denied: an SCP of the organization forbids this region', 'scp_deny', {}],
  ['The permissions boundary of this role blocks iam writes', 'permissions_boundary', {}],
  ['The resource policy of the repository does not allow a pull', 'resource_policy', {}],
  ['The topic policy denies publishing from other accounts', 'resource_policy', {}],
  ['The call was blocked by what the VPC endpoint policy of this subnet says', 'vpc_endpoint_policy', {}],
  // keys
  [
    "ValidationException: Unable to create the namespace. The key 'arn:aws:kms:eu-west-1:111122223333:key/77' is inaccessible.",
    'kms_key',
    undefined,
  ],
  [
    'Encountered error while initiating handshake. Fetching data key failed: AccessDeniedException: The ciphertext refers to a AWS KMS key that does not exist, does not exist in this region, or you are not allowed to access.',
    'kms_key',
    {},
  ],
  ["DecryptionFailure: Secrets Manager can't decrypt the protected secret text using the provided KMS key.", 'kms_key', {}],
  ['the caller needs kms:GenerateDataKey for sessions that are encrypted', 'kms_key', undefined],
  ['User does not have permissions to access KMS key alias/logs', 'kms_key', undefined],
  [
    'the function was unable to configure access to your environment variables because the KMS key is invalid for CreateGrant',
    'kms_key',
    {},
  ],
  // credentials
  ['Error: Unable to get ACTIONS_ID_TOKEN_REQUEST_URL env variable', 'credentials_missing', {}],
  ['No credentials present in the keyring', 'credentials_missing', {}],
  [
    'Anonymous users cannot start uploads of several parts. (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied)',
    'credentials_missing',
    {},
  ],
  ['ConstructionFailure(MissingCredentials)', 'credentials_missing', {}],
  ['DispatchFailure { source: ConnectorError { source: NoMatchingAuthScheme, connection: Unknown } }', 'credentials_missing', {}],
  ['Cannot read credentials from /home/app/.aws/credentials', 'credentials_missing', {}],
  ["Couldn't find AWS credentials in the environment or a file", 'credentials_missing', {}],
  [
    'Unable to determine the default AWS account: ProcessCredentialsProviderFailure: Profile work did not include credential process',
    'credentials_missing',
    undefined,
  ],
  ['Failed to resolve AWS credentials. These providers were asked:', 'credentials_missing', {}],
  ['NoAuthTokenError: Token retrieval requires a bearer token', 'credentials_missing', {}],
  ['the source profile "base" must have credentials', 'credentials_missing', {}],
  ['This component needs a provider: please configure your credentials', 'credentials_missing', {}],
  ['UnauthorizedException: Unable to parse JWT token.', 'credentials_invalid', {}],
  ['NotAuthorizedException: Invalid Refresh Token', 'credentials_invalid', {}],
  ['CodeMismatchException: Invalid verification code provided', 'credentials_invalid', {}],
  ['ExpiredCodeException: Invalid code provided', 'credentials_expired', {}],
  ['InvalidGrantException: refresh token is invalid', 'sso_session_expired', {}],
  ['InvalidSignatureException: Signature expired', 'clock_skew', {}],
  // second factors: a question is no answer
  ['Error: the profile needs an MFA code, and no prompt was given', 'mfa_required', {}],
  ['InvalidAuthenticationCode: Authentication code for device is not valid.', 'mfa_required', {}],
  [
    'Multi-Factor authentication is required. Please select a factor to use.\nToken:\nException in thread "main": You do not have access to AWS through this organization.',
    'unknown_denial',
    {},
  ],
  // far ends
  ['PingStatus: ConnectionLost', 'target_unreachable', {}],
  ['instance i-0ab12 is stopped, a session cannot begin', 'target_unreachable', {resource: 'i-0ab12'}],
  ['fatal: [i-0ab]: UNREACHABLE! => {"msg": "SSM exec_command timeout on host: i-0ab"}', 'target_unreachable', {resource: 'i-0ab'}],
  ['document process failed unexpectedly: document worker timed out', 'target_unreachable', {}],
  [
    'Websocket Closure Reason: Unable to connect to target\nssh_exchange_identification: Connection closed by remote host',
    'target_unreachable',
    undefined,
  ],
  ['Connection to destination port failed, check SSM Agent logs.', 'target_unreachable', {}],
  ["We weren't able to connect to your instance.", 'target_unreachable', {}],
  ['The instance is not configured for use with AWS Systems Manager.', 'target_unreachable', {}],
  ['CannotStartManagedAgentError: failed to start managed agent in the container', 'target_unreachable', {}],
  ['the session on i-0ab12 is `TargetNotConnected`', 'target_unreachable', {resource: 'i-0ab12'}],
  ['An error occurred (TargetNotConnected) when calling StartSession', 'target_unreachable', {action: 'StartSession'}],
  // the general form, with holes
  [
    'User: arn:aws:sts::<first account>:assumed-role/app/x is not authorized to perform: kinesis:DescribeStreamSummary on resource: arn:aws:kinesis:us-east-1:<first account>:stream/<the stream> because no identity-based policy allows it',
    'action_not_allowed',
    {
      principal: 'arn:aws:sts::<first account>:assumed-role/app/x',
      action: 'kinesis:DescribeStreamSummary',
      resource: 'arn:aws:kinesis:us-east-1:<first account>:stream/<the stream>',
    },
  ],
  [
    'An error occurred (AccessDeniedException) when calling the AssumeRoleWithSAML operation',
    'role_assume_denied',
    {action: 'AssumeRoleWithSAML'},
  ],
  ['An error occurred (ForbiddenException)', 'unknown_denial', {}],
  ['An error occurred (ResourceNotFoundException) when calling the RetrieveOperation', 'not_a_denial', {action: 'RetrieveOperation'}],
  [
    'AccessDeniedException: the user is not authorized to perform: secretsmanager:GetSecretValue\nbotocore.exceptions.ClientError: An error occurred (AccessDeniedException)',
    'action_not_allowed',
    {action: 'secretsmanager:GetSecretValue'},
  ],
  ['Error: pull access denied for team/web', 'unknown_denial', {resource: 'team/web'}],
  ['Verify that the role has access to the search domain', 'unknown_denial', {}],
  // networks and limits
  ['==> Timeout waiting for SSH.', 'network_denied', {}],
  [
    'Unable to execute HTTP request: Connect to ssm.eu-west-1.amazonaws.com:443 [ssm.eu-west-1.amazonaws.com/10.0.0.9] failed: connect timed out',
    'network_denied',
    {resource: 'ssm.eu-west-1.amazonaws.com:443'},
  ],
  ['Generic S3 error: dispatch failure', 'network_denied', {}],
  ['The zone was still processing a prior request', 'throttled', {}],
  ['ServiceUnavailable: Reduce your request rate', 'throttled', {}],
]
