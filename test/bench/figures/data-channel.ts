import {spawn} from 'node:child_process'
import {createHash, randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {type AddressInfo, createServer, type Server, type Socket} from 'node:net'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {wayOf} from '../../../plugins/ssm/src/aws/call.ts'
import {openPort, type PortSession} from '../../../plugins/ssm/src/channel/port.ts'
import {openShell} from '../../../plugins/ssm/src/channel/shell.ts'
import type {ChannelOptions} from '../../../plugins/ssm/src/channel/view.ts'
import {openSession} from '../../../plugins/ssm/src/session.ts'
import type {StandInOptions} from '../../sessions-stand-in/stand-in.ts'
import {type Figure, median, type Row} from '../figure.ts'

const region = 'us-east-1'
const mebibyte = 2 ** 20

interface FarSide {
  open(document?: string, parameters?: Record<string, string>): Promise<ChannelOptions>
}

/** Gateway and agents, in a process of their own: nobody measures himself. */
async function withFarSide(options: StandInOptions, measure: (farSide: FarSide) => Promise<void>): Promise<void> {
  const main = join(import.meta.dirname, '../../sessions-stand-in/main.ts')
  const child = spawn(process.execPath, ['--conditions=source', main, JSON.stringify({region, ...options})], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const {env} = JSON.parse(line) as {env: Record<string, string>}
  Object.assign(process.env, env)
  const {AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '', AWS_SESSION_TOKEN = ''} = env
  const credential = {AccessKeyId: AWS_ACCESS_KEY_ID, SecretAccessKey: AWS_SECRET_ACCESS_KEY, SessionToken: AWS_SESSION_TOKEN}
  const access = {id: 'run_bench', principal: 'https://idp.example#alice', credential}
  const farSide: FarSide = {
    open: (document, parameters = {}) =>
      openSession({
        way: wayOf(access, region),
        region,
        instanceId: 'i-0a1b2c3d4e5f60001',
        document,
        parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, [value]])),
        access,
        signal: new AbortController().signal,
      }),
  }
  try {
    await measure(farSide)
  } finally {
    child.kill()
  }
}

async function listen(serve: (socket: Socket) => void): Promise<{server: Server; port: string}> {
  const server = createServer(socket => serve(socket.on('error', () => {}))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {server, port: String((server.address() as AddressInfo).port)}
}

const forward = async (farSide: FarSide, portNumber: string): Promise<PortSession> =>
  openPort(await farSide.open('AWS-StartPortForwardingSession', {portNumber}))

/** Bytes a second through one forwarded connection to a server that reads; the digest must be right. */
async function upRate(farSide: FarSide, bytes: number): Promise<number> {
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
  const session = await forward(farSide, port)
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

/** Bytes a second from a server that writes, over so many channels side by side. */
async function downRate(farSide: FarSide, channels: number, seconds: number): Promise<number> {
  const piece = Buffer.alloc(65_536, 1)
  const {server, port} = await listen(socket => {
    const more = () => {
      while (socket.write(piece));
    }
    socket.on('drain', more)
    more()
  })
  const sessions = await Promise.all(Array.from({length: channels}, () => forward(farSide, port)))
  let got = 0
  for (const session of sessions)
    (await session.connect()).stdout.on('data', part => {
      got += (part as Buffer).length
    })
  await new Promise(resolve => setTimeout(resolve, 500))
  const [before, from] = [got, performance.now()]
  await new Promise(resolve => setTimeout(resolve, seconds * 1000))
  const rate = (got - before) / ((performance.now() - from) / 1000)
  await Promise.all(sessions.map(session => session.end('measured')))
  server.close()
  return rate
}

/** Milliseconds from a key to its echo at a remote terminal. */
async function echoTimes(farSide: FarSide, keys: number): Promise<number[]> {
  const shell = await openShell(await farSide.open(), {columns: 80, rows: 24})
  const heard = async (words: string) => {
    let all = ''
    while (!all.includes(words)) all += String((await once(shell.stdout, 'data'))[0])
  }
  const ready = heard('ready42')
  shell.stdin.write('echo ready$((6 * 7)); cat\r')
  await ready
  const times: number[] = []
  for (let key = 0; key < keys; key++) {
    const from = performance.now()
    const echo = once(shell.stdout, 'data')
    shell.stdin.write('x')
    await echo
    times.push(performance.now() - from)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  await shell.end('measured')
  return times
}

/** A tunnel that is idle while the service closes its connection as often as in so many hours, then echoes. */
async function idle(farSide: FarSide, seconds: number): Promise<number> {
  const {server, port} = await listen(socket => void socket.pipe(socket))
  const session = await forward(farSide, port)
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

const wanted = (what: string, value: number, unit: string, budget: number, kind: 'at least' | 'at most'): Row => ({
  what,
  value,
  unit,
  floor: {what: `wanted, ${unit}:`, value: budget},
  ratio: value / budget,
  budget: {ratio: 1, kind},
})

/** The data channel against the stand-in's gateway and agent, which rests 1 ms after each 1024 bytes that it sends, as the real one does. */
export const figure: Figure = {
  name: 'data-channel',
  async measure() {
    const rows: Row[] = []
    const faults = {loss: 0.01, duplicates: 0.01, reordering: 0.02}
    await withFarSide({agent: {outputDelayMs: 0, pieceDelayMs: 1}}, async farSide => {
      const up = median([await upRate(farSide, 64 * mebibyte), await upRate(farSide, 64 * mebibyte), await upRate(farSide, 64 * mebibyte)])
      const [one, eight] = [await downRate(farSide, 1, 4), await downRate(farSide, 8, 4)]
      rows.push(
        wanted('forward up, one connection, 64 MiB', up / 1e6, 'MB/s', 12, 'at least'),
        {
          what: "forward down, one channel: the agent's rate",
          value: one / 1e6,
          unit: 'MB/s',
          floor: {what: '1024 bytes a millisecond, MB/s:', value: 1.024},
          ratio: one / 1.024e6,
        },
        {
          what: 'forward down, 8 channels',
          value: eight / 1e6,
          unit: 'MB/s',
          floor: {what: 'one channel, MB/s:', value: one / 1e6},
          ratio: eight / one,
          budget: {ratio: 4, kind: 'at least'},
        },
        wanted('echo of a key in a shell, p50', median(await echoTimes(farSide, 300)), 'ms', 2, 'at most'),
      )
    })
    await withFarSide({trouble: {seed: 1, up: faults, down: faults, cutClientEveryMs: 5000}}, async farSide => {
      const rate = await upRate(farSide, 64 * mebibyte)
      rows.push(wanted('64 MiB up, 1 % loss, duplicates, cuts', rate / 1e6, 'MB/s', 1, 'at least'))
    })
    await withFarSide(
      {trouble: {seed: 1, up: faults, down: faults, byeEveryMs: 3_600_000}, limits: {idleMs: 0}, timeScale: 2880},
      async farSide => {
        rows.push(wanted('8 h idle in 10 s: resumed after closes', await idle(farSide, 10.5), 'times', 7, 'at least'))
      },
    )
    return rows
  },
}
