/** The log's events, read in pages so that other work goes on in between. */
import {setImmediate} from 'node:timers/promises'
import {type OpenedEntry, openEntry} from '@prod/sdk/log/envelope'
import type {Store} from '../stores/store.ts'

const pageEntries = 500

type LogReader = Pick<Store, 'entries' | 'logSize'>

/** Events of these types with an index from `from` up to (not including) `end`: type by type, each oldest first. */
export async function* readEvents(store: LogReader, types: readonly string[], from: number, end: number): AsyncGenerator<OpenedEntry> {
  for (const type of types) {
    let next = from
    while (next < end) {
      const page = await store.entries({from: next, limit: pageEntries, type})
      for (const row of page) if (row.index < end) yield openEntry(row)
      next = page.length < pageEntries ? end : (page.at(-1)?.index ?? end) + 1
      await setImmediate()
    }
  }
}

/** Index of the first entry at or after `moment` (ISO 8601 UTC), or the log's size. The times of entries only go forward, near enough. */
export async function indexSince(store: LogReader, moment: string): Promise<number> {
  let [low, high] = [0, await store.logSize()]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const [row] = await store.entries({from: middle, limit: 1})
    if (row && openEntry(row).time < moment) low = middle + 1
    else high = middle
  }
  return low
}
