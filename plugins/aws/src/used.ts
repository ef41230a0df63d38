/** How often each role was taken, so that what is used most comes first: a line for each use, as light as that. */
import {join} from 'node:path'
import {appendPrivate, places, readPrivate, writePrivate} from '@prod/sdk/cli/places'

/** A use counts half after this time. */
const halfLifeMs = 14 * 24 * 3_600_000
const maxBytes = 256 * 1024
/** From then on the file is cut to its last lines when it is read. */
const longLines = 2000
const keptLines = 1000

const path = (): string => join(places().state, 'aws-used.jsonl')

/** By role: uses of late, as one number. Never throws. */
export function usesOf(now: number = Date.now()): Map<string, number> {
  const uses = new Map<string, number>()
  try {
    const lines = (readPrivate(path()) ?? '').trimEnd().split('\n')
    for (const line of lines) {
      const [name, at] = parseLine(line)
      if (name !== undefined) uses.set(name, (uses.get(name) ?? 0) + 0.5 ** ((now - at) / halfLifeMs))
    }
    if (lines.length > longLines) writePrivate(path(), `${lines.slice(-keptLines).join('\n')}\n`)
  } catch {
    // a folder that is not ours: `prod doctor` says so
  }
  return uses
}

function parseLine(line: string): [name: string | undefined, at: number] {
  try {
    const [name, at] = JSON.parse(line) as [unknown, unknown]
    return typeof name === 'string' && typeof at === 'number' ? [name, at] : [undefined, 0]
  } catch {
    return [undefined, 0]
  }
}

/** Counts one use. Never throws: the order of a list is no reason to fail. */
export function countUse(name: string, now: number = Date.now()): void {
  try {
    appendPrivate(path(), JSON.stringify([name, now]), {maxBytes})
  } catch {
    // as above
  }
}
