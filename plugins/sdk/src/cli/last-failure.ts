/** What failed last, for `prod explain --last`: a file of our own (0600), bounded, for an hour. */
import {join} from 'node:path'
import {ProdError} from '../errors.ts'
import {places, readPrivate, removePrivate, writePrivate} from './places.ts'

const keptMilliseconds = 3_600_000

/** What was asked of a broker and refused: it is asked again, for an explanation. */
export type RefusedQuestion = {argv: string[]; targets: string[]} | {role: string} | {target: string; use: 'shell' | 'forward'}

/** The end of a program's stderr, or what a broker refused. */
export type LastFailure = {text: string} | {refused: RefusedQuestion}

function path(): string {
  return join(places().state, 'last-failure.json')
}

/** Keeps it until the next failure, an hour at most. Never throws: an explanation is no reason to fail. */
export function keepFailure(failure: LastFailure, now: Date): void {
  try {
    writePrivate(path(), JSON.stringify({at: now.toISOString(), ...failure}))
  } catch {
    // a full disk or a folder that is not ours: `prod doctor` says so
  }
}

/** What was kept, or undefined where there is none of the last hour; what is older is removed. Throws CONFIG_INVALID where others could have read or written it. */
export function lastFailure(now: Date): LastFailure | undefined {
  const kept = readPrivate(path(), {secret: true})
  if (kept === undefined) return undefined
  try {
    const {at, text, refused} = JSON.parse(kept) as {at: string; text?: string; refused?: RefusedQuestion}
    const age = now.getTime() - Date.parse(at)
    if (age >= 0 && age < keptMilliseconds) {
      if (typeof text === 'string') return {text}
      if (typeof refused === 'object' && refused !== null) return {refused}
    }
  } catch {
    // not ours any more
  }
  removePrivate(path())
  return undefined
}

/** Keeps what was asked where the broker refuses it, and lets the refusal go on. */
export async function keepingRefusal<T>(refused: RefusedQuestion, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ProdError && error.code === 'DENIED') keepFailure({refused}, new Date())
    throw error
  }
}
