/** One stream to a broker (wire.ts): the client's end of an exec, a shell, an attach, a watch. It knows no terminal, and loads little. */
import {isTokenRefused, refusal, unreachable} from './broker-errors.ts'
import type {SignalName, TerminalSize} from './domain.ts'
import {proof} from './dpop.ts'
import {ProdError} from './errors.ts'
import type {Slab} from './read-memory.ts'
import {type Broker, type Session, trust} from './session.ts'
import {EventQueue} from './stream-queue.ts'
import {StdinSender, type StdinState} from './stream-stdin.ts'
import {type OpenSocket, openWebSocket, type SocketHandlers} from './websocket.ts'
import {type ClientMessage, type FirstMessage, frame, type ServerMessage, streamPath, streamProtocol, windowBytes} from './wire.ts'

export type OutputName = 'stdout' | 'stderr'
/** Bytes of each output, counted from the start of the run. */
export type ByteCounts = Record<OutputName, number>

/** What arrives, in order. What the stream answers by itself (`challenge`, `window`) and errors (thrown) do not. */
export type StreamEvent =
  | {type: 'message'; message: Exclude<ServerMessage, {type: 'challenge' | 'window' | 'error'}>}
  /** `stdin` is what a watched person typed. Where bytes are lent, those of stdout and stderr hold until {@link StreamConnection.wrote} is told of them */
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
  /** Output lies in memory that is used again: `wrote` says when its bytes are needed no more, in the order in which they came. Much faster. */
  lend?: boolean
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

async function upgrade(options: StreamOptions, token: string, nonce: string | undefined): Promise<Upgrade> {
  const {broker, session, first} = options
  const {promise: connection, resolve} = Promise.withResolvers<StreamConnection>()
  try {
    const refused = await openWebSocket({
      url: new URL(broker.url + streamPath),
      protocol: streamProtocol,
      tls: trust(broker),
      timeoutMilliseconds: 10_000,
      maxMessageBytes: 4 * 1024 * 1024,
      headers: {Authorization: `DPoP ${token}`, DPoP: streamProof(broker, session, token, nonce)},
      opened(socket) {
        socket.sendText(JSON.stringify(first))
        const {handlers, stream} = connect(socket, options, token)
        resolve(stream)
        return handlers
      },
    })
    if (!refused) return {connection: await connection}
    const {status, headers, body} = refused
    const given = status === 401 ? headers.get('dpop-nonce') : undefined
    return {error: refusal(broker, status, body, headers.get('date')), ...(given === undefined ? {} : {nonce: given})}
  } catch (error) {
    throw unreachable(broker, error)
  }
}

/** The proofs of a stream (upgrade, `proof`, `auth`) all name the upgrade: GET of the stream's URL. */
function streamProof({url}: Broker, session: Session, accessToken: string, nonce?: string): string {
  return proof(session.key, {method: 'GET', url: url + streamPath, accessToken, ...(nonce === undefined ? {} : {nonce})})
}

function connect(
  socket: OpenSocket,
  {broker, session, first, stdin: pending, lend = false}: StreamOptions,
  upgradeToken: string,
): {stream: StreamConnection; handlers: SocketHandlers} {
  const events = new EventQueue<StreamEvent>()
  const written: ByteCounts = first.type === 'attach' ? {...first.have} : {stdout: 0, stderr: 0}
  const acked: ByteCounts = {...written}
  let [ended, closedByUs, alive] = [false, false, true]
  /** why the login could not be renewed: explains a close that the broker leaves unexplained */
  let loginFault: ProdError | undefined

  const send = (message: ClientMessage): void => socket.sendText(JSON.stringify(message))
  const stdin = new StdinSender(
    chunk => socket.sendBinary(frame.stdin, chunk),
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
    if (!socket.isOpen) return
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
  /** What was lent and is not given back yet: oldest first. */
  const lent: Record<OutputName, {left: number; slab: Slab}[]> = {stdout: [], stderr: []}
  const takeOutput = (name: OutputName, bytes: Buffer): void => {
    if (bytes.length === 0) return
    if (lend) lent[name].push({left: bytes.length, slab: socket.hold()})
    events.push({type: 'output', stream: name, bytes: lend ? bytes : Buffer.from(bytes)})
  }
  const giveBack = (name: OutputName, count: number): void => {
    for (let left = count; left > 0; ) {
      const oldest = lent[name][0]
      if (!oldest) return
      const part = Math.min(left, oldest.left)
      left -= part
      oldest.left -= part
      if (oldest.left > 0) return
      lent[name].shift()
      socket.giveBack(oldest.slab)
    }
  }

  let kind: number | undefined
  const gathered: Buffer[] = []
  /** Output is handed on as it comes, all else once it is whole. */
  const takePiece = (piece: Buffer, begins: boolean, ends: boolean): void => {
    if (begins) kind = piece[0]
    const payload = begins ? piece.subarray(1) : piece
    if (kind === frame.stdout) takeOutput('stdout', payload)
    else if (kind === frame.stderr) takeOutput('stderr', payload)
    else {
      gathered.push(Buffer.from(payload))
      if (ends) takeWhole(Buffer.concat(gathered.splice(0)))
    }
  }
  const takeWhole = (payload: Buffer): void => {
    switch (kind) {
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

  const heard = (take: () => void): void => {
    alive = true
    try {
      take()
    } catch (error) {
      fail(error)
    }
  }
  const handlers: SocketHandlers = {
    text: text => heard(() => take(JSON.parse(text) as ServerMessage)),
    binary: (piece, begins, ends) => heard(() => takePiece(piece, begins, ends)),
    pong: () => heard(() => {}),
    closed(code, reason) {
      if (ended || closedByUs || code === 1000) return finish(queue => queue.end())
      const why = reason !== '' ? reason : code === 1006 ? 'the connection was cut' : `closed with ${code}`
      finish(queue => queue.fail(loginFault ?? new LinkLost(written, () => stdin.state(), why)))
    },
  }

  const stream: StreamConnection = {
    written,
    send,
    sendStdin: bytes => stdin.send(bytes),
    endStdin: () => stdin.end(),
    resize: size => socket.sendBinary(frame.resize, Buffer.from(JSON.stringify(size))),
    signal: name => send({type: 'signal', name}),
    wrote(name, bytes) {
      written[name] += bytes
      giveBack(name, bytes)
      // after the end the broker waits for the last bytes to be taken
      if (ended || written.stdout - acked.stdout + (written.stderr - acked.stderr) >= ackBytes) ack()
    },
    close,
    [Symbol.asyncIterator]: () => events,
  }
  return {stream, handlers}
}

function saidByBroker({code, message, hint, correlation, position, retryAfterSeconds}: import('./errors.ts').ErrorDescription): ProdError {
  return new ProdError(code, message, hint, {
    ...(correlation === undefined ? {} : {correlation}),
    ...(position === undefined ? {} : {position}),
    ...(retryAfterSeconds === undefined ? {} : {retryAfterSeconds}),
  })
}
