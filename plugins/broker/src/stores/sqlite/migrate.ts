/** Brings the tables of an SQLite store from an older version to this one. The log's entries are never rewritten. */
import {statSync} from 'node:fs'
import {DatabaseSync} from 'node:sqlite'
import {ProdError} from '@prod/sdk/errors'
import {prepareFile} from './files.ts'
import {takeLock} from './lock.ts'
import {checkVersion, schemaVersion, versionOf} from './schema.ts'

/** One step: the SQL that makes version `to` of the version before it. */
export interface Step {
  to: number
  sql: string
}

/** Every step since version 1, oldest first. A new {@link schemaVersion} brings one; version 1 is the first, so there is none yet. */
const allSteps: readonly Step[] = []

/**
 * Runs the steps that are missing, in one transaction, while no broker has the file open; safe to repeat. Throws CONFIG_INVALID where
 * there is no store, STORE_IN_USE beside a broker, STORE_UNAVAILABLE for a newer file or a step that fails: the file is then as it was.
 */
export function migrateSqlite(
  file: string,
  steps: readonly Step[] = allSteps,
  current: number = schemaVersion,
): {from: number; to: number} {
  if (!statSync(file, {throwIfNoEntry: false})?.isFile()) {
    throw new ProdError('CONFIG_INVALID', `there is no store at ${file}`, 'prod broker start --config FILE makes one')
  }
  prepareFile(file)
  const lock = takeLock(file, 'stop the broker, then prod broker migrate again')
  const db = new DatabaseSync(file, {timeout: 10_000})
  try {
    db.exec('PRAGMA synchronous = FULL; BEGIN IMMEDIATE')
    const from = versionOf(db)
    if (from === 0) throw new ProdError('CONFIG_INVALID', `${file} holds no store yet`, 'prod broker start --config FILE makes one')
    if (from > current) checkVersion(file, from, current)
    const missing = steps.filter(({to}) => to > from && to <= current)
    if (missing.length !== current - from)
      throw new ProdError('STORE_UNAVAILABLE', `no way is known from version ${from} to ${current}`, 'prod --version')
    for (const {to, sql} of missing) db.exec(`${sql}; PRAGMA user_version = ${to}`)
    db.exec('COMMIT')
    return {from, to: current}
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    if (error instanceof ProdError) throw error
    throw new ProdError(
      'STORE_UNAVAILABLE',
      `${file} could not be brought to version ${current}: ${(error as Error).message}`,
      'prod doctor',
      {cause: error},
    )
  } finally {
    db.close()
    lock.close()
  }
}
