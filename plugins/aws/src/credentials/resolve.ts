/** From a chain to credentials, through `@aws-sdk/credential-providers`. The SDK loads here and nowhere else. */
import {userInfo} from 'node:os'
import {neverWrite} from '@prod/sdk/cli/output'
import type {Settings} from '../config/files.ts'
import type {AwsPaths} from '../config/paths.ts'
import type {AssumeStep, Chain, Portal} from '../config/profile.ts'
import {awsFailure} from './failure.ts'
import type {ProcessCredentials} from './kept.ts'

/** As the SDK gives them. */
interface Identity {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
  expiration?: Date
}

/** Sees to it that the portal's token file holds a token that serves. Throws NOT_LOGGED_IN, LOGIN_EXPIRED. */
export type SignIn = (portal: Portal, refused: boolean) => Promise<void>

/** Asks for the code of an MFA device, by its serial number. */
export type AskCode = (serial: string) => Promise<string>

/** Fetches credentials anew. Throws DENIED, LOGIN_EXPIRED, LOGIN_FAILED, NOT_LOGGED_IN, CONFIG_INVALID, TARGET_UNREACHABLE, NO_TERMINAL. */
export async function fetchCredentials(chain: Chain, paths: AwsPaths, signIn: SignIn, askCode: AskCode): Promise<ProcessCredentials> {
  let identity: Identity
  try {
    identity = await fromSource(chain, paths, signIn, askCode)
    for (const step of chain.steps) {
      hide(identity)
      identity = await assume(step, identity, chain.region, askCode)
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
