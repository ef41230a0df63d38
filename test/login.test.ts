import {spawn} from 'node:child_process'
import {createHash, randomBytes} from 'node:crypto'
import {existsSync, readFileSync, statSync} from 'node:fs'
import {createServer, get} from 'node:http'
import {type AddressInfo, connect} from 'node:net'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {findPin} from '@prod/sdk/cli/broker-pins'
import {type Callback, listen} from '@prod/sdk/cli/callback'
import {readConfig} from '@prod/sdk/cli/config'
import {openCredentialStore} from '@prod/sdk/cli/credential-store'
import {connectBroker} from '@prod/sdk/cli/credentials'
import {keepWhoami} from '@prod/sdk/cli/whoami-cache'
import {ProdError} from '@prod/sdk/errors'
import {thumbprint} from '@prod/sdk/login-binding'
import {keptSources} from '@prod/sdk/testing/kept-code'
import {expect, test} from 'vitest'
import {newHome} from '../plugins/sdk/test/broker/home.ts'
import {startTokenServer, type TokenServer} from '../plugins/sdk/test/broker/token-server.ts'
import {login} from '../src/login/login.ts'

type OnFinished = (act: () => void | Promise<void>) => void
const issuer = 'https://issuer.example'

async function start(
  onTestFinished: OnFinished,
): Promise<{server: TokenServer; env: Record<string, string>; broker: {name: string; url: string}}> {
  const env = newHome(onTestFinished)
  const server = await startTokenServer()
  onTestFinished(server.close)
  return {server, env, broker: {name: 'x', url: server.url}}
}

interface Reply {
  status: number
  body: string
  headers: Record<string, unknown>
}

function fetchRaw(url: string, options: {method?: string; headers?: Record<string, string>; path?: string} = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    get(url, {agent: false, ...options}, response => {
      let body = ''
      response.on('data', chunk => (body += chunk))
      response.on('end', () => resolve({status: response.statusCode ?? 0, body, headers: response.headers}))
    }).on('error', reject)
  })
}

/** A person in a browser: reads what the address asks for and comes back with a code. */
function comeBack(address: string, code: string, changed: Record<string, string> = {}): Promise<Reply> {
  const asked = new URL(address).searchParams
  const back = new URL(asked.get('redirect_uri') as string)
  for (const [name, value] of Object.entries({code, state: asked.get('state') as string, iss: issuer, ...changed}))
    back.searchParams.set(name, value)
  return fetchRaw(back.href)
}

const codeOf = (error: unknown): string => (error instanceof ProdError ? error.code : String(error))

test('TM-Q1: a login is code + PKCE S256 on a literal loopback address, with state, and a nonce that binds the key', async ({
  onTestFinished,
}) => {
  const {server, env, broker} = await start(onTestFinished)
  let address = ''
  let met = 0
  let reply: Promise<Reply> | undefined
  const {who, name} = await login({
    broker,
    fresh: true,
    met: () => met++,
    show: url => {
      address = url
      reply = comeBack(url, 'the-code')
    },
  })
  expect(who.principal.name).toBe('alice')
  expect(name).toBe('test-broker')
  expect(met).toBe(1)
  expect((await reply)?.body).toContain('You may close this page')
  expect((await reply)?.headers).toMatchObject({'cache-control': 'no-store', 'referrer-policy': 'no-referrer'})

  const asked = new URL(address).searchParams
  expect(Object.fromEntries(asked)).toMatchObject({
    response_type: 'code',
    client_id: 'prod',
    scope: 'openid',
    code_challenge_method: 'S256',
    prompt: 'login',
    max_age: '0',
  })
  expect(asked.get('redirect_uri')).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/)
  expect(asked.get('state')).toMatch(/^[\w-]{43}$/)

  const sent = server.seen.find(({path}) => path === '/v1/login')
  expect(sent?.authorization).toBeUndefined()
  const {code, verifier, salt, redirectUri, iss} = (sent?.body ?? {}) as Record<string, string>
  expect({code, redirectUri, iss}).toEqual({code: 'the-code', redirectUri: asked.get('redirect_uri'), iss: issuer})
  expect(
    createHash('sha256')
      .update(verifier as string)
      .digest('base64url'),
  ).toBe(asked.get('code_challenge'))
  const kept = await openCredentialStore().find(broker.url)
  const bound = createHash('sha256')
    .update(thumbprint(kept?.privateJwk as never) + salt)
    .digest('base64url')
  expect(asked.get('nonce')).toBe(bound)

  expect(readConfig()).toMatchObject({broker: 'test-broker', brokers: {'test-broker': {url: broker.url}}})
  const whoami = join(env.XDG_STATE_HOME as string, 'prod/whoami.json')
  expect((statSync(whoami).mode & 0o777).toString(8)).toBe('600')
  const saved = JSON.parse(readFileSync(whoami, 'utf8')) as Record<string, unknown>
  expect(saved).toMatchObject({broker: broker.url, text: expect.stringContaining('alice (engineers)'), json: {groups: ['engineers']}})
  // TM-U2: nothing secret in what the fast path reads
  for (const secret of [kept?.accessToken, kept?.refreshToken, kept?.privateJwk.d]) expect(JSON.stringify(saved)).not.toContain(secret)
  // the listener is gone
  await expect(fetchRaw(asked.get('redirect_uri') as string)).rejects.toThrow()
})

test('TM-Q1: another state, path, Host, method or a doubled parameter is refused and takes nothing away', async ({onTestFinished}) => {
  const state = randomBytes(32).toString('base64url')
  const callback: Callback = await listen({state, issuer, issRequired: false, limitMs: 60_000})
  onTestFinished(() => callback.close())
  const {redirectUri} = callback
  expect(redirectUri).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/)
  const right = `${redirectUri}?code=c&state=${state}`
  const {port} = new URL(redirectUri)

  const tries: [string, {method?: string; headers?: Record<string, string>}, number][] = [
    [`${redirectUri}?code=evil&state=${'A'.repeat(43)}`, {}, 400],
    [`${redirectUri}?code=evil`, {}, 400],
    [`${right}&code=evil`, {}, 400],
    [`http://127.0.0.1:${port}/?code=c&state=${state}`, {}, 404],
    [`http://127.0.0.1:${port}/callback/?code=c&state=${state}`, {}, 404],
    [right, {headers: {host: `localhost:${port}`}}, 421],
    [right, {headers: {host: 'evil.example'}}, 421],
    [right, {method: 'POST'}, 405],
    [right, {method: 'HEAD'}, 405],
    [right, {headers: {'sec-fetch-mode': 'no-cors'}}, 400],
  ]
  for (const [url, options, status] of tries) expect([url, options, (await fetchRaw(url, options)).status]).toEqual([url, options, status])
  expect((await fetchRaw(right)).status).toBe(200)
  expect(await callback.answer).toEqual({code: 'c'})
  expect((await fetchRaw(`${redirectUri}?code=second&state=${state}`)).status).toBe(400)
})

test('TM-Q1: a second process that races for the port with a wrong state wins nothing', async ({onTestFinished}) => {
  const {server, broker} = await start(onTestFinished)
  const {who} = await login({
    broker,
    fresh: false,
    met: () => undefined,
    show: url => {
      void Promise.all(Array.from({length: 20}, () => comeBack(url, 'evil', {state: randomBytes(32).toString('base64url')}))).then(
        async replies => {
          expect(replies.every(({status}) => status === 400)).toBe(true)
          await comeBack(url, 'good')
        },
      )
    },
  })
  expect(who.principal.name).toBe('alice')
  expect(server.seen.filter(({path}) => path === '/v1/login').map(({body}) => body.code)).toEqual(['good'])
})

test('TM-Q1: an answer of another issuer is refused, a missing one too where the provider always names itself', async ({
  onTestFinished,
}) => {
  for (const [iss, issRequired] of [
    ['https://evil.example', false],
    [undefined, true],
  ] as const) {
    const callback = await listen({state: 's', issuer, issRequired, limitMs: 60_000})
    onTestFinished(() => callback.close())
    expect(
      (await fetchRaw(`${callback.redirectUri}?code=c&state=s${iss === undefined ? '' : `&iss=${encodeURIComponent(iss)}`}`)).status,
    ).toBe(400)
    expect(codeOf(await callback.answer.catch((error: unknown) => error))).toBe('LOGIN_FAILED')
  }
})

test('TM-Q1: the wait has an end, and a refusal of the provider is said', async () => {
  const late = await listen({state: 's', issuer, issRequired: false, limitMs: 10})
  expect(codeOf(await late.answer.catch((error: unknown) => error))).toBe('LOGIN_FAILED')
  late.close()
  const denied = await listen({state: 's', issuer, issRequired: false, limitMs: 60_000})
  await fetchRaw(`${denied.redirectUri}?error=access_denied&error_description=not+you&state=s`)
  await expect(denied.answer).rejects.toMatchObject({code: 'LOGIN_FAILED', message: expect.stringContaining('not you')})
  denied.close()
  // nobody is kept from ending by a connection that says nothing
  const idle = await listen({state: 's', issuer, issRequired: false, limitMs: 60_000})
  const socket = connect(Number(new URL(idle.redirectUri).port), '127.0.0.1')
  await new Promise(resolve => socket.once('connect', resolve))
  idle.close()
  await new Promise(resolve => socket.once('close', resolve))
})

test('TM-Q8: the first contact is remembered; other keys, another origin, http without --dev are refused before anybody logs in', async ({
  onTestFinished,
}) => {
  const {server, broker} = await start(onTestFinished)
  const shown: string[] = []
  let met = 0
  const attempt = (): Promise<string> =>
    login({
      broker,
      fresh: false,
      met: () => met++,
      show: url => {
        shown.push(url)
        void comeBack(url, 'c')
      },
    }).then(() => 'logged in', codeOf)

  server.bend.configuration = {development: false}
  expect(await attempt()).toBe('INSECURE_URL')
  server.bend.configuration = {origin: 'https://elsewhere.example'}
  expect(await attempt()).toBe('LOGIN_FAILED')
  server.bend.configuration = {authorizationEndpoint: 'http://issuer.example/auth'}
  expect(await attempt()).toBe('INSECURE_URL')
  expect(findPin(broker)).toBeUndefined()
  server.bend.configuration = {}
  met = 0
  expect(await attempt()).toBe('logged in')
  expect(await attempt()).toBe('logged in')
  expect(met).toBe(1)
  expect(findPin(broker)).toMatchObject({receiptKey: {x: 'AAAA'}, logKey: 'test+0+AAAA'})

  server.bend.configuration = {receiptKey: {kty: 'OKP', crv: 'Ed25519', x: 'BBBB'}}
  expect(await attempt()).toBe('SERVER_IDENTITY_CHANGED')
  server.bend.configuration = {logKey: 'test+1+BBBB'}
  expect(await attempt()).toBe('SERVER_IDENTITY_CHANGED')
  expect(shown).toHaveLength(2)
})

/** A provider as the development one: consents by itself over two redirects, each with a cookie that the next step asks for. */
async function startProvider(onTestFinished: OnFinished, to?: string): Promise<string> {
  const provider = createServer((request, response) => {
    const url = new URL(request.url as string, 'http://x')
    const go = (location: string, cookie: string): void =>
      void response.writeHead(303, {location, 'set-cookie': [cookie, 'gone=; expires=Thu, 01 Jan 1970 00:00:00 GMT']}).end()
    if (url.pathname === '/auth') {
      if (url.searchParams.get('login_hint') !== 'alice') return void response.writeHead(200).end('who are you?')
      return go(to ?? `/interaction/1?${url.searchParams}`, 'step=one; Path=/interaction/1; HttpOnly')
    }
    if (url.pathname !== '/interaction/1' || request.headers.cookie !== 'step=one') return void response.writeHead(400).end()
    const back = new URL(url.searchParams.get('redirect_uri') as string)
    for (const [name, value] of [
      ['code', 'by-itself'],
      ['state', url.searchParams.get('state') as string],
      ['iss', issuer],
    ])
      back.searchParams.set(name as string, value as string)
    go(back.href, 'session=2; Path=/')
  })
  await new Promise<void>(resolve => provider.listen(0, '127.0.0.1', resolve))
  onTestFinished(
    () =>
      new Promise<void>(resolve => {
        provider.close(() => resolve())
        provider.closeAllConnections()
      }),
  )
  return `http://127.0.0.1:${(provider.address() as AddressInfo).port}/auth`
}

test('--as takes the same way without a browser, at a development provider on this machine alone', async ({onTestFinished}) => {
  const {server, broker} = await start(onTestFinished)
  const attempt = (as: string): Promise<string> =>
    login({
      broker,
      fresh: false,
      as,
      met: () => undefined,
      show: () => {
        throw new Error('no browser here')
      },
    }).then(({who}) => who.principal.name, codeOf)

  server.bend.configuration = {authorizationEndpoint: await startProvider(onTestFinished)}
  expect(await attempt('alice')).toBe('alice')
  expect(server.seen.find(({path}) => path === '/v1/login')?.body.code).toBe('by-itself')
  expect(await attempt('mallory')).toBe('LOGIN_FAILED')

  server.bend.configuration = {authorizationEndpoint: await startProvider(onTestFinished, 'http://127.0.0.1:1/elsewhere')}
  expect(await attempt('alice')).toBe('LOGIN_FAILED')
  server.bend.configuration = {}
  expect(await attempt('alice')).toBe('USAGE')
})

const dev = join(import.meta.dirname, '../bin/dev.mjs')

/** One `prod` as a process, from the sources. */
async function prod(env: Record<string, string>, ...argv: string[]): Promise<{status: number | null; out: string; err: string}> {
  const child = spawn(process.execPath, ['--conditions=source', dev, ...argv], {
    env: {PATH: process.env.PATH, ...keptSources, ...env},
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, err, status] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>(resolve => child.on('close', resolve)),
  ])
  return {status, out, err}
}

test('TM-Q7: logout ends the login at the broker, then here; where the broker is down it goes here, and that is said', async ({
  onTestFinished,
}) => {
  const {server, env, broker} = await start(onTestFinished)
  const enter = (): Promise<unknown> => login({broker, fresh: false, met: () => undefined, show: url => void comeBack(url, 'c')})
  const whoami = join(env.XDG_STATE_HOME as string, 'prod/whoami.json')

  await enter()
  expect(await prod(env, 'logout', '--everywhere', '--json')).toMatchObject({status: 0, out: expect.stringContaining('"ended": 3')})
  expect(server.seen.find(({path}) => path === '/v1/logout')?.body).toEqual({everywhere: true})
  expect(await openCredentialStore().find(broker.url)).toBeUndefined()
  expect(existsSync(whoami)).toBe(false)
  expect((await prod(env, 'logout')).status).toBe(242)

  await enter()
  const kept = await openCredentialStore().find(broker.url)
  await server.close()
  const {status, err} = await prod(env, 'logout')
  expect(status).toBe(246)
  expect(err).toContain('logged out here, but the broker was not told')
  expect(await openCredentialStore().find(broker.url)).toBeUndefined()
  expect(readFileSync(join(env.XDG_STATE_HOME as string, 'prod/credentials.json'), 'utf8')).not.toContain(kept?.refreshToken)
})

test('what whoami answers without the broker says of when it is; a freeze is not in it, and it ends with a renewal or a turn of a grant', async ({
  onTestFinished,
}) => {
  const {env, broker} = await start(onTestFinished)
  const {who} = await login({broker, fresh: false, met: () => undefined, show: url => void comeBack(url, 'c')})
  const path = join(env.XDG_STATE_HOME as string, 'prod/whoami.json')
  const kept = () => JSON.parse(readFileSync(path, 'utf8')) as {text: string; json: {asOf: string}; expiresAt: string}
  const now = new Date()
  const inSeconds = (seconds: number) => new Date(now.getTime() + seconds * 1000).toISOString()
  const {principal} = who
  const grant = {id: 'grant_1', state: 'active' as const, request: 'req_1', principal, role: 'web', provider: 'host', endedAt: null}

  keepWhoami({...who, expiresAt: inSeconds(3600)}, broker.url, now)
  expect(kept()).toMatchObject({
    text: expect.stringMatching(new RegExp(`\nas of ${now.toTimeString().slice(0, 8)}$`)),
    json: {asOf: now.toISOString()},
    expiresAt: inSeconds(60),
  })
  const grants = [
    {...grant, startsAt: inSeconds(-60), expiresAt: inSeconds(20)},
    {...grant, startsAt: inSeconds(10), expiresAt: inSeconds(90)},
  ]
  keepWhoami({...who, expiresAt: inSeconds(3600), grants}, broker.url, now)
  expect(kept().expiresAt).toBe(inSeconds(10))

  const session = await (await connectBroker()).session()
  await session.renew(await session.token())
  expect(existsSync(path)).toBe(false)

  keepWhoami(who, broker.url, now)
  expect(existsSync(path)).toBe(true)
  keepWhoami({...who, freeze: {all: false, by: 'carol', since: inSeconds(-5), reason: 'money is lost', lift: null}}, broker.url, now)
  expect(existsSync(path)).toBe(false)
})
