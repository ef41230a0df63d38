/** Operations of the AWS CLI that need other actions than their own name says. Source: the Service Authorization Reference and the CLI's own commands. */

/** What a command needs, by `service operation`; empty: nothing that a policy is asked about. */
const exceptions: Record<string, readonly string[]> = {
  's3api abort-multipart-upload': ['s3:AbortMultipartUpload'],
  's3api complete-multipart-upload': ['s3:PutObject'],
  's3api copy-object': ['s3:GetObject', 's3:PutObject'],
  's3api create-multipart-upload': ['s3:PutObject'],
  's3api delete-bucket-analytics-configuration': ['s3:PutAnalyticsConfiguration'],
  's3api delete-bucket-cors': ['s3:PutBucketCORS'],
  's3api delete-bucket-encryption': ['s3:PutEncryptionConfiguration'],
  's3api delete-bucket-inventory-configuration': ['s3:PutInventoryConfiguration'],
  's3api delete-bucket-lifecycle': ['s3:PutLifecycleConfiguration'],
  's3api delete-bucket-metrics-configuration': ['s3:PutMetricsConfiguration'],
  's3api delete-bucket-ownership-controls': ['s3:PutBucketOwnershipControls'],
  's3api delete-bucket-replication': ['s3:PutReplicationConfiguration'],
  's3api delete-bucket-tagging': ['s3:PutBucketTagging'],
  's3api delete-objects': ['s3:DeleteObject'],
  's3api delete-public-access-block': ['s3:PutBucketPublicAccessBlock'],
  's3api get-bucket-accelerate-configuration': ['s3:GetAccelerateConfiguration'],
  's3api get-bucket-analytics-configuration': ['s3:GetAnalyticsConfiguration'],
  's3api get-bucket-cors': ['s3:GetBucketCORS'],
  's3api get-bucket-encryption': ['s3:GetEncryptionConfiguration'],
  's3api get-bucket-inventory-configuration': ['s3:GetInventoryConfiguration'],
  's3api get-bucket-lifecycle': ['s3:GetLifecycleConfiguration'],
  's3api get-bucket-lifecycle-configuration': ['s3:GetLifecycleConfiguration'],
  's3api get-bucket-metrics-configuration': ['s3:GetMetricsConfiguration'],
  's3api get-bucket-notification-configuration': ['s3:GetBucketNotification'],
  's3api get-bucket-replication': ['s3:GetReplicationConfiguration'],
  's3api get-object-attributes': ['s3:GetObject', 's3:GetObjectAttributes'],
  's3api get-object-lock-configuration': ['s3:GetBucketObjectLockConfiguration'],
  's3api get-public-access-block': ['s3:GetBucketPublicAccessBlock'],
  's3api head-bucket': ['s3:ListBucket'],
  's3api head-object': ['s3:GetObject'],
  's3api list-buckets': ['s3:ListAllMyBuckets'],
  's3api list-multipart-uploads': ['s3:ListBucketMultipartUploads'],
  's3api list-object-versions': ['s3:ListBucketVersions'],
  's3api list-objects': ['s3:ListBucket'],
  's3api list-objects-v2': ['s3:ListBucket'],
  's3api list-parts': ['s3:ListMultipartUploadParts'],
  's3api put-bucket-accelerate-configuration': ['s3:PutAccelerateConfiguration'],
  's3api put-bucket-analytics-configuration': ['s3:PutAnalyticsConfiguration'],
  's3api put-bucket-cors': ['s3:PutBucketCORS'],
  's3api put-bucket-encryption': ['s3:PutEncryptionConfiguration'],
  's3api put-bucket-inventory-configuration': ['s3:PutInventoryConfiguration'],
  's3api put-bucket-lifecycle': ['s3:PutLifecycleConfiguration'],
  's3api put-bucket-lifecycle-configuration': ['s3:PutLifecycleConfiguration'],
  's3api put-bucket-metrics-configuration': ['s3:PutMetricsConfiguration'],
  's3api put-bucket-notification-configuration': ['s3:PutBucketNotification'],
  's3api put-bucket-replication': ['s3:PutReplicationConfiguration'],
  's3api put-object-lock-configuration': ['s3:PutBucketObjectLockConfiguration'],
  's3api put-public-access-block': ['s3:PutBucketPublicAccessBlock'],
  's3api select-object-content': ['s3:GetObject'],
  's3api upload-part': ['s3:PutObject'],
  's3api upload-part-copy': ['s3:GetObject', 's3:PutObject'],
  'bedrock-runtime converse': ['bedrock:InvokeModel'],
  'cloudformation deploy': [
    'cloudformation:CreateChangeSet',
    'cloudformation:DescribeChangeSet',
    'cloudformation:DescribeStacks',
    'cloudformation:ExecuteChangeSet',
    'cloudformation:GetTemplateSummary',
  ],
  'cloudformation package': ['s3:PutObject'],
  'cloudfront sign': [],
  'codeartifact login': ['codeartifact:GetAuthorizationToken', 'codeartifact:GetRepositoryEndpoint', 'sts:GetServiceBearerToken'],
  'codeartifact get-authorization-token': ['codeartifact:GetAuthorizationToken', 'sts:GetServiceBearerToken'],
  'dynamodb transact-get-items': ['dynamodb:GetItem'],
  'dynamodb transact-write-items': ['dynamodb:ConditionCheckItem', 'dynamodb:DeleteItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem'],
  'ec2-instance-connect open-tunnel': ['ec2:DescribeInstances', 'ec2-instance-connect:OpenTunnel'],
  'ec2-instance-connect ssh': ['ec2:DescribeInstances', 'ec2-instance-connect:SendSSHPublicKey'],
  'ecr get-login-password': ['ecr:GetAuthorizationToken'],
  'ecr-public get-login-password': ['ecr-public:GetAuthorizationToken', 'sts:GetServiceBearerToken'],
  'eks get-token': ['sts:GetCallerIdentity'],
  'eks update-kubeconfig': ['eks:DescribeCluster'],
  'kms re-encrypt': ['kms:ReEncryptFrom', 'kms:ReEncryptTo'],
  'lambda invoke': ['lambda:InvokeFunction'],
  'lambda invoke-with-response-stream': ['lambda:InvokeFunction'],
  'logs tail': ['logs:FilterLogEvents'],
  'rds generate-db-auth-token': ['rds-db:connect'],
  'sns publish-batch': ['sns:Publish'],
  'sqs change-message-visibility-batch': ['sqs:ChangeMessageVisibility'],
  'sqs delete-message-batch': ['sqs:DeleteMessage'],
  'sqs send-message-batch': ['sqs:SendMessage'],
}

/** What a waiter asks again and again, by service and how the waiter's name begins. */
const waiters: [service: string, begins: RegExp, action: string][] = [
  ['acm', /^certificate-/, 'acm:DescribeCertificate'],
  ['cloudformation', /^change-set-/, 'cloudformation:DescribeChangeSet'],
  ['cloudformation', /^stack-/, 'cloudformation:DescribeStacks'],
  ['cloudfront', /^distribution-/, 'cloudfront:GetDistribution'],
  ['cloudfront', /^invalidation-/, 'cloudfront:GetInvalidation'],
  ['dynamodb', /^table-/, 'dynamodb:DescribeTable'],
  ['ec2', /^image-/, 'ec2:DescribeImages'],
  ['ec2', /^instance-status-/, 'ec2:DescribeInstanceStatus'],
  ['ec2', /^instance-/, 'ec2:DescribeInstances'],
  ['ec2', /^nat-gateway-/, 'ec2:DescribeNatGateways'],
  ['ec2', /^snapshot-/, 'ec2:DescribeSnapshots'],
  ['ec2', /^volume-/, 'ec2:DescribeVolumes'],
  ['ec2', /^vpc-(?:exists|available)/, 'ec2:DescribeVpcs'],
  ['ecs', /^services-/, 'ecs:DescribeServices'],
  ['ecs', /^tasks-/, 'ecs:DescribeTasks'],
  ['eks', /^cluster-/, 'eks:DescribeCluster'],
  ['eks', /^nodegroup-/, 'eks:DescribeNodegroup'],
  ['elasticache', /^cache-cluster-/, 'elasticache:DescribeCacheClusters'],
  ['elbv2', /^load-balancer/, 'elasticloadbalancing:DescribeLoadBalancers'],
  ['elbv2', /^target-/, 'elasticloadbalancing:DescribeTargetHealth'],
  ['iam', /^role-/, 'iam:GetRole'],
  ['iam', /^user-/, 'iam:GetUser'],
  ['lambda', /^function-(?:active|updated|exists)$/, 'lambda:GetFunctionConfiguration'],
  ['lambda', /^function-.*-v2$/, 'lambda:GetFunction'],
  ['rds', /^db-cluster-snapshot-/, 'rds:DescribeDBClusterSnapshots'],
  ['rds', /^db-cluster-/, 'rds:DescribeDBClusters'],
  ['rds', /^db-instance-/, 'rds:DescribeDBInstances'],
  ['rds', /^db-snapshot-/, 'rds:DescribeDBSnapshots'],
  ['redshift', /^cluster-/, 'redshift:DescribeClusters'],
  ['route53', /^resource-record-sets-/, 'route53:GetChange'],
  ['s3api', /^bucket-/, 's3:ListBucket'],
  ['s3api', /^object-/, 's3:GetObject'],
  ['ssm', /^command-/, 'ssm:GetCommandInvocation'],
]

/** How a word of an operation is written in the action, where that is not with one capital. Only for people: IAM compares without case. */
const spelling: Record<string, Record<string, string>> = {
  docdb: {db: 'DB'},
  'ec2-instance-connect': {ssh: 'SSH'},
  iam: {mfa: 'MFA', ssh: 'SSH', saml: 'SAML', id: 'ID'},
  neptune: {db: 'DB'},
  rds: {db: 'DB'},
  route53: {vpc: 'VPC', dnssec: 'DNSSEC'},
  sts: {saml: 'SAML'},
  waf: {acl: 'ACL', acls: 'ACLs', ip: 'IP'},
  wafv2: {acl: 'ACL', acls: 'ACLs', ip: 'IP'},
}

const verbs: Record<string, string> = {
  get: 'GET',
  export: 'GET',
  create: 'POST',
  import: 'POST',
  test: 'POST',
  tag: 'PUT',
  put: 'PUT',
  update: 'PATCH',
  delete: 'DELETE',
  untag: 'DELETE',
  flush: 'DELETE',
  reset: 'DELETE',
}

/** The actions of one operation, or undefined where they are not known. `rest`: what follows the operation. Pure. */
export function operationActions(
  service: string,
  prefix: string,
  operation: string,
  rest: readonly string[],
): readonly string[] | undefined {
  if (operation === 'wait') {
    const found = waiters.find(([of, begins]) => of === service && begins.test(rest[0] ?? ''))
    return found && [found[2]]
  }
  const key = `${service} ${operation}`
  if (service === 's3api' && rest.some(word => /^--version-id(=|$)/.test(word))) {
    const versioned = {'get-object': 's3:GetObjectVersion', 'head-object': 's3:GetObjectVersion', 'delete-object': 's3:DeleteObjectVersion'}
    if (Object.hasOwn(versioned, operation)) return [versioned[operation as keyof typeof versioned]]
  }
  if (key === 's3api put-object') {
    const also = [
      ['--acl', 's3:PutObjectAcl'],
      ['--tagging', 's3:PutObjectTagging'],
    ].filter(([flag]) => rest.some(word => word === flag || word.startsWith(`${flag}=`)))
    return ['s3:PutObject', ...also.map(([, action]) => action as string)]
  }
  if (key === 'dynamodb execute-statement') return statementActions(rest)
  if (Object.hasOwn(exceptions, key)) return exceptions[key]
  const [first = '', ...words] = operation.split('-')
  // API Gateway is governed by the HTTP method of each call
  if (prefix === 'apigateway') return verbs[first] === undefined ? undefined : [`apigateway:${verbs[first]}`]
  if (!/^[a-z][a-z0-9]*$/.test(first) || words.some(word => !/^[a-z0-9]+$/.test(word))) return undefined
  return [`${prefix}:${[first, ...words].map(word => spell(service, word)).join('')}`]
}

function spell(service: string, word: string): string {
  const special = spelling[service]
  return (special && Object.hasOwn(special, word) ? special[word] : undefined) ?? word.charAt(0).toUpperCase() + word.slice(1)
}

function statementActions(rest: readonly string[]): readonly string[] | undefined {
  const at = rest.findIndex(word => word === '--statement' || word.startsWith('--statement='))
  const text = rest[at]?.includes('=') ? rest[at]?.slice('--statement='.length) : rest[at + 1]
  const verb = /^\s*(select|insert|update|delete|exists)\b/i.exec((at < 0 ? undefined : text) ?? '')?.[1]?.toLowerCase()
  return verb === undefined ? undefined : [`dynamodb:PartiQL${verb === 'exists' ? 'Select' : verb.charAt(0).toUpperCase() + verb.slice(1)}`]
}
