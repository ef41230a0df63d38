import {createHash, randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {createServer as createHttpServer} from 'node:http'
import {type AddressInfo, createServer, type Server, type Socket} from 'node:net'
import {createServer as createTlsServer} from 'node:tls'
import {expect, test} from 'vitest'
import {type WebSocket, WebSocketServer} from 'ws'
import {ReadMemory} from '../src/read-memory.ts'
import type {Refused} from '../src/upgrade-answer.ts'
import {type OpenSocket, openWebSocket, type SocketHandlers} from '../src/websocket.ts'
import {FrameFault, FrameReader, opcode} from '../src/websocket-frames.ts'
import {makeCertificate} from './broker/certificate.ts'

type OnFinished = (act: () => void) => void

/** What was heard, as lines. */
function listener(): {
  heard: string[]
  handlers: SocketHandlers & {ping(payload: Buffer): void; close(code: number, reason: string): void}
} {
  const heard: string[] = []
  let binary = ''
  return {
    heard,
    handlers: {
      text: text => heard.push(`text ${text}`),
      binary(piece, begins, ends) {
        binary = (begins ? '' : binary) + piece.toString('latin1')
        if (ends) heard.push(`binary ${binary}`)
      },
      pong: () => heard.push('pong'),
      ping: payload => heard.push(`ping ${payload}`),
      close: (code, reason) => heard.push(`close ${code} ${reason}`),
      closed: (code, reason) => heard.push(`closed ${code} ${reason}`),
    },
  }
}

/** A frame as a server sends it. */
function served(first: number, payload: Uint8Array | string): Buffer {
  const bytes = Buffer.from(payload as string)
  const length = bytes.length
  const head =
    length < 126
      ? [first, length]
      : length < 65_536
        ? [first, 126, length >> 8, length & 255]
        : [first, 127, 0, 0, 0, 0, 0, length >> 16, (length >> 8) & 255, length & 255]
  return Buffer.concat([Buffer.from(head), bytes])
}
const fin = 0x80

test('frames are read however they are cut: messages in parts, with control frames between them, of every length', () => {
  const [short, middle, long] = [randomBytes(125), randomBytes(4000), randomBytes(70_000)].map(bytes => bytes.toString('latin1')) as [
    string,
    string,
    string,
  ]
  const bytes = Buffer.concat([
    served(opcode.text, 'grü'),
    served(fin | opcode.ping, 'are you there'),
    served(opcode.continuation, ''),
    served(fin | opcode.continuation, 'ße'),
    served(fin | opcode.binary, ''),
    ...[short, middle, long].map(one => served(fin | opcode.binary, Buffer.from(one, 'latin1'))),
    served(opcode.binary, 'a'),
    served(fin | opcode.pong, ''),
    served(fin | opcode.continuation, 'b'),
    served(fin | opcode.text, ''),
    served(fin | opcode.close, Buffer.concat([Buffer.from([0x03, 0xe8]), Buffer.from('done')])),
  ])
  const expected = [
    'ping are you there',
    'text grüße',
    'binary ',
    `binary ${short}`,
    `binary ${middle}`,
    `binary ${long}`,
    'pong',
    'binary ab',
    'text ',
    'close 1000 done',
  ]
  for (const size of [1, 2, 3, 7, 1000, 65_536, bytes.length]) {
    const {heard, handlers} = listener()
    const reader = new FrameReader(handlers, 100_000)
    for (let at = 0; at < bytes.length; at += size) reader.read(bytes.subarray(at, at + size))
    expect(heard).toEqual(expected)
  }
})

test('what no server may send is a fault', () => {
  const half = Buffer.from('ü').subarray(0, 1)
  for (const [what, bytes] of [
    ['bits of an extension', served(fin | 0x40 | opcode.binary, 'x')],
    ['a masked frame', Buffer.from([fin | opcode.text, 0x81, 0, 0, 0, 0, 1])],
    ['a kind that is none', served(fin | 3, 'x')],
    ['a control kind that is none', served(fin | 11, 'x')],
    ['a ping in parts', served(opcode.ping, 'x')],
    ['a ping that is too long', served(fin | opcode.ping, 'x'.repeat(126))],
    ['the rest of nothing', served(fin | opcode.continuation, 'x')],
    ['a message within another', Buffer.concat([served(opcode.text, 'x'), served(fin | opcode.text, 'x')])],
    ['a message that is too large', served(fin | opcode.binary, 'x'.repeat(1001))],
    ['one that is too large in parts', Buffer.concat([served(opcode.text, 'x'.repeat(600)), served(opcode.continuation, 'x'.repeat(600))])],
    ['text that is not UTF-8', served(fin | opcode.text, half)],
    ['a reason that is not UTF-8', served(fin | opcode.close, Buffer.concat([Buffer.from([3, 232]), half]))],
    ['half a code', served(fin | opcode.close, 'x')],
    ['a length beyond all', Buffer.from([fin | opcode.binary, 127, 255, 255, 255, 255, 255, 255, 255, 255])],
  ] as const) {
    const {heard, handlers} = listener()
    expect(() => new FrameReader(handlers, 1000).read(bytes), what).toThrow(FrameFault)
    expect(heard, what).toEqual([])
  }
})

test('memory that is read into is used again once all of it is given back, and never before', () => {
  const memory = new ReadMemory()
  const seen = new Set<ArrayBufferLike>()
  const held: {slab: ReturnType<ReadMemory['hold']>; bytes: Buffer; copy: Buffer}[] = []
  for (let round = 0; round < 2000; round++) {
    const room = memory.room()
    seen.add(room.buffer)
    const count = 1 + ((round * 7919) % room.length)
    room.fill(round & 255, 0, count)
    const bytes = memory.take(count)
    held.push({slab: memory.hold(), bytes, copy: Buffer.from(bytes)})
    while (held.length > round % 5) {
      const {slab, bytes: oldest, copy} = held.shift() as (typeof held)[number]
      expect(oldest.equals(copy)).toBe(true)
      memory.giveBack(slab)
    }
  }
  expect(seen.size).toBeLessThan(10)
})

async function listen(server: Server, onTestFinished: OnFinished): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

interface Opened {
  refused: Refused | undefined
  socket: OpenSocket
  heard: string[]
  /** resolves when so many lines were heard */
  until(lines: number): Promise<void>
}

async function open(port: number, choice: {tls?: object; scheme?: string; timeoutMilliseconds?: number} = {}): Promise<Opened> {
  const {heard, handlers} = listener()
  let wake = Promise.withResolvers<void>()
  const told =
    <T extends unknown[]>(hear: (...parts: T) => void) =>
    (...parts: T) => {
      hear(...parts)
      wake.resolve()
      wake = Promise.withResolvers()
    }
  let socket: OpenSocket | undefined
  const refused = await openWebSocket({
    url: new URL(`${choice.scheme ?? 'http'}://127.0.0.1:${port}/v1/stream`),
    protocol: 'prod.stream.v1',
    headers: {Authorization: 'DPoP secret'},
    tls: choice.tls ?? {},
    timeoutMilliseconds: choice.timeoutMilliseconds ?? 60_000,
    maxMessageBytes: 1_000_000,
    opened(one) {
      socket = one
      return {text: told(handlers.text), binary: told(handlers.binary), pong: told(handlers.pong), closed: told(handlers.closed)}
    },
  })
  return {
    refused,
    socket: socket as OpenSocket,
    heard,
    async until(lines) {
      while (heard.length < lines) await wake.promise
    },
  }
}

/** A server of `ws`. */
async function serve(onTestFinished: OnFinished, each: (far: WebSocket) => void): Promise<number> {
  const http = createHttpServer()
  const server = new WebSocketServer({server: http})
  server.on('connection', each)
  onTestFinished(() => server.close())
  return listen(http, onTestFinished)
}

test('messages of every length go both ways, pings are answered, and a close is told with its words', async ({onTestFinished}) => {
  const lengths = [0, 1, 124, 125, 126, 65_534, 65_535, 65_536, 200_000]
  const port = await serve(onTestFinished, far => {
    far.on('message', (data: Buffer, binary: boolean) => far.send(data, {binary}))
    far.once('pong', () => far.send('it is here'))
    far.ping()
  })
  const {socket, heard, until} = await open(port)
  await until(1)
  expect(heard).toEqual(['text it is here'])
  const all = lengths.map(length => randomBytes(length))
  for (const bytes of all) socket.sendBinary(9, bytes)
  await until(1 + all.length)
  expect(heard.slice(1)).toEqual(all.map(bytes => `binary \t${bytes.toString('latin1')}`))
  socket.ping()
  await until(2 + all.length)
  expect(heard.at(-1)).toBe('pong')
})

test('a close of the other end is answered and told once, with its code and words', async ({onTestFinished}) => {
  const answered = Promise.withResolvers<number>()
  const port = await serve(onTestFinished, far => {
    far.on('close', code => answered.resolve(code))
    far.send('last')
    far.close(4000, 'enough')
  })
  const {socket, heard, until} = await open(port)
  await until(2)
  expect(heard).toEqual(['text last', 'closed 4000 enough'])
  expect(socket.isOpen).toBe(false)
  socket.sendText('too late')
  expect(await answered.promise).toBe(4000)
})

test('our close is said, and nothing is heard after it; a cut is 1006', async ({onTestFinished}) => {
  const closes: number[] = []
  const both = Promise.withResolvers<void>()
  const port = await serve(onTestFinished, far => {
    far.on('close', code => {
      closes.push(code)
      if (closes.length === 1) both.resolve()
    })
    far.on('message', () => far.terminate())
  })
  const one = await open(port)
  one.socket.close(1000)
  await both.promise
  expect(closes).toEqual([1000])
  expect(one.heard).toEqual([])
  const other = await open(port)
  other.socket.sendText('cut it')
  await other.until(1)
  expect(other.heard).toEqual(['closed 1006 '])
})

/** A server that answers each request with bytes of its own; `accept` stands for the word that the key asks for. */
async function answer(onTestFinished: OnFinished, text: string, {piece = 1_000_000, end = true} = {}): Promise<number> {
  const server = createServer(socket => {
    socket.once('data', request => {
      const key = /sec-websocket-key: (.*)\r\n/i.exec(String(request))?.[1]
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
      const bytes = Buffer.from(text.replace('ACCEPT', accept), 'latin1')
      void (async () => {
        for (let at = 0; at < bytes.length; at += piece) await new Promise(done => socket.write(bytes.subarray(at, at + piece), done))
        if (end) socket.end()
      })()
    })
  })
  return listen(server, onTestFinished)
}

const accepted =
  'HTTP/1.1 101 x\r\nUpgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Protocol: prod.stream.v1\r\n'

test('an upgrade may come in pieces, after answers that are only on the way, and with the first messages', async ({onTestFinished}) => {
  const text = `HTTP/1.1 103 hints\r\nLink: x\r\n\r\n${accepted}\r\n${served(fin | opcode.text, 'hello').toString('latin1')}`
  for (const piece of [1, 1_000_000]) {
    const {heard, until} = await open(await answer(onTestFinished, text, {piece}))
    await until(2)
    expect(heard).toEqual(['text hello', 'closed 1006 '])
  }
})

test('what is no WebSocket any more is closed with 1002, and why', async ({onTestFinished}) => {
  const port = await answer(onTestFinished, `${accepted}\r\n${served(fin | opcode.binary | 0x40, 'x').toString('latin1')}`, {end: false})
  const {heard, until} = await open(port)
  await until(1)
  expect(heard).toEqual(['closed 1002 a frame with bits of an extension that nobody asked for'])
})

test('a refusal comes with status, headers and body, however that is marked', async ({onTestFinished}) => {
  const head = 'HTTP/1.1 401 Unauthorized\r\nDPoP-Nonce: n-1\r\n'
  const latin1 = (text: string) => Buffer.from(text).toString('latin1')
  for (const [text, end] of [
    [`${head}Content-Length: 6\r\n\r\n${latin1('grüß')}`, false],
    [`${head}Transfer-Encoding: chunked\r\n\r\n2\r\ngr\r\n4;x=y\r\n${latin1('üß')}\r\n0\r\n\r\n`, false],
    [`${head}\r\n${latin1('grüß')}`, true],
  ] as const) {
    for (const piece of [1, 1_000_000]) {
      const {refused} = await open(await answer(onTestFinished, text, {piece, end}))
      expect([refused?.status, refused?.headers.get('dpop-nonce'), refused?.body]).toEqual([401, 'n-1', 'grüß'])
    }
  }
})

test('an answer that is none is an error', async ({onTestFinished}) => {
  for (const [text, why] of [
    ['SSH-2.0-OpenSSH_9.2\r\n\r\n', 'does not speak HTTP'],
    [`${accepted.replace('ACCEPT', 'AAAA')}\r\n`, 'another upgrade'],
    [`${accepted.replace('WebSocket\r', 'h2c\r')}\r\n`, 'something else'],
    [`${accepted.replace('stream.v1', 'stream.v2')}\r\n`, 'does not speak prod.stream.v1'],
    [`${accepted}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n`, 'extensions'],
    [`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`, 'too large'],
    ['HTTP/1.1 500 x\r\nContent-Length: 9\r\n\r\nhalf', 'was cut'],
    ['HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 'chunks'],
    ['', 'was cut'],
  ] as const)
    await expect(open(await answer(onTestFinished, text)), text.slice(0, 60)).rejects.toThrow(why)
  await expect(open(await answer(onTestFinished, '', {end: false}), {timeoutMilliseconds: 20})).rejects.toMatchObject({code: 'ETIMEDOUT'})
})

test('TM-Q8: nothing is said to a server whose certificate nobody vouches for; to another it is said under TLS', async ({
  onTestFinished,
}) => {
  const {key, cert} = makeCertificate({ip: '127.0.0.1'})
  let said = ''
  const http = createHttpServer()
  const server = new WebSocketServer({server: http})
  server.on('connection', far => far.on('message', data => far.send(String(data))))
  onTestFinished(() => server.close())
  const secure = createTlsServer({key, cert}, socket => {
    socket.on('error', () => {})
    socket.once('data', request => {
      said += String(request)
      http.emit('connection', socket)
      socket.unshift(request)
    })
  })
  const port = await listen(secure, onTestFinished)
  await expect(open(port, {scheme: 'https', tls: {rejectUnauthorized: true}})).rejects.toMatchObject({code: 'DEPTH_ZERO_SELF_SIGNED_CERT'})
  expect(said).toBe('')
  const {socket, heard, until} = await open(port, {scheme: 'https', tls: {rejectUnauthorized: true, ca: cert}})
  expect(said).toContain('DPoP secret')
  socket.sendText('x'.repeat(100_000))
  await until(1)
  expect(heard).toEqual([`text ${'x'.repeat(100_000)}`])
})
