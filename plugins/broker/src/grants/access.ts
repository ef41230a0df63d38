/** The credential by which a use reaches its target: conferred for this run or session alone, under the caller's name. */
import {setTimeout as wait} from 'node:timers/promises'
import type {Access, Grant, Permission, Primitive, Principal, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {credentialed} from '@prod/sdk/primitive'
import type {Parts} from '../parts.ts'
import type {Plan} from '../requests/plan.ts'
import {reach} from '../runs/program.ts'
import {endConferral, providerOfConferral, releasing} from './conferral.ts'
import {type ConferralRecord, putConferral} from './conferral-record.ts'

/** A use whose start is durable. */
export interface StartedUse {
  /** run_… or ses_…: what the credential is labelled with */
  id: string
  request: string
  principal: Principal
  correlation: string
  /** when it is over at the latest, ISO 8601 */
  until: string
}

/** how long its credential is kept for a primitive that is still ending what is left at the far side */
const releaseMilliseconds = 60_000
/** whoever ends a use waits no longer for that */
const patienceMilliseconds = 4000

/** What a primitive may use, and what ends it: called when the use is over, however it went. First the primitive gives up what is left. */
export interface UseAccess {
  access: Access
  end(): Promise<void>
}

/**
 * The access of a use, whose start record must be durable; of a forward, for all that its connections may lead to; of looking for
 * targets, for that alone. A target or tool that
 * names a role gets a credential of it, no wider than what the primitive says this use needs, which dies with the use. Who calls this ends
 * it. Throws CATALOG_INVALID where a credential is needed and no role gives one, what the provider refuses, REVOKED.
 */
export async function accessFor(
  parts: Parts,
  plan: Pick<Plan, 'target' | 'access' | 'tool' | 'class'>,
  use: Use | readonly Use[] | {permissions: readonly Permission[]},
  started: StartedUse,
): Promise<UseAccess> {
  const {target, access: role} = plan
  const {id, principal} = started
  if (!target) throw new Error('a use has a target')
  const {primitive, where} = reach(parts, target)
  const needed = credentialed('permissions' in use ? use.permissions : [use].flat().flatMap(one => primitive.permissions(where, one)))
  const bare: Access = {id, principal: principal.person || `${principal.iss}#${principal.sub}`, credential: {}}
  const named = plan.tool?.role ?? target.role
  if (!role) {
    if (named === null && needed.length === 0) return {access: bare, end: () => endAfterRelease(parts, primitive, id, async () => {})}
    throw new ProdError(
      'CATALOG_INVALID',
      `${target.name} is reached by a credential, and the catalog names no role for it`,
      'prod targets',
    )
  }
  const now = parts.store.now()
  const expiresAt = new Date(Math.min(Date.parse(started.until), now.getTime() + role.maxSeconds * 1000)).toISOString()
  const grant: Grant = {
    id,
    state: 'active',
    request: started.request,
    principal,
    role: role.name,
    provider: role.provider,
    startsAt: now.toISOString(),
    expiresAt,
    endedAt: null,
  }
  const record: ConferralRecord = {state: 'open', grant, parameters: role.parameters, correlation: started.correlation}
  if (!providerOfConferral(parts, record).provider.reachesTargets)
    throw new ProdError('CATALOG_INVALID', `the role ${role.name} gives no credential that reaches ${target.name}`, 'prod targets')
  // first said, then done: a broker that dies in between finds what it may have conferred
  const said = await parts.store.commit({put: [putConferral(record, 0)], events: []})
  if (!said.ok) throw new Error(`${id} has its access already`)
  // an end that cannot be written now is found by the next comparison
  const isLook = 'permissions' in use
  const endNow = () => endConferral(parts, id, isLook).catch(() => {})
  const end = () => (isLook ? endNow() : endAfterRelease(parts, primitive, id, endNow))
  const mint = () => mintFor(parts, id, isLook || needed.length > 0 ? needed : undefined, plan)
  try {
    return {access: {...bare, credential: await mint(), renew: mint}, end}
  } catch (error) {
    await endNow()
    throw error
  }
}

/** What a use left at the far side is ended by its credential, which ends then, or after a minute (TM-X4). Goes on where nobody waits any more. */
async function endAfterRelease(parts: Parts, primitive: Pick<Primitive, 'release'>, id: string, end: () => Promise<void>): Promise<void> {
  if (!primitive.release) return end()
  releasing.add(id)
  const released = (async () => primitive.release?.(id))().catch(error =>
    parts.alarm('a primitive could not give up what a use left', {use: id, error: String(error)}),
  )
  const over = Promise.race([released, wait(releaseMilliseconds, undefined, {ref: false})]).then(() => {
    releasing.delete(id)
    return end()
  })
  await Promise.race([over, wait(patienceMilliseconds, undefined, {ref: false})])
}

/** One credential for a use that goes on. It is handed on only if the use still does when that is written. */
async function mintFor(
  parts: Parts,
  id: string,
  bounds: readonly Permission[] | undefined,
  plan: Pick<Plan, 'target' | 'class'>,
): Promise<Readonly<Record<string, string>>> {
  const ended = () => new ProdError('REVOKED', `${id} has ended, and its role with it`, 'prod roles')
  const live = async () => {
    const stored = await parts.store.find<ConferralRecord>('conferral', id)
    return stored?.value.state === 'open' && stored.value.grant.expiresAt > parts.store.now().toISOString() ? stored : undefined
  }
  const before = await live()
  if (!before) throw ended()
  const {grant, correlation} = before.value
  const {provider, role} = providerOfConferral(parts, before.value)
  const {credential} = await provider.confer(grant, role, bounds)
  if (Object.keys(credential).length === 0)
    throw new ProdError('CATALOG_INVALID', `the role ${grant.role} gives no credential`, 'prod targets')
  const current = await live()
  const told =
    current &&
    (await parts.store.commit({
      expect: [{kind: 'conferral', id, version: current.version}],
      events: [
        {
          type: 'credential.minted',
          by: 'broker',
          subject: id,
          correlation,
          data: {
            role: grant.role,
            class: plan.class,
            provider: grant.provider,
            request: grant.request,
            target: plan.target?.name ?? null,
            until: credential.Expiration ?? null,
          },
          personal: {name: grant.principal.name, person: grant.principal.person},
        },
      ],
    }))
  if (told?.ok) return credential
  // it ended while it was conferred: what the provider has put in its way holds for this credential too
  await provider.revoke({...grant, state: 'revoked', endedAt: parts.store.now().toISOString()}, role)
  throw ended()
}
