import {createHash, randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {type AddressInfo, createServer, type Server, type Socket} from 'node:net'
import {openPort, type PortSession} from '../../../plugins/ssm/src/channel/port.ts'
import type {StandInOptions} from '../../sessions-stand-in/stand-in.ts'
import {directEchoes, openDirectly, startFarSide, wanted} from '../far-side.ts'
import {type Figure, median, type Row} from '../figure.ts'
import {openPlain} from '../plain-channel.ts'

type Env = Record<string, string>
const mebibyte = 2 ** 20

/** `env` leads to a far side of these options, as long as it is measured. */
async function withFarSide(options: StandInOptions, measure: (env: Env) => Promise<void>): Promise<void> {
  const {env, stop} = await startFarSide(options)
  try {
    await measure(env)
  } finally {
    stop()
  }
}

async function listen(serve: (socket: Socket) => void): Promise<{server: Server; port: string}> {
  const server = createServer(socket => serve(socket.on('error', () => {}))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {server, port: String((server.address() as AddressInfo).port)}
}

const forward = async (env: Env, portNumber: string): Promise<PortSession> =>
  openPort(await openDirectly(env, 'AWS-StartPortForwardingSession', {portNumber}))

/** Bytes a second through one forwarded connection to a server that reads; the digest must be right. */
async function upRate(env: Env, bytes: number): Promise<number> {
  const data = randomBytes(bytes)
  const hash = createHash('sha256')
  let got = 0
  const all = Promise.withResolvers<void>()
  const {server, port} = await listen(socket =>
    socket.on('data', part => {
      hash.update(part)
      got += part.length
      if (got === bytes) all.resolve()
    }),
  )
  const session = await forward(env, port)
  const {stdin} = await session.connect()
  const from = performance.now()
  for (let at = 0; at < bytes; at += 65_536) if (!stdin.write(data.subarray(at, at + 65_536))) await once(stdin, 'drain')
  await all.promise
  const seconds = (performance.now() - from) / 1000
  await session.end('measured')
  server.close()
  if (hash.digest('hex') !== createHash('sha256').update(data).digest('hex')) throw new Error('other bytes came than were sent')
  return bytes / seconds
}

/**
 * Bytes a second from a server that writes, over so many channels side by side; and beside them, in the same seconds, what the agent
 * sends to a client that does nothing but answer.
 */
async function downRate(env: Env, channels: number, seconds: number): Promise<{rate: number; plain: number}> {
  const piece = Buffer.alloc(65_536, 1)
  const {server, port} = await listen(socket => {
    const more = () => {
      while (socket.write(piece));
    }
    socket.on('drain', more)
    more()
  })
  const sessions = await Promise.all(Array.from({length: channels}, () => forward(env, port)))
  let got = 0
  for (const session of sessions)
    (await session.connect()).stdout.on('data', part => {
      got += (part as Buffer).length
    })
  const beside = await openPlain(env, port)
  await new Promise(resolve => setTimeout(resolve, 500))
  const [before, plainBefore, from] = [got, beside.got, performance.now()]
  await new Promise(resolve => setTimeout(resolve, seconds * 1000))
  const passed = (performance.now() - from) / 1000
  const [rate, plain] = [(got - before) / passed, (beside.got - plainBefore) / passed]
  await Promise.all([beside.close(), ...sessions.map(session => session.end('measured'))])
  server.close()
  return {rate, plain}
}

/** A tunnel that is idle while the service closes its connection as often as in so many hours, then echoes. */
async function idle(env: Env, seconds: number): Promise<number> {
  const {server, port} = await listen(socket => void socket.pipe(socket))
  const session = await forward(env, port)
  const {stdin, stdout} = await session.connect()
  await new Promise(resolve => setTimeout(resolve, seconds * 1000))
  const echo = once(stdout, 'data')
  stdin.write('still there')
  if (String((await echo)[0]) !== 'still there') throw new Error('the tunnel is not what it was')
  const {connections} = session.counts
  await session.end('measured')
  server.close()
  return connections - 1
}

/** The data channel against the stand-in's gateway and agent, which rests 1 ms after each 1024 bytes that it sends, as the real one does. */
export const figure: Figure = {
  name: 'data-channel',
  async measure() {
    const rows: Row[] = []
    const faults = {loss: 0.01, duplicates: 0.01, reordering: 0.02}
    await withFarSide({agent: {outputDelayMs: 0, pieceDelayMs: 1}}, async env => {
      const up = median([await upRate(env, 64 * mebibyte), await upRate(env, 64 * mebibyte), await upRate(env, 64 * mebibyte)])
      const [one, eight] = [await downRate(env, 1, 4), await downRate(env, 8, 4)]
      rows.push(
        wanted('forward up, one connection, 64 MiB', up / 1e6, 'MB/s', 12, 'at least'),
        {
          what: "forward down, one channel: the agent's rate",
          value: one.rate / 1e6,
          unit: 'MB/s',
          floor: {what: 'a client that only answers, MB/s:', value: one.plain / 1e6},
          ratio: one.rate / one.plain,
          budget: {ratio: 0.95, kind: 'at least'},
        },
        {
          what: 'forward down, 8 channels',
          value: eight.rate / 1e6,
          unit: 'MB/s',
          floor: {what: 'one channel, MB/s:', value: one.rate / 1e6},
          ratio: eight.rate / one.rate,
          budget: {ratio: 4, kind: 'at least'},
        },
        wanted('echo of a key in a shell, p50', median(await directEchoes(env, 300)), 'ms', 2, 'at most'),
      )
    })
    const often = {cutClientEveryMs: 5000, cutClientEveryBytes: 4 * mebibyte}
    await withFarSide({trouble: {seed: 1, up: faults, down: faults, ...often}}, async env => {
      const rate = await upRate(env, 64 * mebibyte)
      rows.push(wanted('64 MiB up, 1 % loss, a cut each 4 MiB', rate / 1e6, 'MB/s', 1, 'at least'))
    })
    // closed by the service each hour, and cut every half second of the wall's clock besides: every 5 s of the far side's would be each 2 ms
    const timeScale = 2880
    await withFarSide(
      {
        trouble: {seed: 1, up: faults, down: faults, byeEveryMs: 3_600_000, cutClientEveryMs: 500 * timeScale},
        limits: {idleMs: 0},
        timeScale,
      },
      async env => {
        rows.push(wanted('8 h idle in 10 s: cut, closed and resumed', await idle(env, 10.5), 'times', 20, 'at least'))
      },
    )
    return rows
  },
}
