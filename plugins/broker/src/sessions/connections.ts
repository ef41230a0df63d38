/** The connections of one forward: each is written down before it is opened and when it is over, none outlives the forward. */
import type {Channel, Exit, HostPort, Traffic} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {readHost, showHostPort} from '@prod/sdk/forward'
import type {ServerMessage} from '@prod/sdk/wire'
import {refuseFrozen} from '../freeze/state.ts'
import type {Caller, Parts} from '../parts.ts'
import type {Link} from '../streams/link.ts'
import {goLive, type Live} from '../streams/live.ts'
import type {Connections} from '../streams/live-set.ts'
import {signedEnd} from './attach.ts'
import type {SessionRecord} from './record.ts'

/** a cut link keeps a connection as long as it keeps the forward */
export const forwardDetachSeconds = 15

/** Connections share their way to a target: words that come again within so long are those of another one. */
const sameWordsMilliseconds = 10_000

/** What opens one connection at the target. */
export type OpenConnection = (to: HostPort, signal: AbortSignal) => Promise<Channel>

interface Connection {
  to: HostPort
  live: Live
  /** its last record is durable, or could not be written */
  ended: Promise<void>
}

/** All connections of one forward. */
export class Forward implements Connections {
  readonly #parts: Parts
  readonly #session: SessionRecord
  readonly #open: OpenConnection
  readonly #connections = new Map<string, Connection>()
  readonly #over = new AbortController()
  /** being opened: they count too */
  #opening = 0
  /** what was said last of the way to each place */
  readonly #said = new Map<string, {text: string; at: number}>()
  #traffic: Traffic = {connections: 0, bytesIn: 0, bytesOut: 0}

  /** who hears what connections say of the way there */
  hear: (text: string) => void = () => {}

  constructor(parts: Parts, session: SessionRecord, open: OpenConnection) {
    this.#parts = parts
    this.#session = session
    this.#open = open
  }

  get size(): number {
    return this.#connections.size + this.#opening
  }

  /** So far; of what is open, what has been read and written. */
  get traffic(): Traffic {
    return {...this.#traffic}
  }

  async connect(link: Link, caller: Caller, asked: HostPort): Promise<void> {
    const {id: session, target, breakGlass} = this.#session
    const to = {host: readHost(asked.host) ?? '', port: asked.port}
    if (!this.#session.to?.some(({host, port}) => host === to.host && port === to.port))
      throw new ProdError('FORWARD_REFUSED', `${session} does not lead to ${showHostPort(asked)}`, `prod forward ${target.name} -L …`)
    this.#opening++
    try {
      const id = this.#parts.newId('con')
      const openedAt = await this.#sayOpened(id, to, caller.correlation, breakGlass)
      const channel = await this.#openChannel(to).catch(async error => {
        await this.#sayClosed(id, to, {openedAt, exit: {unknown: 'it did not open'}, endedBy: 'not opened', bytesIn: 0, bytesOut: 0})
        throw error
      })
      this.#begin(id, to, channel, openedAt).live.attach(link, {stdout: 0, stderr: 0}, offsets => this.#started(id, offsets))
    } finally {
      this.#opening--
    }
  }

  reattach(link: Link, id: string, have: {stdout: number; stderr: number}): boolean {
    const found = this.#connections.get(id)
    found?.live.attach(link, have, offsets => this.#started(id, offsets))
    return found !== undefined
  }

  /** Ends all of them: none is opened any more. Resolves when the last one is written down. */
  async end(why: string): Promise<void> {
    this.#over.abort(new ProdError('SESSION_NOT_FOUND', `${this.#session.id} is over`, 'prod sessions ls'))
    for (const {live} of this.#connections.values()) void live.end(why).catch(() => {})
    await Promise.allSettled([...this.#connections.values()].map(({ended}) => ended))
  }

  #started(id: string, offsets: {stdout: number; stderr: number}): ServerMessage {
    const {request, target, correlation} = this.#session
    return {type: 'started', id, request, target: target.name, environment: target.environment, correlation, ...offsets}
  }

  async #openChannel(to: HostPort): Promise<Channel> {
    this.#over.signal.throwIfAborted()
    const channel = await this.#open(to, this.#over.signal).catch(error => {
      if (error instanceof ProdError) throw error
      throw new ProdError('TARGET_UNREACHABLE', `${showHostPort(to)} cannot be reached from ${this.#session.target.name}`, 'prod doctor', {
        cause: error,
      })
    })
    if (!this.#over.signal.aborted) return channel
    await channel.end('the forward is over')
    throw this.#over.signal.reason
  }

  #begin(id: string, to: HostPort, channel: Channel, openedAt: Date): Connection {
    let [bytesIn, bytesOut] = [0, 0]
    const live = goLive(id, this.#session.principal, channel, {
      stdin: true,
      detachSeconds: forwardDetachSeconds,
      halfCloses: true,
      prompt: true,
      broken: 'broken off',
      hear: text => this.#tell(showHostPort(to), text),
      input: bytes => {
        bytesIn += bytes.byteLength
        this.#traffic.bytesIn += bytes.byteLength
      },
      output: (_stream, bytes) => {
        bytesOut += bytes.byteLength
        this.#traffic.bytesOut += bytes.byteLength
      },
    })
    this.#traffic.connections++
    const ended = (async () => {
      const [exit, {endedBy}] = await Promise.all([channel.ended, live.read])
      await this.#sayClosed(id, to, {openedAt, exit, endedBy, bytesIn, bytesOut})
      live.finish(await signedEnd(this.#parts, {id, exit, endedBy, stdoutBytes: bytesOut}), null)
    })()
      .catch(error => this.#parts.alarm('the end of a connection could not be written', {connection: id, error: String(error)}))
      .finally(() => void live.over.then(() => this.#connections.delete(id)))
    const connection = {to, live, ended}
    this.#connections.set(id, connection)
    return connection
  }

  #tell(place: string, text: string): void {
    const at = this.#parts.store.now().getTime()
    const last = this.#said.get(place)
    if (last?.text === text && at - last.at < sameWordsMilliseconds) return
    this.#said.set(place, {text, at})
    this.hear(`${place}: ${text}`)
  }

  /** Before anything is opened: what cannot be written down does not happen, and nothing begins in a freeze. */
  async #sayOpened(connection: string, to: HostPort, correlation: string, breakGlass: boolean): Promise<Date> {
    const {id, target, principal} = this.#session
    for (;;) {
      const {expect} = await refuseFrozen(this.#parts, 'change', breakGlass)
      const now = this.#parts.store.now()
      const saved = await this.#parts.store.commit({
        expect,
        events: [
          {
            type: 'forward.connected',
            by: principal.person || `${principal.iss}#${principal.sub}`,
            subject: id,
            correlation,
            data: {connection, to: showHostPort(to), target: target.name, environment: target.environment},
          },
        ],
      })
      if (saved.ok) return now
    }
  }

  async #sayClosed(
    connection: string,
    to: HostPort,
    {openedAt, ...how}: {openedAt: Date; exit: Exit; endedBy: string | null; bytesIn: number; bytesOut: number},
  ): Promise<void> {
    const {id, target, correlation} = this.#session
    const durationMs = Math.max(0, this.#parts.store.now().getTime() - openedAt.getTime())
    await this.#parts.store.commit({
      events: [
        {
          type: 'forward.disconnected',
          by: 'broker',
          subject: id,
          correlation,
          data: {connection, to: showHostPort(to), target: target.name, openedAt: openedAt.toISOString(), durationMs, ...how},
        },
      ],
    })
  }
}
