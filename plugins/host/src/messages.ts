/** What broker, runner and terminal say to each other over their channels. The bytes of tools never go this way. */
import type {Exit, SignalName, TerminalSize, Use} from '@prod/sdk'
import type {ErrorCode} from '@prod/sdk/errors'

/** How a tree is kept together: namespaces of our own, bubblewrap's, or by watching processes. Best first. */
export type Isolation = 'namespaces' | 'bubblewrap' | 'processes'

/** What the runner is told once, before anything runs. */
export interface Settings {
  /** where the runner listens for the broker's connections, in a folder of its own */
  socket: string
  /** folder for the private directories of runs */
  folder: string
  development: boolean
  hide: string[]
  /** null: the best that works here */
  isolation: Isolation | null
  /** instances of runners that died: what they left is ended first */
  dead: string[]
  instance: string
}

/** What the runner found on this machine. */
export interface Platform {
  isolation: Isolation
  /** namespaces inside a user namespace: the broker is an ordinary user */
  rootless: boolean
  hides: boolean
  noNewPrivileges: boolean
  coreDumpsOff: boolean
  namesItself: boolean
  changesUser: boolean
  terminal: boolean
  /** definitions that say what they need are held to it: root folder read-only, closed places, private /tmp and /dev */
  confines: boolean
  /** programs can be kept from the network */
  closesNetwork: boolean
  /** why not, where one of the two is false */
  whyOpen: string | null
  /** what control groups give: ends a tree at one stroke; holds memory and processes at their limits */
  groups: {ends: boolean; limits: boolean; why: string | null}
}

/** One-use words that a connection begins with, so that the broker knows whose bytes it carries. */
export interface Tokens {
  stdin: string | null
  stdout: string
  stderr: string | null
}

/** Keys of AWS, as a grant provider confers them. `Expiration`: ISO 8601; `Region`: where the role works, if in one. */
export interface AwsKeys {
  readonly AccessKeyId: string
  readonly SecretAccessKey: string
  readonly SessionToken?: string
  readonly Expiration?: string
  readonly Region?: string
}

export type ToRunner =
  | {type: 'start'; settings: Settings}
  /** `keys`: by which its program reaches what lies beyond this machine */
  | {type: 'open'; id: string; use: Exclude<Use, {kind: 'forward'}>; tokens: Tokens; keys: AwsKeys | null}
  | {type: 'renew'; id: string; keys: AwsKeys}
  | {type: 'inspect'; id: string; program: {path: string; sha256?: string}}
  | {type: 'signal'; id: string; name: SignalName}
  | {type: 'resize'; id: string; size: TerminalSize}
  | {type: 'end'; id: string}

export type FromRunner =
  | {type: 'ready'; platform: Platform}
  | {type: 'opened'; id: string}
  | {type: 'inspected'; id: string; program: {path: string; sha256: string}}
  | {type: 'refused'; id: string; code: ErrorCode; message: string; hint?: string}
  | {type: 'ended'; id: string; exit: Exit; limit: Limit | null}

/** The limits enforced here; output is counted by whoever stores it. */
export type Limit = 'wall' | 'cpu' | 'memory' | 'processes' | 'file'

export type ToTerminal =
  | {
      type: 'start'
      bash: string
      command: Command
      size: TerminalSize
      owner: Ids | null
      identity: Ids | null
    }
  | {type: 'resize'; size: TerminalSize}

/** A user id and its group's. */
export interface Ids {
  uid: number
  gid: number
}

export type FromTerminal =
  | {type: 'started'; pid: number}
  | {type: 'exit'; status: number | null; signal: string | null}
  | {type: 'failed'; message: string}

/** One program to start, as it is. */
export interface Command {
  file: string
  args: string[]
  env: Record<string, string>
  cwd: string
}

/** Length of a token on a connection: 32 hex digits. */
export const tokenBytes = 32
