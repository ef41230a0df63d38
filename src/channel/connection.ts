/** One connection of a forward: bytes between a local end and a stream of its own, both ways, and the end of each. */
import type {Readable, Writable} from 'node:stream'
import type {HostPort} from '@prod/sdk'
import {clientInfo} from '@prod/sdk/cli/client-info'
import {ProdError} from '@prod/sdk/errors'
import type {Broker, Session} from '@prod/sdk/session'
import {LinkLost, openStream, type StreamConnection} from '@prod/sdk/stream-client'
import {type EndPayload, frame} from '@prod/sdk/wire'
import {openEnd, type Pins} from './proof.ts'

/** What a stream needs. */
export interface Streams {
  broker: Broker
  session: Session
  pins: Pins
}

/** Who is at this end of a connection. */
export interface LocalEnd {
  input: Readable
  output: Writable
  /** what is done when the far side sends no more; absent: `output` ends */
  onFarEnd?(): void
}

/** A connection that goes on. */
export interface Carried {
  /** the far side has answered, or it has failed */
  readonly opened: Promise<void>
  /** how it ended; throws what the broker said, LINK_LOST where the link did not come back */
  readonly ended: Promise<EndPayload>
  /** Breaks it off: the local end is gone. */
  breakOff(): void
}

/** as long as the broker keeps it */
const comeBackMilliseconds = 15_000
const retryMilliseconds = 200

/** Opens a connection through a forward and carries bytes until both directions have ended, over cut links too. */
export function carry(local: LocalEnd, streams: Streams, forward: string, to: HostPort): Carried {
  const connection = new Connection(local, streams, forward)
  const ended = connection.carry(to)
  return {ended, opened: Promise.race([connection.opened, ended.then(ignore, ignore)]), breakOff: () => connection.breakOff()}
}

const ignore = (): void => {}

class Connection {
  readonly #local: LocalEnd
  readonly #streams: Streams
  readonly #forward: string
  #stream: StreamConnection | undefined
  #id: string | undefined
  #broken = false
  /** resolved while there is a link: what is read meanwhile waits for the next one */
  #linked = Promise.withResolvers<void>()
  readonly #opened = Promise.withResolvers<void>()

  constructor(local: LocalEnd, streams: Streams, forward: string) {
    this.#local = local
    this.#streams = streams
    this.#forward = forward
  }

  get opened(): Promise<void> {
    return this.#opened.promise
  }

  async carry(to: HostPort): Promise<EndPayload> {
    const {broker, session} = this.#streams
    this.#take(await openStream({broker, session, first: {type: 'connect', session: this.#forward, to, client: clientInfo()}}))
    void this.#send().catch(() => this.breakOff())
    for (;;) {
      const stream = this.#stream as StreamConnection
      try {
        return await this.#receive(stream)
      } catch (error) {
        if (!(error instanceof LinkLost) || this.#id === undefined || this.#broken) {
          stream.close()
          throw error
        }
        this.#linked = Promise.withResolvers()
        this.#take(await this.#comeBack(error, this.#id))
      }
    }
  }

  breakOff(): void {
    this.#broken = true
    this.#stream?.send({type: 'cancel'})
  }

  #take(stream: StreamConnection): void {
    this.#stream = stream
    this.#linked.resolve()
    if (this.#broken) this.breakOff()
  }

  async #send(): Promise<void> {
    // its end is the end of one direction: the other goes on
    for await (const chunk of this.#local.input.iterator({destroyOnReturn: false})) {
      await this.#linked.promise
      await this.#stream?.sendStdin(chunk as Uint8Array)
    }
    await this.#linked.promise
    await this.#stream?.endStdin()
  }

  async #receive(stream: StreamConnection): Promise<EndPayload> {
    for await (const event of stream) {
      if (event.type === 'output') {
        await this.#write(event.bytes)
        stream.wrote('stdout', event.bytes.byteLength)
      } else if (event.type === 'close' && event.channel === frame.stdout) this.#farEnd()
      else if (event.type === 'end') return openEnd(this.#streams.pins, event.jws, this.#id)
      else if (event.type === 'message' && event.message.type === 'started') {
        this.#id = event.message.id
        this.#opened.resolve()
      }
    }
    throw new LinkLost(stream.written, {read: 0, pending: [], ended: false}, 'closed before the end')
  }

  #farEnd(): void {
    const {output, onFarEnd} = this.#local
    if (onFarEnd) onFarEnd()
    else output.end()
  }

  /** Resolves when it is taken; where nobody takes it any more, the connection is broken off. */
  #write(bytes: Uint8Array): Promise<void> {
    const {output} = this.#local
    return new Promise(resolve => {
      if (output.destroyed) {
        if (!this.#broken) this.breakOff()
        resolve()
        return
      }
      output.write(bytes, error => {
        if (error && !this.#broken) this.breakOff()
        resolve()
      })
    })
  }

  async #comeBack(lost: LinkLost, id: string): Promise<StreamConnection> {
    const {broker, session} = this.#streams
    const until = Date.now() + comeBackMilliseconds
    for (;;) {
      try {
        return await openStream({
          broker,
          session,
          first: {type: 'attach', id, have: {...lost.have}, client: clientInfo()},
          stdin: lost.stdin,
        })
      } catch (error) {
        const again =
          error instanceof ProdError &&
          (error.code === 'BROKER_UNREACHABLE' || error.code === 'LINK_LOST' || error.code === 'STORE_UNAVAILABLE')
        if (!again || Date.now() > until) throw error
      }
      await new Promise(resolve => setTimeout(resolve, retryMilliseconds))
    }
  }
}
