import type {Grant} from '@prod/sdk'
import {grantProviderContract} from '@prod/sdk/testing/grant-provider-contract'
import {afterAll, afterEach, beforeAll, expect, test, vi} from 'vitest'
import {awsSts} from '../src/grant-providers.ts'
import {AwsRefused, query} from '../src/providers/call.ts'
import {denyName, denyUntil, readDeny, writeDeny} from '../src/providers/deny.ts'
import {type BrokerStandIn, roleArn, startBrokerStandIn} from './providers-stand-in.ts'

const ends: (() => Promise<void>)[] = []
let aws: BrokerStandIn
const before = {...process.env}

beforeAll(async () => {
  aws = await startBrokerStandIn(end => void ends.push(end))
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: aws.url,
    AWS_ACCESS_KEY_ID: 'AKIABROKER',
    AWS_SECRET_ACCESS_KEY: 'secret-of-the-broker',
    AWS_REGION: 'eu-west-1',
  })
  role('deploy')
})

afterAll(async () => {
  process.env = before
  for (const end of ends) await end()
})

afterEach(() => aws.skipMs(Date.now() - aws.now()))

/** A role that the broker may assume, and that allows everything. */
function role(name: string): void {
  aws.roles.set(roleArn(name), {
    allows: [{Effect: 'Allow', Action: '*', Resource: '*'}],
    trusts: new Set(['AKIABROKER']),
    maxSeconds: 3600,
    inline: new Map(),
  })
}

const parameters = (name: string, more: object = {}) => ({account: '111122223333', role: name, ...more})

/** Whether a real call with this credential is let in. */
async function works(
  credential: Readonly<Record<string, string>>,
  action = 'GetRole',
  name = 'deploy',
  region = 'us-east-1',
): Promise<boolean> {
  const {AccessKeyId: accessKeyId = '', SecretAccessKey: secretAccessKey = '', SessionToken: sessionToken = ''} = credential
  try {
    await query('iam', {keys: {accessKeyId, secretAccessKey, sessionToken}, region}, action, {RoleName: name})
    return true
  } catch (error) {
    if (error instanceof AwsRefused && error.status === 403) return false
    throw error
  }
}

let count = 0
function grant(seconds = 1800, more: Partial<Grant> = {}): Grant {
  count += 1
  return {
    id: `grant_${process.pid.toString(36)}aaaaaa${count}`,
    state: 'active',
    request: `req_abcdefgh${count}`,
    principal: {iss: 'https://idp.example', sub: 'u-1', person: 'alice@example.com', name: 'Alice'},
    role: 'deploy',
    provider: 'aws-sts',
    startsAt: new Date().toISOString(),
    expiresAt: new Date(Date.now() + seconds * 1000).toISOString(),
    endedAt: null,
    ...more,
  }
}

grantProviderContract({
  provider: awsSts,
  parameters: parameters('deploy', {regions: ['us-east-1'], actions: ['iam:GetRole']}),
  badParameters: [
    {},
    {account: '1', role: 'x'},
    parameters('a b'),
    parameters('deploy', {resources: ['*']}),
    parameters('deploy', {actions: ['s3']}),
  ],
  passTime: async moment => aws.skipMs(moment.getTime() - aws.now()),
  works: (_, __, {credential}) => works(credential),
})

test('TM-C4: a session carries the person, the grant and the request, and the broker alone may begin it', async () => {
  const one = grant()
  const {credential} = await awsSts.confer(one, awsSts.parse(parameters('deploy')))
  const session = aws.sessions.get(credential.AccessKeyId as string)
  expect(session).toMatchObject({
    sourceIdentity: 'alice@example.com',
    sessionName: `${one.request}@alice@example.com`,
    tags: {'prod-grant': one.id, 'prod-request': one.request},
  })
  aws.roles.get(roleArn('deploy'))?.trusts.clear()
  await expect(awsSts.confer(one, awsSts.parse(parameters('deploy')))).rejects.toMatchObject({code: 'DENIED'})
  aws.roles.get(roleArn('deploy'))?.trusts.add('AKIABROKER')
})

test('a person whom AWS could not write down is told from others all the same', async () => {
  const people = ['ünal@example.com', 'ynal@example.com', 'x'.repeat(80), 'x'.repeat(81)]
  const names = await Promise.all(
    people.map(async person => {
      const {credential} = await awsSts.confer(
        grant(1800, {principal: {iss: 'i', sub: 's', person, name: ''}}),
        awsSts.parse(parameters('deploy')),
      )
      return aws.sessions.get(credential.AccessKeyId as string)?.sourceIdentity
    }),
  )
  expect(new Set(names).size).toBe(people.length)
})

test('TM-J2: a credential does what the grant names and nothing beside it', async () => {
  role('other')
  const bounded = awsSts.parse(parameters('deploy', {actions: ['iam:Get*'], resources: [roleArn('deploy')], regions: ['us-east-1']}))
  const {credential} = await awsSts.confer(grant(), bounded)
  expect(await works(credential)).toBe(true)
  expect(await works(credential, 'GetRole', 'other')).toBe(false)
  expect(await works(credential, 'DeleteRolePolicy')).toBe(false)
  expect(await works(credential, 'GetRole', 'deploy', 'cn-north-1')).toBe(false)
})

test('TM-J2: an action that the role has on some resources alone is had on those, by a grant and by a use of a target', async () => {
  role('other')
  const narrow = awsSts.parse(
    parameters('deploy', {actions: [`iam:Get* on ${roleArn('deploy')}`, `iam:GetRole on ${roleArn('spare')}`, 'iam:ListRoles']}),
  )
  const {credential} = await awsSts.confer(grant(), narrow)
  expect(await works(credential)).toBe(true)
  expect(await works(credential, 'GetRole', 'other')).toBe(false)
  for (const actions of [['iam:GetRole'], ['iam:*']]) {
    const used = await awsSts.confer(grant(), narrow, [{kind: 'aws', actions, resources: ['*']}])
    expect(await works(used.credential), actions[0]).toBe(true)
    expect(await works(used.credential, 'GetRole', 'other'), actions[0]).toBe(false)
  }
})

test('resources of the whole role and of single actions exclude each other; how far a role reaches is told from its parameters', () => {
  const on = `iam:GetRole on ${roleArn('deploy')}`
  expect(() => awsSts.parse(parameters('deploy', {actions: [on], resources: [roleArn('deploy')]}))).toThrow(
    'resources of single actions too',
  )
  expect(() => awsSts.parse(parameters('deploy', {actions: ['iam:GetRole on deploy']}))).toThrow('actions is not a list of such')
  const role = awsSts.parse(parameters('deploy', {resources: [roleArn('deploy')], regions: ['us-east-1']}))
  expect(awsSts.reach?.(role)).toEqual({account: expect.stringMatching(/^\d{12}$/), resources: [roleArn('deploy')], regions: ['us-east-1']})
})

test('TM-J2: a session assumes no further role, unless its role allows that by name', async () => {
  const {credential} = await awsSts.confer(grant(), awsSts.parse(parameters('deploy')))
  role('next')
  aws.roles.get(roleArn('next'))?.trusts.add(roleArn('deploy'))
  const {AccessKeyId: accessKeyId = '', SecretAccessKey: secretAccessKey = '', SessionToken: sessionToken = ''} = credential
  const next = {RoleArn: roleArn('next'), RoleSessionName: 'next'}
  await expect(
    query('sts', {keys: {accessKeyId, secretAccessKey, sessionToken}, region: 'eu-west-1'}, 'AssumeRole', next),
  ).rejects.toMatchObject({code: 'AccessDenied'})
})

test('TM-J2: a grant of five minutes ends in five minutes, though AWS gives no session that is so short', async () => {
  const one = grant(300)
  const {credential} = await awsSts.confer(one, awsSts.parse(parameters('deploy')))
  expect(Date.parse(credential.Expiration as string)).toBeLessThanOrEqual(Date.parse(one.expiresAt))
  expect(aws.sessions.get(credential.AccessKeyId as string)?.endsAt).toBeGreaterThan(Date.parse(one.expiresAt))
  expect(await works(credential)).toBe(true)
  aws.skipMs(301_000)
  expect(await works(credential)).toBe(false)
})

test('no credential lives longer than an hour', async () => {
  const {credential} = await awsSts.confer(grant(8 * 3600), awsSts.parse(parameters('deploy')))
  expect(Date.parse(credential.Expiration as string) - Date.now()).toBeLessThanOrEqual(3_600_000)
})

test('TM-N4: a credential that is minted while its grant is revoked is refused too', async () => {
  const one = grant()
  const parsed = awsSts.parse(parameters('deploy'))
  await awsSts.revoke(one, parsed)
  const {credential} = await awsSts.confer(one, parsed)
  expect(await works(credential)).toBe(false)
})

test('of many that are revoked at once none is forgotten, though IAM shows what was written only later', async () => {
  role('busy')
  const parsed = awsSts.parse(parameters('busy'))
  const grants = Array.from({length: 20}, () => grant())
  const credentials = await Promise.all(grants.map(one => awsSts.confer(one, parsed)))
  aws.settleMs = 60_000
  await Promise.all(grants.map(one => awsSts.revoke(one, parsed)))
  aws.settleMs = 0
  for (const {credential} of credentials) expect(await works(credential, 'GetRole', 'busy')).toBe(false)
})

test('TM-N4: the uses of a day fill no role so far that a grant of it could not be revoked', async () => {
  role('busy')
  const busy = awsSts.parse(parameters('busy'))
  const id = (kind: string, at: number): string => `${kind}_${String(at).padStart(26, '0')}`
  const inline = aws.roles.get(roleArn('busy'))?.inline
  const many = new Map(Array.from({length: 200}, (_, at) => [id('run', at), denyUntil(grant().expiresAt)]))
  inline?.set(denyName, {text: writeDeny(many, Date.now() / 1000) as string, from: 0})
  // how the rest of the day goes: at some time it is told
  const refusal = await (async () => {
    for (let at = 200; at < 400; at++) await awsSts.revoke(grant(1800, {id: id('run', at)}), busy)
  })().catch((error: unknown) => error)
  expect(refusal).toMatchObject({code: 'LIMIT_REACHED'})
  for (let at = 0; at < 40; at++) await awsSts.revoke(grant(1800, {id: id('grant', at)}), busy)
  expect(readDeny(inline?.get(denyName)?.text ?? '{}').has(id('grant', 39))).toBe(true)
  await expect(awsSts.revoke(grant(1800, {id: id('ses', 1)}), busy)).rejects.toMatchObject({code: 'LIMIT_REACHED'})
})

test('what has served its time is swept, and the policy goes with the last of it', async () => {
  role('swept')
  const parsed = awsSts.parse(parameters('swept'))
  const inline = aws.roles.get(roleArn('swept'))?.inline
  const statement = (until: number, grant: string) => ({
    Sid: `until${until}`,
    Effect: 'Deny',
    Action: '*',
    Resource: '*',
    Condition: {StringEquals: {'aws:PrincipalTag/prod-grant': [grant]}},
  })
  const later = Math.floor(Date.now() / 1000) + 900
  inline?.set('prod-revoked', {text: JSON.stringify({Statement: [statement(1_000_000_000, 'old'), statement(later, 'young')]}), from: 0})
  const sweep = async () => {
    for await (const one of awsSts.list(async () => ({roles: [parsed], grants: []}))) expect.unreachable(one.grant)
  }
  await sweep()
  expect(inline?.get('prod-revoked')?.text).toContain('young')
  expect(inline?.get('prod-revoked')?.text).not.toContain('old')
  inline?.set('prod-revoked', {text: JSON.stringify({Statement: [statement(1_000_000_000, 'old')]}), from: 0})
  await sweep()
  expect(inline?.size).toBe(0)
})

test('a deny that is no longer there is told: the grant is in the list again', async () => {
  role('undone')
  const parsed = awsSts.parse(parameters('undone'))
  const one = grant()
  await awsSts.revoke(one, parsed)
  aws.roles.get(roleArn('undone'))?.inline.clear()
  const listed = () =>
    Array.fromAsync(awsSts.list(async () => ({roles: [parsed], grants: [{grant: {...one, state: 'revoked'}, role: parsed}]})))
  // IAM may be late with what was just written: that is no alarm
  expect(await listed()).toEqual([])
  aws.roles.get(roleArn('undone'))?.inline.clear()
  vi.useFakeTimers({toFake: ['Date'], now: Date.now() + 61_000})
  try {
    expect(await listed()).toEqual([{grant: one.id, expiresAt: one.expiresAt}])
  } finally {
    vi.useRealTimers()
  }
})

test('a role whose session policy AWS would not take is refused when the catalog loads', () => {
  const resources = Array.from({length: 30}, (_, at) => `arn:aws:s3:::${'b'.repeat(80)}${at}`)
  expect(() => awsSts.parse(parameters('deploy', {resources}))).toThrow(/session policy of deploy has \d+ characters/)
})

test('the time until a real call is refused is measured, on a role that allows the question and on one that does not', async () => {
  role('asked')
  role('mute')
  const mute = aws.roles.get(roleArn('mute'))
  if (mute) mute.allows = [{Effect: 'Allow', Action: 's3:*', Resource: '*'}]
  aws.settleMs = 400
  for (const name of ['asked', 'mute']) {
    const one = grant()
    const parsed = awsSts.parse(parameters(name))
    const {credential} = await awsSts.confer(one, parsed)
    const from = performance.now()
    const refused = awsSts.refused?.(one, parsed, AbortSignal.timeout(60_000))
    await awsSts.revoke(one, parsed)
    await refused
    expect(performance.now() - from).toBeGreaterThan(300)
    expect(await works(credential, 'GetRole', name)).toBe(false)
  }
  aws.settleMs = 0
})

test('a call that AWS throttles is made again', async () => {
  aws.throttled = 2
  const {credential} = await awsSts.confer(grant(), awsSts.parse(parameters('deploy')))
  expect(await works(credential)).toBe(true)
})

test('TM-U2: no text of a failure holds a secret, or what AWS says of others', async () => {
  aws.broken.set('PutRolePolicy', 403)
  const failure = await awsSts.revoke(grant(), awsSts.parse(parameters('deploy'))).catch((error: unknown) => error)
  aws.broken.clear()
  expect(failure).toMatchObject({code: 'DENIED'})
  const said = JSON.stringify({message: (failure as Error).message, hint: (failure as {hint?: string}).hint})
  for (const secret of [...aws.secrets, 'secret-of-the-broker']) expect(said).not.toContain(secret)
})
