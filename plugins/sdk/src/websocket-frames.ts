/** What goes over a WebSocket (RFC 6455 section 5), seen from the client: frames read as they come, without gathering them, and frames written. */
import {randomFillSync} from 'node:crypto'

/** What a frame is. */
export const opcode = {continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10} as const

const fin = 0x80
const masked = 0x80
const maxControlBytes = 125

/** Who hears what is read. Bytes are valid only for as long as the call lasts. */
export interface FrameHandlers {
  /** a whole text message */
  text(text: string): void
  /** a piece of a binary message: whether it begins with it, whether it ends with it */
  binary(piece: Buffer, begins: boolean, ends: boolean): void
  ping(payload: Buffer): void
  pong(): void
  /** 1005: without a code */
  close(code: number, reason: string): void
}

/** Reads what a server sends. `read` throws a {@link FrameFault} for what no server may send; then nothing more is to be read. */
export class FrameReader {
  readonly #handlers: FrameHandlers
  readonly #maxMessageBytes: number
  readonly #head = Buffer.alloc(10)
  #headBytes = 0
  #headWanted = 2
  /** of the frame that is read: bytes still to come, what it is, whether it is its message's last */
  #left = -1
  #opcode: number = opcode.continuation
  #last = false
  /** of the message: what its first frame said, bytes announced so far, whether a piece of it was given */
  #message: number | undefined
  #messageBytes = 0
  #begun = false
  #text: Buffer[] = []
  /** a control frame may come between the parts of a message */
  #control: Buffer[] = []
  #stopped = false

  constructor(handlers: FrameHandlers, maxMessageBytes: number) {
    this.#handlers = handlers
    this.#maxMessageBytes = maxMessageBytes
  }

  /** What comes from now on is not looked at. */
  stop(): void {
    this.#stopped = true
  }

  read(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && !this.#stopped; ) {
      if (this.#left < 0) {
        this.#head[this.#headBytes++] = bytes[at++] as number
        if (this.#headBytes < this.#headWanted || !this.#readHead()) continue
        if (this.#left === 0) this.#take(bytes.subarray(at, at))
      } else {
        const piece = bytes.subarray(at, at + this.#left)
        at += piece.length
        this.#left -= piece.length
        this.#take(piece)
      }
    }
  }

  /** Whether all of a head is there. */
  #readHead(): boolean {
    const first = this.#head[0] as number
    const second = this.#head[1] as number
    const short = second & 0x7f
    this.#headWanted = short === 126 ? 4 : short === 127 ? 10 : 2
    if (this.#headBytes < this.#headWanted) return false
    this.#headBytes = 0
    this.#headWanted = 2
    if ((first & 0x70) !== 0) throw new FrameFault('a frame with bits of an extension that nobody asked for')
    if ((second & masked) !== 0) throw new FrameFault('a masked frame')
    const length = short === 126 ? this.#head.readUInt16BE(2) : short === 127 ? Number(this.#head.readBigUInt64BE(2)) : short
    this.#opcode = first & 0x0f
    this.#last = (first & fin) !== 0
    if (this.#opcode >= opcode.close) this.#checkControl(length)
    else this.#checkData(length)
    this.#left = length
    return true
  }

  #checkControl(length: number): void {
    if (this.#opcode > opcode.pong) throw new FrameFault(`a frame of kind ${this.#opcode}`)
    if (!this.#last || length > maxControlBytes) throw new FrameFault('a control frame in parts, or longer than they are')
  }

  #checkData(length: number): void {
    if (this.#opcode === opcode.continuation) {
      if (this.#message === undefined) throw new FrameFault('the rest of a message that did not begin')
    } else {
      if (this.#opcode > opcode.binary) throw new FrameFault(`a frame of kind ${this.#opcode}`)
      if (this.#message !== undefined) throw new FrameFault('a message within another')
      this.#message = this.#opcode
      this.#messageBytes = 0
      this.#begun = false
    }
    this.#messageBytes += length
    if (this.#messageBytes > this.#maxMessageBytes) throw new FrameFault('a message that is too large')
  }

  #take(piece: Buffer): void {
    const over = this.#left === 0
    if (over) this.#left = -1
    if (this.#opcode < opcode.close && this.#message === opcode.binary) {
      const begins = !this.#begun
      const ends = over && this.#last
      this.#begun = true
      if (ends) this.#message = undefined
      if (piece.length > 0 || ends) this.#handlers.binary(piece, begins, ends)
      return
    }
    if (this.#opcode < opcode.close) {
      this.#text.push(Buffer.from(piece))
      if (over && this.#last) this.#tellText()
      return
    }
    this.#control.push(Buffer.from(piece))
    if (over) this.#tellControl(Buffer.concat(this.#control.splice(0)))
  }

  #tellText(): void {
    const text = readText(Buffer.concat(this.#text))
    this.#text = []
    this.#message = undefined
    this.#handlers.text(text)
  }

  #tellControl(payload: Buffer): void {
    if (this.#opcode === opcode.ping) this.#handlers.ping(payload)
    else if (this.#opcode === opcode.pong) this.#handlers.pong()
    else if (payload.length === 1) throw new FrameFault('a close frame with half a code')
    else if (payload.length === 0) this.#handlers.close(1005, '')
    else this.#handlers.close(payload.readUInt16BE(0), readText(payload.subarray(2)))
  }
}

/** What came is not what a WebSocket server sends. */
export class FrameFault extends Error {}

const decoder = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true})

function readText(bytes: Buffer): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new FrameFault('text that is not UTF-8')
  }
}

const masks = Buffer.alloc(4096)
let masksUsed = masks.length

/** One whole message in one frame, masked as a client's is. `prefix` stands before the payload. */
export function writeFrame(kind: number, payload: Uint8Array, prefix?: number): Buffer {
  const length = payload.length + (prefix === undefined ? 0 : 1)
  const lengthBytes = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const start = 6 + lengthBytes
  const out = Buffer.allocUnsafe(start + length)
  out[0] = fin | kind
  out[1] = masked | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127)
  if (lengthBytes === 2) out.writeUInt16BE(length, 2)
  if (lengthBytes === 8) out.writeBigUInt64BE(BigInt(length), 2)
  if (masksUsed === masks.length) {
    randomFillSync(masks)
    masksUsed = 0
  }
  masks.copy(out, start - 4, masksUsed, masksUsed + 4)
  masksUsed += 4
  if (prefix !== undefined) out[start] = prefix
  out.set(payload, start + length - payload.length)
  for (let at = 0; at < length; at++) out[start + at] = (out[start + at] as number) ^ (out[start - 4 + (at & 3)] as number)
  return out
}
