/**
 * The embedded store: one SQLite file, one broker. Writes go to a thread of their own and are gathered while a commit is
 * under way (group commit: the disk is waited for once for all of them); reads use a read-only connection right here,
 * which sees every commit that has been answered.
 */
import type {KeyObject} from 'node:crypto'
import {DatabaseSync} from 'node:sqlite'
import {ProdError} from '@prod/sdk/errors'
import {inclusionProof} from '@prod/sdk/log/merkle'
import {verifierKey} from '@prod/sdk/log/note'
import {hashesFromTiles} from '@prod/sdk/log/tiles'
import type {Change, Committed, OutboxRow, Store} from '../store.ts'
import {keepCheckpoint} from './checkpoint-file.ts'
import {prepareFile} from './files.ts'
import type {Done, Job} from './jobs.ts'
import {readEntries, recordReader} from './queries.ts'
import {startThread} from './thread.ts'
import {tileReader} from './tile-reader.ts'

/** Where the store lies and whose log it keeps. */
export interface SqliteStoreOptions {
  /** by custom `DIR/broker.sqlite` ({@link storeFile} of @prod/sdk/log/folder) */
  file: string
  /** `next`: a key that lies ready and may have been handed over to */
  log: {name: string; privateKey: KeyObject; next?: KeyObject | undefined}
  clock?: () => Date
  /** this broker's name in the log's entries */
  instance: string
}

/**
 * Opens or makes the store. Throws STORE_IN_USE beside another broker, CONFIG_INVALID for a file that is not private to us
 * or on a network file system, STORE_UNAVAILABLE for a disk that cannot be used or a log that does not fit its checkpoint.
 */
export async function openSqliteStore({file, log, clock = () => new Date(), instance}: SqliteStoreOptions): Promise<Store> {
  prepareFile(file)
  const {name, privateKey, next} = log
  const thread = await startThread({file, instance, name, privateKey, ...(next ? {next} : {})}, clock)
  const beside = await keepCheckpoint(file, verifierKey(name, privateKey), thread).catch(async error => {
    await thread.close()
    throw error
  })
  const db = new DatabaseSync(file, {readOnly: true, timeout: 10_000})
  const records = recordReader(db)
  const tiles = tileReader(db)
  const waiting = db.prepare('SELECT 1 FROM outbox WHERE dead = 0 AND due_at <= ? LIMIT 1')
  const counts = db.prepare(
    'SELECT ifnull(sum(dead = 0), 0) AS waiting, ifnull(sum(dead), 0) AS dead, min(iif(dead = 0, created_at, NULL)) AS oldest FROM outbox',
  )
  const listeners = new Set<Parameters<Store['subscribe']>[0]>()
  thread.onCommit(changed => {
    beside.note(thread.state().checkpoint)
    if (changed.length > 0) for (const listener of listeners) listener(changed)
  })

  async function ask<K extends string>(job: Job, key: K): Promise<Extract<Done, Record<K, unknown>>> {
    const done = await thread.run(job)
    if ('refused' in done) throw new ProdError(done.refused.code, done.refused.message)
    if (!(key in done)) throw new TypeError('the store answered another question')
    return done as Extract<Done, Record<K, unknown>>
  }

  let closing: Promise<void> | undefined
  return {
    now: clock,
    async commit(change): Promise<Committed> {
      const done = await ask(writeDown(change), 'ok')
      return done.ok ? {ok: true, indices: done.indices, checkpoint: thread.state().checkpoint} : {ok: false}
    },
    find: async (kind, id) => records.find(kind, id),
    list: async query => records.list(query),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },

    async takeNotices(limit, leaseSeconds): Promise<OutboxRow[]> {
      const now = clock()
      if (!waiting.get(now.toISOString())) return [] // nothing due: no write
      return (await ask({do: 'take', limit, until: new Date(now.getTime() + leaseSeconds * 1000).toISOString()}, 'taken')).taken
    },
    async settleNotice(id, outcome) {
      await ask({do: 'settle', id, outcome}, 'settled')
    },
    async countNotices() {
      const row = counts.get()!
      return {waiting: Number(row.waiting), dead: Number(row.dead), oldestAt: row.oldest === null ? null : String(row.oldest)}
    },

    async changeLogKey(key) {
      return (await ask({do: 'hand-over', key: key.export({format: 'pem', type: 'pkcs8'}).toString()}, 'handedOver')).handedOver
    },
    logSize: async () => thread.state().size,
    entries: query => readEntries(db, query),
    tile: async (level, index, width) => tiles(level, index, width),
    checkpoint: async () => thread.state().checkpoint,
    async inclusionProof(index, size) {
      return inclusionProof(
        index,
        size,
        hashesFromTiles(size, (level, tile, width) => {
          const hashes = tiles(level, tile, width)
          if (!hashes) throw new RangeError(`the log has not ${size} records`)
          return hashes
        }),
      )
    },

    close() {
      closing ??= (async () => {
        await thread.close(() => db.close()) // the writer closes last: it then leaves one whole file and no -wal
        await beside.done()
      })()
      return closing
    },
  }
}

/** A change as a job: values become JSON text here, and what could never be written is refused as the bug it is. */
function writeDown({expect = [], put = [], remove = [], events, erase, blank, notices = []}: Change): Job {
  const written = new Set<string>()
  for (const {kind, id} of [...put, ...remove]) {
    if (written.has(`${kind} ${id}`)) throw new TypeError(`one change writes ${kind} ${id} twice`)
    written.add(`${kind} ${id}`)
  }
  return {
    do: 'commit',
    expect,
    remove,
    events,
    ...(erase ? {erase} : {}),
    ...(blank ? {blank} : {}),
    put: put.map(({value, ...rest}) => {
      const text = JSON.stringify(value) as string | undefined
      if (text === undefined) throw new TypeError(`${rest.kind} ${rest.id} has no value`)
      return {...rest, value: text}
    }),
    notices: notices.flatMap(({channels, notice}) => channels.map(channel => ({channel, notice: JSON.stringify(notice)}))),
  }
}
