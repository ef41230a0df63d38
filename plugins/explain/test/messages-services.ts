/** Refusals of many AWS services for each kind of policy, in the wrapping of each tool: what is said is the same whoever prints it. */
import type {Category} from '@prod/sdk/explainer'
import type {Row} from './messages.ts'

const account = '444455556666'
const here = (service: string, rest: string): string => `arn:aws:${service}:eu-west-1:${account}:${rest}`

const calls: readonly (readonly [action: string, resource?: string])[] = [
  ['apigateway:GET', 'arn:aws:apigateway:eu-west-1::/restapis/abc123'],
  ['athena:StartQueryExecution', here('athena', 'workgroup/primary')],
  ['backup:StartBackupJob', here('backup', 'backup-vault:main')],
  ['batch:SubmitJob', here('batch', 'job-queue/high')],
  ['ce:GetCostAndUsage', `arn:aws:ce:us-east-1:${account}:/GetCostAndUsage`],
  ['cloudwatch:PutMetricAlarm', here('cloudwatch', 'alarm:cpu')],
  ['codeartifact:GetAuthorizationToken', here('codeartifact', 'domain/main')],
  ['codebuild:StartBuild', here('codebuild', 'project/web')],
  ['codepipeline:GetPipelineState', here('codepipeline', 'release')],
  ['config:DescribeConfigRules', here('config', 'config-rule/*')],
  ['connect:ListUsers', here('connect', 'instance/1/agent/*')],
  ['dms:DescribeReplicationTasks', here('dms', '*:*')],
  ['dynamodb:Query', here('dynamodb', 'table/orders/index/by-day')],
  ['ecr:GetAuthorizationToken', '*'],
  ['ecs:UpdateService', here('ecs', 'service/main/web')],
  ['eks:DescribeCluster', here('eks', 'cluster/main')],
  ['elasticache:DescribeCacheClusters', here('elasticache', 'cluster:*')],
  ['elasticfilesystem:ClientMount', here('elasticfilesystem', 'file-system/fs-0a')],
  ['elasticloadbalancing:DescribeLoadBalancers'],
  ['emr-serverless:StartJobRun', here('emr-serverless', '/applications/00f')],
  ['events:PutRule', here('events', 'rule/nightly')],
  ['firehose:PutRecordBatch', here('firehose', 'deliverystream/logs')],
  ['glue:GetTable', here('glue', 'catalog')],
  ['guardduty:ListDetectors', here('guardduty', 'detector/*')],
  ['iot:Publish', here('iot', 'topic/devices/7')],
  ['kafka-cluster:Connect', here('kafka', 'cluster/main/1-2')],
  ['kinesis:PutRecord', here('kinesis', 'stream/clicks')],
  ['lakeformation:GetDataAccess', here('lakeformation', `catalog:${account}`)],
  ['lambda:UpdateFunctionCode', here('lambda', 'function:resize')],
  ['logs:FilterLogEvents', here('logs', 'log-group:/app/web:log-stream:')],
  ['mq:DescribeBroker', here('mq', 'broker:main:b-1')],
  ['organizations:ListAccounts', '*'],
  ['pricing:GetProducts'],
  ['rds:CreateDBSnapshot', here('rds', 'snapshot:pre-migration')],
  ['redshift-data:ExecuteStatement', here('redshift', 'cluster:dw')],
  ['route53:ChangeResourceRecordSets', 'arn:aws:route53:::hostedzone/Z0ABC'],
  ['sagemaker:CreateEndpoint', here('sagemaker', 'endpoint/score')],
  ['scheduler:CreateSchedule', here('scheduler', 'schedule/default/nightly')],
  ['servicediscovery:DiscoverInstances', '*'],
  ['ses:SendEmail', here('ses', 'identity/shop.example')],
  ['sns:Publish', here('sns', 'alerts')],
  ['sqs:sendmessage', here('sqs', 'jobs')],
  ['ssm:GetParameter', here('ssm', 'parameter/db/url')],
  ['states:StartExecution', here('states', 'stateMachine:pay')],
  ['support:DescribeCases'],
  ['transfer:ListUsers', here('transfer', 'server/s-0a')],
  ['wafv2:UpdateWebACL', here('wafv2', 'regional/webacl/main/1')],
  ['workspaces:DescribeWorkspaces', here('workspaces', 'directory/d-1')],
]

const principals = [
  `arn:aws:iam::${account}:user/lena`,
  `arn:aws:sts::${account}:assumed-role/ReadOnly/lena@shop.example`,
  `arn:aws:sts::${account}:assumed-role/AWSReservedSSO_Ops_0123456789abcdef/lena`,
  `arn:aws:iam::${account}:root`,
  `arn:aws:sts::${account}:federated-user/lena`,
]

const reasons: readonly (readonly [Category, (action: string) => string])[] = [
  ['action_not_allowed', action => ` because no identity-based policy allows the ${action} action`],
  ['action_not_allowed', () => ''],
  ['explicit_deny_identity', () => ' with an explicit deny in an identity-based policy'],
  ['explicit_deny_identity', () => ` with an explicit deny in an identity-based policy: arn:aws:iam::${account}:policy/guard`],
  [
    'scp_deny',
    () =>
      ' with an explicit deny in a service control policy: arn:aws:organizations::111122223333:policy/o-abc/service_control_policy/p-def',
  ],
  ['scp_deny', action => ` because no service control policy allows the ${action} action`],
  ['rcp_deny', () => ' with an explicit deny in a resource control policy'],
  ['permissions_boundary', action => ` because no permissions boundary allows the ${action} action`],
  ['permissions_boundary', () => ` with an explicit deny in a permissions boundary: arn:aws:iam::${account}:policy/edge`],
  ['session_policy', action => ` because no session policy allows the ${action} action`],
  ['resource_policy', action => ` because no resource-based policy allows the ${action} action`],
  ['resource_policy', () => ' with an explicit deny in a resource-based policy'],
  ['vpc_endpoint_policy', action => ` because no VPC endpoint policy allows the ${action} action`],
]

const code = 'AccessDeniedException'

/** Lines of 78 in Terraform's box: words go to the next line, and one that is too long is cut. */
function boxed(text: string): string {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1) as string
    if (last !== '' && last.length + 1 + word.length <= 78) lines[lines.length - 1] = `${last} ${word}`
    else for (let at = 0; at < word.length; at += 78) lines.push(word.slice(at, at + 78))
  }
  return `╷\n${lines
    .filter(line => line !== '')
    .map(line => `│ ${line}`)
    .join('\n')}\n│ \n│   with aws_thing.this,\n│   on main.tf line 3, in resource "aws_thing" "this":\n╵`
}

const wrappings: readonly ((message: string, operation: string, service: string) => string)[] = [
  (message, operation) => `An error occurred (${code}) when calling the ${operation} operation: ${message}`,
  (message, operation) => `\naws: [ERROR]: An error occurred (${code}) when calling the ${operation} operation: ${message}\n`,
  (message, operation) =>
    `Traceback (most recent call last):\n  File "/app/job.py", line 9, in <module>\n    main()\nbotocore.exceptions.ClientError: An error occurred (${code}) when calling the ${operation} operation: ${message}`,
  message => `${code}: ${message}\n\tstatus code: 400, request id: 0d2b1f6e`,
  (message, operation, service) =>
    `2026/03/01 10:00:00 operation error ${service}: ${operation}, https response error StatusCode: 403, RequestID: 0d2b, api error ${code}: ${message}`,
  (message, _, service) =>
    `Exception in thread "main" com.amazonaws.AmazonServiceException: ${message} (Service: ${service}; Status Code: 400; Error Code: ${code}; Request ID: 0d2b; Proxy: null)\n\tat com.amazonaws.http.AmazonHttpClient.execute(AmazonHttpClient.java:79)`,
  (message, _, service) =>
    `software.amazon.awssdk.core.exception.SdkException: ${message} (Service: ${service}, Status Code: 400, Request ID: 0d2b) (SDK Attempt Count: 1)`,
  message =>
    `${code}: ${message}\n    at throwDefaultError (/app/node_modules/client/index.js:388:20) {\n  '$fault': 'client',\n  '$metadata': { httpStatusCode: 400 }\n}`,
  message => JSON.stringify({level: 'error', time: '2026-03-01T10:00:00Z', err: {type: code, message}}),
  message => JSON.stringify({msg: JSON.stringify({__type: code, Message: message})}),
  (message, operation, service) =>
    boxed(
      `Error: reading thing (x): operation error ${service}: ${operation}, https response error StatusCode: 400, api error ${code}: ${message}`,
    ),
  message => `\u001b[31m\u001b[1mError: \u001b[0m\u001b[0m${code}: ${message}\r\n\tstatus code: 400\r\n`,
  message => `Error: ${code}: ${message}`.replace(/.{100}/g, '$&\n'),
  message =>
    `  aws:x:Thing (this):\n    error: 1 error occurred:\n    \t* creating urn:pulumi:prod::web::this: 1 error occurred:\n    \t* ${code}: ${message}`,
  (message, _, service) =>
    `web | UPDATE_FAILED | this | Resource handler returned message: "${message} (Service: ${service}, Status Code: 400, Request ID: 0d2b)" (RequestToken: 11, HandlerErrorCode: AccessDenied)`,
  (message, operation, service) =>
    `Error executing "${operation}" on "https://${service}.eu-west-1.amazonaws.com/"; AWS HTTP error: Client error: a \`400 Bad Request\` response:\n{"__type":"${code}","Message":"${message}"}`,
  message =>
    `Unhandled exception. Amazon.X.Model.${code}: ${message}\n ---> Amazon.Runtime.Internal.HttpErrorResponseException: was thrown.`,
  message => `/usr/lib/ruby/gems/client/errors.rb:17:in \`call': ${message} (Aws::X::Errors::${code})`,
  message =>
    `Error: unhandled error (${code})\n\nCaused by:\n    0: service error\n    1: Error { code: "${code}", message: "${message}", aws_request_id: "0d2b" }`,
  (message, operation) => `{\n  "eventName": "${operation}",\n  "errorCode": "AccessDenied",\n  "errorMessage": "${message}"\n}`,
  message => `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>${message}</Message></Error></ErrorResponse>`,
]

/** Each call and each wrapping several times, with other reasons and callers each time. */
export const services: readonly Row[] = Array.from({length: 3 * calls.length}, (_, index): Row => {
  const [action, resource] = calls[index % calls.length] as (typeof calls)[number]
  const principal = principals[index % principals.length] as string
  const [category, because] = reasons[(5 * index + Math.floor(index / 13)) % reasons.length] as (typeof reasons)[number]
  const wrap = wrappings[index % wrappings.length] as (typeof wrappings)[number]
  const [service = '', operation = ''] = action.split(':')
  const on = resource === undefined ? '' : ` on resource: ${resource}`
  return [
    wrap(`User: ${principal} is not authorized to perform: ${action}${on}${because(action)}`, operation, service),
    category,
    {principal, action, ...(resource === undefined ? {} : {resource})},
  ]
})
