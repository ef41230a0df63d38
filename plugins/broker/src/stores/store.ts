/**
 * The store port. One idea: a **change** is a set of records written only if those it was decided upon are still at the
 * version that was read, together with the audit events that tell of it and the notices that must leave because of it:
 * one transaction, durable when `commit` resolves true. So approvals are consumed once, locks have fencing tokens (the
 * version), limits are counted and what cannot be recorded does not happen: by one mechanism, over any number of brokers.
 */
import type {KeyObject} from 'node:crypto'
import type {Notice} from '@prod/sdk'

/** Kinds of records. `key` of each is its id; what a record holds is its feature's own type. */
export type Kind =
  | 'request'
  | 'grant'
  | 'run'
  | 'session'
  | 'review'
  | 'login'
  | 'person'
  | 'membership'
  | 'lock'
  | 'budget'
  | 'idempotency'
  | 'seen'
  | 'recording'
  | 'meta'
  /** a credential's role, conferred for one run or session (its id) */
  | 'conferral'
  /** a run on many targets (its id is the request's), and what has begun of it */
  | 'rollout'
  /** what was handed in of a break-glass without the broker (its id is the session's) */
  | 'handin'
  /** what two people agree to erase */
  | 'erasure'
  /** what some thousand entries of the log tell the figures (its id says up to which) */
  | 'facts'

export interface Stored<T> {
  readonly kind: Kind
  readonly id: string
  /** 1 at first; a fencing token */
  readonly version: number
  readonly value: T
}

/** Columns that records can be found by. What is absent is not indexed. */
export interface Index {
  state?: string
  owner?: string
  /** ISO 8601: when something is due (expiry, retry) */
  dueAt?: string
}

export interface Put {
  kind: Kind
  id: string
  /** the version read, 0 for a new record; the write happens only if it still holds */
  version: number
  value: unknown
  index?: Index
}

/** A record that must be unchanged (or absent: version 0) though it is not written. */
export interface Expect {
  kind: Kind
  id: string
  version: number
}

/** What is told to the log. `personal` fields go in as salted commitments; their texts lie beside the log and can be erased. */
export interface AuditEvent {
  /** `noun.past-verb` */
  type: string
  /** person id (or `iss#sub` where unknown) of who acted; `broker` for its own acts */
  by: string
  /** id of what it is about: req_, run_, … */
  subject: string
  correlation?: string
  /** not personal, never secret */
  data?: Record<string, unknown>
  /** personal texts: names, reasons, argv, addresses */
  personal?: Record<string, unknown>
}

export interface Change {
  expect?: Expect[]
  put?: Put[]
  remove?: Expect[]
  events: AuditEvent[]
  /** Texts beside the log that are gone with this change, for good: of an entry, the openings of these fields. What is hashed stays. With it, an empty list too, the store's journal is emptied. */
  erase?: {index: number; fields: string[]}[]
  /** Notices that wait, or were given up, about these subjects: they lose these people and their words, and are told all the same. */
  blank?: Blank
  notices?: {channels: string[]; notice: Notice}[]
}

/** `names` as they stand in notices; `by`: what stands in their place. */
export interface Blank {
  subjects: string[]
  names: string[]
  by: string
}

/** `{false}`: somebody was faster, read again. `indices`: where the events lie in the log, in order. */
export type Committed = {ok: false} | {ok: true; indices: number[]; checkpoint: string}

export interface Query {
  kind: Kind
  state?: string | string[]
  owner?: string
  /** whose value has this text in it, as it stands in JSON, whatever its case and Unicode form */
  mentions?: string
  /** due at or before */
  dueBefore?: string
  /** newest first by creation; default oldest first */
  newest?: boolean
  limit?: number
}

export interface OutboxRow {
  id: number
  channel: string
  notice: Notice
  /** how often it was taken before */
  tries: number
  createdAt: string
}

/** An entry as it is kept. People read it through `openEntry` of @prod/sdk/log/envelope: each opening's `value` is JSON text. */
export interface EntryRow {
  index: number
  envelope: string
  openings: Record<string, {salt: string; value: string}>
}

export interface Store {
  /** The store's clock (TM-N6). */
  now(): Date
  /** Throws STORE_UNAVAILABLE when it cannot be made durable (disk full, read-only). */
  commit(change: Change): Promise<Committed>
  find<T>(kind: Kind, id: string): Promise<Stored<T> | undefined>
  list<T>(query: Query): Promise<Stored<T>[]>
  /** Told after each commit which records changed, here or on another broker. Returns the way to stop. */
  subscribe(listener: (changed: {kind: Kind; id: string}[]) => void): () => void

  /** Notices due, oldest first; each leased to the caller for `leaseSeconds`. */
  takeNotices(limit: number, leaseSeconds: number): Promise<OutboxRow[]>
  /** `delivered` (it is gone then), or `retryAt`, or dead */
  settleNotice(id: number, outcome: {delivered: string} | {retryAt: string; why: string} | {dead: string}): Promise<void>
  countNotices(): Promise<{waiting: number; dead: number; oldestAt: string | null}>

  /**
   * Hands the log over to another key, at one point of it: the hand-over is an entry (`log.key-changed`), and every later checkpoint
   * is signed by the new key. False: that key is in force already.
   */
  changeLogKey(key: KeyObject): Promise<boolean>
  /** The log, read back. */
  logSize(): Promise<number>
  /** Index `from` or more, oldest first or `newest` first, 1,000 at most. `text`: in the envelope or an opened text, whatever its case. */
  entries(query: {from: number; limit: number; newest?: boolean; type?: string; subject?: string; text?: string}): Promise<EntryRow[]>
  /** Hashes of one C2SP tile (`width` 1-256), or undefined where the tree is smaller. */
  tile(level: number, index: number, width: number): Promise<Uint8Array | undefined>
  /** Signed note of the newest durable tree. */
  checkpoint(): Promise<string>
  /** Throws RangeError unless 0 ≤ index < size ≤ the log's size. */
  inclusionProof(index: number, size: number): Promise<Uint8Array[]>

  close(): Promise<void>
}
