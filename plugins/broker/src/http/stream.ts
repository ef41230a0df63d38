/** The upgrade of a stream: everything is checked before 101, then the socket is handed on with its caller. */
import {randomBytes} from 'node:crypto'
import type {IncomingMessage, Server} from 'node:http'
import type {Duplex} from 'node:stream'
import {ProdError} from '@prod/sdk/errors'
import {maxFirstMessageBytes, maxFrameBytes, streamPath, streamProtocol} from '@prod/sdk/wire'
import {type RawData, type WebSocket, WebSocketServer} from 'ws'
import {tellRefusal} from '../audit/refusals.ts'
import {authenticate, proveAgain} from '../identity/authenticate.ts'
import {actorOf} from '../identity/logins.ts'
import type {Caller, Parts} from '../parts.ts'
import {writeFailure} from './answer.ts'
import {addressOf, credentialsOf, labelOf, pathOf, refusalOf, valuesOf} from './guard.ts'
import {parseStrictJson} from './strict-json.ts'

const pingMs = 20_000
const challengeMs = 10_000
// each stream costs memory and a listener of its own: nobody holds so many that others cannot be served (TM-A15)
const mostOfOne = 100
const mostOfAll = 4000

/** Who opened a stream, and how they prove it again. */
export interface StreamHello {
  /** as of the upgrade; `reauthenticate` (identity/authenticate.ts) asks again */
  readonly caller: Caller
  readonly socket: WebSocket
  /** The caller by a newer token of the same login (message `auth`). Throws TOKEN_INVALID, LOGIN_EXPIRED. */
  refreshCaller(token: string, proof: string): Promise<Caller>
  /** It is one of many that are counted where they belong: no longer one of those that a person may have open. */
  countedElsewhere(): void
  /** Sends `challenge` and waits for `proof` with its nonce (TM-Q3), 10 s at most. Throws TOKEN_INVALID, LINK_LOST. */
  challenge(): Promise<void>
}

/** Serves upgrades on `server`. `close` ends all streams with 1001. */
export function serveStreams(parts: Parts, server: Server, serve: (socket: WebSocket, hello: StreamHello) => void): {close(): void} {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: maxFirstMessageBytes,
    perMessageDeflate: false,
    handleProtocols: () => streamProtocol,
    clientTracking: true,
  })
  const alive = new WeakSet<WebSocket>()
  const held = new Map<string, number>()

  const upgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const correlation = parts.newId('cor')
    const quit = (): void => void socket.destroy()
    socket.on('error', quit)
    try {
      const caller = await callerOf(parts, request, correlation)
      const who = actorOf(caller.principal)
      if ((held.get(who) ?? 0) >= mostOfOne || sockets.clients.size >= mostOfAll) {
        const full = new ProdError('LIMIT_REACHED', 'too many streams are open at once', 'end some, then try again')
        await tellRefusal(parts, caller, full, 'stream')
        throw full
      }
      socket.off('error', quit)
      sockets.handleUpgrade(request, socket, head, opened => {
        held.set(who, (held.get(who) ?? 0) + 1)
        let counted = true
        const uncount = (): void => {
          if (!counted) return
          counted = false
          const left = (held.get(who) ?? 0) - 1
          if (left > 0) held.set(who, left)
          else held.delete(who)
        }
        opened.once('close', uncount)
        alive.add(opened)
        opened.on('pong', () => alive.add(opened))
        opened.on('error', () => opened.terminate())
        boundFrames(opened)
        const hello = helloOf(parts, opened, caller, credentialsOf(request).authorization as string)
        serve(opened, {...hello, countedElsewhere: uncount})
      })
    } catch (error) {
      writeFailure(parts, socket as never, error, correlation)
    }
  }
  server.on('upgrade', (request, socket, head) => void upgrade(request, socket, head))

  const pinger = setInterval(() => {
    for (const socket of sockets.clients) {
      if (!alive.delete(socket)) socket.terminate()
      else socket.ping()
    }
  }, pingMs).unref()

  return {
    close() {
      clearInterval(pinger)
      for (const socket of sockets.clients) socket.close(1001, 'the broker is stopping')
      setTimeout(() => {
        for (const socket of sockets.clients) socket.terminate()
      }, 1000).unref()
    },
  }
}

async function callerOf(parts: Parts, request: IncomingMessage, correlation: string): Promise<Caller> {
  const refusal = refusalOf(parts.config, request)
  if (refusal) throw refusal
  if (request.url !== streamPath || request.method !== 'GET') throw new ProdError('NOT_FOUND', 'there is no such path')
  const offered = valuesOf(request, 'sec-websocket-protocol')
    .join(',')
    .split(',')
    .map(one => one.trim())
  if (!offered.includes(streamProtocol)) throw new ProdError('BAD_REQUEST', `the stream speaks ${streamProtocol}`)
  const label = labelOf(request)
  const caller = await authenticate(parts, {
    method: 'GET',
    url: parts.config.origin + pathOf(request),
    ...credentialsOf(request),
    address: addressOf(parts.config, request),
    correlation,
  })
  return label === undefined ? caller : {...caller, label}
}

/** After the first message none is larger than a frame. */
function boundFrames(socket: WebSocket): void {
  let first = true
  socket.on('message', (data: RawData) => {
    if (!first && sizeOf(data) > maxFrameBytes + 1) socket.close(1009, 'too large')
    first = false
  })
}

function helloOf(parts: Parts, socket: WebSocket, caller: Caller, authorization: string): Omit<StreamHello, 'countedElsewhere'> {
  const url = parts.config.origin + streamPath
  let shown = authorization
  return {
    caller,
    socket,
    async refreshCaller(token, proof) {
      const {address, correlation} = caller
      const next = await authenticate(parts, {method: 'GET', url, authorization: `DPoP ${token}`, proof, address, correlation})
      if (next.login !== caller.login) throw new ProdError('TOKEN_INVALID', 'the token is of another login', 'prod login')
      shown = `DPoP ${token}`
      return caller.label === undefined ? next : {...next, label: caller.label}
    },
    async challenge() {
      const nonce = randomBytes(16).toString('base64url')
      const answer = proofFrom(socket)
      socket.send(JSON.stringify({type: 'challenge', nonce}))
      await proveAgain(parts, caller, {method: 'GET', url, authorization: shown, proof: await answer, nonce})
    },
  }
}

/** The next `proof` message. Others are not ours: whoever serves the stream reads them. */
function proofFrom(socket: WebSocket): Promise<string> {
  const {promise, resolve, reject} = Promise.withResolvers<string>()
  const timer = setTimeout(
    () => reject(new ProdError('TOKEN_INVALID', 'the challenge was not answered in 10 seconds', 'prod doctor')),
    challengeMs,
  )
  const onClose = (): void => reject(new ProdError('LINK_LOST', 'the link was cut'))
  const onMessage = (data: RawData, binary: boolean): void => {
    if (binary) return
    let message: unknown
    try {
      message = parseStrictJson(bytesOf(data))
    } catch {
      return
    }
    const {type, proof} = (message ?? {}) as {type?: unknown; proof?: unknown}
    if (type === 'proof' && typeof proof === 'string') resolve(proof)
  }
  socket.on('message', onMessage)
  socket.on('close', onClose)
  return promise.finally(() => {
    clearTimeout(timer)
    socket.off('message', onMessage)
    socket.off('close', onClose)
  })
}

function bytesOf(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data)
}

function sizeOf(data: RawData): number {
  return Array.isArray(data) ? data.reduce((sum, part) => sum + part.length, 0) : data.byteLength
}
