import {randomBytes} from 'node:crypto'
import {api} from '@prod/sdk/api'
import {createClient} from '@prod/sdk/client'
import {createLoginKey} from '@prod/sdk/dpop'
import {ProdError} from '@prod/sdk/errors'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Core, codeOf, openPerson, startCore} from './core.ts'

const ends: (() => Promise<void> | void)[] = []
let core: Core
let ahead = 0
const now = () => new Date(Date.now() + ahead)
function forward(ms: number): void {
  ahead += ms
  core.forward(ms)
}
beforeAll(async () => {
  core = await startCore(end => ends.push(end))
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

/** One guess: a key of its own each time, an address of its own by what it says. */
async function guess(code: string): Promise<string> {
  const {key: plain} = createLoginKey()
  const key = {
    ...plain,
    sign: (header: Record<string, unknown>, payload: Record<string, unknown>) =>
      plain.sign(header, {...payload, iat: Math.floor(now().getTime() / 1000)}),
  }
  const client = createClient({broker: {name: 'core', url: core.url}, key})
  const word = () => randomBytes(32).toString('base64url')
  const redirectUri = 'http://127.0.0.1:45678/callback'
  return codeOf(client.call(api.login, {code, verifier: word(), salt: word(), redirectUri}))
}

test('TM-F4: one code is tried ten times in all, side by side too and with another key each time; others log in meanwhile', async () => {
  const codes = await Promise.all(Array.from({length: 40}, () => guess('the-same-code')))
  expect(codes.filter(code => code === 'LOGIN_FAILED').length).toBeLessThanOrEqual(10)
  expect(codes.filter(code => code === 'LIMIT_REACHED').length).toBeGreaterThanOrEqual(30)
  // the address of the guesser waits a minute; what it did locks nobody else's code
  forward(61_000)
  expect(await guess('the-same-code')).toBe('LIMIT_REACHED')
  expect((await openPerson({name: 'core', url: core.url}, 'alice', now)).name).toBe('alice')
  forward(600_000)
  expect(await guess('the-same-code')).toBe('LOGIN_FAILED')
})

test('TM-F4: an approver tries one request forty times and no more; another approver is not locked out by that', async () => {
  const [alice, bob, dave] = [await core.as('alice', true), await core.as('bob', true), await core.as('dave', true)]
  const {request} = await alice.exec(['job', 'note', 'tried'], {wait: false}).message('pending')
  const codes: string[] = []
  for (let at = 0; at < 42; at++) codes.push(await codeOf(bob.approve(request, {digest: 'f'.repeat(64)})))
  expect(codes).toEqual([...Array.from({length: 40}, () => 'DIGEST_MISMATCH'), 'LIMIT_REACHED', 'LIMIT_REACHED'])
  const refused = await bob.approve(request).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(ProdError)
  expect((refused as ProdError).retryAfterSeconds).toBeGreaterThan(500)
  expect(await codeOf(bob.client.call(api.denyRequest, {id: request, note: 'no'}))).toBe('LIMIT_REACHED')
  const other = (await alice.exec(['job', 'note', 'other'], {wait: false}).message('pending')).request
  await bob.approve(other)
  await dave.approve(request)
  expect((await alice.client.call(api.showRequest, {id: request})).state).toBe('approved')
})
