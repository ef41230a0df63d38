/**
 * Erases what two people agreed on. Every step is one commit with its event, and may be repeated: a broker that dies in between goes on
 * at its next start. What they did comes last of the log, since it tells what belonged to them.
 */
import {rm} from 'node:fs/promises'
import {join} from 'node:path'
import type {Review} from '@prod/sdk'
import {openEntry} from '@prod/sdk/log/envelope'
import {showName} from '@prod/sdk/text'
import {type FreezeRecord, freezeId, putFreeze} from '../freeze/state.ts'
import {type ConferralRecord, putConferral} from '../grants/conferral-record.ts'
import {type GrantRecord, putGrant} from '../grants/state.ts'
import {readAnew} from '../metrics/ledger.ts'
import type {Parts} from '../parts.ts'
import {person, putRequest} from '../requests/create.ts'
import type {RequestRecord} from '../requests/state.ts'
import {type ErasedMark, putRun, type RunRecord} from '../runs/record.ts'
import {putReview, putSession, type SessionRecord} from '../sessions/record.ts'
import type {AuditEvent, Change, EntryRow, Kind, Put, Stored} from '../stores/store.ts'
import {openOf} from './open.ts'
import {type ErasureRecord, putErasure} from './record.ts'
import {erasedText, fieldsOf, isTheirs, nobody, ranges, tellsOf, type Whom, without} from './whom.ts'

/** Entries whose texts go in one commit. */
const batchEntries = 500
const pageEntries = 1000
/** How often what somebody else wrote meanwhile is looked at again at once; the next pass goes on. */
const mostRounds = 5

const underWay = new WeakMap<Parts['store'], Set<string>>()

/** Goes on with what was agreed to and is not done. */
export async function performErasures(parts: Parts): Promise<void> {
  for (const {id} of await parts.store.list({kind: 'erasure', state: 'agreed'})) await perform(parts, id)
}

/** Erases what this erasure says; nothing where it is done, or being done. */
export async function perform(parts: Parts, id: string): Promise<void> {
  const busy = underWay.get(parts.store) ?? new Set()
  underWay.set(parts.store, busy)
  if (busy.has(id)) return
  busy.add(id)
  try {
    const stored = await parts.store.find<ErasureRecord>('erasure', id)
    if (stored?.value.state !== 'agreed' || !stored.value.agreed) return
    const {agreed, by} = stored.value
    const task: Task = {
      parts,
      record: stored.value,
      mark: {erasure: id, at: agreed.at, by: agreed.by.name},
      event: (type, subject, data) => ({
        type,
        by: person({principal: agreed.by}),
        subject,
        data: {erasure: id, ...data},
        personal: {name: agreed.by.name, with: by.person},
      }),
      count: {...stored.value.erased},
      conflicts: 0,
    }
    for (let round = 0; round < mostRounds; round++) {
      task.conflicts = 0
      if (stored.value.whom && !(await erasePerson(task, stored.value.whom))) return
      for (const thing of stored.value.things) await eraseContent(task, thing)
      if (task.conflicts === 0) return await finish(task, stored)
    }
  } finally {
    busy.delete(id)
  }
}

interface Task {
  parts: Parts
  record: ErasureRecord
  mark: ErasedMark
  event(type: string, subject: string, data: Record<string, unknown>): AuditEvent
  count: ErasureRecord['erased']
  /** records that somebody else wrote at the same time: they are as they were, and it is not done yet */
  conflicts: number
}

/** Whether it was written. */
async function write(task: Task, change: Change): Promise<boolean> {
  const {ok} = await task.parts.store.commit(change)
  if (!ok) task.conflicts += 1
  return ok
}

async function finish({parts, event, count, record}: Task, {version}: Stored<ErasureRecord>): Promise<void> {
  const done: ErasureRecord = {...record, state: 'done', person: null, whom: null, doneAt: parts.store.now().toISOString(), erased: count}
  await parts.store.commit({
    put: [putErasure(done, version)],
    erase: [], // the records that went leave no copy in the journal
    events: [event('erasure.done', record.id, {about: record.about, things: record.things, ...count})],
  })
}

/** Stored output or recording of one run or session: the files first, then that they are gone. */
async function eraseContent(task: Task, id: string): Promise<void> {
  const {parts, mark, event, count} = task
  const isRun = id.startsWith('run_')
  const stored = await parts.store.find<RunRecord | SessionRecord>(isRun ? 'run' : 'session', id)
  if (!stored) return
  await rm(join(parts.config.dir, isRun ? 'outputs' : 'recordings', id), {recursive: true, force: true})
  if (stored.value.erased) return
  const change = isRun
    ? runChange(stored as Stored<RunRecord>, mark)
    : {chunks: (stored.value as SessionRecord).chunks, put: putSession({...(stored.value as SessionRecord), erased: mark}, stored.version)}
  const ok = await write(task, {
    put: [change.put],
    events: [event(isRun ? 'output.erased' : 'recording.erased', id, {chunks: change.chunks})],
  })
  if (ok && change.chunks > 0) count[isRun ? 'outputs' : 'recordings'] += 1
}

function runChange({value, version}: Stored<RunRecord>, mark: ErasedMark): {chunks: number; put: Put} {
  return {chunks: value.outputChunks, put: putRun({...value, outputChunks: 0, erased: mark}, version)}
}

/** False: they began something after the two had agreed, which goes on to its end first. Their logins are over by then, so that nothing more begins. */
async function erasePerson(task: Task, whom: Whom): Promise<boolean> {
  const {parts, count} = task
  const subjects = await subjectsOf(parts, whom)
  await eraseRecords(task, whom, ['login'])
  if (await openOf(parts, whom, [])) return false
  for (const id of subjects) if (/^(run|ses)_/.test(id) && (await isOwn(parts, whom, id))) await eraseContent(task, id)
  // a record tells whose it is until its files are told to be gone
  if (task.conflicts > 0) return true
  await parts.store.commit({blank: {subjects: [...subjects], names: whom.names.map(showName), by: erasedText}, events: []})
  await eraseTexts(task, whom, subjects)
  for (const kind of ['run', 'session', 'review'] as const)
    for (const stored of await mentioning(parts, whom, kind)) {
      if (await write(task, {put: [blank(whom, task.mark, stored)], events: []})) count.records += 1
    }
  await eraseFromErasures(task, whom)
  // the figures are read from the log again, as it is now
  await readAnew(parts.store)
  for (const {kind, id, version} of await parts.store.list({kind: 'facts'}))
    await parts.store.commit({remove: [{kind, id, version}], events: []})
  await eraseRecords(task, whom, removed)
  return true
}

/** What they did as one of the two: what they had asked for lapses, for who takes their place could agree to it. */
async function eraseFromErasures(task: Task, whom: Whom): Promise<void> {
  const {parts, record} = task
  for (const {id, value, version} of (await mentioning(parts, whom, 'erasure')) as Stored<ErasureRecord>[]) {
    if (id === record.id) continue
    const rest = without(whom, record.id, value) as ErasureRecord
    const isAskedByThem = value.state === 'asked' && isOwned(whom, value.by)
    await write(task, {put: [putErasure(isAskedByThem ? {...rest, until: value.askedAt} : rest, version)], events: []})
    if (!value.agreed || !isOwned(whom, value.agreed.by)) continue
    for (const kind of ['run', 'session'] as const)
      for (const marked of await parts.store.list<RunRecord | SessionRecord>({kind, mentions: id})) {
        const {erased} = marked.value
        if (typeof erased !== 'object' || erased.erasure !== id) continue
        const unnamed = {...marked.value, erased: {...erased, by: erasedText}}
        const put = kind === 'run' ? putRun(unnamed as RunRecord, marked.version) : putSession(unnamed as SessionRecord, marked.version)
        await write(task, {put: [put], events: []})
      }
  }
}

/** Records of these kinds: their own go, and others' lose them. */
async function eraseRecords(task: Task, whom: Whom, kinds: readonly Kind[]): Promise<void> {
  const {parts, count} = task
  for (const kind of kinds)
    for (const {id, value, version} of await mentioning(parts, whom, kind)) {
      const isTheirOwn = isOwned(whom, value)
      const put = putAgain(kind, {kind, id, version, value: without(whom, task.record.id, value)})
      const isLive = kind === 'login' && (value as {revokedAt?: string | null}).revokedAt === null
      const events = isLive ? [task.event('login.ended', id, {why: 'erased'})] : []
      if (await write(task, {...(isTheirOwn ? {remove: [{kind, id, version}]} : {put: [put]}), events})) count.records += 1
    }
}

/** Kinds of which a person's own go, and others' lose them. */
const removed = ['request', 'grant', 'person', 'membership', 'rollout', 'handin', 'conferral', 'idempotency', 'budget', 'meta'] as const

/** A record of others, found by what it was found by before. */
function putAgain(kind: Kind, {id, value, version}: Stored<unknown>): Put {
  if (kind === 'request') return {...putRequest(value as RequestRecord, version), id}
  if (kind === 'grant') return putGrant(value as GrantRecord, version)
  if (kind === 'meta' && id === freezeId) {
    // the first of two who lift it is not there any more
    const freeze = value as FreezeRecord
    return putFreeze(freeze.lift?.by.iss === '' ? {...freeze, lift: null} : freeze, version)
  }
  if (kind === 'conferral') return putConferral(value as ConferralRecord, version)
  return {kind, id, version, value, index: {state: (value as {state?: string}).state ?? 'over'}}
}

async function mentioning(parts: Parts, whom: Whom, kind: Kind): Promise<Stored<unknown>[]> {
  const found = new Map<string, Stored<unknown>>()
  // a record says them by their ids, whatever else it says of them
  for (const text of [...whom.subs, ...whom.owners, ...whom.persons])
    for (const stored of await parts.store.list({kind, mentions: JSON.stringify(text).slice(1, -1)}))
      if (tellsOf(whom, stored.value)) found.set(stored.id, stored)
  return [...found.values()]
}

function isOwned(whom: Whom, value: unknown): boolean {
  const {principal, iss, sub, person: id, grant} = value as Record<string, unknown>
  const of = (principal ?? (grant as {principal?: unknown} | undefined)?.principal ?? {iss, sub}) as {iss?: string; sub?: string}
  return whom.owners.includes(`${of.iss}#${of.sub}`) || (principal === undefined && typeof id === 'string' && tellsOf(whom, id))
}

async function isOwn(parts: Parts, whom: Whom, id: string): Promise<boolean> {
  const found = await parts.store.find(id.startsWith('run_') ? 'run' : 'session', id)
  return found !== undefined && isOwned(whom, found.value)
}

/** What stays of a run, session or review: that there was one, and how it ended. Of others' their part goes alone. */
function blank(whom: Whom, mark: ErasedMark, {id, value, version}: Stored<unknown>): Put {
  const rest = without(whom, mark.erasure, value) as RunRecord | SessionRecord | Review
  const isTheirs = isOwned(whom, value)
  if (id.startsWith('rev_')) return putReview(rest as Review, version)
  const words = isTheirs ? {principal: nobody(mark.erasure), reason: erasedText} : {}
  if (!id.startsWith('run_')) return putSession({...(rest as SessionRecord), ...words}, version)
  return putRun({...(rest as RunRecord), ...words, ...(isTheirs ? {argv: []} : {})}, version)
}

/** Ids of what was theirs: what they did something about, and what the records say. */
async function subjectsOf(parts: Parts, whom: Whom): Promise<Set<string>> {
  const subjects = new Set<string>()
  for (const kind of ['request', 'run', 'session', 'grant', 'review', 'login'] as const)
    for (const {id, value} of await mentioning(parts, whom, kind)) if (isOwned(whom, value)) subjects.add(id)
  for await (const entry of naming(parts, whom)) if (isTheirs(whom, entry)) subjects.add(openEntry(entry).subject)
  return subjects
}

/** The entries in which any of their ids or names stands. */
export async function* naming(parts: Pick<Parts, 'store'>, whom: Whom): AsyncGenerator<EntryRow> {
  for (const text of new Set([...whom.persons, ...whom.owners, ...whom.subs, ...whom.names])) {
    for (let from = 0; ; ) {
      const page = await parts.store.entries({from, limit: pageEntries, text})
      yield* page
      const last = page.at(-1)
      if (!last || page.length < pageEntries) break
      from = last.index + 1
    }
  }
}

async function eraseTexts(task: Task, whom: Whom, subjects: ReadonlySet<string>): Promise<void> {
  const others = new Map<number, string[]>()
  const own = new Map<number, string[]>()
  for await (const entry of naming(task.parts, whom)) {
    const fields = fieldsOf(whom, entry, subjects)
    if (fields.length > 0) (isTheirs(whom, entry) ? own : others).set(entry.index, fields)
  }
  for (const found of [others, own]) {
    const erase = [...found].sort(([a], [b]) => a - b).map(([index, fields]) => ({index, fields}))
    for (let at = 0; at < erase.length; at += batchEntries) {
      const batch = erase.slice(at, at + batchEntries)
      const texts = batch.reduce((sum, {fields}) => sum + fields.length, 0)
      const {ok} = await task.parts.store.commit({
        erase: batch,
        events: [task.event('text.erased', task.record.id, {entries: ranges(batch.map(({index}) => index)), texts})],
      })
      if (ok) task.count.texts += texts
    }
  }
}
