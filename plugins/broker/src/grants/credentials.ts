/** Credentials of a grant for the person who holds it: minted when they are asked for, handed on, kept nowhere. */

import {setTimeout as wait} from 'node:timers/promises'
import type {GrantCredentials} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import {refuseFrozen} from '../freeze/state.ts'
import type {Caller, Parts} from '../parts.ts'
import {refuseDraining} from '../requests/create.ts'
import {rightsNow} from '../requests/rights.ts'
import type {RequestRecord} from '../requests/state.ts'
import {countMint} from '../runs/limits.ts'
import {refuseOtherPlace} from '../sessions/breaking.ts'
import type {Stored} from '../stores/store.ts'
import {beginGrant, endGrant, providerOf, whyNotNow} from './reconcile.ts'
import {type GrantRecord, isOver} from './state.ts'

const beginTries = 20
const beginMilliseconds = 250

/**
 * Mints a credential of the caller's own grant. Everything is asked again first: the login, the freeze, the request's approvals and
 * signatures, what policy says now (TM-P4). It is handed on only if the grant still lives when that is written (TM-N4). `tool`: the
 * first word of what it is for. Throws GRANT_NOT_FOUND, REVOKED, APPROVAL_VOID, PLACE_REFUSED, FROZEN, LIMIT_REACHED, DENIED, USAGE, TARGET_UNREACHABLE.
 */
export async function mintCredentials(parts: Parts, asking: Caller, {id, tool}: {id: string; tool?: string}): Promise<GrantCredentials> {
  refuseDraining(parts)
  const stored = await begun(parts, asking, id)
  const grant = stored.value
  const {caller, expect} = await rightsNow(parts, asking)
  const asked = grant.breakGlass ? await parts.store.find<RequestRecord>('request', grant.request) : undefined
  if (asked) refuseOtherPlace({parts, caller: () => caller}, asked.value, asked.value)
  const kind = parts.bundle().catalog.roles.get(grant.role)?.class ?? 'change'
  const unfrozen = await refuseFrozen(parts, kind, grant.breakGlass)
  const hindrance = await whyNotNow(parts, grant, caller.login)
  if (hindrance !== undefined) {
    await endGrant(parts, stored, 'revoked', 'broker', hindrance, caller.correlation)
    throw new ProdError('APPROVAL_VOID', `grant ${id} was ended: ${hindrance}`, 'prod roles')
  }
  const {provider, role} = providerOf(parts, grant)
  await countMint(parts, grant.principal)
  const {credential} = await provider.confer(grant, role)
  if (Object.keys(credential).length === 0)
    throw new ProdError('USAGE', `${grant.role} gives no credential: what it allows you may do while grant ${id} lives`, 'prod tools')
  for (;;) {
    const current = await parts.store.find<GrantRecord>('grant', id)
    if (!current || isOver(current.value)) {
      // what the provider has put in its way holds for this credential too
      await provider.revoke(grant, role)
      throw ended(current?.value ?? grant)
    }
    const saved = await parts.store.commit({
      expect: [{kind: 'grant', id, version: current.version}, ...expect, ...unfrozen.expect],
      events: [
        {
          type: 'grant.credential',
          by: 'broker',
          subject: id,
          correlation: caller.correlation,
          data: {
            role: grant.role,
            class: kind,
            provider: grant.provider,
            request: grant.request,
            tool: tool ?? null,
            until: credential.Expiration ?? null,
          },
          personal: {name: grant.principal.name, person: grant.principal.person},
        },
      ],
    })
    if (saved.ok) return {grant: id, role: grant.role, provider: grant.provider, credential, expiresAt: grant.expiresAt}
    // the login or the freeze is another now: asked again they say so
    await rightsNow(parts, asking)
    await refuseFrozen(parts, kind, grant.breakGlass)
    const again = await parts.store.find<GrantRecord>('grant', id)
    if (again?.version === current.version)
      throw new ProdError('STORE_UNAVAILABLE', 'rights changed while the credential was made', 'the same command again')
  }
}

/** The caller's grant once it has begun; one that is due is begun now, not at the next pass. */
async function begun(parts: Parts, {principal}: Caller, id: string): Promise<Stored<GrantRecord>> {
  for (let tried = 0; ; tried++) {
    const stored = await parts.store.find<GrantRecord>('grant', id)
    const grant = stored?.value
    if (!stored || !grant || grant.principal.iss !== principal.iss || grant.principal.sub !== principal.sub)
      throw new ProdError('GRANT_NOT_FOUND', `there is no grant ${id}`, 'prod grant ls')
    const now = parts.store.now().toISOString()
    if (isOver(grant) || grant.expiresAt <= now) throw ended(grant)
    if (grant.state === 'active') return stored
    if (grant.startsAt > now) throw new ProdError('USAGE', `grant ${id} begins at ${grant.startsAt}`, 'prod grant ls')
    if (tried === beginTries) throw new ProdError('TARGET_UNREACHABLE', `grant ${id} could not be conferred yet`, 'try again in a minute')
    if (tried === 0) await beginGrant(parts, stored)
    else await wait(beginMilliseconds)
  }
}

function ended({id, state, role}: GrantRecord): ProdError {
  const how = state === 'revoked' ? 'was revoked' : state === 'handed-back' ? 'was handed back' : 'has ended'
  return new ProdError('REVOKED', `grant ${id} of ${role} ${how}`, `prod assume ${role}`)
}
