/** What the reference implementations put on the wire, kept as data: each of it is read and written the same way here. */
import {createHash} from 'node:crypto'
import {readFileSync} from 'node:fs'
import {describe, expect, test} from 'vitest'
import {whatAgentCan} from '../../src/channel/agent-version.ts'
import {acknowledgedNumber, decodeFrame, encodeAcknowledgement, encodeFrame, type Frame} from '../../src/channel/frame.ts'
import {unknownRoundTrip, withSample} from '../../src/channel/round-trip.ts'
import {createSeal} from '../../src/channel/seal.ts'
import {signUpgrade} from '../../src/channel/sign.ts'
import {commands, createSmuxReader, encodeSmuxHeader} from '../../src/channel/smux.ts'

interface Vectors {
  frames: {
    name: string
    frameHex?: string
    serializeError?: string
    clientValidate?: string
    fields: {
      createdDate: number
      flags: number
      messageId: string
      messageType: string
      payloadDigestHex?: string
      payloadHex: string
      payloadType: number
      schemaVersion: number
      sequenceNumber: number
    }
  }[]
  oddFrames: {name: string; frameHex: string; result: string; messageType?: string; payloadHex?: string; sequenceNumber?: number}[]
  encryption: {direction: string; dataKeyPlaintextHex: string; plaintextHex: string; ciphertextHex: string; nextCiphertextHex?: string}[]
  retransmission: {
    name: string
    steps: {sampleNs: number; smoothedRttNs: number; rttVariationNs: number; timeoutNs: number}[]
  }[]
  agentVersionGates: {agentVersion: string; multiplexing: boolean; smuxKeepAliveDisabled: boolean; terminateSessionFlag: boolean}[]
  smux: {smuxVersion: 1; clientWrites: SmuxFrame[]; serverWrites: SmuxFrame[]}[]
  smuxKeepAlive: {nopFrameHex: string}
  upgradeSignature: {
    name: string
    accessKeyId: string
    secretAccessKey: string
    sessionToken: string
    region: string
    time: string
    url: string
    headers: Record<string, string>
  }[]
  transcripts: {name: string; events: TranscriptEvent[]}[]
}

type SmuxFrame = {hex: string} | {headHex: string; length: number; sha256: string}

interface TranscriptEvent {
  kind?: 'text' | 'binary'
  sender?: string
  hex?: string
  decoded?: {messageType: string; sequenceNumber: number; flags: number; payloadType: number; payloadLength: number}
}

const vectors = JSON.parse(readFileSync(new URL('../../../../test/data/ssm-vectors.json', import.meta.url), 'utf8')) as Vectors
const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex')
const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex')

function decoded(hex: string): Frame {
  const frame = decodeFrame(bytes(hex))
  if (typeof frame === 'string') throw new Error(frame)
  return frame
}

describe('frames', () => {
  test.each(vectors.frames.filter(({frameHex}) => frameHex))('$name: read', ({fields, frameHex}) => {
    const {payload, ...rest} = decoded(frameHex ?? '')
    const {payloadHex, payloadDigestHex, ...expected} = fields
    expect(rest).toEqual(Object.fromEntries(Object.entries(expected).filter(([name]) => name in rest)))
    expect(payload.toString('hex')).toBe(payloadHex)
    expect(sha256(payload)).toBe(payloadDigestHex)
  })

  test.each(vectors.frames.filter(({frameHex}) => frameHex))('$name: written', ({fields, frameHex}) => {
    const {payloadHex, ...rest} = fields
    expect(encodeFrame({...rest, payload: bytes(payloadHex)}).toString('hex')).toBe(frameHex)
  })

  test('a message type of more than 32 bytes is not written', () => {
    const [tooLong] = vectors.frames.filter(({serializeError}) => serializeError)
    const {payloadHex, ...rest} = (tooLong as Vectors['frames'][0]).fields
    expect(() => encodeFrame({...rest, payload: bytes(payloadHex)})).toThrow(RangeError)
  })

  test.each(vectors.oddFrames)('odd: $name: $result', ({frameHex, result, messageType, payloadHex, sequenceNumber}) => {
    const frame = decodeFrame(bytes(frameHex))
    if (result === 'ok') expect(frame).toMatchObject({messageType, sequenceNumber, payload: bytes(payloadHex ?? '')})
    else expect(frame).toBeTypeOf('string')
  })
})

test('what one half of a data key sealed is opened with it', () => {
  for (const {direction, dataKeyPlaintextHex, plaintextHex, ciphertextHex, nextCiphertextHex} of vectors.encryption) {
    const key = bytes(dataKeyPlaintextHex)
    // seen from the agent, the halves are exchanged
    const halves = direction === 'agent-to-client' ? key : Buffer.concat([key.subarray(32), key.subarray(0, 32)])
    const seal = createSeal(Buffer.from(halves))
    for (const sealed of [ciphertextHex, nextCiphertextHex ?? ciphertextHex])
      expect(seal.open(bytes(sealed))?.toString('hex')).toBe(plaintextHex)
    const changed = bytes(ciphertextHex)
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
    expect(seal.open(changed)).toBeUndefined()
  }
})

test('a data key is wiped, and what we seal the other half opens, with a nonce of its own', () => {
  const key = Buffer.alloc(64, 7).fill(9, 32)
  const agent = createSeal(Buffer.from([...key.subarray(32), ...key.subarray(0, 32)]))
  const ours = createSeal(key)
  expect(key.every(byte => byte === 0)).toBe(true)
  const sealed = [1, 2, 3].map(number => ours.seal(Buffer.from([number])))
  expect(sealed.map(each => [...(agent.open(each) ?? [])])).toEqual([[1], [2], [3]])
  expect(new Set(sealed.map(each => each.toString('hex', 0, 12))).size).toBe(3)
})

test.each(vectors.retransmission)('$name: the timeout after each sample', ({steps}) => {
  let roundTrip = unknownRoundTrip
  for (const {sampleNs, smoothedRttNs, rttVariationNs, timeoutNs} of steps) {
    roundTrip = withSample(roundTrip, sampleNs / 1e6)
    expect(roundTrip.smoothed * 1e6).toBeCloseTo(smoothedRttNs, 1)
    expect(roundTrip.variation * 1e6).toBeCloseTo(rttVariationNs, 1)
    expect(Math.abs(roundTrip.timeout * 1e6 - timeoutNs)).toBeLessThanOrEqual(1)
  }
})

test.each(vectors.agentVersionGates)('what agent "$agentVersion" can', gate => {
  expect(whatAgentCan(gate.agentVersion)).toEqual({
    multiplexing: gate.multiplexing,
    quietSmux: gate.smuxKeepAliveDisabled,
    terminateFlag: gate.terminateSessionFlag,
  })
})

describe('smux', () => {
  const [story] = vectors.smux

  test('frames of both sides are read, wherever they are cut', () => {
    const seen: string[] = []
    let data = Buffer.alloc(0)
    const read = createSmuxReader(1, {
      open: stream => seen.push(`open ${stream}`),
      close: stream => seen.push(`close ${stream}`),
      data(_stream, part) {
        data = Buffer.concat([data, part])
      },
      window: () => {},
    })
    const writes = [...(story?.clientWrites ?? []), ...(story?.serverWrites ?? [])]
    for (const write of writes) {
      const frame = 'hex' in write ? bytes(write.hex) : Buffer.concat([bytes(write.headHex), Buffer.alloc(write.length - 24, 0xab)])
      if (!('hex' in write)) expect(sha256(frame)).toBe(write.sha256)
      for (let at = 0; at < frame.length; at += 3) expect(read(frame.subarray(at, at + 3))).toBeUndefined()
    }
    expect(seen).toEqual(['open 3', 'close 3', 'open 5', 'close 5', 'open 7', 'close 7'])
    expect(data.toString('latin1')).toBe(`hello smux\n${'\xab'.repeat(40_000)}got 10got 1got 32768`)
  })

  test('frames are written as the reference writes them', () => {
    const written = [
      encodeSmuxHeader(1, commands.open, 3),
      Buffer.concat([encodeSmuxHeader(1, commands.data, 3, 10), Buffer.from('hello smux')]),
      encodeSmuxHeader(1, commands.close, 3),
      encodeSmuxHeader(1, commands.open, 5),
      Buffer.concat([encodeSmuxHeader(1, commands.data, 5, 1), Buffer.from('\n')]),
      encodeSmuxHeader(1, commands.close, 5),
      encodeSmuxHeader(1, commands.open, 7),
    ]
    expect(written.map(frame => frame.toString('hex'))).toEqual(story?.clientWrites.slice(0, 7).map(write => 'hex' in write && write.hex))
    expect(encodeSmuxHeader(1, commands.nothing, 0).toString('hex')).toBe(vectors.smuxKeepAlive.nopFrameHex)
  })
})

test.each(vectors.upgradeSignature)(
  'the upgrade is signed: $name',
  ({url, region, accessKeyId, secretAccessKey, sessionToken, time, headers}) => {
    const keys = {accessKeyId, secretAccessKey, ...(sessionToken ? {sessionToken} : {})}
    const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
    expect(signUpgrade(url, region, keys, new Date(time))).toEqual(lower)
  },
)

test('a URL that some service has signed is not signed again', () => {
  const keys = {accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret'}
  expect(
    signUpgrade('wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/a?X-Amz-Signature=00', 'eu-west-1', keys, new Date(0)),
  ).toEqual({})
})

test.each(vectors.transcripts)(
  '$name: every frame on the wire is read as the reference reads it, and answered in its words',
  ({events}) => {
    for (const {kind, hex, decoded: expected} of events) {
      if (kind !== 'binary' || !hex || !expected) continue
      const frame = decoded(hex)
      expect({...frame, payloadLength: frame.payload.length}).toMatchObject(expected)
      if (frame.messageType !== 'acknowledge') continue
      const number = acknowledgedNumber(frame.payload)
      const [answered] = events.flatMap(event => {
        const other = event.hex === undefined ? undefined : decoded(event.hex)
        return other && frame.payload.includes(other.messageId) && other !== frame && other.sequenceNumber === number ? [other] : []
      })
      if (answered) expect(decoded(encodeAcknowledgement(answered, 1).toString('hex')).payload.toString()).toBe(frame.payload.toString())
    }
  },
)
