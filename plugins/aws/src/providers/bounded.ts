/**
 * The session policy of a use: what its primitive says it needs, as far as the role goes. IAM itself intersects them: what is needed is
 * allowed, and what the role does not name is denied. Pure.
 */
import type {Permission} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {mostPolicy, placesOf, type StsRole, seconds} from './sts-role.ts'

/** The policy, until the use's end. Needs of other clouds give nothing here. Throws CATALOG_INVALID where AWS takes none that long. */
export function boundedPolicy(role: StsRole, until: string, bounds: readonly Permission[]): string {
  const {actions, resources, regions} = role
  // ports of one target need the same again: said once
  const needed = [...new Map(bounds.filter(({kind}) => kind === 'aws').map(one => [JSON.stringify(one), one])).values()]
  const always = {DateLessThan: {'aws:CurrentTime': seconds(until)}}
  const policy = JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      ...needed.map(one => ({Effect: 'Allow', Action: one.actions, Resource: one.resources, Condition: merged(always, one.conditions)})),
      ...narrowed(role, needed),
      ...(actions.length > 0 ? [{Effect: 'Deny', NotAction: actions, Resource: '*'}] : []),
      ...(resources.length > 0 ? [{Effect: 'Deny', Action: '*', NotResource: resources}] : []),
      ...(regions.length > 0
        ? [{Effect: 'Deny', Action: '*', Resource: '*', Condition: {StringNotEquals: {'aws:RequestedRegion': regions}}}]
        : []),
      ...(needed.length === 0 ? [{Effect: 'Deny', Action: '*', Resource: '*'}] : []),
    ],
  })
  if (policy.length <= mostPolicy) return policy
  throw new ProdError(
    'CATALOG_INVALID',
    `what this use of ${role.arn} needs makes a session policy of ${policy.length} characters, and AWS takes ${mostPolicy}`,
    'a role of its own for such targets, with fewer patterns in allows and resources',
  )
}

/** Actions that the role has on resources of its own are denied on all others. Where a need stands for several, each of the role's own is. */
function narrowed(role: StsRole, needed: readonly Permission[]): object[] {
  const byPlace = new Map<string, string[]>()
  const named = needed.flatMap(({actions}) => actions)
  const own = named.some(action => /[*?]/.test(action)) ? role.actions : []
  for (const action of new Set([...named, ...own])) {
    const places = placesOf(role, action)
    if (places.length > 0 && !places.includes('*')) byPlace.set(places.join(' '), [...(byPlace.get(places.join(' ')) ?? []), action])
  }
  return [...byPlace].map(([places, actions]) => ({Effect: 'Deny', Action: actions, NotResource: places.split(' ')}))
}

type Conditions = NonNullable<Permission['conditions']>

/** Both hold: keys of one operator stand side by side. The end of the use is not taken out by what a primitive says. */
function merged(always: Conditions, more: Conditions = {}): Conditions {
  const all: Conditions = {...more}
  for (const [operator, keys] of Object.entries(always)) all[operator] = {...all[operator], ...keys}
  return all
}
