/**
 * The form of recordings and stored output: records of `u32 length · u64 microseconds since the start · u8 stream · bytes`
 * (big-endian; length counts the bytes alone). A recording is a row of chunks; each begins with a `header` record that
 * names its number and the SHA-256 of the sealed chunk before it. Pure: whoever replays needs no broker.
 */

/** Streams of a recording. `header` and `resize` carry JSON. */
export const recordStream = {stdin: 0, stdout: 1, stderr: 2, resize: 4, header: 255} as const

const headBytes = 13
const maxRecordBytes = 16 * 1024 * 1024

export interface RecordingHeader {
  version: 1
  id: string
  chunk: number
  /** hex SHA-256 of the sealed chunk before; null for the first */
  previous: string | null
  startedAt: string
  columns?: number
  rows?: number
  title?: string
}

/** One record. `at`: microseconds since the start. */
export interface RecordingRecord {
  at: number
  stream: number
  bytes: Uint8Array
}

/** One record as bytes. */
export function encodeRecord({at, stream, bytes}: RecordingRecord): Uint8Array {
  const out = new Uint8Array(headBytes + bytes.byteLength)
  const view = new DataView(out.buffer)
  view.setUint32(0, bytes.byteLength)
  view.setBigUint64(4, BigInt(Math.max(0, Math.round(at))))
  view.setUint8(12, stream)
  out.set(bytes, headBytes)
  return out
}

/** All records of one opened chunk. Throws RangeError on a torn one. */
export function decodeRecords(chunk: Uint8Array): RecordingRecord[] {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  const records: RecordingRecord[] = []
  for (let offset = 0; offset < chunk.byteLength; ) {
    if (offset + headBytes > chunk.byteLength) throw new RangeError('a record is cut short')
    const length = view.getUint32(offset)
    if (length > maxRecordBytes || offset + headBytes + length > chunk.byteLength) throw new RangeError('a record is cut short')
    records.push({
      at: Number(view.getBigUint64(offset + 4)),
      stream: view.getUint8(offset + 12),
      bytes: chunk.subarray(offset + headBytes, offset + headBytes + length),
    })
    offset += headBytes + length
  }
  return records
}

/** The header of an opened chunk. Throws RangeError where it has none. */
export function headerOf(records: RecordingRecord[]): RecordingHeader {
  const first = records[0]
  if (!first || first.stream !== recordStream.header) throw new RangeError('a chunk without a header')
  return JSON.parse(new TextDecoder().decode(first.bytes)) as RecordingHeader
}

/** asciicast v2 lines (https://docs.asciinema.org/manual/asciicast/v2/) of opened chunks in order. */
export function toAsciicast(chunks: RecordingRecord[][]): string[] {
  const first = chunks[0]
  if (!first) return []
  const header = headerOf(first)
  const lines = [
    JSON.stringify({version: 2, width: header.columns ?? 80, height: header.rows ?? 24, timestamp: Math.floor(Date.parse(header.startedAt) / 1000), title: header.title ?? header.id}),
  ]
  const decoders: Record<number, InstanceType<typeof TextDecoder>> = {}
  for (const {at, stream, bytes} of chunks.flat()) {
    if (stream === recordStream.header) continue
    const seconds = at / 1_000_000
    if (stream === recordStream.resize) {
      const size = JSON.parse(new TextDecoder().decode(bytes)) as {columns: number; rows: number}
      lines.push(JSON.stringify([seconds, 'r', `${size.columns}x${size.rows}`]))
      continue
    }
    decoders[stream] ??= new TextDecoder()
    const text = decoders[stream].decode(bytes, {stream: true})
    if (text !== '') lines.push(JSON.stringify([seconds, stream === recordStream.stdin ? 'i' : 'o', text]))
  }
  return lines
}
