import type {Grant} from '@prod/sdk'
import type {RevokedGrant} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import type {Caller, Parts} from '../parts.ts'
import {mayApprove} from '../policy/decide.ts'
import {person} from '../requests/create.ts'
import {samePerson} from '../requests/state.ts'
import {mayReadAudit} from '../requests/view.ts'
import type {Stored} from '../stores/store.ts'
import {endGrant, providerOf} from './reconcile.ts'
import {type GrantRecord, isOver, showGrant} from './state.ts'

/** Ends live work that a lost right had allowed; gives how much there was. runs/live.ts does it. */
export type EndLive = (principal: {iss: string; sub: string}) => Promise<{runs: number; sessions: number}>

/**
 * Ends a grant now: one's own is handed back, another's is revoked by whoever may approve its role. When it answers, no
 * new use starts (TM-N4); live runs and sessions that lean on it are ended. Throws GRANT_NOT_FOUND, ALREADY_DECIDED.
 */
export async function revokeGrant(
  parts: Parts,
  caller: Caller,
  {id, note}: {id: string; note?: string},
  endLive: EndLive,
): Promise<RevokedGrant> {
  let refused: Promise<number | null> | undefined
  for (;;) {
    const stored = await parts.store.find<GrantRecord>('grant', id)
    if (!stored || !mayEnd(parts, caller, stored)) throw new ProdError('GRANT_NOT_FOUND', `there is no grant ${id}`, 'prod grant ls')
    if (isOver(stored.value)) throw new ProdError('ALREADY_DECIDED', `grant ${id} is ${stored.value.state} already`, 'prod grant ls')
    const state = samePerson(caller.principal, stored.value.principal) ? 'handed-back' : 'revoked'
    refused ??= timeUntilRefused(parts, stored.value)
    let failure: unknown
    const won = await endGrant(parts, stored, state, person(caller), note, caller.correlation).catch(async (error: unknown) => {
      const now = await parts.store.find<GrantRecord>('grant', id)
      if (!now || !isOver(now.value)) throw error
      // it has ended here; what the provider could not take back is tried again until it can
      failure = error
      return true
    })
    if (!won) continue
    const ended = await endLive(stored.value.principal)
    if (failure !== undefined) throw failure
    const now = (await parts.store.find<GrantRecord>('grant', id))?.value ?? stored.value
    return {...showGrant(now), endedRuns: ended.runs, endedSessions: ended.sessions, refusedAfterMs: await refused}
  }
}

const mostMilliseconds = 20_000

/** How long from now until the far side refuses a real call under this grant; null where it has given nothing, or that is not seen in time. */
async function timeUntilRefused(parts: Parts, grant: GrantRecord): Promise<number | null> {
  const from = performance.now()
  try {
    const {provider, role} = providerOf(parts, grant)
    if (!provider.refused || !grant.conferred) return null
    const signal = AbortSignal.timeout(mostMilliseconds)
    const late = new Promise<never>((_, reject) => signal.addEventListener('abort', reject, {once: true}))
    await Promise.race([provider.refused(grant, role, signal), late])
    return Math.round(performance.now() - from)
  } catch {
    return null
  }
}

function mayEnd(parts: Parts, caller: Caller, {value}: Stored<GrantRecord>): boolean {
  if (samePerson(caller.principal, value.principal)) return true
  return mayApproveRole(parts, caller, value)
}

function mayApproveRole(parts: Parts, caller: Caller, grant: Grant): boolean {
  const bundle = parts.bundle()
  const role = bundle.catalog.roles.get(grant.role)
  return role !== undefined && mayApprove(bundle, {kind: 'role', role}, caller, 'assume')
}

/** The caller's grants; with `all` those whose role the caller may approve, and all for who reads the log. */
export async function listGrants(parts: Parts, caller: Caller, {all}: {all?: string}): Promise<{grants: Grant[]}> {
  const owner = `${caller.principal.iss}#${caller.principal.sub}`
  const found = await parts.store.list<GrantRecord>({kind: 'grant', newest: true, limit: 200, ...(all === 'true' ? {} : {owner})})
  const reader = all === 'true' && mayReadAudit(parts, caller)
  const seen = found
    .map(one => one.value)
    .filter(grant => reader || samePerson(caller.principal, grant.principal) || mayApproveRole(parts, caller, grant))
  return {grants: seen.map(showGrant)}
}
