/** A broker's door for tests: real server, store, keys and development provider; and a client written from the RFCs alone. */
import {createHash, randomBytes} from 'node:crypto'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {FastifyInstance} from 'fastify'
import {calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT} from 'jose'
import type {WebSocket} from 'ws'
import type {Config} from '../src/config.ts'
import {startServer} from '../src/http/server.ts'
import type {StreamHello} from '../src/http/stream.ts'
import {identityRoutes} from '../src/identity/routes.ts'
import {type DevProvider, openDev} from '../src/identity-providers/dev/dev.ts'
import {openKeys} from '../src/keys.ts'
import type {Parts} from '../src/parts.ts'
import {openSqliteStore} from '../src/stores/sqlite/sqlite-store.ts'
import type {Store} from '../src/stores/store.ts'

export type OnFinished = (end: () => Promise<void> | void) => void

export interface TestDoor {
  parts: Parts & {store: Store}
  identity: DevProvider
  origin: string
  port: number
  dir: string
  alarms: {what: string; detail: Record<string, unknown>}[]
  /** moves the broker's clock */
  forward(ms: number): void
  /** types of the events in the log, oldest first */
  events(): Promise<string[]>
  stop(): Promise<void>
}

export interface DoorOptions {
  dir?: string
  config?: Partial<Config>
  routes?: (app: FastifyInstance, parts: Parts) => void
  stream?: (socket: WebSocket, hello: StreamHello, parts: Parts) => void
  /** wraps the store: to let it fail */
  store?: (store: Store) => Store
}

/** Starts a door; it stops with the test. */
export async function openDoor(
  onFinished: OnFinished,
  {dir: given, config: changed, routes, stream, store: wrap}: DoorOptions = {},
): Promise<TestDoor> {
  const dir = given ?? (await mkdtemp(join(tmpdir(), 'prod-door-')))
  let ahead = 0
  const now = (): Date => new Date(Date.now() + ahead)
  const keys = openKeys(dir)
  const opened = await openSqliteStore({file: join(dir, 'broker.sqlite'), log: keys.log, clock: now, instance: 'test'})
  const store = wrap ? wrap(opened) : opened
  const identity = await openDev({dir: join(dir, 'identity'), clientId: 'prod', issuerPort: 0, now})
  const config: Config = {
    dir,
    listen: {host: '127.0.0.1', port: 0, metricsPort: 0},
    origin: 'http://127.0.0.1:0',
    tls: null,
    name: 'test',
    development: true,
    trustedProxies: [],
    identity: {kind: 'dev', clientId: 'prod', issuerPort: 0},
    store: {kind: 'sqlite'},
    catalogDir: dir,
    policyDir: dir,
    policy: null,
    limits: [],
    plugins: [],
    channels: [],
    alertChannels: [],
    places: [],
    recordingRecipients: [],
    forward: {maxSeconds: 28_800, connections: 256},
    metrics: {teams: [], minPeople: 1, otlp: null},
    breakGlass: {
      freshLoginSeconds: 900,
      maxSeconds: 3600,
      reviewDueHours: 24,
      incidentPattern: '.*',
      alertSeconds: 60,
      withoutAlerts: false,
      kitHours: 12,
      remindSeconds: 900,
    },
    requestSeconds: 3600,
    approvalSeconds: 3600,
    retentionDays: {output: 1, recordings: 1},
    ...changed,
  }
  const alarms: TestDoor['alarms'] = []
  const parts: Parts = {
    config,
    store,
    identity,
    keys,
    bundle: () => {
      throw new Error('no bundle here')
    },
    primitives: new Map(),
    grantProviders: new Map(),
    channels: new Map(),
    newId: prefix => `${prefix}_${Date.now().toString(36).padStart(9, '0')}${randomBytes(8).toString('hex')}`,
    alarm: (what, detail) => void alarms.push({what, detail}),
    draining: () => null,
    stopping: () => false,
  }
  const server = await startServer(parts, {
    routes: app => {
      identityRoutes(app, parts)
      routes?.(app, parts)
    },
    stream: (socket, hello) => stream?.(socket, hello, parts),
  })
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> =>
    (stopped ??= (async () => {
      await server.close()
      await identity.close()
      await store.close()
    })())
  onFinished(async () => {
    await stop()
    if (given === undefined) await rm(dir, {recursive: true, force: true})
  })
  return {
    parts,
    identity,
    origin: config.origin,
    port: server.port,
    dir,
    alarms,
    stop,
    forward: ms => {
      ahead += ms
    },
    events: async () => {
      const entries = await opened.entries({from: 0, limit: 1000})
      return entries.map(({envelope}) => (JSON.parse(envelope) as {type: string}).type)
    },
  }
}

/** A P-256 key and the proofs it makes: RFC 9449 section 4.2. */
export interface TestKey {
  jwk: JWK
  thumbprint: string
  proof(claims: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>
}

export async function makeKey(): Promise<TestKey> {
  const {privateKey, publicKey} = await generateKeyPair('ES256', {extractable: true})
  const jwk = await exportJWK(publicKey)
  return {
    jwk,
    thumbprint: await calculateJwkThumbprint(jwk),
    proof: (claims, header = {}) =>
      new SignJWT({jti: randomBytes(16).toString('base64url'), iat: Math.floor(Date.now() / 1000), ...claims})
        .setProtectedHeader({alg: 'ES256', typ: 'dpop+jwt', jwk, ...header})
        .sign(privateKey),
  }
}

export const ath = (token: string): string => createHash('sha256').update(token).digest('base64url')

/** What the broker needs to begin a login: a code from the provider, for this key. */
export async function authorize(
  {parts, identity}: TestDoor,
  who: string,
  key: TestKey,
  more: Record<string, string> = {},
): Promise<Record<string, string>> {
  const [salt, verifier] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')]
  const redirectUri = 'http://127.0.0.1:45678/callback'
  const url = new URL(await identity.authorizationEndpoint())
  const query = {
    client_id: identity.clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: identity.scopes.join(' '),
    state: 'the-state',
    nonce: createHash('sha256')
      .update(key.thumbprint + salt)
      .digest('base64url'),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    login_hint: who,
    ...more,
  }
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  const response = await fetch(url, {redirect: 'manual'})
  const location = new URL(response.headers.get('location') ?? parts.config.origin)
  const code = location.searchParams.get('code')
  if (code === null) throw new Error(`no code: ${response.status} ${location.search} ${await response.text()}`)
  return {code, verifier, salt, redirectUri, iss: location.searchParams.get('iss') ?? ''}
}

export interface Answer {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: whatever came
  body: any
}

/** One POST or GET with exactly these headers. */
export async function send(
  door: Pick<TestDoor, 'origin'>,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: unknown,
): Promise<Answer> {
  const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(door.origin + path, {
    method,
    redirect: 'manual',
    headers: {...(text === undefined ? {} : {'content-type': 'application/json'}), ...headers},
    ...(text === undefined ? {} : {body: text}),
  })
  const got = await response.text()
  return {status: response.status, headers: response.headers, body: got.startsWith('{') ? JSON.parse(got) : got}
}

export interface TestSession {
  key: TestKey
  tokens: {
    accessToken: string
    refreshToken: string
    login: string
    groups: string[]
    principal: {iss: string; sub: string; person: string; name: string}
    loggedInAt: string
  }
  headers(method: string, path: string, claims?: Record<string, unknown>): Promise<Record<string, string>>
  call(method: string, path: string, body?: unknown): Promise<Answer>
  refresh(token?: string, key?: TestKey): Promise<Answer>
}

/** Somebody logs in. */
export async function logIn(door: TestDoor, who: string): Promise<TestSession> {
  const key = await makeKey()
  const proof = await key.proof({htm: 'POST', htu: `${door.origin}/v1/login`})
  const {status, body} = await send(door, 'POST', '/v1/login', {dpop: proof}, await authorize(door, who, key))
  if (status !== 200) throw new Error(`login: ${status} ${JSON.stringify(body)}`)
  return sessionOf(door, key, body)
}

export function sessionOf(door: Pick<TestDoor, 'origin'>, key: TestKey, tokens: TestSession['tokens']): TestSession {
  const session: TestSession = {
    key,
    tokens,
    async headers(method, path, claims = {}) {
      const {accessToken} = session.tokens
      const htu = door.origin + path.split('?')[0]
      return {authorization: `DPoP ${accessToken}`, dpop: await key.proof({htm: method, htu, ath: ath(accessToken), ...claims})}
    },
    async call(method, path, body) {
      return send(door, method, path, await session.headers(method, path), body)
    },
    async refresh(token = session.tokens.refreshToken, other = key) {
      const proof = await other.proof({htm: 'POST', htu: `${door.origin}/v1/login/refresh`})
      return send(door, 'POST', '/v1/login/refresh', {dpop: proof}, {refreshToken: token})
    },
  }
  return session
}
