/** What a session and whoever gives its bytes a meaning know of each other. */
import type {TerminalSize} from '@prod/sdk'
import type {Greeting, Kms, SessionType} from './handshake.ts'
import type {LinkOptions} from './link.ts'
import type {Timings} from './timings.ts'

/** The oldest version that AWS supports; what agents decide from it is in §9.3. */
export const clientVersion = '1.2.764.0'

/** What opens a session's data channel. */
export interface ChannelOptions extends Pick<LinkOptions, 'streamUrl' | 'token' | 'sessionId' | 'sign' | 'renew' | 'allowed' | 'agent'> {
  /** the Target as given to StartSession, or `ecs:…`: part of what KMS binds keys to */
  targetId: string
  /** TerminateSession: best effort, for ends that the channel cannot tell of */
  terminate(signal: AbortSignal): Promise<void>
  kms?: Kms
  /** ends the session, and what is being opened */
  signal?: AbortSignal
  /** words for a person, never secrets: a lost connection, what the service says of the session. Whoever listens to a channel hears them too. */
  tell?(text: string): void
  clientVersion?: string
  /** some other times, for tests and figures */
  timings?: Partial<Timings>
}

/** How a session ended. */
export type SessionEnd =
  /** by a word of the service; `output` says why, or is empty. `whole`: nothing is missing that was sent before */
  | {kind: 'closed'; output: string; whole: boolean}
  /** by us */
  | {kind: 'ended'; why: string}
  /** nobody knows how it went on */
  | {kind: 'lost'; why: string}

/** Counts, for figures and logs: no payloads, no secrets. */
export interface ChannelCounts {
  connections: number
  resent: number
  duplicates: number
  /** frames that break the protocol */
  refused: number
  /** messages of kinds that nobody knows */
  unknown: number
}

/** What a session's bytes mean: a shell, a command, a port. */
export interface View {
  expected: readonly SessionType[]
  /** the agent greets always; else only where the session is encrypted, §9.1 */
  greets: boolean
  /** small writes of one turn leave together: in port sessions, never in shells, §24 */
  joins: boolean
  /** Writes at most `length` bytes of what is to be sent into `into`; answers how many, 0 for nothing now. */
  take(into: Buffer, at: number, length: number): number
  output(bytes: Buffer): void
  stderr(bytes: Buffer): void
  exitCode(text: string): void
  flag(number: number): void
  /** Data may go now. Once; without a greeting where a shell has none, and again when one comes late. */
  ready(greeting?: Greeting): void
  /** Once. No call follows. */
  over(end: SessionEnd): void
}

/** What a view may ask of its session. */
export interface Session {
  readonly timings: Timings
  readonly isUp: boolean
  readonly counts: ChannelCounts
  /** There is something to take. */
  wake(): void
  resize(size: TerminalSize): void
  /** Sends a flag; resolves when the agent has it, or the session is over. */
  sendFlag(number: number): Promise<void>
  /** Makes the far side wait, as long as it is on. */
  hold(on: boolean): void
  /** Ends it at both sides, `flag` first where the agent knows it; resolves when it is over here. */
  end(why: string, byFlag?: boolean): Promise<void>
  /** The session cannot go on: its end is told to AWS, and is `lost`. */
  fail(why: string): void
  tell(text: string): void
}
