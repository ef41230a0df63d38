/** All that runs on this broker now, and the ending of what has lost its right (TM-N4). */
import type {Parts} from '../parts.ts'
import type {RequestRecord} from '../requests/state.ts'
import type {Live} from './live.ts'

/** One live run or session. */
export interface LiveEntry {
  kind: 'run' | 'session'
  live: Live
  request: RequestRecord
  /** where the person called from: policy may ask */
  address: string
  /** resolves when the end record is durable */
  ended: Promise<unknown>
}

export interface LiveSet {
  readonly instance: string
  /** aborted when the broker stops */
  readonly stopping: AbortSignal
  add(entry: LiveEntry): void
  find(id: string): LiveEntry | undefined
  all(): LiveEntry[]
  /** Ends what this person may no longer do. `may` judges one entry with the rights of this moment. */
  endLost(principal: {iss: string; sub: string}): Promise<{runs: number; sessions: number}>
  /** Ends everything and waits for the end records. */
  stop(): Promise<void>
}

/** Judges whether a live entry may go on. */
export type MayGoOn = (parts: Parts, entry: LiveEntry) => Promise<{ok: true} | {ok: false; why: string}>

/** An empty set. */
export function createLiveSet(parts: () => Parts, instance: string, mayGoOn: MayGoOn): LiveSet {
  const entries = new Map<string, LiveEntry>()
  const stopping = new AbortController()
  return {
    instance,
    stopping: stopping.signal,
    add(entry) {
      entries.set(entry.live.id, entry)
      void Promise.allSettled([entry.ended, entry.live.over]).then(() => entries.delete(entry.live.id))
    },
    find: id => entries.get(id),
    all: () => [...entries.values()],
    async endLost(principal) {
      const ended = {runs: 0, sessions: 0}
      await Promise.all(
        [...entries.values()]
          .filter(one => one.live.principal.iss === principal.iss && one.live.principal.sub === principal.sub)
          .map(async entry => {
            const verdict = await mayGoOn(parts(), entry)
            if (verdict.ok) return
            await entry.live.end(verdict.why)
            ended[entry.kind === 'run' ? 'runs' : 'sessions'] += 1
          }),
      )
      return ended
    },
    async stop() {
      stopping.abort()
      await Promise.allSettled([...entries.values()].map(async entry => {
        await entry.live.end('broker stop')
        await entry.ended
      }))
    },
  }
}

