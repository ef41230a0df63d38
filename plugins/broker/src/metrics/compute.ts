/** The figures of docs/metrics.md from events of the log. Pure: no name leaves, people are only counted. */
import type {MetricsReport} from '@prod/sdk/api'
import type {OpenedEntry} from '@prod/sdk/log/envelope'

/** Types of events that {@link computeMetrics} looks at. */
export const metricTypes = [
  'request.created',
  'request.approved',
  'request.denied',
  'request.cancelled',
  'request.expired',
  'request.voided',
  'request.refused',
  'grant.activated',
  'run.started',
  'session.opened',
  'session.closed',
  'review.done',
  'usage.reported',
] as const

/** A right on a shell lives no longer than this: events this much older than the period are needed to know what was held in it. */
export const leadMilliseconds = 50 * 3_600_000

/** What is measured: `events` from {@link leadMilliseconds} before `since` on, in any order; the reviews that are open at `until`. */
export interface Measured {
  since: Date
  until: Date
  events: readonly OpenedEntry[]
  openReviews: readonly {dueAt: string}[]
}

/** Whether an environment is production, by its name: it begins with `prod`. Pure. */
export function isProduction(environment: unknown): boolean {
  return typeof environment === 'string' && /^prod/i.test(environment)
}

/** All figures; null where there is nothing to divide by. */
export function computeMetrics({since, until, events, openReviews}: Measured): MetricsReport {
  const [from, to] = [since.toISOString(), until.toISOString()]
  const ordered = events.filter(({time}) => time < to).sort((a, b) => a.index - b.index)
  const within = ordered.filter(({time}) => time >= from)
  const of = (type: string): OpenedEntry[] => within.filter(event => event.type === type)
  const created = of('request.created')
  const refused = of('request.refused').reduce((sum, {data}) => sum + Number(data?.count ?? 1), 0)
  const denied = of('request.denied').length
  const shells = of('session.opened')
  const execs = of('run.started')
  const loud = [...shells, ...execs].filter(({data}) => data?.breakGlass === true)
  const automatic = created.filter(({data}) => data?.decision === 'allow' && data.breakGlass !== true).length
  const approvals = waits(ordered, from, ({type, subject, data}) =>
    type === 'request.approved' && data?.complete === true ? subject : undefined,
  )
  const usable = waits(ordered, from, ({type, data}) =>
    ['grant.activated', 'run.started', 'session.opened'].includes(type) ? data?.request : undefined,
  )
  const closed = of('session.closed').filter(({data}) => data?.endedBy !== 'not opened')
  const recorded = closed.filter(({data}) => Number(data?.chunks) > 0).length
  const held = heldShells(ordered, since, until)
  const used = usedShells(ordered, since, until)

  return {
    since: from,
    until: to,
    values: {
      shellPeopleHeld: held.people,
      shellHoursHeld: held.hours,
      shellPeopleUsed: used.people,
      shellHoursUsed: used.hours,
      shells: shells.length,
      execs: execs.length,
      shellShare: share(shells.length, shells.length + execs.length),
      requests: created.length,
      approvedAutomaticallyShare: share(automatic, automatic + approvals.length),
      approvalSecondsMean: mean(approvals),
      approvalSecondsP50: percentile(approvals, 0.5),
      approvalSecondsP95: percentile(approvals, 0.95),
      usableSecondsP50: percentile(usable, 0.5),
      usableSecondsP95: percentile(usable, 0.95),
      refusedByPolicy: refused,
      deniedByPeople: denied,
      deniedShare: share(refused + denied, created.length + refused),
      breakGlass: loud.length,
      reviewsOpen: openReviews.length,
      reviewsOverdue: openReviews.filter(({dueAt}) => dueAt < to).length,
      reviewsDone: of('review.done').length,
      sessionsRecorded: recorded,
      sessionsUnrecorded: closed.length - recorded,
      cliCommands: sum(of('usage.reported').map(({data}) => Number(data?.events) || 0)),
    },
    series: [
      series('shells', shells, since, until),
      series('execs', execs, since, until),
      series('requests', created, since, until),
      series('break-glass', loud, since, until),
    ],
  }
}

/** Seconds from the making of each request to the first event that names it by `about`. */
function waits(ordered: readonly OpenedEntry[], from: string, about: (event: OpenedEntry) => unknown): number[] {
  const createdAt = new Map<unknown, number>()
  const seconds: number[] = []
  for (const event of ordered) {
    if (event.type === 'request.created') createdAt.set(event.subject, Date.parse(event.time))
    const request = about(event)
    const start = createdAt.get(request)
    if (start === undefined) continue
    createdAt.delete(request)
    if (event.time >= from) seconds.push((Date.parse(event.time) - start) / 1000)
  }
  return seconds
}

interface Span {
  person: unknown
  from: number
  to: number
}

/** Rights on a shell in production: from the moment a shell's request may be used to the end of its session, or of the right itself. */
function heldShells(ordered: readonly OpenedEntry[], since: Date, until: Date): {people: number; hours: number} {
  const spans = new Map<unknown, Span>()
  const waiting = new Map<unknown, unknown>()
  const end = (request: unknown, time: string): void => {
    const span = spans.get(request)
    if (span) span.to = Math.min(span.to, Date.parse(time))
  }
  for (const {type, subject, time, data, by} of ordered) {
    const begin = (person: unknown): void => void spans.set(subject, {person, from: Date.parse(time), to: until.getTime()})
    if (type === 'request.created' && data?.kind === 'shell' && isProduction(data.environment)) {
      if (data.decision === 'allow') begin(by)
      else waiting.set(subject, by)
    } else if (type === 'request.approved' && data?.complete === true && waiting.has(subject)) begin(waiting.get(subject))
    else if (type === 'request.expired' || type === 'request.cancelled' || type === 'request.voided') end(subject, time)
    else if (type === 'session.closed') end(data?.request, time)
  }
  return clipped([...spans.values()], since, until)
}

/** Shells in production that stood open. */
function usedShells(ordered: readonly OpenedEntry[], since: Date, until: Date): {people: number; hours: number} {
  const spans = new Map<string, Span>()
  for (const {type, subject, time, data, by} of ordered) {
    if (type === 'session.opened' && isProduction(data?.environment))
      spans.set(subject, {person: by, from: Date.parse(time), to: until.getTime()})
    const span = type === 'session.closed' ? spans.get(subject) : undefined
    if (span) span.to = Math.min(span.to, Date.parse(time))
  }
  return clipped([...spans.values()], since, until)
}

function clipped(spans: Span[], since: Date, until: Date): {people: number; hours: number} {
  const inside = spans
    .map(({person, from, to}) => ({person, from: Math.max(from, since.getTime()), to: Math.min(to, until.getTime())}))
    .filter(({from, to}) => to >= from)
  return {people: new Set(inside.map(({person}) => person)).size, hours: round(sum(inside.map(({from, to}) => to - from)) / 3_600_000)}
}

const dayMilliseconds = 86_400_000
const longestByDay = 14 * dayMilliseconds

/** How many events each day (or, beyond two weeks, each week from Monday on) has; UTC. */
function series(name: string, events: readonly OpenedEntry[], since: Date, until: Date): MetricsReport['series'][number] {
  const weekly = until.getTime() - since.getTime() > longestByDay + 1000
  const first = new Date(since)
  first.setUTCHours(0, 0, 0, 0)
  if (weekly) first.setUTCDate(first.getUTCDate() - ((first.getUTCDay() + 6) % 7))
  const step = weekly ? 7 * dayMilliseconds : dayMilliseconds
  const points: {at: string; value: number}[] = []
  for (let at = first.getTime(); at < until.getTime(); at += step) points.push({at: new Date(at).toISOString(), value: 0})
  for (const {time} of events) {
    const point = points[Math.floor((Date.parse(time) - first.getTime()) / step)]
    if (point) point.value += 1
  }
  return {name, unit: weekly ? 'each week' : 'each day', points}
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : round(part / whole)
}

function mean(numbers: readonly number[]): number | null {
  return numbers.length === 0 ? null : round(sum(numbers) / numbers.length)
}

/** The smallest value that `part` of them do not exceed. */
function percentile(numbers: readonly number[], part: number): number | null {
  const sorted = [...numbers].sort((a, b) => a - b)
  const value = sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)]
  return value === undefined ? null : round(value)
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
