import type {Readable, Writable} from 'node:stream'
import type {Exit, HostPort, Limits, Needs, SignalName, TerminalSize} from './domain.ts'

/**
 * One thing a use needs, least first. `kind` names who understands it: `os` is an account of the machine, which needs no credential;
 * of any other (`aws`, …) the use needs one, bounded by this.
 */
export interface Permission {
  kind: string
  actions: string[]
  resources: string[]
  /** when it holds, as the far side writes it: `{StringEquals: {'aws:RequestedRegion': 'eu-west-1'}}`; absent: always */
  conditions?: Record<string, Record<string, string | string[]>>
}

/** One path that a program is given: a regular file, or a folder where `folder` says so. */
export interface NamedPath {
  path: string
  folder: boolean
}

/** How a target is used. argv[0] is the program's own idea of its name; `program.path` is what is executed. */
export type Use =
  | {
      kind: 'exec'
      program: {path: string; sha256?: string}
      argv: string[]
      env: Record<string, string>
      limits: Limits
      stdin: boolean
      runAs?: string
      /** absent: what its account may */
      needs?: Needs
      /** absolute path of the folder to start in; absent: an empty one of its own */
      cwd?: string
      /** paths among its arguments: no link on the way, and what they lead to is what the program gets (TM-H14) */
      paths?: NamedPath[]
    }
  | {kind: 'shell'; size: TerminalSize; env: Record<string, string>; limits: Limits; runAs?: string}
  /** one connection; `to` is seen from the target, and the catalog allows it */
  | {kind: 'forward'; to: HostPort}

/** The only credential a plugin sees: minted for this use, dies with it. Values are secrets: never in argv, files, logs, messages. */
export interface Access {
  /** the run, session or grant this is for: labels trees, cloud sessions, tags */
  readonly id: string
  /** who acts, as `iss#sub` */
  readonly principal: string
  readonly credential: Readonly<Record<string, string>>
  /** A fresh credential for the same use, while the right to it lives; rejects with REVOKED when that has ended. Absent: `credential` is all there is. */
  renew?(): Promise<Readonly<Record<string, string>>>
}

/**
 * One open use: bytes in, bytes out, how it ended. `stdout` and `stderr` are paused until read and push back on the far
 * side. For a shell, `stderr` ends at once. `ended` never rejects.
 *
 * A forward is opened once for each connection. `stdin` and `stdout` are its two directions: the end of one goes to the far side, or
 * comes from there, while the other goes on, as far as the protocol allows. `stderr` ends at once; `ended` is `{status: 0}` once both
 * directions have ended in order, `unknown` where the far side broke off. `end` breaks off.
 */
export interface Channel {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /** Tells the terminal of a shell its new size; nothing without one. */
  resize(size: TerminalSize): void
  /** Passes a signal to the program, not to the way there. Nothing once it has ended. */
  signal(name: SignalName): void
  /** Ends the whole tree, whatever it does; resolves when no descendant is left. Safe to repeat. */
  end(why: string): Promise<Exit>
  /** How it ended: `unknown` where the link was lost, never a status that nobody sent. */
  readonly ended: Promise<Exit>
  /** Gives whoever uses it words about the way there, as they come: a link that was lost, and is back. Never secrets. Absent: there are none. */
  listen?(hear: (text: string) => void): void
  /** which limit the far side enforced, once ended: `wall`, `cpu`, `memory`, … */
  readonly limit?: string
}

/**
 * What `stdout` and `stderr` of a channel may be besides Readable: they lend their bytes instead of giving them away, so that a fast
 * program costs no memory. One way or the other, from the start.
 */
export interface Lender {
  /**
   * Calls `take` with each piece, which is valid until it returns, or until what it returns has resolved; so long nothing more is read.
   * Resolves at the end. A failure of `take` destroys the stream and is what this rejects with.
   */
  lend(take: (bytes: Uint8Array) => Promise<void> | undefined): Promise<void>
}

/** A target that a primitive found by itself; `address` is whole, as `id:where`. */
export interface FoundTarget {
  address: string
  name: string
  labels: Record<string, string>
  /** there are several in it, of which one may be chosen by the address with `/*`: what they are, and which is taken where none is */
  inside?: {what: string; otherwise: string}
}

/** What whoever starts a primitive tells it about the machine it works on. */
export interface StartOptions {
  /** `--dev` alone: programs may belong to, and run as, the caller's own user */
  development: boolean
  /** absolute paths to keep from what runs here (keys, store, recordings), where the platform can */
  hide: string[]
}

/**
 * A way in. The broker calls it; in offline break-glass the CLI does. It knows no terminal, no HTTP, no process exit.
 * @typeParam T what names one target after `id:`
 */
export interface Primitive<T = unknown> {
  /** the part of an address before the colon: `[a-z][a-z0-9-]*` */
  readonly id: string
  /** what it reaches, in a line */
  readonly summary: string
  readonly uses: readonly Use['kind'][]
  /** it holds programs to `needs`, starts them in `cwd` and settles `paths`; else a definition that says so is refused */
  readonly confines?: boolean
  /** The part after `id:`. Pure. Throws TARGET_INVALID with an example. */
  parse(text: string): T
  /**
   * The machine it leads to, in words that other ways in to the same machine use too: `aws:eu-west-1/i-0a1b2c3d`. What changes it stands in one
   * line and is counted in one budget, whichever way is taken (TM-N1); several where one use touches several: each has a line and a budget of
   * its own; none where what this program does there changes no machine, and so stands in no line. Pure. Absent, or undefined: the address
   * without its pins. `program`: the path of the tool's program, where it is for a tool.
   */
  machine?(target: T, program?: string): string | readonly string[] | undefined
  /** The least this use needs. Pure. */
  permissions(target: T, use: Use): Permission[]
  /** Why a program there can be given no input, and what to use instead: said before anybody is asked. Undefined, or absent: it can. Pure. */
  lacksStdin?(target: T): {why: string; instead: string} | undefined
  /** Opens the channel; heavy packages load here. Throws TARGET_UNREACHABLE, TOOL_UNAVAILABLE. */
  open(target: T, use: Use, access: Access, signal: AbortSignal): Promise<Channel>
  /**
   * A use is over: nothing more is opened with this `access.id`, and what was open has ended. Who keeps something between the connections
   * of one forward gives it up here. Resolves once nothing is left at the far side: so long, and a minute at most, the credential lives (TM-X4).
   */
  release?(id: string): Promise<void>
  /** Called once before the broker serves; what it returns is called when the broker stops. */
  start?(options?: StartOptions): Promise<() => Promise<void>>
  /**
   * What `program` is on the target now: its real path and SHA-256, so that what people approve is what runs (TM-W1).
   * Absent where the far side cannot say. Throws TOOL_UNAVAILABLE.
   */
  inspect?(target: T, program: {path: string; sha256?: string}): Promise<{path: string; sha256: string}>
  /**
   * Looks for the targets that `within` stands for (its address has a `*`), or without it for all in the region of the credential, as far
   * as `access` may see: those whose id, name, labels or network names hold each word of `text`, or its letters in this order. An empty
   * text finds all.
   */
  discover?(query: {text: string; within?: T}, access: Access): AsyncIterable<FoundTarget>
  /** The least that looking takes. Pure. Where `discover` is. */
  discoverPermissions?(within: T): Permission[]
  /**
   * What an address that leaves open which machine or container is touched leads to now: the part after `id:` that names it, or each of
   * them, and says all else as before. It is asked when a use is approved or locked, and stands in what people approve; `open` gets it then
   * and reaches that or nothing (TM-X2). Throws TARGET_UNREACHABLE, TARGET_INVALID, LIMIT_REACHED.
   */
  resolve?(target: T, access: Access, signal: AbortSignal): Promise<string>
  /** The least that resolving takes; undefined where the address leaves nothing open. Pure. Where `resolve` is. */
  resolvePermissions?(target: T): Permission[] | undefined
  /** What this platform gives, for `prod doctor`: one line each. */
  checks?(): Promise<{name: string; ok: boolean; detail: string}[]>
}

const limits: Limits = {wallSeconds: 60, cpuSeconds: 60, memoryBytes: 1, processes: 1, fileBytes: 1, outputBytes: 1}
const examples: Record<Use['kind'], Use> = {
  exec: {kind: 'exec', program: {path: '/bin/true'}, argv: ['true'], env: {}, limits, stdin: false},
  shell: {kind: 'shell', size: {columns: 80, rows: 24}, env: {}, limits},
  forward: {kind: 'forward', to: {host: '127.0.0.1', port: 1}},
}

/** What of a use is had by a credential: all that is no account of the machine. Pure. */
export function credentialed(needed: readonly Permission[]): Permission[] {
  return needed.filter(({kind}) => kind !== 'os')
}

/** Whether a use of this kind is made by a credential there: then one must be given. Pure. */
export function needsCredential<T>(primitive: Primitive<T>, target: T, kind: Use['kind']): boolean {
  return primitive.uses.includes(kind) && credentialed(primitive.permissions(target, examples[kind])).length > 0
}

/** Types a primitive without losing its target type. */
export function definePrimitive<T>(primitive: Primitive<T>): Primitive<T> {
  return primitive
}
