/** Asks a portal for its accounts and roles, once in a while, and keeps them. */
import {writePrivate} from '@prod/sdk/cli/places'
import {ProdError} from '@prod/sdk/errors'
import {awsPaths} from '../config/paths.ts'
import type {Portal} from '../config/profile.ts'
import {callPortal, Refused} from './call.ts'
import {type Account, type Listing, listingFile, readListing} from './listed.ts'
import {signIn} from './login.ts'
import {readToken} from './token.ts'

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
    writePrivate(listingFile(portal.name), JSON.stringify(listing))
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
