/** Forwards through a real broker and the primitive host, to real servers. One broker serves most tests. */
import {createHash, randomBytes} from 'node:crypto'
import {setFlagsFromString} from 'node:v8'
import {runInNewContext} from 'node:vm'
import type {HostPort} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {openStream} from '@prod/sdk/stream-client'
import {serveForwarded} from '@prod/sdk/testing/forwarded-server'
import type {ForwardedServer} from '@prod/sdk/testing/primitive-contract'
import {type EndPayload, type FirstMessage, frame, windowBytes} from '@prod/sdk/wire'
import {decodeJwt} from 'jose'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Core, newKey, type OnFinished, type Person, reason, startCore, until} from './core.ts'
import {alerts, incident, stream} from './sessions-shell.ts'

const files = {
  'catalog/targets/other.yaml': `kind: Target
name: other
address: host:local
environment: staging
service: ports
forwards:
  - { host: localhost, ports: ["1024-65535"] }
`,
  'catalog/services/ports.yaml': 'kind: Service\nname: ports\nowner: sre-leads\n',
  'catalog/services/short.yaml': 'kind: Service\nname: short\nowner: sre-leads\nlimits: { maxSeconds: 1 }\n',
  'catalog/targets/brief.yaml': `kind: Target
name: brief
address: host:brief
environment: staging
service: short
forwards:
  - { host: localhost, ports: ["1024-65535"] }
`,
  'catalog/targets/shut.yaml': 'kind: Target\nname: shut\naddress: host:shut\nenvironment: staging\n',
  'catalog/roles/porter.yaml':
    'kind: Role\nname: porter\nsummary: ports of staging\nprovider: group\nparameters: { group: porters }\nclass: change\nmaxSeconds: 3600\n',
  'policy/global/ports.cedar': `@id("ports")
permit (principal in Group::"engineers", action == Action::"forward", resource in Environment::"staging");
@id("porters")
permit (principal in Group::"porters", action == Action::"forward", resource in Environment::"staging");
@id("porter")
permit (principal in Group::"security", action == Action::"assume", resource == Role::"porter");
`,
}
const told = {version: 'test', platform: 'test'}
let core: Core
let servers: ForwardedServer
let alice: Person
const ends: Parameters<OnFinished>[0][] = []
beforeAll(async () => {
  servers = await serveForwarded()
  ends.push(() => servers.close())
  core = await startCore(end => ends.push(end), {files})
  alice = await core.as('alice')
})
afterAll(async () => {
  for (const end of ends.toReversed()) await end()
})

const forwardMessage = (to: HostPort[], more: Partial<FirstMessage & {type: 'forward'}> = {}): FirstMessage & {type: 'forward'} => ({
  type: 'forward',
  key: newKey(),
  target: 'other',
  to,
  reason,
  wait: true,
  client: told,
  ...more,
})
const ask = (person: Person, to: HostPort[], more?: Partial<FirstMessage & {type: 'forward'}>) => stream(person, forwardMessage(to, more))

/** An open forward. */
async function open(person: Person, to: HostPort[], more?: Partial<FirstMessage & {type: 'forward'}>) {
  const control = ask(person, to, more)
  const {id} = await control.message('started')
  return Object.assign(control, {id, close: async () => (await control.connection).send({type: 'stdin-end'})})
}

/** One connection; what comes is given to `see`. */
async function connect(person: Person, session: string, to: HostPort, see: (bytes: Uint8Array) => void | Promise<void> = () => {}) {
  const link = await openStream({...person, broker: person.session.broker, first: {type: 'connect', session, to, client: told}})
  const started = Promise.withResolvers<string>()
  started.promise.catch(() => {})
  const farEnd = Promise.withResolvers<void>()
  const done = (async (): Promise<EndPayload | undefined> => {
    for await (const event of link) {
      if (event.type === 'message' && event.message.type === 'started') started.resolve(event.message.id)
      if (event.type === 'close' && event.channel === frame.stdout) farEnd.resolve()
      if (event.type === 'end') return decodeJwt(event.jws) as unknown as EndPayload
      if (event.type !== 'output') continue
      await see(event.bytes)
      link.wrote('stdout', event.bytes.byteLength)
    }
    return undefined
  })()
  done.catch(error => started.reject(error as Error))
  return {link, id: await started.promise, farEnd: farEnd.promise, done, end: () => link.endStdin()}
}

async function echoed(person: Person, session: string, text: string): Promise<string> {
  let got = ''
  const one = await connect(person, session, servers.echo, bytes => {
    got += Buffer.from(bytes).toString()
  })
  await one.link.sendStdin(Buffer.from(text))
  await one.end()
  expect(await one.done).toMatchObject({id: one.id, exit: {status: 0}, endedBy: null})
  return got
}

test('many connections at once go through one forward, and each is written down with its bytes and times', async () => {
  const forward = await open(alice, [servers.echo])
  const texts = Array.from({length: 24}, (_, at) => `${at} `.repeat(1000 * (at + 1)))
  expect(await Promise.all(texts.map(text => echoed(alice, forward.id, text)))).toEqual(texts)
  const to = `127.0.0.1:${servers.echo.port}`
  const [listed] = (await alice.client.call(api.listSessions)).sessions
  expect(listed).toMatchObject({id: forward.id, kind: 'forward', state: 'open', to: [servers.echo], chunks: 0})
  await forward.close()
  expect(await forward.done).toMatchObject({id: forward.id, exit: {status: 0}, endedBy: null})

  const events = (await core.events()).filter(({subject}) => subject === forward.id)
  expect(events[0]).toMatchObject({
    type: 'session.opened',
    data: {kind: 'forward', to: [to], target: 'other', breakGlass: false},
    personal: {reason},
  })
  const connected = events.filter(({type}) => type === 'forward.connected')
  expect(connected.map(({data}) => data.to)).toEqual(texts.map(() => to))
  const bytes = texts.map(text => text.length).sort((a, b) => a - b)
  const closed = events.filter(({type}) => type === 'forward.disconnected').map(({data}) => data)
  expect(closed.map(({bytesIn}) => bytesIn).sort((a, b) => Number(a) - Number(b))).toEqual(bytes)
  expect(closed.every(({bytesIn, bytesOut, exit, durationMs}) => bytesIn === bytesOut && exit && Number(durationMs) >= 0)).toBe(true)
  expect(new Set(closed.map(({connection}) => connection)).size).toBe(texts.length)
  const sum = bytes.reduce((all, one) => all + one, 0)
  expect(events.at(-1)).toMatchObject({
    type: 'session.closed',
    data: {kind: 'forward', traffic: {connections: texts.length, bytesIn: sum, bytesOut: sum}},
  })
  expect(await alice.client.call(api.showSession, {id: forward.id})).toMatchObject({
    state: 'closed',
    traffic: {connections: texts.length, bytesIn: sum, bytesOut: sum},
  })
  expect(core.alarms).toEqual([])
})

test('either side may end its half first, and the other goes on', async () => {
  const forward = await open(alice, [servers.greeter])
  let got = ''
  const one = await connect(alice, forward.id, servers.greeter, bytes => {
    got += Buffer.from(bytes).toString()
  })
  await one.farEnd
  expect(got).toBe('hello')
  await one.link.sendStdin(Buffer.from('after that'))
  await one.end()
  expect(await servers.got()).toBe('after that')
  expect(await one.done).toMatchObject({exit: {status: 0}, endedBy: null})
  await forward.close()
  await forward.done
})

test('a far side that breaks off is told from one that ends', async () => {
  const forward = await open(alice, [servers.breaker])
  const one = await connect(alice, forward.id, servers.breaker)
  await one.link.sendStdin(Buffer.from('x'))
  expect(await one.done).toMatchObject({exit: {unknown: expect.any(String)}})
  await forward.close()
  await forward.done
})

test('64 MiB arrive whole, and whoever does not read holds back the far side, not the broker’s memory', {timeout: 120_000}, async () => {
  const forward = await open(alice, [servers.echo])
  const piece = randomBytes(1024 ** 2)
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const least = process.memoryUsage().arrayBuffers
  const [sent, received] = [createHash('sha256'), createHash('sha256')]
  let bytes = 0
  let gate = Promise.withResolvers<void>()
  const one = await connect(alice, forward.id, servers.echo, async part => {
    await gate.promise
    received.update(part)
    bytes += part.byteLength
  })
  // nobody reads: all that is on its way is a few windows, whatever is sent
  let handed = 0
  const sending = (async () => {
    for (let at = 0; at < 64; at++) {
      sent.update(piece)
      await one.link.sendStdin(Buffer.from(piece))
      handed++
    }
    await one.end()
  })()
  let before = -1
  await until(async () => {
    const still = handed === before
    before = handed
    return still && handed > 0
  }, 'what is sent stands still')
  expect(handed).toBeLessThan(24)
  // what was collected is given back a moment later
  await until(() => {
    collect()
    return process.memoryUsage().arrayBuffers - least < 24 * windowBytes
  }, 'no more than a few windows are held')
  gate.resolve()
  gate = Promise.withResolvers()
  gate.resolve()
  await sending
  await one.done
  expect(bytes).toBe(64 * 1024 ** 2)
  expect(received.digest('hex')).toBe(sent.digest('hex'))
  await forward.close()
  await forward.done
})

test('TM-A7: neither a place that the catalog does not name, nor one that was not asked for, is reached', async () => {
  const refused = async (target: string, to: HostPort[]) => ask(alice, to, {target}).outcome
  expect(await refused('other', [{host: 'localhost', port: 80}])).toBe('FORWARD_REFUSED')
  expect(await refused('other', [servers.echo, {host: '10.0.0.1', port: 5432}])).toBe('FORWARD_REFUSED')
  for (const host of [
    '169.254.169.254',
    '0.0.0.0',
    '127.0.0.2',
    '127.1',
    '0x7f000001',
    'metadata.google.internal',
    '::ffff:169.254.169.254',
  ])
    expect([host, await refused('other', [{host, port: servers.echo.port}])]).toEqual([host, 'FORWARD_REFUSED'])
  expect(await refused('shut', [servers.echo])).toBe('FORWARD_REFUSED')
  expect(await refused('elsewhere', [servers.echo])).toBe('TARGET_NOT_FOUND')
  const told = (await core.events('request.refused')).filter(({subject}) => subject === 'shut')
  expect(told).toMatchObject([{data: {kind: 'forward'}, personal: {to: [`127.0.0.1:${servers.echo.port}`], name: 'alice'}}])

  const forward = await open(alice, [servers.echo])
  await expect(connect(alice, forward.id, servers.greeter)).rejects.toMatchObject({code: 'FORWARD_REFUSED'})
  await expect(connect(alice, forward.id, {host: '169.254.169.254', port: 80})).rejects.toMatchObject({code: 'FORWARD_REFUSED'})
  await expect(connect(alice, 'ses_00000000000000000', servers.echo)).rejects.toMatchObject({code: 'SESSION_NOT_FOUND'})
  await expect(connect(await core.as('erin'), forward.id, servers.echo)).rejects.toMatchObject({code: 'SESSION_NOT_FOUND'})
  // the same person by another login: it is not the one that opened it
  await expect(connect(await core.as('alice', true), forward.id, servers.echo)).rejects.toMatchObject({code: 'SESSION_NOT_FOUND'})
  await forward.close()
  await forward.done
  await expect(connect(alice, forward.id, servers.echo)).rejects.toMatchObject({code: 'SESSION_NOT_FOUND'})
})

test('where nobody listens, the connection fails and the forward stays', async () => {
  const forward = await open(alice, [servers.nobody, servers.echo])
  await expect(connect(alice, forward.id, servers.nobody)).rejects.toMatchObject({
    code: 'TARGET_UNREACHABLE',
    message: expect.stringContaining('nobody listens'),
  })
  expect(await echoed(alice, forward.id, 'still')).toBe('still')
  const mine = (await core.events('forward.disconnected')).filter(({subject}) => subject === forward.id)
  expect(mine[0]).toMatchObject({data: {endedBy: 'not opened', bytesIn: 0, bytesOut: 0}})
  await forward.close()
  await forward.done
})

test('the approval names target and every place; who approved those approved no other', async () => {
  const bob = await core.as('bob')
  const forward = ask(alice, [servers.greeter, servers.echo, servers.echo], {target: 'local'})
  const {request, summary} = await forward.message('waiting')
  const places = [servers.echo, servers.greeter].sort((a, b) => (String(a.port) < String(b.port) ? -1 : 1))
  expect(summary).toBe(`a forward through local (production) to ${places.map(({port}) => `127.0.0.1:${port}`).join(', ')}`)
  const document = JSON.parse((await bob.client.call(api.requestDocument, {id: request})).document) as object
  expect(document).toMatchObject({
    kind: 'forward',
    class: 'change',
    targets: [{name: 'local', environment: 'production'}],
    to: places,
    durationSeconds: 28_800,
    retention: 'none',
    argv: null,
    program: null,
    runAs: null,
  })
  await expect(alice.approve(request)).rejects.toMatchObject({code: 'SELF_APPROVAL'})
  await bob.approve(request)
  const {id} = await forward.message('started')
  expect(await echoed(alice, id, 'approved')).toBe('approved')
  ;(await forward.connection).send({type: 'cancel'})
  expect(await forward.done).toMatchObject({endedBy: 'cancelled'})
})

test('a forward that nobody waits for is a request, which opens it once it is approved', async () => {
  const waiting = ask(alice, [servers.echo], {target: 'local', wait: false})
  const {request} = await waiting.message('pending')
  await (await core.as('bob')).approve(request)
  const taken = stream(alice, {type: 'attach', id: request, have: {stdout: 0, stderr: 0}, client: told})
  const {id} = await taken.message('started')
  expect(await echoed(alice, id, 'later')).toBe('later')
  ;(await taken.connection).send({type: 'stdin-end'})
  expect(await taken.done).toMatchObject({exit: {status: 0}})
})

test('who may not forward is denied, and told how it could be', async () => {
  const outcome = ask(await core.as('carol'), [servers.echo])
  await expect(outcome.done).rejects.toMatchObject({code: 'DENIED', message: expect.stringContaining('forward ports through other')})
})

/** A forward with a connection that is open; `gone` resolves with how the forward ended and the connection broke. */
async function used(person: Person, more?: Partial<FirstMessage & {type: 'forward'}>) {
  const forward = await open(person, [servers.echo], more)
  const first = Promise.withResolvers<void>()
  const one = await connect(person, forward.id, servers.echo, () => first.resolve())
  await one.link.sendStdin(Buffer.from('x'))
  await first.promise
  const gone = Promise.all([forward.done, one.done.catch(error => error as EndPayload)])
  return {forward, one, gone}
}

test('TM-N4: a forward whose right ends is over with all its connections, within seconds', async () => {
  const carol = await core.as('carol')
  const {id: request} = await carol.client.call(api.createRequest, {role: 'porter', durationSeconds: 600, reason, key: newKey()})
  const grant = async () => (await carol.client.call(api.listGrants)).grants.find(one => one.request === request)
  await until(async () => (await grant())?.state === 'active', 'the grant')
  const again = await core.as('carol', true)
  const {gone, forward} = await used(again)
  await carol.client.call(api.revokeGrant, {id: (await grant())?.id as string})
  expect((await gone).map(one => one?.endedBy)).toEqual([expect.stringMatching(/^revoked/), expect.stringMatching(/^revoked/)])
  expect((await core.events('session.closed')).at(-1)).toMatchObject({subject: forward.id, data: {traffic: {connections: 1, bytesIn: 1}}})
})

test('whoever may watch a target may end a forward through it; there is nothing to watch', async () => {
  const {forward, gone} = await used(alice)
  const carol = await core.as('carol')
  const watching = stream(carol, {type: 'watch', session: forward.id, client: told})
  expect(await watching.outcome).toBe('BAD_REQUEST')
  await carol.client.call(api.endSession, {id: forward.id, note: 'enough'})
  expect((await gone).map(one => one?.endedBy)).toEqual(['ended by carol', 'ended by carol'])
})

test('TM-N4: the end of the login ends it', async () => {
  const erin = await core.as('erin', true)
  const {gone} = await used(erin)
  await erin.logout()
  expect((await gone)[0]?.endedBy).toMatch(/^revoked/)
})

test('TM-F5: a freeze ends a forward, and lets none begin', async () => {
  const {gone, forward} = await used(alice)
  await alice.client.call(api.freeze, {reason: 'something is wrong'})
  expect((await gone).map(one => one?.endedBy)).toEqual(['frozen', 'frozen'])
  expect(await ask(alice, [servers.echo]).outcome).toBe('FROZEN')
  for (const name of ['bob', 'carol']) await (await core.as(name)).client.call(api.liftFreeze, {reason: 'it is well again'})
  expect(forward.messages.filter(({type}) => type === 'started')).toHaveLength(1)
  expect(await echoed(alice, (await open(alice, [servers.echo])).id, 'again')).toBe('again')
})

test('TM-O1, TM-O2, TM-O5: by breaking glass it opens after the name was typed and both channels have accepted, and a review waits', async () => {
  const forward = await open(alice, [servers.echo], {target: 'local', incident, breakGlass: {confirmed: null}})
  expect(await forward.message('confirm')).toMatchObject({
    text: 'local',
    banner: [expect.stringContaining('BREAK-GLASS on local'), expect.stringContaining('Each connection is written down')],
  })
  expect(await forward.message('started')).toMatchObject({banner: [expect.stringContaining('BREAK-GLASS'), expect.anything()]})
  for (const name of ['a', 'b'] as const)
    expect(alerts(core, name).filter(one => one.subject === forward.id)).toMatchObject([{type: 'break-glass.started', principal: 'alice'}])
  expect(await echoed(alice, forward.id, 'loud')).toBe('loud')
  const {review, expiresAt, openedAt} = await alice.client.call(api.showSession, {id: forward.id})
  expect(Date.parse(expiresAt) - Date.parse(openedAt)).toBe(3_600_000)
  await forward.close()
  await forward.done
  const carol = await core.as('carol')
  expect((await carol.client.call(api.listReviews)).reviews.filter(one => one.session === forward.id)).toMatchObject([
    {id: review, state: 'open'},
  ])
  expect((await core.events('session.opened')).at(-1)).toMatchObject({data: {breakGlass: true, incident, alerted: ['a', 'b'], review}})
})

test('of more connections than the broker lets through at once, each one that ends makes room', async ({onTestFinished}) => {
  const own = await startCore(onTestFinished, {files, settings: {forward: {maxSeconds: 600, connections: 3}}})
  const someone = await own.as('alice')
  const forward = await open(someone, [servers.echo])
  const some = await Promise.all([1, 2, 3].map(() => connect(someone, forward.id, servers.echo)))
  await expect(connect(someone, forward.id, servers.echo)).rejects.toMatchObject({code: 'LIMIT_REACHED'})
  const second = await open(someone, [servers.echo])
  await expect(connect(someone, second.id, servers.echo)).rejects.toMatchObject({code: 'LIMIT_REACHED'})
  await some[0]?.end()
  await some[0]?.done
  await until(async () => {
    const one = await connect(someone, forward.id, servers.echo).catch(() => undefined)
    return one !== undefined
  }, 'room')
})

test('TM-L2: a forward lasts no longer than the owners of its target let anything last', async () => {
  const forward = await open(alice, [servers.echo], {target: 'brief'})
  expect(await forward.done).toMatchObject({endedBy: 'limit: time'})
  const {openedAt, expiresAt} = await alice.client.call(api.showSession, {id: forward.id})
  expect(Date.parse(expiresAt) - Date.parse(openedAt)).toBe(1000)
})

test('TM-A15: connections are counted by their forward, not among the streams that one person may have open', async () => {
  const forward = await open(alice, [servers.echo])
  const some = []
  for (let batch = 0; batch < 8; batch++)
    some.push(...(await Promise.all(Array.from({length: 16}, () => connect(alice, forward.id, servers.echo)))))
  expect(some).toHaveLength(128)
  expect(await echoed(alice, forward.id, 'and one more')).toBe('and one more')
  await forward.close()
  await Promise.allSettled(some.map(({done}) => done))
  await forward.done
})
