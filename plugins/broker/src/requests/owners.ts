/** Whose a resource is, by the catalog: what is nearest to it says. Pure. */
import {covers} from '@prod/sdk/least-role'
import type {OwnerView} from '@prod/sdk/ruling'
import type {Catalog, ServiceEntry, TargetEntry} from '../catalog/catalog.ts'

const mostOwners = 3

/**
 * The services that a resource belongs to, from the surest to what is merely likely: a service says that such resources are its own; a target that
 * the caller sees is reached at it; its name, or the name of such a target, is a word of it; a service has the whole account, or a role in it. The
 * first of these that finds any is the answer; none where none does.
 */
export function ownersOf({services, targets, roles}: Catalog, resource: string, isSeen: (target: TargetEntry) => boolean): OwnerView[] {
  const owned = (is: (service: ServiceEntry) => boolean): ServiceEntry[] => [...services.values()].filter(is)
  const ofTargets = (is: (target: TargetEntry) => boolean): Set<string | null> =>
    new Set([...targets.values()].filter(target => target.service !== null && is(target) && isSeen(target)).map(({service}) => service))
  const account = /^arn:[^:]*:[^:]*:[^:]*:(\d{12}):/.exec(resource)?.[1]
  const ways: (() => ServiceEntry[])[] = [
    () => owned(({owns}) => owns.resources.some(pattern => covers(pattern, resource))),
    () => {
      const reached = ofTargets(target => isReachedAt(target, resource))
      return owned(({name}) => reached.has(name))
    },
    () => {
      const words = new Set(wordsOf(resource))
      const named = ofTargets(({name}) => isNamed(name, words))
      return owned(({name}) => named.has(name) || isNamed(name, words))
    },
    () => (account === undefined ? [] : owned(({owns}) => owns.accounts.includes(account))),
    () => {
      const there = new Set(
        [...roles.values()].filter(({reach}) => account !== undefined && reach.account === account).map(({service}) => service),
      )
      return owned(({name}) => there.has(name))
    },
  ]
  for (const way of ways) {
    const found = way()
    if (found.length > 0)
      return found.slice(0, mostOwners).map(({name, owner, contacts, channel}) => ({service: name, owner, contacts, channel}))
  }
  return []
}

const wordsOf = (text: string): string[] => text.toLowerCase().split(/[^a-z0-9]+/)

function isNamed(name: string, words: ReadonlySet<string>): boolean {
  const parts = wordsOf(name)
  return parts.every(part => words.has(part)) && parts.join('').length > 2
}

/** What the resource is called, its last name, stands in the target's address as a whole: `i-…` of an instance, a cluster, a task, a host. */
function isReachedAt({address}: TargetEntry, resource: string): boolean {
  const last = resource.split(/[/:]/).at(-1) ?? ''
  if (last.length < 4 || !/\d|-/.test(last)) return false
  return address
    .slice(address.indexOf(':') + 1)
    .split(/[/:@,]/)
    .includes(last)
}
