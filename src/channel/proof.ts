/** What the broker signs, checked on the person's own machine: the end frame and the receipt. */
import type {Digest, Receipt} from '@prod/sdk'
import {canonical} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import {openCheckpoint} from '@prod/sdk/log/checkpoint'
import {keysOf, openCheckpointOf} from '@prod/sdk/log/hand-over'
import type {EndPayload} from '@prod/sdk/wire'
import {verifyJws} from './jws.ts'

/** The broker's public keys, as pinned at login. */
export interface Pins {
  /** JWK (Ed25519) */
  receiptKey: Record<string, string>
  /** C2SP verifier key, and the hand-overs that were known when it was remembered */
  logKey: string
  handOvers?: string[]
}

/** What a first check costs is paid while the broker is waited for: the keys are read, and the code that uses them is warm. */
export function readyChecks(pins: Pins): void {
  try {
    openCheckpoint('\n\n', pins.logKey)
  } catch {}
  try {
    verifyJws(pins.receiptKey, 'e30.e30.AA', '')
  } catch {}
}

/** The end frame's words. Throws OUTCOME_UNKNOWN where it is not signed by the pinned key, or is the end of something else than what was started. */
export function openEnd(pins: Pins, jws: string, started: string | undefined): EndPayload {
  const end = JSON.parse(verifyJws(pins.receiptKey, jws, 'prod-end+jws')) as EndPayload
  if (end.id !== started) throw new ProdError('OUTCOME_UNKNOWN', `the end that came is not that of ${started ?? 'this run'}`, 'prod doctor')
  return end
}

/**
 * Checks a receipt: signature, what it says of the end, the bytes that were seen (undefined: not all were seen here), and
 * that its checkpoint is the log's. Throws OUTCOME_UNKNOWN and says which part is wrong.
 */
export function checkReceipt(pins: Pins, receipt: Receipt, end: EndPayload, seen: {stdout: Digest; stderr: Digest} | undefined): void {
  const {signature, ...unsigned} = receipt
  const wrong = (what: string) =>
    new ProdError('OUTCOME_UNKNOWN', `the receipt of ${receipt.run} does not fit: ${what}`, `prod attach ${receipt.run}`)
  if (verifyJws(pins.receiptKey, signature, 'prod-receipt+jws') !== canonical(unsigned)) throw wrong('its signature is over something else')
  if (canonical(receipt.exit) !== canonical(end.exit) || receipt.run !== end.id) throw wrong('it tells of another end')
  if (seen && canonical([seen.stdout, seen.stderr]) !== canonical([receipt.stdout, receipt.stderr]))
    throw wrong('the output that came is not the output that was recorded')
  try {
    const [told, known] = [receipt.log.handOvers ?? [], pins.handOvers ?? []]
    const keys = keysOf(pins.logKey, told.length > known.length ? told : known)
    const {size} = openCheckpointOf(receipt.log.checkpoint, keys)
    if (size <= receipt.log.index) throw new RangeError()
  } catch {
    throw wrong('its checkpoint is not signed by the log')
  }
}
