/** Checks the log in a broker's data folder, or in a copy of one, without the broker. */
import {copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {DatabaseSync} from 'node:sqlite'
import {pathToFileURL} from 'node:url'
import {ProdError} from '../errors.ts'
import type {Opening} from './envelope.ts'
import {sameHash} from './merkle.ts'
import {checkLog, type Verdict} from './verify.ts'

/** Name of the embedded store in the data folder. */
export const storeFile = 'broker.sqlite'
/** Where the data folder has the log's verifier key, as C2SP text. */
export const logKeyFile = 'keys/log.pub'
/** The newest checkpoint, kept beside the store a moment after it was signed: shows a store that was put back to an older state. */
export const checkpointFile = 'log.checkpoint'

/**
 * Checks entries, leaf hashes, hash tiles and checkpoints of the store in `dir` with `key`, or with the verifier key that
 * lies in the folder (then whoever could rewrite the folder could also have exchanged the key: give the one you know).
 * The broker may be running; a copy needs the store's file and, if there is one, its `-wal` file. Throws NOT_FOUND
 * without a store or key; damage is never thrown, but named in the verdict.
 */
export async function verifyFolder(dir: string, key?: string): Promise<Verdict> {
  const file = join(dir, storeFile)
  if (!existsSync(file)) throw new ProdError('NOT_FOUND', `there is no log in ${dir}`, 'prod audit verify --dir DIR')
  const beside = read(join(dir, checkpointFile)) // first: the store may only be ahead of it
  const used = key ?? read(join(dir, logKeyFile))?.trim()
  if (used === undefined) throw new ProdError('NOT_FOUND', `there is no ${logKeyFile} in ${dir}, so nothing can vouch for its log`)

  const check = checkLog()
  const notes: string[] = []
  const tiles = new Map<string, Uint8Array>()
  const damaged = await withStore(file, db => {
    for (const row of db.prepare('SELECT note FROM checkpoints ORDER BY size').iterate()) notes.push(String(row.note))
    for (const row of db.prepare('SELECT level, idx, hash FROM nodes').iterate())
      tiles.set(`${row.level}/${row.idx}`, row.hash as Uint8Array)
    for (const row of db.prepare('SELECT idx, envelope, openings, leaf FROM entries ORDER BY idx').iterate()) {
      const openings = parseOpenings(row.openings)
      if (!openings || !(row.leaf instanceof Uint8Array)) check.bad('the record cannot be read')
      else check.entry({index: Number(row.idx), envelope: String(row.envelope), openings, leaf: row.leaf})
    }
  })
  if (damaged !== undefined) check.bad(`the store cannot be read from here on: ${damaged}`)

  return check.finish(notes.at(-1) ?? '', used, beside ? [...notes.slice(0, -1), beside] : notes.slice(0, -1), (level, index, hash) => {
    if (level % 8 !== 0) return undefined
    const kept = tiles.get(`${level / 8}/${index}`)
    return kept && sameHash(kept, hash) ? undefined : 'a kept hash tile is not the one of these records'
  })
}

/** Reads the store in one snapshot. Answers with the database's own words where it is damaged. */
async function withStore(file: string, use: (db: DatabaseSync) => void): Promise<string | undefined> {
  const {DatabaseSync} = await import('node:sqlite')
  const attempt = (path: string): {failed: string; code: number} | undefined => {
    let db: DatabaseSync | undefined
    try {
      // without a -wal file nobody writes: read the file alone, so that nothing is made beside it
      const url = pathToFileURL(path)
      if (!existsSync(`${path}-wal`)) url.searchParams.set('immutable', '1')
      db = new DatabaseSync(url, {readOnly: true, timeout: 5000})
      db.exec('BEGIN')
      db.prepare('SELECT 1 FROM sqlite_schema').get()
    } catch (error) {
      db?.close()
      return describe(error)
    }
    try {
      use(db)
      return undefined
    } catch (error) {
      return {...describe(error), code: 0}
    } finally {
      db.close()
    }
  }
  const first = attempt(file)
  if (!first || ![8, 14].includes(first.code)) return first?.failed // SQLITE_READONLY, SQLITE_CANTOPEN: a folder that cannot be written, as evidence should be
  const copy = mkdtempSync(join(tmpdir(), 'prod-verify-'))
  try {
    for (const end of ['', '-wal']) if (existsSync(file + end)) copyFileSync(file + end, join(copy, storeFile + end))
    return attempt(join(copy, storeFile))?.failed
  } finally {
    rmSync(copy, {recursive: true, force: true})
  }
}

function describe(error: unknown): {failed: string; code: number} {
  const code = (error as {errcode?: number}).errcode ?? 0
  return {failed: error instanceof Error ? error.message : String(error), code: code % 256}
}

function parseOpenings(text: unknown): Record<string, Opening> | undefined {
  try {
    const value = JSON.parse(String(text)) as Record<string, Opening>
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
