/** Figures for those who run the broker, as Prometheus reads them. Counters are counted from the log, so that a restart loses nothing. */
import type {Review} from '@prod/sdk'
import type {OpenedEntry} from '@prod/sdk/log/envelope'
import {Counter, Gauge, Registry} from 'prom-client'
import type {Parts} from '../parts.ts'
import type {Store} from '../stores/store.ts'
import {readEvents} from './read.ts'

const states: Record<string, string> = {
  'request.created': 'created',
  'request.denied': 'denied',
  'request.cancelled': 'cancelled',
  'request.expired': 'expired',
  'request.voided': 'void',
  'request.refused': 'refused',
}
const types = [...Object.keys(states), 'request.approved', 'run.started', 'session.opened', 'notice.dead']

interface Tally {
  /** entries below it are counted */
  next: number
  requests: Map<string, number>
  runs: Map<string, number>
  sessions: Map<string, number>
  breakGlass: Map<string, number>
  deadNotices: number
  /** one count at a time */
  last: Promise<void>
}

const tallies = new WeakMap<Store, Tally>()

function tallyOf(store: Store): Tally {
  const known = tallies.get(store)
  if (known) return known
  const made: Tally = {
    next: 0,
    requests: new Map(),
    runs: new Map(),
    sessions: new Map(),
    breakGlass: new Map(),
    deadNotices: 0,
    last: Promise.resolve(),
  }
  tallies.set(store, made)
  return made
}

function count(tally: Tally, {type, data}: OpenedEntry): void {
  const add = (counts: Map<string, number>, name: string): void => void counts.set(name, (counts.get(name) ?? 0) + 1)
  const state = states[type]
  if (state !== undefined) add(tally.requests, state)
  if ((type === 'request.approved' && data?.complete === true) || (type === 'request.created' && data?.decision === 'allow'))
    add(tally.requests, 'approved')
  if (type === 'run.started') add(tally.runs, String(data?.class))
  if (type === 'session.opened') add(tally.sessions, data?.breakGlass === true ? 'break-glass' : 'shell')
  if (data?.breakGlass === true && (type === 'run.started' || type === 'session.opened'))
    add(tally.breakGlass, type === 'run.started' ? 'exec' : 'shell')
  if (type === 'notice.dead') tally.deadNotices += 1
}

/** Counts what the log got since the last time. */
async function catchUp(store: Store): Promise<Tally> {
  const tally = tallyOf(store)
  tally.last = tally.last
    .catch(() => {})
    .then(async () => {
      const end = await store.logSize()
      const events = await Array.fromAsync(readEvents(store, types, tally.next, end)) // all or none, so that nothing counts twice
      for (const event of events) count(tally, event)
      tally.next = end
    })
  await tally.last
  return tally
}

/** The figures as text of the exposition format. `live`: runs and sessions of this broker; `alarms`: told since its start. */
export async function renderPrometheus(
  parts: Pick<Parts, 'store' | 'bundle'>,
  {live, alarms}: {live: number; alarms: number},
): Promise<string> {
  const {store} = parts
  const [tally, notices, reviews, size] = await Promise.all([
    catchUp(store),
    store.countNotices(),
    store.list<Review>({kind: 'review', state: 'open'}),
    store.logSize(),
  ])
  const now = store.now()
  const registry = new Registry()
  const gauge = (name: string, help: string, value: number): void => new Gauge({name, help, registers: [registry]}).set(value)
  const counter = (name: string, help: string, value: number): void => new Counter({name, help, registers: [registry]}).inc(value)
  const counters = (name: string, help: string, label: string, values: Map<string, number>): void => {
    const made = new Counter({name, help, labelNames: [label], registers: [registry]})
    for (const [key, value] of values) made.inc({[label]: key}, value)
  }
  counters('broker_requests_total', 'requests by what became of them', 'state', tally.requests)
  counters('broker_runs_total', 'runs started, by class', 'class', tally.runs)
  counters('broker_sessions_total', 'shells opened', 'kind', tally.sessions)
  counters('broker_break_glass_total', 'how often glass was broken', 'kind', tally.breakGlass)
  counter('broker_notices_dead_total', 'notices given up after 24 hours', tally.deadNotices)
  counter('broker_alarms_total', 'alarms since the start', alarms)
  gauge('broker_live', 'runs and sessions that live on this broker now', live)
  gauge('broker_outbox_waiting', 'notices that wait to be accepted', notices.waiting)
  gauge('broker_outbox_dead', 'notices kept that were given up', notices.dead)
  gauge(
    'broker_outbox_oldest_seconds',
    'age of the oldest notice that waits',
    notices.oldestAt === null ? 0 : Math.max(0, (now.getTime() - Date.parse(notices.oldestAt)) / 1000),
  )
  gauge('broker_reviews_open', 'reviews of break-glass that wait', reviews.length)
  gauge(
    'broker_reviews_overdue',
    'reviews of break-glass past their time',
    reviews.filter(({value}) => value.dueAt < now.toISOString()).length,
  )
  gauge('broker_log_entries', 'entries of the log', size)
  gauge(
    'broker_bundle_loaded_timestamp_seconds',
    'when the catalog and policy in force were loaded',
    Date.parse(parts.bundle().loadedAt) / 1000,
  )
  return registry.metrics()
}
