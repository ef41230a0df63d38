import type {LocalRole} from '@prod/sdk/role-source'
import fc from 'fast-check'
import {expect, test} from 'vitest'
import {actionsOf} from '../src/iam/actions.ts'
import {leastFor} from '../src/iam/least.ts'
import {needsOf} from '../src/iam/resources.ts'

/** Source of each: the Service Authorization Reference. */
const table: [command: string, ...actions: string[]][] = [
  ['aws s3 ls', 's3:ListAllMyBuckets'],
  ['aws s3 ls s3://b', 's3:ListBucket'],
  ['aws s3 ls s3://b/p/ --recursive --human-readable', 's3:ListBucket'],
  ['aws s3 cp f s3://b/k', 's3:PutObject'],
  ['aws s3 cp - s3://b/k', 's3:PutObject'],
  ['aws s3 cp s3://b/k f', 's3:GetObject'],
  ['aws s3 cp s3://b/k -', 's3:GetObject'],
  ['aws s3 cp s3://b/p d --recursive', 's3:ListBucket', 's3:GetObject'],
  ['aws s3 cp s3://a/k s3://b/k', 's3:GetObject', 's3:PutObject'],
  ['aws s3 cp f s3://b/k --acl public-read', 's3:PutObject', 's3:PutObjectAcl'],
  ['aws s3 cp --storage-class STANDARD_IA f s3://b/k', 's3:PutObject'],
  ['aws s3 mv s3://b/k f', 's3:GetObject', 's3:DeleteObject'],
  ['aws s3 mv f s3://b/k', 's3:PutObject'],
  ['aws s3 rm s3://b/k', 's3:DeleteObject'],
  ['aws s3 rm s3://b/p --recursive', 's3:ListBucket', 's3:DeleteObject'],
  ['aws s3 sync d s3://b', 's3:ListBucket', 's3:PutObject'],
  ['aws s3 sync s3://b d --delete', 's3:ListBucket', 's3:GetObject'],
  ['aws s3 sync d s3://b --delete --exclude *.tmp', 's3:ListBucket', 's3:PutObject', 's3:DeleteObject'],
  ['aws s3 mb s3://b', 's3:CreateBucket'],
  ['aws s3 rb s3://b', 's3:DeleteBucket'],
  ['aws s3 rb s3://b --force', 's3:ListBucket', 's3:DeleteObject', 's3:DeleteBucket'],
  ['aws s3 presign s3://b/k --expires-in 60', 's3:GetObject'],
  ['aws s3api list-buckets', 's3:ListAllMyBuckets'],
  ['aws s3api list-objects-v2 --bucket b', 's3:ListBucket'],
  ['aws s3api list-object-versions --bucket b', 's3:ListBucketVersions'],
  ['aws s3api head-object --bucket b --key k', 's3:GetObject'],
  ['aws s3api get-object --bucket b --key k f', 's3:GetObject'],
  ['aws s3api get-object --bucket b --key k --version-id 3 f', 's3:GetObjectVersion'],
  ['aws s3api delete-object --bucket b --key k', 's3:DeleteObject'],
  ['aws s3api delete-object --bucket b --key k --version-id=3', 's3:DeleteObjectVersion'],
  ['aws s3api delete-objects --bucket b --delete x', 's3:DeleteObject'],
  ['aws s3api put-object --bucket b --key k --tagging a=b', 's3:PutObject', 's3:PutObjectTagging'],
  ['aws s3api copy-object --copy-source a/k --bucket b --key k', 's3:GetObject', 's3:PutObject'],
  ['aws s3api get-bucket-lifecycle-configuration --bucket b', 's3:GetLifecycleConfiguration'],
  ['aws s3api put-bucket-encryption --bucket b', 's3:PutEncryptionConfiguration'],
  ['aws s3api get-bucket-encryption --bucket b', 's3:GetEncryptionConfiguration'],
  ['aws s3api get-public-access-block --bucket b', 's3:GetBucketPublicAccessBlock'],
  ['aws s3api get-bucket-policy --bucket b', 's3:GetBucketPolicy'],
  ['aws s3api create-multipart-upload --bucket b --key k', 's3:PutObject'],
  ['aws ec2 describe-instances', 'ec2:DescribeInstances'],
  ['aws --region eu-west-1 --output json ec2 describe-instances', 'ec2:DescribeInstances'],
  ['aws ec2 --profile p start-instances --instance-ids i-1', 'ec2:StartInstances'],
  ['aws ec2 terminate-instances --instance-ids i-1', 'ec2:TerminateInstances'],
  ['aws ec2 authorize-security-group-ingress --group-id sg-1', 'ec2:AuthorizeSecurityGroupIngress'],
  ['aws ec2 wait instance-running --instance-ids i-1', 'ec2:DescribeInstances'],
  ['aws ec2-instance-connect send-ssh-public-key', 'ec2-instance-connect:SendSSHPublicKey'],
  ['aws elbv2 describe-target-health', 'elasticloadbalancing:DescribeTargetHealth'],
  ['aws elb describe-load-balancers', 'elasticloadbalancing:DescribeLoadBalancers'],
  ['aws autoscaling set-desired-capacity', 'autoscaling:SetDesiredCapacity'],
  ['aws rds describe-db-instances', 'rds:DescribeDBInstances'],
  ['aws rds reboot-db-instance --db-instance-identifier d', 'rds:RebootDBInstance'],
  ['aws rds wait db-instance-available', 'rds:DescribeDBInstances'],
  ['aws rds generate-db-auth-token --hostname h', 'rds-db:connect'],
  ['aws docdb describe-db-clusters', 'rds:DescribeDBClusters'],
  ['aws dynamodb delete-item --table-name t', 'dynamodb:DeleteItem'],
  ['aws dynamodb query --table-name t', 'dynamodb:Query'],
  ['aws dynamodb scan --table-name t', 'dynamodb:Scan'],
  ['aws dynamodb transact-write-items', 'dynamodb:ConditionCheckItem', 'dynamodb:DeleteItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem'],
  ['aws lambda invoke --function-name f out', 'lambda:InvokeFunction'],
  ['aws lambda update-function-code --function-name f', 'lambda:UpdateFunctionCode'],
  ['aws logs tail /g --follow', 'logs:FilterLogEvents'],
  ['aws logs filter-log-events', 'logs:FilterLogEvents'],
  ['aws cloudwatch get-metric-data', 'cloudwatch:GetMetricData'],
  ['aws ecs execute-command --cluster c', 'ecs:ExecuteCommand'],
  ['aws ecs update-service --force-new-deployment', 'ecs:UpdateService'],
  ['aws ecr get-login-password', 'ecr:GetAuthorizationToken'],
  ['aws eks update-kubeconfig --name c', 'eks:DescribeCluster'],
  ['aws iam list-mfa-devices', 'iam:ListMFADevices'],
  ['aws iam attach-role-policy', 'iam:AttachRolePolicy'],
  ['aws iam list-open-id-connect-providers', 'iam:ListOpenIDConnectProviders'],
  ['aws sts get-caller-identity', 'sts:GetCallerIdentity'],
  ['aws kms decrypt', 'kms:Decrypt'],
  ['aws kms re-encrypt', 'kms:ReEncryptFrom', 'kms:ReEncryptTo'],
  ['aws secretsmanager get-secret-value --secret-id s', 'secretsmanager:GetSecretValue'],
  ['aws ssm start-session --target i-1', 'ssm:StartSession'],
  ['aws ssm get-parameters-by-path --path /a', 'ssm:GetParametersByPath'],
  ['aws sqs send-message-batch --queue-url q', 'sqs:SendMessage'],
  ['aws sqs purge-queue --queue-url q', 'sqs:PurgeQueue'],
  ['aws sns publish --topic-arn t', 'sns:Publish'],
  ['aws stepfunctions start-execution', 'states:StartExecution'],
  ['aws events put-events', 'events:PutEvents'],
  ['aws cloudformation describe-stacks', 'cloudformation:DescribeStacks'],
  ['aws cloudformation wait stack-create-complete --stack-name s', 'cloudformation:DescribeStacks'],
  ['aws cloudfront create-invalidation --distribution-id d', 'cloudfront:CreateInvalidation'],
  ['aws route53 change-resource-record-sets', 'route53:ChangeResourceRecordSets'],
  ['aws apigateway get-rest-apis', 'apigateway:GET'],
  ['aws apigatewayv2 delete-api --api-id a', 'apigateway:DELETE'],
  ['aws efs describe-file-systems', 'elasticfilesystem:DescribeFileSystems'],
  ['aws emr list-clusters', 'elasticmapreduce:ListClusters'],
  ['aws deploy create-deployment', 'codedeploy:CreateDeployment'],
  ['aws configservice describe-config-rules', 'config:DescribeConfigRules'],
  ['aws resourcegroupstaggingapi get-resources', 'tag:GetResources'],
  ['aws service-quotas list-service-quotas --service-code ec2', 'servicequotas:ListServiceQuotas'],
  ['aws sesv2 send-email', 'ses:SendEmail'],
  ['aws opensearch describe-domain --domain-name d', 'es:DescribeDomain'],
  ['aws wafv2 get-web-acl', 'wafv2:GetWebACL'],
  ['aws cognito-idp admin-get-user', 'cognito-idp:AdminGetUser'],
  ['aws organizations list-accounts', 'organizations:ListAccounts'],
  ['/usr/local/bin/aws sts get-caller-identity', 'sts:GetCallerIdentity'],
]

test.for(table)('%s', ([command, ...actions]) => {
  expect(actionsOf(command.split(' '))).toEqual({actions})
})

test('a statement in PartiQL is the action of its verb', () => {
  expect(actionsOf(['aws', 'dynamodb', 'execute-statement', '--statement', 'DELETE FROM "t" WHERE k = 1'])).toEqual({
    actions: ['dynamodb:PartiQLDelete'],
  })
  expect(actionsOf(['aws', 'dynamodb', 'execute-statement', '--statement=select * from t'])).toEqual({actions: ['dynamodb:PartiQLSelect']})
  expect(actionsOf(['aws', 'dynamodb', 'execute-statement', '--cli-input-json', 'x'])).toHaveProperty('unknown')
})

test.for(['aws configure list', 'aws help', 'aws s3 help', 'aws sso login', 'aws'])('%s needs no action', command => {
  expect(actionsOf(command.split(' '))).toEqual({actions: []})
})

test.for([
  'terraform apply',
  'sh -c aws',
  'aws madeupservice list-things',
  'aws s3 frobnicate x',
  'aws ec2 wait no-such-waiter',
  'aws s3 cp a b',
  '',
])('what %s needs is not guessed', command => {
  expect(actionsOf(command.split(' '))).toHaveProperty('unknown')
})

test('no words make it fail, and an action has its form', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.string(), fc.constantFrom('s3', 's3api', 'ec2', 'wait', 'constructor', '__proto__', 'cp', '--region'))),
      words => {
        const needs = actionsOf(['aws', ...words])
        if ('actions' in needs) for (const action of needs.actions) expect(action).toMatch(/^[a-z0-9-]+:[A-Za-z0-9]+$/)
      },
    ),
  )
})

const role = (name: string, allows: string[] | null, kind: LocalRole['class']): LocalRole => ({
  name,
  source: 'aws profile',
  summary: '',
  account: null,
  allows,
  class: kind,
  fault: null,
  used: 0,
})
const roles = [
  role('admin', ['*:*'], 'admin'),
  role('s3-all', ['s3:*'], 'change'),
  role('s3-objects', ['s3:ListBucket', 's3:GetObject', 's3:PutObject', 's3:DeleteObject'], 'change'),
  role('reader', ['s3:Get*', 's3:List*'], 'read'),
  role('unknown', null, null),
  {...role('broken', ['s3:DeleteObject'], 'read'), fault: 'a circle'},
]

test('the least role is of the smallest class, then allows the fewest actions', () => {
  expect(leastFor(['aws', 's3', 'ls', 's3://b'], roles).name).toBe('reader')
  expect(leastFor(['aws', 's3', 'rm', 's3://b/k'], roles)).toEqual({
    name: 's3-objects',
    why: 's3-objects: the least of your roles that is known to allow s3:DeleteObject',
  })
  expect(leastFor(['aws', 's3', 'rb', 's3://b'], roles).name).toBe('s3-all')
  expect(leastFor(['aws', 'iam', 'list-users'], roles).name).toBe('admin')
})

test('where no role is known, or the command is not, it says so', () => {
  expect(() => leastFor(['terraform', 'apply'], roles)).toThrow('what terraform asks AWS for is not known')
  expect(() => leastFor(['aws', 'iam', 'list-users'], roles.slice(1))).toThrow('none of your roles is known to allow iam:ListUsers')
  expect(() => leastFor(['aws', 'iam', 'list-users'], [role('a', null, null)])).toThrow('of none of your roles is it known what it allows')
})

test.for([
  ['aws s3 rm s3://b/k', 's3:DeleteObject on arn:aws:s3:::b/k'],
  ['aws --profile s3 s3 rm s3://b/k --recursive', 's3:ListBucket on arn:aws:s3:::b, s3:DeleteObject on arn:aws:s3:::b/k*'],
  ['aws s3 ls', 's3:ListAllMyBuckets on *'],
  ['aws s3 ls s3://b/k', 's3:ListBucket on arn:aws:s3:::b'],
  ['aws s3 cp dir/a.csv s3://b/in/', 's3:PutObject on arn:aws:s3:::b/in/a.csv'],
  [
    'aws s3 mv s3://a/x s3://b/y',
    's3:GetObject on arn:aws:s3:::a/x, s3:PutObject on arn:aws:s3:::b/y, s3:DeleteObject on arn:aws:s3:::a/x',
  ],
  [
    'aws s3 sync s3://a/x s3://b --delete --region cn-north-1',
    's3:ListBucket on arn:aws-cn:s3:::a, s3:ListBucket on arn:aws-cn:s3:::b, s3:GetObject on arn:aws-cn:s3:::a/x/*, s3:PutObject on arn:aws-cn:s3:::b/*, s3:DeleteObject on arn:aws-cn:s3:::b/*',
  ],
  ['aws s3 cp s3://arn:aws:s3:eu-west-1:111122223333:accesspoint/p/k .', 's3:GetObject'],
  ['aws s3api get-object --bucket b --key k out', 's3:GetObject on arn:aws:s3:::b/k'],
  ['aws s3api list-objects-v2 --bucket=b', 's3:ListBucket on arn:aws:s3:::b'],
  ['aws s3api delete-objects --bucket b --delete x', 's3:DeleteObject'],
  ['aws s3api copy-object --bucket b --key k --copy-source a/x', 's3:GetObject, s3:PutObject'],
  ['aws sns publish --topic-arn arn:aws:sns:eu-west-1:111122223333:t --message m', 'sns:Publish on arn:aws:sns:eu-west-1:111122223333:t'],
  ['aws iam attach-role-policy --role-name r --policy-arn arn:aws:iam::aws:policy/P', 'iam:AttachRolePolicy'],
  ['aws dynamodb delete-item --table-name orders --key x', 'dynamodb:DeleteItem'],
] as const)('%s is on what its words say in full: %s', ([command, wanted]) => {
  const found = needsOf(command.split(' '))
  const words =
    'needs' in found ? found.needs.map(({action, resource}) => (resource === null ? action : `${action} on ${resource}`)) : found
  expect(words).toEqual(wanted.split(', '))
})

test('the least role allows it on that resource: one that is bound to others is passed over', () => {
  const some = [role('reports', ['s3:*Object on arn:aws:s3:::reports/*'], 'change'), role('all', ['s3:*'], 'change')]
  expect(leastFor(['aws', 's3', 'rm', 's3://reports/old.csv'], some)).toEqual({
    name: 'reports',
    why: 'reports: the least of your roles that is known to allow s3:DeleteObject, on arn:aws:s3:::reports/* alone',
  })
  expect(leastFor(['aws', 's3', 'rm', 's3://payroll/old.csv'], some).name).toBe('all')
  expect(() => leastFor(['aws', 's3', 'rm', 's3://payroll/old.csv'], some.slice(0, 1))).toThrow(
    'none of your roles is known to allow s3:DeleteObject on arn:aws:s3:::payroll/old.csv',
  )
  // a profile of another account does not reach it
  const other = {...role('other', ['sns:*'], 'change'), account: '999988887777'}
  expect(() => leastFor(['aws', 'sns', 'publish', '--topic-arn', 'arn:aws:sns:eu-west-1:111122223333:t'], [other])).toThrow(
    'sns:Publish on',
  )
})
