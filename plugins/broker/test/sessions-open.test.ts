/** Before a shell opens: what break-glass demands. One broker serves most tests; those that change its settings have their own. */
import {mkdtempSync, readdirSync, rmSync} from 'node:fs'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {api} from '@prod/sdk/api'
import {afterAll, beforeAll, expect, test} from 'vitest'
import type {Config} from '../src/config.ts'
import {defaults} from '../src/config.ts'
import {fromPlace} from '../src/sessions/break-glass.ts'
import {type Core, type OnFinished, prepareFolder, startCore} from './core.ts'
import {alerts, ask, attach, incident, leave, open, openCuttable, prompt, reason, shellMessage, stream, until} from './sessions-shell.ts'

let core: Core
const ends: Parameters<OnFinished>[0][] = []
beforeAll(async () => {
  core = await startCore(end => ends.push(end))
})
afterAll(async () => {
  for (const end of ends) await end()
})

const breakGlass = (more: Partial<Config['breakGlass']>) => ({breakGlass: {...defaults.breakGlass, ...more}})
const folders = (dir: string) => readdirSync(join(dir, 'recordings'))
const sessionsOf = async (of: Core, name: string) => (await (await of.as(name)).client.call(api.listSessions)).sessions

test.for([
  ['no reason', {reason: ''}, 'REASON_INVALID'],
  ['no incident', {incident: undefined}, 'INCIDENT_INVALID'],
  ['an incident of another form', {incident: 'because'}, 'INCIDENT_INVALID'],
  ['another name typed', {confirmed: 'Local'}, 'CONFIRMATION_FAILED'],
  ['a piped yes', {confirmed: 'y'}, 'CONFIRMATION_FAILED'],
  ['an unknown target', {target: 'elsewhere'}, 'TARGET_NOT_FOUND'],
] as const)('TM-O1: with %s nothing opens', async ([, more, code]) => {
  const {incident: given, ...rest} = {...shellMessage(), ...more}
  const alice = await core.as('alice')
  const before = alerts(core, 'a').length
  expect(await stream(alice, {...rest, ...(given === undefined ? {} : {incident: given})}).outcome).toBe(code)
  expect(await sessionsOf(core, 'alice')).toEqual([])
  expect([folders(core.dir), alerts(core, 'a').length]).toEqual([[], before])
})

test('TM-O1: a refused break-glass is in the log with its reason and incident', async () => {
  await ask(await core.as('erin'), {confirmed: 'n'}).outcome
  const refused = (await core.events('break-glass.refused')).filter(({personal}) => personal.name === 'erin')
  expect(refused).toMatchObject([
    {subject: 'local', data: {code: 'CONFIRMATION_FAILED', incident}, personal: {reason, name: 'erin', address: '127.0.0.1'}},
  ])
})

test('TM-O1: somebody who may not break glass is denied before anything is asked of them', async () => {
  const shell = ask(await core.as('carol'))
  expect(await shell.outcome).toBe('DENIED')
  expect(shell.messages).toEqual([])
})

test('TM-O1, TM-O2, TM-O5: a shell opens after the name was typed and both channels have accepted; review and banner come with it', async () => {
  const alice = await core.as('alice')
  const shell = await open(alice)
  const confirm = await shell.message('confirm')
  expect(confirm).toMatchObject({
    text: 'local',
    banner: [expect.stringContaining('BREAK-GLASS on local (production)'), expect.stringContaining('recorded')],
  })
  expect(await shell.message('started')).toMatchObject({target: 'local', environment: 'production', banner: confirm.banner})
  // the mark stays in sight as long as the shell does
  expect(shell.so).toContain(prompt)
  for (const name of ['a', 'b'] as const) {
    expect(alerts(core, name).filter(one => one.subject === shell.id)).toMatchObject([
      {type: 'break-glass.started', principal: 'alice', target: 'local (production)', reason: expect.stringContaining(reason)},
    ])
  }
  const [session] = await sessionsOf(core, 'alice')
  expect(session).toMatchObject({
    id: shell.id,
    state: 'open',
    breakGlass: true,
    alerted: true,
    incident,
    review: expect.stringMatching(/^rev_/),
  })
  expect((await (await core.as('carol')).client.call(api.listReviews)).reviews).toMatchObject([
    {id: session?.review, session: shell.id, state: 'open'},
  ])
  const [opened] = (await core.events('session.opened')).filter(({subject}) => subject === shell.id)
  expect(opened?.data).toMatchObject({review: session?.review, alerted: ['a', 'b']})

  expect(await leave(shell)).toMatchObject({exit: {status: 0}, endedBy: null})
  for (const name of ['a', 'b'] as const) {
    await until(() => alerts(core, name).some(one => one.subject === shell.id && one.type === 'break-glass.ended'), 'the alert of the end')
  }
})

test('TM-O1: with a login of an hour ago nothing opens', async ({onTestFinished}) => {
  const own = await startCore(onTestFinished)
  const alice = await own.as('alice')
  own.forward(3_600_000)
  expect(await ask(alice).outcome).toBe('FRESH_LOGIN_REQUIRED')
})

/** A receiver of the tests' own: what it does with a notice can be changed. */
async function openReceiver(onFinished: OnFinished): Promise<{url: string; status: number | 'hang'; seen: number}> {
  const state = {url: '', status: 204 as number | 'hang', seen: 0}
  const server = createServer((request, response) => {
    request.resume()
    state.seen += 1
    if (state.status !== 'hang') response.writeHead(state.status, {location: '/'}).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return state
}

/** A broker with these receivers as its two channels. */
async function startWithReceivers(
  onFinished: OnFinished,
  urls: [string, string],
  more: Partial<Config['breakGlass']> = {},
  settings: Partial<Pick<Config, 'places'>> = {},
): Promise<Core> {
  const dir = mkdtempSync(join(tmpdir(), 'prod-alerts-'))
  onFinished(() => rmSync(dir, {recursive: true, force: true}))
  await prepareFolder(dir)
  const channels = urls.map((url, at) => ({
    name: at === 0 ? 'a' : 'b',
    notifier: 'webhook',
    config: {url, secretFile: join(dir, 'keys/alerts-a.secret')},
  }))
  return startCore(onFinished, {dir, settings: {...breakGlass(more), ...settings, channels}})
}

test('TM-O2: while one channel answers with an error or hangs nothing opens, loudly; when it is mended the same request opens', async ({
  onTestFinished,
}) => {
  const [a, b] = [await openReceiver(onTestFinished), await openReceiver(onTestFinished)]
  const own = await startWithReceivers(onTestFinished, [a.url, b.url], {alertSeconds: 1})
  const alice = await own.as('alice')
  for (const [at, status] of ([500, 302, 'hang'] as const).entries()) {
    b.status = status
    const shell = ask(alice)
    expect([status, await shell.outcome]).toEqual([status, 'ALERTS_NOT_ACCEPTED'])
    expect(shell.messages.filter(({type}) => type === 'started')).toEqual([])
    expect(await sessionsOf(own, 'alice')).toEqual([])
    expect(folders(own.dir)).toEqual([])
    expect(own.alarms).toHaveLength(at + 1)
    expect((await own.events('break-glass.unalerted')).at(-1)).toMatchObject({
      data: {code: 'ALERTS_NOT_ACCEPTED', target: 'local', incident},
      personal: {name: 'alice', reason},
    })
  }
  expect(a.seen).toBe(3)
  b.status = 204
  const {requests} = await alice.client.call(api.listRequests, {mine: 'true'})
  const taken = attach(alice, requests[0]?.id as string)
  await taken.shows(prompt)
  await leave(taken)
})

test('TM-O2: where the operator allows it, a second person who approves just then stands in for dead channels; the log says unalerted, and the alerts are tried on', async ({
  onTestFinished,
}) => {
  const [a, b] = [await openReceiver(onTestFinished), await openReceiver(onTestFinished)]
  a.status = b.status = 500
  const own = await startWithReceivers(onTestFinished, [a.url, b.url], {alertSeconds: 1, withoutAlerts: true})
  const [alice, bob] = [await own.as('alice'), await own.as('bob')]
  const shell = ask(alice)
  const {request, summary} = await shell.message('waiting')
  expect(summary).toMatch(/its alerts were not accepted$/)
  expect(await sessionsOf(own, 'alice')).toEqual([])
  await expect(alice.approve(request)).rejects.toMatchObject({code: 'SELF_APPROVAL'})
  await bob.approve(request)
  await shell.shows(prompt)
  expect((await own.events('session.opened')).at(-1)).toMatchObject({data: {alerted: [], breakGlass: true}})
  expect(await sessionsOf(own, 'alice')).toMatchObject([{alerted: false}])
  a.status = b.status = 204
  const before = a.seen
  own.forward(10 * 60_000)
  await until(() => a.seen > before, 'the alert that is tried on')
  await leave(shell)
})

test('TM-O2: whoever leaves while the alerts are tried opens nothing', async ({onTestFinished}) => {
  const [a, b] = [await openReceiver(onTestFinished), await openReceiver(onTestFinished)]
  b.status = 'hang'
  const own = await startWithReceivers(onTestFinished, [a.url, b.url])
  const alice = await own.as('alice')
  const shell = ask(alice)
  await shell.message('notice')
  ;(await shell.connection).send({type: 'cancel'})
  expect(await shell.outcome).toBe('REQUEST_CANCELLED')
  const other = ask(alice)
  await other.message('notice')
  ;(await other.connection).close()
  await until(async () => (await own.events('break-glass.unalerted')).length === 2, 'the record of both')
  expect(await sessionsOf(own, 'alice')).toEqual([])
})

test('TM-O2: two names of one receiver are one channel, and open nothing', async ({onTestFinished}) => {
  const a = await openReceiver(onTestFinished)
  const own = await startWithReceivers(onTestFinished, [a.url, a.url])
  expect(await ask(await own.as('alice')).outcome).toBe('ALERTS_NOT_ACCEPTED')
  expect(await sessionsOf(own, 'alice')).toEqual([])
})

test('TM-O2, TM-O7: an open session is told again and again, and ends at its limit', async ({onTestFinished}) => {
  const own = await startCore(onTestFinished, {settings: breakGlass({remindSeconds: 1, maxSeconds: 3})})
  const alice = await own.as('alice')
  const shell = await open(alice)
  const end = await shell.done
  expect(end).toMatchObject({endedBy: 'limit: time'})
  const types = () =>
    alerts(own, 'a')
      .filter(one => one.subject === shell.id)
      .map(one => one.type)
  await until(() => types().includes('break-glass.ended'), 'the last alert')
  expect(types()[0]).toBe('break-glass.started')
  expect(types().filter(type => type === 'break-glass.goes-on').length).toBeGreaterThanOrEqual(1)
  // it is over for good: no second use of the same request, no longer life of the same session
  const [request] = (await alice.client.call(api.listRequests, {mine: 'true'})).requests
  for (const id of [request?.id as string, shell.id])
    expect(await attach(alice, id).done).toMatchObject({id: shell.id, endedBy: 'limit: time'})
  expect(await sessionsOf(own, 'alice')).toHaveLength(1)
})

test('TM-O3: a place is an IPv4 or IPv6 range; an IPv4 address written as IPv6 is that address, and nothing else is', () => {
  const places = ['10.1.2.0/24', '2001:db8:1::/48']
  for (const inside of ['10.1.2.3', '::ffff:10.1.2.3', '::ffff:a01:203', '2001:db8:1::5'])
    expect([inside, fromPlace(places, inside)]).toEqual([inside, true])
  for (const outside of [
    '10.1.3.3',
    '::10.1.2.3',
    '64:ff9b::10.1.2.3',
    '2001:db8:2::5',
    '::ffff:10.1.3.3',
    '',
    'unknown',
    '10.1.2.3, 10.1.2.4',
    '10.1.2',
    'localhost',
  ]) {
    expect([outside, fromPlace(places, outside)]).toEqual([outside, false])
  }
  expect(fromPlace([], '127.0.0.1')).toBe(false)
})

test('TM-O3: from elsewhere, whatever a forwarded header says, a second person must agree first', async ({onTestFinished}) => {
  const places = ['10.9.8.0/24']
  const own = await startCore(onTestFinished, {settings: {places}})
  const [alice, bob] = [await own.as('alice'), await own.as('bob')]
  await expect(
    openCuttable(alice, {'x-forwarded-for': '10.9.8.7', 'x-real-ip': '10.9.8.7', forwarded: 'for=10.9.8.7'}),
  ).rejects.toMatchObject({type: 'waiting'})
  expect(await sessionsOf(own, 'alice')).toEqual([])
  expect((await own.events('request.created')).at(-1)).toMatchObject({
    data: {breakGlass: true, approvalsNeeded: 1},
    personal: {address: '127.0.0.1'},
  })

  const shell = ask(alice)
  const {request} = await shell.message('waiting')
  await expect(alice.approve(request)).rejects.toMatchObject({code: 'SELF_APPROVAL'})
  await bob.approve(request)
  await shell.shows(prompt)
  await leave(shell)
})

test('TM-O3: what was asked for in a listed place is not opened, nor taken up, from another', async ({onTestFinished}) => {
  const places = ['127.0.0.0/8']
  const [a, b] = [await openReceiver(onTestFinished), await openReceiver(onTestFinished)]
  b.status = 500
  const own = await startWithReceivers(onTestFinished, [a.url, b.url], {alertSeconds: 1}, {places})
  const alice = await own.as('alice')
  expect(await ask(alice).outcome).toBe('ALERTS_NOT_ACCEPTED')
  b.status = 204
  places[0] = '10.9.8.0/24'
  const {requests} = await alice.client.call(api.listRequests, {mine: 'true'})
  expect(await attach(alice, requests[0]?.id as string).outcome).toBe('PLACE_REFUSED')
  expect(await sessionsOf(own, 'alice')).toEqual([])
})
