/** The smallest client of the data channel and of the APIs, for testing the stand-in by itself. It has no patience and no comfort. */
import {randomUUID} from 'node:crypto'
import {WebSocket} from 'ws'
import {acknowledgement, decode, encode, type Frame, frame, payload} from './frame.ts'
import {signedHeaders} from './signature.ts'
import type {StandIn} from './stand-in.ts'
import type {Identity} from './world.ts'

const prefixes: Record<string, string> = {
  ssm: 'AmazonSSM',
  ecs: 'AmazonEC2ContainerServiceV20141113',
  kms: 'TrentService',
  'ec2-instance-connect': 'AWSEC2InstanceConnectService',
}

/** Who calls where nothing else is said: the stand-in's first identity. */
export const first = (standIn: StandIn): Identity => [...standIn.world.identities.values()][0] as Identity

/** Calls one action of a JSON service; what it answers, with the code it failed with as `__type`. */
export async function call(
  standIn: StandIn,
  service: string,
  action: string,
  input: object,
  caller: Identity = first(standIn),
  region: string = standIn.region,
): Promise<Record<string, never>> {
  const body = Buffer.from(JSON.stringify(input))
  const headers = {host: standIn.world.host, 'x-amz-target': `${prefixes[service]}.${action}`, 'content-type': 'application/x-amz-json-1.1'}
  const signed = signedHeaders({method: 'POST', url: '/', headers, body}, {...caller, region, service, at: new Date()})
  const answer = await fetch(standIn.url, {method: 'POST', body, headers: {...headers, ...signed}})
  return (await answer.json()) as Record<string, never>
}

/** A session as its client has it. */
export interface TestClient {
  /** stdout, stderr */
  readonly output: Buffer[]
  readonly errors: Buffer[]
  readonly exitText: string
  readonly frames: Frame[]
  readonly broken: string[]
  readonly requested:
    | {AgentVersion: string; RequestedClientActions: {ActionType: string; ActionParameters: Record<string, unknown>}[]}
    | undefined
  readonly socket: WebSocket
  send(payloadType: number, body: Buffer | object): void
  text(): string
  /** When a text has come, or what is wanted is so. */
  until(what: string | (() => boolean)): Promise<void>
  /** `Output` of channel_closed. */
  readonly closed: Promise<string>
  reconnect(streamUrl: string, token: string): Promise<void>
  close(): void
}

/** Opens the socket of a session, and shows the token. Rejects with the status of a refused upgrade. */
async function openSocket(standIn: StandIn, streamUrl: string, token: string, caller: Identity, clientVersion: string): Promise<WebSocket> {
  const url = new URL(streamUrl)
  const headers = signedHeaders(
    {method: 'GET', url: streamUrl.slice(url.origin.length), headers: {host: url.host}, body: Buffer.alloc(0)},
    {...caller, region: standIn.region, service: 'ssmmessages', at: new Date()},
  )
  const socket = new WebSocket(streamUrl, {headers, perMessageDeflate: false})
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  const message = {
    MessageSchemaVersion: '1.0',
    RequestId: randomUUID(),
    TokenValue: token,
    ClientId: randomUUID(),
    ClientVersion: clientVersion,
  }
  socket.send(JSON.stringify(message))
  return socket
}

/** What a test client may be told. */
export interface ClientOptions {
  caller?: Identity
  clientVersion?: string
  /** gives the actions' answers besides that of SessionType */
  answer?(type: string, parameters: Record<string, unknown>): object | Promise<object>
  /** leaves the handshake unanswered */
  mute?: boolean
  seal?(bytes: Buffer): Buffer
  open?(bytes: Buffer): Buffer
}

/** Connects, answers the handshake, acknowledges, and sends again what was not acknowledged. */
export async function connect(standIn: StandIn, streamUrl: string, token: string, options: ClientOptions = {}): Promise<TestClient> {
  const {caller = first(standIn), clientVersion = '1.2.764.0', seal = (it: Buffer) => it, open = (it: Buffer) => it} = options
  const waiting = new Map<number, Buffer>()
  const early = new Map<number, Frame>()
  const watchers = new Set<() => void>()
  let next = 0
  let expected = 0
  let ready = false
  let exitText = ''
  const queued: Buffer[] = []
  let tellClosed: (output: string) => void = () => {}
  const closed = new Promise<string>(resolve => {
    tellClosed = resolve
  })
  let socket: WebSocket

  const out = (bytes: Buffer): void => {
    if (socket.readyState === WebSocket.OPEN) socket.send(bytes)
  }
  const send = (payloadType: number, body: Buffer | object): void => {
    const sealed = payloadType === payload.output && Buffer.isBuffer(body) ? seal(body) : body
    const bytes = encode(frame('input_stream_data', payloadType, sealed, {sequenceNumber: next}))
    waiting.set(next++, bytes)
    out(bytes)
  }
  const answerHandshake = async (it: Frame): Promise<void> => {
    if (options.mute) return
    client.requested = JSON.parse(it.payload.toString()) as NonNullable<TestClient['requested']>
    const processed = await Promise.all(
      client.requested.RequestedClientActions.map(async ({ActionType, ActionParameters}) => ({
        ActionType,
        ActionStatus: 1,
        ActionResult: null,
        Error: '',
        ...(ActionType === 'SessionType' ? {} : await options.answer?.(ActionType, ActionParameters)),
      })),
    )
    send(payload.handshakeResponse, {ClientVersion: clientVersion, ProcessedClientActions: processed, Errors: null})
  }
  const take = (it: Frame): void => {
    client.frames.push(it)
    if (it.payloadType === payload.output) client.output.push(open(it.payload))
    else if (it.payloadType === payload.stdErr) client.errors.push(open(it.payload))
    else if (it.payloadType === payload.exitCode) exitText = open(it.payload).toString()
    else if (it.payloadType === payload.handshakeRequest) void answerHandshake(it)
    else if (it.payloadType === payload.challengeRequest) {
      const {Challenge} = JSON.parse(it.payload.toString()) as {Challenge: string}
      send(payload.challengeResponse, {Challenge: seal(open(Buffer.from(Challenge, 'base64'))).toString('base64')})
    } else if (it.payloadType === payload.handshakeComplete) {
      ready = true
      for (const one of queued.splice(0)) send(payload.output, one)
    }
  }
  const receive = (bytes: Buffer): void => {
    const it = decode(bytes)
    if (typeof it === 'string') client.broken.push(it)
    else if (it.messageType === 'acknowledge')
      waiting.delete((JSON.parse(it.payload.toString()) as {AcknowledgedMessageSequenceNumber: number}).AcknowledgedMessageSequenceNumber)
    else if (it.messageType === 'channel_closed') tellClosed((JSON.parse(it.payload.toString()) as {Output: string}).Output)
    else if (it.messageType === 'output_stream_data') {
      out(encode(acknowledgement(it)))
      if (it.sequenceNumber >= expected) early.set(it.sequenceNumber, it)
      for (let one = early.get(expected); one; one = early.get(expected)) {
        early.delete(expected++)
        take(one)
      }
    }
    for (const watcher of watchers) watcher()
  }
  const timer = setInterval(() => {
    for (const bytes of waiting.values()) out(bytes)
  }, 150)
  const attach = (to: WebSocket): void => {
    socket = to
    client.socket = to
    to.on('message', (data: Buffer) => receive(data))
    to.on('error', () => {})
  }

  const client = {
    output: [] as Buffer[],
    errors: [] as Buffer[],
    frames: [] as Frame[],
    broken: [] as string[],
    requested: undefined as TestClient['requested'],
    socket: undefined as unknown as WebSocket,
    get exitText() {
      return exitText
    },
    send(payloadType: number, body: Buffer | object) {
      if (payloadType === payload.output && client.requested && !ready) queued.push(body as Buffer)
      else send(payloadType, body)
    },
    text: () => Buffer.concat(client.output).toString(),
    until: (what: string | (() => boolean)) =>
      new Promise<void>(resolve => {
        const holds = typeof what === 'string' ? () => client.text().includes(what) : what
        const look = (): void => {
          if (!holds()) return
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
      }),
    closed,
    async reconnect(url: string, fresh: string) {
      attach(await openSocket(standIn, url, fresh, caller, clientVersion))
    },
    close() {
      clearInterval(timer)
      socket.terminate()
    },
  }
  attach(await openSocket(standIn, streamUrl, token, caller, clientVersion))
  void closed.then(() => clearInterval(timer))
  return client
}

/** Starts a session and connects to it. */
export async function start(standIn: StandIn, input: object, options: ClientOptions = {}): Promise<TestClient & {id: string}> {
  const answer = await call(standIn, 'ssm', 'StartSession', input, options.caller)
  if (answer.__type) throw new Error(`${answer.__type}: ${answer.message}`)
  return Object.assign(await connect(standIn, answer.StreamUrl ?? '', answer.TokenValue ?? '', options), {id: answer.SessionId ?? ''})
}
