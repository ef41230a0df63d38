/**
 * The spool of a break-glass without the broker: a row of entries, each a compact JWS by the login key that names the SHA-256 of the one before.
 * What was sealed of the recording is named by its hash. Nobody can alter, drop or insert an entry unseen; where a tail is missing, the row does
 * not end with `closed`. Pure.
 */
import {createHash, createPublicKey, type JsonWebKey, verify} from 'node:crypto'
import type {Exit, TerminalSize} from './domain.ts'
import type {LoginKey} from './dpop.ts'
import {ProdError} from './errors.ts'
import type {PublicJwk} from './login-binding.ts'
import type {SealedChunk} from './recorder.ts'

const spoolType = 'prod-spool+jws'

/** What happened, in this order: began, alerted, recorded…, opened, then recorded and reminded in any order, closed. */
export type SpoolEvent =
  | ({type: 'began'; kit: string; drill: boolean; target: string | null; reason: string; incident: string} & TerminalSize)
  /** names of the channels that accepted */
  | {type: 'alerted'; channels: string[]}
  | ({type: 'recorded'} & SealedChunk)
  | {type: 'opened'}
  | {type: 'reminded'; channels: string[]}
  | {type: 'closed'; exit: Exit; endedBy: string | null; channels: string[]}

/** One entry. */
export interface SpoolEntry {
  session: string
  /** 0 at first */
  n: number
  /** SHA-256, hex, of the entry before as it is written; null at first */
  previous: string | null
  /** ISO 8601 UTC, by the clock of the person's machine */
  at: string
  event: SpoolEvent
}

/** How far a row goes. */
export interface SpoolHead {
  session: string
  next: number
  head: string | null
}

/** One entry as it is written: a line of its own. */
export function signEntry(key: LoginKey, entry: SpoolEntry): string {
  return key.sign({typ: spoolType}, {...entry})
}

/** SHA-256, hex, of an entry as it is written. */
export function hashEntry(line: string): string {
  return createHash('sha256').update(line).digest('hex')
}

const kinds = new Set(['began', 'alerted', 'recorded', 'opened', 'reminded', 'closed'])

/** The entry that follows `head` in its row. Throws SIGNATURE_INVALID where it is not signed by this key, or is not the one that follows. */
export function openEntryAfter(jwk: PublicJwk, head: SpoolHead, line: string): SpoolEntry {
  const wrong = (why: string, cause?: unknown) =>
    new ProdError('SIGNATURE_INVALID', `entry ${head.next} of ${head.session} ${why}`, 'tell security: somebody altered the spool', {cause})
  let entry: SpoolEntry
  try {
    const [header = '', payload = '', signature = '', ...more] = line.split('.')
    const {alg, typ} = JSON.parse(Buffer.from(header, 'base64url').toString()) as {alg?: string; typ?: string}
    const key = createPublicKey({key: {...jwk} as JsonWebKey, format: 'jwk'})
    const bytes = Buffer.from(`${header}.${payload}`)
    const signed = verify('sha256', bytes, {key, dsaEncoding: 'ieee-p1363'}, Buffer.from(signature, 'base64url'))
    if (more.length > 0 || alg !== 'ES256' || typ !== spoolType || !signed) throw new TypeError('not signed by this key')
    entry = JSON.parse(Buffer.from(payload, 'base64url').toString()) as SpoolEntry
  } catch (cause) {
    throw wrong('is not signed by the login key of the kit', cause)
  }
  if (entry.session !== head.session || entry.n !== head.next || entry.previous !== head.head)
    throw wrong('is not the one that was written there')
  if (!kinds.has(entry.event?.type) || Number.isNaN(Date.parse(entry.at))) throw wrong('is of no known form')
  if ((entry.n === 0) !== (entry.event.type === 'began')) throw wrong('is at the wrong place')
  return entry
}
