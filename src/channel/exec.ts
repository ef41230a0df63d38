/** The person's end of a run: waits with them, passes bytes both ways, comes back after a cut link, checks the end. */
import type {Exit, Receipt, SignalName} from '@prod/sdk'
import {confirmTyped} from '@prod/sdk/cli/ask'
import {clientInfo} from '@prod/sdk/cli/client-info'
import {showClock} from '@prod/sdk/cli/durations'
import {Interrupted} from '@prod/sdk/cli/failure'
import {paint, say} from '@prod/sdk/cli/output'
import {type Spinner, startSpinner} from '@prod/sdk/cli/spinner'
import {ProdError} from '@prod/sdk/errors'
import type {Broker, Session} from '@prod/sdk/session'
import {LinkLost, openStream, type StreamConnection} from '@prod/sdk/stream-client'
import type {EndPayload, FirstMessage, ServerMessage} from '@prod/sdk/wire'
import {Many, type ManyOutcome} from './many.ts'
import {type Outlet, openOutlet} from './outlet.ts'
import {passSignals} from './passed-signals.ts'
import {openPrefixed} from './prefixed.ts'
import {checkReceipt, openEnd, type Pins, readyChecks} from './proof.ts'

/** How long a cut link is tried to be taken up again: as long as the broker keeps the run. */
const comeBackMilliseconds = 60_000

export interface RunOptions {
  broker: Broker
  session: Session
  pins: Pins
  first: FirstMessage & {type: 'exec' | 'attach'}
  json: boolean
  raw: boolean
  /** hands over what Ctrl-C does from now on */
  onInterrupt(act: ((times: number) => void) | undefined): void
  /** of one target among many: its name, and where its output goes */
  among?: {target: string; outlets: {stdout: Outlet; stderr: Outlet}}
}

/** What came of a run. `status` is what our own process exits with. */
export interface RunOutcome {
  status: number
  id: string
  request: string
  target: string
  exit: Exit
  endedBy: string | null
  stdout: Outlet
  stderr: Outlet
  receipt: Receipt | null
  breakGlass: boolean
}

/** `--nowait`: the request waits, nothing has run. */
export interface Pending {
  pending: string
}

/** A run on many targets is over. */
export interface OnMany {
  many: ManyOutcome<RunOutcome>
}

/** Serves one run to its end. Throws what became of the request, LINK_LOST → OUTCOME_UNKNOWN when the link does not come back. */
export async function followRun(options: RunOptions): Promise<RunOutcome | Pending | OnMany> {
  const run = new TerminalEnd(options)
  try {
    return await run.follow()
  } finally {
    run.close()
  }
}

class TerminalEnd {
  readonly #options: RunOptions
  readonly #outlets: {stdout: Outlet; stderr: Outlet}
  #connection: StreamConnection | undefined
  #spinner: Spinner | undefined
  #started: (ServerMessage & {type: 'started'}) | undefined
  #request: string | undefined
  #end: EndPayload | undefined
  #receipt: Receipt | null = null
  #sawAll = true
  #interrupted = 0
  #stdinOn = false
  #passed = 0
  #stopPassing: (() => void) | undefined
  #many: Many<RunOutcome> | undefined
  #manyOver = false
  /** what was typed at the confirmation of a break-glass */
  #typed: string | undefined
  #warned = false

  constructor(options: RunOptions) {
    this.#options = options
    this.#outlets = options.among?.outlets ?? {
      stdout: openOutlet('stdout', {keep: options.json, raw: options.raw}),
      stderr: openOutlet('stderr', {keep: options.json, raw: options.raw, tail: true}),
    }
  }

  async follow(): Promise<RunOutcome | Pending | OnMany> {
    const {broker, session, first, onInterrupt} = this.#options
    onInterrupt(times => this.#interrupt(times))
    if (!this.#options.among) this.#stopPassing = passSignals(name => this.#passSignal(name))
    let lost: LinkLost | undefined
    for (;;) {
      try {
        const next = lost ? await this.#comeBack(lost) : await openStream({broker, session, first})
        this.#connection = next
        if (!lost) readyChecks(this.#options.pins)
        if (this.#interrupted > 0) this.#passInterrupt()
        const pending = await this.#read(next)
        if (pending !== undefined) return {pending}
        if (this.#many) return {many: await this.#many.finish()}
        return await this.#finish()
      } catch (error) {
        if (!(error instanceof LinkLost)) {
          // what Ctrl-C cancelled is no failure of the request
          if (this.#interrupted > 0 && error instanceof ProdError && error.code === 'REQUEST_CANCELLED') {
            this.#spinner?.stop()
            say(`${this.#request ?? 'the request'} is cancelled`)
            throw new Interrupted(undefined, {cause: error})
          }
          throw error
        }
        if (this.#end) return await this.#finish()
        if (this.#many && this.#manyOver) return {many: await this.#many.finish()}
        lost = error
      }
    }
  }

  close(): void {
    this.#options.onInterrupt(undefined)
    this.#stopPassing?.()
    this.#spinner?.stop()
    this.#many?.close()
    this.#connection?.close()
    if (this.#stdinOn) process.stdin.destroy()
  }

  /**
   * A lost link is taken up again with what is known: the run, the request that waits, or, where not even that is known, the
   * same words under the same key, which the broker does not take twice (TM-N3).
   */
  async #comeBack(lost: LinkLost): Promise<StreamConnection> {
    const {first} = this.#options
    const id = this.#started?.id ?? this.#request ?? (first.type === 'attach' ? first.id : undefined)
    // what was read of stdin before the start is gone with the link, and cannot be read again
    if (!this.#started && this.#stdinOn) {
      const [what, next] =
        id === undefined ? ['what became of it is unknown', 'prod request ls --mine'] : [`${id} waits`, `prod attach ${id} < FILE`]
      throw new ProdError('OUTCOME_UNKNOWN', `the connection was lost, and with it the stdin that was read; ${what}`, next, {cause: lost})
    }
    this.#say(`connection lost; taking up ${id ?? 'the request'} again`)
    const until = Date.now() + comeBackMilliseconds
    for (let wait = 100; ; wait = Math.min(wait * 2, 5000)) {
      try {
        const back = await openStream({
          broker: this.#options.broker,
          session: this.#options.session,
          ...(id === undefined
            ? {first: first.type === 'exec' && this.#typed !== undefined ? {...first, breakGlass: {confirmed: this.#typed}} : first}
            : {first: {type: 'attach', id, have: lost.have, stdin: this.#stdinOn, client: clientInfo()} as const, stdin: lost.stdin}),
        })
        this.#say('connected again')
        return back
      } catch (error) {
        const again =
          error instanceof ProdError &&
          (error.code === 'BROKER_UNREACHABLE' || error.code === 'LINK_LOST' || error.code === 'STORE_UNAVAILABLE')
        if (!again || Date.now() > until) {
          if (!again) throw error
          const next = id === undefined ? 'prod request ls --mine' : `prod attach ${id}`
          throw new ProdError(
            'OUTCOME_UNKNOWN',
            `the connection was lost and did not come back; the outcome of ${id ?? 'the request'} is unknown`,
            next,
            {
              cause: error,
            },
          )
        }
      }
      await new Promise(resolve => setTimeout(resolve, wait))
    }
  }

  async #read(connection: StreamConnection): Promise<string | undefined> {
    for await (const event of connection) {
      if (event.type === 'output') {
        if (event.stream === 'stdin') continue
        const taken = await this.#outlets[event.stream].write(event.bytes)
        connection.wrote(event.stream, event.bytes.byteLength)
        if (!taken) connection.signal('SIGHUP')
      } else if (event.type === 'end') {
        this.#end = openEnd(this.#options.pins, event.jws, this.#started?.id)
        // a receipt follows at once; of an unknown end there is none, and the broker closes
      } else if (event.type === 'message' && event.message.type === 'confirm') {
        await this.#confirm(event.message, connection)
      } else if (event.type === 'message') {
        const pending = this.#take(event.message, connection)
        if (pending !== undefined) return pending
        if (event.message.type === 'receipt' || this.#manyOver) return undefined
      }
    }
    if (!this.#end) throw new LinkLost({...connection.written}, {read: 0, pending: [], ended: false}, 'closed before the end')
    return undefined
  }

  #take(message: Exclude<ServerMessage, {type: 'challenge' | 'window' | 'error'}>, connection: StreamConnection): string | undefined {
    switch (message.type) {
      case 'waiting':
        this.#wait(message)
        break
      case 'queued':
        this.#show(
          `waits for ${message.behind} other ${message.behind === 1 ? 'run' : 'runs'} on ${message.target}${message.holder ? `: ${message.holder.run} holds ${message.holder.of}` : ''}`,
        )
        break
      case 'stdin-wanted':
        this.#sendStdin(connection)
        break
      case 'started':
        this.#spinner?.stop()
        this.#spinner = undefined
        // what came before, or was not kept for us
        if (message.stdout !== this.#outlets.stdout.digest().bytes || message.stderr !== this.#outlets.stderr.digest().bytes)
          this.#sawAll = false
        this.#started = message
        this.#warn(message.banner ?? [])
        if (this.#interrupted > 0) this.#passInterrupt()
        break
      case 'pending':
        return message.request
      case 'notice':
        this.#say(message.text)
        break
      case 'rollout':
        this.#takeMany(message)
        break
      case 'receipt':
        this.#receipt = message.receipt
        break
      case 'confirm':
      case 'request':
      case 'granted':
        break // asked where it is read; of followers; of roles
    }
    return undefined
  }

  #takeMany(message: ServerMessage & {type: 'rollout'}): void {
    this.#spinner?.stop()
    this.#spinner = undefined
    this.#request = message.request
    const {json, raw, onInterrupt: _, ...rest} = this.#options
    this.#many ??= new Many<RunOutcome>(
      async (target, run, progress) => {
        const outlet = (name: 'stdout' | 'stderr') =>
          json ? openOutlet(name, {keep: true, raw, tail: name === 'stderr'}) : openPrefixed(name, target, {raw, progress})
        const outcome = await followRun({
          ...rest,
          json,
          raw,
          first: {type: 'attach', id: run, have: {stdout: 0, stderr: 0}, client: clientInfo()},
          onInterrupt() {},
          among: {target, outlets: {stdout: outlet('stdout'), stderr: outlet('stderr')}},
        })
        if (!('exit' in outcome)) throw new ProdError('OUTCOME_UNKNOWN', `${run} is no run`, `prod attach ${run}`)
        return outcome
      },
      {quiet: json},
    )
    this.#many.take(message)
    if (message.over) this.#manyOver = true
  }

  /** Break-glass: the target's name is typed by hand, and no flag stands in for it. */
  async #confirm({text, banner}: ServerMessage & {type: 'confirm'}, connection: StreamConnection): Promise<void> {
    this.#warn(banner)
    this.#typed ??= await confirmTyped(text)
    connection.send({type: 'confirmed', text: this.#typed})
  }

  /** The banner stands on the screen once: above the confirmation, or where none was asked for. */
  #warn(banner: string[]): void {
    if (banner.length > 0 && !this.#warned) say(banner.map(line => paint('red', line)))
    this.#warned ||= banner.length > 0
  }

  #say(text: string): void {
    say(this.#options.among ? `${this.#options.among.target}: ${text}` : text)
  }

  #wait(message: ServerMessage & {type: 'waiting'}): void {
    const news = this.#request === undefined
    this.#request = message.request
    const now = new Date()
    const starts = message.startAt === undefined ? '' : `starts at ${showClock(message.startAt, now)}`
    if (message.approvals.length >= message.approvalsNeeded) {
      const approved = message.approvals.length > 0 ? `is approved by ${message.approvals.join(', ')}` : ''
      this.#show(`${message.request} ${[approved, starts].filter(Boolean).join('; ') || 'may start'}`)
      return
    }
    const who = message.approvers.length > 0 ? message.approvers.join(', ') : 'nobody known'
    const count = message.approvalsNeeded > 1 ? ` (${message.approvals.length} of ${message.approvalsNeeded})` : ''
    if (news) say([`${message.summary} needs approval${count}: prod request approve ${message.request}`])
    this.#show(
      `waiting since ${showClock(message.since, now)} for one of: ${who}${message.approvals.length > 0 ? `; approved by ${message.approvals.join(', ')}` : ''}${starts && `; ${starts}`}`,
    )
  }

  #show(text: string): void {
    if (this.#spinner) this.#spinner.update(text)
    else this.#spinner = startSpinner(text)
  }

  #sendStdin(connection: StreamConnection): void {
    if (this.#stdinOn) return
    this.#stdinOn = true
    void (async () => {
      for await (const chunk of process.stdin) await (this.#connection ?? connection).sendStdin(chunk as Uint8Array)
      await (this.#connection ?? connection).endStdin()
    })().catch(() => {})
  }

  #interrupt(times: number): void {
    this.#interrupted = times
    if (times >= 3) {
      this.#spinner?.stop()
      process.exit(130)
    }
    if (this.#connection) this.#passInterrupt()
    else process.exit(130)
  }

  /** Before the start Ctrl-C cancels the request; while it runs the first goes to the program, the second ends it. */
  #passInterrupt(): void {
    const name: SignalName = 'SIGINT'
    if (!this.#started) this.#connection?.send({type: 'cancel'})
    else if (this.#interrupted === 1) this.#connection?.signal(name)
    else this.#connection?.send({type: 'cancel'})
  }

  /** While it runs the first goes to the program, the second ends it; without a program, or a third time, it does what it does to any process. */
  #passSignal(name: SignalName): boolean {
    if (!this.#started || !this.#connection || this.#many || ++this.#passed > 2) return false
    if (this.#passed === 1) this.#connection.signal(name)
    else this.#connection.send({type: 'cancel'})
    return true
  }

  async #finish(): Promise<RunOutcome> {
    const {stdout, stderr} = this.#outlets
    await Promise.all([stdout.end(), stderr.end()])
    const end = this.#end
    const started = this.#started
    if (!end || !started) throw new ProdError('OUTCOME_UNKNOWN', 'the end of the run was not seen', 'prod attach ID')
    if (this.#receipt)
      checkReceipt(this.#options.pins, this.#receipt, end, this.#sawAll ? {stdout: stdout.digest(), stderr: stderr.digest()} : undefined)
    return {
      status: statusOf(end),
      id: end.id,
      request: started.request,
      target: started.target,
      exit: end.exit,
      endedBy: end.endedBy,
      stdout,
      stderr,
      receipt: this.#receipt,
      breakGlass: (started.banner ?? []).length > 0,
    }
  }
}

const signals: Record<string, number> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGSYS: 31,
}

/** Our exit status: the program's own; 128+n for a signal; 130, 248 or 249 where prod has a word of its own. Pure. */
export function statusOf({exit, endedBy}: Pick<EndPayload, 'exit' | 'endedBy'>): number {
  if ('unknown' in exit) return 248
  if (endedBy === 'cancelled') return 130
  if (endedBy !== null) return 249
  return 'status' in exit ? exit.status : 128 + (signals[exit.signal] ?? 0)
}
