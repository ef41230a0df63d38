import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {found, startMoto} from './moto.ts'
import {makePerson, type Person} from './person.ts'
import {startStandIn} from './stand-in.ts'

const config = `
[profile base]
region = eu-west-1

[profile ops]
role_arn = arn:aws:iam::123456789012:role/ops
source_profile = base
region = eu-west-1

[profile deep]
role_arn = arn:aws:iam::210987654321:role/deep
source_profile = ops
role_session_name = named
region = eu-west-1
`
const credentials = '[base]\naws_access_key_id = AKIAEXAMPLEEXAMPLE00\naws_secret_access_key = a-long-lived-secret-of-base\n'

function personWithProfiles(onTestFinished: (finish: () => void) => void, url: string): Person {
  const person = makePerson(onTestFinished, {AWS_ENDPOINT_URL: url})
  person.write('.aws/config', config)
  person.write('.aws/credentials', credentials)
  return person
}

const identity = [
  'node',
  '-e',
  'fetch(process.env.AWS_CONTAINER_CREDENTIALS_FULL_URI, {headers: {authorization: process.env.AWS_CONTAINER_AUTHORIZATION_TOKEN}}).then(async answer => console.log(answer.status, await answer.text()))',
]

for (const where of ['the stand-in', 'moto'] as const) {
  describe.skipIf(where === 'moto' && !found)(`prod assume on ${where}`, () => {
    const finishers: (() => Promise<void> | void)[] = []
    let url = ''
    beforeAll(async () => {
      const finish = (act: () => Promise<void>): number => finishers.push(act)
      url = where === 'moto' ? await startMoto(finish) : (await startStandIn(finish)).url
    })
    afterAll(async () => {
      for (const finish of finishers) await finish()
    })

    test('gives a command the role, and nobody else’s credentials', async ({onTestFinished}) => {
      const person = personWithProfiles(onTestFinished, url)
      Object.assign(person.env, {AWS_PROFILE: 'base', AWS_ACCESS_KEY_ID: 'AKIAOTHER', AWS_SECRET_ACCESS_KEY: 'another-secret'})
      const {status, stdout, stderr} = await person.run('assume', 'ops', '--', ...identity)
      expect({status, stderr}).toEqual({status: 0, stderr: ''})
      expect(stdout).toMatch(/^200 \{"AccessKeyId":"ASIA\w+","SecretAccessKey":"[^"]+","Token":"[^"]+","Expiration":"20[^"]+Z"\}\n$/)
      const env = await person.run('assume', 'ops', '--', 'env')
      expect(env.stdout).not.toMatch(/^AWS_(PROFILE|ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)=/m)
      expect(env.stdout).toMatch(/^AWS_REGION=eu-west-1$/m)
    })

    test('a chain of roles ends at the last one', async ({onTestFinished}) => {
      const person = personWithProfiles(onTestFinished, url)
      const {status, stdout} = await person.run('assume', 'deep', '--json')
      expect(status).toBe(0)
      expect(JSON.parse(stdout)).toEqual({
        Version: 1,
        AccessKeyId: expect.stringMatching(/^ASIA/),
        SecretAccessKey: expect.any(String),
        SessionToken: expect.any(String),
        Expiration: expect.stringMatching(/^20.*Z$/),
      })
    })

    test('what was got once serves the next command, until the files say something else of the role', async ({onTestFinished}) => {
      const person = personWithProfiles(onTestFinished, url)
      const keyOf = async (name: string): Promise<string> =>
        (JSON.parse((await person.run('assume', name, '--json')).stdout) as {AccessKeyId: string}).AccessKeyId
      const first = await keyOf('ops')
      expect(await keyOf('ops')).toBe(first)
      person.write('.aws/config', `${config}\n[profile other]\nregion = us-east-1\n`)
      expect(await keyOf('ops')).toBe(first)
      expect(await keyOf('ops')).toBe(first)
      person.write('.aws/config', config.replace('role/ops', 'role/ops-2'))
      expect(await keyOf('ops')).not.toBe(first)
    })

    test.skipIf(!found)('the real AWS CLI is the assumed role, from the endpoint and from plain variables', async ({onTestFinished}) => {
      const person = personWithProfiles(onTestFinished, url)
      const arn = /^arn:aws:sts::123456789012:assumed-role\/ops\/prod-\w+$/
      const whoami = ['aws', 'sts', 'get-caller-identity', '--output', 'json']
      const byEndpoint = await person.run('assume', 'ops', '--', ...whoami)
      expect(byEndpoint).toMatchObject({status: 0, stderr: ''})
      expect((JSON.parse(byEndpoint.stdout) as {Arn: string}).Arn).toMatch(arn)
      const plain = await person.run('assume', 'ops', '--env', '--', ...whoami)
      expect((JSON.parse(plain.stdout) as {Arn: string}).Arn).toMatch(arn)
      expect(plain.stderr).toMatch(/^prod: the credentials of ops stand in plain variables: .* end at .* and are not renewed\n$/)
    })

    test.skipIf(!found)(
      'what [default] has does not come before the role, and a prod inside finds the person’s files',
      async ({onTestFinished}) => {
        const person = personWithProfiles(onTestFinished, url)
        person.write(
          '.aws/credentials',
          `${credentials}[default]\naws_access_key_id = AKIADEFAULT000000000\naws_secret_access_key = the-secret-of-default\n`,
        )
        const {stdout} = await person.run('assume', 'ops', '--', 'aws', 'sts', 'get-caller-identity', '--output', 'json')
        expect((JSON.parse(stdout) as {Arn: string}).Arn).toContain('assumed-role/ops/')
        const inside = await person.run(
          'assume',
          'ops',
          '--',
          process.execPath,
          person.env.PROD ?? (await import('./person.ts')).cli,
          'assume',
          'deep',
          '--json',
        )
        expect(JSON.parse(inside.stdout)).toMatchObject({Version: 1})
      },
    )
  })
}

test.skipIf(!found)('what the role may not do the real AWS CLI is told by a service that enforces policies', async ({onTestFinished}) => {
  const url = await startMoto(onTestFinished)
  const iam = async (action: string, params: Record<string, string>): Promise<string> => {
    const answer = await fetch(url, {
      method: 'POST',
      headers: {authorization: 'AWS4-HMAC-SHA256 Credential=set-up/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0'},
      body: new URLSearchParams({Action: action, Version: '2010-05-08', ...params}),
    })
    return answer.text()
  }
  const anybody = {Version: '2012-10-17', Statement: [{Effect: 'Allow', Principal: {AWS: '*'}, Action: 'sts:AssumeRole'}]}
  const look = {Version: '2012-10-17', Statement: [{Effect: 'Allow', Action: 'iam:ListUsers', Resource: '*'}]}
  const may = {Version: '2012-10-17', Statement: [{Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*'}]}
  await iam('CreateRole', {RoleName: 'ops', AssumeRolePolicyDocument: JSON.stringify(anybody)})
  await iam('PutRolePolicy', {RoleName: 'ops', PolicyName: 'look', PolicyDocument: JSON.stringify(look)})
  await iam('CreateUser', {UserName: 'me'})
  await iam('PutUserPolicy', {UserName: 'me', PolicyName: 'may', PolicyDocument: JSON.stringify(may)})
  const key = await iam('CreateAccessKey', {UserName: 'me'})
  const part = (name: string): string => new RegExp(`<${name}>([^<]+)`).exec(key)?.[1] ?? ''
  await fetch(`${url}/moto-api/reset-auth`, {method: 'POST', headers: {'content-type': 'text/plain'}, body: '0'})

  const person = personWithProfiles(onTestFinished, url)
  person.write(
    '.aws/credentials',
    `[base]\naws_access_key_id = ${part('AccessKeyId')}\naws_secret_access_key = ${part('SecretAccessKey')}\n`,
  )
  const listed = await person.run('assume', 'ops', '--', 'aws', 'iam', 'list-users', '--output', 'text')
  expect(listed).toMatchObject({status: 0, stderr: '', stdout: expect.stringContaining('user/me')})
  const refused = await person.run('assume', 'ops', '--', 'aws', 'iam', 'delete-user', '--user-name', 'me')
  expect([254, 255]).toContain(refused.status) // of version 2, of version 1
  expect(refused.stderr).toContain('assumed-role/ops/')
  expect(refused.stderr).toContain('AccessDenied')
  // the keys of the person themselves may not look
  person.write('.aws/credentials', '[base]\naws_access_key_id = AKIAUNKNOWN000000000\naws_secret_access_key = wrong\n')
  expect((await person.run('assume', 'ops', '--min-remaining', '59m', '--json')).status).toBe(242)
})
