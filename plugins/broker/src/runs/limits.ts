/**
 * How often something may start (TM-F1, F3): per target, person, environment, service or in all, for one command (catalog),
 * for all that belongs to a service (catalog) and for everything (configuration). Each is a record of the store that is
 * written with the start, or the start is not written. What has started counts until its window is over, whatever became of it.
 */
import type {ToolClass} from '@prod/sdk'
import {canonical, sha256} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import {parseDuration, showDuration} from '@prod/sdk/grammar/duration'
import type {RunLimit} from '@prod/sdk/grammar/grammar'
import {machinesOf} from '../catalog/members.ts'
import type {Parts} from '../parts.ts'
import {layersOf} from '../policy/layers.ts'
import type {Plan} from '../requests/plan.ts'
import {canonicalName, canonicalPerson} from '../requests/state.ts'
import type {Put} from '../stores/store.ts'

/** Who starts, as limits compare people. */
export interface Starter {
  iss: string
  sub: string
  person: string
}

interface BudgetRecord {
  /** moments of the starts that still count, with how many at each: oldest first */
  starts: [at: string, count: number][]
}

/** One counter that a start is weighed against. */
interface Budget {
  key: string
  most: number
  per: string
  /** what is counted and for whom, in words: `web restart on this target` */
  words: string
}

const changing: readonly ToolClass[] = ['change', 'admin', 'shell']
/** windows with many starts are kept as this many moments: a start then counts up to a hundredth of its window longer */
const moments = 100

/** One name for one person, whatever account they came with. */
export function starterKey({iss, sub, person}: Starter): unknown {
  return person === '' ? [iss, sub] : canonicalPerson(person)
}

/** The counters that a start is weighed against. Pure but for the parts' bundle and configuration. */
function budgetsOf(parts: Pick<Parts, 'bundle' | 'config'>, plan: Plan, starter: Starter): Budget[] {
  const {target, tool} = plan
  if (!target) return []
  const {catalog} = parts.bundle()
  const services = [...new Set([tool?.service, target.service].filter(name => typeof name === 'string'))].sort()
  const machines = machinesOf(catalog, target)
  const found = new Map<string, Budget>()
  const add = (limit: RunLimit, about: unknown[], what: string, values: string[] = []): void => {
    const per = limit.per ?? '1h'
    const one = (scope: unknown[], most: number | undefined, where: string): void => {
      if (most === undefined) return
      const key = sha256(canonical(['starts', ...about, ...scope, per])).slice(0, 32)
      const known = found.get(key)
      if (!known || known.most > most) found.set(key, {key, most, per, words: `${what} ${where}`})
    }
    for (const machine of machines) one(['target', machine, ...values.map(canonicalName)], limit.perTarget, 'on one target')
    one(['person', starterKey(starter)], limit.perPerson, 'by one person')
    one(['environment', target.environment], limit.perEnvironment, `in ${target.environment}`)
    for (const service of services) one(['service', service], limit.perService, `on ${service}`)
    one(['total'], limit.total, 'in all')
  }
  if (plan.resource.kind === 'command') {
    for (const layer of layersOf(catalog, plan.resource)) {
      if (layer.kind !== 'command') continue
      const {structure} = layer
      const limit = layer.tool.grammar.commands[structure.command]?.limit
      if (limit) add(limit, ['command', layer.tool.name, structure.path], [layer.tool.name, ...structure.path].join(' '), structure.locks)
    }
  }
  if (changing.includes(plan.class)) {
    for (const name of services) {
      const limit = catalog.services.get(name)?.limits.runs
      if (limit) add(limit, ['service', name], `what changes ${name} starts`)
    }
  }
  for (const {class: classes = changing, ...limit} of parts.config.limits) {
    if (classes.includes(plan.class)) add(limit, ['all', [...classes].sort()], `what is of class ${classes.join(', ')} starts`)
  }
  return [...found.values()]
}

/** Whether any counter or daily limit is about it: such starts go in line. */
export function isCounted(parts: Pick<Parts, 'bundle' | 'config'>, plan: Plan): boolean {
  if (plan.target === null) return false
  if (parts.config.limits.some(({class: classes = changing}) => classes.includes(plan.class))) return true
  if ([plan.tool?.service, plan.target.service].some(name => parts.bundle().catalog.services.get(name ?? '')?.limits.runs)) return true
  if (plan.resource.kind !== 'command') return false
  return layersOf(parts.bundle().catalog, plan.resource).some(
    layer => layer.kind === 'command' && layer.tool.grammar.commands[layer.structure.command]?.limit !== undefined,
  )
}

/** What counting gave: the writes that belong into the commit of the start, and what a break-glass goes beyond. */
export interface Counted {
  put: Put[]
  beyond: string[]
}

/**
 * The writes that count this start. Throws LIMIT_REACHED and says when it is free again; a break-glass is counted too, and
 * goes beyond. Several brokers together never overshoot: each write is conditional.
 */
export async function countStart(parts: Parts, plan: Plan, starter: Starter, breakGlass = false): Promise<Counted> {
  const now = parts.store.now().getTime()
  const counted: Counted = {put: [], beyond: []}
  for (const budget of budgetsOf(parts, plan, starter)) await weigh(parts, budget, now, counted, breakGlass)
  return counted
}

/** Weighs one start against one counter: what it writes, and whether it goes beyond. Throws LIMIT_REACHED where it may not. */
async function weigh(
  parts: Pick<Parts, 'store'>,
  {key, most, per, words}: Budget,
  now: number,
  counted: Counted,
  mayGoBeyond = false,
): Promise<void> {
  const windowMs = parseDuration(per) * 1000
  const stored = await parts.store.find<BudgetRecord>('budget', key)
  const since = new Date(now - windowMs).toISOString()
  const starts = (stored?.value.starts ?? []).filter(([at]) => at > since)
  const used = starts.reduce((sum, [, count]) => sum + count, 0)
  if (used >= most) {
    const times = most === 1 ? 'once' : `${most} times`
    if (!mayGoBeyond) throw reached(`${words} at most ${times} in ${per}`, freeAt(starts, used - most + 1) + windowMs, now)
    counted.beyond.push(`${words} at most ${times} in ${per}: this is number ${used + 1}`)
  }
  counted.put.push({
    kind: 'budget',
    id: key,
    version: stored?.version ?? 0,
    value: {starts: gather([...starts, [new Date(now).toISOString(), 1]], most, windowMs)} satisfies BudgetRecord,
    index: {dueAt: new Date(now + windowMs).toISOString()},
  })
}

/** what a machine at work asks for in ten minutes lies far below */
const mostMints = 120
const mints = {
  mints: 'a credential is minted for one person',
  looks: 'targets are looked for by one person',
  usage: 'usage is told of by one person',
} as const

/**
 * Counts a credential that a person asks for, or that looking for targets takes, whatever becomes of it, and what their CLI tells of itself
 * (TM-F1, E13). Throws LIMIT_REACHED.
 */
export async function countMint(parts: Pick<Parts, 'store'>, starter: Starter, what: keyof typeof mints = 'mints'): Promise<void> {
  const key = sha256(canonical([what, starterKey(starter)])).slice(0, 32)
  for (;;) {
    const counted: Counted = {put: [], beyond: []}
    const now = parts.store.now().getTime()
    await weigh(parts, {key, most: mostMints, per: '10m', words: mints[what]}, now, counted)
    const saved = await parts.store.commit({put: counted.put, events: []})
    if (saved.ok) return
  }
}

/** When the first `count` of these starts were over, were their window nothing. */
function freeAt(starts: BudgetRecord['starts'], count: number): number {
  let left = count
  for (const [at, of] of starts) {
    left -= of
    if (left <= 0) return Date.parse(at)
  }
  return Date.parse(starts.at(-1)?.[0] ?? '')
}

/** Many starts as few moments: those of one hundredth of the window are all as late as the latest of them. */
function gather(starts: BudgetRecord['starts'], most: number, windowMs: number): BudgetRecord['starts'] {
  if (most <= moments) return starts
  const slots = new Map<number, [string, number]>()
  for (const [at, count] of starts) {
    const slot = Math.floor((Date.parse(at) * moments) / windowMs)
    slots.set(slot, [at, (slots.get(slot)?.[1] ?? 0) + count])
  }
  return [...slots.values()]
}

/** LIMIT_REACHED, with the moment from which it is free again. */
export function reached(message: string, freeAt: number, now: number): ProdError {
  const seconds = Math.max(1, Math.ceil((freeAt - now) / 1000))
  const free = new Date(now + seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z')
  return new ProdError('LIMIT_REACHED', `${message}; free again at ${free}`, `try again in ${showDuration(seconds)}`, {
    retryAfterSeconds: seconds,
  })
}

const lines = new WeakMap<object, Promise<unknown>>()

/** Starts that lean on counters go one by one on this broker: the store would let one of them through at a time anyway. */
export function inLine<T>(store: object, work: () => Promise<T>): Promise<T> {
  const next = (lines.get(store) ?? Promise.resolve()).then(work, work)
  lines.set(
    store,
    next.catch(() => {}),
  )
  return next
}
