/**
 * Words of a refusal that no technology owns, beside the words of one: what a text is about decides which kind of refusal it is. Weaker than
 * any known form, stronger than the bare words.
 */
import type {Category, Explainer, Rule} from '@prod/sdk/explainer'

const denied = [
  'access {few:few}denied',
  'permission {few:few}denied',
  'permissions {few:few}denied',
  'access is forbidden',
  'forbidden',
  'not {few:few}authorized',
  'not {few:few}permitted',
  'insufficient {few:few}{permissions|permission|privileges|privilege|access}',
  '{missing|lacks|lacking|lack|without} {few:few}{permissions|permission|privileges|privilege}',
  '{no|not have|not have sufficient|not have the} {few:few}{permissions|permission|privileges|privilege}',
]
const unknown = [
  '{401|unauthorized|unauthenticated}',
  'authenticat{ion|e|ing} {few:few}{failed|failure|refused|rejected|error|denied|required}',
  '{failed|unable|could not|cannot} {few:few}{authenticate|log in|login}',
  '{invalid|incorrect|wrong|bad|missing} {few:few}{credentials|credential|password|token|username}',
  '{credentials|credential|password|token} {few:few}{invalid|incorrect|not valid|expired|no longer valid|rejected|missing}',
  'login {few:few}{failed|refused|rejected|required}',
]
const ofAws = ['amazonaws', 'arn:aws', 'an error occurred (', 'aws error', 'sts:', 'sso', 's3://']

const rule = (category: Category, match: readonly string[], near: readonly string[], unless: readonly string[]): Rule => ({
  category,
  confidence: 0.625,
  match,
  near,
  unless: [...ofAws, ...unless],
  alone: true,
})

const kubernetes = [
  'kubectl',
  'kubelet',
  'kube-',
  'kubernetes',
  'kubeconfig',
  'apiserver',
  'k8s',
  'helm',
  'openshift',
  'rancher',
  'client-go',
]
const noCluster = [
  'registry',
  'pull image',
  'docker',
  'manifest',
  'vault',
  'google',
  'gcr.io',
  'pkg.dev',
  'postgres',
  'mysql',
  'mongo',
  'redis',
]
const google = [
  'googleapis',
  'google cloud',
  'google.api',
  'google.auth',
  'gcloud',
  'gserviceaccount',
  'firebase',
  'bigquery',
  'gs://',
  'google-github-actions',
]
const databases = [
  'postgres',
  'psql',
  'mysql',
  'mariadb',
  'mongo',
  'redis',
  'sqlalchemy',
  'jdbc',
  'sqlserver',
  'sql server',
  'oracle',
  'snowflake',
  'clickhouse',
  'cassandra',
  'pq:',
  'prisma',
]
const noDatabase = ['kubectl', 'git@', 'docker', 'http', 'ssh', 'gcloud', 'terraform']

/** Of equals the one that stands first in a text counts, as ever. */
export const contexts: Explainer = {
  id: 'contexts',
  rules: [
    rule('k8s_unauthenticated', unknown, kubernetes, noCluster),
    rule('gcp_iam', denied, google, ['has not been used', 'docker', 'publickey', 'no such file', 'errno 13', 'anonymous']),
    rule('gcp_unauthenticated', unknown, google, ['docker', 'publickey', 'permission_denied', '403']),
    rule('db_auth', [...denied, ...unknown], databases, noDatabase),
  ],
}
