import {hash} from 'node:crypto'
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {GrantCredentials} from '@prod/sdk/api'
import type {BrokerClient} from '@prod/sdk/client'
import {expect, onTestFinished, test} from 'vitest'
import {brokerCredentials, isLocal, obtainGranted} from '../src/granted/credentials.ts'
import {type StandIn, startStandIn} from './stand-in.ts'

/** A broker that answers this one call: what it mints is the stand-in's of test/aws-grants.test.ts. */
function answering(credential: Record<string, string>, asked: unknown[] = []): Pick<BrokerClient, 'call'> {
  const expiresAt = new Date(Date.now() + 600_000).toISOString()
  const answer: GrantCredentials = {grant: 'grant_abcdefgh', role: 'admin', provider: 'aws', credential, expiresAt}
  const call = async (_: unknown, input: unknown) => {
    asked.push(input)
    return answer
  }
  return {call} as unknown as Pick<BrokerClient, 'call'>
}

/** A person who is logged in at the portal, as `aws sso login` leaves them. */
async function begin(): Promise<StandIn> {
  const aws = await startStandIn(onTestFinished)
  aws.accounts = [{id: '111122223333', name: 'payments', roles: ['Admin']}]
  const home = mkdtempSync(join(tmpdir(), 'prod-granted-'))
  const before = {...process.env}
  onTestFinished(() => {
    process.env = before
    rmSync(home, {recursive: true, force: true})
  })
  process.env = {PATH: before.PATH, HOME: home, AWS_CONFIG_FILE: join(home, 'config')}
  const endpoints = `[services local]\nsso =\n  endpoint_url = ${aws.url}\nsso_oidc =\n  endpoint_url = ${aws.url}\n`
  const session = '[sso-session corp]\nsso_start_url = https://corp.awsapps.com/start/\nsso_region = eu-central-1\nservices = local\n'
  writeFileSync(join(home, 'config'), `${session}${endpoints}`)
  mkdirSync(join(home, '.aws/sso/cache'), {recursive: true, mode: 0o700})
  const client = (await (await fetch(`${aws.url}/client/register`, {method: 'POST', body: '{}'})).json()) as Record<string, string>
  const device = async (path: string, more: object) =>
    (await (await fetch(`${aws.url}${path}`, {method: 'POST', body: JSON.stringify({...client, ...more})})).json()) as Record<
      string,
      string
    >
  const {deviceCode} = await device('/device_authorization', {})
  const {accessToken} = await device('/token', {grantType: 'urn:ietf:params:oauth:grant-type:device_code', deviceCode})
  const token = {
    startUrl: 'https://corp.awsapps.com/start/',
    region: 'eu-central-1',
    accessToken,
    expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
  }
  writeFileSync(join(home, '.aws/sso/cache', `${hash('sha1', 'corp')}.json`), JSON.stringify(token), {mode: 0o600})
  return aws
}

test('of IAM Identity Center the person’s own login fetches the credentials, and they end with the grant', async () => {
  const aws = await begin()
  const broker = answering({Account: '111122223333', Role: 'Admin', StartUrl: 'https://corp.awsapps.com/start'})
  const {credentials} = await obtainGranted(broker, {id: 'grant_abcdefgh', role: 'admin'})
  expect(aws.calls).toContain('GET /federation/credentials')
  expect(credentials.AccessKeyId).toMatch(/^ASIA/)
  expect(Date.parse(credentials.Expiration ?? '') - Date.now()).toBeLessThanOrEqual(600_000)
})

test('an assignment that the portal does not know of yet is asked for again, and one that it never knows is refused', async () => {
  const aws = await begin()
  aws.denied.add('Admin')
  const broker = answering({Account: '111122223333', Role: 'Admin', StartUrl: 'https://corp.awsapps.com/start'})
  const asked = brokerCredentials(broker, {id: 'grant_abcdefgh'}, {settling: {times: 1000, pauseMs: 1}})
  await aws.called()
  await aws.called()
  aws.denied.clear()
  expect((await asked).credentials.AccessKeyId).toMatch(/^ASIA/)
  aws.denied.add('Admin')
  const before = aws.calls.length
  const never = brokerCredentials(broker, {id: 'grant_abcdefgh'}, {settling: {times: 2, pauseMs: 1}})
  await expect(never).rejects.toMatchObject({code: 'DENIED'})
  expect(aws.calls.length - before).toBe(3)
})

test('TM-Q6: a start URL that only a broker names is never asked', async () => {
  const aws = await begin()
  const calls = aws.calls.length
  const broker = answering({Account: '111122223333', Role: 'Admin', StartUrl: 'https://corp.awsapps.com.evil.example/start'})
  await expect(brokerCredentials(broker, {id: 'grant_abcdefgh'})).rejects.toMatchObject({code: 'CONFIG_INVALID'})
  expect(aws.calls).toHaveLength(calls)
})

test('the broker is told the first word of the command and nothing more', async () => {
  await begin()
  const asked: unknown[] = []
  const broker = answering({AccessKeyId: 'ASIAX', SecretAccessKey: 's', SessionToken: 't'}, asked)
  await brokerCredentials(broker, {id: 'grant_abcdefgh'}, {tool: '/usr/local/bin/terraform'})
  await brokerCredentials(broker, {id: 'grant_abcdefgh'}, {tool: 'a b; --secret=1'})
  expect(asked).toEqual([{id: 'grant_abcdefgh', tool: 'terraform'}, {id: 'grant_abcdefgh'}])
})

test('a role of this machine is known without a broker', async () => {
  await begin()
  expect(isLocal('deployer')).toBe(false)
  writeFileSync(process.env.AWS_CONFIG_FILE ?? '', '[profile deployer]\nregion = eu-west-1\n')
  expect(isLocal('deployer')).toBe(true)
})
