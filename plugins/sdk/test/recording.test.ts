import {createAsciicast, decodeRecords, encodeRecord, headerOf, type RecordingRecord, recordStream} from '@prod/sdk/recording'
import fc from 'fast-check'
import {expect, test} from 'vitest'

const header = (more: object = {}): RecordingRecord => ({
  at: 5,
  stream: recordStream.header,
  bytes: Buffer.from(
    JSON.stringify({
      version: 1,
      id: 'ses_1',
      chunk: 0,
      previous: null,
      startedAt: '2026-05-04T03:02:01.500Z',
      columns: 91,
      rows: 31,
      title: 'local by alice',
      ...more,
    }),
  ),
})
const out = (at: number, text: string | Uint8Array): RecordingRecord => ({at, stream: recordStream.stdout, bytes: Buffer.from(text)})
const lines = (...chunks: RecordingRecord[][]) => {
  const cast = createAsciicast()
  return [...chunks.flatMap(chunk => cast.push(chunk)), ...cast.end()].map(line => JSON.parse(line))
}

test('TM-O4: whatever bytes, times and streams go in come out again', () => {
  const record = fc.record({at: fc.nat({max: 2 ** 48}), stream: fc.constantFrom(0, 1, 2, 4, 255), bytes: fc.uint8Array({maxLength: 300})})
  fc.assert(
    fc.property(fc.array(record, {maxLength: 20}), records => {
      const decoded = decodeRecords(Buffer.concat(records.map(encodeRecord)))
      expect(decoded.map(one => ({...one, bytes: [...one.bytes]}))).toEqual(records.map(one => ({...one, bytes: [...one.bytes]})))
    }),
  )
})

test('a torn record, a length that lies and a chunk without a header are refused', () => {
  const whole = encodeRecord(out(1, 'abc'))
  for (let end = 1; end < whole.byteLength; end++) expect(() => decodeRecords(whole.subarray(0, end))).toThrow(RangeError)
  const lying = Uint8Array.from(whole)
  lying[0] = 0xff
  expect(() => decodeRecords(lying)).toThrow(RangeError)
  expect(() => headerOf([])).toThrow(RangeError)
  expect(() => headerOf([out(1, 'x')])).toThrow(RangeError)
})

test('an asciicast v2 file: one header, then events in order with seconds, characters whole over records and chunks', () => {
  const umlaut = Buffer.from('ü')
  const cast = lines(
    [
      header(),
      {at: 0, stream: recordStream.resize, bytes: Buffer.from('{"columns":91,"rows":31}')},
      out(1_500_000, 'a\u0000b'),
      {at: 1_600_000, stream: recordStream.stdin, bytes: Buffer.from('ls\r')},
      out(1_700_000, umlaut.subarray(0, 1)),
    ],
    [
      header({chunk: 1, previous: 'x'}),
      out(2_000_000, umlaut.subarray(1)),
      {at: 2_500_000, stream: recordStream.resize, bytes: Buffer.from('{"columns":10,"rows":5}')},
      out(3_000_000, Buffer.of(0xff, 0xc3)),
    ],
  )
  expect(cast).toEqual([
    {version: 2, width: 91, height: 31, timestamp: 1777863721, title: 'local by alice'},
    [0, 'r', '91x31'],
    [1.5, 'o', 'a\u0000b'],
    [1.6, 'i', 'ls\r'],
    [2, 'o', 'ü'],
    [2.5, 'r', '10x5'],
    [3, 'o', '\ufffd'],
    [3, 'o', '\ufffd'],
  ])
})
