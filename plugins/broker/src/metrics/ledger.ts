/**
 * The facts and counters of a store's log, kept in memory and carried on from where they stood: an entry is read once, whoever asks.
 * A restart reads the log again, in pages, other work going on between them.
 */
import {setImmediate} from 'node:timers/promises'
import type {Envelope, OpenedEntry} from '@prod/sdk/log/envelope'
import type {EntryRow, Store} from '../stores/store.ts'
import {addEvent, type Facts, metricTypes, newFacts} from './facts.ts'
import {forgetBefore} from './forget.ts'

const pageEntries = 1000
/** A report reaches this far back; what is older is in the counters alone. */
export const maxDays = 400
const dayMilliseconds = 86_400_000

/** Counts since the log began. */
export interface Counters {
  requests: Map<string, number>
  runs: Map<string, number>
  sessions: Map<string, number>
  breakGlass: Map<string, number>
  /** commands that CLIs told of, by command */
  commands: Map<string, number>
  /** reviews filed, by verdict */
  reviews: Map<string, number>
  credentials: Map<string, number>
  deadNotices: number
  /** seconds from a request to its last approval: how many were at most so many, their sum, their number */
  approvals: {buckets: number[]; sum: number; count: number}
}

/** Upper bounds of `approvals.buckets`, in seconds. */
export const approvalBuckets: readonly number[] = [15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 86_400]

/** What is known of a log so far. */
export interface Ledger {
  facts: Facts
  counters: Counters
}

interface Held extends Ledger {
  /** entries below it are counted */
  next: number
  /** one at a time */
  last: Promise<void>
  forgotten: number
}

type LogReader = Pick<Store, 'entries' | 'logSize' | 'now'>

const held = new WeakMap<LogReader, Held>()

function heldOf(store: LogReader): Held {
  const known = held.get(store)
  if (known) return known
  const made: Held = {
    facts: newFacts(),
    counters: {
      requests: new Map(),
      runs: new Map(),
      sessions: new Map(),
      breakGlass: new Map(),
      commands: new Map(),
      reviews: new Map(),
      credentials: new Map(),
      deadNotices: 0,
      approvals: {buckets: approvalBuckets.map(() => 0), sum: 0, count: 0},
    },
    next: 0,
    last: Promise.resolve(),
    forgotten: 0,
  }
  held.set(store, made)
  return made
}

/** Reads what the log got since the last time. What it gives is carried on by the next call. */
export async function catchUp(store: LogReader): Promise<Ledger> {
  const ledger = heldOf(store)
  ledger.last = ledger.last.catch(() => {}).then(() => readOn(store, ledger))
  await ledger.last
  return ledger
}

async function readOn(store: LogReader, ledger: Held): Promise<void> {
  const end = await store.logSize()
  while (ledger.next < end) {
    const page = await store.entries({from: ledger.next, limit: pageEntries})
    const rows = page.filter(({index}) => index < end)
    if (rows.length === 0) break
    for (const row of rows) {
      const type = typeOf(row.envelope)
      if (metricTypes.has(type) || type === 'notice.dead') take(ledger, openFor(row))
    }
    ledger.next = (rows.at(-1)?.index ?? end) + 1
    await setImmediate()
  }
  const oldest = store.now().getTime() - maxDays * dayMilliseconds
  if (oldest - ledger.forgotten < dayMilliseconds) return
  ledger.forgotten = oldest
  forgetBefore(ledger.facts, oldest)
}

/** The type of an entry without reading all of it: canonical JSON has it at its end. */
function typeOf(envelope: string): string {
  return /"type":"([a-z.-]+)","v":1\}$/.exec(envelope.slice(-96))?.[1] ?? (JSON.parse(envelope) as {type: string}).type
}

/** As openEntry, but of the personal texts only those that facts are made of: a reason or an argv is not even looked at. */
function openFor({envelope, openings}: EntryRow): OpenedEntry {
  const {commitments: _, ...rest} = JSON.parse(envelope) as Envelope
  const read = (name: string): unknown => (openings[name] === undefined ? undefined : JSON.parse(openings[name].value))
  const by = read('by')
  return {...rest, ...(typeof by === 'string' ? {by} : {}), personal: {groups: read('groups'), person: read('person')}}
}

function take(ledger: Held, event: OpenedEntry): void {
  count(ledger, event)
  addEvent(ledger.facts, event)
}

const states: Record<string, string> = {
  'request.created': 'created',
  'request.denied': 'denied',
  'request.cancelled': 'cancelled',
  'request.expired': 'expired',
  'request.voided': 'void',
  'request.refused': 'refused',
}

function count({counters, facts}: Held, {type, subject, data, time}: OpenedEntry): void {
  const add = (counts: Map<string, number>, name: string, more = 1): void => void counts.set(name, (counts.get(name) ?? 0) + more)
  const state = Object.hasOwn(states, type) ? states[type] : undefined
  if (state !== undefined) add(counters.requests, state)
  if ((type === 'request.approved' && data?.complete === true) || (type === 'request.created' && data?.decision === 'allow'))
    add(counters.requests, 'approved')
  if (type === 'run.started') add(counters.runs, String(data?.class))
  if (type === 'session.opened') {
    const forward = (data?.kind ?? facts.known.get(String(data?.request))?.kind) === 'forward'
    add(counters.sessions, data?.breakGlass === true ? 'break-glass' : forward ? 'forward' : 'shell')
  }
  if (data?.breakGlass === true && (type === 'run.started' || type === 'session.opened'))
    add(counters.breakGlass, type === 'run.started' ? 'exec' : 'shell')
  if (type === 'grant.credential') add(counters.credentials, String(data?.class))
  if (type === 'review.done') add(counters.reviews, String(data?.verdict))
  if (type === 'notice.dead') counters.deadNotices += 1
  if (type === 'usage.reported')
    for (const [command, one] of Object.entries((data?.commands ?? {}) as Record<string, {count?: unknown}>))
      add(counters.commands, command, Number(one.count) || 0)
  const request = type === 'request.approved' && data?.complete === true ? facts.known.get(subject) : undefined
  if (!request || request.approvedAt !== null) return
  const seconds = Math.max(0, (Date.parse(time) - request.at) / 1000)
  counters.approvals.count += 1
  counters.approvals.sum += seconds
  for (const [index, bound] of approvalBuckets.entries())
    if (seconds <= bound) counters.approvals.buckets[index] = (counters.approvals.buckets[index] ?? 0) + 1
}
