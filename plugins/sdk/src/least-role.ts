/** Which role allows an action on a resource, and which of several is the least. All pure. */
import type {ToolClass} from './domain.ts'

/** How far a role reaches by its own nature, whatever it allows. What is absent is not known, or not bounded. */
export interface Reach {
  /** the account whose role it is, twelve digits */
  account?: string | null
  /** patterns of ARNs: what is allowed without a resource of its own is allowed on these alone */
  resources?: readonly string[]
  /** regions outside of which it does nothing */
  regions?: readonly string[]
}

/** What is known of a role that could be taken. */
export interface Candidate extends Reach {
  name: string
  /** `s3:Get*`, or `s3:Get* on arn:aws:s3:::reports/*`; null: not known */
  allows: readonly string[] | null
  class: ToolClass | null
  /** it is had already: no grant, no approval */
  held: boolean
}

/** An action, and what on; null: not known, and then only the action is compared. */
export interface Need {
  action: string
  resource: string | null
}

/** One entry of `allows`; `on`: a pattern of ARNs, null where it names none. */
export interface Allow {
  actions: string
  on: string | null
}

const actionPattern = '[A-Za-z0-9-]+:[A-Za-z0-9*?]+'
/** No blanks, no commas: `?` stands for one. */
const arnPattern = 'arn:[A-Za-z0-9_*?:/.@+=#~$-]{1,500}'

/** The form of an entry of `allows`, as a regular expression. */
export const allowPattern: string = `^${actionPattern}(?: on ${arnPattern})?$`

/** Reads an entry of `allows`. What is none allows nothing. */
export function parseAllow(text: string): Allow {
  const [actions = '', on = null] = text.split(' on ')
  return {actions, on}
}

/** Entries of `allows` in a line of text, between commas or blanks. */
export function readAllows(text: string): string[] {
  return [...text.matchAll(/([^\s,]+)(?:\s+on\s+([^\s,]+))?/g)].map(([, actions = '', on]) =>
    on === undefined ? actions : `${actions} on ${on}`,
  )
}

/**
 * Whether a pattern with `*` and `?` covers a text. A `*` in the text means any, which only a `*` covers. After a `*` of the pattern only the
 * last one is ever tried again.
 */
export function covers(pattern: string, text: string): boolean {
  let [p, t, star, from] = [0, 0, -1, 0]
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p++
      from = t
    } else if (p < pattern.length && ((pattern[p] === '?' && text[t] !== '*') || pattern[p] === text[t])) {
      p++
      t++
    } else if (star >= 0) {
      p = star + 1
      t = ++from
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

/** IAM compares actions without regard to case. */
const coversAction = (pattern: string, action: string): boolean => covers(pattern.toLowerCase(), action.toLowerCase())

/** The account and the region that an ARN names; empty where it names none, as that of a bucket. */
function placeOf(arn: string): {account: string; region: string} {
  const [, region = '', account = ''] = /^arn:[^:]*:[^:]*:([^:]*):(\d{12})?:/.exec(arn) ?? []
  return {account, region}
}

/** Whether a resource can be compared with patterns of ARNs: it is one, or `*`, all there is. Other names say only what a thing is called. */
const isComparable = (resource: string | null): resource is string => resource !== null && (resource === '*' || resource.startsWith('arn:'))

/** Whether a role is known to allow this: an entry of its `allows` covers the action and the resource, within its account, resources and regions. */
export function allowsNeed(role: Pick<Candidate, 'allows'> & Reach, {action, resource}: Need): boolean {
  const given = (role.allows ?? []).map(parseAllow).filter(({actions}) => coversAction(actions, action))
  if (!isComparable(resource)) return given.length > 0
  const {account, region} = placeOf(resource)
  if (region !== '' && role.regions?.length && !role.regions.includes(region)) return false
  const near = account === '' || (role.account ?? account) === account
  const {resources = []} = role
  return given.some(({on}) => {
    if (on !== null) return covers(on, resource)
    return near && (resources.length === 0 || resources.some(pattern => covers(pattern, resource)))
  })
}

/** The resources on which alone a role allows an action; undefined where it names none, so that it is any. */
export function onlyOn(role: Pick<Candidate, 'allows' | 'resources'>, action: string): string[] | undefined {
  const given = (role.allows ?? []).map(parseAllow).filter(({actions}) => coversAction(actions, action))
  const {resources = []} = role
  const places = given.flatMap(({on}) => on ?? (resources.length === 0 ? ['*'] : resources))
  return places.length === 0 || places.includes('*') ? undefined : [...new Set(places)]
}

const order: (ToolClass | null)[] = ['read', 'change', 'admin', 'shell', null]

/**
 * The candidates that allow all of it, the least first: smallest class, then those that allow it on any resource before those of which only some
 * are known, where it is not said which is meant; then what allows fewest actions, then what is bound to resources, then what is held.
 */
export function leastRoles<C extends Candidate>(candidates: readonly C[], needs: readonly Need[]): C[] {
  const isOpen = (candidate: C): boolean =>
    needs.every(({action, resource}) => isComparable(resource) || onlyOn(candidate, action) === undefined)
  return candidates
    .filter(candidate => candidate.allows !== null && needs.every(need => allowsNeed(candidate, need)))
    .map((candidate, index) => ({
      candidate,
      index,
      open: isOpen(candidate),
      breadth: breadthOf((candidate.allows ?? []).map(one => parseAllow(one).actions)),
      bound: needs.every(({action}) => onlyOn(candidate, action) !== undefined),
    }))
    .sort(
      (a, b) =>
        order.indexOf(a.candidate.class) - order.indexOf(b.candidate.class) ||
        Number(b.open) - Number(a.open) ||
        a.breadth - b.breadth ||
        Number(b.bound) - Number(a.bound) ||
        Number(b.candidate.held) - Number(a.candidate.held) ||
        a.index - b.index,
    )
    .map(({candidate}) => candidate)
}

/** Roughly how many actions patterns allow: what counts is only which of two is more. */
export function breadthOf(patterns: readonly string[]): number {
  return patterns.reduce((sum, pattern) => {
    const [service = '', action = '*'] = pattern.split(':')
    const at = action.search(/[*?]/)
    // a service has some hundred actions, AWS some hundred services
    return sum + (at < 0 ? 1 : Math.max(2, 200 / 4 ** at)) * (/[*?]/.test(service) ? 300 : 1)
  }, 0)
}

/** `dynamodb:DeleteItem`, or `dynamodb:DeleteItem on arn:…`, as people write it. Undefined where it is neither. */
export function parseNeed(text: string): Need | undefined {
  const [, action, resource] = /^\s*([a-z0-9-]+:[A-Za-z0-9]+)(?:\s+on\s+(\S+))?\s*$/.exec(text) ?? []
  return action === undefined ? undefined : {action, resource: resource ?? null}
}

/** A need in words. */
export const showNeed = ({action, resource}: Need): string => (resource === null ? action : `${action} on ${resource}`)
