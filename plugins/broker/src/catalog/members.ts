/**
 * Targets that stand for many: their address has a `*` in the place of an id, and `NAME/WHICH` is one of them. Policy judges it as the
 * target it belongs to; what the address pins must hold of it when it is used. Pure.
 */
import type {Catalog, TargetEntry} from './catalog.ts'

const which = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/** A target by its name, by its whole address, or as `NAME/WHICH` of one that stands for many. What the catalog names itself is that (TM-L4). */
export function findTarget({targets}: Pick<Catalog, 'targets'>, name: string): TargetEntry | undefined {
  const own = targets.get(name) ?? [...targets.values()].find(({address}) => address === name)
  if (own) return own
  const slash = name.indexOf('/')
  const many = slash < 0 ? undefined : targets.get(name.slice(0, slash))
  const member = many && memberOf(many, name.slice(slash + 1))
  return member && ([...targets.values()].find(one => placeOf(one) === placeOf(member)) ?? member)
}

/** Where an address leads, without what must hold of it there: two names of one place are one. One that stands for many is as it is written. */
export function placeOf(target: Pick<TargetEntry, 'address'>): string {
  return standsForMany(target) ? target.address : target.address.replace(/\?.*$/s, '')
}

/** One of those that a target stands for; undefined where it stands for itself. */
function memberOf(many: TargetEntry, id: string): TargetEntry | undefined {
  if (!standsForMany(many) || !which.test(id)) return undefined
  return {...many, name: `${many.name}/${id}`, of: many.name, address: many.address.replace('*', id), summary: `${id} of ${many.name}`}
}

/** Whether its address has a place to fill. */
export function standsForMany({address}: Pick<TargetEntry, 'address'>): boolean {
  return /^[^?]*\/\*(?:\?|$)/.test(address)
}
