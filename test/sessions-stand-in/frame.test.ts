import {createDecipheriv, createHash} from 'node:crypto'
import {readFileSync} from 'node:fs'
import {expect, test} from 'vitest'
import {decode, encode} from './frame.ts'
import {newTimeout} from './numbered.ts'
import {signatureFault, signedHeaders} from './signature.ts'
import {serveSmux} from './smux.ts'
import {gates, keepAlive, words} from './words.ts'

interface Vectors {
  frames: {
    name: string
    fields: {
      createdDate: number
      flags: number
      messageId: string
      messageType: string
      payloadDigestHex: string
      payloadHex: string
      payloadText?: string
      payloadType: number
      schemaVersion: number
      sequenceNumber: number
    }
    frameHex?: string
    serializeError?: string
  }[]
  oddFrames: {name: string; frameHex: string; result: string; messageType?: string; payloadHex?: string; sequenceNumber?: number}[]
  encryption: {ciphertextHex: string; dataKeyPlaintextHex: string; direction: string; plaintextHex: string}[]
  retransmission: {name: string; steps: {sampleNs: number; smoothedRttNs: number; rttVariationNs: number; timeoutNs: number}[]}[]
  agentVersionGates: {agentVersion: string; multiplexing: boolean; smuxKeepAliveDisabled: boolean; terminateSessionFlag: boolean}[]
  smux: {clientWrites: {hex?: string; headHex?: string; length?: number; sha256?: string}[]; serverWrites: {hex: string}[]}[]
  upgradeSignature: {
    name: string
    url: string
    headers: Record<string, string>
    accessKeyId: string
    secretAccessKey: string
    sessionToken: string
    region: string
    service: string
    time: string
  }[]
  instanceConnectTunnel: {name: string; presignedUrl: string; secretAccessKey: string; time: string}[]
  transcripts: {
    name: string
    events: {
      kind?: string
      hex?: string
      decoded?: {messageType: string; sequenceNumber: number; payloadType: number; payloadLength: number; flags: number}
    }[]
  }[]
}

const vectors = JSON.parse(readFileSync(new URL('../data/ssm-vectors.json', import.meta.url), 'utf8')) as Vectors
const hex = (text: string): Buffer => Buffer.from(text, 'hex')

test('a frame is written and read as the reference does', () => {
  for (const {name, fields, frameHex, serializeError} of vectors.frames) {
    const {payloadHex, payloadDigestHex, payloadText: _, ...rest} = fields
    const it = {...rest, payload: hex(payloadHex)}
    if (serializeError) expect(() => encode(it), name).toThrow()
    else {
      expect(encode(it).toString('hex'), name).toBe(frameHex)
      expect(decode(hex(frameHex as string)), name).toEqual(it)
      expect(createHash('sha256').update(it.payload).digest('hex')).toBe(payloadDigestHex)
    }
  }
})

test('what the reference refuses or fails on is refused in words', () => {
  for (const {name, frameHex, result, ...wanted} of vectors.oddFrames) {
    const it = decode(hex(frameHex))
    if (result !== 'ok') expect(typeof it, name).toBe('string')
    else
      expect(it, name).toMatchObject({
        messageType: wanted.messageType,
        payload: hex(wanted.payloadHex ?? ''),
        sequenceNumber: wanted.sequenceNumber,
      })
  }
})

test('every frame of the recorded sessions is read, and written again the same', () => {
  for (const {events} of vectors.transcripts)
    for (const {hex: text, decoded} of events) {
      if (!text || !decoded) continue
      const it = decode(hex(text))
      expect(it).toMatchObject({
        messageType: decoded.messageType,
        sequenceNumber: decoded.sequenceNumber,
        payloadType: decoded.payloadType,
        flags: decoded.flags,
      })
      if (typeof it !== 'string' && it.createdDate > 0 && it.payload.length > 0) expect(encode(it).toString('hex')).toBe(text)
    }
})

test('a sealed payload opens with the half of the key that its direction names', () => {
  for (const {ciphertextHex, dataKeyPlaintextHex, direction, plaintextHex} of vectors.encryption) {
    const [key, sealed] = [hex(dataKeyPlaintextHex), hex(ciphertextHex)]
    const half = direction === 'agent-to-client' ? key.subarray(0, 32) : key.subarray(32, 64)
    const decipher = createDecipheriv('aes-256-gcm', half, sealed.subarray(0, 12)).setAuthTag(sealed.subarray(-16))
    expect(Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString('hex')).toBe(plaintextHex)
  }
})

test('the timeout follows the samples as the reference lets it', () => {
  for (const {name, steps} of vectors.retransmission) {
    const timeout = newTimeout()
    for (const [at, {sampleNs, timeoutNs, smoothedRttNs}] of steps.entries()) {
      timeout.sample(sampleNs / 1e6)
      expect(timeout.ms, `${name}, ${at}`).toBeCloseTo(timeoutNs / 1e6, 3)
      expect(timeout.smoothed, `${name}, ${at}`).toBeCloseTo(smoothedRttNs / 1e6, 3)
    }
  }
})

test('what an agent can do follows from its version, and the keep-alive from both versions', () => {
  for (const {agentVersion, ...wanted} of vectors.agentVersionGates) expect(gates(agentVersion), agentVersion).toEqual(wanted)
  expect(keepAlive('3.3.1142.0', '1.2.764.0')).toBe(false)
  expect(keepAlive('3.1.1511.0', '1.2.764.0')).toBe(true)
  expect(keepAlive('3.3.1142.0', '1.2.331.0')).toBe(true)
})

test('smux opens, reads and answers streams byte for byte', async () => {
  for (const {clientWrites, serverWrites} of vectors.smux) {
    const written: string[] = []
    const died: string[] = []
    const smux = serveSmux({
      versions: [1],
      keepAlive: false,
      timeScale: 1,
      out: async bytes => void written.push(bytes.toString('hex')),
      accept(stream) {
        let answered = false
        stream.onData = bytes => {
          stream.used(bytes.length)
          if (answered) return
          answered = true
          void stream.write(Buffer.from(`got ${bytes.length}`)).then(() => bytes.length === 32_768 && stream.close())
        }
      },
      onRoom() {},
      onDead: why => void died.push(why),
    })
    for (const one of clientWrites) {
      const bytes = one.hex
        ? hex(one.hex)
        : Buffer.concat([hex((one.headHex as string).slice(0, 16)), Buffer.alloc((one.length as number) - 8, 0xab)])
      if (one.sha256) expect(createHash('sha256').update(bytes).digest('hex')).toBe(one.sha256)
      // cut anywhere, also inside a header
      for (let at = 0; at < bytes.length; at += 1000) smux.take(bytes.subarray(at, at + 1000))
    }
    await new Promise(resolve => setImmediate(resolve))
    expect(written).toEqual(serverWrites.map(one => one.hex))
    expect(died).toEqual([])
    expect(smux.take(hex('0200000003000000'))).toBe(false)
    expect(died).toHaveLength(1)
  }
})

test('the signature of an upgrade is made and checked as the vectors have it, and a changed byte is seen', () => {
  for (const {name, url, headers, secretAccessKey, time, ...who} of vectors.upgradeSignature) {
    const {host} = new URL(url)
    const plain = {method: 'GET', url: url.slice(url.indexOf(host) + host.length), headers: {host}, body: Buffer.alloc(0)}
    const made = signedHeaders(plain, {...who, secretAccessKey, at: new Date(time)})
    expect(made.authorization, name).toBe(headers.Authorization)
    const now = Date.parse(time) + 1000
    const request = {...plain, headers: {host, ...made}}
    expect(signatureFault(request, secretAccessKey, now), name).toBeUndefined()
    expect(signatureFault({...request, url: `${request.url}x`}, secretAccessKey, now)).toBe('the signature does not match')
    expect(signatureFault(request, secretAccessKey, now + 600_000)).toBe('the signature has expired')
    if (who.sessionToken)
      expect(
        signatureFault({...request, headers: {...request.headers, 'x-amz-security-token': 'OTHER'}}, secretAccessKey, now),
      ).toBeDefined()
  }
})

test('a presigned tunnel is checked as the vectors have it', () => {
  for (const {name, presignedUrl, secretAccessKey, time} of vectors.instanceConnectTunnel) {
    const {host} = new URL(presignedUrl)
    const request = {
      method: 'GET',
      url: presignedUrl.slice(presignedUrl.indexOf(host) + host.length),
      headers: {host},
      body: Buffer.alloc(0),
    }
    expect(signatureFault(request, secretAccessKey, Date.parse(time) + 1000), name).toBeUndefined()
    expect(signatureFault(request, secretAccessKey, Date.parse(time) + 61_000), name).toBe('the signature has expired')
    expect(
      signatureFault({...request, url: request.url.replace('remotePort=22', 'remotePort=23')}, secretAccessKey, Date.parse(time)),
    ).toBeDefined()
  }
})

test('a command is split into words as a shell splits it, and nothing is expanded', () => {
  expect(words(`a 'b  c' "d \\"e" f\\ g '' $HOME`)).toEqual(['a', 'b  c', 'd "e', 'f g', '', '$HOME'])
  expect(words(`sh -c 'echo "x y"; exit 3'`)).toEqual(['sh', '-c', 'echo "x y"; exit 3'])
  expect(words(`a 'b`)).toBeUndefined()
})
