import {expect, test} from 'vitest'
import {decodeFrame} from '../../src/channel/frame.ts'
import {createIncoming, type Incoming} from '../../src/channel/incoming.ts'
import {createOutgoing, emptyFrame, type Outgoing} from '../../src/channel/outgoing.ts'

/** A sender whose clock and wire are the test's. */
function start(): {outgoing: Outgoing; sent: number[]; pass(ms: number): void; send(count: number): void} {
  let time = 1_000
  const sent: number[] = []
  const outgoing = createOutgoing(
    {
      send(frame) {
        const read = decodeFrame(frame)
        if (typeof read === 'string') throw new Error(read)
        sent.push(read.sequenceNumber)
        return true
      },
      backlog: () => 0,
    },
    () => time,
    {probeMs: 5_000},
  )
  outgoing.connected()
  return {
    outgoing,
    sent,
    pass(ms) {
      time += ms
      outgoing.tick()
    },
    send(count) {
      for (let at = 0; at < count; at++) outgoing.add(emptyFrame(1).fill(1, 120), 1)
    },
  }
}

test('what is in flight is bounded, grows with answers and is halved by a loss', () => {
  const {outgoing, sent, pass, send} = start()
  expect(outgoing.room()).toBe(64)
  send(64)
  expect(outgoing.room()).toBe(0)
  for (let number = 0; number < 64; number++) outgoing.acknowledge(number)
  const room = outgoing.room()
  // the first samples only teach how long an answer takes
  expect(room).toBeGreaterThan(110)
  send(room)
  for (let number = 65; number < 64 + room; number++) outgoing.acknowledge(number)
  pass(300)
  expect(sent.at(-1)).toBe(64)
  expect(outgoing.room()).toBeLessThan(room)
  outgoing.acknowledge(64)
  expect(outgoing.unanswered).toBe(0)
})

test('it never asks for more numbers than the other side can keep in order', () => {
  const {outgoing, send} = start()
  send(1)
  for (let number = 1; number < 8192; number++) {
    send(1)
    outgoing.acknowledge(number)
  }
  expect(outgoing.room()).toBe(0)
  outgoing.acknowledge(0)
  expect(outgoing.room()).toBeGreaterThan(0)
})

test('without a sign of loss only the oldest goes out again, and ever more rarely; a later answer is a sign', () => {
  const {outgoing, sent, pass, send} = start()
  send(3)
  pass(201)
  expect(sent).toEqual([0, 1, 2, 0])
  pass(201)
  expect(sent).toEqual([0, 1, 2, 0])
  pass(200)
  expect(sent).toEqual([0, 1, 2, 0, 0])
  send(1)
  outgoing.acknowledge(3)
  pass(1_001)
  expect(new Set(sent.slice(-3))).toEqual(new Set([0, 1, 2]))
})

test('a message that was sent twice is no sample: the wait does not grow with a loss', () => {
  const {outgoing, sent, pass, send} = start()
  send(1)
  pass(201)
  pass(5_000)
  outgoing.acknowledge(0)
  send(1)
  outgoing.acknowledge(1)
  // the timeout is that of one fast answer
  const before = sent.length
  send(1)
  pass(250)
  expect(sent.length).toBe(before + 2)
})

test('while there is no connection nothing goes out, then all that is unanswered does, in order', () => {
  const {outgoing, sent, pass, send} = start()
  send(2)
  outgoing.disconnected()
  send(2)
  pass(10_000)
  expect(sent).toEqual([0, 1])
  outgoing.connected()
  expect(sent).toEqual([0, 1, 0, 1, 2, 3])
})

test('a pause holds all but the oldest, every few seconds', () => {
  const {outgoing, sent, pass, send} = start()
  send(1)
  outgoing.pause()
  send(2)
  pass(4_999)
  expect(sent).toEqual([0])
  pass(1)
  expect(sent).toEqual([0, 0])
  outgoing.resume()
  expect(sent).toEqual([0, 0, 1, 2])
})

test('an answer to nothing, or twice, changes nothing', () => {
  const {outgoing, send} = start()
  send(1)
  for (const number of [-1, 5, 0, 0]) outgoing.acknowledge(number)
  expect(outgoing.unanswered).toBe(0)
})

/** A receiver whose clock is the test's. */
function receive(): {
  incoming: Incoming
  delivered: number[]
  acknowledged: number[]
  accept(sequenceNumber: number, length?: number): void
  pass(ms: number): void
} {
  let time = 1_000
  const delivered: number[] = []
  const acknowledged: number[] = []
  const incoming = createIncoming(
    (_type, payload) => delivered.push(payload.readUInt32BE()),
    ({sequenceNumber}) => acknowledged.push(sequenceNumber),
    () => time,
  )
  return {
    incoming,
    delivered,
    acknowledged,
    accept(sequenceNumber, length = 4) {
      const payload = Buffer.alloc(length)
      payload.writeUInt32BE(Math.max(0, sequenceNumber))
      incoming.accept({
        messageType: 'output_stream_data',
        schemaVersion: 1,
        createdDate: 1,
        sequenceNumber,
        flags: 0,
        messageId: '',
        payloadType: 1,
        payload,
      })
    },
    pass(ms) {
      time += ms
    },
  }
}

test('what comes too early is kept to a bound, acknowledged only if kept, and given in order', () => {
  const {incoming, delivered, acknowledged, accept} = receive()
  for (const number of [2, 1, 2, -1]) accept(number)
  expect([delivered, acknowledged]).toEqual([[], [2, 1, 2, -1]])
  accept(0)
  expect(delivered).toEqual([0, 1, 2])
  for (let number = 4; number < 10_100; number++) accept(number)
  expect(incoming.early).toBe(10_000)
  expect(acknowledged).not.toContain(10_050)
  accept(3)
  expect(delivered.at(-1)).toBe(10_003)
  accept(20_000, 16 * 2 ** 20)
  accept(20_001, 2 ** 20)
  expect(incoming.dropped).toBe(97)
})

test('a message that comes again may be a lost answer: the others that could be lost are given once more, so that none of them comes again', () => {
  const {acknowledged, accept, pass} = receive()
  for (const number of [0, 1, 2, 3]) accept(number)
  pass(100)
  accept(4)
  acknowledged.length = 0
  // 4 may still be on its way
  accept(1)
  expect(acknowledged).toEqual([1, 0, 1, 2, 3])
  acknowledged.length = 0
  accept(1)
  expect(acknowledged).toEqual([1])
  pass(100)
  accept(4)
  expect(acknowledged.slice(1)).toEqual([4, 4])
})

test('beyond half of the room, what comes early is kept and answered in its turn: an agent slows down, and nothing comes again', () => {
  const {incoming, delivered, acknowledged, accept} = receive()
  for (let number = 1; number <= 9_000; number++) accept(number)
  expect([incoming.early, incoming.dropped, acknowledged.at(-1)]).toEqual([9_000, 0, 5_000])
  // a second one of what is kept so is no reason to answer it
  accept(8_000)
  expect(acknowledged).not.toContain(8_000)
  accept(0)
  expect(delivered.length).toBe(9_001)
  expect([...new Set(acknowledged)].length).toBe(9_001)
})
