/** What the store's thread is asked for, and answers. Jobs travel as one JSON text for each group. */
import type {ErrorCode} from '@prod/sdk'
import type {AuditEvent, Blank, Expect, Index, Kind, OutboxRow} from '../store.ts'

/** A put whose value is already JSON text. */
export interface WrittenPut {
  kind: Kind
  id: string
  version: number
  value: string
  index?: Index
}

export type Job =
  | {
      do: 'commit'
      expect: Expect[]
      put: WrittenPut[]
      remove: Expect[]
      events: AuditEvent[]
      erase?: {index: number; fields: string[]}[]
      blank?: Blank
      notices: {channel: string; notice: string}[]
    }
  | {do: 'take'; limit: number; until: string}
  /** `key`: the PEM text of the log's next private key */
  | {do: 'hand-over'; key: string}
  | {do: 'settle'; id: number; outcome: {delivered: string} | {retryAt: string; why: string} | {dead: string}}

/** A group: one transaction. `time` is the store's clock when the group was closed. */
export interface Group {
  time: string
  jobs: Job[]
}

export type Done =
  | {ok: true; indices: number[]}
  | {ok: false}
  | {taken: OutboxRow[]}
  | {settled: true}
  | {handedOver: boolean}
  | {refused: {code: ErrorCode; message: string}}

/** What came of a group. `failed`: nothing of it was written. */
export type GroupDone = {done: Done[]; size: number; checkpoint: string} | {failed: {code: ErrorCode; message: string; hint?: string}}

/** What the thread is started with. */
export interface ThreadStart {
  file: string
  name: string
  privateKey: import('node:crypto').KeyObject
  /** a key that lies ready: it is in force if it signed the newest checkpoint */
  next?: import('node:crypto').KeyObject
  instance: string
}

export type FromThread =
  | {opened: {size: number; checkpoint: string}}
  | {group: GroupDone}
  | {closed: true}
  | {failed: {code: ErrorCode; message: string; hint?: string}}
