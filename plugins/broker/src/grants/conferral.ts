/**
 * A role that is conferred for one run or session, under its id: the credential by which its target is reached. First said, then done,
 * as with grants; what is left when the use is over is taken back, and what a broker that died has left is found by the next.
 */
import type {GrantProvider} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {Parts} from '../parts.ts'
import type {Stored} from '../stores/store.ts'
import {type ConferralRecord, putConferral} from './conferral-record.ts'
import {knownOf} from './known.ts'

const retrySeconds = 30

/** Uses that are over, whose primitive still ends what is left at the far side: whoever put them here ends their conferral. */
export const releasing = new Set<string>()

/** The provider of a conferral, and its role as they read it. Throws ROLE_NOT_FOUND, CATALOG_INVALID. */
export function providerOfConferral(parts: Parts, {grant, parameters}: ConferralRecord): {provider: GrantProvider; role: unknown} {
  const provider = parts.grantProviders.get(grant.provider)
  if (!provider) throw new ProdError('ROLE_NOT_FOUND', `no plugin of this broker provides ${grant.provider}`, 'prod roles')
  return {provider, role: provider.parse(parameters)}
}

/**
 * Ends the conferral of a use that is over: no more is minted for it; the provider takes it back now, or at a later pass. Safe to repeat.
 * `brief`: it is over by itself within moments, and not taken back before: at a cloud's role there is room for few who are refused (TM-N4).
 */
export async function endConferral(parts: Parts, id: string, brief = false): Promise<void> {
  for (;;) {
    const stored = await parts.store.find<ConferralRecord>('conferral', id)
    if (stored?.value.state !== 'open') return
    const {grant} = stored.value
    const ending: ConferralRecord = {
      ...stored.value,
      state: 'ending',
      grant: {...grant, state: 'revoked', endedAt: parts.store.now().toISOString()},
    }
    const saved = await parts.store.commit({put: [putConferral(ending, stored.version, brief ? grant.expiresAt : undefined)], events: []})
    if (saved.ok && brief) return
    if (saved.ok) break
  }
  // what fails here is due: the next pass tries again, and tells
  await takeBack(parts, id).catch(() => {})
}

/** Asks the provider to take back, then notes that it has; what fails is told, and tried again at a later pass. */
async function takeBack(parts: Parts, id: string): Promise<void> {
  const stored = await parts.store.find<ConferralRecord>('conferral', id)
  if (stored?.value.state !== 'ending') return
  await takeBackEnded(parts, stored)
  await parts.store.commit({put: [putConferral({...stored.value, state: 'ended'}, stored.version)], events: []})
}

/** Has the provider take back what it still holds for a use that is over. */
export async function takeBackEnded(parts: Parts, {value}: Stored<ConferralRecord>): Promise<void> {
  const {provider, role} = providerOfConferral(parts, value)
  await provider.revoke(value.grant, role, () => knownOf(parts, provider))
}

/** One pass over the conferrals that are due: taken back, or forgotten at their expiry. */
export async function sweepConferrals(parts: Parts): Promise<void> {
  const now = parts.store.now().toISOString()
  for (const stored of await parts.store.list<ConferralRecord>({kind: 'conferral', dueBefore: now, limit: 500})) {
    try {
      if (stored.value.grant.expiresAt > now) await takeBack(parts, stored.id)
      else await forget(parts, stored)
    } catch (error) {
      parts.alarm('the role of a use could not be taken back', {use: stored.id, code: error instanceof ProdError ? error.code : 'INTERNAL'})
      const dueAt = new Date(parts.store.now().getTime() + retrySeconds * 1000).toISOString()
      await parts.store.commit({put: [putConferral(stored.value, stored.version, dueAt)], events: []}).catch(() => {})
    }
  }
}

async function forget(parts: Parts, stored: Stored<ConferralRecord>): Promise<void> {
  await takeBackEnded(parts, stored)
  await parts.store.commit({remove: [{kind: 'conferral', id: stored.id, version: stored.version}], events: []})
}

/** Ends what a broker that died has left: conferrals whose run or session is over. Run at start and every few minutes. */
export async function endLeftConferrals(parts: Parts): Promise<void> {
  for (const {id} of await parts.store.list<ConferralRecord>({kind: 'conferral', state: 'open'})) {
    if (releasing.has(id)) continue
    const use = await parts.store.find<{state: string}>(id.startsWith('run_') ? 'run' : 'session', id)
    if (use && ['started', 'opening', 'open'].includes(use.value.state)) continue
    await endConferral(parts, id)
  }
}
