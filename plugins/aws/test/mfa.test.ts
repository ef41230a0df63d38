import {join} from 'node:path'
import {openSecretStore} from '@prod/sdk/cli/secret-store'
import {afterAll, afterEach, beforeAll, beforeEach, expect, test, vi} from 'vitest'
import {readAwsConfig} from '../src/config/files.ts'
import {chainOf} from '../src/config/profile.ts'
import {fetchCredentials} from '../src/credentials/resolve.ts'
import {makePerson, type Person} from './person.ts'
import {type StandIn, startStandIn} from './stand-in.ts'

const device = 'arn:aws:iam::111122223333:mfa/me'
const ends: (() => Promise<void> | void)[] = []
let aws: StandIn
let person: Person
let asked: string[] = []

const role = (name: string): string =>
  `[profile ${name}]\nrole_arn = arn:aws:iam::444455556666:role/${name}\nsource_profile = base\nmfa_serial = ${device}\nregion = eu-west-1\n`

beforeAll(async () => {
  aws = await startStandIn(end => ends.push(end))
  aws.mfa.set(device, '123456')
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})
beforeEach(({onTestFinished}) => {
  person = makePerson(onTestFinished, {AWS_ENDPOINT_URL: aws.url})
  person.write('.aws/config', `${role('one')}${role('two')}[profile three]\nrole_arn = arn:aws:iam::1:role/three\nsource_profile = one\n`)
  person.write('.aws/credentials', '[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = the-secret-of-base\n')
  for (const [name, value] of Object.entries({...person.env, AWS_ENDPOINT_URL: aws.url})) vi.stubEnv(name, value)
  asked = []
  aws.calls.length = 0
  aws.guarded.clear()
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
})

/** Credentials of a profile, as another command would get them. */
async function fetched(name: string, {code = '123456', since = 0} = {}) {
  const config = readAwsConfig(person.env)
  return fetchCredentials(chainOf(config, name), config.paths, {
    signIn: () => Promise.reject(new Error('nobody logs in here')),
    askCode: async serial => {
      asked.push(serial)
      return code
    },
    store: openSecretStore('aws', join(person.home, 'kept')),
    since,
  })
}

test('one code serves all roles of that device for the day', async () => {
  await fetched('one')
  await fetched('two')
  await fetched('three')
  expect(asked).toEqual([device])
  expect(aws.calls.filter(one => one.startsWith('GetSessionToken'))).toHaveLength(1)
  expect(aws.calls.at(-1)).toBe('AssumeRole arn:aws:iam::1:role/three')
  expect(aws.assumed.SerialNumber).toBeUndefined()
})

test('two who need a code at once are asked for one', async () => {
  await Promise.all([fetched('one'), fetched('two')])
  expect(asked).toEqual([device])
})

test('after twelve hours, or where nothing that was kept may serve, a code is asked for again', async () => {
  await fetched('one')
  await fetched('one', {since: Date.now() + 1})
  expect(asked).toHaveLength(2)
  vi.useFakeTimers({toFake: ['Date'], now: Date.now() + 11.8 * 3_600_000})
  await fetched('one')
  expect(asked).toHaveLength(3)
})

test('a role that wants a younger code gets one, and a wrong code is said and not kept', async () => {
  await fetched('one')
  aws.guarded.set('arn:aws:iam::444455556666:role/two', 3_600_000)
  vi.useFakeTimers({toFake: ['Date'], now: Date.now() + 2 * 3_600_000})
  await fetched('two')
  expect(asked).toHaveLength(2)
  vi.useFakeTimers({toFake: ['Date'], now: Date.now() + 12 * 3_600_000})
  await expect(fetched('one', {code: '000000'})).rejects.toMatchObject({code: 'LOGIN_FAILED', message: expect.stringContaining('MFA code')})
  await fetched('one')
  expect(asked).toHaveLength(4)
})

test('a role that is denied at once is denied, and no second code is asked for', async () => {
  aws.denied.add('arn:aws:iam::444455556666:role/two')
  await expect(fetched('two')).rejects.toMatchObject({code: 'DENIED'})
  expect(asked).toHaveLength(1)
  aws.denied.clear()
})
