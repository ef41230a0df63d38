/** One stream to a broker (wire.ts): the client's end of an exec, a shell, an attach, a watch. It knows no terminal. Loads `ws` and no more. */
import type {IncomingMessage} from 'node:http'
import WebSocket, {type RawData} from 'ws'
import {isTokenRefused, refusal, unreachable} from './broker-errors.ts'
import type {SignalName, TerminalSize} from './domain.ts'
import {proof} from './dpop.ts'
import {ProdError} from './errors.ts'
import {type Broker, type Session, trust} from './session.ts'
import {EventQueue} from './stream-queue.ts'
import {StdinSender, type StdinState} from './stream-stdin.ts'
import {type ClientMessage, type FirstMessage, frame, type ServerMessage, streamPath, streamProtocol, windowBytes} from './wire.ts'

export type OutputName = 'stdout' | 'stderr'
/** Bytes of each output, counted from the start of the run. */
export type ByteCounts = Record<OutputName, number>

/** What arrives, in order. What the stream answers by itself (`challenge`, `window`) and errors (thrown) do not. */
export type StreamEvent =
  | {type: 'message'; message: Exclude<ServerMessage, {type: 'challenge' | 'window' | 'error'}>}
  /** `stdin` is what a watched person typed */
  | {type: 'output'; stream: OutputName | 'stdin'; bytes: Uint8Array}
  | {type: 'resize'; size: TerminalSize}
  | {type: 'close'; channel: number}
  /** compact JWS by the broker's receipt key, payload `EndPayload`; the reader checks it */
  | {type: 'end'; jws: string}

/** The link went before the end frame. What `attach` needs to go on is in it. */
export class LinkLost extends ProdError {
  /** bytes the consumer has written: `attach.have`. What had arrived before the loss may still be written: it counts. */
  readonly have: Readonly<ByteCounts>
  readonly #stdin: () => StdinState
  constructor(have: Readonly<ByteCounts>, stdin: StdinState | (() => StdinState), why: string) {
    super('LINK_LOST', `the connection to the broker was lost: ${why}`, 'prod attach')
    this.have = have
    this.#stdin = typeof stdin === 'function' ? stdin : () => stdin
  }

  /** stdin that the broker has not read yet, what was handed in since included: give it to the next `openStream` */
  get stdin(): StdinState {
    return this.#stdin()
  }
}

export interface StreamOptions {
  broker: Broker
  session: Session
  first: FirstMessage
  /** of the {@link LinkLost} that an `attach` follows */
  stdin?: StdinState
}

export interface StreamConnection extends AsyncIterable<StreamEvent> {
  /**
   * Ends when the broker closes on purpose; whether an `end` came is for the reader to ask. Throws what the broker said
   * (`error`), or {@link LinkLost}. What arrived before is read before it throws.
   */
  [Symbol.asyncIterator](): AsyncIterator<StreamEvent>
  /** bytes that {@link wrote} was told of */
  readonly written: Readonly<ByteCounts>
  send(message: ClientMessage): void
  /** Resolves once the broker's window has taken all of it: await it before reading more. */
  sendStdin(bytes: Uint8Array): Promise<void>
  endStdin(): Promise<void>
  resize(size: TerminalSize): void
  signal(name: SignalName): void
  /** The consumer wrote this many bytes: credit for the broker to send more, and what `attach` will say. */
  wrote(stream: OutputName, bytes: number): void
  /** Closes on purpose; the iterator ends. */
  close(): void
}

const pingMs = 15_000
/** an ack for each quarter of the window: never a stalled sender, few messages */
const ackBytes = windowBytes / 4

/**
 * Opens one stream; its first message goes out with the connection. Throws what the broker answered to the upgrade, NOT_LOGGED_IN,
 * LOGIN_EXPIRED, BROKER_UNREACHABLE or CERTIFICATE_REFUSED. A refused token is renewed once.
 */
export async function openStream(options: StreamOptions): Promise<StreamConnection> {
  const {session} = options
  let token = await session.token()
  let nonce: string | undefined
  let [nonceTried, renewed] = [false, false]
  for (;;) {
    const answer = await upgrade(options, token, nonce)
    if (answer.connection) return answer.connection
    if (answer.nonce !== undefined && !nonceTried) {
      nonceTried = true
      nonce = answer.nonce
    } else if (!renewed && isTokenRefused(answer.error)) {
      renewed = true
      token = await session.renew(token)
    } else {
      throw answer.error
    }
  }
}

type Upgrade = {connection: StreamConnection} | {connection?: undefined; error: ProdError; nonce?: string}

function upgrade(options: StreamOptions, token: string, nonce: string | undefined): Promise<Upgrade> {
  const {broker, session, first} = options
  const {promise, resolve, reject} = Promise.withResolvers<Upgrade>()
  const socket = new WebSocket(broker.url.replace(/^http/, 'ws') + streamPath, streamProtocol, {
    ...trust(broker),
    perMessageDeflate: false,
    followRedirects: false,
    handshakeTimeout: 10_000,
    maxPayload: 4 * 1024 * 1024,
    headers: {authorization: `DPoP ${token}`, dpop: streamProof(broker, session, token, nonce)},
  })
  socket.on('open', () => {
    socket.send(JSON.stringify(first))
    // listens at once: the broker's first message may be in the same packet
    resolve({connection: connect(socket, options, token)})
  })
  socket.on('error', error => reject(unreachable(broker, error)))
  socket.on('unexpected-response', (request, response) => {
    readBody(response).then(
      body => {
        request.destroy()
        const error = refusal(broker, response.statusCode ?? 0, body, response.headers.date)
        const given = response.statusCode === 401 ? response.headers['dpop-nonce'] : undefined
        resolve({error, ...(typeof given === 'string' ? {nonce: given} : {})})
      },
      error => reject(unreachable(broker, error)),
    )
  })
  return promise
}

/** The proofs of a stream (upgrade, `proof`, `auth`) all name the upgrade: GET of the stream's URL. */
function streamProof({url}: Broker, session: Session, accessToken: string, nonce?: string): string {
  return proof(session.key, {method: 'GET', url: url + streamPath, accessToken, ...(nonce === undefined ? {} : {nonce})})
}

async function readBody(response: IncomingMessage): Promise<string> {
  let body = ''
  response.setEncoding('utf8')
  for await (const chunk of response) {
    body += chunk
    if (body.length > 65_536) break
  }
  return body
}

function connect(socket: WebSocket, {broker, session, first, stdin: pending}: StreamOptions, upgradeToken: string): StreamConnection {
  const events = new EventQueue<StreamEvent>()
  const written: ByteCounts = first.type === 'attach' ? {...first.have} : {stdout: 0, stderr: 0}
  const acked: ByteCounts = {...written}
  let [ended, closedByUs, alive] = [false, false, true]
  /** why the login could not be renewed: explains a close that the broker leaves unexplained */
  let loginFault: ProdError | undefined

  const send = (message: ClientMessage): void => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
  }
  const sendFrame = (kind: number, payload: Uint8Array): void => {
    if (socket.readyState !== WebSocket.OPEN) return
    const bytes = Buffer.allocUnsafe(payload.length + 1)
    bytes[0] = kind
    bytes.set(payload, 1)
    socket.send(bytes, {binary: true})
  }
  const stdin = new StdinSender(
    chunk => sendFrame(frame.stdin, chunk),
    () => send({type: 'stdin-end'}),
    pending,
    first.type === 'attach' && /^(?:ses|run|con)_/.test(first.id),
  )

  const ack = (): void => {
    acked.stdout = written.stdout
    acked.stderr = written.stderr
    send({type: 'ack', ...written})
  }

  /** the token this stream stands on: of the upgrade, or of the last `auth` */
  let shown = upgradeToken

  const authorise = async (): Promise<void> => {
    try {
      const token = await session.token()
      if (token !== shown) send({type: 'auth', token, proof: streamProof(broker, session, token)})
      shown = token
      loginFault = undefined
    } catch (error) {
      if (!(error instanceof ProdError)) return fail(error)
      loginFault = error
    }
    // a broker out of reach is asked again; a login that has ended is not
    if (loginFault?.code !== 'LOGIN_EXPIRED' && loginFault?.code !== 'NOT_LOGGED_IN') planAuth(loginFault ? 5000 : 1000)
  }
  // the token's end is the stream's end: before it comes, the next one goes out
  let authTimer: NodeJS.Timeout | undefined
  function planAuth(leastMs: number): void {
    if (socket.readyState !== WebSocket.OPEN) return
    authTimer = setTimeout(() => void authorise(), Math.max(session.renewAt - Date.now(), leastMs)).unref()
  }
  planAuth(0)

  const pingTimer = setInterval(() => {
    if (!alive) return socket.terminate()
    alive = false
    socket.ping()
  }, pingMs).unref()

  const finish = (end: (queue: EventQueue<StreamEvent>) => void): void => {
    clearTimeout(authTimer)
    clearInterval(pingTimer)
    end(events)
    stdin.stop()
  }
  function fail(error: unknown): void {
    finish(queue => queue.fail(error))
    socket.terminate()
  }
  function close(): void {
    closedByUs = true
    // said, not discussed: nobody waits for the answer
    socket.close(1000)
    socket.terminate()
    finish(queue => queue.end())
  }

  const take = (message: ServerMessage): void => {
    if (message.type === 'challenge') send({type: 'proof', proof: streamProof(broker, session, shown, message.nonce)})
    else if (message.type === 'window') stdin.read(message.stdin)
    else if (message.type === 'error') fail(saidByBroker(message.error))
    else {
      // output begins there: what another terminal has acknowledged before is not sent again
      if (message.type === 'started') Object.assign(written, {stdout: message.stdout, stderr: message.stderr})
      if (message.type === 'started') Object.assign(acked, written)
      events.push({type: 'message', message})
    }
  }
  const takeFrame = (bytes: Buffer): void => {
    const payload = bytes.subarray(1)
    switch (bytes[0]) {
      case frame.stdout:
        events.push({type: 'output', stream: 'stdout', bytes: payload})
        break
      case frame.stderr:
        events.push({type: 'output', stream: 'stderr', bytes: payload})
        break
      case frame.stdin:
        events.push({type: 'output', stream: 'stdin', bytes: payload})
        break
      case frame.resize:
        events.push({type: 'resize', size: JSON.parse(payload.toString()) as TerminalSize})
        break
      case frame.close:
        events.push({type: 'close', channel: payload[0] ?? 0})
        break
      case frame.end:
        ended = true
        ack()
        events.push({type: 'end', jws: payload.toString('ascii')})
        break
      default:
        throw new ProdError('LINK_LOST', 'the broker sent a frame that this version does not know', 'prod doctor')
    }
  }

  socket.on('message', (data: RawData, isBinary: boolean) => {
    alive = true
    try {
      if (isBinary) takeFrame(data as Buffer)
      else take(JSON.parse(String(data)) as ServerMessage)
    } catch (error) {
      fail(error)
    }
  })
  socket.on('pong', () => (alive = true))
  socket.on('close', (code, reason) => {
    if (ended || closedByUs || code === 1000) return finish(queue => queue.end())
    const why = reason.length > 0 ? reason.toString() : code === 1006 ? 'the connection was cut' : `closed with ${code}`
    finish(queue => queue.fail(loginFault ?? new LinkLost(written, () => stdin.state(), why)))
  })

  return {
    written,
    send,
    sendStdin: bytes => stdin.send(bytes),
    endStdin: () => stdin.end(),
    resize: size => sendFrame(frame.resize, Buffer.from(JSON.stringify(size))),
    signal: name => send({type: 'signal', name}),
    wrote(stream, bytes) {
      written[stream] += bytes
      // after the end the broker waits for the last bytes to be taken
      if (ended || written.stdout - acked.stdout + (written.stderr - acked.stderr) >= ackBytes) ack()
    },
    close,
    [Symbol.asyncIterator]: () => events,
  }
}

function saidByBroker({code, message, hint, correlation, position, retryAfterSeconds}: import('./errors.ts').ErrorDescription): ProdError {
  return new ProdError(code, message, hint, {
    ...(correlation === undefined ? {} : {correlation}),
    ...(position === undefined ? {} : {position}),
    ...(retryAfterSeconds === undefined ? {} : {retryAfterSeconds}),
  })
}
