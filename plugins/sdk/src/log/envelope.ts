/**
 * What one entry of the log is. The **envelope** is what is hashed; personal texts are in it only as salted commitments,
 * SHA-256 over the RFC 8785 bytes of `[salt, value]`. The **openings** lie beside the log: they can be erased, and then
 * nothing in the log tells who it was, while every proof still holds. Pure.
 */
import {hash} from 'node:crypto'
import {canonical} from '../document.ts'
import {ProdError} from '../errors.ts'
import {maxEntryBytes} from './tiles.ts'

/** What happened: `type` is `noun.past-verb`, `by` who did it, `subject` the id it is about. `personal` is committed to, `data` stays in clear. */
export interface LogEvent {
  type: string
  by: string
  subject: string
  correlation?: string
  data?: Record<string, unknown>
  personal?: Record<string, unknown>
}

/** One personal field: `value` is the RFC 8785 JSON text of it (`"alice"` with its quotes, `["unit","restart"]`). */
export interface Opening {
  salt: string
  value: string
}

/** The canonical JSON that is hashed. `commitments` always has `by`, and each personal field under its name: hex. */
export interface Envelope {
  v: 1
  index: number
  /** ISO 8601, UTC, the store's clock */
  time: string
  /** which broker wrote it */
  instance: string
  type: string
  subject: string
  correlation?: string
  data?: Record<string, unknown>
  commitments: Record<string, string>
}

/** An entry as people read it. `by` and `personal` lack what was erased. */
export interface OpenedEntry extends Omit<Envelope, 'commitments'> {
  by?: string
  personal: Record<string, unknown>
}

/** The commitment to a value whose RFC 8785 text is `text`. `salt` is base64url. */
function commit(salt: string, text: string): string {
  return hash('sha256', `["${salt}",${text}]`, 'hex')
}

/**
 * Makes the envelope of an event, and the openings of its personal fields. `random` gives that many random bytes.
 * Throws BAD_REQUEST for text that is not Unicode and TOO_LARGE for an envelope over 65,535 bytes (an entry bundle's limit).
 */
export function sealEvent(
  event: LogEvent,
  {index, time, instance, random}: {index: number; time: string; instance: string; random: (bytes: number) => Uint8Array},
): {envelope: string; openings: Record<string, Opening>} {
  const openings: Record<string, Opening> = {}
  const commitments: Record<string, string> = {}
  try {
    const fields = Object.entries({...event.personal, by: event.by}).filter(([, value]) => value !== undefined)
    const salts = Buffer.from(random(16 * fields.length))
    for (const [n, [name, value]] of fields.sort(([a], [b]) => (a < b ? -1 : 1)).entries()) {
      if (!/^[A-Za-z][A-Za-z0-9]{0,31}$/.test(name)) throw new TypeError(`${name} cannot name a personal field`)
      const salt = salts.toString('base64url', n * 16, n * 16 + 16)
      const text = canonical(value)
      openings[name] = {salt, value: text}
      commitments[name] = commit(salt, text)
    }
    const {type, subject, correlation, data} = event
    const envelope = canonical({v: 1, index, time, instance, type, subject, correlation, data, commitments})
    if (Buffer.byteLength(envelope) > maxEntryBytes)
      throw new ProdError('TOO_LARGE', `the audit event ${type} of ${subject} is larger than ${maxEntryBytes} bytes`)
    return {envelope, openings}
  } catch (error) {
    if (error instanceof Error && error.message === 'Lone surrogate is not allowed') {
      throw new ProdError('BAD_REQUEST', 'a text is not valid Unicode, so that it cannot be recorded', undefined, {cause: error})
    }
    throw error
  }
}

/** Why the openings do not belong to the envelope, and how many are missing (erased). `envelope` is the text that is hashed. */
export function checkOpenings(envelope: Envelope, openings: Record<string, Opening>): {erased: number; why?: string} {
  for (const name of Object.keys(openings)) {
    const {salt, value} = openings[name] ?? {}
    // the salt's form is fixed, so that no other split of the same bytes into salt and value can pass
    if (
      typeof salt !== 'string' ||
      !/^[\w-]{22}$/.test(salt) ||
      typeof value !== 'string' ||
      commit(salt, value) !== envelope.commitments[name]
    ) {
      return {erased: 0, why: `the text of ${name} is not the one that was recorded`}
    }
  }
  return {erased: Object.keys(envelope.commitments).length - Object.keys(openings).length}
}

/** The event of an entry, with the personal fields that are still there. Checks nothing. */
export function openEntry({envelope, openings}: {envelope: string; openings: Record<string, Opening>}): OpenedEntry {
  const {commitments: _, ...rest} = JSON.parse(envelope) as Envelope
  const {by, ...personal} = Object.fromEntries(Object.entries(openings).map(([name, {value}]) => [name, JSON.parse(value)]))
  return {...rest, ...(by === undefined ? {} : {by}), personal}
}
