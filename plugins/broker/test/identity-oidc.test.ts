import {createHash, generateKeyPairSync, type KeyObject} from 'node:crypto'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {bindingNonce} from '@prod/sdk/login-binding'
import {exportJWK, SignJWT, UnsecuredJWT} from 'jose'
import {expect, test} from 'vitest'
import type {Config} from '../src/config.ts'
import type {IdentityProvider} from '../src/identity-providers/identity-provider.ts'
import {openOidc} from '../src/identity-providers/oidc/oidc.ts'
import {call, checkUrl} from '../src/identity-providers/oidc/outgoing.ts'
import {openIdentity} from '../src/identity-providers/open.ts'
import {openDoor} from './door.ts'

interface Issuer {
  url: string
  oidc: IdentityProvider
  key: KeyObject
  /** what the token endpoint answers next */
  answer: {status: number; body: Record<string, unknown> | string}
  jwks: object[]
  asked: string[]
  userinfo: Record<string, unknown>
  sign(claims: object, header?: object, key?: KeyObject | Uint8Array): Promise<string>
}

const nonce = 'n'.repeat(43)

/** An issuer on loopback that speaks the protocol and says what the test wants. */
async function issuer(onFinished: (end: () => void) => void, changes: {metadata?: object; groupsClaim?: string} = {}): Promise<Issuer> {
  const {privateKey, publicKey} = generateKeyPairSync('ec', {namedCurve: 'P-256'})
  const jwk = {...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig'}
  const server = createServer((request, response) => {
    it.asked.push(request.url ?? '')
    const json = (body: unknown, status = 200): void =>
      void response.writeHead(status, {'content-type': 'application/json'}).end(typeof body === 'string' ? body : JSON.stringify(body))
    switch (request.url) {
      case '/.well-known/openid-configuration':
        return json({
          issuer: it.url,
          authorization_endpoint: `${it.url}/auth`,
          token_endpoint: `${it.url}/token`,
          userinfo_endpoint: `${it.url}/me`,
          jwks_uri: `${it.url}/jwks`,
          id_token_signing_alg_values_supported: ['ES256', 'HS256', 'none'],
          ...changes.metadata,
        })
      case '/jwks':
        return json({keys: it.jwks})
      case '/token':
        return json(it.answer.body, it.answer.status)
      case '/me':
        return json(it.userinfo)
      case '/away':
        return void response.writeHead(302, {location: `${it.url}/inside`}).end()
      case '/large':
        return json('x'.repeat(600 * 1024))
      default:
        return json({}, 404)
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const it: Issuer = {
    url,
    key: privateKey,
    jwks: [jwk],
    asked: [],
    answer: {status: 200, body: {}},
    userinfo: {},
    oidc: openOidc({
      development: true,
      issuer: url,
      clientId: 'prod',
      clientSecret: 'hush',
      scopes: ['openid'],
      groupsClaim: changes.groupsClaim ?? 'groups',
      personClaim: 'employee',
    }),
    sign: (claims, header = {}, key = privateKey) => {
      const now = Math.floor(Date.now() / 1000)
      return new SignJWT({iss: url, aud: 'prod', sub: 's-1', iat: now, exp: now + 300, nonce, ...claims})
        .setProtectedHeader({alg: 'ES256', kid: 'k1', ...header})
        .sign(key)
    },
  }
  return it
}

const exchange = (it: Issuer): Promise<unknown> =>
  it.oidc.exchange({code: 'c', verifier: 'v'.repeat(43), redirectUri: 'http://127.0.0.1:1/callback', nonce})

test('TM-Q5 TM-I2: an ID token counts only with the issuer’s own key, names, times and nonce', async ({onTestFinished}) => {
  const it = await issuer(onTestFinished)
  const stranger = generateKeyPairSync('ec', {namedCurve: 'P-256'})
  const now = Math.floor(Date.now() / 1000)
  const bad: [string, string][] = [
    ['no signature', new UnsecuredJWT({iss: it.url, aud: 'prod', sub: 's-1', nonce, iat: now, exp: now + 300}).encode()],
    ['HS256 with the public key', await it.sign({}, {alg: 'HS256'}, Buffer.from(JSON.stringify(it.jwks[0])))],
    ['HS256 with the client secret', await it.sign({}, {alg: 'HS256', kid: undefined}, Buffer.from('hush'.padEnd(32, 'x')))],
    ['another key', await it.sign({}, {}, stranger.privateKey)],
    [
      'another key, named inside',
      await it.sign(
        {},
        {kid: undefined, jwk: await exportJWK(stranger.publicKey), jku: `${it.url}/evil`, x5u: `${it.url}/evil`},
        stranger.privateKey,
      ),
    ],
    ['an unknown key id', await it.sign({}, {kid: 'k2'}, stranger.privateKey)],
    ['another issuer', await it.sign({iss: 'https://attacker.example'})],
    ['another audience', await it.sign({aud: 'other'})],
    ['two audiences', await it.sign({aud: ['prod', 'other']})],
    ['another authorized party', await it.sign({azp: 'other'})],
    ['expired by 61 s', await it.sign({exp: now - 61})],
    ['not valid yet', await it.sign({nbf: now + 120})],
    ['issued long ago', await it.sign({iat: now - 3600})],
    ['another nonce', await it.sign({nonce: 'm'.repeat(43)})],
    ['no nonce', await it.sign({nonce: undefined})],
    ['no subject', await it.sign({sub: undefined})],
    ['an access token', await it.sign({}, {typ: 'at+jwt'})],
  ]
  for (const [what, id_token] of bad) {
    it.answer = {status: 200, body: {id_token, access_token: 'a'}}
    await expect(exchange(it), what).rejects.toMatchObject({code: 'LOGIN_FAILED'})
  }
  expect(it.asked.filter(path => path === '/evil')).toEqual([])

  it.answer = {
    status: 200,
    body: {
      id_token: await it.sign({groups: ['g1', 7, '', 'g1'], employee: 'e-7', name: 'Ada', email: 'x@y.example', email_verified: false}),
      refresh_token: 'r1',
    },
  }
  expect(await exchange(it)).toMatchObject({
    principal: {iss: it.url, sub: 's-1', person: 'e-7', name: 'Ada'},
    groups: ['g1'],
    providerToken: 'r1',
  })
})

test('groups come from userinfo of the same subject where the ID token has none; who is no person id has none', async ({
  onTestFinished,
}) => {
  const it = await issuer(onTestFinished, {groupsClaim: 'roles'})
  it.answer = {status: 200, body: {id_token: await it.sign({}), access_token: 'a'}}
  it.userinfo = {sub: 's-1', roles: ['ops']}
  expect(await exchange(it)).toMatchObject({groups: ['ops'], principal: {person: '', name: 's-1'}, providerToken: null})
  it.userinfo = {sub: 'somebody-else', roles: ['admins']}
  await expect(exchange(it)).rejects.toMatchObject({code: 'IDENTITY_UNAVAILABLE'})
})

test('TM-G3: a refused renewal is the end, an unwell provider is not, and neither gives groups', async ({onTestFinished}) => {
  const it = await issuer(onTestFinished)
  it.answer = {status: 200, body: {id_token: await it.sign({groups: ['g2'], nonce: undefined}), refresh_token: 'r2'}}
  expect(await it.oidc.groups('r1')).toEqual({groups: ['g2'], providerToken: 'r2'})
  for (const [status, body, code] of [
    [400, {error: 'invalid_grant'}, 'LOGIN_EXPIRED'],
    [400, {error: 'invalid_client'}, 'IDENTITY_UNAVAILABLE'],
    [503, {}, 'IDENTITY_UNAVAILABLE'],
    [200, '<html>', 'IDENTITY_UNAVAILABLE'],
  ] as const) {
    it.answer = {status, body}
    await expect(it.oidc.groups('r1')).rejects.toMatchObject({code})
  }
})

test('TM-W8: a certificate is checked by the issuer’s keys long after it ran out, and binds one key alone', async ({onTestFinished}) => {
  const it = await issuer(onTestFinished)
  const [thumbprint, salt] = ['t'.repeat(43), 's'.repeat(43)]
  const old = Math.floor(Date.now() / 1000) - 86_400
  const certificate = await it.sign({nonce: bindingNonce(thumbprint, salt), iat: old, exp: old + 300, employee: 'e-7'})
  expect(await it.oidc.verifyBinding(certificate, thumbprint, salt)).toEqual({iss: it.url, sub: 's-1', person: 'e-7'})
  const stranger = generateKeyPairSync('ec', {namedCurve: 'P-256'})
  const forged = await it.sign({nonce: bindingNonce(thumbprint, salt)}, {}, stranger.privateKey)
  for (const [token, key] of [
    [certificate, 'u'.repeat(43)],
    [forged, thumbprint],
    ['x', thumbprint],
  ] as const) {
    await expect(it.oidc.verifyBinding(token, key, salt)).rejects.toMatchObject({code: 'SIGNATURE_INVALID'})
  }
})

test('a new key of the issuer is found; another name for the issuer is not accepted', async ({onTestFinished}) => {
  const it = await issuer(onTestFinished)
  const next = generateKeyPairSync('ec', {namedCurve: 'P-256'})
  it.jwks = [{...(await exportJWK(next.publicKey)), kid: 'k2', alg: 'ES256'}]
  it.answer = {status: 200, body: {id_token: await it.sign({groups: []}, {kid: 'k2'}, next.privateKey)}}
  expect(await exchange(it)).toMatchObject({principal: {sub: 's-1'}})
  const liar = await issuer(onTestFinished, {metadata: {issuer: 'https://attacker.example'}})
  await expect(liar.oidc.authorizationEndpoint()).rejects.toMatchObject({code: 'CONFIG_INVALID'})
  const inside = await issuer(onTestFinished, {metadata: {token_endpoint: 'http://169.254.169.254/latest'}})
  await expect(inside.oidc.authorizationEndpoint()).rejects.toMatchObject({code: 'CONFIG_INVALID'})
})

test('TM-A7: outgoing calls go nowhere inside, follow nothing and end at half a megabyte', async ({onTestFinished}) => {
  const refused = [
    'http://idp.example/',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f000001/',
    'https://127.1/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://169.254.169.254/',
    'https://[fe80::1]/',
    'https://0.0.0.0/',
    'file:///etc/passwd',
    'gopher://x/',
    'https://idp.example@attacker.example/',
    'https://user:pw@idp.example/',
    'https://idp.example/#x',
    'x',
    '',
  ]
  for (const url of refused)
    expect(() => checkUrl(url, {development: false}), url).toThrow(expect.objectContaining({code: 'CONFIG_INVALID'}))
  expect(() => checkUrl('http://localhost:1/', {development: true})).toThrow()
  await expect(call(new URL('https://localhost:1/'), {development: false})).rejects.toMatchObject({code: 'IDENTITY_UNAVAILABLE'})
  const it = await issuer(onTestFinished)
  expect((await call(new URL(`${it.url}/away`), {development: true})).status).toBe(302)
  expect(it.asked).toEqual(['/away'])
  await expect(call(new URL(`${it.url}/large`), {development: true})).rejects.toMatchObject({code: 'IDENTITY_UNAVAILABLE'})
})

test('the development provider asks a browser who to be, by links under a strict policy', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const url = new URL(await door.identity.authorizationEndpoint())
  const query = {
    client_id: 'prod',
    response_type: 'code',
    redirect_uri: 'http://127.0.0.1:4444/callback',
    scope: 'openid',
    state: '"><script>',
    nonce: 'n',
    code_challenge: createHash('sha256').update('v').digest('base64url'),
    code_challenge_method: 'S256',
  }
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  const page = await fetch(url)
  const html = await page.text()
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
  expect(html).not.toContain('<script')
  const [, href] = /href="([^"]*login_hint=carol)"/.exec(html) ?? []
  const chosen = await fetch(new URL((href as string).replaceAll('&#38;', '&'), url), {redirect: 'manual'})
  const back = new URL(chosen.headers.get('location') as string)
  expect([back.origin, back.searchParams.get('iss'), back.searchParams.get('state')]).toEqual([
    'http://127.0.0.1:4444',
    door.identity.issuer,
    '"><script>',
  ])

  for (const [name, value, status] of [
    ['login_hint', 'mallory', 404],
    ['redirect_uri', 'http://attacker.example/', 400],
    ['code_challenge_method', 'plain', 303],
    ['code_challenge', '', 303],
  ] as const) {
    const bad = new URL(url)
    bad.searchParams.set('login_hint', 'alice')
    bad.searchParams.set(name, value)
    const answer = await fetch(bad, {redirect: 'manual'})
    expect(answer.status, name).toBe(status)
    if (status === 303) expect(new URL(answer.headers.get('location') as string).searchParams.has('code')).toBe(false)
  }
  expect((await fetch(new URL('/interaction/x', url))).status).toBe(404)
  expect(door.identity.people()).toEqual(['alice', 'bob', 'carol'])
})

test('TM-Q8: a CA file of the provider that cannot be read, or holds no certificate, does not open it', async () => {
  const settings = {
    kind: 'oidc',
    issuer: 'https://id.example',
    clientId: 'prod',
    clientSecretFile: null,
    scopes: [],
    groupsClaim: 'g',
    personClaim: 'p',
  } as const
  const open = (caFile: string) => openIdentity({dir: '', development: false, identity: {...settings, caFile}} as unknown as Config)
  await expect(open('/nowhere/ca.pem')).rejects.toMatchObject({code: 'CONFIG_INVALID', message: expect.stringContaining('identity.caFile')})
  await expect(open(import.meta.filename)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('no certificate'),
  })
})
