/**
 * Makes what providers hold agree with what the store says: confers what has begun, takes back what has ended, and sweeps
 * what no grant explains. Safe to run at any moment, as often as one likes, by any broker.
 */
import type {GrantProvider, ToolClass} from '@prod/sdk'
import {canonical} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import {refuseFrozen} from '../freeze/state.ts'
import type {Parts} from '../parts.ts'
import {putRequest} from '../requests/create.ts'
import type {RequestRecord} from '../requests/state.ts'
import {whyVoid} from '../requests/use.ts'
import {loudly} from '../sessions/breaking.ts'
import type {Put, Stored} from '../stores/store.ts'
import {endLeftConferrals, sweepConferrals, takeBackEnded} from './conferral.ts'
import type {ConferralRecord} from './conferral-record.ts'
import {knownOf} from './known.ts'
import {loudGrant} from './loud.ts'
import {type GrantRecord, isOver, putGrant} from './state.ts'

const retrySeconds = 30
const frozenSeconds = 2

/** One pass over the grants that are due. Failures are told and tried again at the next pass. */
export async function reconcileDue(parts: Parts): Promise<void> {
  await sweepConferrals(parts)
  const now = parts.store.now().toISOString()
  for (const stored of await parts.store.list<GrantRecord>({kind: 'grant', dueBefore: now, limit: 500})) {
    try {
      await mend(parts, stored)
    } catch (error) {
      parts.alarm('a grant could not be brought in line', {grant: stored.id, code: error instanceof ProdError ? error.code : 'INTERNAL'})
      await later(parts, stored.id)
    }
  }
}

/** A grant that cannot be mended now is tried again in a while, not at each pass. */
async function later(parts: Parts, id: string, seconds = retrySeconds): Promise<void> {
  const stored = await parts.store.find<GrantRecord>('grant', id)
  if (!stored) return
  const put = putGrant(stored.value, stored.version)
  const dueAt = new Date(parts.store.now().getTime() + seconds * 1000).toISOString()
  await parts.store.commit({put: [{...put, index: {...put.index, dueAt}}], events: []}).catch(() => {})
}

async function mend(parts: Parts, stored: Stored<GrantRecord>): Promise<void> {
  const grant = stored.value
  if (grant.state === 'approved') return beginGrant(parts, stored)
  if (grant.state === 'active') {
    await endGrant(parts, stored, 'expired', 'broker', undefined)
    return
  }
  if (grant.conferred) await takeBack(parts, stored.id)
}

/** Confers a grant whose time has come. Of several who do so one does it. */
export async function beginGrant(parts: Parts, stored: Stored<GrantRecord>): Promise<void> {
  const grant = stored.value
  const now = parts.store.now().toISOString()
  if (grant.expiresAt <= now) {
    await endGrant(parts, stored, 'expired', 'broker', undefined)
    return
  }
  const hindrance = await whyNotNow(parts, grant)
  if (hindrance !== undefined) {
    await endGrant(parts, stored, 'revoked', 'broker', hindrance)
    return
  }
  // while production is frozen it waits, and its time runs
  const frozen = await refuseFrozen(parts, classOf(parts, grant), grant.breakGlass).catch((error: unknown) => {
    if (error instanceof ProdError && error.code === 'FROZEN') return null
    throw error
  })
  if (frozen === null) return later(parts, grant.id, frozenSeconds)
  // First said, then done: a broker that dies in between finds the grant marked and can take back or confer again.
  const marked = await parts.store.commit({
    expect: frozen.expect,
    put: [putGrant({...grant, conferred: true, began: true}, stored.version)],
    events: [],
  })
  if (!marked.ok) return
  const {provider, role} = providerOf(parts, grant)
  await provider.confer(grant, role)
  const current = await parts.store.find<GrantRecord>('grant', grant.id)
  if (current?.value.state !== 'approved') {
    // it ended while it was being conferred
    if (current && isOver(current.value)) await provider.revoke(grant, role, () => knownOf(parts, provider))
    return
  }
  await parts.store.commit({
    put: [putGrant({...current.value, state: 'active', conferred: true}, current.version)],
    events: [
      {
        type: 'grant.activated',
        by: 'broker',
        subject: grant.id,
        data: {role: grant.role, provider: grant.provider, request: grant.request, expiresAt: grant.expiresAt},
        personal: {name: grant.principal.name, person: grant.principal.person},
      },
    ],
  })
}

function classOf(parts: Pick<Parts, 'bundle'>, {role}: GrantRecord): ToolClass {
  return parts.bundle().catalog.roles.get(role)?.class ?? 'change'
}

/** Who confers a grant, and its role as they read it. Throws ROLE_NOT_FOUND, CATALOG_INVALID. */
export function providerOf(parts: Parts, grant: GrantRecord): {provider: GrantProvider; role: unknown} {
  const provider = parts.grantProviders.get(grant.provider)
  if (!provider) throw new ProdError('ROLE_NOT_FOUND', `no plugin of this broker provides ${grant.provider}`, 'prod roles')
  return {provider, role: provider.parse(grant.parameters)}
}

/**
 * Why a grant whose time has come does not begin, or gives no credential: its request is checked as whoever starts a run checks it
 * (TM-W2, W7, W8, P4). `login`: whose groups count, where it is not the one that asked.
 */
export async function whyNotNow(parts: Parts, grant: GrantRecord, login?: string): Promise<string | undefined> {
  const stored = await parts.store.find<RequestRecord>('request', grant.request)
  const request = stored?.value
  const same =
    request?.draft.kind === 'role' &&
    request.result === grant.id &&
    request.draft.role === grant.role &&
    request.breakGlass === (grant.breakGlass === true) &&
    request.draft.durationSeconds === grant.durationSeconds &&
    request.principal.iss === grant.principal.iss &&
    request.principal.sub === grant.principal.sub &&
    canonical(parts.bundle().catalog.roles.get(grant.role)?.parameters ?? null) === canonical(grant.parameters) &&
    Date.parse(grant.expiresAt) - Date.parse(grant.startsAt) <= grant.durationSeconds * 1000
  if (!request || !same) {
    parts.alarm('a grant in the store does not fit its request', {grant: grant.id})
    return 'it does not fit its request'
  }
  return whyVoid(parts, login === undefined ? request : {...request, login})
}

/** Ends a grant in the store; what the provider holds is taken back right after. False: somebody else ended it first. */
export async function endGrant(
  parts: Parts,
  stored: Stored<GrantRecord>,
  state: 'expired' | 'revoked' | 'handed-back',
  by: string,
  note: string | undefined,
  correlation?: string,
): Promise<boolean> {
  const grant = stored.value
  const now = parts.store.now().toISOString()
  const put: Put[] = [putGrant({...grant, state, endedAt: now}, stored.version)]
  const request = await parts.store.find<RequestRecord>('request', grant.request)
  if (request && request.value.state !== 'done') put.push(putRequest({...request.value, state: 'done'}, request.version))
  const saved = await parts.store.commit({
    put,
    events: [
      {
        type: `grant.${state}`,
        by,
        subject: grant.id,
        ...(correlation === undefined ? {} : {correlation}),
        data: {
          role: grant.role,
          request: grant.request,
          startsAt: grant.startsAt,
          expiresAt: grant.expiresAt,
          active: grant.state === 'active',
        },
        personal: {name: grant.principal.name, person: grant.principal.person, ...(note === undefined ? {} : {note})},
      },
    ],
    notices:
      grant.breakGlass && request ? [loudly(parts, loudGrant(grant, request.value.draft, classOf(parts, grant)), 'break-glass.ended')] : [],
  })
  if (!saved.ok) return false
  if (grant.conferred) await takeBack(parts, grant.id)
  return true
}

/** Asks the provider to take back, then notes that it has. Overlapping grants of one role keep their own rights. */
async function takeBack(parts: Parts, id: string): Promise<void> {
  const stored = await parts.store.find<GrantRecord>('grant', id)
  if (!stored || !isOver(stored.value) || !stored.value.conferred) return
  const {provider, role} = providerOf(parts, stored.value)
  await provider.revoke(stored.value, role, () => knownOf(parts, provider))
  await parts.store.commit({put: [putGrant({...stored.value, conferred: false}, stored.version)], events: []})
}

/** Compares what each provider holds with what the store says, both ways. Run at start and every few minutes. */
export async function reconcileAll(parts: Parts): Promise<void> {
  await endLeftConferrals(parts)
  const active = new Map((await parts.store.list<GrantRecord>({kind: 'grant', state: 'active'})).map(one => [one.id, one]))
  for (const [name, provider] of parts.grantProviders) {
    try {
      await reconcileProvider(parts, name, provider, active)
    } catch (error) {
      // the others are looked at all the same, and the broker starts
      parts.alarm('what a provider holds could not be compared', {
        provider: name,
        code: error instanceof ProdError ? error.code : 'INTERNAL',
      })
    }
  }
}

/** Whether it is the right of a single use; one that is over is taken back again. */
async function isOfUse(parts: Parts, id: string, provider: string): Promise<boolean> {
  const stored = await parts.store.find<ConferralRecord>('conferral', id)
  if (stored?.value.state !== 'ended') return stored !== undefined
  parts.alarm('a right without a use was found and taken back', {use: id, provider})
  await takeBackEnded(parts, stored)
  return true
}

async function reconcileProvider(
  parts: Parts,
  name: string,
  provider: GrantProvider,
  active: ReadonlyMap<string, Stored<GrantRecord>>,
): Promise<void> {
  const held = new Set<string>()
  for await (const {grant: id} of provider.list(() => knownOf(parts, provider))) {
    held.add(id)
    const known = active.get(id)
    if (known && known.value.expiresAt > parts.store.now().toISOString()) continue
    const stored = await parts.store.find<GrantRecord>('grant', id)
    const state = stored?.value.state
    // being conferred now, or being taken back, or it has become active since
    if (state === 'approved' || stored?.value.conferred) continue
    if (!stored && (await isOfUse(parts, id, name))) continue
    if (!stored) {
      // what it was for is not known here: somebody must look
      parts.alarm('a right was found of which the store knows no grant', {grant: id, provider: name})
      continue
    }
    parts.alarm('a right without a grant was found and taken back', {grant: id, provider: name})
    const {role} = providerOf(parts, stored.value)
    await provider.revoke(stored.value, role, () => knownOf(parts, provider))
  }
  for (const [id, stored] of active) {
    if (stored.value.provider !== name || held.has(id)) continue
    // it may have ended since
    if ((await parts.store.find<GrantRecord>('grant', id))?.value.state !== 'active') continue
    parts.alarm('a grant without its right was found and conferred again', {grant: id, provider: name})
    const {role} = providerOf(parts, stored.value)
    await provider.confer(stored.value, role)
  }
}
