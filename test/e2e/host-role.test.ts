/** Tools of the broker's own machine by a role: the built CLI, a real broker, the stand-in of AWS, and the AWS CLI where it is. */
import {spawnSync} from 'node:child_process'
import {chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type BrokerStandIn, roleArn, startBrokerStandIn} from '../../plugins/aws/test/providers-stand-in.ts'
import {collect, type RealBroker, type RealPerson, startRealBroker} from './broker.ts'

/** The AWS CLI itself: what a version manager puts into PATH looks for it in a home that no tool has. */
const aws = ['which -a aws', 'pyenv which aws'].flatMap(line => {
  const found = spawnSync('sh', ['-c', line], {encoding: 'utf8'}).stdout.trim().split('\n')
  return found.flatMap(path => (path !== '' && !path.includes('/shims/') && existsSync(path) ? [realpathSync(path)] : []))
})[0]
if (aws === undefined) console.warn('the AWS CLI is not on this machine: roles of tools are used by a program of the tests')

/** Says what it was given, then asks IAM for the role with it; `hold` waits for a file in between. */
const program = `#!${process.execPath}
const {existsSync, readFileSync, readdirSync, statSync} = require('node:fs')
const {AWS_SHARED_CREDENTIALS_FILE: file, AWS_CONFIG_FILE: config, AWS_ENDPOINT_URL: url, GO: go} = process.env
const text = file === undefined ? '' : readFileSync(file, 'utf8')
const value = name => new RegExp('^' + name + ' = (.+)$', 'm').exec(text)?.[1]
const id = value('aws_access_key_id')
const own = name => readFileSync('/proc/self/' + name, 'latin1').split('\\0')
const told = {id, file, argv: own('cmdline'), env: own('environ'), config: config && readFileSync(config, 'utf8'), mode: file && (statSync(file).mode & 0o777).toString(8)}
console.log(JSON.stringify(told))
const ask = async () => {
  const headers = {authorization: 'AWS4-HMAC-SHA256 Credential=' + id + '/20261122/us-east-1/iam/aws4_request, Signature=0', 'x-amz-security-token': value('aws_session_token')}
  const answer = await fetch(url, {method: 'POST', headers, body: new URLSearchParams({Action: 'GetRole', RoleName: 'reader'})})
  console.log(answer.status)
}
const wait = () => existsSync(go) ? ask() : setTimeout(wait, 20)
process.argv[2] === 'hold' ? wait() : file === undefined ? undefined : ask()
`

const ends: (() => Promise<void>)[] = []
let standIn: BrokerStandIn
let broker: RealBroker
let alice: RealPerson

beforeAll(async () => {
  standIn = await startBrokerStandIn(end => void ends.push(end))
  standIn.roles.set(roleArn('reader'), {
    allows: [{Effect: 'Allow', Action: '*', Resource: '*'}],
    trusts: new Set(['AKIABROKER']),
    maxSeconds: 3600,
    inline: new Map(),
  })
  broker = await startRealBroker(end => void ends.push(end), {
    env: {
      AWS_ENDPOINT_URL: standIn.url,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'AKIABROKER',
      AWS_SECRET_ACCESS_KEY: 'secret-of-the-broker',
    },
  })
  const {dir} = broker
  writeFileSync(join(dir, 'bin/calls'), program)
  chmodSync(join(dir, 'bin/calls'), 0o755)
  const tool = (name: string, path: string, run: string, commands: string) => `kind: Tool
name: ${name}
summary: asks AWS
program: ${path}
run: ${run}
env: { AWS_ENDPOINT_URL: '${standIn.url}', GO: ${dir}/demo/go }
class: read
retention: full
commands: [${commands}]
`
  const commands = '{ path: [say] }, { path: [hold] }'
  const files: Record<string, string> = {
    'catalog/roles/reader.yaml': `kind: Role
name: reader
summary: reads
provider: aws-sts
parameters: { account: '111122223333', role: reader, regions: [us-east-1] }
class: read
maxSeconds: 3600
allows: ['iam:GetRole']
`,
    'catalog/targets/one.yaml': 'kind: Target\nname: one\naddress: host:one\nenvironment: production\n',
    'catalog/targets/two.yaml': 'kind: Target\nname: two\naddress: host:two\nenvironment: production\nrole: reader\n',
    'catalog/tools/calls.yaml': tool('calls', join(dir, 'bin/calls'), '{ primitive: host, targets: [one, two], role: reader }', commands),
    'catalog/tools/plain.yaml': tool('plain', join(dir, 'bin/calls'), '{ primitive: host, target: one }', commands),
    ...(aws === undefined
      ? {}
      : {
          'catalog/tools/aws.yaml': tool(
            'aws',
            aws,
            '{ primitive: host, target: one, role: reader }',
            '{ path: [sts, get-caller-identity] }, { path: [iam, get-role], options: { --role-name: { value: { type: name } } } }',
          ),
        }),
    'policy/global/calls.cedar': `permit (principal in Group::"engineers", action == Action::"run", resource) when { ${['calls', 'plain', ...(aws === undefined ? [] : ['aws'])].map(name => `resource in Tool::"${name}"`).join(' || ')} };
`,
  }
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(dir, dirname(name)), {recursive: true})
    writeFileSync(join(dir, name), text)
  }
  alice = broker.as('alice')
  let last = ''
  for (let tries = 0; tries < 100; tries++) {
    last = (await alice.run(['tools', '--json'])).stdout
    if (last.includes('"calls"')) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error(`the catalog did not load: ${last}`)
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

interface Told {
  id?: string
  file?: string
  argv: string[]
  env: string[]
  config: string
  mode: string
}
const reason = ['--reason', 'to see who is asking']
const noSecret = (text: string) => {
  expect(standIn.secrets.size).toBeGreaterThan(0)
  for (const secret of standIn.secrets) expect(text.includes(secret)).toBe(false)
}

/** What AWS answers to somebody who has kept the keys of a session. */
async function askWith(id: string): Promise<string> {
  const headers = {
    authorization: `AWS4-HMAC-SHA256 Credential=${id}/20261122/us-east-1/iam/aws4_request, Signature=0`,
    'x-amz-security-token': standIn.sessions.get(id)?.token ?? '',
  }
  const answer = await fetch(standIn.url, {method: 'POST', headers, body: new URLSearchParams({Action: 'GetRole', RoleName: 'reader'})})
  return `${answer.status} ${await answer.text()}`
}

test('TM-U2: TM-U3: a tool that names a role gets its credential alone, in a file that is gone with the run, and refused afterwards', async () => {
  const {status, stdout, stderr} = await alice.run(['exec', ...reason, '--on', 'one', 'calls', 'say'])
  expect(stderr).not.toContain('error')
  expect(status).toBe(0)
  const [line = '', answer] = stdout.trim().split('\n')
  const told = JSON.parse(line) as Told
  const session = standIn.sessions.get(told.id ?? '')
  expect([answer, told.mode, told.config]).toEqual(['200', '600', '[default]\nregion = us-east-1\n'])
  expect(session).toMatchObject({role: roleArn('reader'), sourceIdentity: 'alice', tags: {'prod-grant': expect.stringMatching(/^run_/)}})
  expect(told.env).toEqual(expect.arrayContaining([`AWS_SHARED_CREDENTIALS_FILE=${told.file}`, 'AWS_EC2_METADATA_DISABLED=true']))
  noSecret(JSON.stringify([told.argv, told.env]))
  expect(existsSync(told.file ?? '')).toBe(false)
  // it was taken back with the end of the run: a kept copy of it is refused
  await expect.poll(() => askWith(told.id ?? ''), {timeout: 20_000}).toContain('explicit deny')
})

test('TM-C4: TM-J2: each of many targets has a session of its own, within what the role allows', async () => {
  const before = new Set(standIn.sessions.keys())
  const {status, stdout} = await alice.run(['exec', ...reason, '--on', 'all', 'calls', 'say'])
  expect(status).toBe(0)
  expect(stdout).toMatch(/^one: 200$/m)
  expect(stdout).toMatch(/^two: 200$/m)
  const fresh = [...standIn.sessions].filter(([id]) => !before.has(id)).map(([, session]) => session)
  expect(new Set(fresh.map(({tags}) => tags['prod-grant'])).size).toBe(2)
  for (const {policy} of fresh) expect(policy?.[0]).toMatchObject({Effect: 'Allow', Action: ['iam:GetRole']})
  noSecret(stdout.replaceAll(/^\w+: \{.*$/gm, ''))
})

test('a tool without a role gets none', async () => {
  const {stdout} = await alice.run(['exec', ...reason, 'plain', 'say'])
  const told = JSON.parse(stdout.trim()) as Told
  expect(told.file).toBeUndefined()
  expect(told.env.filter(line => line.startsWith('AWS_'))).toEqual(['AWS_PAGER=', `AWS_ENDPOINT_URL=${standIn.url}`])
})

test('TM-N4: a run that is ended loses its credential at AWS within seconds', async () => {
  const child = await alice.start(['exec', ...reason, '--on', 'one', 'calls', 'hold'])
  child.stdin.end()
  const ended = collect(child)
  const line = await new Promise<string>(resolve => child.stdout.once('data', (text: string) => resolve(text)))
  const {id = ''} = JSON.parse(line) as Told
  expect(await askWith(id)).toMatch(/^200/)
  child.kill('SIGINT')
  expect((await ended).status).toBe(130)
  await expect.poll(() => askWith(id), {timeout: 20_000}).toContain('explicit deny')
})

test.skipIf(aws === undefined)('the AWS CLI is the assumed role, by nothing but what it was given', async () => {
  const who = await alice.run(['exec', ...reason, 'aws', 'sts', 'get-caller-identity'])
  expect(who.stderr).not.toContain('error')
  expect(JSON.parse(who.stdout)).toMatchObject({
    Arn: expect.stringMatching(/^arn:aws:sts::111122223333:assumed-role\/reader\/req_\w+@alice$/),
  })
  const role = await alice.run(['exec', ...reason, 'aws', 'iam', 'get-role', '--role-name', 'reader'])
  expect(JSON.parse(role.stdout)).toMatchObject({Role: {Arn: roleArn('reader')}})
})

test('TM-U2: no secret of AWS lies in the broker’s folder, a person’s home or where programs had their places', () => {
  const folders = [
    broker.dir,
    alice.home,
    ...readdirSync(tmpdir()).flatMap(name => (/^prod-host-\w+\./.test(name) ? [join(tmpdir(), name)] : [])),
  ]
  const files = folders
    .filter(existsSync)
    .flatMap(folder =>
      readdirSync(folder, {recursive: true, withFileTypes: true}).flatMap(one => (one.isFile() ? [join(one.parentPath, one.name)] : [])),
    )
  for (const file of files) if (existsSync(file)) noSecret(readFileSync(file, 'latin1'))
})
