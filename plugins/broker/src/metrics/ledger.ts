/**
 * The facts and counters of a store's log, in memory and carried on from where they stood: an entry is read once, whoever asks. What each ten
 * thousand entries told is kept beside the log, so that a restart reads that, and of the log only what came after. Other work goes on in between.
 */
import {hash} from 'node:crypto'
import {setImmediate} from 'node:timers/promises'
import type {Envelope, OpenedEntry} from '@prod/sdk/log/envelope'
import type {EntryRow, Store} from '../stores/store.ts'
import {addTold, type Facts, isForward, newFacts} from './facts.ts'
import {forgetBefore} from './forget.ts'
import {type Columns, pack, type Told, tellsOf, toldOf, unpack} from './told.ts'

const pageEntries = 1000
const chunkEntries = 10_000
/** Counted up whenever what is kept of an entry changes: what is kept in another form is made anew. */
const chunkForm = 1

/** What so many entries told; `last`: the digest of the last of them, so that no other log's is taken for it. */
interface Chunk {
  form: number
  last: string
  columns: Columns
}

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

type LogReader = Pick<Store, 'entries' | 'logSize' | 'now' | 'find' | 'commit'>

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

/** Texts of the log were erased: what it told before is forgotten, and read anew when somebody asks. Nothing of before is written once it resolves. */
export async function readAnew(store: LogReader): Promise<void> {
  const before = held.get(store)
  held.delete(store)
  await before?.last.catch(() => {})
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
    const whole = ledger.next % chunkEntries === 0
    if (whole && ledger.next + chunkEntries <= end && (await takeChunk(store, ledger))) continue
    const chunkEnd = (Math.floor(ledger.next / chunkEntries) + 1) * chunkEntries
    const read: Told[] = []
    for await (const page of toldPages(store, ledger.next, Math.min(end, chunkEnd))) {
      for (const told of page.told) take(ledger, told)
      if (whole) read.push(...page.told)
      ledger.next = page.next
    }
    if (ledger.next < Math.min(end, chunkEnd)) break
    if (ledger.next === chunkEnd) await keepChunk(store, chunkEnd, whole ? read : undefined)
  }
  const oldest = store.now().getTime() - maxDays * dayMilliseconds
  if (oldest - ledger.forgotten < dayMilliseconds) return
  ledger.forgotten = oldest
  forgetBefore(ledger.facts, oldest)
}

/** What a part of the log tells, page by page, other work going on between them. */
async function* toldPages(store: LogReader, from: number, end: number): AsyncGenerator<{told: Told[]; next: number}> {
  for (let next = from; next < end; ) {
    const rows = await store.entries({from: next, limit: Math.min(pageEntries, end - next)})
    if (rows.length === 0) return
    next = (rows.at(-1) as EntryRow).index + 1
    yield {told: rows.flatMap(row => (tellsOf(typeOf(row.envelope)) ? (toldOf(openFor(row)) ?? []) : [])), next}
    await setImmediate()
  }
}

/** Takes what is kept of the chunk that begins here. False: nothing is, or it is not of these entries. */
async function takeChunk(store: LogReader, ledger: Held): Promise<boolean> {
  const end = ledger.next + chunkEntries
  const kept = await store.find<Chunk>('facts', chunkId(end))
  if (kept?.value.form !== chunkForm) return false
  if (kept.value.last !== (await lastOf(store, end))) return false
  for (const told of unpack(kept.value.columns)) take(ledger, told)
  ledger.next = end
  await setImmediate()
  return true
}

/**
 * Keeps what a chunk told beside the log; of one that was not read as a whole just now it is read again, since texts of it may have been erased.
 * Another broker may have kept it; what cannot be kept now is read again after the next start.
 */
async function keepChunk(store: LogReader, end: number, read: readonly Told[] | undefined): Promise<void> {
  const id = chunkId(end)
  try {
    const all = [...(read ?? [])]
    if (!read) for await (const {told} of toldPages(store, end - chunkEntries, end)) all.push(...told)
    const known = await store.find<Chunk>('facts', id)
    const value: Chunk = {form: chunkForm, last: await lastOf(store, end), columns: pack(all)}
    await store.commit({put: [{kind: 'facts', id, version: known?.version ?? 0, value}], events: []})
  } catch {
    // a full disk keeps nobody from the figures
  }
}

const chunkId = (end: number): string => `to-${end}`
/** The digest of the last entry before `end`. */
async function lastOf(store: LogReader, end: number): Promise<string> {
  const [last] = await store.entries({from: end - 1, limit: 1})
  return last?.index === end - 1 ? hash('sha256', last.envelope) : ''
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

function take(ledger: Held, told: Told): void {
  count(ledger, told)
  addTold(ledger.facts, told)
}

const states: Record<string, string> = {
  'request.created': 'created',
  'request.denied': 'denied',
  'request.cancelled': 'cancelled',
  'request.expired': 'expired',
  'request.voided': 'void',
  'request.refused': 'refused',
}

function count({counters, facts}: Held, told: Told): void {
  const {type, subject, at, complete, allowed, loud, class: kind} = told
  const add = (counts: Map<string, number>, name: string, more = 1): void => void counts.set(name, (counts.get(name) ?? 0) + more)
  const state = Object.hasOwn(states, type) ? states[type] : undefined
  if (state !== undefined) add(counters.requests, state)
  if (complete || (type === 'request.created' && allowed)) add(counters.requests, 'approved')
  if (type === 'run.started') add(counters.runs, kind)
  if (type === 'session.opened') add(counters.sessions, loud ? 'break-glass' : isForward(facts, told) ? 'forward' : 'shell')
  if (loud && (type === 'run.started' || type === 'session.opened')) add(counters.breakGlass, type === 'run.started' ? 'exec' : 'shell')
  if (type === 'grant.credential') add(counters.credentials, kind)
  if (type === 'review.done') add(counters.reviews, told.name ?? '')
  if (type === 'notice.dead') counters.deadNotices += 1
  for (const [command, times] of told.usage?.commands ?? []) add(counters.commands, command, times)
  const request = complete ? facts.known.get(subject) : undefined
  if (!request || request.approvedAt !== null) return
  const seconds = Math.max(0, (at - request.at) / 1000)
  counters.approvals.count += 1
  counters.approvals.sum += seconds
  for (const [index, bound] of approvalBuckets.entries())
    if (seconds <= bound) counters.approvals.buckets[index] = (counters.approvals.buckets[index] ?? 0) + 1
}
