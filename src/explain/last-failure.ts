/** The stderr of the last run that failed, for `prod explain --last`: a file of our own (0600), bounded, for an hour. */
import {join} from 'node:path'
import {places, readPrivate, removePrivate, writePrivate} from '@prod/sdk/cli/places'

const keptMilliseconds = 3_600_000

function path(): string {
  return join(places().state, 'last-failure.json')
}

/** Keeps a text until the next failure, an hour at most. Never throws: an explanation is no reason to fail. */
export function keepFailure(text: string, now: Date): void {
  try {
    writePrivate(path(), JSON.stringify({at: now.toISOString(), text}))
  } catch {
    // a full disk or a folder that is not ours: `prod doctor` says so
  }
}

/** The text, or undefined where there is none of the last hour; what is older is removed. Throws CONFIG_INVALID where others could have read or written it. */
export function lastFailure(now: Date): string | undefined {
  const kept = readPrivate(path(), {secret: true})
  if (kept === undefined) return undefined
  try {
    const {at, text} = JSON.parse(kept) as {at: string; text: string}
    const age = now.getTime() - Date.parse(at)
    if (age >= 0 && age < keptMilliseconds && typeof text === 'string') return text
  } catch {
    // not ours any more
  }
  removePrivate(path())
  return undefined
}
