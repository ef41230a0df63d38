/** What the parts of an agent have in common: what is wanted, how it behaves, who serves and what a service may do. */

/** What is wanted of a session: what its document said. */
export type Kind =
  | {type: 'Standard_Stream'; profile?: string}
  | {type: 'InteractiveCommands'; command: string; container?: boolean}
  | {type: 'NonInteractiveCommands'; command: string; separate: boolean; stdoutPrefix?: string; stderrPrefix?: string}
  | {type: 'Port'; properties: Record<string, string>}

/** How the agent of a target behaves. */
export interface AgentSettings {
  /** AgentVersion of the handshake */
  version: string
  /** how long it rests after each piece of 1024 bytes; the real one rests 1 ms */
  pieceDelayMs: number
  /** how many times as fast as the wall's its clock runs, by which it rests after a piece and sends again what is late */
  timesFaster: number
  /** how long a terminal's output waits at the start; the real one waits 1000 ms */
  outputDelayMs: number
  /** how long the text of a program that could not be started waits; the real one waits 1000 ms */
  errorDelayMs: number
  /** how long it waits before it asks for the handshake: a late one */
  handshakeDelayMs: number
  /** how long it waits for an answer; the real one waits 15 s */
  handshakeTimeoutMs: number
  /** whether the handshake has a random challenge for KMS, and whether a client must use it */
  challenge: 'none' | 'offered' | 'required'
  /** whether it knows of `separateOutputStream`; one that does not gives no status */
  knowsStatus: boolean
  /** what versions of smux it speaks; the real one speaks 1 */
  smuxVersions: readonly number[]
  /** a text to show after the handshake */
  customerMessage: string
  shell: readonly string[]
  /** other places of this machine that stand for ports of the target: `5432`, or `db.internal:5432`, to a port of 127.0.0.1 */
  ports: Readonly<Record<string, number>>
  environment: Readonly<Record<string, string>>
}

/** What serves a session once it is open. */
export interface Service {
  /** A payload of the client; false when it cannot be taken yet. */
  input(bytes: Buffer): boolean
  size?(size: {cols: number; rows: number}): void
  flag?(flag: number): void
  /** Whether what comes must wait, unread. */
  readonly full?: boolean
  stop(): void
}

/** What a service may do. */
export interface Voice {
  settings: AgentSettings
  folder: string
  /** of what it starts */
  mark: string
  timeScale: number
  clientVersion: string
  /** Sends one piece; resolves when the next may follow. */
  say(payloadType: number, bytes: Buffer): Promise<void>
  sendFlag(flag: number): void
  /** The service is over. */
  end(output?: string): void
  /** What was refused can be taken now. */
  ready(): void
  /** There is room again for what waits unread. */
  unblock(): void
}
