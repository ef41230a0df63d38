/** The kit as a machine holds it: what makes it worthless. Nothing runs here but the code that opens it. */
import {generateKeyPairSync, type KeyObject, sign} from 'node:crypto'
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {writePrivate} from '@prod/sdk/cli/places'
import {canonical, sha256} from '@prod/sdk/document'
import {createLoginKey, type PrivateJwk} from '@prod/sdk/dpop'
import {type KitClaims, takenBelow} from '@prod/sdk/kit'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {openKit, targetIn} from '../src/offline/kit.ts'

const broker = {name: 'main', url: 'https://prod.example'}
const {key, privateJwk} = createLoginKey()
const pair = generateKeyPairSync('ed25519')
const config = {url: 'https://hooks.example/', holder: 'alice', secret: `whsec_${Buffer.alloc(32).toString('base64')}`}
const channels = ['a', 'b'].map(name => ({name, notifier: 'webhook', config: {...config, url: config.url + name}}))
const now = new Date('2026-11-22T12:00:00.000Z')
const claims: KitClaims = {
  version: 1,
  id: 'kit_1',
  broker: broker.url,
  development: false,
  principal: {iss: 'https://idp.example', sub: 'a-1', person: 'alice', name: 'alice'},
  login: 'login_1',
  loggedInAt: '2026-11-22T10:00:00.000Z',
  jwk: key.publicJwk,
  targets: [
    {name: 'web-1', address: 'ssm:eu-west-1/i-0a1b2c3d4e5f60001', environment: 'production', shellAs: null, role: 'break-glass'},
    {name: 'web', address: 'ssm:eu-west-1/*?tag:Role=web', environment: 'production', shellAs: null, role: 'break-glass'},
  ],
  channels: channels.map(({name, notifier, config: own}) => ({name, notifier, sha256: sha256(canonical(own))})),
  recipients: ['age1x'],
  incidentPattern: '.+',
  maxSeconds: 3600,
  remindSeconds: 900,
  alertSeconds: 60,
  issuedAt: '2026-11-22T11:00:00.000Z',
  expiresAt: '2026-11-22T22:00:00.000Z',
}

function signed(payload: object, by: KeyObject = pair.privateKey, typ = 'prod-kit+jws'): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${part({alg: 'EdDSA', typ})}.${part(payload)}`
  return `${input}.${sign(null, Buffer.from(input), by).toString('base64url')}`
}

let home: string
const before = {...process.env}
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'prod-kit-'))
  Object.assign(process.env, {
    HOME: home,
    XDG_STATE_HOME: join(home, 'state'),
    XDG_CONFIG_HOME: join(home, 'config'),
    PROD_CREDENTIAL_STORE: 'file',
  })
  const pin = {
    name: 'main',
    receiptKey: pair.publicKey.export({format: 'jwk'}),
    logKey: 'x',
    issuer: 'x',
    development: false,
    since: now.toISOString(),
  }
  writePrivate(join(home, 'state/prod/brokers.json'), JSON.stringify({[broker.url]: pin}))
  logIn(privateJwk)
})
afterAll(() => {
  process.env = before
  rmSync(home, {recursive: true})
})

function logIn(jwk: PrivateJwk): void {
  const tokens = {
    accessToken: 'at',
    refreshToken: 'rt',
    renewAt: 0,
    tokenEndsAt: 0,
    principal: claims.principal,
    groups: [],
    loggedInAt: '',
    login: 'l',
  }
  writePrivate(
    join(home, 'state/prod/credentials.json'),
    JSON.stringify({[broker.url]: {version: 1, broker: broker.url, privateJwk: jwk, ...tokens}}),
  )
}

function keep(kit: string | null, beside: object = {channels}): void {
  writePrivate(
    join(home, 'state/prod/kits', `${sha256(broker.url).slice(0, 32)}.json`),
    JSON.stringify({version: 1, at: 0, kit, ...beside}),
  )
}

test('TM-O6: a kit that is whole opens, until its end', async () => {
  keep(signed(claims))
  expect((await openKit(broker, now)).claims).toEqual(claims)
  await expect(openKit(broker, new Date('2026-11-22T21:59:59.000Z'))).resolves.toBeDefined()
  await expect(openKit(broker, new Date('2026-11-22T22:00:00.000Z'))).rejects.toMatchObject({
    code: 'KIT_INVALID',
    message: expect.stringContaining('ended at'),
  })
  // a clock that was set back
  await expect(openKit(broker, new Date('2026-11-22T10:00:00.000Z'))).rejects.toThrow('before the kit was issued')
})

test.each<[string, () => void, RegExp]>([
  ['there is none', () => rmSync(join(home, 'state/prod/kits'), {recursive: true, force: true}), /no break-glass kit/],
  ['the broker gave none', () => keep(null, {why: 'no target'}), /gave no break-glass kit: no target/],
  ['somebody else signed it', () => keep(signed(claims, generateKeyPairSync('ed25519').privateKey)), /not signed by main/],
  ['it is another signed thing', () => keep(signed(claims, pair.privateKey, 'prod-receipt+jws')), /not signed by main/],
  ['its end was moved', () => keep(moved(signed(claims))), /not signed by main/],
  ['it is of another key', () => keep(signed({...claims, jwk: createLoginKey().key.publicJwk})), /that of another login/],
  ['it is of another broker', () => keep(signed({...claims, broker: 'https://other.example'})), /one of https:\/\/other/],
  [
    'an alert leads elsewhere',
    () => keep(signed(claims), {channels: channels.map(one => ({...one, config: {...one.config, url: 'https://me.example/'}}))}),
    /not those/,
  ],
  ['an alert is left out', () => keep(signed(claims), {channels: channels.slice(1)}), /not those/],
  ['both alerts are one', () => keep(signed({...claims, channels: claims.channels.slice(1)}), {channels: channels.slice(1)}), /not those/],
])('TM-O6: a kit is worth nothing where %s', async (_, arrange, why) => {
  arrange()
  await expect(openKit(broker, now)).rejects.toMatchObject({code: 'KIT_INVALID', message: expect.stringMatching(why)})
})

function moved(jws: string): string {
  const [header, , signature] = jws.split('.')
  const payload = Buffer.from(JSON.stringify({...claims, expiresAt: '2027-11-22T22:00:00.000Z'})).toString('base64url')
  return [header, payload, signature].join('.')
}

test('TM-O6: the files of a kit on a machine with another login are worth nothing', async () => {
  keep(signed(claims))
  logIn(createLoginKey().privateJwk)
  await expect(openKit(broker, now)).rejects.toThrow('that of another login')
  logIn(privateJwk)
})

test('TM-L4: one of many may be a path where its way in has such, and is never what the catalog names itself, holds or is a part of', () => {
  const places = ['ecs:eu-west-1/prod/web/app', 'ecs:eu-west-1/prod/batch', 'ecs:eu-west-1/other/x/y', 'ssm:eu-west-1']
  const taken = takenBelow('ecs:eu-west-1/prod', places)
  expect(JSON.stringify(taken)).not.toMatch(/web|batch/)
  expect(taken).toMatchObject({at: [expect.any(String), expect.any(String)], above: [expect.any(String)]})
  expect(takenBelow('ssm:eu-west-1', places)).toBeUndefined()
  const containers = {...claims.targets[0], name: 'all', address: 'ecs:eu-west-1/prod/*?account=111122223333', paths: true as const, taken}
  const kit = {...claims, targets: [...claims.targets, containers]} as typeof claims
  expect(targetIn(kit, 'all/web/proxy')).toEqual({
    ...claims.targets[0],
    name: 'all/web/proxy',
    address: 'ecs:eu-west-1/prod/web/proxy?account=111122223333',
  })
  for (const name of ['all/web/app', 'all/web', 'all/web/app/0', 'all/batch', 'all/batch/job', 'all/a//b', 'all/..'])
    expect(() => targetIn(kit, name), name).toThrow('does not name')
  // what the kit names too is that, with its own role
  const app = {...claims.targets[0], name: 'app', address: 'ecs:eu-west-1/prod/web/app?definition=web:7'}
  expect(targetIn({...kit, targets: [...kit.targets, app]} as typeof claims, 'all/web/app').name).toBe('app')
})

test('a target is one that the kit names, or one of those that it stands for', () => {
  expect(targetIn(claims, 'web-1').address).toBe('ssm:eu-west-1/i-0a1b2c3d4e5f60001')
  expect(targetIn(claims, 'ssm:eu-west-1/i-0a1b2c3d4e5f60001').name).toBe('web-1')
  expect(targetIn(claims, 'web/i-0a1b2c3d4e5f60002')).toMatchObject({
    name: 'web/i-0a1b2c3d4e5f60002',
    address: 'ssm:eu-west-1/i-0a1b2c3d4e5f60002?tag:Role=web',
  })
  for (const name of ['ledger', 'web-1/x', 'web/*', 'web/a/b', 'web/', 'web/../x'])
    expect(() => targetIn(claims, name), name).toThrow('does not name')
})
