/** The one writer of an SQLite store: runs in the store's own thread, since a durable commit waits for the disk. */
import {createPrivateKey, createPublicKey, type KeyObject, randomBytes} from 'node:crypto'
import {DatabaseSync, type StatementSync} from 'node:sqlite'
import type {Notice} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {checkpointSigner, openCheckpoint} from '@prod/sdk/log/checkpoint'
import {sealEvent} from '@prod/sdk/log/envelope'
import {handOverType, signHandOver} from '@prod/sdk/log/hand-over'
import {append, copyFrontier, type Frontier, frontier, leafHash, rootOf, sameHash} from '@prod/sdk/log/merkle'
import {verifierKey} from '@prod/sdk/log/note'
import {hashesFromTiles} from '@prod/sdk/log/tiles'
import type {Blank, Expect} from '../store.ts'
import type {Done, Group, GroupDone, Job, ThreadStart} from './jobs.ts'
import {takeLock} from './lock.ts'
import {checkVersion, schema, versionOf} from './schema.ts'
import {tileReader} from './tile-reader.ts'

/** A writer. `run` is one transaction, durable when it returns without `failed`. */
export interface Writer {
  readonly size: number
  readonly checkpoint: string
  run(group: Group): GroupDone
  close(): void
}

/** Entries between checkpoints that are kept for good; the newest one is kept always. */
const keptEvery = 256
/** Records at the end of the log that are hashed again at each start. */
const tailChecked = 256

/** Opens the file. Throws STORE_IN_USE beside another broker, STORE_UNAVAILABLE for a log that does not fit its checkpoint. */
export function openWriter({file, name, privateKey, next: ready, instance}: ThreadStart): Writer {
  const lock = takeLock(file)
  const db = new DatabaseSync(file, {timeout: 10_000})
  try {
    // secure_delete: what is erased or written over leaves no copy in the file's free pages (TM-E12)
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864; PRAGMA secure_delete = ON')
    const version = versionOf(db)
    if (version === 0) db.exec(`BEGIN IMMEDIATE; ${schema} COMMIT`)
    else checkVersion(file, version)
    const token = randomBytes(16).toString('hex')
    db.prepare('INSERT INTO holder VALUES (1, ?) ON CONFLICT DO UPDATE SET token = excluded.token').run(token)

    let key = ready && signedLast(db, name, ready) ? ready : privateKey
    let sign = checkpointSigner({name, privateKey: key})
    let tree = readTree(db, file, verifierKey(name, createPublicKey(key)))
    let checkpoint = tree.checkpoint ?? sign(0, rootOf(frontier()))
    if (tree.checkpoint === undefined) db.prepare('INSERT INTO checkpoints VALUES (0, ?)').run(checkpoint)

    const sql = statements(db)
    return {
      get size() {
        return tree.size
      },
      get checkpoint() {
        return checkpoint
      },
      run(group) {
        const next = copyFrontier(tree)
        let [nextKey, nextSign] = [key, sign]
        const handOver = (pem: string): boolean => {
          const to = createPrivateKey(pem)
          if (createPublicKey(to).equals(createPublicKey(nextKey))) return false
          const note = signHandOver(name, nextKey, to, next.size, rootOf(next))
          const event = {type: handOverType, by: 'broker', subject: 'log', data: {note}}
          addEntry(sql, next, sealEvent(event, {index: next.size, time: group.time, instance, random: randomBytes}))
          ;[nextKey, nextSign] = [to, checkpointSigner({name, privateKey: to})]
          return true
        }
        try {
          sql.begin.run()
          if (sql.holder.get()?.token !== token) throw new ProdError('STORE_IN_USE', `another broker took over ${file}`)
          const done = group.jobs.map(job =>
            job.do === 'hand-over' ? {handedOver: handOver(job.key)} : runJob(sql, job, group.time, next, instance),
          )
          let signed = checkpoint
          if (next.size > tree.size) {
            signed = nextSign(next.size, rootOf(next))
            if (Math.floor(tree.size / keptEvery) === Math.floor(next.size / keptEvery)) sql.dropCheckpoint.run(tree.size)
            sql.addCheckpoint.run(next.size, signed)
          }
          sql.commit.run()
          tree = next
          checkpoint = signed
          ;[key, sign] = [nextKey, nextSign]
          // the journal still has the pages as they were: it is emptied, as far as no reader looks at it
          if (group.jobs.some(job => job.do === 'commit' && job.erase)) db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
          return {done, size: tree.size, checkpoint}
        } catch (error) {
          if (db.isTransaction) sql.rollback.run()
          return {failed: describeFailure(error)}
        }
      },
      close() {
        db.close()
        lock.close()
      },
    }
  } catch (error) {
    db.close()
    lock.close()
    throw error
  }
}

/** Whether this key signed the newest checkpoint: then its hand-over was committed, though the key's file is not in its place yet. */
function signedLast(db: DatabaseSync, name: string, key: KeyObject): boolean {
  const note = db.prepare('SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1').get()?.note
  try {
    openCheckpoint(String(note), verifierKey(name, createPublicKey(key)))
    return true
  } catch {
    return false
  }
}

/** The tree at its right edge, checked: size, tail and root must be those of the newest checkpoint, and that one signed by us. */
function readTree(db: DatabaseSync, file: string, key: string): Frontier & {checkpoint?: string} {
  const damaged = (why: string) =>
    new ProdError('STORE_UNAVAILABLE', `the log in ${file} is damaged: ${why}`, 'prod audit verify --dir DIR')
  const size = Number(db.prepare('SELECT ifnull(max(idx) + 1, 0) AS size FROM entries').get()!.size)
  const checkpoint = db.prepare('SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1').get()?.note as string | undefined
  if (checkpoint === undefined) {
    if (size > 0) throw damaged('it has no checkpoint')
    return frontier()
  }
  const signed = openCheckpoint(checkpoint, key)
  if (signed.size !== size) throw damaged(`it has ${size} records and a checkpoint for ${signed.size}`)
  for (const row of db.prepare('SELECT idx, envelope, leaf FROM entries WHERE idx >= ? ORDER BY idx').iterate(size - tailChecked)) {
    if (!sameHash(leafHash(String(row.envelope)), row.leaf as Uint8Array)) throw damaged(`record ${row.idx} does not fit its hash`)
  }
  const tiles = tileReader(db)
  const tree = frontier(
    size,
    hashesFromTiles(size, (level, index, width) => {
      const tile = tiles(level, index, width)
      if (!tile) throw damaged(`hash tile ${level}/${index} is not whole`)
      return tile
    }),
  )
  if (!sameHash(rootOf(tree), signed.root)) throw damaged(`its records do not give the root that was signed at ${size}`)
  return {...tree, checkpoint}
}

type Statements = ReturnType<typeof statements>

function statements(db: DatabaseSync) {
  const prepare = (sql: string): StatementSync => db.prepare(sql)
  return {
    begin: prepare('BEGIN IMMEDIATE'),
    commit: prepare('COMMIT'),
    rollback: prepare('ROLLBACK'),
    holder: prepare('SELECT token FROM holder'),
    version: prepare('SELECT version FROM records WHERE kind = ? AND id = ?'),
    insert: prepare('INSERT INTO records (kind, id, version, value, state, owner, due_at) VALUES (?, ?, 1, ?, ?, ?, ?)'),
    update: prepare('UPDATE records SET version = version + 1, value = ?, state = ?, owner = ?, due_at = ? WHERE kind = ? AND id = ?'),
    remove: prepare('DELETE FROM records WHERE kind = ? AND id = ?'),
    entry: prepare('INSERT INTO entries (idx, envelope, openings, leaf) VALUES (?, ?, ?, ?)'),
    node: prepare('INSERT INTO nodes (level, idx, hash) VALUES (?, ?, ?)'),
    addCheckpoint: prepare('INSERT INTO checkpoints (size, note) VALUES (?, ?)'),
    openings: prepare('SELECT openings FROM entries WHERE idx = ?'),
    keepOpenings: prepare('UPDATE entries SET openings = ? WHERE idx = ?'),
    dropCheckpoint: prepare('DELETE FROM checkpoints WHERE size = ?'),
    notice: prepare('INSERT INTO outbox (channel, notice, created_at, due_at) VALUES (?, ?, ?, ?)'),
    take: prepare('SELECT id, channel, notice, tries, created_at FROM outbox WHERE dead = 0 AND due_at <= ? ORDER BY due_at, id LIMIT ?'),
    taken: prepare('UPDATE outbox SET tries = tries + 1, due_at = ? WHERE id = ?'),
    delivered: prepare('DELETE FROM outbox WHERE id = ?'),
    retry: prepare('UPDATE outbox SET due_at = ?, why = ? WHERE id = ?'),
    dead: prepare('UPDATE outbox SET dead = 1, why = ? WHERE id = ?'),
    notices: prepare('SELECT id, notice FROM outbox'),
    keepNotice: prepare('UPDATE outbox SET notice = ? WHERE id = ?'),
  }
}

function runJob(sql: Statements, job: Exclude<Job, {do: 'hand-over'}>, time: string, tree: Frontier, instance: string): Done {
  if (job.do === 'take') {
    const taken = sql.take.all(time, job.limit).map(row => ({
      id: Number(row.id),
      channel: String(row.channel),
      notice: JSON.parse(String(row.notice)),
      tries: Number(row.tries),
      createdAt: String(row.created_at),
    }))
    for (const {id} of taken) sql.taken.run(job.until, id)
    return {taken}
  }
  if (job.do === 'settle') {
    if ('delivered' in job.outcome) sql.delivered.run(job.id)
    else if ('dead' in job.outcome) sql.dead.run(job.outcome.dead, job.id)
    else sql.retry.run(job.outcome.retryAt, job.outcome.why, job.id)
    return {settled: true}
  }

  // all checks come before the first write: a change that fails them has then written nothing and needs no savepoint
  const holds = ({kind, id, version}: Expect) => Number(sql.version.get(kind, id)?.version ?? 0) === version
  if (!job.expect.every(holds) || !job.put.every(holds) || !job.remove.every(holds)) return {ok: false}
  const sealed = []
  try {
    for (const [n, event] of job.events.entries())
      sealed.push(sealEvent(event, {index: tree.size + n, time, instance, random: randomBytes}))
  } catch (error) {
    if (error instanceof ProdError) return {refused: {code: error.code, message: error.message}}
    throw error
  }

  for (const {kind, id, version, value, index} of job.put) {
    const columns = [value, index?.state ?? null, index?.owner ?? null, index?.dueAt ?? null] as const
    if (version === 0) sql.insert.run(kind, id, ...columns)
    else sql.update.run(...columns, kind, id)
  }
  for (const {kind, id, version} of job.remove) if (version > 0) sql.remove.run(kind, id)
  for (const one of job.erase ?? []) eraseTexts(sql, one)
  if (job.blank) blankNotices(sql, job.blank)
  for (const {channel, notice} of job.notices) sql.notice.run(channel, notice, time, time)
  return {ok: true, indices: sealed.map(one => addEntry(sql, tree, one))}
}

/** Drops texts that lie beside an entry. What is hashed is not touched. */
function eraseTexts(sql: Statements, {index, fields}: {index: number; fields: string[]}): void {
  const row = sql.openings.get(index)
  if (!row) return
  const kept = Object.entries(JSON.parse(String(row.openings)) as object).filter(([name]) => !fields.includes(name))
  sql.keepOpenings.run(JSON.stringify(Object.fromEntries(kept)), index)
}

/** Takes people out of notices, with their words where it is they of whom they tell. */
function blankNotices(sql: Statements, {subjects, names, by}: Blank): void {
  const about = new Set(subjects)
  for (const {id, notice: text} of sql.notices.all()) {
    const notice = JSON.parse(String(text)) as Notice
    if (!about.has(notice.subject)) continue
    const denier = names.find(name => notice.title.endsWith(` by ${name}`))
    const title = denier === undefined ? notice.title : `${notice.title.slice(0, -denier.length)}${by}`
    const theirs = names.includes(notice.principal) ? {principal: by, reason: by} : {}
    sql.keepNotice.run(JSON.stringify({...notice, title, ...theirs}), Number(id))
  }
}

/** Writes one entry and what it makes whole of the tree; gives its index. */
function addEntry(sql: Statements, tree: Frontier, {envelope, openings}: ReturnType<typeof sealEvent>): number {
  const index = tree.size
  const leaf = leafHash(envelope)
  sql.entry.run(index, envelope, JSON.stringify(openings), leaf)
  append(tree, leaf, (level, node, hash) => {
    if (level % 8 === 0) sql.node.run(level / 8, node, hash)
  })
  return index
}

/** What people are told of a failure: the database's words for one of the disk, the code alone for a bug. */
export function describeFailure(error: unknown): {code: ProdError['code']; message: string; hint?: string} {
  if (error instanceof ProdError) return {code: error.code, message: error.message, ...(error.hint === undefined ? {} : {hint: error.hint})}
  const text = error instanceof Error ? error.message : String(error)
  if ((error as {code?: string}).code === 'ERR_SQLITE_ERROR')
    return {code: 'STORE_UNAVAILABLE', message: `the store cannot be used: ${text}`, hint: 'prod doctor'}
  return {code: 'INTERNAL', message: error instanceof Error ? (error.stack ?? text) : text}
}
