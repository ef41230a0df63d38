/** Credentials of a grant, minted by the broker for this login and kept by nobody: asked for again ahead of their end. */
import {basename} from 'node:path'
import {setTimeout as wait} from 'node:timers/promises'
import type {Grant} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {neverWrite} from '@prod/sdk/cli/output'
import type {BrokerClient} from '@prod/sdk/client'
import {ProdError} from '@prod/sdk/errors'
import {childSettings} from '../child/settings.ts'
import {type AwsConfig, readAwsConfig} from '../config/files.ts'
import {type Portal, sessionPortal} from '../config/profile.ts'
import {askCode} from '../credentials/ask-code.ts'
import {lifeLeft, type ProcessCredentials} from '../credentials/kept.ts'
import {type Obtained, openKept} from '../credentials/obtain.ts'
import {findListed} from '../identity-center/listed.ts'
import {signIn} from '../identity-center/login.ts'

/** Whether this machine has a role of this name: then no broker is asked. */
export function isLocal(name: string, config: AwsConfig = readAwsConfig()): boolean {
  return config.profiles.has(name) || findListed(config, name) !== undefined
}

/** What a local program gets of a grant. `tool`: its first word, for the log. Throws USAGE, and what {@link brokerCredentials} throws. */
export async function obtainGranted(
  client: Pick<BrokerClient, 'call'>,
  grant: Pick<Grant, 'id' | 'role'>,
  {tool, remaining, mayLogIn = true}: {tool?: string; remaining?: number; mayLogIn?: boolean} = {},
): Promise<Obtained> {
  const {credentials, region} = await brokerCredentials(client, grant, {mayLogIn, ...(tool === undefined ? {} : {tool})})
  const left = lifeLeft(credentials, Date.now())
  if (remaining !== undefined && left < remaining) {
    const minutes = Math.floor(left / 60_000)
    throw new ProdError(
      'USAGE',
      `credentials of ${grant.role} live for ${minutes} minutes; they are renewed while the grant lives`,
      'leave out --min-remaining',
    )
  }
  const chain = {name: grant.role, source: {kind: 'other', profile: grant.role, how: 'credential_source'}, steps: [], region} as const
  return {name: grant.role, credentials, child: childSettings(readAwsConfig(), {...chain, steps: []})}
}

/**
 * A credential of the caller's grant. Of IAM Identity Center the broker gives none: it has assigned the role, and the person's own
 * token fetches it. Throws REVOKED, DENIED, FROZEN, APPROVAL_VOID and what a call throws.
 */
export async function brokerCredentials(
  client: Pick<BrokerClient, 'call'>,
  {id}: Pick<Grant, 'id'>,
  {tool, mayLogIn = true, settling = usually}: {tool?: string; mayLogIn?: boolean; settling?: Settling} = {},
): Promise<{credentials: ProcessCredentials; region: string | undefined}> {
  const word = basename(tool ?? '').slice(0, 63)
  const {credential, expiresAt} = await client.call(api.grantCredentials, {
    id,
    ...(/^[A-Za-z0-9][A-Za-z0-9._+-]*$/.test(word) ? {tool: word} : {}),
  })
  const {AccessKeyId, SecretAccessKey, SessionToken, Expiration = expiresAt, Region: region} = credential
  if (credential.StartUrl !== undefined) return {credentials: await fromPortal(credential, expiresAt, {mayLogIn, settling}), region}
  if (!AccessKeyId || !SecretAccessKey || !SessionToken)
    throw new ProdError('USAGE', `grant ${id} gives no AWS credentials`, 'prod grant ls')
  neverWrite(SecretAccessKey)
  neverWrite(SessionToken)
  return {credentials: {Version: 1, AccessKeyId, SecretAccessKey, SessionToken, Expiration}, region}
}

/** The portal may know of an assignment later than AWS says that it is made: so often it is asked again where it refuses. */
interface Settling {
  times: number
  pauseMs: number
}
const usually: Settling = {times: 8, pauseMs: 1000}

/** By the person's own login. The start URL is one of the configuration's: what a broker names alone is never opened (TM-Q6). */
async function fromPortal(
  {StartUrl, Account = '', Role = ''}: Record<string, string>,
  grantEnd: string,
  {mayLogIn, settling}: {mayLogIn: boolean; settling: Settling},
): Promise<ProcessCredentials> {
  const config = readAwsConfig()
  const plain = (url: string | undefined): string => (url ?? '').replace(/\/+(#\/?)?$/, '')
  const [session] = [...config.sessions].find(([, settings]) => plain(settings.get('sso_start_url')) === plain(StartUrl)) ?? []
  if (session === undefined)
    throw new ProdError('CONFIG_INVALID', `no [sso-session] of ~/.aws/config has the start URL ${StartUrl}`, 'aws configure sso-session')
  const {fetchCredentials} = await import('../credentials/resolve.ts')
  const source = {kind: 'portal', portal: sessionPortal(config, session), account: Account, role: Role} as const
  const chain = {name: Role, source, steps: [], region: undefined}
  const helpers = {
    signIn: (portal: Portal, refused: boolean) => signIn(portal, refused, mayLogIn),
    askCode,
    store: openKept(),
    since: 0,
  }
  const fetchSettled = async (left: number): Promise<ProcessCredentials> => {
    try {
      return await fetchCredentials(chain, config.paths, helpers)
    } catch (error) {
      if (left === 0 || !(error instanceof ProdError) || error.code !== 'DENIED') throw error
      await wait(settling.pauseMs)
      return fetchSettled(left - 1)
    }
  }
  const credentials = await fetchSettled(settling.times)
  // asked for again when the grant is over: then the broker says so
  const end = Math.min(Date.parse(grantEnd), Date.parse(credentials.Expiration ?? grantEnd))
  return {...credentials, Expiration: new Date(end).toISOString()}
}
