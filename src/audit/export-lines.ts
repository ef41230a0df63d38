import {api} from '@prod/sdk/api'
import type {BrokerClient} from '@prod/sdk/client'
import {parseCheckpoint} from '@prod/sdk/log/checkpoint'
import {exportEnd, exportLine} from '@prod/sdk/log/export'

const pageEntries = 500

/**
 * The lines of the broker's log up to the checkpoint that it signed last, fetched page by page; the last line is the checkpoint. `key` is
 * the log's verifier key as this machine knows it. `progress` is told after each page how many of how many are here.
 */
export async function* exportLines(
  broker: Pick<BrokerClient, 'call'>,
  key: string,
  progress: (done: number, size: number) => void = () => {},
): AsyncGenerator<string> {
  const checkpoint = await broker.call(api.logCheckpoint)
  const {size} = parseCheckpoint(checkpoint)
  let next = 0
  while (next < size) {
    const {entries} = await broker.call(api.auditEntries, {from: String(next), limit: String(Math.min(pageEntries, size - next))})
    for (const entry of entries) yield exportLine(entry)
    if (entries.length === 0) break // a log that is shorter than its checkpoint: the check of the export says so
    next += entries.length
    progress(next, size)
  }
  yield exportEnd({checkpoint, history: [], key})
}
