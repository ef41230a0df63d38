import {type ChildProcess, spawn} from 'node:child_process'
import {readFileSync, writeFileSync} from 'node:fs'
import {connect, type Socket} from 'node:net'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {type Figure, median, type Row} from '../figure.ts'
import {run, startRunningBroker} from '../running-broker.ts'

const bytes = 256 * 1024 * 1024
const rounds = 3
const echoes = 2000

/** The far side, and the floor: a proxy that does nothing but pipe. The first byte says what is wanted: up, down, echo. */
const far = `
const net = require('node:net')
const piece = Buffer.alloc(65536)
const act = {
  u(socket) { let got = 0; socket.on('data', d => (got += d.length)).on('end', () => socket.end(String(got))) },
  d(socket) { let left = ${bytes}; const more = () => { while (left > 0) { left -= piece.length; if (!socket.write(piece)) return } socket.end() }; socket.on('drain', more); more(); socket.resume() },
  e(socket) { socket.on('data', d => socket.write(d)).on('end', () => socket.end()) },
}
const server = net.createServer({allowHalfOpen: true, noDelay: true}, socket => {
  socket.on('error', () => {})
  socket.once('data', first => { act[String.fromCharCode(first[0])](socket); if (first.length > 1) socket.emit('data', first.subarray(1)) })
})
const proxy = net.createServer({allowHalfOpen: true, noDelay: true}, socket => {
  const other = net.connect({port: server.address().port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true})
  for (const one of [socket, other]) one.on('error', () => {})
  socket.pipe(other).pipe(socket)
})
server.listen(0, '127.0.0.1', () => proxy.listen(0, '127.0.0.1', () => console.log(server.address().port + ' ' + proxy.address().port)))
`

async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('no output')
  return new Promise((resolve, reject) => {
    createInterface({input: child.stdout as never}).once('line', resolve)
    child.once('exit', status => reject(new Error(`ended with ${status}`)))
  })
}

async function open(port: number, what: string): Promise<Socket> {
  const socket = connect({port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true})
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  socket.write(what)
  return socket
}

/** MB/s of one connection. */
async function rate(port: number, what: 'u' | 'd'): Promise<number> {
  const socket = await open(port, what)
  const from = process.hrtime.bigint()
  let got = 0
  let said = ''
  const ended = new Promise<void>((resolve, reject) =>
    socket
      .on('data', data => {
        got += data.byteLength
        if (what === 'u') said += data.toString()
      })
      .on('end', resolve)
      .on('error', reject),
  )
  if (what === 'u') {
    const piece = Buffer.alloc(65_536)
    for (let sent = 0; sent < bytes; sent += piece.length)
      if (!socket.write(piece)) await new Promise(resolve => socket.once('drain', resolve))
    socket.end()
  }
  await ended
  const seconds = Number(process.hrtime.bigint() - from) / 1e9
  socket.destroy()
  if (what === 'd' ? got !== bytes : Number(said) !== bytes) throw new Error(`${got} bytes, ${said}`)
  return bytes / seconds / 1e6
}

/** Milliseconds of a byte there and back, and of a connection until its first byte is back. */
async function trips(port: number): Promise<{echo: number; opening: number}> {
  const times: number[] = []
  const openings: number[] = []
  for (let at = 0; at < 20; at++) {
    const from = process.hrtime.bigint()
    const socket = await open(port, 'ex')
    await new Promise(resolve => socket.once('data', resolve))
    openings.push(Number(process.hrtime.bigint() - from) / 1e6)
    for (let count = 0; count < echoes / 20; count++) {
      const sent = process.hrtime.bigint()
      socket.write('x')
      await new Promise(resolve => socket.once('data', resolve))
      times.push(Number(process.hrtime.bigint() - sent) / 1e6)
    }
    socket.destroy()
  }
  return {echo: median(times), opening: median(openings)}
}

function residentBytes(pid: number | undefined, field: 'VmHWM'): number {
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

/** One connection through the broker, beside one through a process that only pipes; and what it costs the broker in memory. */
export const figure: Figure = {
  name: 'forward',
  async measure() {
    const broker = await startRunningBroker()
    const server = spawn(process.execPath, ['-e', far], {stdio: ['ignore', 'pipe', 'inherit']})
    let forward: ChildProcess | undefined
    try {
      const [port, direct] = (await firstLine(server)).split(' ').map(Number) as [number, number]
      writeFileSync(
        join(broker.dir, 'catalog/targets/bench.yaml'),
        `kind: Target\nname: bench\naddress: host:bench\nenvironment: staging\nforwards: [{host: localhost, ports: [${port}]}]\n`,
      )
      writeFileSync(
        join(broker.dir, 'policy/global/bench.cedar'),
        '@id("bench")\npermit (principal in Group::"engineers", action == Action::"forward", resource == Target::"bench");\n',
      )
      const argv = [run, 'forward', 'bench', '-L', `0:localhost:${port}`, '--reason', 'how fast do bytes come', '--json']
      // the broker takes the new target up within moments
      let line: string | undefined
      for (let attempt = 0; line === undefined; attempt++) {
        forward = spawn(process.execPath, argv, {env: broker.env, stdio: ['ignore', 'pipe', 'ignore']})
        const first = await firstLine(forward).catch(() => '{}')
        if (first.startsWith('{"ready"')) line = first
        else if (attempt > 40) throw new Error('the forward does not open')
      }
      const ours = (JSON.parse(line) as {forwards: [{port: number}]}).forwards[0].port
      const rows: Row[] = []
      // warms it up: what it takes for so much at once it keeps
      for (const what of ['d', 'u'] as const) await rate(ours, what)
      const before = residentBytes(broker.process.pid, 'VmHWM')
      for (const [what, words] of [
        ['u', 'up'],
        ['d', 'down'],
      ] as const) {
        const [through, beside]: [number[], number[]] = [[], []]
        for (let round = 0; round < rounds; round++) {
          through.push(await rate(ours, what))
          beside.push(await rate(direct, what))
        }
        const [value, floor] = [median(through), median(beside)]
        rows.push({
          what: `forward ${words}, one connection, ${bytes / 2 ** 20} MiB`,
          value,
          unit: 'MB/s',
          floor: {what: 'a process that pipes, MB/s:', value: floor},
          ratio: value / floor,
        })
      }
      const grown = Math.max(0, residentBytes(broker.process.pid, 'VmHWM') - before) / 2 ** 20
      rows.push({
        what: 'memory of the broker, beyond that of the first two',
        value: grown,
        unit: 'MiB more',
        floor: {what: 'allowed, MiB:', value: 64},
        ratio: grown / 64,
        budget: {ratio: 1, kind: 'at most'},
      })
      const [mine, other] = [await trips(ours), await trips(direct)]
      for (const [name, words] of [
        ['echo', 'a byte there and back'],
        ['opening', 'a connection, until a byte is back'],
      ] as const)
        rows.push({
          what: `forward: ${words}`,
          value: mine[name],
          unit: 'ms',
          floor: {what: 'a process that pipes, ms:', value: other[name]},
          ratio: mine[name] / other[name],
        })
      return rows
    } finally {
      forward?.kill('SIGINT')
      server.kill()
      await broker.stop()
    }
  },
}
