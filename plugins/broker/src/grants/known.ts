import type {GrantProvider, Known} from '@prod/sdk'
import type {Parts} from '../parts.ts'
import type {ConferralRecord} from './conferral-record.ts'
import {type GrantRecord, showGrant} from './state.ts'

const mostEnded = 500

/**
 * What the store knows of one provider: the roles of the catalog, and the grants that were conferred and whose end lies ahead; those of
 * single uses too.
 */
export async function knownOf(parts: Parts, provider: GrantProvider): Promise<Known> {
  const now = parts.store.now().toISOString()
  const lists = await Promise.all(
    (['approved', 'active', 'revoked', 'handed-back'] as const).map(state =>
      parts.store.list<GrantRecord>({kind: 'grant', state, newest: true, ...(state === 'active' ? {} : {limit: mostEnded})}),
    ),
  )
  const uses = (await parts.store.list<ConferralRecord>({kind: 'conferral'})).map(({value}) => value)
  const grants = [
    ...lists
      .flat()
      .map(({value}) => value)
      .filter(grant => grant.conferred || grant.began === true)
      .map(grant => ({grant: showGrant(grant), parameters: grant.parameters})),
    ...uses,
  ]
    .filter(({grant}) => grant.provider === provider.id && grant.expiresAt > now)
    .map(({grant, parameters}) => ({grant, role: provider.parse(parameters)}))
  const ofCatalog = [...parts.bundle().catalog.roles.values()].filter(role => role.provider === provider.id)
  return {roles: [...ofCatalog.map(({parameters}) => provider.parse(parameters)), ...grants.map(({role}) => role)], grants}
}
