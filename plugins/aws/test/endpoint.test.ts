import {request} from 'node:http'
import {connect} from 'node:net'
import {ProdError} from '@prod/sdk/errors'
import {expect, test} from 'vitest'
import {type Endpoint, openEndpoint, type Provide} from '../src/child/endpoint.ts'
import {provider} from '../src/child/serve.ts'
import {isFresh, type ProcessCredentials} from '../src/credentials/kept.ts'

const credentials = (minutes: number, id = 'ASIA1'): ProcessCredentials => ({
  Version: 1,
  AccessKeyId: id,
  SecretAccessKey: 'secret-of-the-endpoint',
  SessionToken: 'token-of-the-endpoint',
  Expiration: new Date(Date.now() + minutes * 60_000).toISOString(),
})

async function open(onTestFinished: (finish: () => void) => void, provide: Provide = async () => credentials(60)): Promise<Endpoint> {
  const endpoint = await openEndpoint(provide)
  onTestFinished(endpoint.close)
  return endpoint
}

interface Ask {
  method?: string
  path?: string
  headers?: Record<string, string>
}

function ask(url: string, {method = 'GET', path, headers = {}}: Ask): Promise<{status: number; body: string}> {
  return new Promise((resolve, reject) => {
    const call = request(
      path === undefined ? url : new URL(path, url),
      {method, headers, setHost: headers.host === undefined},
      response => {
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text
        })
        response.on('end', () => resolve({status: response.statusCode ?? 0, body}))
      },
    )
    call.on('error', reject).end()
  })
}

test('TM-U3, A4: only who has the token, asks for the right thing and by the right name, is answered', async ({onTestFinished}) => {
  const {url, token} = await open(onTestFinished)
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/credentials$/)
  expect(Buffer.from(token, 'base64url')).toHaveLength(32)
  const {host} = new URL(url)
  const right = {authorization: token}
  const attacks: [Ask, number][] = [
    [{}, 401],
    [{headers: {authorization: ''}}, 401],
    [{headers: {authorization: `${token}x`}}, 401],
    [{headers: {authorization: token.slice(1)}}, 401],
    [{headers: {authorization: token.toLowerCase().toUpperCase()}}, 401],
    [{headers: {authorization: `Bearer ${token}`}}, 401],
    [{headers: {...right, host: 'localhost:1'}}, 421],
    [{headers: {...right, host: `localhost:${new URL(url).port}`}}, 421],
    [{headers: {...right, host: 'rebound.attacker.example'}}, 421],
    [{headers: {...right, host, 'x-forwarded-host': 'x'}}, 200],
    [{headers: {...right, origin: 'https://attacker.example'}}, 403],
    [{headers: {...right, 'sec-fetch-site': 'cross-site'}}, 403],
    [{path: '/', headers: right}, 404],
    [{path: '/credentials/', headers: right}, 404],
    [{path: '/credentials?x', headers: right}, 404],
    [{method: 'POST', headers: right}, 405],
    [{method: 'OPTIONS', headers: right}, 405],
    [{headers: right}, 200],
  ]
  for (const [what, status] of attacks) {
    const answer = await ask(url, what)
    expect({what, status: answer.status}).toEqual({what, status})
    if (status === 200) expect(JSON.parse(answer.body)).toMatchObject({AccessKeyId: 'ASIA1', Token: 'token-of-the-endpoint'})
    else expect(answer.body).not.toMatch(/secret-of|token-of/)
  }
})

test('two endpoints do not take each other’s token, and a closed one takes none', async ({onTestFinished}) => {
  const [one, other] = [await open(onTestFinished), await open(onTestFinished)]
  expect((await ask(one.url, {headers: {authorization: other.token}})).status).toBe(401)
  one.close()
  await expect(ask(one.url, {headers: {authorization: one.token}})).rejects.toThrow()
})

test('who says nothing, or too much, does not keep the others from being answered', async ({onTestFinished}) => {
  const {url, token} = await open(onTestFinished)
  const silent = Array.from({length: 10}, () => connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {}))
  onTestFinished(() => {
    for (const socket of silent) socket.destroy()
  })
  await ask(url, {headers: {authorization: 'x'.repeat(20_000)}}).catch(() => undefined)
  expect((await ask(url, {headers: {authorization: token}})).status).toBe(200)
})

test('what cannot be given is said in words that name prod and the next command; a bug is said without its text', async ({
  onTestFinished,
}) => {
  const failing = await open(onTestFinished, () => Promise.reject(new ProdError('LOGIN_EXPIRED', 'the login has ended', 'prod assume ops')))
  const {status, body} = await ask(failing.url, {headers: {authorization: failing.token}})
  expect({status, body: JSON.parse(body) as unknown}).toEqual({
    status: 400,
    body: {code: 'LOGIN_EXPIRED', message: 'prod: the login has ended; try: prod assume ops'},
  })
  const bug = await open(onTestFinished, () => Promise.reject(new Error('secret-of-the-endpoint')))
  expect((await ask(bug.url, {headers: {authorization: bug.token}})).body).not.toContain('secret-of')
})

test('credentials are renewed ahead of their end, once for all who ask', async () => {
  let renewals = 0
  const renew = async (): Promise<ProcessCredentials> => {
    renewals += 1
    return credentials(60, `ASIA${renewals + 1}`)
  }
  const provide = provider({credentials: credentials(60), from: Date.now() - 1, renew}, () => clock)
  let clock = Date.now()
  expect((await provide()).AccessKeyId).toBe('ASIA1')
  clock += 46 * 60_000
  expect(new Set((await Promise.all(Array.from({length: 20}, provide))).map(({AccessKeyId}) => AccessKeyId))).toEqual(new Set(['ASIA2']))
  expect(renewals).toBe(1)
})

test('a command of three hours never sees credentials that have ended, though AWS is away now and then', async () => {
  let clock = Date.now()
  const life = 3_600_000
  const from = clock
  const next = (): ProcessCredentials => ({...credentials(0), Expiration: new Date(clock + life).toISOString()})
  let renewals = 0
  const renew = async (): Promise<ProcessCredentials> => {
    // ten minutes of each hour
    if ((clock - from) % 3_600_000 < 600_000) throw new ProdError('TARGET_UNREACHABLE', 'AWS cannot be reached', 'x')
    renewals += 1
    return next()
  }
  const provide = provider({credentials: next(), from: clock, renew}, () => clock)
  for (; clock - from <= 3 * 3_600_000; clock += 10_000) {
    const {Expiration = ''} = await provide()
    expect(Date.parse(Expiration)).toBeGreaterThan(clock)
  }
  expect(renewals).toBe(3)
})

test('a laptop that slept past the end has one login to make, however many ask when it wakes', async () => {
  let clock = Date.now()
  const asked: boolean[] = []
  const renew = async (mayLogIn: boolean): Promise<ProcessCredentials> => {
    asked.push(mayLogIn)
    await new Promise(resolve => setImmediate(resolve))
    return {...credentials(0), Expiration: new Date(clock + 3_600_000).toISOString()}
  }
  const provide = provider({credentials: credentials(60), from: clock, renew}, () => clock)
  clock += 9 * 3_600_000
  const all = await Promise.all(Array.from({length: 50}, provide))
  expect(asked).toEqual([true])
  for (const {Expiration = ''} of all) expect(Date.parse(Expiration)).toBeGreaterThan(clock)
})

test('a renewal that fails takes nothing away before the end, and is an error after it', async () => {
  let clock = Date.now()
  const renew = (): Promise<never> => Promise.reject(new ProdError('TARGET_UNREACHABLE', 'AWS cannot be reached', 'x'))
  const provide = provider({credentials: credentials(60), from: clock, renew}, () => clock)
  clock += 50 * 60_000
  expect((await provide()).AccessKeyId).toBe('ASIA1')
  clock += 11 * 60_000
  await expect(provide()).rejects.toThrow('AWS cannot be reached')
})

test('a login that came to nothing opens no second page; one that succeeds may be asked for again', async () => {
  let clock = Date.now()
  const asked: boolean[] = []
  let fails = true
  const renew = async (mayLogIn: boolean): Promise<ProcessCredentials> => {
    asked.push(mayLogIn)
    if (fails) throw new ProdError('LOGIN_FAILED', 'nobody came back', 'x')
    return {...credentials(0), Expiration: new Date(clock + 3_600_000).toISOString()}
  }
  const provide = provider({credentials: credentials(60), from: clock, renew}, () => clock)
  clock += 61 * 60_000
  for (let round = 0; round < 3; round++) await expect(provide()).rejects.toThrow('nobody came back')
  fails = false
  await provide()
  clock += 61 * 60_000
  await provide()
  expect(asked).toEqual([true, false, false, false, true])
})

test('fresh is a quarter of an hour, a third of a short life, or what was asked for; a clock set back makes nothing fresh', () => {
  const from = Date.now()
  const kept = {credentials: credentials(60), from}
  const at = (minutes: number): number => from + minutes * 60_000
  expect([isFresh(kept, at(44)), isFresh(kept, at(46))]).toEqual([true, false])
  const short = {credentials: credentials(15), from}
  expect([isFresh(short, at(9)), isFresh(short, at(11))]).toEqual([true, false])
  expect([isFresh(kept, at(0), 59 * 60_000), isFresh(kept, at(2), 59 * 60_000)]).toEqual([true, false])
  expect(isFresh(kept, at(-5))).toBe(false)
})
