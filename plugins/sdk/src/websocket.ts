/**
 * The client's end of one WebSocket (RFC 6455): the upgrade, then messages. Binary messages are handed on in pieces as they are read, out of
 * memory that is used again, since a message that is put together first is a copy and a wait. Loads `net`, and `tls` where it is needed.
 */
import {randomBytes} from 'node:crypto'
import {connect as connectPlainly, isIP, type Socket} from 'node:net'
import type {ConnectionOptions} from 'node:tls'
import {ReadMemory, type Slab} from './read-memory.ts'
import {Answer, faultOf, type Refused} from './upgrade-answer.ts'
import {FrameFault, type FrameHandlers, FrameReader, opcode, writeFrame} from './websocket-frames.ts'

/** What the other end says, once the upgrade is done. */
export interface SocketHandlers extends Pick<FrameHandlers, 'text' | 'binary' | 'pong'> {
  /** It is over, for whatever reason: the code and the words of the other end; 1005 without a code, 1006 where it was cut, 1002 for what is no WebSocket. */
  closed(code: number, reason: string): void
}

export interface OpenSocket {
  readonly isOpen: boolean
  sendText(text: string): void
  /** A binary message of one byte, then the payload. */
  sendBinary(kind: number, payload: Uint8Array): void
  ping(): void
  /** Says that it is over, and leaves. `closed` is not called any more. */
  close(code: number): void
  /** Leaves without a word: `closed` is called with 1006. */
  terminate(): void
  /** Keeps the piece that is being handed on as it is, until it is given back. */
  hold(): Slab
  giveBack(slab: Slab): void
}

export interface UpgradeOptions {
  /** `http:` or `https:` */
  url: URL
  protocol: string
  headers: Record<string, string>
  /** of `tls.connect`, for https */
  tls: object
  timeoutMilliseconds: number
  maxMessageBytes: number
  /** Called once it is open; what it answers hears all that comes, from the first byte on. */
  opened(socket: OpenSocket): SocketHandlers
}

/** how long the other end has to take its leave */
const leaveMilliseconds = 2000

/** Upgrades. Resolves once `opened` has been called, or with the refusal; rejects with what went wrong on the way. */
export function openWebSocket(options: UpgradeOptions): Promise<Refused | undefined> {
  const {promise, resolve, reject} = Promise.withResolvers<Refused | undefined>()
  const {url, timeoutMilliseconds} = options
  const key = randomBytes(16).toString('base64')
  const request = requestText(url, key, options)
  const memory = new ReadMemory()
  const answer = new Answer()
  let open: Connection | undefined
  let settled = false

  const over = (): void => {
    settled = true
    clearTimeout(timer)
  }
  const refuse = (refused: Refused): void => {
    over()
    resolve(refused)
    socket.destroy()
  }
  const fail = (error: Error): void => {
    over()
    reject(error)
    socket.destroy()
  }
  const upgrade = (rest: Buffer): void => {
    const fault = faultOf(answer, key, options.protocol)
    if (fault) {
      fail(new Error(fault))
      return
    }
    over()
    open = new Connection(socket, memory, options)
    resolve(undefined)
    if (rest.length > 0) open.read(rest)
  }
  const read = (bytes: Buffer): void => {
    open?.read(bytes)
    if (settled) return
    try {
      const rest = answer.read(bytes)
      if (answer.status === 101 && rest) upgrade(rest)
      else if (answer.whole) refuse(answer.refused())
    } catch (error) {
      fail(error as Error)
    }
  }

  const socket = dial(options, {
    buffer: () => memory.room(),
    callback: count => {
      read(memory.take(count))
      return true
    },
  })
  const timer = setTimeout(() => fail(Object.assign(new Error('no answer in time'), {code: 'ETIMEDOUT'})), timeoutMilliseconds)
  socket.on('error', error => (settled ? undefined : fail(error)))
  socket.on('end', () => {
    if (settled) return
    if (answer.endsWithConnection) refuse(answer.refused())
    else fail(Object.assign(new Error('the connection was cut'), {code: 'ECONNRESET'}))
  })
  socket.on('close', () => {
    if (open) open.lost()
    else if (!settled) fail(Object.assign(new Error('the connection was cut'), {code: 'ECONNRESET'}))
  })
  socket.setNoDelay(true)
  // not before it is known who is there: the request holds the token
  socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => socket.write(request))
  return promise
}

interface Reading {
  buffer: () => Uint8Array
  callback: (count: number) => boolean
}

function dial({url, tls}: UpgradeOptions, onread: Reading): Socket {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const secure = url.protocol === 'https:'
  const port = Number(url.port || (secure ? 443 : 80))
  if (!secure) return connectPlainly({host, port, onread})
  const {connect} = process.getBuiltinModule('node:tls')
  // a name is told to the other end, an address is not; the certificate is checked for either
  const options: ConnectionOptions & {onread: Reading} = {...tls, host, port, onread, servername: isIP(host) === 0 ? host : ''}
  return connect(options)
}

function requestText({host, pathname, search}: URL, key: string, {protocol, headers}: UpgradeOptions): string {
  const lines = Object.entries({
    Host: host,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': key,
    'Sec-WebSocket-Protocol': protocol,
    ...headers,
  }).map(([name, value]) => {
    if (!/^[\x20-\x7e]*$/.test(value)) throw new TypeError(`the header ${name} holds what no header may`)
    return `${name}: ${value}\r\n`
  })
  return `GET ${pathname}${search} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/** A socket that speaks WebSocket. */
class Connection implements OpenSocket {
  readonly #socket: Socket
  readonly #memory: ReadMemory
  readonly #reader: FrameReader
  readonly #handlers: SocketHandlers
  isOpen = true

  constructor(socket: Socket, memory: ReadMemory, {opened, maxMessageBytes}: UpgradeOptions) {
    this.#socket = socket
    this.#memory = memory
    this.#reader = new FrameReader(
      {
        text: text => this.#handlers.text(text),
        binary: (piece, begins, ends) => this.#handlers.binary(piece, begins, ends),
        pong: () => this.#handlers.pong(),
        ping: payload => this.#send(opcode.pong, payload),
        close: (code, reason) => this.#leave(code, reason),
      },
      maxMessageBytes,
    )
    this.#handlers = opened(this)
  }

  read(bytes: Buffer): void {
    if (!this.isOpen) return
    try {
      this.#reader.read(bytes)
    } catch (error) {
      if (!(error instanceof FrameFault)) throw error
      this.#send(opcode.close, closeCode(1002))
      this.#over(1002, error.message)
      this.#socket.destroy()
    }
  }

  lost(): void {
    this.#over(1006, '')
  }

  sendText(text: string): void {
    this.#send(opcode.text, Buffer.from(text))
  }

  sendBinary(kind: number, payload: Uint8Array): void {
    if (this.isOpen) this.#socket.write(writeFrame(opcode.binary, payload, kind))
  }

  ping(): void {
    this.#send(opcode.ping, Buffer.alloc(0))
  }

  close(code: number): void {
    this.#send(opcode.close, closeCode(code))
    this.isOpen = false
    this.#reader.stop()
    this.#socket.destroy()
  }

  terminate(): void {
    this.#socket.destroy()
    this.#over(1006, '')
  }

  hold(): Slab {
    return this.#memory.hold()
  }

  giveBack(slab: Slab): void {
    this.#memory.giveBack(slab)
  }

  #send(kind: number, payload: Uint8Array): void {
    if (this.isOpen) this.#socket.write(writeFrame(kind, payload))
  }

  /** The other end closes: it is answered, and ends the connection. */
  #leave(code: number, reason: string): void {
    this.#send(opcode.close, code === 1005 ? Buffer.alloc(0) : closeCode(code))
    this.#socket.end()
    setTimeout(() => this.#socket.destroy(), leaveMilliseconds).unref()
    this.#over(code, reason)
  }

  #over(code: number, reason: string): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.#reader.stop()
    this.#handlers.closed(code, reason)
  }
}

function closeCode(code: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(code)
  return bytes
}
