/** The accounts and roles that a portal offers: listed once in a while, kept, and read from there. */
import {hash} from 'node:crypto'
import {join} from 'node:path'
import {places, readPrivate, writePrivate} from '@prod/sdk/cli/places'
import {ProdError} from '@prod/sdk/errors'
import type {AwsConfig} from '../config/files.ts'
import {awsPaths} from '../config/paths.ts'
import {type Portal, type Source, sessionPortal} from '../config/profile.ts'
import {callPortal, Refused} from './call.ts'
import {signIn} from './login.ts'
import {readToken} from './token.ts'

/** One account of a portal. `asked`: its roles are of the listing that is under way; else they are as they were before. */
interface Account {
  id: string
  name: string
  roles: string[]
  asked: boolean
}

/** A portal as last seen. */
interface Listing {
  version: 1
  startUrl: string
  /** ISO 8601; null while a listing is under way or was broken off */
  completedAt: string | null
  accounts: Account[]
}

/** A role of a listing, as `prod assume` takes it: `SESSION/ACCOUNT/ROLE`. */
export interface ListedRole {
  name: string
  session: string
  account: string
  accountName: string
  role: string
}

const fileOf = (session: string): string => join(places().cache, 'aws', `portal-${hash('sha256', session).slice(0, 16)}.json`)

function readListing(session: string, startUrl: string): Listing | undefined {
  try {
    const listing = JSON.parse(readPrivate(fileOf(session)) ?? '') as Listing
    return listing.version === 1 && listing.startUrl === startUrl ? listing : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** All that the sessions of the configuration are known to offer. No network. */
export function listedRoles(config: AwsConfig): ListedRole[] {
  return [...config.sessions].flatMap(([session, settings]) => {
    const accounts = readListing(session, settings.get('sso_start_url') ?? '')?.accounts ?? []
    const twice = new Set(accounts.map(({name}) => name).filter((name, at, all) => all.indexOf(name) !== at))
    return accounts.flatMap(({id, name, roles}) => {
      const called = name === '' || twice.has(name) ? id : name.replaceAll('/', '-')
      return roles.map(role => ({name: `${session}/${called}/${role}`, session, account: id, accountName: name, role}))
    })
  })
}

/** A listed role by its name; the account may be its number. Undefined where there is none. Throws CONFIG_INVALID. */
export function findListed(config: AwsConfig, name: string): (Source & {kind: 'portal'}) | undefined {
  const at = name.indexOf('/')
  const session = [...config.sessions.keys()].find(key => name.startsWith(`${key}/`))
  if (at < 0 || session === undefined) return undefined
  const found = listedRoles(config).find(role => role.name === name || `${role.session}/${role.account}/${role.role}` === name)
  return found && {kind: 'portal', portal: sessionPortal(config, found.session), account: found.account, role: found.role}
}

/** At most so many calls a second, in bursts of so many. */
const [perSecond, burst] = [10, 10]

/** How fast a listing may go, for tests. */
export interface Pace {
  perSecond: number
  burst: number
  pauseMs?: number
}

/**
 * Lists the accounts and roles of a portal, after a login where one is needed. What was listed is kept as it comes: broken off, the
 * next one goes on from there. Throws NOT_LOGGED_IN, LOGIN_FAILED, TARGET_UNREACHABLE.
 */
export async function refreshListing(portal: Portal, progress: (text: string) => void, pace: Pace = {perSecond, burst}): Promise<void> {
  const before = readListing(portal.name, portal.startUrl)
  const turn = bucket(pace)
  const call = async <T>(path: string): Promise<T> => {
    await turn()
    return withToken(portal, token =>
      callPortal<T>(`${portal.portalEndpoint}${path}`, {token, ...(pace.pauseMs ? {pauseMs: pace.pauseMs} : {})}),
    )
  }
  const known = new Map(before?.accounts.map(account => [account.id, account]))
  const accounts: Account[] = []
  for await (const {accountId, accountName = ''} of pages<{accountId: string; accountName?: string}>(
    call,
    '/assignment/accounts?',
    'accountList',
  )) {
    const {roles = [], asked = false} = known.get(accountId) ?? {}
    accounts.push({id: accountId, name: accountName, roles, asked: asked && before?.completedAt === null})
    progress(`${portal.name}: ${accounts.length} accounts`)
  }
  const save = (completedAt: string | null): void => {
    const listing: Listing = {version: 1, startUrl: portal.startUrl, completedAt, accounts}
    writePrivate(fileOf(portal.name), JSON.stringify(listing))
  }
  let done = accounts.filter(({asked}) => asked).length
  try {
    for (const account of accounts) {
      if (account.asked) continue
      const roles: string[] = []
      for await (const {roleName} of pages<{roleName: string}>(call, `/assignment/roles?account_id=${account.id}&`, 'roleList'))
        roles.push(roleName)
      Object.assign(account, {roles: roles.sort(), asked: true})
      done += 1
      progress(`${portal.name}: roles of ${done} of ${accounts.length} accounts`)
      if (done % 20 === 0) save(null)
    }
  } catch (error) {
    save(null)
    throw error
  }
  save(new Date().toISOString())
}

async function* pages<T>(call: <P>(path: string) => Promise<P>, path: string, list: string): AsyncGenerator<T> {
  let next: string | undefined
  do {
    const more = next === undefined ? '' : `&next_token=${encodeURIComponent(next)}`
    const page = await call<Record<string, unknown>>(`${path}max_result=100${more}`)
    yield* (page[list] ?? []) as T[]
    next = typeof page.nextToken === 'string' && page.nextToken !== '' ? page.nextToken : undefined
  } while (next !== undefined)
}

/** A call with the token; where the portal no longer takes it, one login, and again. */
async function withToken<T>(portal: Portal, call: (token: string) => Promise<T>): Promise<T> {
  const read = (): string => readToken(awsPaths(process.env).tokens, portal)?.accessToken ?? ''
  await signIn(portal, false)
  try {
    return await call(read())
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    if (error.status !== 401)
      throw new ProdError('DENIED', `IAM Identity Center ${portal.name} refuses: ${error.kind}`, 'ask who runs it', {cause: error})
    await signIn(portal, true)
    return await call(read())
  }
}

/** A token bucket: resolves when the next call may be made. */
function bucket({perSecond, burst}: Pace): () => Promise<void> {
  let tokens = burst
  let at = performance.now()
  return async () => {
    const now = performance.now()
    tokens = Math.min(burst, tokens + ((now - at) / 1000) * perSecond)
    at = now
    tokens -= 1
    if (tokens < 0) await new Promise(resolve => setTimeout(resolve, (-tokens / perSecond) * 1000))
  }
}
