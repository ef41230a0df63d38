/**
 * Makes what providers hold agree with what the store says: confers what has begun, takes back what has ended, and sweeps
 * what no grant explains. Safe to run at any moment, as often as one likes, by any broker.
 */
import type {GrantProvider} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {Parts} from '../parts.ts'
import type {RequestRecord} from '../requests/state.ts'
import {putRequest} from '../requests/create.ts'
import type {Put, Stored} from '../stores/store.ts'
import {type GrantRecord, isOver, putGrant} from './state.ts'

/** One pass over the grants that are due. Failures are told and tried again at the next pass. */
export async function reconcileDue(parts: Parts): Promise<void> {
  const now = parts.store.now().toISOString()
  for (const stored of await parts.store.list<GrantRecord>({kind: 'grant', dueBefore: now, limit: 500})) {
    try {
      await mend(parts, stored)
    } catch (error) {
      parts.alarm('a grant could not be brought in line', {grant: stored.id, code: error instanceof ProdError ? error.code : 'INTERNAL'})
    }
  }
}

async function mend(parts: Parts, stored: Stored<GrantRecord>): Promise<void> {
  const grant = stored.value
  const now = parts.store.now().toISOString()
  if (grant.state === 'approved') return begin(parts, stored, now)
  if (grant.state === 'active') {
    await endGrant(parts, stored, 'expired', 'broker', undefined)
    return
  }
  if (grant.conferred) await takeBack(parts, stored.id)
}

async function begin(parts: Parts, stored: Stored<GrantRecord>, now: string): Promise<void> {
  const grant = stored.value
  if (grant.expiresAt <= now) {
    await endGrant(parts, stored, 'expired', 'broker', undefined)
    return
  }
  // First said, then done: a broker that dies in between finds the grant marked and can take back or confer again.
  const marked = await parts.store.commit({put: [putGrant({...grant, conferred: true}, stored.version)], events: []})
  if (!marked.ok) return
  const {provider, role} = providerOf(parts, grant)
  await provider.confer(grant, role)
  const current = await parts.store.find<GrantRecord>('grant', grant.id)
  if (!current || current.value.state !== 'approved') return
  await parts.store.commit({
    put: [putGrant({...current.value, state: 'active', conferred: true}, current.version)],
    events: [{type: 'grant.activated', by: 'broker', subject: grant.id, data: {role: grant.role, provider: grant.provider, request: grant.request, expiresAt: grant.expiresAt}, personal: {name: grant.principal.name, person: grant.principal.person}}],
  })
}

function providerOf(parts: Parts, grant: GrantRecord): {provider: GrantProvider; role: unknown} {
  const provider = parts.grantProviders.get(grant.provider)
  const entry = parts.bundle().catalog.roles.get(grant.role)
  if (!provider || !entry) throw new ProdError('ROLE_NOT_FOUND', `the role ${grant.role} is no longer in the catalog`, 'prod roles')
  return {provider, role: provider.parse(entry.parameters)}
}

/** Ends a grant in the store; what the provider holds is taken back right after. False: somebody else ended it first. */
export async function endGrant(parts: Parts, stored: Stored<GrantRecord>, state: 'expired' | 'revoked' | 'handed-back', by: string, note: string | undefined, correlation?: string): Promise<boolean> {
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
        data: {role: grant.role, request: grant.request, startsAt: grant.startsAt, expiresAt: grant.expiresAt, active: grant.state === 'active'},
        personal: {name: grant.principal.name, person: grant.principal.person, ...(note === undefined ? {} : {note})},
      },
    ],
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
  await provider.revoke(stored.value, role)
  await parts.store.commit({put: [putGrant({...stored.value, conferred: false}, stored.version)], events: []})
}

/** Compares what each provider holds with what the store says, both ways. Run at start and every few minutes. */
export async function reconcileAll(parts: Parts): Promise<void> {
  const active = new Map((await parts.store.list<GrantRecord>({kind: 'grant', state: 'active'})).map(one => [one.id, one]))
  for (const [name, provider] of parts.grantProviders) {
    const held = new Set<string>()
    for await (const {grant: id} of provider.list()) {
      held.add(id)
      const known = active.get(id)
      if (known && known.value.expiresAt > parts.store.now().toISOString()) continue
      const stored = await parts.store.find<GrantRecord>('grant', id)
      if (stored?.value.state === 'approved') continue // being conferred now
      parts.alarm('a right without a grant was found and taken back', {grant: id, provider: name})
      if (!stored) continue
      const {role} = providerOf(parts, stored.value)
      await provider.revoke(stored.value, role)
    }
    for (const [id, stored] of active) {
      if (stored.value.provider !== name || held.has(id)) continue
      parts.alarm('a grant without its right was found and conferred again', {grant: id, provider: name})
      const {role} = providerOf(parts, stored.value)
      await provider.confer(stored.value, role)
    }
  }
}
