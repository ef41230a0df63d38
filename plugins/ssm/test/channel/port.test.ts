import {createHash, randomBytes} from 'node:crypto'
import {once} from 'node:events'
import type {AddressInfo} from 'node:net'
import {createServer, connect as dial, type Server, type Socket} from 'node:net'
import {text} from 'node:stream/consumers'
import {setTimeout as wait} from 'node:timers/promises'
import type {Channel} from '@prod/sdk'
import {expect, test} from 'vitest'
import {flags, payloadTypes} from '../../src/channel/frame.ts'
import {openPort, type PortOptions, type PortSession} from '../../src/channel/port.ts'
import {commands, createSmuxReader, encodeSmuxHeader, encodeWindow} from '../../src/channel/smux.ts'
import {optionsFor, type Peer, startPeer} from './peer.ts'

type Finished = (stop: () => Promise<void>) => void

/** A TCP server that answers as `serve` says. */
async function startTarget(onFinished: Finished, serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server: Server = createServer({allowHalfOpen: true}, socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onFinished(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const echo = (socket: Socket) => void socket.pipe(socket)
const forwarding = {portNumber: '1', localPortNumber: '0', type: 'LocalPortForwarding'}

interface Served {
  peer: Peer
  session: PortSession
  /** frames of smux that came, as words */
  seen: string[]
  say(bytes: Buffer): void
}

/** A multiplexing agent, which dials a port of this machine for each connection. */
async function openMux(
  onFinished: Finished,
  port: number,
  {agentVersion = '3.3.1142.0', ...more}: Partial<PortOptions> & {agentVersion?: string} = {},
  prepare: (peer: Peer) => void = () => {},
): Promise<Served> {
  const peer = await startPeer(onFinished)
  const version = more.smuxVersion ?? 1
  const sockets = new Map<number, Socket>()
  const seen: string[] = []
  const say = (bytes: Buffer) => {
    for (let at = 0; at < bytes.length; at += 1024) peer.send(payloadTypes.output, bytes.subarray(at, at + 1024))
  }
  const read = createSmuxReader(version, {
    open(id) {
      seen.push(`open ${id}`)
      const socket = dial({port, host: '127.0.0.1', allowHalfOpen: true})
      sockets.set(id, socket)
      socket.on('data', data => {
        for (let at = 0; at < data.length; at += 32_768) {
          const part = (data as Buffer).subarray(at, at + 32_768)
          say(Buffer.concat([encodeSmuxHeader(version, commands.data, id, part.length), part]))
        }
      })
      socket.on('error', () => {
        const flag = Buffer.alloc(4)
        flag.writeUInt32BE(flags.connectToPortError)
        peer.send(payloadTypes.flag, flag)
      })
      socket.on('end', () => socket.end())
      socket.on('close', () => say(encodeSmuxHeader(version, commands.close, id)))
    },
    close(id) {
      seen.push(`close ${id}`)
      sockets.get(id)?.destroy()
    },
    data: (id, bytes) => void sockets.get(id)?.write(Buffer.from(bytes)),
    window: (id, consumed, window) => seen.push(`window ${id} ${consumed} ${window}`),
  })
  peer.onToken = () => peer.tokens.length === 1 && peer.greet('Port', {agentVersion, properties: forwarding})
  peer.onInput = ({payloadType, payload}) => {
    if (payloadType === payloadTypes.handshakeResponse) peer.complete()
    if (payloadType === payloadTypes.output) expect(read(payload)).toBeUndefined()
    if (payloadType === payloadTypes.flag && payload.readUInt32BE() === flags.terminateSession) peer.close()
  }
  prepare(peer)
  const session = await openPort({...optionsFor(peer, more), ...(more.smuxVersion && {smuxVersion: more.smuxVersion})})
  onFinished(async () => {
    for (const socket of sockets.values()) socket.destroy()
    await session.end('the test is over')
  })
  return {peer, session, seen, say}
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Sends bytes to an echo, and gives what came back. */
async function roundTrip({stdin, stdout}: Channel, bytes: Buffer): Promise<string> {
  const hash = createHash('sha256')
  let left = bytes.length
  stdin.write(bytes)
  for await (const chunk of stdout) {
    hash.update(chunk as Buffer)
    left -= (chunk as Buffer).length
    if (left <= 0) break
  }
  return hash.digest('hex')
}

test('many connections at once, each with its own bytes', async ({onTestFinished}) => {
  const {session, seen} = await openMux(onTestFinished, await startTarget(onTestFinished, echo))
  expect(session.form).toBe('multiplexed')
  const parts = [1, 1023, 1024, 1025, 40_000, 300_000].map(length => randomBytes(length))
  const connections = await Promise.all(parts.map(() => session.connect()))
  const back = await Promise.all(parts.map((bytes, at) => roundTrip(connections[at] as Channel, bytes)))
  expect(back).toEqual(parts.map(sha256))
  expect(seen.filter(word => word.startsWith('open'))).toEqual(['open 3', 'open 5', 'open 7', 'open 9', 'open 11', 'open 13'])
})

test('one line feed arrives as one', async ({onTestFinished}) => {
  const {session} = await openMux(onTestFinished, await startTarget(onTestFinished, echo))
  expect(await roundTrip(await session.connect(), Buffer.from('\n'))).toBe(sha256(Buffer.from('\n')))
})

test('an end of input alone is held back, so that the answer still comes; the end of the target is passed on', async ({onTestFinished}) => {
  const port = await startTarget(onTestFinished, socket => {
    socket.once('data', () => setTimeout(() => socket.end('answer'), 30))
  })
  const {session, seen} = await openMux(onTestFinished, port)
  const {stdin, stdout, ended} = await session.connect()
  stdin.end('question')
  expect(await text(stdout)).toBe('answer')
  expect(await ended).toEqual({status: 0})
  while (!seen.includes('close 3')) await wait(5)
  expect(seen).toEqual(['open 3', 'close 3'])
})

test('a port that nobody listens on: the connection ends so, the person is told, and the session goes on', async ({onTestFinished}) => {
  const told: string[] = []
  const {session} = await openMux(onTestFinished, 1, {tell: words => told.push(words)})
  for (const connection of [await session.connect(), await session.connect()]) {
    expect(await text(connection.stdout)).toBe('')
    expect(await connection.ended).toEqual({unknown: 'the target refused the connection to the port'})
  }
  expect(told).toEqual(Array(2).fill('the target refused the connection to the port'))
})

test('a local end reaches the agent once, and no number is used again', async ({onTestFinished}) => {
  const {session, seen} = await openMux(onTestFinished, await startTarget(onTestFinished, echo))
  const first = await session.connect()
  expect(await first.end('closed')).toEqual({status: 0})
  await first.end('closed')
  const second = await session.connect()
  await roundTrip(second, Buffer.from('x'))
  while (!seen.includes('close 5')) await wait(5)
  expect(seen).toEqual(['open 3', 'close 3', 'open 5', 'close 5'])
})

test('of the connections that share a session, one that is open hears what it says', async ({onTestFinished}) => {
  const renewed = Promise.withResolvers<void>()
  const {session, peer} = await openMux(onTestFinished, await startTarget(onTestFinished, echo), {
    tell: words => void (words.includes('lost') && renewed.resolve()),
    timings: {tellMs: 1},
    renew: async () => renewed.promise.then(() => ({streamUrl: peer.url, token: 'token-1'})),
  })
  const heard: string[] = []
  const listen = (channel: Channel, name: string) => channel.listen?.(words => heard.push(`${name}: ${words}`))
  const [first, second] = [await session.connect(), await session.connect()]
  listen(first, 'first')
  listen(second, 'second')
  await first.end('closed')
  peer.cut()
  while (heard.length < 2) await wait(5)
  expect(heard).toEqual(['second: connection lost, resuming…', 'second: connection resumed'])
})

test('ending the session sends the flag, and is an orderly end of it and of what is open', async ({onTestFinished}) => {
  const {session, peer} = await openMux(onTestFinished, await startTarget(onTestFinished, echo))
  const connection = await session.connect()
  expect(await session.end('Ctrl-C')).toEqual({status: 0})
  expect(await connection.ended).toEqual({status: 0})
  expect(peer.input.at(-1)).toMatchObject({payloadType: payloadTypes.flag, payload: Buffer.from([0, 0, 0, 2])})
  await expect(session.connect()).rejects.toMatchObject({code: 'TARGET_UNREACHABLE'})
})

test('a session that was lost ends its connections unknown', async ({onTestFinished}) => {
  const {session, peer} = await openMux(onTestFinished, await startTarget(onTestFinished, echo), {renew: async () => undefined})
  const connection = await session.connect()
  peer.cut()
  expect(await connection.ended).toEqual({unknown: expect.stringContaining('is over')})
  expect(await session.ended).toEqual({unknown: expect.stringContaining('is over')})
})

test('a stream of connections that cannot be read ends the session, not the process', async ({onTestFinished}) => {
  const {session, say} = await openMux(onTestFinished, await startTarget(onTestFinished, echo))
  say(Buffer.from('GET / HTTP/1.1'))
  expect(await session.ended).toEqual({unknown: "the agent's connections cannot be read: smux version 71"})
})

test('an old agent is told every so often that the session lives; a new one is not', async ({onTestFinished}) => {
  const port = await startTarget(onTestFinished, echo)
  const start = async (agentVersion: string, clientVersion?: string) => {
    const {peer} = await openMux(onTestFinished, port, {
      agentVersion,
      ...(clientVersion ? {clientVersion} : {}),
      timings: {smuxKeepAliveMs: 5},
    })
    return () =>
      peer.input.filter(({payloadType, payload}) => payloadType === payloadTypes.output && payload.toString('hex') === '0103000000000000')
        .length
  }
  const quiet = await start('3.1.1512.0')
  for (const beats of [await start('3.1.1511.0'), await start('3.1.1512.0', '1.2.331.0')]) while (beats() < 3) await wait(5)
  expect(quiet()).toBe(0)
})

test('one that is not read holds up nobody else, and is reset when it falls too far behind', {timeout: 60_000}, async ({
  onTestFinished,
}) => {
  const flood = Buffer.alloc(1024 ** 2, 7)
  const port = await startTarget(onTestFinished, socket => {
    let left = 12
    const more = () => {
      while (left-- > 0) if (!socket.write(flood)) return void socket.once('drain', more)
    }
    socket.once('data', data => (String(data) === 'flood' ? more() : socket.end('small')))
  })
  const {session} = await openMux(onTestFinished, port)
  const [stuck, other] = [await session.connect(), await session.connect()]
  stuck.stdin.write('flood')
  other.stdin.write('hello')
  expect(await text(other.stdout)).toBe('small')
  const idle = await session.connect()
  expect(await stuck.ended).toEqual({unknown: 'its reader fell too far behind the others'})
  await idle.end('closed')
})

test('one that is alone makes the far side wait, and loses nothing', {timeout: 60_000}, async ({onTestFinished}) => {
  const bytes = randomBytes(12 * 1024 ** 2)
  const port = await startTarget(onTestFinished, socket => socket.end(bytes))
  const {session} = await openMux(onTestFinished, port)
  const {stdout} = await session.connect()
  await once(stdout, 'readable')
  await wait(200)
  expect(stdout.readableLength).toBeLessThan(3 * 1024 ** 2)
  const hash = createHash('sha256')
  for await (const chunk of stdout) hash.update(chunk as Buffer)
  expect(hash.digest('hex')).toBe(sha256(bytes))
})

test('smux 2: what may be under way is told both ways', async ({onTestFinished}) => {
  const {session, seen, say, peer} = await openMux(onTestFinished, await startTarget(onTestFinished, echo), {smuxVersion: 2})
  const connection = await session.connect()
  const sent = 400_000
  let taken = 0
  const hash = createHash('sha256')
  const bytes = randomBytes(sent)
  connection.stdin.write(bytes, () => {
    taken = sent
  })
  let got = 0
  const all = new Promise<void>(resolve =>
    connection.stdout.on('data', chunk => {
      hash.update(chunk as Buffer)
      got += (chunk as Buffer).length
      if (got === 262_144) {
        // the window is used up: nothing more comes until it is told to
        setTimeout(() => {
          expect(taken).toBe(0)
          say(encodeWindow(3, 262_144, 262_144))
        }, 30)
      }
      if (got === sent) resolve()
    }),
  )
  await all
  expect(hash.digest('hex')).toBe(sha256(bytes))
  expect(seen.filter(word => word.startsWith('window 3')).length).toBeGreaterThan(0)
  expect(peer.input.filter(({payloadType}) => payloadType === payloadTypes.output).every(({payload}) => payload.length <= 1024)).toBe(true)
})

test('loss, duplicates, other order, delay and cuts: every byte arrives once, both ways', {timeout: 120_000}, async ({onTestFinished}) => {
  let state = 7
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state / 2 ** 32
  }
  const {session, peer} = await openMux(onTestFinished, await startTarget(onTestFinished, echo), {}, peer => {
    peer.fault = () => {
      const dice = random()
      return {times: dice < 0.03 ? 0 : dice < 0.06 ? 2 : 1, ...(dice > 0.94 ? {afterMs: Math.ceil(random() * 20)} : {})}
    }
    const take = peer.onInput
    // by what has come, not by time: on a slow machine too, each connection is of use
    peer.onInput = frame => {
      take(frame)
      if (peer.input.length % 80 === 0) setImmediate(peer.cut)
    }
  })
  const parts = [randomBytes(200_000), randomBytes(30_000), randomBytes(7)]
  const connections = await Promise.all(parts.map(() => session.connect()))
  const back = await Promise.all(parts.map((bytes, at) => roundTrip(connections[at] as Channel, bytes)))
  peer.fault = () => ({times: 1})
  expect(back).toEqual(parts.map(sha256))
  expect(session.counts.connections).toBeGreaterThan(1)
  expect(session.counts.resent).toBeGreaterThan(0)
  expect(session.counts.duplicates).toBeGreaterThan(0)
  // no number is left out
  expect(peer.input.map(({sequenceNumber}) => sequenceNumber)).toEqual(peer.input.map((_, at) => at))
})

/** An agent of the basic form or of the standard stream, with one connection to a port of this machine. */
async function openOne(
  onFinished: Finished,
  port: number,
  properties: Record<string, string>,
  agentVersion: string,
  more: Partial<PortOptions> = {},
): Promise<{peer: Peer; session: PortSession}> {
  const peer = await startPeer(onFinished)
  let socket: Socket | undefined
  const redial = (): Socket => {
    const next = dial(port, '127.0.0.1')
    next.on('data', data => peer.send(payloadTypes.output, data as Buffer))
    next.on('error', () => {})
    next.on('close', () => {
      socket = undefined
      if (properties.type === undefined) peer.close()
    })
    return next
  }
  peer.onToken = () => peer.tokens.length === 1 && peer.greet('Port', {agentVersion, properties})
  peer.onInput = ({payloadType, payload}) => {
    if (payloadType === payloadTypes.handshakeResponse) {
      peer.complete()
      socket = redial()
    }
    if (payloadType === payloadTypes.output) {
      socket ??= redial()
      socket.write(payload)
    }
    if (payloadType === payloadTypes.flag) {
      socket?.destroy()
      socket = undefined
      if (payload.readUInt32BE() === flags.terminateSession) peer.close()
    }
  }
  const session = await openPort(optionsFor(peer, more))
  onFinished(async () => {
    socket?.destroy()
    await session.end('the test is over')
  })
  return {peer, session}
}

test('an agent before multiplexing serves one connection after another, and none hears what belongs to another', async ({
  onTestFinished,
}) => {
  const port = await startTarget(onTestFinished, socket => {
    socket.write('hello ')
    socket.on('data', data => socket.write(data))
  })
  const {session, peer} = await openOne(onTestFinished, port, forwarding, '3.0.196.0')
  expect(session.form).toBe('basic')
  const heard = async ({stdin, stdout}: Channel, words: string) => {
    stdin.write(words)
    let all = ''
    for await (const chunk of stdout) {
      all += String(chunk)
      if (all.endsWith(words)) break
    }
    return all
  }
  const first = await session.connect()
  let isSecond = false
  const later = session.connect().then(channel => {
    isSecond = true
    return channel
  })
  // what the target said before anybody was there belongs to the first
  expect(await heard(first, 'one')).toBe('hello one')
  await first.ended
  const second = await later
  expect(isSecond).toBe(true)
  expect(await heard(second, 'two')).toBe('hello two')
  expect(peer.input.filter(({payloadType}) => payloadType === payloadTypes.flag)[0]?.payload).toEqual(Buffer.from([0, 0, 0, 1]))
})

test('the standard stream is one connection; its target speaks first; the end of input ends the session', async ({onTestFinished}) => {
  const port = await startTarget(onTestFinished, socket => socket.write('SSH-2.0-test\r\n'))
  const {session, peer} = await openOne(onTestFinished, port, {portNumber: '22'}, '3.3.1142.0')
  expect(session.form).toBe('standard')
  const channel = await session.connect()
  expect(String((await once(channel.stdout, 'data'))[0])).toBe('SSH-2.0-test\r\n')
  await expect(session.connect()).rejects.toThrow('one connection alone')
  channel.stdin.end('\n')
  expect(await channel.ended).toEqual({status: 0})
  const [data, flag] = peer.input.slice(-2)
  expect(data?.payload.toString()).toBe('\n')
  expect(flag?.payload).toEqual(Buffer.from([0, 0, 0, 2]))
})

test('an agent that knows no flag for the end is ended by the API', async ({onTestFinished}) => {
  let terminated = 0
  const port = await startTarget(onTestFinished, echo)
  const {session, peer} = await openOne(onTestFinished, port, {portNumber: '22'}, '2.3.722.0', {
    terminate: async () => void terminated++,
    timings: {endMs: 20},
  })
  await session.end('Ctrl-C')
  expect(terminated).toBe(1)
  expect(peer.input.some(({payloadType}) => payloadType === payloadTypes.flag)).toBe(false)
})

test('a client that reports an old version gets the basic form of a new agent', async ({onTestFinished}) => {
  const port = await startTarget(onTestFinished, echo)
  expect((await openOne(onTestFinished, port, forwarding, '3.3.1142.0', {clientVersion: '0.0.1'})).session.form).toBe('basic')
})
