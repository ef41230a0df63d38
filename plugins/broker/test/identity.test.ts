import {createHash, generateKeyPairSync, randomBytes} from 'node:crypto'
import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {ProdError} from '@prod/sdk/errors'
import {decodeJwt, exportSPKI, SignJWT, UnsecuredJWT} from 'jose'
import {expect, test} from 'vitest'
import {sealMembership} from '../src/grants/membership.ts'
import type {LoginRecord} from '../src/identity/logins.ts'
import {seal, unseal} from '../src/identity/seal.ts'
import type {Store} from '../src/stores/store.ts'
import {ath, authorize, logIn, makeKey, openDoor, send, sessionOf, type TestDoor} from './door.ts'

const people = (door: TestDoor, who: Record<string, unknown>): Promise<void> =>
  writeFile(join(door.dir, 'identity', 'people.json'), JSON.stringify(who))

test('TM-Q3: a token is good with a fresh proof by its own key for this very call, and with nothing else', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const alice = await logIn(door, 'alice')
  const {accessToken} = alice.tokens
  const other = await makeKey()
  const htu = `${door.origin}/v1/whoami`
  const now = Math.floor(Date.now() / 1000)
  const good = {htm: 'GET', htu, ath: ath(accessToken)}
  const {privateKey, publicKey} = generateKeyPairSync('rsa', {modulusLength: 2048})
  const rsa = await new SignJWT({...good, jti: randomBytes(16).toString('base64url'), iat: now})
    .setProtectedHeader({alg: 'RS256', typ: 'dpop+jwt', jwk: publicKey.export({format: 'jwk'}) as never})
    .sign(privateKey)
  const proofs: [string, string | undefined][] = [
    ['no proof', undefined],
    ['another key', await other.proof(good)],
    ['another method', await alice.key.proof({...good, htm: 'POST'})],
    ['another path', await alice.key.proof({...good, htu: `${door.origin}/v1/catalog`})],
    ['another host', await alice.key.proof({...good, htu: 'http://attacker.example/v1/whoami'})],
    ['a query in htu', await alice.key.proof({...good, htu: `${htu}?x=1`})],
    ['61 s old', await alice.key.proof({...good, iat: now - 62})],
    ['61 s ahead', await alice.key.proof({...good, iat: now + 62})],
    ['no iat', await alice.key.proof({...good, iat: undefined})],
    ['no jti', await alice.key.proof({...good, jti: undefined})],
    ['no ath', await alice.key.proof({...good, ath: undefined})],
    ['ath of another token', await alice.key.proof({...good, ath: ath('x')})],
    ['another type', await alice.key.proof(good, {typ: 'JWT'})],
    ['no key', await alice.key.proof(good, {jwk: undefined})],
    ['a private key', await alice.key.proof(good, {jwk: {...alice.key.jwk, d: 'x'}})],
    ['two proofs', `${await alice.key.proof(good)}, ${await alice.key.proof(good)}`],
    ['RS256', rsa],
    ['no signature', new UnsecuredJWT(good).encode()],
    ['4 KB of it', `${await alice.key.proof({...good, jti: 'x'.repeat(5000)})}`],
  ]
  for (const [what, dpop] of proofs) {
    const {status, body} = await send(door, 'GET', '/v1/whoami', {
      authorization: `DPoP ${accessToken}`,
      ...(dpop === undefined ? {} : {dpop}),
    })
    expect([status, body.error?.code], what).toEqual([401, 'TOKEN_INVALID'])
  }
  const bearer = await send(door, 'GET', '/v1/whoami', {
    ...(await alice.headers('GET', '/v1/whoami')),
    authorization: `Bearer ${accessToken}`,
  })
  expect([bearer.status, bearer.body.error.code]).toEqual([401, 'TOKEN_INVALID'])

  const headers = await alice.headers('GET', '/v1/whoami')
  expect((await send(door, 'GET', '/v1/whoami', headers)).status).toBe(200)
  expect((await send(door, 'GET', '/v1/whoami', headers)).status, 'replayed').toBe(401)
  const skewed = await alice.headers('GET', '/v1/whoami', {iat: now - 50})
  expect((await send(door, 'GET', '/v1/whoami', skewed)).status).toBe(200)
})

test('TM-Q3: a proof counts once over all brokers on one store, and twenty at once', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const alice = await logIn(door, 'alice')
  const headers = await alice.headers('GET', '/v1/whoami')
  const answers = await Promise.all(Array.from({length: 20}, () => send(door, 'GET', '/v1/whoami', headers)))
  expect(answers.filter(({status}) => status === 200)).toHaveLength(1)

  // what another process would find: nothing in memory, the record in the store
  const {checkProof} = await import('../src/identity/proofs.ts')
  const elsewhere = {...door.parts, store: {...door.parts.store}}
  const {accessToken} = alice.tokens
  const input = {method: 'GET', url: `${door.origin}/v1/whoami`, proof: headers.dpop, accessToken}
  await expect(checkProof(elsewhere, input)).rejects.toMatchObject({code: 'TOKEN_INVALID'})
  await expect(checkProof(elsewhere, {...input, proof: (await alice.headers('GET', '/v1/whoami')).dpop})).resolves.toMatchObject({
    thumbprint: alice.key.thumbprint,
  })
})

test('a store that cannot write refuses changes and lets people look', async ({onTestFinished}) => {
  let full = false
  const door = await openDoor(onTestFinished, {
    store: (store: Store) => ({
      ...store,
      commit: change => (full ? Promise.reject(new ProdError('STORE_UNAVAILABLE', 'the disk is full')) : store.commit(change)),
    }),
  })
  const alice = await logIn(door, 'alice')
  full = true
  const headers = await alice.headers('GET', '/v1/whoami')
  expect((await send(door, 'GET', '/v1/whoami', headers)).status).toBe(200)
  expect((await send(door, 'GET', '/v1/whoami', headers)).status).toBe(401)
  const refused = await alice.call('POST', '/v1/logout', {})
  expect([refused.status, refused.body.error.code]).toEqual([503, 'STORE_UNAVAILABLE'])
})

test('TM-Q5: access tokens of another maker, kind, time or algorithm are refused', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const alice = await logIn(door, 'alice')
  const claims = decodeJwt(alice.tokens.accessToken)
  const now = Math.floor(Date.now() / 1000)
  const {token} = door.parts.keys
  const stranger = generateKeyPairSync('ed25519')
  const make = (payload: object, header: object = {}, key: unknown = token.privateKey): Promise<string> =>
    new SignJWT({...claims, ...payload}).setProtectedHeader({alg: 'EdDSA', typ: 'at+jwt', ...header}).sign(key as never)
  const spki = await exportSPKI(token.publicKey as never)
  const record = (await door.parts.store.find<LoginRecord>('login', alice.tokens.login))!.value
  const tokens: [string, string][] = [
    ['alg none', new UnsecuredJWT(claims).encode()],
    ['HS256 with the public key', await make({}, {alg: 'HS256'}, Buffer.from(spki))],
    ['another key', await make({}, {}, stranger.privateKey)],
    ['another key, named in jwk', await make({}, {jwk: stranger.publicKey.export({format: 'jwk'})}, stranger.privateKey)],
    [
      'another key, named in jku',
      await make({}, {jku: 'https://attacker.example/jwks', x5u: 'https://attacker.example/x5u', kid: 'x'}, stranger.privateKey),
    ],
    ['another audience', await make({aud: 'https://other.example'})],
    ['another issuer', await make({iss: 'https://other.example'})],
    ['expired', await make({exp: now - 61})],
    ['not yet valid', await make({nbf: now + 120})],
    ['no end', await make({exp: undefined})],
    ['another type', await make({}, {typ: 'JWT'})],
    ['no key bound', await make({cnf: undefined})],
    ['another login', await make({login: 'login_0000000000'})],
    ['the ID token', record.idToken],
    ['nonsense', 'a.b.c'],
  ]
  for (const [what, accessToken] of tokens) {
    const {status} = await sessionOf(door, alice.key, {...alice.tokens, accessToken}).call('GET', '/v1/whoami')
    expect(status, what).toBe(401)
  }
  expect((await alice.call('GET', '/v1/whoami')).status).toBe(200)
  door.forward(15 * 60_000 + 1000)
  const iat = Math.floor(Date.now() / 1000) + 15 * 60 + 1
  const late = await send(door, 'GET', '/v1/whoami', await alice.headers('GET', '/v1/whoami', {iat}))
  expect([late.status, late.body.error.code]).toEqual([401, 'TOKEN_INVALID'])
})

test('TM-Q7: after logout, of one login or of all, tokens end at once', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const [laptop, desk, third, bob] = [
    await logIn(door, 'alice'),
    await logIn(door, 'alice'),
    await logIn(door, 'alice'),
    await logIn(door, 'bob'),
  ]
  expect((await laptop.call('POST', '/v1/logout', {})).body).toEqual({ended: 1})
  const after = await laptop.call('GET', '/v1/whoami')
  expect([after.status, after.body.error.code]).toEqual([401, 'LOGIN_EXPIRED'])
  expect((await laptop.refresh()).status).toBe(401)
  expect((await desk.call('GET', '/v1/whoami')).status).toBe(200)
  expect((await desk.call('POST', '/v1/logout', {everywhere: true})).body).toEqual({ended: 2})
  expect((await third.call('GET', '/v1/whoami')).status).toBe(401)
  expect((await bob.call('GET', '/v1/whoami')).status).toBe(200)
  expect((await door.events()).filter(type => type === 'login.ended')).toHaveLength(3)
})

test('TM-Q4: refresh tokens rotate; the one before, by the same key within 60 s, gets the same successor', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const alice = await logIn(door, 'alice')
  const first = alice.tokens.refreshToken
  const answers = await Promise.all(Array.from({length: 10}, () => alice.refresh(first)))
  expect(answers.map(({status}) => status)).toEqual(Array(10).fill(200))
  const successors = new Set(answers.map(({body}) => body.refreshToken))
  expect(successors.size).toBe(1)
  const [second] = successors as Set<string>
  expect(second).not.toBe(first)
  expect((await sessionOf(door, alice.key, answers[3]!.body).call('GET', '/v1/whoami')).status).toBe(200)
  expect((await alice.refresh(second)).status).toBe(200)

  const stored = JSON.stringify((await door.parts.store.find('login', alice.tokens.login))?.value)
  for (const secret of [first, second as string]) expect(stored).not.toContain(secret.split('.')[1])
})

test.each([
  [
    'the one before, after 60 s',
    async (door: TestDoor, first: string, refresh: (token: string) => Promise<unknown>) => {
      await refresh(first)
      door.forward(61_000)
      return first
    },
  ],
  [
    'the one before the last',
    async (_door: TestDoor, first: string, refresh: (token: string) => Promise<{body: {refreshToken: string}}>) => {
      const {body} = await refresh(first)
      await refresh(body.refreshToken)
      return first
    },
  ],
])('TM-Q4: reuse ends the login and is told: %s', async (_what, prepare) => {
  const ends: (() => Promise<void> | void)[] = []
  try {
    const door = await openDoor(end => ends.push(end))
    const alice = await logIn(door, 'alice')
    const ahead = (): number => Math.floor(door.parts.store.now().getTime() / 1000)
    const refresh = async (token: string): Promise<never> => {
      const dpop = await alice.key.proof({htm: 'POST', htu: `${door.origin}/v1/login/refresh`, iat: ahead()})
      return (await send(door, 'POST', '/v1/login/refresh', {dpop}, {refreshToken: token})) as never
    }
    const used = await prepare(door, alice.tokens.refreshToken, refresh)
    const reuse = (await refresh(used)) as {status: number; body: {error: {code: string}}}
    expect([reuse.status, reuse.body.error.code]).toEqual([401, 'LOGIN_EXPIRED'])
    expect((await send(door, 'GET', '/v1/whoami', await alice.headers('GET', '/v1/whoami', {iat: ahead()}))).status).toBe(401)
    expect(await door.events()).toContain('login.reuse-detected')
    expect(door.alarms.map(({what}) => what)).toEqual(['a refresh token was used again: its login was ended'])
  } finally {
    for (const end of ends) await end()
  }
})

test('TM-Q4: a copied refresh token without its key ends the login; a made-up one does nothing', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const alice = await logIn(door, 'alice')
  const [login] = alice.tokens.refreshToken.split('.')
  const madeUp = `${login}.${randomBytes(32).toString('base64url')}.${randomBytes(32).toString('base64url')}`
  expect((await alice.refresh(madeUp)).status).toBe(401)
  expect((await alice.refresh('x')).status).toBe(401)
  expect((await alice.call('GET', '/v1/whoami')).status).toBe(200)
  expect((await alice.refresh(alice.tokens.refreshToken, await makeKey())).status).toBe(401)
  expect((await alice.call('GET', '/v1/whoami')).status).toBe(401)
  expect(await door.events()).toEqual(['login.created', 'login.reuse-detected'])
})

test('TM-G3: who left a group, or was renamed out of it, is out within five minutes; nobody is asked twice at once', async ({
  onTestFinished,
}) => {
  const door = await openDoor(onTestFinished)
  const alice = await logIn(door, 'alice')
  const call = async () => {
    const iat = Math.floor(door.parts.store.now().getTime() / 1000)
    return send(door, 'GET', '/v1/whoami', await alice.headers('GET', '/v1/whoami', {iat}))
  }
  await people(door, {alice: {groups: ['sre-leads']}})
  expect((await call()).body.groups).toEqual(['engineers'])
  door.forward(5 * 60_000)
  const answers = await Promise.all(Array.from({length: 8}, call))
  expect(answers.map(({body}) => body.groups)).toEqual(Array(8).fill(['sre-leads']))
  expect((await door.events()).filter(type => type === 'login.groups-changed')).toHaveLength(1)
})

test('TM-G3: a provider that cannot be asked means no groups; the login is not carried on, and is well again later', async ({
  onTestFinished,
}) => {
  const door = await openDoor(onTestFinished)
  const alice = await logIn(door, 'alice')
  const iat = (): number => Math.floor(door.parts.store.now().getTime() / 1000)
  const real = {...door.parts.identity}
  Object.assign(door.parts.identity, {groups: () => Promise.reject(new ProdError('IDENTITY_UNAVAILABLE', 'down'))})
  door.forward(5 * 60_000)
  const whoami = await send(door, 'GET', '/v1/whoami', await alice.headers('GET', '/v1/whoami', {iat: iat()}))
  expect([whoami.status, whoami.body.groups]).toEqual([200, []])
  const htu = `${door.origin}/v1/login/refresh`
  const refused = await send(
    door,
    'POST',
    '/v1/login/refresh',
    {dpop: await alice.key.proof({htm: 'POST', htu, iat: iat()})},
    {refreshToken: alice.tokens.refreshToken},
  )
  expect([refused.status, refused.body.error.code]).toEqual([503, 'IDENTITY_UNAVAILABLE'])
  Object.assign(door.parts.identity, {groups: (token: string) => real.groups(token)})
  door.forward(10_000)
  const again = await send(
    door,
    'POST',
    '/v1/login/refresh',
    {dpop: await alice.key.proof({htm: 'POST', htu, iat: iat()})},
    {refreshToken: alice.tokens.refreshToken},
  )
  expect([again.status, again.body.groups]).toEqual([200, ['engineers']])
})

test('who is gone at the provider is gone here', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const alice = await logIn(door, 'alice')
  await people(door, {alice: null})
  door.forward(5 * 60_000)
  const iat = Math.floor(door.parts.store.now().getTime() / 1000)
  const answer = await send(door, 'GET', '/v1/whoami', await alice.headers('GET', '/v1/whoami', {iat}))
  expect([answer.status, answer.body.error.code]).toEqual([401, 'LOGIN_EXPIRED'])
  expect(await door.events()).toContain('login.ended')
})

test('groups of active grants count until their end', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const alice = await logIn(door, 'alice')
  const until = (ms: number): string => new Date(Date.now() + ms).toISOString()
  const put = (id: string, person: string, group: string, expiresAt: string) =>
    ({
      kind: 'membership',
      id,
      version: 0,
      value: sealMembership(door.parts.keys.seal, {person, group, grant: id, expiresAt}),
      index: {owner: person, dueAt: expiresAt},
    }) as const
  await door.parts.store.commit({
    put: [
      put('grant_1', 'alice', 'web-operators', until(60_000)),
      put('grant_2', 'alice', 'past', until(-1)),
      put('grant_3', 'bob', 'others', until(60_000)),
    ],
    events: [],
  })
  expect((await alice.call('GET', '/v1/whoami')).body.groups).toEqual(['engineers', 'web-operators'])
})

test('TM-I2: two accounts of one person are two identities with one person id; a name reused is nobody else', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  await people(door, {'alice-admin': {groups: ['sre-leads'], person: 'alice', sub: 'a-2'}})
  const [alice, admin] = [await logIn(door, 'alice'), await logIn(door, 'alice-admin')]
  expect(admin.tokens.principal).toEqual({iss: door.identity.issuer, sub: 'a-2', person: 'alice', name: 'alice-admin'})
  expect((await alice.call('POST', '/v1/logout', {everywhere: true})).body).toEqual({ended: 1})
  expect((await admin.call('GET', '/v1/whoami')).status).toBe(200)

  await people(door, {alice: {groups: [], person: 'another-alice', sub: 'alice-2'}})
  const hired = await logIn(door, 'alice')
  expect(hired.tokens.principal).toMatchObject({sub: 'alice-2', person: 'another-alice', name: 'alice'})
  const seen = await door.parts.store.list<{sub: string}>({kind: 'person'})
  expect(seen.map(({value}) => value.sub).sort()).toEqual(['a-2', 'alice', 'alice-2'])
})

test('a login that the provider does not vouch for is refused and told; a flood of them is stopped', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const key = await makeKey()
  const other = await makeKey()
  const attempt = async (input: Record<string, string>, by = key) =>
    send(door, 'POST', '/v1/login', {dpop: await by.proof({htm: 'POST', htu: `${door.origin}/v1/login`})}, input)
  const good = await authorize(door, 'alice', key)
  const cases: [string, Record<string, string>, typeof key][] = [
    ['another key than the code was asked for', good, other],
    ['another salt', {...(await authorize(door, 'alice', key)), salt: randomBytes(32).toString('base64url')}, key],
    ['another verifier', {...(await authorize(door, 'alice', key)), verifier: randomBytes(32).toString('base64url')}, key],
    ['another redirect', {...(await authorize(door, 'alice', key)), redirectUri: 'http://127.0.0.1:1/'}, key],
    ['another issuer', {...(await authorize(door, 'alice', key)), iss: 'https://attacker.example'}, key],
    ['no such code', {...good, code: 'nonsense'}, key],
  ]
  for (const [what, input, by] of cases) {
    const {status, body} = await attempt(input, by)
    expect([status, body.error.code], what).toEqual([401, 'LOGIN_FAILED'])
    expect(JSON.stringify(body)).not.toContain(input.code)
  }
  const once = await authorize(door, 'alice', key)
  expect((await attempt(once)).status).toBe(200)
  expect((await attempt(once)).status, 'a code counts once').toBe(401)
  expect((await send(door, 'POST', '/v1/login', {}, await authorize(door, 'alice', key))).status, 'no proof').toBe(401)

  const statuses: number[] = []
  for (let at = 0; at < 16; at++) statuses.push((await attempt({...good, code: 'nonsense'})).status)
  expect(statuses.at(-1)).toBe(429)
  expect((await door.events()).filter(type => type === 'login.refused').length).toBeLessThanOrEqual(20)
})

test('logins, and the provider’s own tokens, outlive a restart; a login ends after 12 hours', async ({onTestFinished}) => {
  const first = await openDoor(onTestFinished)
  const alice = await logIn(first, 'alice')
  const {port, dir} = first
  await first.stop()
  const second = await openDoor(onTestFinished, {dir, config: {listen: {host: '127.0.0.1', port, metricsPort: 0}}})
  expect(second.origin).toBe(first.origin)
  expect(second.identity.issuer).toBe(first.identity.issuer)
  expect((await alice.call('GET', '/v1/whoami')).body.groups).toEqual(['engineers'])
  second.forward(6 * 60_000)
  const iat = (): number => Math.floor(second.parts.store.now().getTime() / 1000)
  expect((await send(second, 'GET', '/v1/whoami', await alice.headers('GET', '/v1/whoami', {iat: iat()}))).body.groups).toEqual([
    'engineers',
  ])
  const record = (await second.parts.store.find<LoginRecord>('login', alice.tokens.login))!.value
  await expect(second.identity.verifyBinding(record.idToken, record.thumbprint, record.salt)).resolves.toMatchObject({sub: 'alice'})

  second.forward(12 * 60 * 60_000)
  const dpop = await alice.key.proof({htm: 'POST', htu: `${second.origin}/v1/login/refresh`, iat: iat()})
  const over = await send(second, 'POST', '/v1/login/refresh', {dpop}, {refreshToken: alice.tokens.refreshToken})
  expect([over.status, over.body.error.code]).toEqual([401, 'LOGIN_EXPIRED'])
})

test('TM-A5: on loopback the bound token is the secret: without it no call of a person is answered', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  for (const [method, path] of [
    ['GET', '/v1/whoami'],
    ['POST', '/v1/logout'],
    ['GET', '/v1/stream'],
  ] as const) {
    expect([401, 404], path).toContain((await send(door, method, path, {}, method === 'POST' ? {} : undefined)).status)
  }
})

test('the provider’s token is sealed to its login', () => {
  const key = randomBytes(32)
  const sealed = seal(key, 'login_1/provider', 'secret')
  expect(sealed).not.toContain('secret')
  expect(unseal(key, 'login_1/provider', sealed)).toBe('secret')
  expect(() => unseal(key, 'login_2/provider', sealed)).toThrow()
  expect(() => unseal(randomBytes(32), 'login_1/provider', sealed)).toThrow()
  expect(
    createHash('sha256')
      .update(seal(key, 'a', 'secret'))
      .digest('hex'),
  ).not.toBe(
    createHash('sha256')
      .update(seal(key, 'a', 'secret'))
      .digest('hex'),
  )
})
