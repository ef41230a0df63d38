/** Which role allows an action, and which of several is the least. All pure. */
import type {ToolClass} from './domain.ts'

/** What is known of a role that could be taken. */
export interface Candidate {
  name: string
  /** patterns such as `s3:Get*`; null: not known */
  allows: readonly string[] | null
  class: ToolClass | null
  /** it is had already: no grant, no approval */
  held: boolean
}

/** Whether these patterns allow all of these actions. IAM compares actions without regard to case, `*` and `?` as wildcards. */
export function allowsAll(patterns: readonly string[], actions: readonly string[]): boolean {
  return actions.every(action => patterns.some(pattern => matches(pattern.toLowerCase(), action.toLowerCase())))
}

/** Linear: after a `*` only the last one is ever tried again. */
function matches(pattern: string, text: string): boolean {
  let [p, t, star, from] = [0, 0, -1, 0]
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p++
      from = t
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
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

const order: (ToolClass | null)[] = ['read', 'change', 'admin', 'shell', null]

/** The candidates that allow all of the actions, the least first: smallest class, then what allows fewest actions, then what is held. */
export function leastRoles<C extends Candidate>(candidates: readonly C[], actions: readonly string[]): C[] {
  return candidates
    .filter(({allows}) => allows !== null && allowsAll(allows, actions))
    .map((candidate, index) => ({candidate, index, breadth: breadthOf(candidate.allows ?? [])}))
    .sort(
      (a, b) =>
        order.indexOf(a.candidate.class) - order.indexOf(b.candidate.class) ||
        a.breadth - b.breadth ||
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
export function parseNeed(text: string): {action: string; resource: string | null} | undefined {
  const [, action, resource] = /^\s*([a-z0-9-]+:[A-Za-z0-9]+)(?:\s+on\s+(\S+))?\s*$/.exec(text) ?? []
  return action === undefined ? undefined : {action, resource: resource ?? null}
}
