/** From a chain to credentials, through `@aws-sdk/credential-providers`. The SDK loads here and nowhere else. */
import {userInfo} from 'node:os'
import {neverWrite} from '@prod/sdk/cli/output'
import type {SecretStore} from '@prod/sdk/cli/secret-store'
import type {Settings} from '../config/files.ts'
import type {AwsPaths} from '../config/paths.ts'
import type {AssumeStep, Chain, Portal} from '../config/profile.ts'
import {awsFailure} from './failure.ts'
import type {ProcessCredentials} from './kept.ts'
import {type AskCode, mfaKeys} from './mfa.ts'

/** As the SDK gives them. */
interface Identity {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
  expiration?: Date
}

/** Sees to it that the portal's token file holds a token that serves. Throws NOT_LOGGED_IN, LOGIN_EXPIRED. */
export type SignIn = (portal: Portal, refused: boolean) => Promise<void>

/** Who helps: a login, a code, and where a session that a code was typed for is kept; `since`: none that began earlier. */
export interface Helpers {
  signIn: SignIn
  askCode: AskCode
  store: SecretStore
  since: number
}

/** Fetches credentials anew. Throws DENIED, LOGIN_EXPIRED, LOGIN_FAILED, NOT_LOGGED_IN, CONFIG_INVALID, TARGET_UNREACHABLE, NO_TERMINAL. */
export async function fetchCredentials(chain: Chain, paths: AwsPaths, helpers: Helpers): Promise<ProcessCredentials> {
  const {signIn, askCode} = helpers
  let identity: Identity
  try {
    identity = await fromSource(chain, paths, signIn, askCode)
    for (const [index, step] of chain.steps.entries()) {
      hide(identity)
      // the device is of the user whose keys these are
      const guarded = index === 0 && chain.source.kind === 'keys' && step.mfaSerial !== undefined && identity.sessionToken === undefined
      identity = await (guarded ? assumeGuarded(step, identity, chain.region, helpers) : assume(step, identity, chain.region, askCode))
    }
  } catch (error) {
    throw awsFailure(error, chain)
  }
  hide(identity)
  return {
    Version: 1,
    AccessKeyId: identity.accessKeyId,
    SecretAccessKey: identity.secretAccessKey,
    ...(identity.sessionToken === undefined ? {} : {SessionToken: identity.sessionToken}),
    ...(identity.expiration === undefined ? {} : {Expiration: identity.expiration.toISOString()}),
  }
}

function hide({secretAccessKey, sessionToken}: Identity): void {
  neverWrite(secretAccessKey)
  if (sessionToken !== undefined) neverWrite(sessionToken)
}

async function fromSource({source, region}: Chain, paths: AwsPaths, signIn: SignIn, askCode: AskCode): Promise<Identity> {
  const {fromIni, fromSSO} = await import('@aws-sdk/credential-providers')
  if (source.kind === 'portal') {
    const {portal, account, role} = source
    const ask = fromSSO({
      // the SDK takes this only for the name of the token's file: with a session's name it reads that session's token, and
      // does not renew it, which we have done
      ssoStartUrl: portal.tokenKey,
      ssoAccountId: account,
      ssoRegion: portal.region,
      ssoRoleName: role,
      // said here, or it would take an address from the environment (TM-Q6)
      clientConfig: {endpoint: portal.portalEndpoint, region: portal.region, maxAttempts: 4},
    })
    await signIn(portal, false)
    try {
      return await ask()
    } catch (error) {
      if (!isRefusedToken(error)) throw error
      await signIn(portal, true)
      return await ask()
    }
  }
  if (source.kind === 'keys') return keysOf(source.settings)
  const {config: configFilepath, credentials: filepath} = paths
  return fromIni({
    profile: source.profile,
    filepath,
    configFilepath,
    ignoreCache: true,
    mfaCodeProvider: askCode,
    parentClientConfig: {region: regionOr(region)},
  })()
}

/** As they stand: a profile may have a role as well, which is assumed after. */
function keysOf(settings: Settings): Identity {
  const [accessKeyId = '', secretAccessKey = '', sessionToken] = ['aws_access_key_id', 'aws_secret_access_key', 'aws_session_token'].map(
    key => settings.get(key),
  )
  return {accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : {sessionToken})}
}

async function assume(step: AssumeStep, by: Identity, region: string | undefined, askCode: AskCode): Promise<Identity> {
  const {fromTemporaryCredentials} = await import('@aws-sdk/credential-providers')
  return fromTemporaryCredentials({
    masterCredentials: by,
    params: {
      RoleArn: step.roleArn,
      RoleSessionName: step.sessionName ?? sessionName(),
      ...(step.externalId === undefined ? {} : {ExternalId: step.externalId}),
      ...(step.durationSeconds === undefined ? {} : {DurationSeconds: step.durationSeconds}),
      ...(step.mfaSerial === undefined ? {} : {SerialNumber: step.mfaSerial}),
    },
    mfaCodeProvider: askCode,
    clientConfig: {region: step.region ?? regionOr(region)},
  })()
}

/** what a role may ask of the age of a code: a younger session was refused for another reason */
const youngMs = 60_000

/** With the session of an MFA code; where a kept one is refused, its code may be too old for the role: a new one is asked for, once. */
async function assumeGuarded(step: AssumeStep, by: Identity, region: string | undefined, helpers: Helpers): Promise<Identity> {
  const {mfaSerial: serial = '', ...open} = step
  const place = {serial, region: step.region ?? regionOr(region), ...helpers}
  const {keys, from} = await mfaKeys(by, place)
  try {
    return await assume({...open, mfaSerial: undefined}, keys, region, helpers.askCode)
  } catch (error) {
    if (!/AccessDenied|ExpiredToken|InvalidClientTokenId/.test((error as Error).name) || Date.now() - from < youngMs) throw error
    const {keys: fresh} = await mfaKeys(by, {...place, since: Date.now()})
    return assume({...open, mfaSerial: undefined}, fresh, region, helpers.askCode)
  }
}

function regionOr(region: string | undefined): string {
  return region ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? 'us-east-1'
}

/** Who it is, for CloudTrail. Source: `RoleSessionName` of AWS STS's AssumeRole, 2-64 of `\w+=,.@-`. */
function sessionName(): string {
  return `prod-${userInfo().username.replace(/[^\w+=,.@-]/g, '-')}`.slice(0, 64)
}

/** 401 of the portal: the token has ended there, whatever its file says. */
function isRefusedToken(error: unknown): boolean {
  const text = error instanceof Error ? `${error.name} ${error.message}` : ''
  return /UnauthorizedException|expired|invalid.*token|token.*(?:invalid|not found)/i.test(text)
}
