import {spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {writeFileSync} from 'node:fs'
import {createServer, type ServerResponse} from 'node:http'
import type {AddressInfo} from 'node:net'
import {join} from 'node:path'
import type {NoticeChannel} from '@prod/sdk'
import {openEntry} from '@prod/sdk/log/envelope'
import {notifier, verifyWebhook} from '@prod/webhook'
import {expect, onTestFinished, test} from 'vitest'
import {backOff, deliverDue, delivered} from '../src/outbox/deliver.ts'
import {approveNotice, deniedNotice} from '../src/outbox/notices.ts'
import type {RequestRecord} from '../src/requests/state.ts'
import type {Store} from '../src/stores/store.ts'
import {notice} from './outbox-notice.ts'
import {makeFolder, openFolder} from './store-folder.ts'

type Answer = (response: ServerResponse) => void
const status =
  (code: number, headers = {}, body = '') =>
  (response: ServerResponse) =>
    void response.writeHead(code, headers).end(body)

/** A real receiver that checks signatures: `ids` are those of notices it got, in order. */
async function receiver() {
  const secret = `whsec_${randomBytes(32).toString('base64')}`
  const ids: string[] = []
  let answer: Answer = status(204)
  let got = () => {}
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      ids.push(verifyWebhook(request.headers, Buffer.concat(chunks), [secret], new Date()).id)
      answer(response)
      got()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    secret,
    ids,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    answer: (how: Answer) => {
      answer = how
    },
    next: () => new Promise<void>(resolve => (got = resolve)),
  }
}

type Receiver = Awaited<ReturnType<typeof receiver>>

function folder() {
  const made = makeFolder()
  onTestFinished(made.remove)
  return made.dir
}

function channelTo(dir: string, {url, secret}: Receiver, name = 'chat'): NoticeChannel & {secretFile: string} {
  const secretFile = join(dir, `${name}.secret`)
  writeFileSync(secretFile, secret, {mode: 0o600})
  return {...notifier.channel(name, {url, secretFile, development: true}), secretFile}
}

async function setUp() {
  const dir = folder()
  const to = await receiver()
  let ahead = 0
  const store = await openFolder(dir, () => new Date(Date.now() + ahead))
  onTestFinished(() => store.close())
  const alarms: string[] = []
  const channels = new Map<string, NoticeChannel>([['chat', channelTo(dir, to)]])
  const parts = {store, channels, alarm: (what: string) => void alarms.push(what)}
  return {
    dir,
    to,
    store,
    alarms,
    channels,
    parts,
    forward: (seconds: number) => {
      ahead += seconds * 1000
    },
    say: (id: string, ...names: string[]) =>
      store.commit({events: [], notices: [{channels: names.length > 0 ? names : ['chat'], notice: notice(id)}]}),
    async pass(signal = new AbortController().signal) {
      const taken = await deliverDue(parts, signal)
      await delivered(parts)
      return taken
    },
  }
}

async function eventsOf(store: Store, type: string) {
  return (await store.entries({from: 0, limit: 100, type})).map(openEntry)
}

test.each<[string, Answer]>([
  ['answers 500', status(500)],
  ['answers 302', status(302, {location: 'http://127.0.0.1:9/'})],
  ['answers 404', status(404)],
  ['cuts the connection', response => void response.destroy()],
])('TM-B6: a notice whose receiver %s is kept and sent again under one id until it is accepted', async (_, bad) => {
  const {to, store, say, pass, forward} = await setUp()
  to.answer(bad)
  await say('ntc_1')
  expect(await pass()).toBe(1)
  expect(await store.countNotices()).toMatchObject({waiting: 1, dead: 0})
  expect(await pass()).toBe(0) // not before its time
  forward(2)
  expect(await pass()).toBe(1)
  to.answer(status(200, {}, '{"ok":true}'))
  forward(5)
  expect(await pass()).toBe(1)
  expect(to.ids).toEqual(['ntc_1', 'ntc_1', 'ntc_1'])
  expect(await store.countNotices()).toMatchObject({waiting: 0, dead: 0})
  forward(90_000)
  expect(await pass()).toBe(0)
})

test('TM-B6: a receiver that hangs holds up nobody: other notices leave, and the pass itself returns at once', async () => {
  const {dir, to, say, parts, channels, store} = await setUp()
  const other = await receiver()
  channels.set('pager', channelTo(dir, other, 'pager'))
  to.answer(() => {})
  const stop = new AbortController()
  await say('ntc_1', 'chat', 'pager')
  const [hanging, taken] = [to.next(), other.next()]
  const began = performance.now()
  expect(await deliverDue(parts, stop.signal)).toBe(2)
  expect(performance.now() - began).toBeLessThan(1000)
  await Promise.all([hanging, taken])
  expect(other.ids).toEqual(['ntc_1'])
  await expect.poll(async () => (await store.countNotices()).waiting).toBe(1)

  // a broker that stops does not wait, and the notice is due at once for the next one
  stop.abort()
  await delivered(parts)
  to.answer(status(204))
  expect(await deliverDue(parts, new AbortController().signal)).toBe(1)
  await delivered(parts)
  expect(to.ids).toEqual(['ntc_1', 'ntc_1'])
  expect(await store.countNotices()).toMatchObject({waiting: 0})
})

test.each<[string, boolean, string[]]>([
  ['between commit and send', false, ['ntc_1']],
  ['between send and its note that it was accepted', true, ['ntc_1', 'ntc_1']],
])('TM-B6: a broker killed %s loses nothing: the next one sends it, under the same id', async (_, sending, expected) => {
  const dir = folder()
  const to = await receiver()
  const channel = channelTo(dir, to)
  to.answer(sending ? () => {} : status(204))
  const arrived = sending ? to.next() : Promise.resolve()
  const child = spawn(
    process.execPath,
    ['--conditions=source', new URL('./outbox-child.ts', import.meta.url).pathname, dir, ...(sending ? [to.url, channel.secretFile] : [])],
    {stdio: ['ignore', 'pipe', 'inherit']},
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  await Promise.all([once(child.stdout, 'data'), arrived])
  child.kill('SIGKILL')
  await once(child, 'exit')

  to.answer(status(204))
  const store = await openFolder(dir, () => new Date(Date.now() + (sending ? 61_000 : 0)))
  onTestFinished(() => store.close())
  expect(await store.find('request', 'req_1')).toMatchObject({version: 1})
  const parts = {store, channels: new Map([['chat', channel]]), alarm: () => {}}
  expect(await deliverDue(parts, new AbortController().signal)).toBe(1)
  await delivered(parts)
  expect(to.ids).toEqual(expected)
  expect(await store.countNotices()).toMatchObject({waiting: 0, dead: 0})
})

test('TM-B6: after 24 hours a notice is given up loudly: an event, an alarm, a count', async () => {
  const {to, say, pass, forward, store, alarms} = await setUp()
  to.answer(status(503))
  await say('ntc_1')
  await pass()
  forward(24 * 3600 - 10)
  await pass()
  expect([alarms, await store.countNotices()]).toMatchObject([[], {waiting: 1, dead: 0}])
  forward(3600)
  await pass()
  expect(alarms).toEqual(['a notice could not be delivered for 24 hours'])
  expect(await store.countNotices()).toMatchObject({waiting: 0, dead: 1})
  expect(await eventsOf(store, 'notice.dead')).toMatchObject([{subject: 'ntc_1', by: 'broker', data: {channel: 'chat', about: 'req_1'}}])
})

test('a notice to a channel that the configuration lost waits for it to come back', async () => {
  const {say, pass, forward, channels, store, to} = await setUp()
  const [chat] = channels.values()
  channels.delete('chat')
  await say('ntc_1')
  await pass()
  expect(await store.countNotices()).toMatchObject({waiting: 1, dead: 0})
  channels.set('chat', chat!)
  forward(5)
  await pass()
  expect(to.ids).toEqual(['ntc_1'])
})

test('pauses grow from a second to five minutes', () => {
  expect([0, 1, 2, 8, 9, 500].map(backOff)).toEqual([1000, 2000, 4000, 256_000, 300_000, 300_000])
})

test('TM-B8: the head of a notice is what the store knows, and what people wrote is inert in it', async () => {
  const {store} = await setUp()
  const hostile = 'because\r\nrisk: read\u001b[2J \u202egpj ```'
  const record = {
    id: 'req_1',
    draft: {kind: 'exec', reason: hostile},
    principal: {iss: 'i', sub: 's', person: 'alice', name: 'al\u0456ce\u001b[31m'},
    class: 'admin',
    environment: 'production',
    digest: 'ab',
    breakGlass: false,
    document: JSON.stringify({targets: [{name: 'web', address: 'host:web', environment: 'production'}], role: null}),
  } as unknown as RequestRecord
  const told = deniedNotice({store, newId: () => 'ntc_9'}, record, 'm\u0430llory\n')
  expect(told).toMatchObject({
    id: 'ntc_9',
    risk: 'admin',
    target: 'web (production)',
    digest: 'ab',
    subject: 'req_1',
    principal: String.raw`al\u0456ce\x1b[31m`,
  })
  for (const text of Object.values(told)) expect(String(text)).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
  const role = {...record, document: JSON.stringify({targets: [], role: {name: 'web-operator', provider: 'group', parameters: {}}})}
  expect(approveNotice({store, newId: () => 'ntc_9'}, role).target).toBe('role web-operator')
})
