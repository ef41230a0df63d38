import type {Grant, Known} from '@prod/sdk'
import {grantProviderContract} from '@prod/sdk/testing/grant-provider-contract'
import {afterAll, beforeAll, beforeEach, expect, test} from 'vitest'
import {awsIdentityCenter} from '../src/grant-providers.ts'
import type {CenterRole} from '../src/providers/center-role.ts'
import {type BrokerStandIn, startBrokerStandIn} from './providers-stand-in.ts'

const ends: (() => Promise<void>)[] = []
let aws: BrokerStandIn
const before = {...process.env}
const permissionSet = 'arn:aws:sso:::permissionSet/ssoins-1/ps-1'

beforeAll(async () => {
  aws = await startBrokerStandIn(end => void ends.push(end))
  Object.assign(process.env, {AWS_ENDPOINT_URL: aws.url, AWS_ACCESS_KEY_ID: 'AKIABROKER', AWS_SECRET_ACCESS_KEY: 'secret-of-the-broker'})
  for (const [name, id] of [
    ['contract', 'u-c'],
    ['alice', 'u-a'],
    ['bob', 'u-b'],
    ['carol', 'u-3'],
  ] as const)
    aws.center.users.set(name, id)
})
beforeEach(() => aws.center.assignments.clear())
afterAll(async () => {
  process.env = before
  for (const end of ends) await end()
})

const parameters = {
  instance: 'arn:aws:sso:::instance/ssoins-1',
  permissionSet,
  account: '111122223333',
  region: 'eu-west-1',
  identityStore: 'd-1234567890',
  role: 'Deploy',
  startUrl: 'https://corp.awsapps.com/start',
}
const role = awsIdentityCenter.parse(parameters)
const assignment = (user: string): string => `111122223333 ${permissionSet} ${user}`

let count = 0
function grant(person: string, more: Partial<Grant> = {}): Grant {
  count += 1
  return {
    id: `grant_center${count}`,
    state: 'active',
    request: `req_center${count}`,
    principal: {iss: 'https://idp.example', sub: person, person, name: person},
    role: 'deploy',
    provider: 'aws-identity-center',
    startsAt: new Date().toISOString(),
    expiresAt: new Date(Date.now() + 1_800_000).toISOString(),
    endedAt: null,
    ...more,
  }
}
const knows =
  (...grants: Grant[]) =>
  async (): Promise<Known<CenterRole>> => ({roles: [role], grants: grants.map(one => ({grant: one, role}))})
const listed = (...grants: Grant[]) => Array.fromAsync(awsIdentityCenter.list(knows(...grants)))

grantProviderContract({
  provider: awsIdentityCenter,
  parameters,
  badParameters: [
    {},
    {...parameters, account: '1'},
    {...parameters, startUrl: 'http://corp.example/start'},
    {...parameters, actions: ['s3:*']},
  ],
  works: async () => aws.center.assignments.has(assignment('u-c')),
})

test('conferring waits until AWS says that the assignment is there', async () => {
  aws.center.slowness = 3
  const {credential} = await awsIdentityCenter.confer(grant('alice'), role)
  aws.center.slowness = 1
  expect(aws.center.assignments.has(assignment('u-a'))).toBe(true)
  expect(credential).toEqual({Account: '111122223333', Role: 'Deploy', StartUrl: 'https://corp.awsapps.com/start'})
})

test('a change that AWS says has failed is a failure, and can be made again', async () => {
  aws.center.failing = 1
  const one = grant('alice')
  await expect(awsIdentityCenter.confer(one, role)).rejects.toMatchObject({code: 'TARGET_UNREACHABLE'})
  await awsIdentityCenter.confer(one, role)
  expect(aws.center.assignments.has(assignment('u-a'))).toBe(true)
})

test('a person whom IAM Identity Center does not know, or who has no person id, is denied', async () => {
  for (const person of ['mallory', '']) await expect(awsIdentityCenter.confer(grant(person), role)).rejects.toMatchObject({code: 'DENIED'})
})

test('TM-N4: who has had the role loses the sessions that were begun by it too; the operator’s own policy stays', async () => {
  const own = {Sid: 'own', Effect: 'Allow', Action: 's3:*', Resource: '*'}
  aws.center.inline.set(permissionSet, JSON.stringify({Version: '2012-10-17', Statement: [own]}))
  const one = grant('alice')
  await awsIdentityCenter.confer(one, role)
  const ended = {...one, state: 'revoked' as const, endedAt: new Date(Date.now() - 1000).toISOString()}
  await awsIdentityCenter.revoke(ended, role, knows(ended))
  const read = () => (JSON.parse(aws.center.inline.get(permissionSet) ?? '') as {Statement: {Sid: string; Condition?: object}[]}).Statement
  expect(read()).toMatchObject([own, {Effect: 'Deny', Condition: {StringEquals: {'identitystore:userId': 'u-a'}, DateLessThan: {}}}])
  expect(aws.center.provisioned.at(-1)).toBe(`${permissionSet} 111122223333`)
  // again: it is there already
  const writes = aws.center.provisioned.length
  await awsIdentityCenter.revoke(ended, role, knows(ended))
  expect(aws.center.provisioned).toHaveLength(writes)
  // after the longest session a permission set can give it is swept
  const text = aws.center.inline.get(permissionSet)?.replace(/prodrevoked\d+u/, 'prodrevoked1000000000u') ?? ''
  aws.center.inline.set(permissionSet, text)
  await listed()
  expect(read()).toEqual([own])
})

test('a broker that was killed between the assignment and the refusal of its sessions makes up for it', async () => {
  const one = grant('bob')
  await awsIdentityCenter.confer(one, role)
  aws.broken.set('PutInlinePolicyToPermissionSet', 400)
  const ended = {...one, state: 'revoked' as const, endedAt: new Date().toISOString()}
  await expect(awsIdentityCenter.revoke(ended, role, knows(ended))).rejects.toThrow()
  aws.broken.clear()
  expect(aws.center.assignments.size).toBe(0)
  await awsIdentityCenter.revoke(ended, role, knows(ended))
  expect(aws.center.inline.get(permissionSet)).toContain('"u-b"')
})

test('an assignment is told by the grant that explains it, and one that none explains by its place', async () => {
  const [mine, over] = [grant('alice'), grant('bob', {state: 'revoked'})]
  for (const user of ['u-a', 'u-b', 'u-3', 'u-9']) aws.center.assignments.add(assignment(user))
  const found = (await listed(mine, over)).map(({grant: id}) => id)
  expect(found).toEqual([mine.id, over.id, 'Deploy in 111122223333 of user u-3', 'Deploy in 111122223333 of user u-9'])
})

test('two people who have the role at once are apart', async () => {
  const [first, second] = [grant('alice'), grant('bob')]
  await Promise.all([first, second].map(one => awsIdentityCenter.confer(one, role)))
  await awsIdentityCenter.revoke({...first, state: 'revoked'}, role, knows({...first, state: 'revoked'}, second))
  expect([...aws.center.assignments]).toEqual([assignment('u-b')])
})
