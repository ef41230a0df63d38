import type {Row} from './messages.ts'

const ana = 'arn:aws:iam::111122223333:user/ana'

/** Names that a slip of the hand, an emphasis or a cut went through, and AWS wordings for which no form was known. */
export const slips: readonly Row[] = [
  // accounts in words, blanks beside the colon, emphasis, half of an escape
  [
    'User: arn:aws:sts::Account B:assumed-role/reader/lena is not authorized to perform: secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:eu-west-1:Account A:secret:db with an explicit deny in a resource control policy',
    'rcp_deny',
    {
      principal: 'arn:aws:sts::Account B:assumed-role/reader/lena',
      action: 'secretsmanager:GetSecretValue',
      resource: 'arn:aws:secretsmanager:eu-west-1:Account A:secret:db',
    },
  ],
  [
    'User: arn:aws:iam::444455556666 :user/ana is not authorized to perform: cloudformation:DescribeStacks on resource: arn:aws:cloudformation:eu-west-1:444455556666 :stack/web/1',
    'action_not_allowed',
    {
      principal: 'arn:aws:iam::444455556666 :user/ana',
      action: 'cloudformation:DescribeStacks',
      resource: 'arn:aws:cloudformation:eu-west-1:444455556666 :stack/web/1',
    },
  ],
  [
    'User: arn:aws:sts::444455556666: assumed-role/Worker/w1\nis not authorized to perform: sts:TagSession on resource: arn:aws:iam::444455556666: role/Memory',
    'role_assume_denied',
    {
      principal: 'arn:aws:sts::444455556666: assumed-role/Worker/w1',
      action: 'sts:TagSession',
      resource: 'arn:aws:iam::444455556666: role/Memory',
      role: 'arn:aws:iam::444455556666: role/Memory',
    },
  ],
  [
    'the message "An error occurred (TargetNotConnected) when calling the StartSession operation: *HostID* is not connected."',
    'target_unreachable',
    {action: 'StartSession', resource: 'HostID'},
  ],
  [
    `AccessDenied: User: ${ana} is not authorized to perform: route53:GetChange\\\n\\tstatus code: 403`,
    'action_not_allowed',
    {principal: ana, action: 'route53:GetChange'},
  ],
  // beginnings and ends that were cut off
  [
    's3:DeleteObject on resource: "arn:aws:s3:::reports/q1"\nwith an explicit deny in a resource control policy, with policy ARN:\narn:aws:organizations::444455556666:policy/o-1/resource_control_policy/p-1',
    'rcp_deny',
    {action: 's3:DeleteObject', resource: 'arn:aws:s3:::reports/q1'},
  ],
  ['...ec2:StopInstances with an explicit deny in an identity-based policy', 'explicit_deny_identity', {action: 'ec2:StopInstances'}],
  [
    'User is not authorized to perform: s3:PutObject on resource\nbecause no VPC endpoint policy allows the s3:PutObject action',
    'vpc_endpoint_policy',
    {action: 's3:PutObject'},
  ],
  // calls that tools name in words of their own
  [
    'Call failed: getBucketPolicy({"Bucket":"assets-eu"}) => Access Denied (code=AccessDenied)',
    'unknown_denial',
    {action: 'getBucketPolicy', resource: 'assets-eu'},
  ],
  [
    '{"Code"=>"Throttling", "Message"=>"Rate exceeded"} while calling DescribeStacks on the client',
    'throttled',
    {action: 'DescribeStacks'},
  ],
  ['error details - GetMessages Error: AuthorizationFailureException:', 'unknown_denial', {action: 'GetMessages'}],
  ['the start script fails the GetSecretValue call with: Access to KMS is not allowed', 'kms_key', {action: 'GetSecretValue'}],
  ['Unable to download object s3://models/llm/1 (AccessDenied: Access Denied)', 'unknown_denial', {resource: 's3://models/llm/1'}],
  ['Failed to get credentials for base: AccessDenied: Access denied\n\tstatus code: 403', 'unknown_denial', {}],
  [
    'Error calling AssumeRole for role arn:aws:iam::111122223333:role/ci: not authorized to perform sts:AssumeRoleWithWebIdentity',
    'role_assume_denied',
    {action: 'sts:AssumeRoleWithWebIdentity', role: 'arn:aws:iam::111122223333:role/ci'},
  ],
  // roles
  ['The account ana does not have access to any roles', 'role_assume_denied', {}],
  ["Specified provider doesn't exist (error code: AuthSamlInvalidSamlResponseException)", 'role_assume_denied', {}],
  ['Invalid identity pool configuration: check the roles of the pool', 'role_assume_denied', {}],
  // keys
  [
    'The caller may not use the KMS key, because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access',
    'kms_key',
    {},
  ],
  [
    'events.amazonaws.com is not authorized to access the key because the resource does not exist in this Region, no resource-based policies allow it',
    'kms_key',
    {principal: 'events.amazonaws.com'},
  ],
  [
    'User *:* is not authorized to decrypt records in stream *\n(Error Code: KMSAccessDeniedException)',
    'kms_key',
    {principal: '*:*', resource: '*'},
  ],
  ['The secret of another account is encrypted with the default KMS service key', 'kms_key', {}],
  // credentials
  ['IdentityProviderException: No identity could be resolved from the chain: Chain -> Environment -> Profile', 'credentials_missing', {}],
  ["TypeError: cannot read property 'accessKeyId' of undefined, for a non-existent profile", 'credentials_missing', {}],
  ['<Code>MissingKey</Code><Message>Missing Key-Pair-Id in the query</Message>', 'credentials_missing', {}],
  ['<Code>InvalidKey</Code><Message>Unknown Key</Message>', 'credentials_invalid', {}],
  ['NotAuthorizedException: Unable to verify secret hash for client c1', 'credentials_invalid', {}],
  ['AccessDenied: Invalid according to Policy: Policy expired.', 'credentials_expired', {}],
  // what the code says and the sentence does not
  ['AuthFailure: Not authorized for images: [ami-0a1b]', 'unknown_denial', {resource: 'ami-0a1b'}],
  ['(AccountProblem): There is a problem with your AWS account', 'unknown_denial', {}],
  ['(NonExistentQueue): The specified queue does not exist or you do not have access to it.', 'not_a_denial', {}],
  ['(MethodNotAllowed): this method is not allowed against the bucket', 'not_a_denial', {}],
  // checkers and simulators
  ['ecs:ExecuteCommand: implicitDeny', 'action_not_allowed', {action: 'ecs:ExecuteCommand'}],
  ['ssmmessages:OpenDataChannel: explicitDeny', 'explicit_deny_identity', {action: 'ssmmessages:OpenDataChannel'}],
  [
    '{"EvalActionName": "s3:GetObject", "EvalResourceName": "arn:aws:s3:::logs/a", "EvalDecision": "implicitDeny"}',
    'action_not_allowed',
    {action: 's3:GetObject', resource: 'arn:aws:s3:::logs/a'},
  ],
  ['Exec Enabled for Task | NO', 'target_unreachable', {}],
  ['Managed Agent Status | STOPPED', 'target_unreachable', {}],
  ['Cannot perform start session: EOF', 'target_unreachable', {}],
  ['Your role does not have access to Kubernetes objects on this cluster', 'k8s_rbac', {}],
  [
    'Verify that the role has access to the search domain: arn:aws:es:eu-west-1:111122223333:domain/d1',
    'unknown_denial',
    {resource: 'arn:aws:es:eu-west-1:111122223333:domain/d1'},
  ],
  // consoles, and what people write down of them
  [
    `Access denied: you don't have permission to iam:ListUsers. User: ${ana} Action: iam:ListUsers Context: no identity-based policy allows the action`,
    'action_not_allowed',
    {principal: ana, action: 'iam:ListUsers'},
  ],
  [
    'The buckets of this AWS account are not shown: ask for your permissions to allow the s3:ListAllMyBuckets action',
    'action_not_allowed',
    {action: 's3:ListAllMyBuckets'},
  ],
  ['AccessDenied: explicit deny in SCP', 'scp_deny', {}],
  [
    'The execution role lacks `ssm:GetParameters`, `secretsmanager:GetSecretValue`, `logs:PutLogEvents` or `kms:Decrypt`',
    'action_not_allowed',
    {action: 'ssm:GetParameters'},
  ],
  ['There are no roles to assume for this account', 'role_assume_denied', {}],
]
