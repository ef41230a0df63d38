/**
 * Targets that stand for many: their address has a `*` in the place of an id, and `NAME/WHICH` is one of them. What stands there may be
 * a path, where the way in has such (`web/app`: a container of a service). Policy judges it as the target it belongs to; what the
 * address pins must hold of it when it is used. Pure.
 */
import type {Catalog, TargetEntry} from './catalog.ts'

const which = /^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,127}(?:\/(?!$)|$)){1,4}$/

/** A target by its name, by its whole address, or as `NAME/WHICH` of one that stands for many. What the catalog names itself is that (TM-L4). */
export function findTarget({targets}: Pick<Catalog, 'targets'>, name: string): TargetEntry | undefined {
  const own = targets.get(name) ?? [...targets.values()].find(({address}) => address === name)
  if (own) return own
  const slash = name.indexOf('/')
  const many = slash < 0 ? undefined : targets.get(name.slice(0, slash))
  const member = many && memberOf(many, name.slice(slash + 1))
  if (!member) return undefined
  const [place, all] = [placeOf(member), [...targets.values()]]
  // a part of what the catalog names itself among these, or what holds that, has no other name
  const isTaken = (one: TargetEntry): boolean => {
    const own = standsForMany(one) ? rootOf(one) : placeOf(one)
    return isBelow(own, rootOf(many)) && isAlong(own, place)
  }
  return all.find(one => placeOf(one) === place) ?? (all.some(isTaken) ? undefined : member)
}

/** What is looked among by a name: a target that stands for many, or one of those, in which there may be more; undefined for others. */
export function findMany(catalog: Pick<Catalog, 'targets'>, name: string): TargetEntry | undefined {
  const found = findTarget(catalog, name)
  if (!found || standsForMany(found)) return found
  return found.of === undefined ? undefined : {...found, address: found.address.replace(/(?=\?)|$/, '/*')}
}

/** Where an address with a star leads, up to it. */
export function rootOf({address}: Pick<TargetEntry, 'address'>): string {
  return address.slice(0, address.indexOf('/*'))
}

function isBelow(place: string, other: string): boolean {
  return place.startsWith(`${other}/`)
}

function isAlong(place: string, other: string): boolean {
  return place === other || isBelow(place, other) || isBelow(other, place)
}

/** Where an address leads, without what must hold of it there: two names of one place by one way are one. One that stands for many is as it is written. */
export function placeOf(target: Pick<TargetEntry, 'address'>): string {
  return standsForMany(target) ? target.address : target.address.replace(/\?.*$/s, '')
}

/** What stands in one line and is counted in one budget: each machine that its primitive knows it by, sorted; else its place. None: what `program` does there changes no machine. */
export function machinesOf(
  {machinesOf: known}: Pick<Catalog, 'machinesOf'>,
  target: Pick<TargetEntry, 'address'>,
  program?: string,
): string[] {
  return [...new Set(known?.(target.address, program) ?? [placeOf(target)])].sort()
}

/** One of those that a target stands for; undefined where it stands for itself. */
function memberOf(many: TargetEntry, id: string): TargetEntry | undefined {
  if (!standsForMany(many) || !which.test(id)) return undefined
  return {
    ...many,
    name: `${many.name}/${id}`,
    of: many.of ?? many.name,
    address: many.address.replace('*', id),
    summary: `${id} of ${many.name}`,
  }
}

/** Whether its address has a place to fill. */
export function standsForMany({address}: Pick<TargetEntry, 'address'>): boolean {
  return /^[^?]*\/\*(?:\?|$)/.test(address)
}
