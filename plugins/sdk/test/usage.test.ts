import {existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, afterEach, beforeEach, expect, test} from 'vitest'
import {writeConfig} from '../src/cli/config.ts'
import {spoolUsage, takeUsage, type UsageEvent} from '../src/cli/usage.ts'
import {sendUsage} from '../src/cli/usage-send.ts'
import {createLoginKey} from '../src/dpop.ts'
import type {Session} from '../src/session.ts'

const saved = process.env.HOME
let home: string
const state = () => join(home, '.local/state/prod')
const files = () => readdirSync(state()).sort()
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'prod-usage-'))
  process.env.HOME = home
  mkdirSync(state(), {recursive: true, mode: 0o700})
})
afterEach(() => rmSync(home, {recursive: true}))
afterAll(() => {
  process.env.HOME = saved
})

const event: UsageEvent = {command: 'exec', durationMs: 5, exit: 0, at: '2026-11-22T00:00:00.000Z', tool: 'unit'}
const kept = {...event, at: Date.parse(event.at)}
const hours = 3_600_000

test('events collect until they are worth a call, or ten minutes old', () => {
  spoolUsage(kept)
  expect(takeUsage()).toBeUndefined()
  expect(takeUsage(Date.now() + hours)?.events).toEqual([event])
  for (let n = 0; n < 10; n += 1) spoolUsage({...kept, exit: n})
  expect(takeUsage()?.events).toEqual([event]) // what was not heard of goes first, under its name
  takeUsage()?.done()
  expect(takeUsage()?.events).toHaveLength(10)
})

test('TM-U1: the spool is bounded, and its person’s alone, also while it is sent', () => {
  for (let n = 0; n < 3000; n += 1) spoolUsage(kept)
  const batch = takeUsage()
  expect(batch?.events.length).toBeGreaterThan(400)
  for (let n = 0; n < 3000; n += 1) spoolUsage(kept)
  expect(takeUsage()?.id).toBe(batch?.id)
  expect(files()).toHaveLength(2)
  for (const name of files()) {
    const {size, mode} = statSync(join(state(), name))
    expect(size).toBeLessThanOrEqual(64 * 1024)
    expect(mode & 0o777).toBe(0o600)
  }
})

test('a line that no broker would take is dropped, so that the others are heard', () => {
  const lines = [
    '{',
    '',
    '[]',
    'null',
    JSON.stringify({...event, argv: ['hunter2']}),
    JSON.stringify({...event, exit: 900}),
    '{"command":"x"}',
  ]
  writeFileSync(join(state(), 'usage.jsonl'), [...lines, ...Array<string>(5).fill(JSON.stringify(event))].join('\n'), {mode: 0o600})
  expect(takeUsage()?.events).toEqual(Array(5).fill(event))
})

test('with telemetry off nothing is kept, and what was kept goes', () => {
  for (let n = 0; n < 9; n += 1) spoolUsage(kept)
  takeUsage()
  spoolUsage(kept)
  writeConfig({telemetry: 'off'})
  spoolUsage(kept)
  expect(takeUsage()).toBeUndefined()
  expect(files()).toEqual([])
  spoolUsage(kept)
  expect(existsSync(join(state(), 'usage.jsonl'))).toBe(false)
})

/** Answers each call with the next of these statuses. */
async function broker(onTestFinished: (act: () => void) => void, ...statuses: number[]) {
  const heard: {batch: string; events: UsageEvent[]}[] = []
  const server = createServer(async (request, response) => {
    const body = (await Array.fromAsync(request)).map(String).join('')
    const status = statuses.shift() ?? 200
    if (status !== 401 || request.headers.dpop === undefined) heard.push(JSON.parse(body))
    response.writeHead(status, status === 401 ? {'dpop-nonce': 'n1'} : {}).end('{}')
  }).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const session = {broker: {name: 'x', url}, key: createLoginKey().key, token: async () => 'token'} as Session
  return {heard, session: async () => session}
}

test('all of it goes in one call; while the broker is down it stays, and then counts once under its name', async ({onTestFinished}) => {
  const {heard, session} = await broker(onTestFinished, 503, 401, 200)
  for (let n = 0; n < 40; n += 1) spoolUsage(kept)
  await sendUsage(session) // 503
  expect(files()).toEqual([expect.stringMatching(/^usage-[0-9a-f]{16}\.jsonl$/)])
  await sendUsage(session) // 401 with a nonce, then 200
  expect(heard.map(({events}) => events.length)).toEqual([40, 40])
  expect(heard[0]?.batch).toBe(heard[1]?.batch)
  expect(files()).toEqual([])
  await sendUsage(session)
  expect(heard).toHaveLength(2)
})

test('what a broker refuses for its form is not sent for ever', async ({onTestFinished}) => {
  const {session} = await broker(onTestFinished, 400)
  for (let n = 0; n < 9; n += 1) spoolUsage(kept)
  await sendUsage(session)
  expect(files()).toEqual([])
})

test('a broker that is not there is no fault of the command', async () => {
  for (let n = 0; n < 9; n += 1) spoolUsage(kept)
  const session = {broker: {name: 'x', url: 'http://127.0.0.1:9'}, key: createLoginKey().key, token: async () => 'token'} as Session
  await expect(sendUsage(async () => session)).rejects.toThrow()
  expect(
    readFileSync(join(state(), files()[0] as string), 'utf8')
      .trimEnd()
      .split('\n'),
  ).toHaveLength(9)
})
