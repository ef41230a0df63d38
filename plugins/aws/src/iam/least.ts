import {ProdError} from '@prod/sdk/errors'
import {type Candidate, leastRoles} from '@prod/sdk/least-role'
import type {LocalRole} from '@prod/sdk/role-source'
import {actionsOf} from './actions.ts'

/** The least of a person's roles that is known to allow what a command does, and why it was taken. Throws USAGE, DENIED. */
export function leastFor(command: readonly string[], roles: readonly (LocalRole & {held?: boolean})[]): {name: string; why: string} {
  const needs = actionsOf(command)
  if ('unknown' in needs) throw new ProdError('USAGE', needs.unknown, 'name the role: prod assume ROLE -- CMD')
  if (needs.actions.length === 0) throw new ProdError('USAGE', 'this command asks AWS for nothing: it needs no role', command.join(' '))
  const wanted = needs.actions.join(', ')
  const candidates: Candidate[] = roles.filter(({fault}) => fault === null).map(role => ({...role, held: role.held ?? true}))
  const [least] = leastRoles(candidates, needs.actions)
  if (least) return {name: least.name, why: `${least.name}: the least of your roles that is known to allow ${wanted}`}
  const known = candidates.some(({allows}) => allows !== null)
  throw new ProdError(
    'DENIED',
    known ? `none of your roles is known to allow ${wanted}` : `it needs ${wanted}, and of none of your roles is it known what it allows`,
    'name the role: prod assume ROLE -- CMD; or write prod_allows beside its profile in ~/.aws/config',
  )
}
