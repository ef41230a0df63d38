import {api, type LogEntry} from '@prod/sdk/api'
import type {BrokerClient} from '@prod/sdk/client'
import {parseCheckpoint} from '@prod/sdk/log/checkpoint'
import {exportEnd, exportLine} from '@prod/sdk/log/export'

const pageEntries = 1000
/** Pages on their way at once: a busy broker answers each late, and they wait side by side. */
const pagesAhead = 4

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
  const coming: Promise<LogEntry[]>[] = []
  let [asked, here] = [0, 0]
  while (here < size) {
    for (; asked < size && coming.length < pagesAhead; asked += pageEntries) {
      const page = readPage(broker, asked, Math.min(asked + pageEntries, size))
      page.catch(() => {}) // it is thrown where it is waited for
      coming.push(page)
    }
    const entries = (await coming.shift()) ?? []
    for (const entry of entries) yield exportLine(entry)
    const wanted = Math.min(pageEntries, size - here)
    here += entries.length
    progress(here, size)
    if (entries.length < wanted) break // a log that is shorter than its checkpoint: the check of the export says so
  }
  yield exportEnd({checkpoint, history: [], key})
}

/** The entries from one index up to another, in as many answers as the broker takes for them. */
async function readPage(broker: Pick<BrokerClient, 'call'>, from: number, to: number): Promise<LogEntry[]> {
  const page: LogEntry[] = []
  while (from + page.length < to) {
    const next = from + page.length
    const {entries} = await broker.call(api.auditEntries, {from: String(next), limit: String(to - next)})
    if (entries.length === 0) break
    page.push(...entries)
  }
  return page
}
