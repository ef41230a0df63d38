/** Figures for those who run the broker, as Prometheus reads them. Counters are counted from the log, so that a restart loses nothing. */
import type {Review} from '@prod/sdk'
import {figures} from '@prod/sdk/figures'
import {Counter, Gauge, Registry} from 'prom-client'
import type {Parts} from '../parts.ts'
import {drillAge} from './doctor.ts'
import {figuresOf, materialOf, narrow, touchedIncidents, type Values} from './figures.ts'
import {approvalBuckets, type Counters, catchUp, type Ledger} from './ledger.ts'

const dayMilliseconds = 86_400_000
/** The gauges of the figures are over so many days. */
const windowDays = 30
const keepMilliseconds = 60_000

/** What this broker knows of itself, beside its store. */
export interface Running {
  /** runs and sessions that live on it */
  live: number
  /** since its start */
  alarms: number
}

/** `shellPeopleHeld` as Prometheus writes names: `broker_30d_shell_people_held`; with the unit where there is one. Pure. */
export function gaugeName(name: string): string {
  return `broker_30d_${name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)}`
}

const kept = new WeakMap<Ledger, {at: number; values: Values}>()

/** The figures of the last 30 days; counted anew once a minute at most. */
export async function currentFigures({store, config}: Pick<Parts, 'store' | 'config'>): Promise<Values> {
  const ledger = await catchUp(store)
  const now = store.now().getTime()
  const known = kept.get(ledger)
  if (known && Math.abs(now - known.at) < keepMilliseconds) return known.values
  const [since, until] = [now - windowDays * dayMilliseconds, now + 1]
  const values = figuresOf(narrow(materialOf(ledger.facts), since, until), {
    since,
    until,
    reviewMilliseconds: config.breakGlass.reviewDueHours * 3_600_000,
    touched: touchedIncidents(ledger.facts.uses, until),
  })
  kept.set(ledger, {at: now, values})
  return values
}

/** The figures as text of the exposition format. */
export async function renderPrometheus(parts: Pick<Parts, 'store' | 'bundle' | 'config'>, {live, alarms}: Running): Promise<string> {
  const {store} = parts
  const [{counters: tally}, notices, reviews, size, values, drilled] = await Promise.all([
    catchUp(store),
    store.countNotices(),
    store.list<Review>({kind: 'review', state: 'open'}),
    store.logSize(),
    currentFigures(parts),
    drillAge(parts),
  ])
  const now = store.now()
  const registry = new Registry()
  const gauge = (name: string, help: string, value: number): void => new Gauge({name, help, registers: [registry]}).set(value)
  const counter = (name: string, help: string, value: number): void => new Counter({name, help, registers: [registry]}).inc(value)
  const counters = (name: string, help: string, label: string, counted: Map<string, number>): void => {
    const made = new Counter({name, help, labelNames: [label], registers: [registry]})
    for (const [key, value] of counted) made.inc({[label]: key}, value)
  }
  counters('broker_requests_total', 'requests by what became of them', 'state', tally.requests)
  counters('broker_runs_total', 'runs started, by class', 'class', tally.runs)
  counters('broker_sessions_total', 'shells and forwards opened', 'kind', tally.sessions)
  counters('broker_break_glass_total', 'how often glass was broken', 'kind', tally.breakGlass)
  counters('broker_credentials_total', 'credentials of granted roles handed out, by class of the role', 'class', tally.credentials)
  counters('broker_reviews_done_total', 'reviews of break-glass filed, by verdict', 'verdict', tally.reviews)
  counters('broker_cli_commands_total', 'commands that CLIs told of', 'command', tally.commands)
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
  if (drilled !== null)
    gauge('broker_break_glass_drill_age_seconds', 'since break-glass without the broker was practised last', drilled / 1000)
  gauge('broker_log_entries', 'entries of the log', size)
  gauge(
    'broker_bundle_loaded_timestamp_seconds',
    'when the catalog and policy in force were loaded',
    Date.parse(parts.bundle().loadedAt) / 1000,
  )
  for (const {name, words} of figures) {
    const value = values[name]
    if (value !== null && value !== undefined) gauge(gaugeName(name), `${words}, over ${windowDays} days`, value)
  }
  return (await registry.metrics()) + histogram(tally.approvals)
}

/** prom-client's histogram takes observations; what is here was counted already. */
function histogram({buckets, sum, count}: Counters['approvals']): string {
  const name = 'broker_approval_seconds'
  const lines = approvalBuckets.map((bound, index) => `${name}_bucket{le="${bound}"} ${buckets[index]}`)
  return [
    `# HELP ${name} from a request to the last approval that it needed`,
    `# TYPE ${name} histogram`,
    ...lines,
    `${name}_bucket{le="+Inf"} ${count}`,
    `${name}_sum ${sum}`,
    `${name}_count ${count}`,
    '',
  ].join('\n')
}
