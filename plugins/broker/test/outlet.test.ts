import {createHash, randomBytes} from 'node:crypto'
import {maxOutputFrameBytes} from '@prod/sdk/wire'
import {expect, test} from 'vitest'
import {Outlet} from '../src/streams/outlet.ts'

const kind = 7

/** Sends all that is unsent; the payloads as one, each frame checked. */
function sent(outlet: Outlet, into: Buffer[] = []): Buffer {
  outlet.send(
    whole => {
      expect(whole[0]).toBe(kind)
      expect(whole.byteLength).toBeLessThanOrEqual(maxOutputFrameBytes + 1)
      into.push(Buffer.from(whole.subarray(1)))
    },
    rest => into.push(Buffer.from(rest)),
  )
  return Buffer.concat(into)
}

function put(outlet: Outlet, bytes: Buffer): void {
  outlet.see(bytes)
  outlet.keep(bytes)
}

test('many small pieces are one frame, and one that was sent grows no more', () => {
  const outlet = new Outlet(kind)
  for (const piece of ['a', 'b', 'c']) put(outlet, Buffer.from(piece))
  const frames: Buffer[] = []
  sent(outlet, frames)
  put(outlet, Buffer.from('d'))
  sent(outlet, frames)
  expect(frames.map(String)).toEqual(['abc', 'd'])
})

test('whatever is acknowledged when, every byte comes once and in order, in memory that does not grow', () => {
  const outlet = new Outlet(kind)
  const all: Buffer[] = []
  const got: Buffer[] = []
  const memory = new Set<ArrayBufferLike>()
  for (let round = 0; round < 400; round++) {
    const bytes = randomBytes(1 + ((round * 7919) % 130_000))
    all.push(bytes)
    put(outlet, bytes)
    outlet.send(
      whole => {
        memory.add(whole.buffer)
        got.push(Buffer.from(whole.subarray(1)))
      },
      () => expect.unreachable(),
    )
    if (round % 3 === 0) outlet.acknowledge(outlet.acked + Math.floor((outlet.sent - outlet.acked) / 2))
    if (round % 5 === 0) outlet.acknowledge(outlet.sent)
  }
  expect(memory.size).toBeLessThan(8)
  expect(Buffer.concat(got).equals(Buffer.concat(all))).toBe(true)
  expect(outlet.digest()).toEqual({bytes: outlet.total, sha256: createHash('sha256').update(Buffer.concat(all)).digest('hex')})
})

test('another client gets what it lacks, from the middle of a frame too, and what the old link still holds stays as it was', () => {
  const outlet = new Outlet(kind)
  const bytes = randomBytes(100_000)
  put(outlet, bytes)
  const views: Uint8Array[] = []
  outlet.send(
    whole => views.push(whole.subarray(1)),
    () => {},
  )
  outlet.acknowledge(10)
  outlet.restart(70_000)
  expect(sent(outlet).equals(bytes.subarray(70_000))).toBe(true)
  outlet.acknowledge(100_000)
  put(outlet, randomBytes(1_000_000))
  expect(Buffer.concat(views).equals(bytes)).toBe(true)
})

test('TM-H18: bytes that were not sent cannot be acknowledged, nor those that were already', () => {
  const outlet = new Outlet(kind)
  put(outlet, Buffer.from('abc'))
  expect(() => outlet.acknowledge(1)).toThrow('that were not sent')
  sent(outlet)
  outlet.acknowledge(2)
  expect(() => outlet.acknowledge(1)).toThrow('that were not sent')
})

test('each byte is hashed once, in order: those that are sent late, that nobody takes, and that a client says it has', () => {
  const [first, second, third, fourth] = [300_000, 10, 70_000, 5].map(count => randomBytes(count)) as [Buffer, Buffer, Buffer, Buffer]
  const outlet = new Outlet(kind)
  const digest = (...parts: Buffer[]) => ({
    bytes: parts.reduce((sum, part) => sum + part.length, 0),
    sha256: createHash('sha256').update(Buffer.concat(parts)).digest('hex'),
  })
  put(outlet, first)
  expect(outlet.digest()).toEqual(digest(first))
  // another client says that it has what was never sent
  outlet.restart(first.length)
  outlet.acknowledge(first.length)
  put(outlet, second)
  outlet.restart(first.length + second.length)
  outlet.acknowledge(first.length + second.length)
  put(outlet, third)
  outlet.drop()
  outlet.see(fourth)
  outlet.passOver(fourth)
  outlet.drop()
  expect(outlet.digest()).toEqual(digest(first, second, third, fourth))
  expect(outlet.acked).toBe(outlet.total)
})
