import {readFileSync} from 'node:fs'
import {connect, type Socket} from 'node:net'
import {api} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import {expect, test} from 'vitest'
import {handle} from '../src/http/handle.ts'
import {startOperations} from '../src/http/operations.ts'
import type {Store} from '../src/stores/store.ts'
import {logIn, openDoor, send, type TestDoor} from './door.ts'

/** Bytes as they are, and all that comes back until the other side closes. */
async function raw({port}: Pick<TestDoor, 'port'>, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes)
  let answer = ''
  socket.setEncoding('latin1')
  socket.on('error', () => {})
  for await (const chunk of socket) answer += chunk
  return answer
}

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1])
const id = 'req_0123456789abcdef'

test('TM-A3: no origin but our own is answered, and none gets a CORS grant', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const alice = await logIn(door, 'alice')
  const own = new URL(door.origin)
  const foreign = [
    'https://attacker.example',
    'null',
    `https://${own.host}.attacker.example`,
    `https://attacker${own.host}`,
    `https://${own.host}`,
    `http://localhost:${own.port}`,
    'http://127.0.0.1',
    '',
  ]
  for (const origin of foreign) {
    for (const [method, path] of [
      ['GET', '/v1/whoami'],
      ['POST', '/v1/logout'],
    ] as const) {
      const answer = await send(door, method, path, {...(await alice.headers(method, path)), origin}, method === 'POST' ? {} : undefined)
      expect([answer.status, answer.body.error.code], origin).toEqual([403, 'DENIED'])
      expect([...answer.headers.keys()].filter(name => name.startsWith('access-control'))).toEqual([])
    }
  }
  const preflight = await send(door, 'OPTIONS', '/v1/logout', {origin: 'https://attacker.example', 'access-control-request-method': 'POST'})
  expect(preflight.status).toBe(403)
  expect(preflight.headers.get('access-control-allow-origin')).toBeNull()
  expect((await send(door, 'OPTIONS', '/v1/logout', {origin: door.origin})).status).toBe(405)

  for (const site of ['cross-site', 'same-site']) {
    const request = `POST /v1/logout HTTP/1.1\r\nHost: ${own.host}\r\nSec-Fetch-Site: ${site}\r\nContent-Length: 0\r\n\r\n`
    expect(statusOf(await raw(door, request)), site).toBe(403)
  }
  expect((await alice.call('GET', '/v1/whoami')).status).toBe(200)
})

test('TM-A4: a Host that is not ours gets 421, and forwarded headers of strangers count for nothing', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const {host, port} = new URL(door.origin)
  const foreign = [
    'attacker.example',
    `127.0.0.1.nip.io:${port}`,
    'localhost.attacker.example',
    `${host}@attacker.example`,
    `${host}:99999`,
    '127.0.0.1',
    `localhost:${port}`,
    `2130706433:${port}`,
    `127.1:${port}`,
    `[::ffff:127.0.0.1]:${port}`,
    '',
  ]
  for (const name of foreign) {
    const answer = await raw(door, `GET /v1/login/configuration HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`)
    expect([421, 400], name).toContain(statusOf(answer))
  }
  expect(
    statusOf(
      await raw(door, `GET /v1/login/configuration HTTP/1.1\r\nHost: ${host}\r\nHost: attacker.example\r\nConnection: close\r\n\r\n`),
    ),
  ).toBe(421)
  expect(statusOf(await raw(door, 'GET /v1/login/configuration HTTP/1.0\r\n\r\n'))).toBe(421)

  const forged = {
    'x-forwarded-host': 'attacker.example',
    'x-forwarded-proto': 'https',
    forwarded: 'host=attacker.example',
    'x-forwarded-for': '203.0.113.9',
  }
  const answer = await send(door, 'GET', '/v1/login/configuration', forged)
  expect(answer.status).toBe(200)
  expect(JSON.stringify(answer.body)).not.toContain('attacker')
  expect(answer.body.origin).toBe(door.origin)
})

test('TM-A4: the address comes from X-Forwarded-For only where the peer is a configured proxy', async ({onTestFinished}) => {
  const seen: string[] = []
  for (const trustedProxies of [[], ['127.0.0.0/8']]) {
    const door = await openDoor(onTestFinished, {
      config: {trustedProxies},
      routes: (app, parts) =>
        handle(app, parts, api.doctor, (_input, caller) => {
          seen.push(caller.address)
          return {checks: []}
        }),
    })
    const alice = await logIn(door, 'alice')
    for (const given of ['203.0.113.9', '198.51.100.1, 203.0.113.9', '203.0.113.9, 127.0.0.2', 'nonsense']) {
      await send(door, 'GET', '/v1/doctor', {...(await alice.headers('GET', '/v1/doctor')), 'x-forwarded-for': given})
    }
  }
  expect(seen).toEqual(['127.0.0.1', '127.0.0.1', '127.0.0.1', '127.0.0.1', '203.0.113.9', '203.0.113.9', '203.0.113.9', '127.0.0.1'])
})

test('TM-A1 TM-A2: nothing changes by GET or HEAD, and only JSON is read', async ({onTestFinished}) => {
  let changes = 0
  const door = await openDoor(onTestFinished, {
    routes: (app, parts) => {
      handle(app, parts, api.approveRequest, () => ({changes: ++changes}) as never)
      handle(app, parts, api.cancelRequest, () => ({changes: ++changes}) as never)
    },
  })
  const alice = await logIn(door, 'alice')
  for (const {path} of Object.values(api).filter(({method}) => method === 'POST')) {
    for (const method of ['GET', 'HEAD']) {
      const concrete = path.replace(':id', id)
      const {status, headers} = await send(door, method, concrete, await alice.headers(method, concrete))
      expect([404, 405], `${method} ${concrete}`).toContain(status)
      if (status === 405) expect(headers.get('allow')).toBe('POST')
    }
  }
  expect((await alice.call('HEAD', '/v1/whoami')).headers.get('allow')).toBe('GET')

  const path = `/v1/requests/${id}/approve`
  const body = JSON.stringify({digest: '0'.repeat(64), jws: 'x'})
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'application/xml',
    'application/json; charset=utf-16',
    'application/jsonx',
  ]) {
    const {status} = await send(door, 'POST', path, {...(await alice.headers('POST', path)), 'content-type': type}, body)
    expect([415, 400], type).toContain(status)
  }
  expect(changes).toBe(0)
  expect((await alice.call('POST', path, JSON.parse(body))).status).toBe(200)
  expect(changes).toBe(1)
})

test('TM-A6: a path has one written form', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished, {routes: (app, parts) => handle(app, parts, api.showRequest, () => ({}) as never)})
  const alice = await logIn(door, 'alice')
  for (const path of [
    '/v1/whoami/',
    '/V1/whoami',
    '/v1/WhoAmI',
    '//v1/whoami',
    '/v1//whoami',
    '/v1/./whoami',
    '/v1/x/../whoami',
    '/v1%2fwhoami',
    '/v1/who%61mi',
    '/v1/whoami;x=1',
    '/v1/whoami%00',
    '/v1/whoami%',
    `/v1/requests/${id}/`,
    `/v1/requests/..%2f${id}`,
    `/v1/requests/${id}%2fapprove`,
    `/v1/requests/${id.toUpperCase()}`,
  ]) {
    const {accessToken} = alice.tokens
    const {dpop} = await alice.headers('GET', '/v1/whoami')
    const answer = await raw(
      door,
      `GET ${path} HTTP/1.1\r\nHost: ${new URL(door.origin).host}\r\nAuthorization: DPoP ${accessToken}\r\nDPoP: ${dpop}\r\nConnection: close\r\n\r\n`,
    )
    expect([404, 401], path).toContain(statusOf(answer))
    expect(statusOf(answer) === 401 && !path.includes(id.toUpperCase()), path).toBe(false)
  }
  const absolute = await raw(
    door,
    `GET http://attacker.example/v1/whoami HTTP/1.1\r\nHost: ${new URL(door.origin).host}\r\nConnection: close\r\n\r\n`,
  )
  expect(statusOf(absolute)).toBe(404)
})

test('TM-A13: what the schema does not name is refused, and so is what is too large', async ({onTestFinished}) => {
  const got: unknown[] = []
  const door = await openDoor(onTestFinished, {
    routes: (app, parts) => {
      handle(app, parts, api.createRequest, input => ({size: got.push(input)}) as never)
      handle(app, parts, api.denyRequest, input => ({size: got.push(input)}) as never)
      handle(app, parts, api.listRequests, input => {
        got.push(input)
        return {requests: []}
      })
    },
  })
  const alice = await logIn(door, 'alice')
  const draft = {key: '0123456789abcdef', reason: 'look at the disk alert', durationSeconds: 60}
  for (const more of [
    {requester: 'bob'},
    {status: 'approved'},
    {tenant: 'x'},
    {id: 'x'},
    {durationSeconds: '60'},
    {durationSeconds: 0},
    {reason: 7},
  ]) {
    const {status, body} = await alice.call('POST', '/v1/requests', {...draft, ...more})
    expect([status, body.error.code], JSON.stringify(more)).toEqual([400, 'BAD_REQUEST'])
  }
  for (const text of [
    '{"key":1,"key":2}',
    `{"__proto__":{},${JSON.stringify(draft).slice(1)}`,
    '[]',
    '"x"',
    'null1',
    '{',
    '['.repeat(100_000),
  ]) {
    expect((await alice.call('POST', '/v1/requests', text)).status, text.slice(0, 40)).toBe(400)
  }
  expect((await alice.call('POST', '/v1/requests', {...draft, reason: 'x'.repeat(1_100_000)})).status).toBe(413)
  expect((await alice.call('POST', `/v1/requests/${id}/deny`, {id, note: 'x'})).status).toBe(400)
  expect((await alice.call('POST', '/v1/requests?key=0123456789abcdef', draft)).status).toBe(400)
  for (const query of ['?state=a&state=b', '?user=dev', '?__proto__=x', '?mine=yes', '?state=%ff']) {
    expect((await alice.call('GET', `/v1/requests${query}`)).status, query).toBe(400)
  }
  expect(got).toEqual([])
  expect((await alice.call('GET', '/v1/requests?mine=true')).status).toBe(200)
  expect((await alice.call('POST', '/v1/requests', draft)).status).toBe(200)
  expect(got).toEqual([{mine: 'true'}, draft])
})

test('TM-A14 TM-I3: a failure says code and correlation id, never what went wrong inside; the client’s id is a label', async ({
  onTestFinished,
}) => {
  const labels: unknown[] = []
  let broken = false
  const door = await openDoor(onTestFinished, {
    routes: (app, parts) => {
      handle(app, parts, api.doctor, (_input, caller) => {
        labels.push(caller.label)
        throw new Error('SELECT * FROM logins WHERE token = secret-canary at /srv/prod/store.ts')
      })
      handle(app, parts, api.catalog, () => {
        throw new ProdError('TOOL_NOT_FOUND', 'there is no tool x', 'prod tools')
      })
    },
    store: (store: Store) => ({
      ...store,
      find: (...args) => (broken ? Promise.reject(new Error('disk I/O error: /var/lib/secret-canary')) : store.find(...args)) as never,
    }),
  })
  const alice = await logIn(door, 'alice')
  const headers = {...(await alice.headers('GET', '/v1/doctor')), 'x-correlation-id': 'cor_forged'}
  const bug = await send(door, 'GET', '/v1/doctor', headers)
  expect(bug.status).toBe(500)
  expect(bug.body).toEqual({error: {code: 'INTERNAL', message: expect.any(String), correlation: expect.stringMatching(/^cor_/)}})
  expect(bug.body.error.correlation).not.toBe('cor_forged')
  expect(bug.headers.get('x-correlation-id')).toBe(bug.body.error.correlation)
  expect(labels).toEqual(['cor_forged'])
  expect(door.alarms.at(-1)).toMatchObject({detail: {correlation: bug.body.error.correlation, fault: 'Error'}})

  const foreseen = await alice.call('GET', '/v1/catalog')
  expect([foreseen.status, foreseen.body.error]).toEqual([
    404,
    {code: 'TOOL_NOT_FOUND', message: 'there is no tool x', hint: 'prod tools', correlation: expect.any(String)},
  ])

  broken = true
  const down = await alice.call('GET', '/v1/whoami')
  expect(down.status).toBe(500)
  const nobody = await send(door, 'GET', '/v1/whoami')
  expect([nobody.status, nobody.body.error.code, nobody.headers.get('www-authenticate')]).toEqual([
    401,
    'NOT_LOGGED_IN',
    'DPoP error="invalid_token", algs="ES256"',
  ])
  for (const answer of [bug, foreseen, down, nobody]) {
    expect(JSON.stringify(answer.body)).not.toMatch(/canary|SELECT|\.ts|\/v\d?ar|node_modules| at /)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
  }
  expect(JSON.stringify(door.alarms)).not.toContain('canary')
})

test('TM-A15: ambiguous framing gets 400 and the connection ends', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const {host} = new URL(door.origin)
  const smuggled = 'GET /v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n'
  const framings = [
    `Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    `Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`,
    `Content-Length: 0\r\nContent-Length: 44\r\n\r\n${smuggled}`,
    `Content-Length: 0, 44\r\n\r\n${smuggled}`,
    `Content-Length: +4\r\n\r\n${smuggled}`,
    `Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`,
    `Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`,
    `Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    `Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n${smuggled}`,
    `Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${smuggled}`,
    `Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n${smuggled}`,
    `X: y\r\n Content-Length: 4\r\n\r\n${smuggled}`,
    `X: a\0b\r\n\r\n${smuggled}`,
  ]
  for (const framing of framings) {
    const answer = await raw(door, `POST /v1/login HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n${framing}`)
    expect(
      [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(match => Number(match[1])),
      JSON.stringify(framing.slice(0, 60)),
    ).toSatisfy((all: number[]) => all.length === 1 && all[0]! >= 400)
    expect(answer).not.toContain('smuggled')
  }
  expect(statusOf(await raw(door, `GET /v1/login/configuration HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\n\r\nhello`))).toBe(400)
  expect(statusOf(await raw(door, `GET / HTTP/1.1\r\nHost: ${host}\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`))).toBe(413)
})

test('TM-A15: 2,000 idle and half-spoken connections end in 10 s, and others are answered at once meanwhile', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const {host} = new URL(door.origin)
  const openers = [
    '',
    'GET /v1/login/conf',
    `POST /v1/login HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
  ]
  const start = performance.now()
  const ends: Promise<void>[] = []
  const sockets: Socket[] = []
  for (let at = 0; at < 2000; at++) {
    const socket = connect(door.port, '127.0.0.1')
    sockets.push(socket)
    socket.on('error', () => {})
    socket.resume()
    const opener = openers[at % openers.length] as string
    if (opener !== '') socket.write(opener)
    ends.push(new Promise(resolve => socket.once('close', () => resolve())))
  }
  await Promise.all(
    sockets
      .slice(-5)
      .map(socket => new Promise(resolve => (socket.readyState === 'open' ? resolve(undefined) : socket.once('connect', resolve)))),
  )
  for (let round = 0; round < 3; round++) {
    const asked = performance.now()
    expect((await send(door, 'GET', '/v1/login/configuration')).status).toBe(200)
    expect(performance.now() - asked).toBeLessThan(1000)
  }
  await Promise.all(ends)
  expect(performance.now() - start).toBeLessThan(13_000)
})

test('the API describes itself as OpenAPI 3.1, from the table alone', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const {status, body} = await send(door, 'GET', '/v1/openapi.json')
  expect([status, body.openapi]).toEqual([200, '3.1.0'])
  expect(Object.values(body.paths as Record<string, object>).flatMap(path => Object.keys(path))).toHaveLength(Object.keys(api).length)
  expect(body.paths['/v1/requests/{id}/approve'].post).toMatchObject({operationId: 'approveRequest', security: [{dpop: []}]})
})

test('TM-A16: figures are served on a port of their own, under its literal name alone', async ({onTestFinished}) => {
  const operations = await startOperations(0, async () => 'prod_up 1\n')
  onTestFinished(() => operations.close())
  expect(await (await fetch(operations.url)).text()).toBe('prod_up 1\n')
  expect((await fetch(operations.url.replace('/metrics', '/'))).status).toBe(404)
  expect((await fetch(operations.url, {method: 'POST'})).status).toBe(405)
  expect((await fetch(operations.url.replace('127.0.0.1', 'localhost')).catch(() => ({status: 421}))).status).toBe(421)
  const door = await openDoor(onTestFinished)
  for (const path of ['/metrics', '/debug', '/docs', '/']) expect((await send(door, 'GET', path)).status).toBe(404)
})

/** The corpus: what a line does, on our routes. Kinds that a feature answers, or that have no surface, say so. */
const elsewhere: Record<string, string> = {
  idor: 'answered by the features on objects: their own tests',
  'self-approval': 'answered by requests: its own tests',
  digest: 'answered by requests and runs: their own tests',
  redirect: 'no surface: the broker redirects nowhere',
  'page-headers': 'no surface: no pages yet',
  'webhook-in': 'no surface: no incoming webhooks yet',
}
const routesOf: Record<string, [method: string, path: string]> = {
  approve_request: ['POST', `/v1/requests/${id}/approve`],
  logout: ['POST', '/v1/logout'],
  get_request: ['GET', `/v1/requests/${id}`],
  login_start: ['GET', '/v1/login/configuration'],
  local_broker: ['POST', '/v1/requests'],
}

test('TM-A1 TM-A2 TM-A3 TM-A4: the corpus of attacks on HTTP, where it has a surface', async ({onTestFinished}) => {
  interface Line {
    id: string
    kind: string
    op: string
    method: string
    headers: Record<string, string>
    body: unknown
    expect: {status: number[]; state: string; must_not_headers?: Record<string, string>}
  }
  let changes = 0
  const door = await openDoor(onTestFinished, {
    routes: (app, parts) => {
      handle(app, parts, api.approveRequest, () => ({changes: ++changes}) as never)
      handle(app, parts, api.createRequest, () => ({changes: ++changes}) as never)
      handle(app, parts, api.showRequest, () => ({}) as never)
    },
  })
  const bob = await logIn(door, 'bob')
  const {host, port} = new URL(door.origin)
  const lines = readFileSync(new URL('../../../test/data/attacks/http.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Line)
  const skipped: string[] = []
  let run = 0
  for (const line of lines) {
    const route = routesOf[line.op]
    const why =
      elsewhere[line.kind] ??
      (line.id === 'http-csrf-09'
        ? 'no surface: the code comes to the person’s own machine, no callback here'
        : line.id === 'http-csrf-06'
          ? 'no surface: no browser session, so no CSRF token'
          : undefined)
    if (why !== undefined || !route) {
      skipped.push(`${line.id}: ${why ?? 'no such route'}`)
      continue
    }
    run++
    const before = changes
    const method = ['GET', 'OPTIONS'].includes(line.method) ? line.method : route[0]
    const fill = (text: string): string =>
      text.replaceAll('{origin}', door.origin).replaceAll('{host}', host).replaceAll('{port}', port).replaceAll('{digest}', '0'.repeat(64))
    // whoever attacks has even the victim's token and a fresh proof: more than a browser would send
    const headers: Record<string, string> = {host, ...(await bob.headers(method, route[1]))}
    for (const [name, value] of Object.entries(line.headers)) if (name !== 'cookie' && name !== 'x-csrf-token') headers[name] = fill(value)
    const body =
      line.body === null
        ? ''
        : fill(
            typeof line.body === 'string'
              ? line.body
              : JSON.stringify(line.op === 'approve_request' ? {...(line.body as object), jws: 'x'} : line.body),
          )
    if (method === 'POST' || body !== '') headers['content-length'] = String(Buffer.byteLength(body))
    const head = Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')
    const answer = await raw(door, `${method} ${route[1]} HTTP/1.1\r\n${head}connection: close\r\n\r\n${body}`)
    expect(line.expect.status, `${line.id} ${answer.slice(0, 400)}`).toContain(statusOf(answer))
    expect(changes - before, line.id).toBe(line.expect.state === 'changed' ? 1 : 0)
    for (const [name, pattern] of Object.entries(line.expect.must_not_headers ?? {})) {
      const value = new RegExp(`^${name}: (.*)$`, 'im').exec(answer)?.[1]
      if (value !== undefined) expect(value.trim(), line.id).not.toMatch(new RegExp(pattern, 'i'))
    }
  }
  console.info(`http.jsonl: ${run} lines run; not here:\n  ${skipped.join('\n  ')}`)
  expect(run).toBeGreaterThanOrEqual(20)
})
