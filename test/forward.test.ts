/** The person's end of a forward against a real broker, over links that can be cut. */
import {createHash, randomBytes} from 'node:crypto'
import {subscribe, unsubscribe} from 'node:diagnostics_channel'
import {once} from 'node:events'
import {connect, type Socket} from 'node:net'
import {text} from 'node:stream/consumers'
import type {HostPort} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {createClient} from '@prod/sdk/client'
import {serveForwarded} from '@prod/sdk/testing/forwarded-server'
import type {ForwardedServer} from '@prod/sdk/testing/primitive-contract'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Core, newKey, startCore, until} from '../plugins/broker/test/core.ts'
import type {Streams} from '../src/channel/connection.ts'
import {ForwardEnd, type ForwardOutcome, type Started} from '../src/channel/forward.ts'
import {type Listening, listen} from '../src/channel/listen.ts'
import type {Listen} from '../src/channel/listen-spec.ts'

const files = {
  'catalog/targets/here.yaml':
    'kind: Target\nname: here\naddress: host:here\nenvironment: staging\nforwards: [{ host: localhost, ports: ["1024-65535"] }]\n',
  'policy/global/ports.cedar':
    '@id("ports")\npermit (principal in Group::"engineers", action == Action::"forward", resource == Target::"here");\n',
}
let core: Core
let servers: ForwardedServer
let streams: Streams
const ends: (() => Promise<void> | void)[] = []
/** our links to the broker, oldest first */
const links = new Set<Socket>()
beforeAll(async () => {
  servers = await serveForwarded()
  ends.push(() => servers.close())
  core = await startCore(end => ends.push(end), {files})
  const {session} = await core.as('alice')
  const {receiptKey, logKey} = await createClient({broker: session.broker}).call(api.loginConfiguration)
  streams = {broker: session.broker, session, pins: {receiptKey, logKey}}
  const seen = (message: unknown): void => {
    const {socket} = message as {socket: Socket}
    socket.once('connect', () => {
      if (socket.remotePort !== Number(new URL(core.url).port)) return
      links.add(socket)
      socket.once('close', () => links.delete(socket))
    })
  }
  subscribe('net.client.socket', seen)
  ends.push(() => void unsubscribe('net.client.socket', seen))
})
afterAll(async () => {
  for (const end of ends.toReversed()) await end()
})

/** An open forward with these ports of ours. */
async function open(wanted: readonly Listen[]): Promise<{
  started: Started
  ports: Listening
  forward: ForwardEnd
  outcome: Promise<ForwardOutcome | {pending: string}>
  to(index?: number): Socket
}> {
  const ports = await listen(wanted)
  const opened = Promise.withResolvers<Started>()
  const forward = new ForwardEnd({
    ...streams,
    first: {
      type: 'forward',
      key: newKey(),
      target: 'here',
      to: wanted.map(({to}) => to),
      reason: 'because this test wants it',
      wait: true,
      client: {version: 'test', platform: 'test'},
    },
    onOpen(started) {
      ports.open(streams, started.id)
      opened.resolve(started)
    },
  })
  const outcome = forward.follow()
  outcome.catch(opened.reject)
  void outcome.finally(() => ports.close()).catch(() => {})
  const started = await opened.promise
  const to = (index = 0) => connect({...(ports.listens[index] as Listen).listen, allowHalfOpen: true})
  return {started, ports, forward, outcome, to}
}
const free = (to: Listen['to']): Listen => ({listen: {host: '127.0.0.1', port: 0}, to})

test('a local port is a port of the target, and closing it is an orderly end', async () => {
  const {forward, outcome, to, started} = await open([free(servers.echo), free(servers.greeter)])
  const one = to(0)
  one.end('through')
  expect(await text(one)).toBe('through')
  const other = to(1)
  expect(await text(other)).toBe('hello')
  other.end('and after its end')
  expect(await servers.got()).toBe('and after its end')
  forward.close()
  expect(await outcome).toEqual({end: expect.objectContaining({id: started.id, exit: {status: 0}, endedBy: null}), breakGlass: false})
})

test('many connections at once', async () => {
  const {forward, outcome, to} = await open([free(servers.echo)])
  const words = Array.from({length: 60}, (_, at) => `word ${at}`)
  const answers = words.map(word => {
    const one = to()
    one.end(word)
    return text(one)
  })
  expect(await Promise.all(answers)).toEqual(words)
  forward.close()
  await outcome
})

test('a far side that breaks off, or that nobody serves, breaks off here', async () => {
  const {forward, outcome, to} = await open([free(servers.breaker), free(servers.nobody)])
  const errors = [to(0), to(1)].map(one => {
    one.write('x')
    return once(one, 'error')
  })
  for (const [error] of await Promise.all(errors)) expect(error).toMatchObject({code: 'ECONNRESET'})
  forward.close()
  await outcome
})

test('who breaks off here breaks off there', async () => {
  const {forward, outcome, to, started} = await open([free(servers.echo)])
  const one = to()
  one.on('error', () => {})
  one.write('x')
  await once(one, 'data')
  one.resetAndDestroy()
  await until(
    async () =>
      (await core.events('forward.disconnected')).some(({subject, data}) => subject === started.id && data.endedBy === 'cancelled'),
    'its end',
  )
  forward.close()
  await outcome
})

test('TM-H18: 32 MiB each way over links that are cut again and again miss no byte and hold none twice', {timeout: 120_000}, async () => {
  const {forward, outcome, to, started} = await open([free(servers.echo)])
  const one = to()
  const piece = randomBytes(256 * 1024)
  const [sent, received] = [createHash('sha256'), createHash('sha256')]
  let [bytes, cuts, next] = [0, 0, 3 * 1024 ** 2]
  const back = (async () => {
    for await (const chunk of one) {
      received.update(chunk as Buffer)
      bytes += (chunk as Buffer).byteLength
      if (bytes < next || links.size === 0) continue
      next += 3 * 1024 ** 2
      cuts++
      for (const link of links) link.destroy()
    }
  })()
  for (let at = 0; at < 128; at++) {
    sent.update(piece)
    if (!one.write(piece)) await once(one, 'drain')
  }
  one.end()
  await back
  expect(bytes).toBe(32 * 1024 ** 2)
  expect(received.digest('hex')).toBe(sent.digest('hex'))
  expect(cuts).toBeGreaterThan(3)
  await until(() => links.size > 0, 'a link')
  forward.close()
  expect(await outcome).toMatchObject({end: {id: started.id, exit: {status: 0}, endedBy: null}})
  expect((await core.events('forward.connected')).filter(({subject}) => subject === started.id)).toHaveLength(1)
})

test('Ctrl-C breaks all of it off', async () => {
  const {forward, outcome, to} = await open([free(servers.echo)])
  const one = to()
  one.write('x')
  await once(one, 'data')
  const gone = once(one, 'error')
  forward.cancel()
  expect(await outcome).toMatchObject({end: {endedBy: 'cancelled'}})
  await gone
})

test('an end that comes while halves are ending hangs nowhere', async () => {
  const {forward, outcome, to} = await open([free(servers.echo), free(servers.greeter)])
  const some = [to(0), to(1), to(0), to(1)]
  for (const one of some) {
    one.on('error', () => {})
    one.write(randomBytes(256 * 1024))
    await once(one, 'readable')
    one.end()
    one.resume()
  }
  forward.cancel()
  await outcome
  await until(() => some.every(one => one.closed), 'the end of each')
})

test('a port of 127.0.0.1 is one of ::1 too, for whoever says localhost; one that is asked for by itself leads where it was said', async () => {
  const {forward, outcome, ports} = await open([free(servers.echo)])
  const {port} = (ports.listens[0] as Listen).listen as HostPort
  const one = connect({host: '::1', port})
  one.end('by the other name')
  // a machine may have no IPv6
  expect(await text(one).catch(({code}: NodeJS.ErrnoException) => code)).toMatch(/^by the other name$|EADDRNOTAVAIL|EAFNOSUPPORT/)
  forward.close()
  await outcome
  const both = await listen([free(servers.echo), {...free(servers.greeter), listen: {host: '::1', port: 0}}])
  expect(both.listens.map(({listen: at}) => (at as HostPort).host)).toEqual(['127.0.0.1', '::1'])
  both.close()
})

test('a port that is taken is told before anything is asked for', async () => {
  const taken = await listen([free(servers.echo)])
  const requests = (await core.events('request.created')).length
  await expect(open([free(servers.greeter), {...(taken.listens[0] as Listen)}])).rejects.toMatchObject({code: 'PORT_IN_USE'})
  expect((await core.events('request.created')).length).toBe(requests)
  // and whoever comes before it is open is turned away
  const early = connect((taken.listens[0] as Listen).listen)
  await once(early, 'error')
  taken.close()
})
