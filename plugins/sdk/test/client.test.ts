import {execFileSync, spawn} from 'node:child_process'
import {createHash} from 'node:crypto'
import {mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {inspect} from 'node:util'
import {calculateJwkThumbprint, compactVerify, importJWK} from 'jose'
import {expect, test} from 'vitest'
import {api} from '../src/api.ts'
import {openCredentialStore} from '../src/cli/credential-store.ts'
import {openSession} from '../src/cli/credentials.ts'
import {createClient} from '../src/client.ts'
import {createLoginKey} from '../src/dpop.ts'
import {ProdError} from '../src/errors.ts'
import {bindingNonce, thumbprint} from '../src/login-binding.ts'
import {type Broker, brokerOrigin, signApproval} from '../src/session.ts'
import {keptSources} from '../src/testing/kept-code.ts'
import {makeCertificate} from './broker/certificate.ts'
import {logIn, newHome} from './broker/home.ts'
import {startTokenServer, type TokenServer} from './broker/token-server.ts'

type OnFinished = (act: () => void | Promise<void>) => void

async function start(onTestFinished: OnFinished): Promise<{server: TokenServer; env: Record<string, string>}> {
  const env = newHome(onTestFinished)
  const server = await startTokenServer()
  onTestFinished(server.close)
  return {server, env}
}

const codeOf = (error: unknown): string => (error instanceof ProdError ? error.code : String(error))
const refused = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'no error', codeOf)
const child = join(import.meta.dirname, 'broker/refresh-child.ts')

function startChild(
  url: string,
  env: Record<string, string>,
): {pid: number; ended: Promise<{status: number | null; signal: string | null; out: string; err: string}>} {
  const process_ = spawn(process.execPath, ['--conditions=source', child, url], {
    env: {PATH: process.env.PATH, ...keptSources, ...env},
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = Promise.all([
    text(process_.stdout),
    text(process_.stderr),
    new Promise<[number | null, string | null]>(resolve => process_.on('close', (status, signal) => resolve([status, signal]))),
  ])
  return {pid: process_.pid as number, ended: ended.then(([out, err, [status, signal]]) => ({status, signal, out, err}))}
}

test('TM-Q3: every request carries a proof of its own, with method, URL without query, time, ath and the key', async ({onTestFinished}) => {
  const {server} = await start(onTestFinished)
  const broker = await logIn(server)
  const client = createClient({broker, session: () => openSession(broker)})
  await client.call(api.listRequests, {mine: 'true'})
  await client.call(api.denyRequest, {id: 'req_0000aaaa', note: 'no'})
  await client.call(api.showRun, {id: 'run_0000aaaa'})

  expect(server.seen.map(({method, path, body}) => [method, path, body])).toEqual([
    ['GET', '/v1/requests?mine=true', {}],
    ['POST', '/v1/requests/req_0000aaaa/deny', {note: 'no'}],
    ['GET', '/v1/runs/run_0000aaaa', {}],
  ])
  expect(server.seen.every(({proof, authorization}) => proof && authorization?.startsWith('DPoP '))).toBe(true)
  expect(new Set(server.seen.map(({proof}) => proof?.jti)).size).toBe(3)
})

test('TM-Q3: a nonce is taken up where the broker demands one, and kept for the calls after', async ({onTestFinished}) => {
  const {server} = await start(onTestFinished)
  const broker = await logIn(server)
  server.bend.demandNonce = 'n-1'
  const client = createClient({broker, session: () => openSession(broker)})
  await client.call(api.whoami)
  await client.call(api.whoami)
  expect(server.seen).toHaveLength(3)
  expect(server.refreshes()).toBe(0)
})

test('TM-Q3: a copied token is worth nothing without its key', async ({onTestFinished}) => {
  const {server} = await start(onTestFinished)
  const broker = await logIn(server)
  const store = openCredentialStore()
  const kept = await store.find(broker.url)
  await store.save({...(kept as NonNullable<typeof kept>), privateJwk: createLoginKey().privateJwk})
  expect(await refused(createClient({broker, session: () => openSession(broker)}).call(api.whoami))).toBe('LOGIN_EXPIRED')
})

test('TM-Q4: a copied profile without the key is no login', async ({onTestFinished}) => {
  const {server, env} = await start(onTestFinished)
  const broker = await logIn(server)
  const path = join(env.XDG_STATE_HOME as string, 'prod/credentials.json')
  const all = JSON.parse(readFileSync(path, 'utf8')) as Record<string, {privateJwk?: {d?: string}}>
  delete all[broker.url]?.privateJwk?.d
  writeFileSync(path, JSON.stringify(all))
  expect(await refused(openSession(broker))).toBe('NOT_LOGGED_IN')
  delete all[broker.url]?.privateJwk
  writeFileSync(path, JSON.stringify(all))
  expect(await refused(openSession(broker))).toBe('NOT_LOGGED_IN')
  expect(server.seen).toHaveLength(0)
})

test('TM-Q4: without a keychain and without a choice the login stops with the hint', async ({onTestFinished}) => {
  const {server} = await start(onTestFinished)
  const broker = await logIn(server)
  delete process.env.PROD_CREDENTIAL_STORE
  process.env.DBUS_SESSION_BUS_ADDRESS = 'unix:path=/nowhere'
  const error = await openSession(broker).catch((error: unknown) => error as ProdError)
  expect(error).toMatchObject({code: 'KEYCHAIN_UNAVAILABLE', hint: expect.stringContaining('prod config set credentialStore file')})
})

test('TM-U1: the file of logins is 0600 in a 0700 folder, and refused where others can read it', async ({onTestFinished}) => {
  const {server, env} = await start(onTestFinished)
  const broker = await logIn(server)
  const folder = join(env.XDG_STATE_HOME as string, 'prod')
  const path = join(folder, 'credentials.json')
  expect((statSync(path).mode & 0o777).toString(8)).toBe('600')
  expect((statSync(folder).mode & 0o777).toString(8)).toBe('700')
  execFileSync('chmod', ['644', path])
  expect(await refused(openSession(broker))).toBe('CONFIG_INVALID')
  execFileSync('sh', ['-c', `mv ${path} ${path}.real && ln -s ${path}.real ${path}`])
  expect(await refused(openSession(broker))).toBe('CONFIG_INVALID')
})

test('ten processes at once on a token that is due make one refresh, and all go on with its answer', async ({onTestFinished}) => {
  const {server, env} = await start(onTestFinished)
  const broker = await logIn(server, {ageSeconds: 1000})
  server.expire()
  const ended = await Promise.all(Array.from({length: 10}, () => startChild(broker.url, env).ended))
  expect(ended.map(({status, err}) => [status, err])).toEqual(Array.from({length: 10}, () => [0, '']))
  expect(new Set(ended.map(({out}) => out)).size).toBe(1)
  expect(server.refreshes()).toBe(1)
})

test('ten calls at once in one process make one refresh', async ({onTestFinished}) => {
  const {server} = await start(onTestFinished)
  const broker = await logIn(server, {ageSeconds: 1000})
  const client = createClient({broker, session: () => openSession(broker)})
  await Promise.all(Array.from({length: 10}, () => client.call(api.whoami)))
  expect(server.refreshes()).toBe(1)
})

test('TM-Q4: a process killed between the answer and the write leaves a login that goes on', async ({onTestFinished}) => {
  const {server, env} = await start(onTestFinished)
  const broker = await logIn(server, {ageSeconds: 1000})
  const before = (await openCredentialStore().find(broker.url))?.refreshToken
  const asked = Promise.withResolvers<void>()
  server.bend.onRefresh = () => asked.resolve() // rotated there, never answered
  const victim = startChild(broker.url, env)
  await asked.promise
  process.kill(victim.pid, 'SIGKILL')
  expect((await victim.ended).signal).toBe('SIGKILL')
  expect((await openCredentialStore().find(broker.url))?.refreshToken).toBe(before)

  delete server.bend.onRefresh
  const next = await startChild(broker.url, env).ended
  expect(next).toMatchObject({status: 0, err: ''})
  const kept = await openCredentialStore().find(broker.url)
  expect(kept?.accessToken).toBe(next.out)
  expect(kept?.refreshToken).not.toBe(before)
})

test('a token the broker refuses is renewed once and the call repeated; a login that has ended says so', async ({onTestFinished}) => {
  const {server} = await start(onTestFinished)
  const broker = await logIn(server)
  const client = createClient({broker, session: () => openSession(broker)})
  server.expire()
  expect((await client.call(api.whoami)).groups).toEqual(['engineers'])
  expect(server.refreshes()).toBe(1)

  server.bend.refuse = {status: 401, body: JSON.stringify({error: {code: 'TOKEN_INVALID', message: 'no'}})}
  const error = await client.call(api.whoami).catch((error: unknown) => error as ProdError)
  expect(error).toMatchObject({code: 'LOGIN_EXPIRED', hint: `prod login --broker ${broker.url}`})
})

test('while the broker cannot renew, a token that is due but not over still serves', async ({onTestFinished}) => {
  const {server} = await start(onTestFinished)
  const broker = await logIn(server, {ageSeconds: 850})
  const session = await openSession(broker)
  await server.close()
  const token = await session.token()
  expect(token.length).toBeGreaterThan(20)
})

test('what a broker says of a failure arrives whole; what no broker says is told apart', async ({onTestFinished}) => {
  const {server} = await start(onTestFinished)
  const broker = await logIn(server)
  const client = createClient({broker, session: () => openSession(broker)})
  const bend = async (status: number, body: string): Promise<unknown> => {
    server.bend.refuse = {status, body}
    return client.call(api.denyRequest, {id: 'req_0000aaaa', note: 'n'}).catch((error: unknown) => error)
  }
  expect(
    await bend(403, JSON.stringify({error: {code: 'DENIED', message: 'not allowed', hint: 'prod request create x', correlation: 'cor_1'}})),
  ).toMatchObject({
    code: 'DENIED',
    message: 'not allowed',
    hint: 'prod request create x',
    correlation: 'cor_1',
  })
  expect(await bend(422, JSON.stringify({error: {code: 'ARGV_REFUSED', message: 'm', position: 2}}))).toMatchObject({
    code: 'ARGV_REFUSED',
    position: 2,
  })
  expect(await bend(418, JSON.stringify({error: {code: 'constructor', message: 'm'}}))).toMatchObject({code: 'INTERNAL'})
  expect(await bend(502, '<html>bad gateway</html>')).toMatchObject({code: 'BROKER_UNREACHABLE', hint: 'prod doctor'})
  expect(await bend(302, '')).toMatchObject({code: 'INTERNAL'})
  expect(await bend(500, 'null')).toMatchObject({code: 'INTERNAL'})
})

test('a broker that is down is BROKER_UNREACHABLE at once; nobody logged in is NOT_LOGGED_IN', async ({onTestFinished}) => {
  const {server} = await start(onTestFinished)
  const broker = await logIn(server)
  await server.close()
  const client = createClient({broker, session: () => openSession(broker)})
  const from = performance.now()
  expect(await client.call(api.whoami).catch((error: unknown) => error)).toMatchObject({code: 'BROKER_UNREACHABLE', hint: 'prod doctor'})
  expect(performance.now() - from).toBeLessThan(5000)
  const other = {name: 'other', url: 'http://127.0.0.1:9'}
  expect(await refused(createClient({broker: other, session: () => openSession(other)}).call(api.whoami))).toBe('NOT_LOGGED_IN')
})

test('only what is safe to repeat is repeated after a cut', async ({onTestFinished}) => {
  const {server} = await start(onTestFinished)
  const broker = await logIn(server)
  const client = createClient({broker, session: () => openSession(broker)})
  server.bend.dropOnce = true
  await client.call(api.whoami)
  expect(server.seen.map(({path}) => path)).toEqual(['/v1/whoami', '/v1/whoami'])
  server.bend.dropOnce = true
  await client.call(api.createRequest, {key: 'k'.repeat(22), reason: 'because of it', durationSeconds: 60})
  server.bend.dropOnce = true
  expect(await refused(client.call(api.denyRequest, {id: 'req_0000aaaa', note: 'n'}))).toBe('BROKER_UNREACHABLE')
  expect(server.seen).toHaveLength(5)
})

test('TM-Q8: only https, or http to a literal loopback address, names a broker', () => {
  const table: [string, string][] = [
    ['https://prod.example', 'https://prod.example'],
    ['https://prod.example/', 'https://prod.example'],
    ['prod.example', 'https://prod.example'],
    ['http://127.0.0.1:8443', 'http://127.0.0.1:8443'],
    ['http://[::1]:8443', 'http://[::1]:8443'],
    ['http://prod.example', 'INSECURE_URL'],
    ['http://localhost:8443', 'INSECURE_URL'],
    ['http://127.0.0.1.evil.example', 'INSECURE_URL'],
    ['http://127.0.0.2', 'INSECURE_URL'],
    ['https://alice@prod.example', 'USAGE'],
    ['https://prod.example/path', 'USAGE'],
    ['https://prod.example?x', 'USAGE'],
    ['ftp://prod.example', 'USAGE'],
    ['', 'USAGE'],
  ]
  for (const [given, expected] of table) {
    let got: string
    try {
      got = brokerOrigin(given)
    } catch (error) {
      got = codeOf(error)
    }
    expect([given, got]).toEqual([given, expected])
  }
})

function certificate(
  folder: string,
  name: string,
  names: {ip?: string; dns?: string},
  days?: number,
): {key: string; cert: string; certFile: string} {
  const made = makeCertificate(names, days)
  const certFile = join(folder, `${name}.crt`)
  writeFileSync(certFile, made.cert)
  return {...made, certFile}
}

test('TM-Q8: a certificate that nobody vouches for is refused, and no switch changes that', async ({onTestFinished}) => {
  newHome(onTestFinished)
  const folder = mkdtempSync(join(tmpdir(), 'prod-tls-'))
  onTestFinished(() => rmSync(folder, {recursive: true}))
  const good = certificate(folder, 'good', {ip: '127.0.0.1'})
  const server = await startTokenServer(good)
  onTestFinished(server.close)
  const other = await startTokenServer(certificate(folder, 'other', {dns: 'elsewhere.example'}))
  onTestFinished(other.close)
  const ask = (broker: Broker): Promise<string> =>
    createClient({broker})
      .call(api.loginConfiguration)
      .then(answer => answer.name, codeOf)

  expect(await ask({name: 'b', url: server.url})).toBe('CERTIFICATE_REFUSED')
  expect(await ask({name: 'b', url: server.url, caFile: good.certFile})).toBe('test broker')
  // its own CA vouches for it, but it is another name
  expect(await ask({name: 'b', url: other.url, caFile: join(folder, 'other.crt')})).toBe('CERTIFICATE_REFUSED')
  expect(await ask({name: 'b', url: server.url, caFile: join(folder, 'other.crt')})).toBe('CERTIFICATE_REFUSED')
  expect(await ask({name: 'b', url: server.url, caFile: join(folder, 'none.crt')})).toBe('CONFIG_INVALID')
  const stale = certificate(folder, 'stale', {ip: '127.0.0.1'}, -1)
  const expired = await startTokenServer(stale)
  onTestFinished(expired.close)
  expect(await ask({name: 'b', url: expired.url, caFile: stale.certFile})).toBe('CERTIFICATE_REFUSED')

  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  expect(await ask({name: 'b', url: server.url})).toBe('INSECURE_URL')
  delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
  // a CA that only the environment names does not count (read at the start of a process, so a process)
  const script = `import {createClient} from ${JSON.stringify(join(import.meta.dirname, '../src/client.ts'))}
import {api} from ${JSON.stringify(join(import.meta.dirname, '../src/api.ts'))}
await createClient({broker: {name: 'b', url: ${JSON.stringify(server.url)}}}).call(api.loginConfiguration).then(a => console.log(a.name), e => console.log(e.code))`
  const run = spawn(process.execPath, ['--conditions=source', '--input-type=module', '-e', script], {
    env: {...process.env, NODE_EXTRA_CA_CERTS: good.certFile},
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  expect((await text(run.stdout)).trim()).toBe('CERTIFICATE_REFUSED')
})

test('TM-Q8: TLS 1.1 is refused', async ({onTestFinished}) => {
  newHome(onTestFinished)
  const folder = mkdtempSync(join(tmpdir(), 'prod-tls-'))
  onTestFinished(() => rmSync(folder, {recursive: true}))
  const old = certificate(folder, 'old', {ip: '127.0.0.1'})
  const server = await startTokenServer({...old, maxVersion: 'TLSv1.1'})
  onTestFinished(server.close)
  const answer = await createClient({broker: {name: 'b', url: server.url, caFile: old.certFile}})
    .call(api.loginConfiguration)
    .then(() => 'answered', codeOf)
  expect(answer).toBe('CERTIFICATE_REFUSED')
})

test('TM-U2: after a login and a renewal no secret lies outside the credential file, nor in the error that is shown', async ({
  onTestFinished,
}) => {
  const {server, env} = await start(onTestFinished)
  const broker = await logIn(server, {ageSeconds: 1000})
  await startChild(broker.url, env).ended
  const kept = await openCredentialStore().find(broker.url)
  const secrets = [kept?.accessToken, kept?.refreshToken, kept?.privateJwk.d] as string[]
  const state = join(env.XDG_STATE_HOME as string, 'prod')
  const files = readdirSync(state, {recursive: true, withFileTypes: true})
    .filter(entry => entry.isFile() && entry.name !== 'credentials.json')
    .map(entry => join(entry.parentPath, entry.name))
  expect(files).toContain(join(state, 'credentials.lock'))
  for (const name of files) for (const secret of secrets) expect(readFileSync(name, 'utf8')).not.toContain(secret)

  server.bend.refuse = {status: 403, body: JSON.stringify({error: {code: 'DENIED', message: 'no'}})}
  const error = await createClient({broker, session: () => openSession(broker)})
    .call(api.whoami)
    .catch((error: unknown) => error)
  await server.close()
  const lost = await createClient({broker, session: () => openSession(broker)})
    .call(api.whoami)
    .catch((error: unknown) => error)
  expect(lost).toMatchObject({code: 'BROKER_UNREACHABLE'})
  for (const secret of secrets) expect(inspect([error, lost], {depth: 20, showHidden: true})).not.toContain(secret)
})

test('the nonce binds thumbprint and salt: RFC 7638, then SHA-256 over both texts', async () => {
  const {key} = createLoginKey()
  expect(key.thumbprint).toBe(await calculateJwkThumbprint(key.publicJwk))
  expect(thumbprint(key.publicJwk)).toBe(key.thumbprint)
  expect(bindingNonce('abc', 'def')).toBe(createHash('sha256').update('abcdef').digest('base64url'))
})

test('an approval is a JWS by the login key over what was shown', async ({onTestFinished}) => {
  const {server} = await start(onTestFinished)
  const broker = await logIn(server)
  const session = await openSession(broker)
  const jws = signApproval(session, {digest: 'd'.repeat(64), request: 'req_1', decision: 'approve', assurance: 'login'})
  const {payload, protectedHeader} = await compactVerify(jws, await importJWK({...session.key.publicJwk}, 'ES256'), {algorithms: ['ES256']})
  expect(protectedHeader).toEqual({alg: 'ES256', typ: 'prod-approval+jws', kid: session.key.thumbprint})
  expect(JSON.parse(new TextDecoder().decode(payload))).toEqual({
    digest: 'd'.repeat(64),
    request: 'req_1',
    decision: 'approve',
    assurance: 'login',
    iat: expect.any(Number),
  })
})
