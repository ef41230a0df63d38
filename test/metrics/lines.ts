import {sealEvent} from '@prod/sdk/log/envelope'
import {exportLine} from '@prod/sdk/log/export'
import type {HistoryEvent} from './history.ts'

/** An entry as the store keeps it. */
export interface Kept {
  index: number
  envelope: string
  openings: Record<string, {salt: string; value: string}>
}

/** The entry that a broker would write of an event. The salts are no secret here. */
export function keep({at, ...event}: HistoryEvent, index: number): Kept {
  return {
    index,
    ...sealEvent(event, {index, time: new Date(at).toISOString(), instance: 'history', random: bytes => new Uint8Array(bytes)}),
  }
}

/** The line of `prod audit export` for it. */
export function lineOf(entry: Kept): string {
  return exportLine(entry)
}
