/** One WebSocket to the service, §2. Whatever fails here says neither URL nor token (TM-X3). */
import {randomUUID} from 'node:crypto'
import type {Agent, IncomingMessage} from 'node:http'
import type {Socket} from 'node:net'
import WebSocket from 'ws'
import {requestPath} from './stream-url.ts'
import {bounds, type Timings} from './timings.ts'

/** One connection that stands, or stood. */
export interface Connection {
  /** false: it does not stand any more */
  send(frame: Buffer): boolean
  /** bytes not given to the system yet */
  backlog(): number
  /** Stops reading, so that the far side must wait. */
  hold(on: boolean): void
  close(): void
  /** resolves when it has gone, whatever the cause */
  readonly gone: Promise<void>
}

/** Why there is no connection. `status` is that of HTTP, where the service answered the upgrade with no. */
export class NoConnection extends Error {
  override readonly name = 'NoConnection'
  readonly status: number | undefined
  constructor(message: string, status?: number) {
    super(message)
    this.status = status
  }
}

export interface ConnectionOptions {
  url: URL
  /** as it came: path and query are sent byte for byte */
  streamUrl: string
  headers: Record<string, string>
  token: string
  clientId: string
  clientVersion: string
  agent?: Agent
  timings: Timings
  signal: AbortSignal
  /** within the event that opens it, before any frame */
  onOpen(connection: Connection): void
  onFrame(bytes: Buffer): void
}

/** Connects, and sends the token, which the service answers with nothing. Throws NoConnection. */
export async function connect(options: ConnectionOptions): Promise<Connection> {
  const {url, headers, token, clientId, clientVersion, agent, timings, signal, onOpen, onFrame} = options
  signal.throwIfAborted()
  const path = requestPath(options.streamUrl)
  const ws = new WebSocket(url, {
    headers,
    perMessageDeflate: false,
    followRedirects: false,
    handshakeTimeout: timings.upgradeMs,
    maxPayload: bounds.messageBytes,
    skipUTF8Validation: true,
    ...(agent ? {agent} : {}),
    finishRequest: request => {
      request.path = path
      request.end()
    },
  })
  // frames of one turn leave in one write
  let socket: Socket | undefined
  let isCorked = false
  const cork = () => {
    if (isCorked || !socket) return
    isCorked = true
    socket.cork()
    process.nextTick(() => {
      isCorked = false
      socket?.uncork()
    })
  }
  ws.once('upgrade', (response: IncomingMessage) => {
    socket = response.socket
    socket.setNoDelay(true)
  })
  const gone = new Promise<void>(resolve => ws.once('close', () => resolve()))
  let heardAt = Date.now()
  let pingedAt = 0
  const heard = () => {
    heardAt = Date.now()
  }
  const beat = () => {
    const now = Date.now()
    // a pong cannot be seen while nothing is read
    if (ws.isPaused) heardAt = now
    if (now - heardAt > timings.deadMs) return ws.terminate()
    if (now - pingedAt < timings.pingMs) return
    pingedAt = now
    ws.ping()
  }
  const greeting = {
    MessageSchemaVersion: '1.0',
    RequestId: randomUUID(),
    TokenValue: token,
    ClientId: clientId,
    ClientVersion: clientVersion,
  }
  const connection: Connection = {
    send(frame) {
      if (ws.readyState !== WebSocket.OPEN) return false
      cork()
      ws.send(frame)
      return true
    },
    backlog: () => ws.bufferedAmount,
    hold: on => (on ? ws.pause() : ws.resume()),
    close() {
      if (ws.isPaused) ws.resume()
      ws.close(1000)
      // nothing more is to be had from a service that does not answer
      setTimeout(() => ws.terminate(), timings.endMs).unref()
    },
    gone,
  }
  ws.on('pong', heard)
  ws.on('ping', heard)
  // text and binary alike are frames, §2.3
  ws.on('message', data => {
    heard()
    cork()
    onFrame(data as Buffer)
  })
  const abort = () => ws.terminate()
  signal.addEventListener('abort', abort, {once: true})
  try {
    await new Promise<void>((resolve, reject) => {
      // at once, not a turn later: frames may come with the answer to the upgrade
      ws.once('open', () => {
        ws.send(JSON.stringify(greeting))
        heard()
        beat()
        const timer = setInterval(beat, Math.min(timings.pingMs, timings.deadMs) / 2)
        ws.once('close', () => clearInterval(timer))
        onOpen(connection)
        resolve()
      })
      // its text may hold an address, never a path
      ws.on('error', error =>
        reject(new NoConnection(`the session's stream cannot be reached: ${(error as NodeJS.ErrnoException).code ?? 'it broke off'}`)),
      )
      ws.once('close', () => reject(new NoConnection("the session's stream broke off")))
      ws.once('unexpected-response', (request, response) => {
        reject(new NoConnection(`the service refused the session's stream with HTTP ${response.statusCode}`, response.statusCode))
        response.resume()
        request.destroy()
      })
    })
  } catch (error) {
    ws.terminate()
    throw error
  } finally {
    signal.removeEventListener('abort', abort)
  }
  return connection
}
