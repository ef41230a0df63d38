/** Logins: one record for each, the family of its tokens, the key it is bound to, and the groups as the provider last said. */
import {createHmac, timingSafeEqual} from 'node:crypto'
import type {Principal} from '@prod/sdk'
import {canonical} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import {isGenuine, type Membership} from '../grants/membership.ts'
import type {Parts} from '../parts.ts'
import type {AuditEvent, Expect, Put, Stored} from '../stores/store.ts'
import {seal, unseal} from './seal.ts'

export const loginSeconds = 12 * 60 * 60
const groupsMaxAgeMs = 5 * 60_000
const groupsClaimMs = 15_000
const groupsRetryMs = 5_000

/** Record kind `login`, indexed by owner `iss#sub`, state `active` or `ended`, and its end. */
export interface LoginRecord {
  id: string
  principal: Principal
  /** names the provider gave at {@link groupsReadAt}; empty where it could not be asked (TM-G3) */
  groups: string[]
  groupsReadAt: string
  /** a broker is asking the provider until then; others wait, for its token may be good for one use */
  groupsClaimedUntil: string | null
  /** not asked again before: the provider failed */
  groupsRetryAt: string | null
  /** the login key: P-256 */
  jwk: {kty: 'EC'; crv: 'P-256'; x: string; y: string}
  thumbprint: string
  /** of the nonce that binds the key */
  salt: string
  /** the key's certificate */
  idToken: string
  /** the provider's refresh token, sealed */
  providerToken: string | null
  current: {hash: string; at: string}
  /** the token before, and its successor sealed: what the same key gets again within the grace */
  previous: {hash: string; at: string; successor: string} | null
  revokedAt: string | null
  createdAt: string
  /** when the person proved to the provider who they are */
  authenticatedAt: string
  lastUsedAt: string
  expiresAt: string
  /** HMAC-SHA-256 over the rest by the broker's key: who writes into the store alone gives nobody a group, a key or more time (TM-P4) */
  seal?: string
}

/** The login of this id, ended ones too; undefined where there is none that a broker wrote. */
export async function findLogin(parts: Parts, id: string): Promise<LoginRecord | undefined> {
  return (await storedLogin(parts, id))?.value
}

/** As {@link findLogin}, with the record's version. */
export async function storedLogin({store, keys, alarm}: Parts, id: string): Promise<Stored<LoginRecord> | undefined> {
  const stored = await store.find<LoginRecord>('login', id)
  if (!stored || isGenuineLogin(keys.seal, id, stored.value)) return stored
  alarm('a login in the store is not as a broker wrote it', {login: id})
  return undefined
}

function isGenuineLogin(key: Uint8Array, id: string, login: LoginRecord): boolean {
  const [given, right] = [Buffer.from(String(login.seal), 'hex'), Buffer.from(sealOf(key, login), 'hex')]
  return login.id === id && given.length === right.length && timingSafeEqual(given, right)
}

function sealOf(key: Uint8Array, {seal: _, ...open}: LoginRecord): string {
  return createHmac('sha256', key)
    .update(`login ${canonical(open)}`)
    .digest('hex')
}

/** How the record is written. */
export function putLogin({keys}: Pick<Parts, 'keys'>, login: LoginRecord, version: number): Put {
  const {iss, sub} = login.principal
  const state = login.revokedAt === null ? 'active' : 'ended'
  return {
    kind: 'login',
    id: login.id,
    version,
    value: {...login, seal: sealOf(keys.seal, login)},
    index: {owner: `${iss}#${sub}`, state, dueAt: login.expiresAt},
  }
}

/** Who acts, in the log: the person id, or `iss#sub` where it is unknown. */
export function actorOf({iss, sub, person}: Principal): string {
  return person === '' ? `${iss}#${sub}` : person
}

/** Throws LOGIN_EXPIRED where a login has ended. */
export function refuseEnded({store}: Parts, login: LoginRecord | undefined): asserts login is LoginRecord {
  if (!login || login.revokedAt !== null || login.expiresAt <= store.now().toISOString())
    throw new ProdError('LOGIN_EXPIRED', 'this login has ended', 'prod login')
}

/**
 * Changes a login as it is now, with what tells of it; repeated where somebody was faster. `change` gives nothing where nothing is left to do.
 */
export async function changeLogin(
  parts: Parts,
  id: string,
  change: (login: LoginRecord) => {login: LoginRecord; events: AuditEvent[]} | undefined,
): Promise<LoginRecord | undefined> {
  for (;;) {
    const stored = await storedLogin(parts, id)
    const changed = stored && change(stored.value)
    if (!stored || !changed) return stored?.value
    const saved = await parts.store.commit({put: [putLogin(parts, changed.login, stored.version)], events: changed.events})
    if (saved.ok) return changed.login
  }
}

/** Ends a login, at once and everywhere (TM-Q7): every call reads the record. Ending twice is fine. */
export async function endLogin(parts: Parts, id: string, event: Omit<AuditEvent, 'subject'>): Promise<boolean> {
  let ended = false
  await changeLogin(parts, id, login => {
    ended = login.revokedAt === null
    if (!ended) return undefined
    const revoked: LoginRecord = {...login, revokedAt: parts.store.now().toISOString(), previous: null}
    return {login: revoked, events: [{...event, subject: id}]}
  })
  return ended
}

/** `gone`: the provider says the person may no longer log in; `unread`: it could not be asked. Both mean no groups. */
export interface GroupsRead {
  groups: string[]
  fault: 'none' | 'gone' | 'unread'
}

/** The groups that count now. */
export async function groupsOf(parts: Parts, login: LoginRecord): Promise<string[]> {
  const [{groups}, granted] = await Promise.all([readGroups(parts, login), grantedGroups(parts, login)])
  return [...new Set([...groups, ...granted.groups])]
}

/**
 * Groups of active grants: `membership` records of the person that are not past their end, and the records that say so.
 * One that this broker's key did not write counts for nothing (TM-P4).
 */
export async function grantedGroups(parts: Parts, {principal}: LoginRecord): Promise<{groups: string[]; memberships: Expect[]}> {
  const {store, keys} = parts
  const now = store.now().toISOString()
  const owner = actorOf(principal)
  const held = await store.list<Membership>({kind: 'membership', owner})
  const counting = held.filter(({id, value}) => {
    if (value.person === owner && isGenuine(keys.seal, id, value)) return value.expiresAt > now
    parts.alarm('a group membership in the store is not one that a broker wrote', {grant: id})
    return false
  })
  return {groups: counting.map(({value}) => value.group), memberships: counting.map(({id, version}) => ({kind: 'membership', id, version}))}
}

const underWay = new WeakMap<Parts['store'], Map<string, Promise<GroupsRead>>>()

/** The provider's groups, asked again where what is known is too old. One question at a time for each login, over all brokers. */
export function readGroups(parts: Parts, login: LoginRecord): Promise<GroupsRead> {
  const known = freshGroups(parts, login)
  if (known) return Promise.resolve(known)
  const flights = underWay.get(parts.store) ?? new Map<string, Promise<GroupsRead>>()
  underWay.set(parts.store, flights)
  const flight = flights.get(login.id) ?? ask(parts, login.id).finally(() => flights.delete(login.id))
  flights.set(login.id, flight)
  return flight
}

function freshGroups({store}: Parts, login: LoginRecord): GroupsRead | undefined {
  const now = store.now().getTime()
  if (now - Date.parse(login.groupsReadAt) < groupsMaxAgeMs) return {groups: login.groups, fault: 'none'}
  if (login.providerToken === null) return {groups: [], fault: 'unread'}
  if (login.groupsRetryAt !== null && Date.parse(login.groupsRetryAt) > now) return {groups: [], fault: 'unread'}
  return undefined
}

async function ask(parts: Parts, id: string): Promise<GroupsRead> {
  const {store, keys, identity} = parts
  for (;;) {
    const login = await findLogin(parts, id)
    if (!login) return {groups: [], fault: 'gone'}
    const known = freshGroups(parts, login)
    if (known) return known
    const now = store.now()
    if (login.groupsClaimedUntil !== null && Date.parse(login.groupsClaimedUntil) > now.getTime()) {
      await changed(parts, id, Date.parse(login.groupsClaimedUntil) - now.getTime())
      continue
    }
    const claim = new Date(now.getTime() + groupsClaimMs).toISOString()
    let mine = false
    await changeLogin(parts, id, found => {
      mine = found.groupsClaimedUntil === login.groupsClaimedUntil && found.providerToken === login.providerToken
      return mine ? {login: {...found, groupsClaimedUntil: claim}, events: []} : undefined
    })
    if (!mine) continue
    try {
      const read = await identity.groups(unseal(keys.seal, `${id}/provider`, login.providerToken as string))
      const {groups} = read
      await changeLogin(parts, id, found => ({
        login: {
          ...found,
          groups,
          groupsReadAt: now.toISOString(),
          groupsClaimedUntil: null,
          groupsRetryAt: null,
          providerToken: seal(keys.seal, `${id}/provider`, read.providerToken),
        },
        events: sameSet(found.groups, groups)
          ? []
          : [{type: 'login.groups-changed', by: 'broker', subject: id, data: {groups}, personal: {name: found.principal.name}}],
      }))
      return {groups, fault: 'none'}
    } catch (error) {
      if (error instanceof ProdError && error.code === 'STORE_UNAVAILABLE') throw error
      const gone = error instanceof ProdError && error.code === 'LOGIN_EXPIRED'
      await settleFailure(parts, id, gone)
      return {groups: [], fault: gone ? 'gone' : 'unread'}
    }
  }
}

/** Why a login ended, in the log, whose person the provider no longer lets in. */
export const refusedByProvider = 'the identity provider refuses this person'

/** Nothing is known of the groups: none count, and the provider is left alone for a moment. Who is gone there is gone here. */
async function settleFailure(parts: Parts, id: string, gone: boolean): Promise<void> {
  const now = parts.store.now()
  await changeLogin(parts, id, found => {
    const login = {...found, groups: [], groupsClaimedUntil: null, groupsRetryAt: new Date(now.getTime() + groupsRetryMs).toISOString()}
    if (!gone) return {login, events: []}
    const ended = {...login, providerToken: null, revokedAt: found.revokedAt ?? now.toISOString()}
    return {
      login: ended,
      events:
        found.revokedAt === null
          ? [{type: 'login.ended', by: 'broker', subject: id, data: {why: refusedByProvider}, personal: {name: found.principal.name}}]
          : [],
    }
  })
  parts.alarm(gone ? 'a login was ended by the identity provider' : 'groups cannot be read from the identity provider', {login: id})
}

/** Until this login's record changes, or time is up. */
function changed({store}: Parts, id: string, waitMs: number): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      clearTimeout(timer)
      stop()
      resolve()
    }
    const timer = setTimeout(done, waitMs)
    const stop = store.subscribe(records => {
      if (records.some(one => one.kind === 'login' && one.id === id)) done()
    })
  })
}

function sameSet(left: string[], right: string[]): boolean {
  return left.length === right.length && left.every(one => right.includes(one))
}
