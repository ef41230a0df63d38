/** The person's end of a forward: waits with them, keeps it open, comes back after a cut link, closes it. */
import {confirmTyped} from '@prod/sdk/cli/ask'
import {clientInfo} from '@prod/sdk/cli/client-info'
import {Interrupted} from '@prod/sdk/cli/failure'
import {paint, say} from '@prod/sdk/cli/output'
import {type Spinner, startSpinner} from '@prod/sdk/cli/spinner'
import {ProdError} from '@prod/sdk/errors'
import {LinkLost, openStream, type StreamConnection} from '@prod/sdk/stream-client'
import type {EndPayload, FirstMessage, ServerMessage} from '@prod/sdk/wire'
import type {Streams} from './connection.ts'
import {openEnd} from './proof.ts'

/** a cut link keeps a forward for so long at the broker */
const comeBackMilliseconds = 15_000
const waitingMilliseconds = 60_000
const retryMilliseconds = 200

/** What the broker said when it opened. */
export type Started = ServerMessage & {type: 'started'}

export interface ForwardOptions extends Streams {
  first: FirstMessage & {type: 'forward' | 'attach'}
  /** it is open: called once */
  onOpen(started: Started): void
}

/** How a forward ended. */
export interface ForwardOutcome {
  end: EndPayload
  breakGlass: boolean
}

/** One forward, from the asking to the end. */
export class ForwardEnd {
  readonly #options: ForwardOptions
  #stream: StreamConnection | undefined
  #spinner: Spinner | undefined
  #started: Started | undefined
  #request: string | undefined
  /** what was typed at the confirmation of a break-glass */
  #typed: string | undefined
  #warned = false
  #cancelled = false

  constructor(options: ForwardOptions) {
    this.#options = options
  }

  /** Serves it to its end; the id of its request where nobody waits. Throws what became of the request, OUTCOME_UNKNOWN where the link does not come back. */
  async follow(): Promise<ForwardOutcome | {pending: string}> {
    const {broker, session, first, pins} = this.#options
    let lost: LinkLost | undefined
    try {
      for (;;) {
        try {
          this.#stream = lost ? await this.#comeBack(lost) : await openStream({broker, session, first})
          if (this.#cancelled) this.cancel()
          const found = await this.#read(this.#stream)
          if ('pending' in found) return found
          return {end: openEnd(pins, found.jws, this.#started?.id), breakGlass: (this.#started?.banner ?? []).length > 0}
        } catch (error) {
          if (this.#cancelled && error instanceof ProdError && error.code === 'REQUEST_CANCELLED') {
            this.#spinner?.stop()
            say(`${this.#request ?? 'the request'} is cancelled`)
            throw new Interrupted(undefined, {cause: error})
          }
          if (!(error instanceof LinkLost)) throw error
          lost = error
        }
      }
    } finally {
      this.#spinner?.stop()
      this.#stream?.close()
    }
  }

  /** Ctrl-C: breaks off, or cancels the request that waits. */
  cancel(): void {
    this.#cancelled = true
    this.#stream?.send({type: 'cancel'})
  }

  /** Closes it in order. */
  close(): void {
    this.#stream?.send({type: 'stdin-end'})
  }

  async #read(stream: StreamConnection): Promise<{jws: string} | {pending: string}> {
    for await (const event of stream) {
      if (event.type === 'end') return {jws: event.jws}
      if (event.type !== 'message') continue
      const {message} = event
      if (message.type === 'pending') return {pending: message.request}
      if (message.type === 'confirm') {
        this.#warn(message.banner)
        this.#typed ??= await confirmTyped(message.text)
        stream.send({type: 'confirmed', text: this.#typed})
      } else if (message.type === 'waiting') this.#wait(message)
      else if (message.type === 'notice') say(message.text)
      else if (message.type === 'started') this.#begin(message)
    }
    throw new LinkLost(stream.written, {read: 0, pending: [], ended: false}, 'closed before the end')
  }

  #begin(message: Started): void {
    this.#spinner?.stop()
    this.#spinner = undefined
    const again = this.#started !== undefined
    this.#started = message
    if (again) {
      say('connected again')
      return
    }
    this.#warn(message.banner ?? [])
    this.#options.onOpen(message)
  }

  /** The banner stands on the screen once: above the confirmation, or where none was asked for. */
  #warn(banner: string[]): void {
    if (banner.length > 0 && !this.#warned) say(banner.map(line => paint('red', line)))
    this.#warned ||= banner.length > 0
  }

  #wait({request, summary, approvers, approvals, approvalsNeeded}: ServerMessage & {type: 'waiting'}): void {
    if (this.#request === undefined && approvals.length < approvalsNeeded) say(`${summary} needs approval: prod request approve ${request}`)
    this.#request = request
    const text =
      approvals.length >= approvalsNeeded ? `${request} is approved` : `waiting for one of: ${approvers.join(', ') || 'nobody known'}`
    if (this.#spinner) this.#spinner.update(text)
    else this.#spinner = startSpinner(text)
  }

  /** It is taken up where it stood; what was asked for and not answered, by the same words under the same key (TM-N3). */
  async #comeBack(lost: LinkLost): Promise<StreamConnection> {
    const {broker, session, first} = this.#options
    const id = this.#started?.id ?? this.#request
    say(`connection lost; taking up ${id ?? 'the request'} again`)
    const until = Date.now() + (this.#started ? comeBackMilliseconds : waitingMilliseconds)
    const asked = first.type === 'forward' && this.#typed !== undefined ? {...first, breakGlass: {confirmed: this.#typed}} : first
    for (;;) {
      try {
        return await openStream({
          broker,
          session,
          first: id === undefined ? asked : {type: 'attach', id, have: {stdout: 0, stderr: 0}, client: clientInfo()},
        })
      } catch (error) {
        const again =
          error instanceof ProdError &&
          (error.code === 'BROKER_UNREACHABLE' || error.code === 'LINK_LOST' || error.code === 'STORE_UNAVAILABLE')
        if (!again) throw error
        if (Date.now() > until || this.#cancelled) {
          const what = this.#started ? `${id} was open; the broker ends it` : `the outcome of ${id ?? 'the request'} is unknown`
          throw new ProdError('OUTCOME_UNKNOWN', `the connection was lost and did not come back: ${what}`, 'prod sessions ls', {
            cause: lost,
          })
        }
      }
      await new Promise(resolve => setTimeout(resolve, retryMilliseconds))
    }
  }
}
