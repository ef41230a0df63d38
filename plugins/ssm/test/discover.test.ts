import type {Access} from '@prod/sdk'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type StandIn, startStandIn} from '../../../test/sessions-stand-in/stand-in.ts'
import {discover, matcher} from '../src/discover.ts'
import {discoverPermissions} from '../src/permissions.ts'
import {parse} from '../src/target.ts'

let standIn: StandIn
let access: Access
const before = {...process.env}
beforeAll(async () => {
  standIn = await startStandIn({
    region: 'us-east-1',
    instances: [
      ...Array.from({length: 120}, (_, at) => ({
        id: `i-0a1b2c3d4e5f7${String(at).padStart(4, '0')}`,
        name: `web-${at}`,
        tags: {Role: 'web', Team: at % 2 === 0 ? 'payments' : 'search & find'},
        privateIp: `10.1.0.${at}`,
        privateDns: `ip-10-1-0-${at}.ec2.internal`,
      })),
      {id: 'i-0a1b2c3d4e5f60009', name: 'ledger', tags: {Role: 'db'}, state: 'stopped', connected: false},
    ],
  })
  Object.assign(process.env, standIn.env)
  const {accessKeyId, secretAccessKey, sessionToken} = standIn.register({
    name: 'alice',
    sessionToken: 'token',
    policy: {
      Statement: discoverPermissions().map(({actions, resources}) => ({Effect: 'Allow' as const, Action: actions, Resource: resources})),
    },
  })
  access = {id: 'x', principal: 'x', credential: {AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken}}
})
afterAll(async () => {
  process.env = before
  await standIn.close()
})

async function found(text: string, within = 'us-east-1/*?tag:Role=web') {
  const all = []
  for await (const one of discover({text, within: parse(within)}, access)) all.push(one)
  return all
}

test('all instances with the tags, whatever their number, and no others', async () => {
  expect(await found('')).toHaveLength(120)
  expect(await found('', 'us-east-1/*?tag:Role=db')).toMatchObject([{name: 'ledger', labels: {state: 'stopped'}}])
  expect(await found('', 'eu-west-1/*?tag:Role=web')).toEqual([])
  const all = []
  for await (const {address} of discover({text: '7004'}, {...access, credential: {...access.credential, Region: 'us-east-1'}}))
    all.push(address)
  expect(all).toContain('ssm:us-east-1/i-0a1b2c3d4e5f70042')
  expect(await found('', 'us-east-1/*?tag:Role=web&account=999999999999')).toEqual([])
})

test.each([
  ['i-0a1b2c3d4e5f70042'],
  ['web-42'],
  ['wb42'],
  ['10.1.0.42'],
  ['ip-10-1-0-42.ec2.internal'],
  ['Name=web-42'],
  ['payments WEB-42'],
])('one is found by %j', async text => {
  const names = (await found(text)).map(({name}) => name)
  expect(names).toContain('web-42')
  expect(names.length).toBeLessThan(5)
})

test('what is found is an address that can be used, with the pins of what it was found by', async () => {
  const [one] = await found('web-43', 'us-east-1/*?tag:Role=web&tag:Team=search%20%26%20find&account=111122223333&logging=broker&exec=Run')
  expect(one?.labels).toMatchObject({Role: 'web', agent: 'Online', address: '10.1.0.43'})
  expect(parse(one?.address.slice('ssm:'.length) ?? '')).toEqual({
    region: 'us-east-1',
    instanceId: 'i-0a1b2c3d4e5f70043',
    account: '111122223333',
    tags: {Role: 'web', Team: 'search & find'},
    logging: 'broker',
    exec: {name: 'Run'},
  })
})

test('words must all fit, letters in their order', () => {
  expect(matcher('pay web')('web-1', ['payments'])).toBe(true)
  expect(matcher('pay db')('web-1', ['payments'])).toBe(false)
  expect(matcher('w1')('web-1', [])).toBe(true)
  expect(matcher('1w')('web-1', [])).toBe(false)
})
