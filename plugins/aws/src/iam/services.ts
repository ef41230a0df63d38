/**
 * Names of services in the AWS CLI, and how IAM calls them. Source: the Service Authorization Reference. What stands in neither list is
 * not guessed at.
 */

/** Those whose actions begin with another word. */
const otherPrefix: Record<string, string> = {
  accessanalyzer: 'access-analyzer',
  apigatewayv2: 'apigateway',
  appconfigdata: 'appconfig',
  'bedrock-agent': 'bedrock',
  'bedrock-agent-runtime': 'bedrock',
  'bedrock-runtime': 'bedrock',
  cloudhsmv2: 'cloudhsm',
  cloudsearchdomain: 'cloudsearch',
  configservice: 'config',
  deploy: 'codedeploy',
  docdb: 'rds',
  dynamodbstreams: 'dynamodb',
  efs: 'elasticfilesystem',
  elb: 'elasticloadbalancing',
  elbv2: 'elasticloadbalancing',
  emr: 'elasticmapreduce',
  'iot-data': 'iot',
  'iot-jobs-data': 'iotjobsdata',
  kinesisanalyticsv2: 'kinesisanalytics',
  'lex-models': 'lex',
  'lex-runtime': 'lex',
  location: 'geo',
  'marketplace-catalog': 'aws-marketplace',
  meteringmarketplace: 'aws-marketplace',
  mturk: 'mechanicalturk',
  neptune: 'rds',
  opensearch: 'es',
  opsworkscm: 'opsworks-cm',
  pinpoint: 'mobiletargeting',
  'pinpoint-email': 'ses',
  resourcegroupstaggingapi: 'tag',
  s3api: 's3',
  s3control: 's3',
  s3outposts: 's3-outposts',
  'sagemaker-runtime': 'sagemaker',
  'service-quotas': 'servicequotas',
  sesv2: 'ses',
  'sso-admin': 'sso',
  stepfunctions: 'states',
  'timestream-query': 'timestream',
  'timestream-write': 'timestream',
}

/** Those whose actions begin with the CLI's own word. */
const samePrefix = new Set(
  `account acm acm-pca amplify apigateway appconfig application-autoscaling appmesh apprunner appstream appsync athena auditmanager
  autoscaling autoscaling-plans backup batch bedrock braket budgets ce chatbot cloud9 cloudcontrol cloudformation cloudfront cloudhsm
  cloudsearch cloudtrail cloudwatch codeartifact codebuild codecommit codeguru-profiler codeguru-reviewer codepipeline
  codestar-connections cognito-identity cognito-idp cognito-sync comprehend compute-optimizer connect cur databrew datasync dax detective
  devicefarm devops-guru directconnect discovery dlm dms ds dynamodb ebs ec2 ec2-instance-connect ecr ecr-public ecs eks elasticache
  elasticbeanstalk elastictranscoder es events evidently firehose fis fms forecast frauddetector fsx gamelift glacier globalaccelerator
  glue grafana greengrass groundstation guardduty health iam identitystore imagebuilder inspector2 iot iotevents iotsitewise ivs kafka
  kendra kinesis kinesisanalytics kms lakeformation lambda license-manager lightsail logs macie2 managedblockchain mediaconvert medialive
  mediapackage mediastore memorydb mgn mq neptune-db network-firewall networkmanager organizations outposts pi pipes polly pricing qldb
  quicksight ram rds rds-data redshift redshift-data redshift-serverless rekognition resource-groups rolesanywhere route53 route53domains
  route53resolver rum s3 sagemaker savingsplans scheduler schemas sdb secretsmanager securityhub serverlessrepo servicecatalog
  servicediscovery ses shield signer sns snowball sqs ssm ssm-incidents states storagegateway sts support swf synthetics textract
  transcribe transfer translate waf waf-regional wafv2 wellarchitected workmail workspaces xray`.split(/\s+/),
)

/** How IAM calls a service of the CLI. Undefined: not known. */
export function iamPrefix(service: string): string | undefined {
  if (Object.hasOwn(otherPrefix, service)) return otherPrefix[service]
  return samePrefix.has(service) ? service : undefined
}
