/** All that runs on this broker now, and the ending of what has lost its right (TM-N4). */
import type {HostPort} from '@prod/sdk'
import type {Caller, Parts} from '../parts.ts'
import type {RequestRecord} from '../requests/state.ts'
import type {Link} from './link.ts'
import type {Live} from './live.ts'

/** What streams ask of a forward. */
export interface Connections {
  /** how many are open or being opened */
  readonly size: number
  /** Opens one more connection and gives it to this link. Throws FORWARD_REFUSED, FROZEN, SESSION_NOT_FOUND, TARGET_UNREACHABLE. */
  connect(link: Link, caller: Caller, to: HostPort): Promise<void>
  /** Gives a connection whose link was cut to who comes back for it; false: it is over. */
  reattach(link: Link, id: string, have: {stdout: number; stderr: number}): boolean
}

/** One live run or session. */
export interface LiveEntry {
  kind: 'run' | 'session'
  live: Live
  request: RequestRecord
  /** where the person called from: policy may ask */
  address: string
  /** of a session that is a forward: its connections */
  forward?: Connections
  /** resolves when the end record is durable */
  ended: Promise<unknown>
}

export interface LiveSet {
  readonly instance: string
  /** aborted when the broker stops */
  readonly stopping: AbortSignal
  add(entry: LiveEntry): void
  /** Says that one is about to be added; the answer says that nothing will. */
  announce(id: string): () => void
  find(id: string): LiveEntry | undefined
  /** The entry; one that was announced is waited for. */
  findSoon(id: string): Promise<LiveEntry | undefined>
  all(): LiveEntry[]
  /** Judges all that runs, and ends what is no longer allowed; who looks on is asked to judge too. */
  judgeAll(): void
  /** Calls this when rights may have changed, until what it returns is called. */
  onJudge(judge: () => void): () => void
  /** Ends what this person may no longer do. */
  endLost(principal: {iss: string; sub: string}): Promise<{runs: number; sessions: number}>
  /** Ends everything and waits for the end records. */
  stop(): Promise<void>
}

/** Judges whether a live entry may go on. */
export type MayGoOn = (parts: Parts, entry: LiveEntry) => Promise<{ok: true} | {ok: false; why: string}>

/** An empty set. */
export function createLiveSet(parts: () => Parts, instance: string, mayGoOn: MayGoOn): LiveSet {
  const entries = new Map<string, LiveEntry>()
  const announced = new Map<string, PromiseWithResolvers<void>>()
  const judges = new Set<() => void>()
  const arrived = (id: string) => {
    announced.get(id)?.resolve()
    announced.delete(id)
  }
  const judge = async (entry: LiveEntry): Promise<boolean> => {
    const verdict = await mayGoOn(parts(), entry)
    if (!verdict.ok) await entry.live.end(verdict.why)
    return !verdict.ok
  }
  const stopping = new AbortController()
  return {
    instance,
    stopping: stopping.signal,
    add(entry) {
      entries.set(entry.live.id, entry)
      arrived(entry.live.id)
      void Promise.allSettled([entry.ended, entry.live.over]).then(() => entries.delete(entry.live.id))
    },
    announce(id) {
      announced.set(id, Promise.withResolvers())
      return () => arrived(id)
    },
    find: id => entries.get(id),
    async findSoon(id) {
      await announced.get(id)?.promise
      return entries.get(id)
    },
    all: () => [...entries.values()],
    async endLost(principal) {
      const ended = {runs: 0, sessions: 0}
      await Promise.all(
        [...entries.values()]
          .filter(one => one.live.principal.iss === principal.iss && one.live.principal.sub === principal.sub)
          .map(async entry => {
            if (await judge(entry)) ended[entry.kind === 'run' ? 'runs' : 'sessions'] += 1
          }),
      )
      return ended
    },
    judgeAll() {
      for (const entry of entries.values()) void judge(entry).catch(() => {})
      for (const look of judges) look()
    },
    onJudge(look) {
      judges.add(look)
      return () => judges.delete(look)
    },
    async stop() {
      stopping.abort()
      await Promise.allSettled(
        [...entries.values()].map(async entry => {
          await entry.live.end('broker stop')
          await entry.ended
        }),
      )
    },
  }
}
