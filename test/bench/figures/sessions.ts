import {once} from 'node:events'
import {spawn} from '@lydell/node-pty'
import {openStream, type StreamConnection} from '@prod/sdk/stream-client'
import {newKey, openPerson, type Person} from '../../../plugins/broker/test/core.ts'
import {cli, type RealPerson} from '../../e2e/broker.ts'
import {directEchoes, echoTimes, type Keys, mebibyte, reason, residentBytes, startInstances, wanted} from '../far-side.ts'
import {type Figure, median, type Row} from '../figure.ts'
import {openForward, sendThrough} from '../forwards.ts'
import {openPlain} from '../plain-channel.ts'

const shells = 200
/** one person is given 120 credentials in ten minutes, and has 100 streams */
const people = ['ann', 'ben', 'cleo', 'dan']

/** Milliseconds from a key to its echo, at a terminal in front of `prod shell`. */
async function throughBroker({home, env}: RealPerson, count: number): Promise<number[]> {
  const terminal = spawn(process.execPath, [cli, 'shell', 'web-1', '--reason', reason], {cwd: home, env, cols: 80, rows: 24})
  const over = new Promise(resolve => terminal.onExit(resolve))
  const keys: Keys = {type: text => terminal.write(text), hear: () => {}}
  const prompt = () =>
    new Promise<void>(resolve => {
      keys.hear = text => /[#$] ?$/.test(text) && resolve()
    })
  terminal.onData(text => keys.hear(text))
  await prompt()
  const times = await echoTimes(keys, count)
  const again = prompt()
  terminal.write('\x03')
  await again
  terminal.write('exit\r')
  await over
  return times
}

/** One shell that is open: what it was typed has come back. */
interface Open {
  stream: StreamConnection
  /** resolves with the end frame; rejects where there is none */
  ended: Promise<void>
}

async function openShell({session}: Person): Promise<Open> {
  const stream = await openStream({
    broker: session.broker,
    session,
    first: {
      type: 'shell',
      key: newKey(),
      target: 'web-2',
      reason,
      size: {columns: 80, rows: 24},
      confirmed: null,
      term: 'xterm-256color',
      wait: true,
      client: {version: 'bench', platform: 'bench'},
    },
  })
  const echoed = Promise.withResolvers<void>()
  const ended = (async () => {
    for await (const event of stream) {
      if (event.type === 'end') return
      if (event.type === 'message' && event.message.type === 'started') await stream.sendStdin(Buffer.from('hello\r'))
      if (event.type !== 'output') continue
      stream.wrote('stdout', event.bytes.byteLength)
      if (Buffer.from(event.bytes).includes('hello')) echoed.resolve()
    }
    throw new Error('a shell ended without its end frame')
  })()
  ended.catch(echoed.reject)
  await echoed.promise
  return {stream, ended}
}

/** So many shells at once, each of which echoes: seconds until all are open, MiB of the broker for each, seconds until all have ended. */
async function manyShells(url: string, pid: number): Promise<{openSeconds: number; mebibytes: number; endSeconds: number}> {
  const persons = await Promise.all(people.map(name => openPerson({name: 'bench', url}, name, () => new Date())))
  // loads what the first one loads
  const first = await openShell(persons[0] as Person)
  const before = residentBytes(pid)
  const from = performance.now()
  const open: Open[] = []
  while (open.length < shells)
    open.push(...(await Promise.all(Array.from({length: 8}, (_, at) => openShell(persons[at % persons.length] as Person)))))
  const openSeconds = (performance.now() - from) / 1000
  const mebibytes = (residentBytes(pid) - before) / open.length / mebibyte
  const ending = performance.now()
  await Promise.all([first, ...open].map(({stream}) => stream.sendStdin(Buffer.from('\x04'))))
  await Promise.all([first, ...open].map(({ended}) => ended))
  return {openSeconds, mebibytes, endSeconds: (performance.now() - ending) / 1000}
}

/** Bytes a second from a server that writes, over so many connections at once; and, in the same seconds, to a client that only answers. */
async function downRate(
  alice: RealPerson,
  env: Record<string, string>,
  connections: number,
  seconds: number,
): Promise<{rate: number; plain: number}> {
  const piece = Buffer.alloc(65_536, 1)
  const forward = await openForward(alice, socket => {
    const more = () => {
      while (socket.write(piece));
    }
    socket.on('drain', more)
    more()
  })
  let got = 0
  const sockets = await Promise.all(Array.from({length: connections}, () => forward.connect()))
  await Promise.all(
    sockets.map(async socket => {
      const first = once(socket, 'data')
      socket.on('data', part => {
        got += part.length
      })
      await first
    }),
  )
  const beside = await openPlain(env, forward.farPort)
  await new Promise(resolve => setTimeout(resolve, 500))
  const [before, plainBefore, from] = [got, beside.got, performance.now()]
  await new Promise(resolve => setTimeout(resolve, seconds * 1000))
  const passed = (performance.now() - from) / 1000
  const [rate, plain] = [(got - before) / passed, (beside.got - plainBefore) / passed]
  await Promise.all([beside.close(), forward.close()])
  return {rate, plain}
}

/** Shells and forwards of instances from end to end: CLI, broker, data channel, and the stand-in's gateway and agents, which rest as the real ones do. */
export const figure: Figure = {
  name: 'sessions',
  async measure() {
    if (process.platform !== 'linux') return 'the memory of a process is read from /proc'
    const {broker, alice, farSide, stop} = await startInstances(
      {
        agent: {outputDelayMs: 0, pieceDelayMs: 1},
        instances: [
          {id: 'i-0a1b2c3d4e5f60001', name: 'web-1'},
          {id: 'i-0a1b2c3d4e5f60002', name: 'web-2', agent: {shell: ['/bin/sh']}},
        ],
      },
      people,
    )
    try {
      const [direct, through] = [median(await directEchoes(farSide.env, 300)), median(await throughBroker(alice, 300))]
      const up = median([
        await sendThrough(alice, 64 * mebibyte),
        await sendThrough(alice, 64 * mebibyte),
        await sendThrough(alice, 64 * mebibyte),
      ])
      const [one, eight] = [await downRate(alice, farSide.env, 1, 4), await downRate(alice, farSide.env, 8, 4)]
      const {openSeconds, mebibytes, endSeconds} = await manyShells(broker.url, broker.pid)
      const rows: Row[] = [
        {
          what: 'echo of a key in prod shell, p50',
          value: through,
          unit: 'ms',
          floor: {what: 'by the data channel alone, and 1 ms:', value: direct + 1},
          ratio: through / (direct + 1),
          budget: {ratio: 1, kind: 'at most'},
        },
        wanted('prod forward up, one connection, 64 MiB', up / 1e6, 'MB/s', 12, 'at least'),
        {
          what: "prod forward down, one connection: agent's rate",
          value: one.rate / 1e6,
          unit: 'MB/s',
          floor: {what: 'a client that only answers, MB/s:', value: one.plain / 1e6},
          ratio: one.rate / one.plain,
          budget: {ratio: 0.95, kind: 'at least'},
        },
        {
          what: 'prod forward down, 8 connections',
          value: eight.rate / 1e6,
          unit: 'MB/s',
          floor: {what: 'one connection, MB/s:', value: one.rate / 1e6},
          ratio: eight.rate / one.rate,
          budget: {ratio: 4, kind: 'at least'},
        },
        wanted(`${shells} shells: memory of the broker for each`, mebibytes, 'MiB', 1, 'at most'),
        wanted(`${shells} shells: until each has echoed`, openSeconds, 's', 60, 'at most'),
        wanted(`${shells} shells: until each has ended`, endSeconds, 's', 30, 'at most'),
      ]
      return rows
    } finally {
      await stop()
    }
  },
}
