/**
 * One WebSocket is one stream (`/v1/stream`). The first text message is the request; then binary frames (first byte the
 * kind, after Kubernetes' v5.channel.k8s.io) and text messages both ways. `protocol: prod.stream.v1`.
 */
import type {Exit, HostPort, Receipt, SignalName, TerminalSize} from './domain.ts'
import type {ErrorDescription} from './errors.ts'

export const streamPath = '/v1/stream'
export const streamProtocol = 'prod.stream.v1'
/** bytes that may be on the way unacknowledged, each of stdout and stderr */
export const windowBytes = 1024 * 1024
export const maxFirstMessageBytes = 256 * 1024
export const firstMessageTimeoutSeconds = 10
/** payload of a frame that a client sends */
export const maxFrameBytes = 64 * 1024
/** payload of a frame of output: many small ones would cost more than their bytes */
export const maxOutputFrameBytes = 256 * 1024
/** stdin that is read before an approval */
export const maxApprovedStdinBytes = 16 * 1024 * 1024

/**
 * First byte of a binary frame. `end` carries a JWS by the broker's receipt key, payload {@link EndPayload}; `resize` a
 * {@link TerminalSize} as JSON; `close` the number of the channel that closed.
 */
export const frame = {stdin: 0, stdout: 1, stderr: 2, end: 3, resize: 4, close: 255} as const

/** What the end frame's JWS says (`typ: prod-end+jws`). */
export interface EndPayload {
  id: string
  exit: {status: number} | {signal: string} | {unknown: string}
  /** why the broker ended it, else null */
  endedBy: string | null
  stdoutBytes: number
  stderrBytes: number
  iat: number
}

/** The first message. `key` is the idempotency key (TM-N3), made by the client: 128 random bits, base64url. */
export type FirstMessage =
  | {
      type: 'exec'
      key: string
      argv: string[]
      /** what was written after `--on`: a name, or selectors (`label=value,…`, `all`) for a run on many targets */
      targets: string[]
      reason: string
      reasonReused?: boolean
      incident?: string
      /** break-glass is asked for; `confirmed`: the target as the person typed it, null before it was asked */
      breakGlass?: {confirmed: string | null}
      wait: boolean
      startAt?: string
      /** a stream of stdin follows; for approved runs it is read first and digested */
      stdin: boolean
      client: ClientInfo
    }
  | {
      type: 'shell'
      key: string
      target: string
      reason: string
      incident?: string
      size: TerminalSize
      term: string
      /** the target as the person typed it at the confirmation; null before it was asked */
      confirmed: string | null
      wait: boolean
      client: ClientInfo
    }
  /**
   * Opens a forward. The stream stays as long as the forward does: its `stdin-end` closes it in order, its loss ends it after a
   * while. No bytes go through it: each connection is a stream of its own (`connect`).
   */
  | {
      type: 'forward'
      key: string
      target: string
      /** all that its connections may lead to: what is approved */
      to: HostPort[]
      reason: string
      incident?: string
      /** as of `exec` */
      breakGlass?: {confirmed: string | null}
      wait: boolean
      client: ClientInfo
    }
  /** Takes a role by breaking glass; `granted` is the answer. `durationSeconds`: no more than the broker's bound for break-glass. */
  | {
      type: 'assume'
      key: string
      role: string
      durationSeconds: number
      reason: string
      incident?: string
      /** as of `exec` */
      breakGlass: {confirmed: string | null}
      wait: boolean
      client: ClientInfo
    }
  /** One connection through an open forward: stdin and stdout are its directions; a `close` frame of stdout says that the far side sends no more. */
  | {type: 'connect'; session: string; to: HostPort; client: ClientInfo}
  /** Takes up a run, a session, a connection of a forward (`con_`), or an approved request. Byte counts already had, so that none comes twice. */
  | {type: 'attach'; id: string; have: {stdout: number; stderr: number}; size?: TerminalSize; stdin?: boolean; client: ClientInfo}
  | {type: 'watch'; session: string; client: ClientInfo}
  /** Waits until a request is decided: `prod request create`, `request ls --watch`. Without an id: every change the caller may see. */
  | {type: 'follow'; request?: string; client: ClientInfo}

export interface ClientInfo {
  version: string
  platform: string
  /** a label alone (TM-I3) */
  label?: string
}

/** One target of a run on many. `queued`: behind another run there; `refused`: could not start; `left`: not begun, since the run ended before. */
export interface RolloutTarget {
  target: string
  environment: string
  state: 'waiting' | 'queued' | 'running' | 'ended' | 'refused' | 'left'
  run: string | null
  exit: Exit | null
  /** why the broker ended it */
  endedBy: string | null
  /** why it was refused */
  error: ErrorDescription | null
}

/** The proofs of a stream (upgrade, `proof`, `auth`) all name the upgrade: `htm` GET, `htu` the http(s) URL of {@link streamPath}; with `ath`. */
export type ClientMessage =
  /** totals that the consumer has written, counted from the start of the run: credit of {@link windowBytes} beyond each */
  | {type: 'ack'; stdout: number; stderr: number}
  | {type: 'signal'; name: SignalName}
  | {type: 'cancel'}
  | {type: 'auth'; token: string; proof: string}
  | {type: 'stdin-end'}
  /** answer to `challenge`: a fresh DPoP proof with the nonce */
  | {type: 'proof'; proof: string}
  /** answer to `confirm`: what the person typed */
  | {type: 'confirmed'; text: string}

export type ServerMessage =
  | {type: 'challenge'; nonce: string}
  /**
   * stdin so far read by the broker, total bytes: credit for the client's stdin (window {@link windowBytes}). After an attach
   * the first one, sent at once, says where the broker stands: the client sends what it had on the way again.
   */
  | {type: 'window'; stdin: number}
  /** a request waits: who can approve, since when */
  | {
      type: 'waiting'
      request: string
      digest: string
      since: string
      expiresAt: string
      approvalsNeeded: number
      approvals: string[]
      approvers: string[]
      summary: string
      /** ISO 8601 UTC: it starts then, not before; absent: as soon as it may */
      startAt?: string
    }
  /** this command reads stdin, and the client offered it: send it now. Without this none is read from the person's side. */
  | {type: 'stdin-wanted'}
  /** queued behind another run on the same target; `holder`: the run that holds it, and the machine or thing that it holds */
  | {type: 'queued'; behind: number; target: string; holder?: {run: string; of: string}}
  /** break-glass wants its typed confirmation; `banner` lines are the broker's words */
  | {type: 'confirm'; text: string; banner: string[]}
  | {
      type: 'started'
      id: string
      request: string
      target: string
      environment: string
      correlation: string
      stdout: number
      stderr: number
      banner?: string[]
      expiresAt?: string
    }
  | {type: 'receipt'; receipt: Receipt}
  /**
   * How a run on many targets stands: at first all of them, then those that changed. Each run is a stream of its own, taken up
   * by `attach`. `over`: nothing more begins and nothing runs; why it ended before its last target, else null.
   */
  | {
      type: 'rollout'
      request: string
      batch: number
      pauseSeconds: number
      stopOnError: boolean
      targets: RolloutTarget[]
      over?: {endedBy: string | null}
    }
  | {type: 'notice'; text: string}
  | {type: 'request'; request: import('./domain.ts').Request}
  | {type: 'pending'; request: string}
  /** the grant that an `assume` came to */
  | {type: 'granted'; grant: import('./domain.ts').Grant}
  | {type: 'error'; error: ErrorDescription}
