/** The smallest far side: service and agent in one WebSocket server, that says what a test tells it to. */
import {once} from 'node:events'
import type {IncomingHttpHeaders} from 'node:http'
import type {AddressInfo} from 'node:net'
import {type WebSocket, WebSocketServer} from 'ws'
import {acknowledgedNumber, decodeFrame, encodeAcknowledgement, encodeFrame, type Frame, payloadTypes} from '../../src/channel/frame.ts'
import type {ChannelOptions} from '../../src/channel/view.ts'

/** What becomes of one frame on its way: how often it arrives, and after how long. */
export type Fault = (frame: Frame, to: 'agent' | 'client') => {times: number; afterMs?: number}

export interface Peer {
  readonly url: string
  /** what a client says first, and with which headers it came */
  readonly tokens: Record<string, string>[]
  readonly upgrades: {url: string; headers: IncomingHttpHeaders}[]
  /** stream messages, in order, each once */
  readonly input: Frame[]
  /** every stream message as it came */
  readonly arrived: Frame[]
  readonly acknowledged: number[]
  /** called with each message of `input` */
  onInput: (frame: Frame) => void
  onToken: () => void
  fault: Fault
  /** the status of HTTP with which upgrades are refused; undefined: they are not */
  refuse: number | undefined
  /** whether input is acknowledged and taken */
  isTaking: boolean
  /** The next stream message of the agent; sent again until it is acknowledged. */
  send(payloadType: number, payload: Uint8Array | string): void
  greet(sessionType: string, options?: {agentVersion?: string; properties?: Record<string, string> | null; more?: object[]}): void
  complete(message?: string): void
  close(output?: string): void
  /** any frame, as it is */
  raw(bytes: Uint8Array): void
  service(messageType: string): void
  cut(): void
  /** Resolves when the client has taken all that was sent. */
  heard(): Promise<void>
  readonly sockets: Set<WebSocket>
}

export const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

/** Starts a peer, which goes with the test. */
export async function startPeer(onFinished: (stop: () => Promise<void>) => void, agentTickMs = 20): Promise<Peer> {
  const sockets = new Set<WebSocket>()
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    perMessageDeflate: false,
    verifyClient: ({req}, answer) => {
      peer.upgrades.push({url: req.url ?? '', headers: req.headers})
      answer(peer.refuse === undefined, peer.refuse)
    },
  })
  await new Promise(resolve => server.once('listening', resolve))
  const unanswered = new Map<number, {frame: Buffer; at: number}>()
  const early = new Map<number, Frame>()
  let next = 0
  let expected = 0

  const deliver = (bytes: Uint8Array, to: 'agent' | 'client', arrive: (frame: Frame, bytes: Uint8Array) => void) => {
    const frame = decodeFrame(Buffer.from(bytes))
    if (typeof frame === 'string') return arrive({} as Frame, bytes)
    const {times, afterMs} = peer.fault(frame, to)
    for (let time = 0; time < times; time++) {
      if (afterMs) setTimeout(() => arrive(frame, bytes), afterMs)
      else arrive(frame, bytes)
    }
  }
  const toClient = (bytes: Uint8Array) =>
    deliver(bytes, 'client', () => {
      for (const socket of sockets) socket.send(bytes)
    })
  const take = (frame: Frame) => {
    if (frame.messageType === 'acknowledge') {
      const number = acknowledgedNumber(frame.payload) ?? -1
      peer.acknowledged.push(number)
      unanswered.delete(number)
    }
    if (frame.messageType !== 'input_stream_data') return
    peer.arrived.push(frame)
    if (!peer.isTaking) return
    toClient(encodeAcknowledgement(frame, Date.now()))
    if (frame.sequenceNumber >= expected) early.set(frame.sequenceNumber, frame)
    for (let known = early.get(expected); known; known = early.get(expected)) {
      early.delete(expected++)
      peer.input.push(known)
      peer.onInput(known)
    }
  }
  const timer = setInterval(() => {
    const [oldest] = unanswered.values()
    if (!oldest || Date.now() - oldest.at < agentTickMs * 4) return
    oldest.at = Date.now()
    toClient(oldest.frame)
  }, agentTickMs)
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    socket.once('message', text => {
      peer.tokens.push(JSON.parse(String(text)))
      socket.on('message', data => deliver(data as Buffer, 'agent', take))
      peer.onToken()
    })
  })
  onFinished(async () => {
    clearInterval(timer)
    for (const socket of sockets) socket.terminate()
    await new Promise(resolve => server.close(resolve))
  })

  const service = (messageType: string, payload: Uint8Array = Buffer.alloc(0)) =>
    toClient(encodeFrame({messageType, createdDate: Date.now(), sequenceNumber: 0, flags: 0, payloadType: 0, payload}))
  const peer: Peer = {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1/data-channel/alice-0a1b?role=publish_subscribe&cell-number=AA+/=`,
    tokens: [],
    upgrades: [],
    input: [],
    arrived: [],
    acknowledged: [],
    onInput: () => {},
    onToken: () => {},
    fault: () => ({times: 1}),
    refuse: undefined,
    isTaking: true,
    send(payloadType, payload) {
      const frame = encodeFrame({
        messageType: 'output_stream_data',
        createdDate: Date.now(),
        sequenceNumber: next,
        flags: next === 0 ? 1 : 0,
        payloadType,
        payload: Buffer.from(payload),
      })
      unanswered.set(next++, {frame, at: Date.now()})
      toClient(frame)
    },
    greet(sessionType, {agentVersion = '3.3.1142.0', properties = null, more = []} = {}) {
      const wish = {ActionType: 'SessionType', ActionParameters: {SessionType: sessionType, Properties: properties}}
      peer.send(payloadTypes.handshakeRequest, json({AgentVersion: agentVersion, RequestedClientActions: [wish, ...more]}))
    },
    complete(message = '') {
      peer.send(payloadTypes.handshakeComplete, json({HandshakeTimeToComplete: 1, CustomerMessage: message}))
    },
    close(output = '') {
      service('channel_closed', json({MessageType: 'channel_closed', SchemaVersion: 1, SessionId: 'alice-0a1b', Output: output}))
    },
    raw(bytes) {
      for (const socket of sockets) socket.send(bytes)
    },
    service: messageType => service(messageType),
    cut() {
      for (const socket of sockets) socket.terminate()
    },
    async heard() {
      const pongs = [...sockets].map(socket => once(socket, 'pong'))
      for (const socket of sockets) socket.ping()
      await Promise.all(pongs)
    },
    sockets,
  }
  return peer
}

/** What opens a channel to a peer; `more` goes before. */
export function optionsFor(peer: Peer, more: Partial<ChannelOptions> = {}): ChannelOptions {
  return {
    streamUrl: peer.url,
    token: 'token-0',
    sessionId: 'alice-0a1b',
    targetId: 'i-0123456789abcdef0',
    sign: () => ({}),
    renew: async () => ({streamUrl: peer.url, token: `token-${peer.tokens.length}`}),
    terminate: async () => {
      peer.close()
    },
    allowed: {hosts: [new URL(peer.url).host]},
    ...more,
    timings: {graceMs: 50, presentMs: 50, firstPauseMs: 10, tickMs: 10, endMs: 1_000, settleMs: 20, ...more.timings},
  }
}
