import {ProdError} from '@prod/sdk/errors'
import {type Candidate, leastRoles, onlyOn, type Reach, showNeed} from '@prod/sdk/least-role'
import type {LocalRole} from '@prod/sdk/role-source'
import {needsOf} from './resources.ts'

/** The least of a person's roles that is known to allow what a command does, and why it was taken. Throws USAGE, DENIED. */
export function leastFor(
  command: readonly string[],
  roles: readonly (LocalRole & {held?: boolean; reach?: Reach})[],
): {name: string; why: string} {
  const found = needsOf(command)
  if ('unknown' in found) throw new ProdError('USAGE', found.unknown, 'name the role: prod assume ROLE -- CMD')
  const {needs} = found
  if (needs.length === 0) throw new ProdError('USAGE', 'this command asks AWS for nothing: it needs no role', command.join(' '))
  const wanted = [...new Set(needs.map(({action}) => action))].join(', ')
  const candidates: Candidate[] = roles
    .filter(({fault}) => fault === null)
    .map(({reach, ...role}) => ({...reach, ...role, held: role.held ?? true}))
  const [least] = leastRoles(candidates, needs)
  if (least) {
    const only = [...new Set(needs.flatMap(({action}) => onlyOn(least, action) ?? []))]
    const bound = only.length === 0 ? '' : `, on ${only.slice(0, 3).join(', ')}${only.length > 3 ? ' and more' : ''} alone`
    return {name: least.name, why: `${least.name}: the least of your roles that is known to allow ${wanted}${bound}`}
  }
  const known = candidates.some(({allows}) => allows !== null)
  const asked = needs.map(showNeed).join(', ')
  throw new ProdError(
    'DENIED',
    known ? `none of your roles is known to allow ${asked}` : `it needs ${asked}, and of none of your roles is it known what it allows`,
    'name the role: prod assume ROLE -- CMD; or write prod_allows beside its profile in ~/.aws/config',
  )
}
