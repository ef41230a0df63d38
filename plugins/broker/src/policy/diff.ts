/** What a new bundle would decide otherwise, about what people really asked and about what the bundles' own tests ask (TM-P3). Pure. */
import type {OpenedEntry} from '@prod/sdk/log/envelope'
import type {Bundle} from './policy.ts'
import {type PolicyTest, runTests, sceneOf} from './tests.ts'

/** How far recorded requests are looked back at, where nobody says otherwise. */
export const recordedDays = 30

/** What was decided of a question. */
export interface Outcome {
  decision: 'allow' | 'request' | 'deny'
  approvals: number
  rules: string[]
}

/** A question: `was` is what the log says was decided then, `times` how often it was asked, `last` when (ISO 8601, UTC). */
export interface Asked {
  test: PolicyTest
  times: number
  last?: string
  was?: Outcome
}

/** A question that is decided otherwise now. `wider`: at once or with fewer approvals where it was not. */
export interface Change {
  what: string
  wider: boolean
  before: Outcome
  after: Outcome
  times: number
  last?: string
}

/** The questions that a record of the log holds, one for each target. None: it is of another kind, its texts were erased, or it was break-glass. */
export function findAsked({type, time, by, data = {}, personal}: OpenedEntry): Asked[] {
  if ((type !== 'request.created' && type !== 'request.refused') || by === undefined || data.breakGlass === true) return []
  const {argv, groups, role, target, address} = personal as Record<string, unknown>
  if (!texts(groups) || (data.kind !== 'exec' && data.kind !== 'shell' && data.kind !== 'forward' && data.kind !== 'role')) return []
  const scene =
    data.kind === 'exec'
      ? texts(argv) && argv.length > 0 && {argv, ...(typeof target === 'string' ? {target} : {})}
      : data.kind === 'role'
        ? typeof role === 'string' && {role}
        : typeof target === 'string' && {target, ...(data.kind === 'forward' ? {action: 'forward' as const} : {})}
  if (!scene) return []
  const refused = type === 'request.refused'
  const decision = refused ? 'deny' : data.decision === 'allow' ? 'allow' : 'request'
  const rules = texts(data.rules) ? data.rules : []
  const targets = data.kind === 'exec' && texts(data.targets) ? data.targets : [undefined]
  return targets.map(target => ({
    test: {
      file: 'log',
      line: 0,
      principal: by,
      groups,
      ...scene,
      ...(target === undefined ? {} : {target}),
      ...(typeof address === 'string' ? {address} : {}),
      ...(data.incident === true ? {incident: true} : {}),
      expect: decision,
    },
    times: 1,
    last: time,
    was: {decision, approvals: decision === 'request' && typeof data.approvalsNeeded === 'number' ? data.approvalsNeeded : 0, rules},
  }))
}

/** The same question asked often is one question; what was decided last counts. */
export function foldAsked(all: Iterable<Asked>): Asked[] {
  const folded = new Map<string, Asked>()
  for (const one of all) {
    const {principal, groups, action, use, argv, target, role, address, incident} = one.test
    const key = JSON.stringify([principal, groups, action, use, argv, target, role, address, incident])
    const known = folded.get(key)
    const newest = !known || (one.last ?? '') >= (known.last ?? '') ? one : known
    folded.set(key, {...newest, times: (known?.times ?? 0) + one.times})
  }
  return [...folded.values()]
}

/** What changes, the wider first, then by how often it was asked. Without `before` the log's own answers are what it was. */
export function compareBundles(before: Bundle | undefined, after: Bundle, asked: readonly Asked[]): Change[] {
  const tests = asked.map(({test}) => test)
  const [old, now] = [before && outcomes(before, tests), outcomes(after, tests)]
  const changes = asked.flatMap(({test, times, last, was}, at): Change[] => {
    const [then, next] = [old?.[at] ?? was, now[at]]
    if (!then || !next || (then.decision === next.decision && then.approvals === next.approvals)) return []
    return [{what: sceneOf(test), wider: width(next) > width(then), before: then, after: next, times, ...(last ? {last} : {})}]
  })
  return changes.sort(byWidth)
}

/** The wider first, then by how often it was asked. Pure. */
export function byWidth(a: Change, b: Change): number {
  return Number(b.wider) - Number(a.wider) || b.times - a.times
}

function outcomes(bundle: Bundle, tests: readonly PolicyTest[]): Outcome[] {
  return runTests(bundle, tests).map(({decision, approvals, rules}) => ({
    decision: decision ?? 'deny',
    approvals: decision === 'request' ? (approvals ?? 1) : 0,
    rules,
  }))
}

function width({decision, approvals}: Outcome): number {
  return decision === 'allow' ? 1 : decision === 'deny' ? 0 : 1 / (1 + Math.max(1, approvals))
}

function texts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(one => typeof one === 'string')
}
