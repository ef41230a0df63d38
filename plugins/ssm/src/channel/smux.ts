/** Frames of smux, little-endian: many connections on one byte stream, §14. Pure. */

/** What a frame does. */
export const commands = {open: 0, close: 1, data: 2, nothing: 3, window: 4} as const

export type SmuxVersion = 1 | 2

export const smuxHeaderBytes = 8
/** most bytes of one data frame that we send; any length is taken */
export const smuxDataBytes = 32_768
/** bytes that may be under way before the first word of the other side's window; version 2 */
export const firstWindowBytes = 262_144

/** One frame without data, or the header of one with data. */
export function encodeSmuxHeader(version: SmuxVersion, command: number, stream: number, length = 0): Buffer {
  const header = Buffer.allocUnsafe(smuxHeaderBytes)
  header[0] = version
  header[1] = command
  header.writeUInt16LE(length, 2)
  header.writeUInt32LE(stream, 4)
  return header
}

/** How much of a stream was read here in all, and how much more may be under way; version 2. */
export function encodeWindow(stream: number, consumed: number, window: number): Buffer {
  const frame = Buffer.allocUnsafe(smuxHeaderBytes + 8)
  encodeSmuxHeader(2, commands.window, stream, 8).copy(frame)
  frame.writeUInt32LE(consumed >>> 0, 8)
  frame.writeUInt32LE(window, 12)
  return frame
}

/** Who is told of frames. */
export interface SmuxReceiver {
  open(stream: number): void
  close(stream: number): void
  /** a part of a data frame, as it came: a view */
  data(stream: number, bytes: Buffer): void
  window(stream: number, consumed: number, window: number): void
}

/** Reads a byte stream that may be cut anywhere, a header too, and holds no more of it than a header. A text says why it cannot go on. */
export function createSmuxReader(version: SmuxVersion, receiver: SmuxReceiver): (bytes: Buffer) => string | undefined {
  const held = Buffer.alloc(smuxHeaderBytes + 8)
  let heldBytes = 0
  let stream = 0
  let dataLeft = 0
  let broken: string | undefined

  const header = (): string | undefined => {
    const [theirs, command] = held
    const length = held.readUInt16LE(2)
    stream = held.readUInt32LE(4)
    if (theirs !== version) return `smux version ${theirs}`
    if (command === commands.data) {
      dataLeft = length
      heldBytes = 0
      return
    }
    if (command === commands.window && version === 2) {
      if (length !== 8) return 'a window frame of smux with a wrong length'
      if (heldBytes < smuxHeaderBytes + 8) return
      receiver.window(stream, held.readUInt32LE(8), held.readUInt32LE(12))
    } else if (length !== 0) return 'a frame of smux with a wrong length'
    else if (command === commands.open) receiver.open(stream)
    else if (command === commands.close) receiver.close(stream)
    else if (command !== commands.nothing) return `smux command ${command}`
    heldBytes = 0
    return
  }

  return bytes => {
    for (let at = 0; at < bytes.length && broken === undefined; ) {
      if (dataLeft > 0) {
        const end = Math.min(bytes.length, at + dataLeft)
        dataLeft -= end - at
        receiver.data(stream, bytes.subarray(at, end))
        at = end
        continue
      }
      const wanted = heldBytes >= smuxHeaderBytes ? smuxHeaderBytes + 8 : smuxHeaderBytes
      const copied = bytes.copy(held, heldBytes, at, Math.min(bytes.length, at + wanted - heldBytes))
      heldBytes += copied
      at += copied
      if (heldBytes === wanted) broken = header()
    }
    return broken
  }
}
