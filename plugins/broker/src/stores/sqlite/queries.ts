/** The store's reads. */

import type {DatabaseSync, SQLInputValue, StatementSync} from 'node:sqlite'
import {setImmediate} from 'node:timers/promises'
import type {EntryRow, Kind, Query, Store, Stored} from '../store.ts'

/** Entries looked through before other work gets its turn. */
const searchStep = 2000
/** Entries in one answer at most. */
const entriesLimit = 1000

/** One spelling of each text. */
const spelled = (text: string): string => text.normalize('NFC').toLowerCase()

/** Records by id and by their index columns. */
export function recordReader(db: DatabaseSync): {
  find<T>(kind: Kind, id: string): Stored<T> | undefined
  list<T>(query: Query): Stored<T>[]
} {
  const one = db.prepare('SELECT version, value FROM records WHERE kind = ? AND id = ?')
  const prepared = new Map<string, StatementSync>()
  db.function('mentions', {deterministic: true}, (value, text) => Number(spelled(String(value)).includes(String(text))))
  return {
    find<T>(kind: Kind, id: string) {
      const row = one.get(kind, id)
      return row && {kind, id, version: Number(row.version), value: JSON.parse(String(row.value)) as T}
    },
    list<T>({kind, state, owner, mentions, dueBefore, newest, limit}: Query) {
      const states = state === undefined ? [] : [state].flat()
      if (state !== undefined && states.length === 0) return []
      const where = ['kind = ?']
      const values: SQLInputValue[] = [kind, ...states]
      if (states.length > 0) where.push(`state IN (${states.map(() => '?').join(', ')})`)
      const and = (clause: string, value: string | undefined) => {
        if (value === undefined) return
        where.push(clause)
        values.push(value)
      }
      and('owner = ?', owner)
      and('mentions(value, ?) = 1', mentions === undefined ? undefined : spelled(mentions))
      and('due_at <= ?', dueBefore)
      const sql = `SELECT id, version, value FROM records WHERE ${where.join(' AND ')} ORDER BY seq ${newest ? 'DESC' : 'ASC'} LIMIT ?`
      const statement = prepared.get(sql) ?? db.prepare(sql)
      prepared.set(sql, statement)
      return statement.all(...values, limit ?? -1).map(row => ({
        kind,
        id: String(row.id),
        version: Number(row.version),
        value: JSON.parse(String(row.value)) as T,
      }))
    },
  }
}

/**
 * Entries with an index of `from` or more, oldest first or `newest` first; at most 1,000. `text` is looked for in the
 * envelope and in the opened texts, whatever its case; that walks the log in steps, other work going on between them.
 */
export async function readEntries(
  db: DatabaseSync,
  {from, limit, newest, type, subject, text}: Parameters<Store['entries']>[0],
): Promise<EntryRow[]> {
  const most = Math.min(limit, entriesLimit)
  const where = ['idx >= ?', 'idx < ?', ...(type === undefined ? [] : ['type = ?']), ...(subject === undefined ? [] : ['subject = ?'])]
  const values = [type, subject].filter(value => value !== undefined)
  const statement = db.prepare(
    `SELECT idx, envelope, openings FROM entries WHERE ${where.join(' AND ')} ORDER BY idx ${newest ? 'DESC' : 'ASC'} LIMIT ?`,
  )
  const read = (first: number, end: number, count: number) =>
    statement.all(first, end, ...values, count).map(row => ({
      index: Number(row.idx),
      envelope: String(row.envelope),
      openings: JSON.parse(String(row.openings)) as EntryRow['openings'],
    }))
  if (text === undefined) return read(from, Number.MAX_SAFE_INTEGER, most)

  const size = Number(db.prepare('SELECT ifnull(max(idx) + 1, 0) AS size FROM entries').get()!.size)
  const wanted = spelled(JSON.stringify(text).slice(1, -1)) // as it is written inside JSON
  const found: EntryRow[] = []
  for (let step = 0; found.length < most; step++) {
    const first = newest ? Math.max(from, size - (step + 1) * searchStep) : from + step * searchStep
    const end = newest ? size - step * searchStep : first + searchStep
    if (first >= end || first >= size) break
    for (const row of read(first, end, searchStep)) {
      if (found.length < most && holds(row, wanted)) found.push(row)
    }
    await setImmediate()
  }
  return found
}

function holds({envelope, openings}: EntryRow, wanted: string): boolean {
  return spelled(envelope).includes(wanted) || Object.values(openings).some(({value}) => spelled(value).includes(wanted))
}
