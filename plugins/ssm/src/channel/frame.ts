/** Frames of the data channel: 120 bytes of header, big-endian, and a payload. "§N" in this folder is section N of the channel's specification. Pure. */
import {hash, randomFillSync} from 'node:crypto'

/** Who begins what a payload means, §5. */
export const payloadTypes = {
  none: 0,
  output: 1,
  size: 3,
  handshakeRequest: 5,
  handshakeResponse: 6,
  handshakeComplete: 7,
  challengeRequest: 8,
  challengeResponse: 9,
  flag: 10,
  stderr: 11,
  exitCode: 12,
} as const

/** Payload of a flag: a number of 32 bits, §5. */
export const flags = {disconnectToPort: 1, terminateSession: 2, connectToPortError: 3} as const

/** Most bytes of one piece, before it is sealed, §17. */
export const pieceBytes = 1024
export const headerBytes = 120

/** bytes before the field PayloadLength; always this many, §3 */
const headerLength = 116
const typeBytes = 32

/** One frame, read. */
export interface Frame {
  /** trimmed of spaces and NULs: other senders pad with either, on either side */
  messageType: string
  schemaVersion: number
  /** ms since 1970 */
  createdDate: number
  sequenceNumber: number
  flags: number
  /** lower case, with hyphens */
  messageId: string
  payloadType: number
  /** a view on the bytes that were read, not a copy */
  payload: Buffer
}

/** What a frame is made of. */
export interface FrameFields {
  messageType: string
  createdDate: number
  sequenceNumber: number
  flags: number
  payloadType: number
  payload: Uint8Array
  /** a new one if absent */
  messageId?: string
}

/**
 * Reads one frame; a text says why it is none: such a frame is dropped and counted, never acted on, §3. The payload runs to the end of
 * the message, and is held against its digest; only a frame that says it has none may have any digest. `start_publication` and
 * `pause_publication` may hold anything.
 */
export function decodeFrame(bytes: Buffer): Frame | string {
  if (bytes.length < headerBytes) return 'shorter than a header'
  const messageType = readType(bytes)
  if (messageType === '') return 'no message type'
  const lenient = messageType === 'start_publication' || messageType === 'pause_publication'
  const begins = bytes.readUInt32BE(0) + 4
  const fits = begins >= headerBytes && begins <= bytes.length
  if (!fits && !lenient) return 'a wrong header length'
  const payload = bytes.subarray(fits ? begins : bytes.length)
  const createdDate = bytes.readUInt32BE(40) * 2 ** 32 + bytes.readUInt32BE(44)
  const sequenceNumber = bytes.readInt32BE(48) * 2 ** 32 + bytes.readUInt32BE(52)
  if (!lenient) {
    if (createdDate === 0) return 'no date'
    if (!Number.isSafeInteger(sequenceNumber)) return 'a sequence number beyond all counting'
    const empty = payload.length === 0 && bytes.readUInt32BE(116) === 0
    if (!empty && bytes.compare(hash('sha256', payload, 'buffer'), 0, 32, 80, 112) !== 0) return 'a wrong digest'
  }
  return {
    messageType,
    schemaVersion: bytes.readUInt32BE(36),
    createdDate,
    sequenceNumber,
    flags: bytes.readUInt32BE(56) * 2 ** 32 + bytes.readUInt32BE(60),
    messageId: readId(bytes),
    payloadType: bytes.readUInt32BE(112),
    payload,
  }
}

/** Writes one frame. Throws RangeError on a message type of more than 32 bytes. */
export function encodeFrame(fields: FrameFields): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + fields.payload.length)
  frame.set(fields.payload, headerBytes)
  return writeHeader(frame, fields)
}

/** As {@link encodeFrame}, where the payload lies in the frame already: the way without a copy. */
export function writeHeader(frame: Buffer, fields: Omit<FrameFields, 'payload'>): Buffer {
  frame.set(templateOf(fields.messageType))
  writeUint64(frame, fields.createdDate, 40)
  writeUint64(frame, fields.sequenceNumber, 48)
  writeUint64(frame, fields.flags, 56)
  if (fields.messageId === undefined) writeNewId(frame)
  else writeId(frame, fields.messageId)
  frame.set(hash('sha256', frame.subarray(headerBytes), 'buffer'), 80)
  frame.writeUInt32BE(fields.payloadType, 112)
  frame.writeUInt32BE(frame.length - headerBytes, 116)
  return frame
}

/** The number that an acknowledgement is for, or undefined where it is none, §4. */
export function acknowledgedNumber(payload: Buffer): number | undefined {
  const number = (parseObject(payload) as {AcknowledgedMessageSequenceNumber?: unknown} | undefined)?.AcknowledgedMessageSequenceNumber
  return Number.isSafeInteger(number) && (number as number) >= 0 ? (number as number) : undefined
}

/** The frame that acknowledges another; its keys in this order, §4. */
export function encodeAcknowledgement(of: {messageType: string; messageId: string; sequenceNumber: number}, createdDate: number): Buffer {
  const text = `{"AcknowledgedMessageType":"${of.messageType}","AcknowledgedMessageId":"${of.messageId}","AcknowledgedMessageSequenceNumber":${of.sequenceNumber},"IsSequentialMessage":true}`
  const frame = Buffer.allocUnsafe(headerBytes + text.length)
  frame.write(text, headerBytes, 'latin1')
  return writeHeader(frame, {messageType: 'acknowledge', createdDate, sequenceNumber: 0, flags: 3, payloadType: payloadTypes.none})
}

/** A JSON object, or undefined for anything else. */
export function parseObject(payload: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

const templates = new Map<string, Buffer>()

/** The fields that all frames of a type share: length, type, schema. */
function templateOf(messageType: string): Buffer {
  const known = templates.get(messageType)
  if (known) return known
  const text = Buffer.from(messageType)
  if (text.length > typeBytes) throw new RangeError('a message type has 32 bytes at most')
  const template = Buffer.alloc(40, ' ')
  template.writeUInt32BE(headerLength, 0)
  text.copy(template, 4)
  template.writeUInt32BE(1, 36)
  if (templates.size < 16) templates.set(messageType, template)
  return template
}

function readType(bytes: Buffer): string {
  const isPadding = (byte: number | undefined) => byte === 0x20 || byte === 0
  let [from, to] = [4, 4 + typeBytes]
  while (from < to && isPadding(bytes[from])) from++
  while (to > from && isPadding(bytes[to - 1])) to--
  return bytes.toString('utf8', from, to)
}

function writeUint64(frame: Buffer, value: number, at: number): void {
  const high = Math.floor(value / 2 ** 32)
  frame.writeInt32BE(high | 0, at)
  frame.writeUInt32BE(value - high * 2 ** 32, at + 4)
}

/** On the wire the two halves of a UUID are exchanged, §3. */
function readId(bytes: Buffer): string {
  const late = bytes.toString('hex', 64, 72)
  const early = bytes.toString('hex', 72, 80)
  return `${early.slice(0, 8)}-${early.slice(8, 12)}-${early.slice(12)}-${late.slice(0, 4)}-${late.slice(4)}`
}

function writeId(frame: Buffer, id: string): void {
  const hex = id.replaceAll('-', '')
  frame.write(hex.slice(16), 64, 8, 'hex')
  frame.write(hex.slice(0, 16), 72, 8, 'hex')
}

const pool = Buffer.alloc(16 * 256)
let used = pool.length

/** A UUID of version 4 in its place. */
function writeNewId(frame: Buffer): void {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  pool.copy(frame, 64, used, used + 16)
  used += 16
  frame[78] = ((frame[78] as number) & 0x0f) | 0x40
  frame[64] = ((frame[64] as number) & 0x3f) | 0x80
}
