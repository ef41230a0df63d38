/** The environment of a child. Pure, and light: the fast path loads it. */
import type {ChildSettings, ProcessCredentials} from '../credentials/kept.ts'

/** What AWS tools would take before what we give, or of another role. */
const others = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_SECURITY_TOKEN',
  'AWS_CREDENTIAL_EXPIRATION',
  'AWS_PROFILE',
  'AWS_DEFAULT_PROFILE',
  'AWS_ROLE_ARN',
  'AWS_ROLE_SESSION_NAME',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
]

/** How the child comes to its credentials. */
export type Way = {url: string; token: string} | {credentials: ProcessCredentials}

/** The caller's environment with this role's credentials and no other's. `PROD_ASSUMED` names the role. */
export function childEnvironment(
  env: NodeJS.ProcessEnv,
  name: string,
  {region, configFile, hidesCredentials}: ChildSettings,
  way: Way,
): NodeJS.ProcessEnv {
  const child: NodeJS.ProcessEnv = {...env, PROD_ASSUMED: name}
  for (const other of others) delete child[other]
  const ownRegion = region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION
  if (ownRegion !== undefined) Object.assign(child, {AWS_REGION: ownRegion, AWS_DEFAULT_REGION: ownRegion})
  if ('url' in way) {
    child.AWS_CONTAINER_CREDENTIALS_FULL_URI = way.url
    child.AWS_CONTAINER_AUTHORIZATION_TOKEN = way.token
    // the instance's own role is not asked where ours fails
    child.AWS_EC2_METADATA_DISABLED = 'true'
  } else {
    const {AccessKeyId, SecretAccessKey, SessionToken, Expiration} = way.credentials
    Object.assign(child, {AWS_ACCESS_KEY_ID: AccessKeyId, AWS_SECRET_ACCESS_KEY: SecretAccessKey})
    if (SessionToken !== undefined) child.AWS_SESSION_TOKEN = SessionToken
    if (Expiration !== undefined) child.AWS_CREDENTIAL_EXPIRATION = Expiration
  }
  if (hidesCredentials) {
    // where the files were, for a prod inside
    const {PROD_AWS_CONFIG_FILE = env.AWS_CONFIG_FILE, PROD_AWS_CREDENTIALS_FILE = env.AWS_SHARED_CREDENTIALS_FILE} = env
    child.PROD_AWS_CONFIG_FILE = PROD_AWS_CONFIG_FILE || '~/.aws/config'
    child.PROD_AWS_CREDENTIALS_FILE = PROD_AWS_CREDENTIALS_FILE || '~/.aws/credentials'
    child.AWS_CONFIG_FILE = configFile ?? '/dev/null'
    child.AWS_SHARED_CREDENTIALS_FILE = '/dev/null'
  }
  return child
}
