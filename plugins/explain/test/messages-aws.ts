import type {Row} from './messages.ts'

const ana = 'arn:aws:iam::111122223333:user/ana'
const ops = 'arn:aws:sts::111122223333:assumed-role/ops/ana'
const key = 'arn:aws:kms:eu-west-1:111122223333:key/0f6b1c2d-1111-4222-8333-944455556666'
const billing = 'arn:aws:iam::444455556666:role/billing'

/** `User: … is not authorized to perform: …`, with what may follow. */
const refused = (action: string, resource: string, rest = '', who = ops): string =>
  `User: ${who} is not authorized to perform: ${action} on resource: ${resource}${rest}`
const noIdentity = (action: string): string => ` because no identity-based policy allows the ${action} action`

/** One plain refusal in each of many services, in the wrapping of one tool after the other. */
const services: readonly (readonly [action: string, resource: string, operation: string])[] = [
  ['dynamodb:PutItem', 'arn:aws:dynamodb:eu-west-1:111122223333:table/orders', 'PutItem'],
  ['lambda:InvokeFunction', 'arn:aws:lambda:eu-west-1:111122223333:function:mailer', 'Invoke'],
  ['sns:Publish', 'arn:aws:sns:eu-west-1:111122223333:alarms', 'Publish'],
  ['secretsmanager:GetSecretValue', 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-Ab12Cd', 'GetSecretValue'],
  ['ssm:GetParameters', 'arn:aws:ssm:eu-west-1:111122223333:parameter/web/port', 'GetParameters'],
  ['ecr:GetAuthorizationToken', '*', 'GetAuthorizationToken'],
  ['ecs:DescribeServices', 'arn:aws:ecs:eu-west-1:111122223333:service/main/web', 'DescribeServices'],
  ['eks:DescribeCluster', 'arn:aws:eks:eu-west-1:111122223333:cluster/main', 'DescribeCluster'],
  ['rds:DescribeDBInstances', 'arn:aws:rds:eu-west-1:111122223333:db:*', 'DescribeDBInstances'],
  ['iam:CreateRole', 'arn:aws:iam::111122223333:role/new', 'CreateRole'],
  ['cloudformation:DescribeStacks', 'arn:aws:cloudformation:eu-west-1:111122223333:stack/web/*', 'DescribeStacks'],
  ['logs:FilterLogEvents', 'arn:aws:logs:eu-west-1:111122223333:log-group:/web:log-stream:', 'FilterLogEvents'],
  ['cloudwatch:GetMetricData', '*', 'GetMetricData'],
  ['states:StartExecution', 'arn:aws:states:eu-west-1:111122223333:stateMachine:pay', 'StartExecution'],
  ['kinesis:PutRecord', 'arn:aws:kinesis:eu-west-1:111122223333:stream/clicks', 'PutRecord'],
  ['firehose:PutRecordBatch', 'arn:aws:firehose:eu-west-1:111122223333:deliverystream/clicks', 'PutRecordBatch'],
  ['glue:GetTable', 'arn:aws:glue:eu-west-1:111122223333:catalog', 'GetTable'],
  ['athena:StartQueryExecution', 'arn:aws:athena:eu-west-1:111122223333:workgroup/primary', 'StartQueryExecution'],
  ['redshift:GetClusterCredentials', 'arn:aws:redshift:eu-west-1:111122223333:dbuser:main/ana', 'GetClusterCredentials'],
  ['route53:ListHostedZones', '*', 'ListHostedZones'],
  ['cloudfront:CreateInvalidation', 'arn:aws:cloudfront::111122223333:distribution/E1ABC', 'CreateInvalidation'],
  ['acm:ListCertificates', '*', 'ListCertificates'],
  ['elasticloadbalancing:DescribeLoadBalancers', '*', 'DescribeLoadBalancers'],
  [
    'autoscaling:SetDesiredCapacity',
    'arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:*:autoScalingGroupName/web',
    'SetDesiredCapacity',
  ],
  ['events:PutRule', 'arn:aws:events:eu-west-1:111122223333:rule/nightly', 'PutRule'],
  ['codebuild:StartBuild', 'arn:aws:codebuild:eu-west-1:111122223333:project/web', 'StartBuild'],
  ['codepipeline:GetPipelineState', 'arn:aws:codepipeline:eu-west-1:111122223333:web', 'GetPipelineState'],
  ['cognito-idp:AdminGetUser', 'arn:aws:cognito-idp:eu-west-1:111122223333:userpool/eu-west-1_AbCdEf', 'AdminGetUser'],
  ['sagemaker:CreateEndpoint', 'arn:aws:sagemaker:eu-west-1:111122223333:endpoint/score', 'CreateEndpoint'],
  ['bedrock:InvokeModelWithResponseStream', 'arn:aws:bedrock:eu-west-1::foundation-model/some.model-v1:0', 'InvokeModelWithResponseStream'],
  ['elasticfilesystem:ClientMount', 'arn:aws:elasticfilesystem:eu-west-1:111122223333:file-system/fs-0a1b', 'ClientMount'],
  ['backup:StartBackupJob', 'arn:aws:backup:eu-west-1:111122223333:backup-vault:daily', 'StartBackupJob'],
  ['organizations:ListAccounts', '*', 'ListAccounts'],
  ['ce:GetCostAndUsage', 'arn:aws:ce:us-east-1:111122223333:/GetCostAndUsage', 'GetCostAndUsage'],
  ['wafv2:GetWebACL', 'arn:aws:wafv2:eu-west-1:111122223333:regional/webacl/main/0f6b', 'GetWebACL'],
]
const wraps: readonly ((message: string, operation: string) => string)[] = [
  (message, operation) => `An error occurred (AccessDeniedException) when calling the ${operation} operation: ${message}`,
  (message, operation) =>
    `Traceback (most recent call last):\n  File "job.py", line 7, in <module>\nbotocore.exceptions.ClientError: An error occurred (AccessDenied) when calling the ${operation} operation: ${message}`,
  (message, operation) =>
    `│ Error: reading it: operation error Service: ${operation}, https response error StatusCode: 403, RequestID: 0f6b1c2d-1111, api error AccessDenied: ${message}\n│ \n│   with aws_thing.main,\n╵`,
  message => `AccessDeniedException: ${message}\n\tstatus code: 400, request id: 0f6b1c2d-1111`,
  message => `software.amazon.awssdk.services.x.model.XException: ${message} (Service: X, Status Code: 400, Request ID: 0f6b1c2d)`,
  message => `AccessDenied: ${message}\n    at throwDefaultError (/app/node_modules/@smithy/smithy-client/index.js:20:5)`,
  message => `{"level":"error","msg":"sync failed","error":"AccessDenied: ${message}"}`,
]

export const aws: readonly Row[] = [
  ...services.map(([action, resource, operation], index): Row => {
    const wrap = wraps[index % wraps.length] as (typeof wraps)[number]
    const rest = index % 3 === 0 ? '' : noIdentity(action)
    return [wrap(refused(action, resource, rest), operation), 'action_not_allowed', {principal: ops, action, resource}]
  }),

  // which policy
  [
    refused('ec2:RunInstances', 'arn:aws:ec2:eu-west-1:111122223333:instance/*', ' with an explicit deny in a service control policy'),
    'scp_deny',
    {principal: ops, action: 'ec2:RunInstances', resource: 'arn:aws:ec2:eu-west-1:111122223333:instance/*'},
  ],
  [
    refused(
      's3:PutObject',
      '"arn:aws:s3:::reports/a.csv"',
      ' with an explicit deny in a service control policy: arn:aws:organizations::999900001111:policy/o-abc/service_control_policy/p-12345678',
    ),
    'scp_deny',
    {principal: ops, action: 's3:PutObject', resource: 'arn:aws:s3:::reports/a.csv'},
  ],
  [
    refused('sts:AssumeRole', billing, ' with an explicit deny in a resource control policy'),
    'rcp_deny',
    {principal: ops, action: 'sts:AssumeRole', resource: billing},
  ],
  [
    refused('s3:GetObject', '"arn:aws:s3:::reports/a.csv"', ' because no resource control policy allows the s3:GetObject action'),
    'rcp_deny',
    {principal: ops, action: 's3:GetObject', resource: 'arn:aws:s3:::reports/a.csv'},
  ],
  [
    refused('iam:AttachRolePolicy', 'role deploy', ' because no permissions boundary allows the iam:AttachRolePolicy action'),
    'permissions_boundary',
    {principal: ops, action: 'iam:AttachRolePolicy', resource: 'role deploy'},
  ],
  [
    refused('sqs:SendMessage', 'arn:aws:sqs:eu-west-1:111122223333:jobs', ' with an explicit deny in a permissions boundary'),
    'permissions_boundary',
    {principal: ops, action: 'sqs:SendMessage', resource: 'arn:aws:sqs:eu-west-1:111122223333:jobs'},
  ],
  [
    refused('s3:ListBucket', '"arn:aws:s3:::reports"', ' because no session policy allows the s3:ListBucket action'),
    'session_policy',
    {principal: ops, action: 's3:ListBucket', resource: 'arn:aws:s3:::reports'},
  ],
  [
    refused('s3:GetObject', '"arn:aws:s3:::reports/a.csv"', ' because no VPC endpoint policy allows the s3:GetObject action'),
    'vpc_endpoint_policy',
    {principal: ops, action: 's3:GetObject', resource: 'arn:aws:s3:::reports/a.csv'},
  ],
  [
    refused(
      'ecr:BatchGetImage',
      'arn:aws:ecr:eu-west-1:444455556666:repository/web',
      ' because no resource-based policy allows the ecr:BatchGetImage action',
    ),
    'resource_policy',
    {principal: ops, action: 'ecr:BatchGetImage', resource: 'arn:aws:ecr:eu-west-1:444455556666:repository/web'},
  ],
  [
    refused(
      's3:PutBucketPolicy',
      '"arn:aws:s3:::reports"',
      ' because public policies are blocked by the BlockPublicPolicy block public access setting.',
    ),
    'resource_policy',
    {principal: ops, action: 's3:PutBucketPolicy', resource: 'arn:aws:s3:::reports'},
  ],
  [
    refused(
      'ec2:StopInstances',
      'arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1b2c3d4e5f60718',
      ' with an explicit deny in an identity-based policy',
      ana,
    ),
    'explicit_deny_identity',
    {principal: ana, action: 'ec2:StopInstances', resource: 'arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1b2c3d4e5f60718'},
  ],
  [
    refused('rds:DeleteDBInstance', 'arn:aws:rds:eu-west-1:111122223333:db:main', ' with an explicit deny', ana),
    'explicit_deny_identity',
    {principal: ana, action: 'rds:DeleteDBInstance', resource: 'arn:aws:rds:eu-west-1:111122223333:db:main'},
  ],
  [
    '{"Message":"User: anonymous is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:eu-west-1:********3333:a1b2c3/prod/GET/pay"}',
    'action_not_allowed',
    {principal: 'anonymous', action: 'execute-api:Invoke', resource: 'arn:aws:execute-api:eu-west-1:********3333:a1b2c3/prod/GET/pay'},
  ],
  [
    `User \`${ana}' is not authorized to perform \`ses:SendEmail' on resource \`arn:aws:ses:eu-west-1:111122223333:identity/shop.example'`,
    'action_not_allowed',
    {principal: ana, action: 'ses:SendEmail', resource: 'arn:aws:ses:eu-west-1:111122223333:identity/shop.example'},
  ],
  [`User: ${ana} is not authorized to perform: ec2:DescribeRegions`, 'action_not_allowed', {principal: ana, action: 'ec2:DescribeRegions'}],
  ["AccessDenied. User doesn't have permission to call iam:GetRole", 'action_not_allowed', {action: 'iam:GetRole'}],
  [
    `UPDATE_FAILED AWS::IAM::Role worker API: iam:PutRolePolicy User: ${ops} is not authorized to perform: iam:PutRolePolicy on resource: role web-worker`,
    'action_not_allowed',
    {principal: ops, action: 'iam:PutRolePolicy', resource: 'role web-worker'},
  ],

  // roles
  [
    `An error occurred (AccessDenied) when calling the AssumeRole operation: ${refused('sts:AssumeRole', billing, '', ana)}`,
    'role_assume_denied',
    {principal: ana, action: 'sts:AssumeRole', resource: billing, role: billing},
  ],
  [
    `AccessDenied: ${refused('sts:AssumeRole', billing, noIdentity('sts:AssumeRole'))}\n\tstatus code: 403, request id: 77`,
    'role_assume_denied',
    {principal: ops, action: 'sts:AssumeRole', resource: billing, role: billing},
  ],
  [
    'Error: Could not assume role with OIDC: Not authorized to perform sts:AssumeRoleWithWebIdentity',
    'role_assume_denied',
    {action: 'sts:AssumeRoleWithWebIdentity'},
  ],
  [
    'An error occurred (AccessDenied) when calling the AssumeRoleWithSAML operation: Not authorized to perform sts:AssumeRoleWithSAML',
    'role_assume_denied',
    {action: 'sts:AssumeRoleWithSAML'},
  ],
  [
    'operation error SSO: GetRoleCredentials, https response error StatusCode: 403, RequestID: 5a, ForbiddenException: No access',
    'role_assume_denied',
    {action: 'GetRoleCredentials'},
  ],
  [
    `Error: Cannot assume IAM Role\n\n  with provider["aws"],\n\nIAM Role (${billing}) cannot be assumed.`,
    'role_assume_denied',
    {role: billing},
  ],
  [
    `ECS was unable to assume the role '${billing}' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions.`,
    'role_assume_denied',
    {role: billing},
  ],
  [`Role ${billing} is invalid or cannot be assumed`, 'role_assume_denied', {role: billing}],
  [
    `An error occurred (InvalidParameterValueException) when calling the CreateFunction operation: The role defined for the function cannot be assumed by Lambda.`,
    'role_assume_denied',
    {action: 'CreateFunction'},
  ],
  [
    'InvalidIdentityToken: No OpenIDConnect provider found in your account for https://token.ci.example\n\tstatus code: 400',
    'role_assume_denied',
    {},
  ],

  // keys
  [
    refused('kms:GenerateDataKey', key, noIdentity('kms:GenerateDataKey')),
    'kms_key',
    {principal: ops, action: 'kms:GenerateDataKey', resource: key},
  ],
  [
    refused('kms:Decrypt', key, ' because no resource-based policy allows the kms:Decrypt action'),
    'kms_key',
    {principal: ops, action: 'kms:Decrypt', resource: key},
  ],
  [
    `User: ${ops} is not authorized to perform: kms:CreateGrant on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access`,
    'kms_key',
    {principal: ops, action: 'kms:CreateGrant'},
  ],
  [
    'An error occurred (AccessDeniedException) when calling the GetParameter operation: The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.',
    'kms_key',
    {action: 'GetParameter'},
  ],
  [
    'An error occurred (AccessDeniedException) when calling the GetSecretValue operation: Access to KMS is not allowed',
    'kms_key',
    {action: 'GetSecretValue'},
  ],
  [
    `KMSKeyNotAccessibleFault: The specified KMS key [${key}] does not exist, is not enabled or you do not have permissions to access it.`,
    'kms_key',
    {resource: key},
  ],

  // credentials
  [
    'An error occurred (ExpiredToken) when calling the PutObject operation: The provided token has expired.',
    'credentials_expired',
    {action: 'PutObject'},
  ],
  [
    'An error occurred (RequestExpired) when calling the DescribeInstances operation: Request has expired.',
    'credentials_expired',
    {action: 'DescribeInstances'},
  ],
  ['denied: Your authorization token has expired. Reauthenticate and try again.', 'credentials_expired', {}],
  ['Unable to locate credentials. You can configure credentials by running "aws configure".', 'credentials_missing', {}],
  [
    'NoCredentialProviders: no valid providers in chain. Deprecated.\n\tFor verbose messaging see aws.Config.CredentialsChainVerboseErrors',
    'credentials_missing',
    {},
  ],
  [
    'operation error S3: ListBuckets, get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, request canceled, context deadline exceeded',
    'credentials_missing',
    undefined,
  ],
  ['CredentialsProviderError: Could not load credentials from any providers\n    at chain.js:4:1', 'credentials_missing', {}],
  ['Error: No valid credential sources found\n  with provider["registry.terraform.io/hashicorp/aws"]', 'credentials_missing', {}],
  ['The config profile (staging) could not be found', 'credentials_missing', {}],
  [
    'com.amazonaws.SdkClientException: Unable to load AWS credentials from any provider in the chain: [EnvironmentVariableCredentialsProvider: Unable to load AWS credentials from environment variables]',
    'credentials_missing',
    {},
  ],
  [
    'An error occurred (UnrecognizedClientException) when calling the ListTables operation: The security token included in the request is invalid.',
    'credentials_invalid',
    {action: 'ListTables'},
  ],
  ['InvalidAccessKeyId: The AWS Access Key Id you provided does not exist in our records.\n\tstatus code: 403', 'credentials_invalid', {}],
  [
    'An error occurred (AuthFailure) when calling the DescribeVpcs operation: AWS was not able to validate the provided access credentials',
    'credentials_invalid',
    {action: 'DescribeVpcs'},
  ],
  ['SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided.', 'credentials_invalid', {}],
  [
    'An error occurred (AccessDenied) when calling the AssumeRole operation: MultiFactorAuthentication failed with invalid MFA one time pass code.',
    'mfa_required',
    {action: 'AssumeRole'},
  ],
  [
    'AssumeRoleTokenProviderNotSetError: assume role with MFA enabled, but AssumeRoleTokenProvider session option not set.',
    'mfa_required',
    {},
  ],
  [
    'An error occurred (RequestTimeTooSkewed) when calling the ListObjects operation: The difference between the request time and the current time is too large.',
    'clock_skew',
    {action: 'ListObjects'},
  ],
  [
    'InvalidSignatureException: Signature expired: 20260301T101500Z is now earlier than 20260301T103000Z (20260301T103500Z - 5 min.)',
    'clock_skew',
    {},
  ],
  ['Error loading SSO Token: Token for https://shop.awsapps.com/start does not exist', 'sso_session_expired', {}],
  [
    'The SSO session associated with this profile has expired or is otherwise invalid. To refresh this SSO session run aws sso login with the corresponding profile.',
    'sso_session_expired',
    {},
  ],
  [
    'operation error STS: GetCallerIdentity, get identity: get credentials: failed to refresh cached credentials, refresh cached SSO token failed, unable to refresh SSO token, operation error SSO OIDC: CreateToken, https response error StatusCode: 400, RequestID: 1, InvalidGrantException:',
    'sso_session_expired',
    undefined,
  ],

  // no reason given
  ['An error occurred (AccessDenied) when calling the PutObject operation: Access Denied', 'unknown_denial', {action: 'PutObject'}],
  ['fatal error: An error occurred (403) when calling the HeadObject operation: Forbidden', 'unknown_denial', {action: 'HeadObject'}],
  [
    'An error occurred (UnauthorizedOperation) when calling the RunInstances operation: You are not authorized to perform this operation. Encoded authorization failure message: 4GIOHlTkIaWHQD0Q0m6XSnuUMCm-abcdefgh',
    'unknown_denial',
    {action: 'RunInstances', encoded: true},
  ],
  [
    `You are not authorized to perform this operation. ${refused('ec2:CreateVpc', 'arn:aws:ec2:eu-west-1:111122223333:vpc/*', noIdentity('ec2:CreateVpc'))}. Encoded authorization failure message: 8hT0nQ2zVwXabcdefghijk`,
    'action_not_allowed',
    {principal: ops, action: 'ec2:CreateVpc', resource: 'arn:aws:ec2:eu-west-1:111122223333:vpc/*', encoded: true},
  ],
  [
    'Access to the resource https://sqs.eu-west-1.amazonaws.com/111122223333/jobs is denied.',
    'unknown_denial',
    {resource: 'https://sqs.eu-west-1.amazonaws.com/111122223333/jobs'},
  ],
  [
    'Error executing "PutObject" on "https://reports.s3.eu-west-1.amazonaws.com/a.csv"; AWS HTTP error: Client error: `PUT https://reports.s3.eu-west-1.amazonaws.com/a.csv` resulted in a `403 Forbidden` response: <?xml version="1.0"?> <Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>',
    'unknown_denial',
    {action: 'PutObject', resource: 'https://reports.s3.eu-west-1.amazonaws.com/a.csv'},
  ],

  // no denial
  [
    'An error occurred (NoSuchKey) when calling the GetObject operation: The specified key does not exist.',
    'not_a_denial',
    {action: 'GetObject'},
  ],
  [
    'An error occurred (ValidationError) when calling the UpdateStack operation: No updates are to be performed.',
    'not_a_denial',
    {action: 'UpdateStack'},
  ],
  [
    'An error occurred (ResourceNotFoundException) when calling the DescribeTable operation: Requested resource not found',
    'not_a_denial',
    {action: 'DescribeTable'},
  ],
  ['SessionManagerPlugin is not found. Please refer to SessionManager Documentation here', 'not_a_denial', {}],
  ['bash: aws: command not found', 'not_a_denial', {}],
  [
    'An error occurred (ThrottlingException) when calling the GetLogEvents operation (reached max retries: 4): Rate exceeded',
    'throttled',
    {action: 'GetLogEvents'},
  ],
  ['SlowDown: Please reduce your request rate.\n\tstatus code: 503', 'throttled', {}],
  [
    'An error occurred (RequestLimitExceeded) when calling the DescribeInstances operation: Request limit exceeded.',
    'throttled',
    {action: 'DescribeInstances'},
  ],

  // the way in
  [
    'An error occurred (TargetNotConnected) when calling the StartSession operation: i-0a1b2c3d4e5f60718 is not connected.',
    'target_unreachable',
    {action: 'StartSession', resource: 'i-0a1b2c3d4e5f60718'},
  ],
  [
    'An error occurred (InvalidInstanceId) when calling the SendCommand operation: Instances [[i-0a1b2c3d4e5f60718]] not in a valid state for account 111122223333',
    'target_unreachable',
    {action: 'SendCommand', resource: 'i-0a1b2c3d4e5f60718'},
  ],
  [
    'An error occurred (InvalidParameterException) when calling the ExecuteCommand operation: The execute command failed because execute command was not enabled when the task was run',
    'target_unreachable',
    {action: 'ExecuteCommand'},
  ],
  [
    'An error occurred (TargetNotConnectedException) when calling the ExecuteCommand operation: The execute command failed due to an internal error. Try again later.',
    'target_unreachable',
    {action: 'ExecuteCommand'},
  ],
  [
    'Could not connect to the endpoint URL: "https://ssm.eu-west-9.amazonaws.com/"',
    'network_denied',
    {resource: 'https://ssm.eu-west-9.amazonaws.com/'},
  ],
  [
    'Connect timeout on endpoint URL: "https://sts.eu-west-1.amazonaws.com/"',
    'network_denied',
    {resource: 'https://sts.eu-west-1.amazonaws.com/'},
  ],
  [
    `$ docker push 111122223333.dkr.ecr.eu-west-1.amazonaws.com/web:1\ndenied: ${refused('ecr:InitiateLayerUpload', 'arn:aws:ecr:eu-west-1:111122223333:repository/web', noIdentity('ecr:InitiateLayerUpload'))}`,
    'action_not_allowed',
    {principal: ops, action: 'ecr:InitiateLayerUpload', resource: 'arn:aws:ecr:eu-west-1:111122223333:repository/web'},
  ],
  [
    `│ Error: listing: AccessDenied: User: ${ops} is not autho\n│ rized to perform: s3:ListBucket on resource: "arn:aws:s3:::reports"          \n`,
    'action_not_allowed',
    undefined,
  ],
]
