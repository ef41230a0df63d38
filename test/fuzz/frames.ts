/**
 * Feeds the data channel's readers with frames that nobody would send: `node --conditions=source test/fuzz/frames.ts [COUNT]`, a million
 * if not said. Ends with 1 and the frame in hex at the first that is not refused in words or read, or when memory grows with the count.
 */
import {randomBytes} from 'node:crypto'
import {statusOf} from '../../plugins/ssm/src/channel/command.ts'
import {acknowledgedNumber, decodeFrame, encodeFrame, parseObject, payloadTypes} from '../../plugins/ssm/src/channel/frame.ts'
import {answerHandshake} from '../../plugins/ssm/src/channel/handshake.ts'
import {createIncoming} from '../../plugins/ssm/src/channel/incoming.ts'
import {createMux} from '../../plugins/ssm/src/channel/mux.ts'
import {createSeal} from '../../plugins/ssm/src/channel/seal.ts'

const count = Number(process.argv[2] ?? 1_000_000)
let state = 0x9e3779b9
/** xorshift32: the same inputs in every run */
function random(below: number): number {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) % below
}

const types = ['output_stream_data', 'acknowledge', 'channel_closed', 'start_publication', 'pause_publication', 'some_future_type', '\0 \0']
const texts = ['{"AcknowledgedMessageSequenceNumber":-1}', '{"Output":{}}', '[]', '{', '"', 'null', '{"__proto__":1}', 'EXIT_CODE: 1', '']
const noise = randomBytes(8192)

function makePayload(): Buffer {
  if (random(3) === 0) return Buffer.from(texts[random(texts.length)] as string)
  const from = random(4096)
  // mostly what could be smux
  const bytes = Buffer.from(noise.subarray(from, from + random(200)))
  if (bytes.length > 8 && random(2)) Buffer.from([1, random(5), random(64), 0, 3 + 2 * random(3), 0, 0, 0]).copy(bytes)
  return bytes
}

function makeFrame(): Buffer {
  const frame = encodeFrame({
    messageType: types[random(types.length)] as string,
    createdDate: random(4) ? 1 : 0,
    sequenceNumber: random(3) ? next + random(2) * random(20_000) : random(2) ? -random(2 ** 30) : random(2 ** 30) * 2 ** 20,
    flags: random(4),
    payloadType: random(16),
    payload: makePayload(),
  })
  switch (random(6)) {
    case 0:
      return frame.subarray(0, random(frame.length + 1))
    case 1:
      for (let times = random(8); times >= 0; times--) frame[random(frame.length)] = random(256)
      return frame
    case 2:
      return Buffer.from(noise.subarray(random(4096), 4096 + random(4096)))
    case 3:
      return Buffer.concat([frame, noise.subarray(0, random(32))])
    default:
      return frame
  }
}

/** the number that would be delivered */
let next = 0
const tally = {read: 0, refused: 0, delivered: 0}
const seal = createSeal(randomBytes(64))
const terms = {clientVersion: '1.2.764.0', sessionId: 's', targetId: 't', expected: ['Port'] as const, signal: new AbortController().signal}
let mux = createMux(
  1,
  () => {},
  () => {},
)
const newIncoming = () =>
  createIncoming(
    (_type, payload) => {
      tally.delivered++
      next++
      if (mux.receive(payload) === undefined) return
      mux.over({unknown: 'broken'})
      mux = createMux(
        1,
        () => {},
        () => {},
      )
      mux.open().stdout.resume()
    },
    () => {},
  )
let incoming = newIncoming()
const piece = Buffer.alloc(1024)

async function feed(bytes: Buffer): Promise<void> {
  const frame = decodeFrame(bytes)
  if (typeof frame === 'string') {
    tally.refused++
    return
  }
  tally.read++
  incoming.accept(frame)
  mux.take(piece, 0, piece.length)
  acknowledgedNumber(frame.payload)
  parseObject(frame.payload)
  statusOf(frame.payload.toString())
  if (seal.open(frame.payload)) throw new Error('a forged payload was opened')
  if (frame.payloadType === payloadTypes.handshakeRequest) await answerHandshake(frame.payload, terms)
}

const heaps: number[] = []
for (let at = 0; at < count; at++) {
  const bytes = makeFrame()
  try {
    await feed(bytes)
  } catch (error) {
    process.stderr.write(`broken by ${bytes.toString('hex')}: ${error}\n`)
    process.exit(1)
  }
  // whoever reads the connections has a turn
  if (at % 100 === 0) await new Promise(resolve => setImmediate(resolve))
  if (at % 50_000 === 0) {
    incoming = newIncoming()
    next = 0
  }
  if (at % Math.ceil(count / 10) === 0) heaps.push(process.memoryUsage.rss())
}
const grown = ((heaps.at(-1) ?? 0) - (heaps[3] ?? 0)) / 2 ** 20
process.stdout.write(
  `${count} frames: ${tally.read} read, ${tally.refused} refused, ${tally.delivered} delivered; ${grown.toFixed(1)} MiB more than after a third\n`,
)
if (grown > 64) process.exit(1)
