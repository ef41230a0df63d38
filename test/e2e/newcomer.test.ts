/** What somebody meets who uses prod for the first time. */

import {spawn} from 'node:child_process'
import {once} from 'node:events'
import type {Request} from '@prod/sdk'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {cli, type RealBroker, type RealPerson, startRealBroker} from './broker.ts'
import {openScreen} from './screen.ts'

const reason = ['--reason', 'to see what it is like']
const finish: (() => Promise<void>)[] = []
let broker: RealBroker
let alice: RealPerson
let bob: RealPerson
let carol: RealPerson

beforeAll(async () => {
  broker = await startRealBroker(step => finish.push(step))
  alice = broker.as('alice')
  bob = broker.as('bob')
  carol = broker.as('carol')
  await Promise.all([alice, bob, carol].map(one => one.login()))
})
afterAll(async () => {
  for (const step of finish) await step()
})

const waiting = async (): Promise<string> => (await alice.run(['exec', ...reason, '--nowait', 'web', 'restart'])).stdout.trim()

test('what needs no approval and starts later says when it starts', async () => {
  const {status, stderr} = await alice.run(['exec', ...reason, '--at', new Date(Date.now() + 2500).toISOString(), 'date'])
  expect(stderr).toMatch(/^prod: req_\w+ starts at \d\d:\d\d:\d\d\n$/)
  expect(status).toBe(0)
})

test('what needs approval and starts later says both', async ({onTestFinished}) => {
  const screen = await openScreen(onTestFinished, alice, ['exec', ...reason, '--at', '+2h', 'web', 'restart'], {columns: 120})
  await screen.until(/waiting since \S+ for one of: bob; starts at (\S+ )?\d\d:\d\d:\d\d/)
  screen.type('\x03')
  expect(await screen.ended).toBe(130)
})

test('at a terminal --nowait says how to wait for it later', async ({onTestFinished}) => {
  const screen = await openScreen(onTestFinished, alice, ['exec', ...reason, '--nowait', 'web', 'restart'])
  expect(await screen.ended).toBe(245)
  const [, id] = /^prod: prod attach (req_\w+) waits for it$/m.exec(screen.text()) ?? []
  expect(screen.text()).toMatch(new RegExp(`^${id}$`, 'm'))
  await alice.run(['request', 'cancel', id as string])
})

test('what nobody could approve is said before anything is asked', async ({onTestFinished}) => {
  const none = await openScreen(onTestFinished, bob, ['request', 'approve'])
  expect(await none.ended).toBe(241)
  expect(none.text()).toMatch(/^prod: nothing waits for you$/m)

  const id = await waiting()
  const own = await alice.run(['request', 'approve', id])
  expect([own.status, own.stdout, own.stderr]).toEqual([243, '', expect.stringMatching(/^prod: nobody approves their own request$/m)])

  const no = await openScreen(onTestFinished, bob, ['request', 'approve', id])
  await no.until(/approve exactly this\?/)
  no.type('n\r')
  expect(await no.ended).toBe(130)
  expect(no.text()).toMatch(new RegExp(`^prod: not approved; prod request deny ${id} says no to it$`, 'm'))

  expect((await alice.run(['request', 'cancel', id])).status).toBe(0)
  const over = await bob.run(['request', 'approve', id])
  expect(over.stdout).toBe('')
  expect(over.stderr).toMatch(new RegExp(`^prod: request ${id} is cancelled already$`, 'm'))
  expect(over.stderr).not.toContain('--yes')
})

test('ids stand whole in tables at a terminal of 80 columns', async ({onTestFinished}) => {
  const id = await waiting()
  const screen = await openScreen(onTestFinished, bob, ['request', 'ls'], {columns: 80})
  expect(await screen.ended).toBe(0)
  expect(screen.text()).toContain(`${id}  `)
  await alice.run(['request', 'cancel', id])
})

test('a session, a request or a run to attach to is picked from a list', async ({onTestFinished}) => {
  const id = await waiting()
  const attach = await openScreen(onTestFinished, alice, ['attach'])
  await attach.until(new RegExp(`request[\\s\\S]*${id}`))
  attach.type('\r')
  await attach.until(/for one of: bob/)
  attach.type('\x03')
  expect(await attach.ended).toBe(130)
  expect((JSON.parse((await alice.run(['request', 'show', id, '--json'])).stdout) as Request).state).toBe('cancelled')

  const watch = await openScreen(onTestFinished, carol, ['sessions', 'watch'])
  expect(await watch.ended).toBe(241)
  expect(watch.text()).toMatch(/there is no session to choose/)
})

test('what review done asks for is checked where it is typed', async ({onTestFinished}) => {
  const screen = await openScreen(onTestFinished, carol, ['review', 'done', 'rev_00000000000000000', '--verdict', 'ok'])
  await screen.until(/what was found/)
  screen.type('fine\r')
  await screen.until(/10 letters at least/)
  screen.type('\x15restarted the agent\r')
  expect(await screen.ended).toBe(241)
  expect(screen.text()).toMatch(/there is no review rev_00000000000000000/)
})

test('a second freeze says whose the first is and alarms nobody again', async () => {
  expect((await alice.run(['freeze', '--reason', 'payments lose money'])).stdout).toMatch(/^frozen by alice since/)
  expect((await bob.run(['freeze', '--reason', 'payments do lose money'])).stdout).toMatch(
    /^already frozen by alice since \S+: payments lose money; yours is noted$/m,
  )
  const whoami = await alice.run(['whoami'])
  expect(whoami.stdout).toContain('FROZEN: by alice')
  await bob.run(['freeze', '--lift', '--reason', 'it is mended now'])
  await carol.run(['freeze', '--lift', '--reason', 'it is mended now'])
  expect((await alice.run(['whoami'])).stdout).not.toContain('FROZEN')
})

test('what follows the log ends when its reader goes, not with the next record', async () => {
  await carol.run(['audit', 'tail', '-n', '1'])
  const shell = spawn('sh', ['-c', '"$0" "$1" audit tail -f | head -2', process.execPath, cli], {
    env: carol.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  shell.stdout.resume()
  const from = Date.now()
  await once(shell, 'close')
  expect(Date.now() - from).toBeLessThan(8000)
})

test('whoami says of when it is, and that the broker is away once it cannot be right any more', async () => {
  expect((await bob.run(['whoami'])).stdout).not.toMatch(/^as of/m)
  expect((await bob.run(['whoami'])).stdout).toMatch(/^as of \d\d:\d\d:\d\d$/m)
  await bob.run(['exec', ...reason, 'date'])
  await broker.stop()
  expect(await bob.run(['whoami', '--broker', broker.url])).toMatchObject({status: 246, stdout: ''})
})
