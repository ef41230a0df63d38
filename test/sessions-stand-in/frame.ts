/**
 * The frames of the data channel, as a gateway and an agent read and write them. Written from the specification's sections 3 to 5,
 * and apart from the client of the plugin: the two share no line, so that a fault in one is seen by the other.
 */
import {hash, randomUUID} from 'node:crypto'

/** PayloadType, section 5. */
export const payload = {
  none: 0,
  output: 1,
  error: 2,
  size: 3,
  parameter: 4,
  handshakeRequest: 5,
  handshakeResponse: 6,
  handshakeComplete: 7,
  challengeRequest: 8,
  challengeResponse: 9,
  flag: 10,
  stdErr: 11,
  exitCode: 12,
} as const

/** What a Flag payload says. */
export const flag = {disconnectToPort: 1, terminateSession: 2, connectToPortError: 3} as const

/** One frame. */
export interface Frame {
  messageType: string
  schemaVersion: number
  /** milliseconds since 1970 */
  createdDate: number
  sequenceNumber: number
  flags: number
  messageId: string
  payloadType: number
  payload: Buffer
}

const headerLength = 116

/** A frame with its own id and date. */
export function frame(messageType: string, payloadType: number, body: Buffer | object, rest: Partial<Frame> = {}): Frame {
  return {
    messageType,
    schemaVersion: 1,
    createdDate: Date.now(),
    sequenceNumber: 0,
    flags: 0,
    messageId: randomUUID(),
    payloadType,
    payload: Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body)),
    ...rest,
  }
}

/** The bytes of a frame. Throws on a MessageType of more than 32 bytes. */
export function encode(it: Frame): Buffer {
  const type = Buffer.from(it.messageType)
  if (type.length > 32) throw new RangeError(`${it.messageType} does not fit in 32 bytes`)
  const bytes = Buffer.alloc(120 + it.payload.length)
  bytes.writeUInt32BE(headerLength, 0)
  bytes.fill(0x20, 4, 36)
  type.copy(bytes, 4)
  bytes.writeUInt32BE(it.schemaVersion, 36)
  bytes.writeBigUInt64BE(BigInt(it.createdDate), 40)
  bytes.writeBigInt64BE(BigInt(it.sequenceNumber), 48)
  bytes.writeBigUInt64BE(BigInt(it.flags), 56)
  const id = Buffer.from(it.messageId.replaceAll('-', ''), 'hex')
  id.copy(bytes, 64, 8, 16)
  id.copy(bytes, 72, 0, 8)
  hash('sha256', it.payload, 'buffer').copy(bytes, 80)
  bytes.writeUInt32BE(it.payloadType, 112)
  bytes.writeUInt32BE(it.payload.length, 116)
  it.payload.copy(bytes, 120)
  return bytes
}

/** A frame of these bytes, or in a few words what is wrong with them. The agent does not look at the digest of what a client sends. */
export function decode(bytes: Buffer, checksDigest = true): Frame | string {
  if (bytes.length < 120) return 'shorter than a header'
  const length = bytes.readUInt32BE(0)
  if (length === 0) return 'HeaderLength is 0'
  if (length < headerLength || length + 4 > bytes.length) return 'HeaderLength is past the end'
  const messageType = bytes.toString('utf8', 4, 36).replace(/^[ \0]+|[ \0]+$/g, '')
  if (messageType === '') return 'MessageType is missing'
  const hex = bytes.toString('hex', 72, 80) + bytes.toString('hex', 64, 72)
  const it: Frame = {
    messageType,
    schemaVersion: bytes.readUInt32BE(36),
    createdDate: Number(bytes.readBigUInt64BE(40)),
    sequenceNumber: Number(bytes.readBigInt64BE(48)),
    flags: Number(bytes.readBigUInt64BE(56)),
    messageId: `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`,
    payloadType: bytes.readUInt32BE(112),
    payload: bytes.subarray(length + 4),
  }
  if (messageType === 'start_publication' || messageType === 'pause_publication') return it
  if (it.createdDate === 0) return 'CreatedDate is missing'
  const digest = (): boolean => hash('sha256', it.payload, 'buffer').equals(bytes.subarray(80, 112))
  if (checksDigest && bytes.readUInt32BE(length) !== 0 && !digest()) return 'payload digest is not valid'
  return it
}

/** The acknowledgement of a frame, its keys in the order of section 4. */
export function acknowledgement(of: Frame): Frame {
  return frame(
    'acknowledge',
    payload.none,
    {
      AcknowledgedMessageType: of.messageType,
      AcknowledgedMessageId: of.messageId,
      AcknowledgedMessageSequenceNumber: of.sequenceNumber,
      IsSequentialMessage: true,
    },
    {flags: 3},
  )
}
