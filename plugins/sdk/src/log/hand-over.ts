/**
 * How a log goes from one key to the next: a checkpoint with two lines more, which names both keys and which both have
 * signed. It lies in the log as an entry (`log.key-changed`, right behind the records that it covers). The old key signs
 * trees up to its size, the new one all that are larger. Source of the form: c2sp.org/tlog-checkpoint (extension lines). Pure.
 */
import type {KeyObject} from 'node:crypto'
import {ProdError} from '../errors.ts'
import {type Checkpoint, openCheckpoint, parseCheckpoint} from './checkpoint.ts'
import type {Hash} from './merkle.ts'
import {noteSigner, openNote, parseVerifierKey, verifierKey} from './note.ts'

/** Type of the log's entry that holds a hand-over, as `data.note`. */
export const handOverType = 'log.key-changed'

/** What a hand-over says. `from` and `to` are verifier keys of the same name. */
export interface HandOver extends Checkpoint {
  from: string
  to: string
}

/** One key of a log, and the largest tree that it signs; null: it is the newest. */
export interface LogKey {
  key: string
  until: number | null
}

/** Signs that `to` takes over from `from` at this tree. */
export function signHandOver(name: string, from: KeyObject, to: KeyObject, size: number, root: Hash): string {
  const text = [
    name,
    size,
    Buffer.from(root).toString('base64'),
    `hand-over from ${verifierKey(name, from)}`,
    `hand-over to ${verifierKey(name, to)}`,
    '',
  ].join('\n')
  const line = noteSigner({name, privateKey: to})(text).slice(text.length + 1)
  return noteSigner({name, privateKey: from})(text) + line
}

/** Reads a hand-over that both its keys have signed. Throws SIGNATURE_INVALID for anything else. */
export function openHandOver(note: string): HandOver {
  const refuse = (cause?: unknown) =>
    new ProdError('SIGNATURE_INVALID', 'this is not a hand-over that both keys have signed', undefined, {cause})
  const [, from, to] = /^[^\n]+\n\d+\n[^\n]+\nhand-over from (\S+)\nhand-over to (\S+)\n\n/.exec(note) ?? []
  if (from === undefined || to === undefined || from === to) throw refuse()
  try {
    const [old, next] = [parseVerifierKey(from), parseVerifierKey(to)]
    const said = parseCheckpoint(openNote(note, old))
    openNote(note, next)
    if (said.origin === old.name && said.origin === next.name) return {...said, from, to}
  } catch (cause) {
    throw refuse(cause)
  }
  throw refuse()
}

/**
 * The keys of the log to which `key` belongs, oldest first, by hand-overs in their order. One that does not hold, does not
 * begin where the one before ended, or is not larger, ends the row with SIGNATURE_INVALID; so does a row without `key`.
 */
export function keysOf(key: string, notes: readonly string[]): LogKey[] {
  const keys: LogKey[] = []
  for (const note of notes) {
    const {from, to, size} = openHandOver(note)
    const last = keys.at(-1)
    if (last && (last.key !== from || size <= (keys.at(-2)?.until ?? -1)))
      throw new ProdError('SIGNATURE_INVALID', 'this hand-over does not follow the one before it')
    if (last) last.until = size
    else keys.push({key: from, until: size})
    keys.push({key: to, until: null})
  }
  if (keys.length === 0) return [{key, until: null}]
  if (!keys.some(one => one.key === key))
    throw new ProdError('SIGNATURE_INVALID', 'no hand-over of these leads to or from the key that is known')
  return keys
}

/** Reads a checkpoint signed by the key that is in force at its size. Throws SIGNATURE_INVALID for anything else. */
export function openCheckpointOf(note: string, keys: readonly LogKey[]): Checkpoint {
  const {size} = parseCheckpoint(note)
  const {key} = keys.find(({until}) => until === null || size <= until)!
  return openCheckpoint(note, key)
}

/** Whether two keys belong to one log, by these hand-overs. */
export function sameLog(one: string, other: string, notes: readonly string[]): boolean {
  return tryKeysOf(one, notes).some(({key}) => key === other)
}

/** Whether `now` is the newest key of the log that is remembered by `remembered`: by no hand-over where they are the same, else by a row of them. */
export function followsFrom(remembered: string, now: string, notes: readonly string[]): boolean {
  return tryKeysOf(remembered, notes).at(-1)?.key === now
}

function tryKeysOf(key: string, notes: readonly string[]): LogKey[] {
  try {
    return keysOf(key, notes)
  } catch {
    return []
  }
}
