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

/** Writes an asciicast v2 file (https://docs.asciinema.org/manual/asciicast/v2/), line by line, from opened chunks in order. */
export interface AsciicastWriter {
  push(chunk: RecordingRecord[]): string[]
  /** what was left of a character cut short */
  end(): string[]
}

/** A new file: its header comes with the first chunk. */
export function createAsciicast(): AsciicastWriter {
  const decoders = {i: new TextDecoder(), o: new TextDecoder()}
  let begun = false
  let seconds = 0
  const event = (code: 'i' | 'o' | 'r', text: string) => (text === '' ? [] : [JSON.stringify([seconds, code, text])])
  return {
    push(chunk) {
      const lines: string[] = []
      for (const {at, stream, bytes} of chunk) {
        if (stream === recordStream.header) {
          if (begun) continue
          begun = true
          const {columns = 80, rows = 24, startedAt, title, id} = headerOf(chunk)
          lines.push(
            JSON.stringify({
              version: 2,
              width: columns,
              height: rows,
              timestamp: Math.floor(Date.parse(startedAt) / 1000),
              title: title ?? id,
            }),
          )
          continue
        }
        seconds = at / 1_000_000
        if (stream === recordStream.resize) {
          const {columns, rows} = JSON.parse(new TextDecoder().decode(bytes)) as {columns: number; rows: number}
          lines.push(...event('r', `${columns}x${rows}`))
        } else {
          const code = stream === recordStream.stdin ? 'i' : 'o'
          lines.push(...event(code, decoders[code].decode(bytes, {stream: true})))
        }
      }
      return lines
    },
    end: () => [...event('o', decoders.o.decode()), ...event('i', decoders.i.decode())],
  }
}
