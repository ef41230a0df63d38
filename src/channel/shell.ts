/** The person's end of a shell: banner, typed confirmation, raw terminal, resizing; also of a watched one. */
import type {Exit, SignalName} from '@prod/sdk'
import {confirmTyped} from '@prod/sdk/cli/ask'
import {clientInfo} from '@prod/sdk/cli/client-info'
import {showClock} from '@prod/sdk/cli/durations'
import {paint, passBytes, say} from '@prod/sdk/cli/output'
import {type Spinner, startSpinner} from '@prod/sdk/cli/spinner'
import {openTail} from '@prod/sdk/cli/tail'
import {ProdError} from '@prod/sdk/errors'
import type {Broker, Session} from '@prod/sdk/session'
import {LinkLost, openStream, type StreamConnection} from '@prod/sdk/stream-client'
import type {StreamSanitiser} from '@prod/sdk/text'
import type {EndPayload, FirstMessage, ServerMessage} from '@prod/sdk/wire'
import {statusOf} from './exec.ts'
import {passSignals} from './passed-signals.ts'
import {createPlain} from './plain.ts'
import {openEnd, type Pins} from './proof.ts'
import {ownSize, takeTerminal} from './terminal.ts'

/** A cut link keeps a shell for 15 seconds at the broker. */
const comeBackMilliseconds = 15_000
const ctrlC = 3

export interface ShellOptions {
  broker: Broker
  session: Session
  pins: Pins
  first: FirstMessage & {type: 'shell' | 'attach' | 'watch'}
  /** shows output as text that acts on nothing: for whoever watches */
  plain?: boolean
  onInterrupt(act: ((times: number) => void) | undefined): void
}

/** How a shell ended. */
export interface ShellOutcome {
  status: number
  session: string
  exit: Exit | null
  endedBy: string | null
  breakGlass: boolean
  /** the end of what was shown, for an explanation; of one's own shell alone, and no part of what is printed */
  tail?: string
}

/** The last line of a shell. */
export function sayEnded({session, exit, endedBy, breakGlass}: ShellOutcome): void {
  if (exit === null) return
  const how = endedBy === null ? 'is closed' : `was ended: ${endedBy}`
  say(`${session} ${how}${breakGlass ? '; this was break-glass, and its review waits: prod review ls' : ''}`)
}

/** Serves one shell to its end. The terminal is given back as it was, whatever happens. */
export async function followShell(options: ShellOptions): Promise<ShellOutcome> {
  const shell = new ShellEnd(options)
  try {
    return await shell.follow()
  } finally {
    shell.close()
  }
}

class ShellEnd {
  readonly #options: ShellOptions
  readonly #watching: boolean
  readonly #plain: StreamSanitiser | undefined
  readonly #tail = openTail()
  #connection: StreamConnection | undefined
  #spinner: Spinner | undefined
  #warned = false
  #started: (ServerMessage & {type: 'started'}) | undefined
  #request: string | undefined
  #end: EndPayload | undefined
  #lostAt: number | undefined
  #giveBack = () => {}
  #stopPassing = () => {}
  #isEnding = false

  constructor(options: ShellOptions) {
    this.#options = options
    this.#watching = options.first.type === 'watch'
    this.#plain = options.plain ? createPlain() : undefined
  }

  async follow(): Promise<ShellOutcome> {
    const {broker, session, first, onInterrupt} = this.#options
    onInterrupt(times => this.#interrupt(times))
    this.#stopPassing = passSignals(name => this.#passSignal(name))
    let lost: LinkLost | undefined
    for (;;) {
      try {
        const next = lost ? await this.#comeBack(lost) : await openStream({broker, session, first})
        this.#connection = next
        const pending = await this.#read(next)
        if (pending !== undefined) return {status: 245, session: pending, exit: null, endedBy: null, breakGlass: false}
        break
      } catch (error) {
        if (!(error instanceof LinkLost) || this.#watching) throw error
        lost = error
      }
    }
    if (this.#plain) await passBytes('stdout', this.#plain.end())
    const breakGlass = (this.#started?.banner ?? []).length > 0 && !this.#watching
    if (!this.#end) return {status: 0, session: this.#started?.id ?? '', exit: null, endedBy: null, breakGlass}
    const {id, exit, endedBy} = this.#end
    // what somebody else's terminal shows is none of ours to keep
    return {status: statusOf(this.#end), session: id, exit, endedBy, breakGlass, ...(this.#watching ? {} : {tail: this.#tail.text()})}
  }

  close(): void {
    this.#stopPassing()
    this.#giveBack()
    this.#spinner?.stop()
    this.#options.onInterrupt(undefined)
    this.#connection?.close()
  }

  /** A cut link keeps a shell for a while: it is taken up again where it stood, with what was typed and not yet read. */
  async #comeBack(lost: LinkLost): Promise<StreamConnection> {
    const id = this.#started?.id ?? this.#request
    if (id === undefined)
      throw new ProdError('BROKER_UNREACHABLE', 'the connection was lost before anything was opened', 'prod shell', {cause: lost})
    if (this.#lostAt === undefined) say(`connection lost; taking up ${id} again; Ctrl-C to leave it`)
    this.#lostAt ??= Date.now()
    const {broker, session} = this.#options
    for (;;) {
      await new Promise(resolve => setTimeout(resolve, 200))
      try {
        return await openStream({
          broker,
          session,
          first: {type: 'attach', id, have: lost.have, size: ownSize(), client: clientInfo()},
          stdin: lost.stdin,
        })
      } catch (error) {
        const again = error instanceof ProdError && (error.code === 'BROKER_UNREACHABLE' || error.code === 'STORE_UNAVAILABLE')
        if (!again) throw error
      }
      if (Date.now() - this.#lostAt > comeBackMilliseconds) {
        throw new ProdError('OUTCOME_UNKNOWN', `the connection was lost while ${id} was open; the broker ends it`, `prod attach ${id}`, {
          cause: lost,
        })
      }
    }
  }

  async #read(connection: StreamConnection): Promise<string | undefined> {
    for await (const event of connection) {
      if (event.type === 'output') {
        if (event.stream !== 'stdout') continue
        const shown = passBytes('stdout', this.#plain ? this.#plain.push(event.bytes) : event.bytes)
        this.#tail.push(event.bytes)
        await shown
        connection.wrote('stdout', event.bytes.byteLength)
      } else if (event.type === 'end') {
        this.#end = openEnd(this.#options.pins, event.jws, this.#started?.id)
        return undefined
      } else if (event.type === 'message') {
        if (event.message.type === 'pending') return event.message.request
        await this.#take(event.message, connection)
      }
    }
    if (!this.#watching) throw new LinkLost({...connection.written}, {read: 0, pending: [], ended: false}, 'closed before the end')
    return undefined
  }

  async #take(message: Exclude<ServerMessage, {type: 'challenge' | 'window' | 'error'}>, connection: StreamConnection): Promise<void> {
    if (message.type === 'confirm') {
      this.#warn(message.banner)
      connection.send({type: 'confirmed', text: await confirmTyped(message.text)})
    } else if (message.type === 'waiting') {
      this.#wait(message)
    } else if (message.type === 'notice') {
      say(message.text)
    } else if (message.type === 'started') {
      this.#begin(message, connection)
    }
  }

  /** The banner stands on the screen once: above the confirmation, or where none was asked for. */
  #warn(banner: string[]): void {
    if (!this.#warned) say(banner.map(line => paint('red', line)))
    this.#warned = true
  }

  #wait({request, summary, approvers}: ServerMessage & {type: 'waiting'}): void {
    if (this.#request === undefined) say(`${summary} needs a second person: prod request approve ${request}`)
    this.#request = request
    const text = approvers.length > 0 ? `waiting for one of: ${approvers.join(', ')}` : `${request} is approved`
    if (this.#spinner) this.#spinner.update(text)
    else this.#spinner = startSpinner(text)
  }

  #begin(message: ServerMessage & {type: 'started'}, connection: StreamConnection): void {
    this.#spinner?.stop()
    this.#spinner = undefined
    this.#lostAt = undefined
    const again = this.#started !== undefined
    this.#started = message
    if (!this.#watching) connection.resize(ownSize())
    if (again) {
      say('connected again')
      return
    }
    const {id, target, environment, banner = [], expiresAt} = message
    this.#warn(banner)
    if (this.#watching) return
    if (expiresAt) say(`${id} on ${target} (${environment}); it ends at ${showClock(expiresAt, new Date())} at the latest`)
    this.#giveBack = takeTerminal(`${banner.length > 0 ? 'BREAK-GLASS' : 'prod'} ${target} (${environment})`, {
      typed: bytes => this.#type(bytes),
      resized: size => this.#connection?.resize(size),
    })
  }

  /** While the link is lost there is no far shell to type to: Ctrl-C stops waiting for it, all else is dropped. */
  #type(bytes: Uint8Array): void {
    if (this.#lostAt === undefined) void this.#connection?.sendStdin(bytes)
    else if (bytes.includes(ctrlC)) this.#lostAt = 0
  }

  /** SIGQUIT from outside is the key; what ends this process ends the shell first, in order. A second time it does what it does to any process. */
  #passSignal(name: SignalName): boolean {
    const connection = this.#lostAt === undefined && this.#started && !this.#watching ? this.#connection : undefined
    if (connection && name === 'SIGQUIT') {
      connection.signal(name)
      return true
    }
    if (!connection || this.#isEnding) {
      this.#giveBack()
      return false
    }
    this.#isEnding = true
    connection.send({type: 'cancel'})
    return true
  }

  /** In raw mode Ctrl-C is the far shell's; this is one from outside, or before the terminal is taken. */
  #interrupt(times: number): void {
    if (times >= 2 || !this.#connection) process.exit(130)
    if (this.#watching) this.#connection.close()
    else this.#connection.send({type: 'cancel'})
  }
}
