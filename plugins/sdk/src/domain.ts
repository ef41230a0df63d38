/** The words of prod as types. Moments are ISO 8601 UTC text here (`2026-11-22T03:04:05.678Z`): these shapes cross borders. */

/** What people are compared by: from the identity provider's person claim. Unknown (empty) may never approve. */
export type PersonId = string

/** Who acts. Identity is issuer + subject; the name is for display alone (TM-I2). */
export interface Principal {
  iss: string
  sub: string
  person: PersonId
  name: string
}

/** What a command does to production. `admin` touches access itself. */
export type ToolClass = 'read' | 'change' | 'admin' | 'shell'

/** The Cedar action of a use. */
export type UseAction = 'run' | 'shell' | 'forward' | 'assume'
/** What policy is asked about: a use, or what people do about uses. */
export type PolicyAction =
  | UseAction
  | 'request'
  | 'approve'
  | 'breakGlass'
  | 'review'
  | 'watch'
  | 'readAudit'
  | 'readRecording'
  | 'freeze'
  | 'unfreeze'
  | 'erase'

/** How a program ended. `status` 0-255; `signal` such as SIGKILL; `unknown` says why nobody knows. */
export type Exit = {status: number} | {signal: string} | {unknown: string}

/** Bytes that are not here, but known: how many, and their hash. */
export interface Digest {
  bytes: number
  /** lower-case hex */
  sha256: string
}

/** One place on a network. `host`: a name in lower case, or an address in its one spelling, without brackets. `port`: 1-65535. */
export interface HostPort {
  host: string
  port: number
}

/** One target as the catalog knows it: `name` of the catalog, `address` as `primitive:where`. */
export interface TargetRef {
  name: string
  address: string
  environment: string
}

/** A role of the catalog, and what its provider confers for it. */
export interface ConferredRole {
  name: string
  provider: string
  parameters: Record<string, unknown>
}

/**
 * What an approver sees and signs (TM-W1): its RFC 8785 bytes are what the digest covers. Everything that decides what
 * will happen is in here, and nothing else is. Fields that do not apply are null, never absent.
 */
export interface ApprovalDocument {
  version: 1
  request: string
  kind: 'exec' | 'shell' | 'role' | 'forward'
  /** exec: argv with argv[0] the tool's name; else null */
  argv: string[] | null
  program: {path: string; sha256: string | null} | null
  env: Record<string, string>
  /** commands behind the one that is started (`timeout 5 df -h`), each judged by its own tool's definition; absent: none */
  behind?: {tool: string; argv: string[]; program: {path: string; sha256: string | null}}[]
  /** the folder it starts in; null: an empty one of its own */
  cwd: string | null
  /** what it may reach of its machine; absent: what its account may */
  needs?: Needs
  stdin: Digest | null
  tool: string | null
  class: ToolClass
  /** the OS account or role the run gets */
  runAs: string | null
  /** `role`: by whose credential it is reached */
  targets: (TargetRef & {role?: string})[]
  /** forward: every place that its connections may lead to, seen from the target; absent for all else */
  to?: HostPort[]
  /** on many targets: what chose them, how many at a time, and what one that fails does to the rest; absent for one target */
  rollout?: {on: string[]; batch: number; pauseSeconds: number; stopOnError: boolean}
  /** what the provider confers: the role asked for, or the one by whose credential the targets are reached */
  role: ConferredRole | null
  /** where the targets are reached by several: each of them; else absent */
  roles?: ConferredRole[]
  durationSeconds: number
  startAt: string | null
  maxUses: number
  retention: 'none' | 'redacted' | 'full'
  /** what of its output is taken out before anybody sees it; absent: nothing that the tool's definition names */
  redact?: {patterns: string[]; fields: string[]; columns: {separator: string | null; names: string[]; positions: number[]} | null}
  limits: Limits | null
  approvalsNeeded: number
  breakGlass: boolean
  /** why a break-glass needs a second person; absent: it needs none */
  secondPerson?: string
  incident: string | null
  requester: Principal
  reason: string
  /** sha256 of the catalog and policy bundle at submission */
  bundle: string
  createdAt: string
}

/**
 * What a program may reach of the machine it runs on, beyond what every program there may: reading the system's own files.
 * Where the platform can, all else is kept from it.
 */
export interface Needs {
  /** false: no network at all, the machine's own loopback included */
  network: boolean
  /** sees the machine's processes, and may touch those of its own account */
  processes: boolean
  /** absolute paths that it sees although such places are closed: below /home, /root, /run, /srv, /mnt, /media, /dev */
  reads: string[]
  /** absolute paths that it may write to, as far as its account may */
  writes: string[]
}

/** Limits of one run; whichever is met first ends it. */
export interface Limits {
  wallSeconds: number
  cpuSeconds: number
  memoryBytes: number
  processes: number
  fileBytes: number
  /** most bytes that a run puts out before it is ended; how much of them is kept is the broker's own bound */
  outputBytes: number
  /** most line breaks in it; absent: as many as there are */
  outputLines?: number
}

/** pending → approved → started → done; or denied, cancelled, expired, void (what was approved is no longer what would happen). */
export type RequestState = 'pending' | 'approved' | 'started' | 'done' | 'denied' | 'cancelled' | 'expired' | 'void'

/** One approver's answer to one request. */
export interface Approval {
  by: Principal
  decision: 'approve' | 'deny'
  digest: string
  /** compact JWS, `typ: prod-approval+jws`, by the approver's login key */
  jws: string
  at: string
  /** which login (family) signed; leads to the ID token that binds the key */
  login: string
}

/** A request as people see it. What is approved is its {@link ApprovalDocument}. */
export interface Request {
  id: string
  state: RequestState
  kind: 'exec' | 'shell' | 'role' | 'forward'
  principal: Principal
  reason: string
  /** what will run or be conferred, for people: derived from the document */
  summary: string
  class: ToolClass
  environment: string
  digest: string
  approvalsNeeded: number
  approvals: {by: string; person: PersonId; at: string}[]
  /** people seen lately whom policy permits, else the groups' names */
  approvers: string[]
  createdAt: string
  expiresAt: string
  startAt: string | null
  /** what came of it: run_, ses_ or grant_ */
  result: string | null
  note: string | null
  breakGlass: boolean
}

/** approved (its time may lie ahead) → active → expired, revoked (by somebody else) or handed back. */
export type GrantState = 'approved' | 'active' | 'expired' | 'revoked' | 'handed-back'

/** The right to a role until a time, conferred by a grant provider. */
export interface Grant {
  id: string
  state: GrantState
  request: string
  principal: Principal
  role: string
  provider: string
  startsAt: string
  expiresAt: string
  endedAt: string | null
}

/** started → ended; unknown where nobody saw the end. */
export type RunState = 'started' | 'ended' | 'unknown'

/** One execution of a tool. */
export interface Run {
  id: string
  state: RunState
  request: string
  principal: Principal
  tool: string
  argv: string[]
  target: TargetRef
  class: ToolClass
  reason: string
  incident: string | null
  breakGlass: boolean
  /** of a break-glass: its review */
  review: string | null
  /** whether its alerts were accepted before it started */
  alerted: boolean
  startedAt: string
  endedAt: string | null
  exit: Exit | null
  /** why it was ended by the broker: `revoked`, `cancelled`, `limit: wall`, `detached`, `broker stop`; else null */
  endedBy: string | null
  stdout: Digest | null
  stderr: Digest | null
}

/** opening → open → closed. */
export type SessionState = 'opening' | 'open' | 'closed'

/** What has gone through a forward. `in` is from the person to production, `out` the other way. */
export interface Traffic {
  connections: number
  bytesIn: number
  bytesOut: number
}

/** One shell, with its recording; or one forward, of which the connections are counted and nothing is recorded. */
export interface Session {
  id: string
  state: SessionState
  /** absent from older brokers: a shell */
  kind?: 'shell' | 'forward'
  /** of a forward: where it may lead */
  to?: HostPort[]
  /** of a forward that is over */
  traffic?: Traffic
  request: string
  principal: Principal
  target: TargetRef
  reason: string
  incident: string | null
  breakGlass: boolean
  openedAt: string
  closedAt: string | null
  expiresAt: string
  exit: Exit | null
  endedBy: string | null
  /** number of sealed chunks so far */
  chunks: number
  review: string | null
  alerted: boolean
  /** it was opened without the broker, and handed in at this time */
  offline?: {handedInAt: string}
}

/** The fleet-wide stop, while it is on: nothing of class `change`, `admin` or `shell` starts, with `all` no read either. */
export interface Freeze {
  all: boolean
  /** name of who froze first */
  by: string
  since: string
  reason: string
  /** the first of the two who lift it, while the second is waited for; null where nobody has */
  lift: {by: string; at: string; until: string; reason: string} | null
}

/** What is to be erased, or was: everything of a person, or what is kept of single runs and sessions. Two people agree to it. */
export interface Erasure {
  id: string
  /** asked → agreed → done, or lapsed: nobody agreed in time */
  state: 'asked' | 'agreed' | 'done' | 'lapsed'
  about: 'person' | 'things'
  /** the person, until it is done: then nothing tells */
  person: string | null
  /** runs and sessions; of a person none */
  things: string[]
  by: string
  reason: string
  askedAt: string
  /** a second person may agree until then */
  until: string
  agreedBy: string | null
  doneAt: string | null
  /** what is gone; null until it is done */
  erased: ErasedCount | null
}

/** How much was erased: texts of the log, stored outputs, recordings, and records beside the log. */
export interface ErasedCount {
  texts: number
  outputs: number
  recordings: number
  records: number
}

/** What somebody else must say about a break-glass; overdue after `dueAt`. */
export interface Review {
  id: string
  state: 'open' | 'done'
  /** the session, or the run */
  session: string
  principal: Principal
  target: TargetRef
  dueAt: string
  createdAt: string
  doneAt: string | null
  by: Principal | null
  verdict: 'ok' | 'follow-up' | 'violation' | null
  note: string | null
}

/** Signed proof of what happened. `signature`: compact JWS (EdDSA, broker's receipt key) over the JCS bytes without it. */
export interface Receipt {
  version: 1
  run: string
  request: string
  principal: {iss: string; sub: string; name: string}
  tool: string
  argv: string[]
  target: string
  reason: string
  approvals: {by: string; digest: string; jws: string}[]
  exit: Exit
  stdout: Digest
  stderr: Digest
  startedAt: string
  endedAt: string
  /**
   * where the end record lies in the log, its inclusion proof (base64 hashes) and the signed checkpoint it leads to; `handOvers`:
   * how the log came to the key of that checkpoint, where it had others before
   */
  log: {index: number; proof: string[]; checkpoint: string; handOvers?: string[]}
  signature: string
}

/** A terminal's size in characters, 1 to 10,000 each. */
export interface TerminalSize {
  columns: number
  rows: number
}

/** Signals that may be passed to a program. */
export type SignalName = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGQUIT' | 'SIGKILL' | 'SIGUSR1' | 'SIGUSR2'
