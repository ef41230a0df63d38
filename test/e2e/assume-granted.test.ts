/** A role of the broker, from the command line to what AWS sees: requested, approved, used by a foreign program, revoked. */
import {spawnSync} from 'node:child_process'
import {chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type BrokerStandIn, roleArn, startBrokerStandIn} from '../../plugins/aws/test/providers-stand-in.ts'
import {type StandIn, startStandIn} from '../../plugins/aws/test/stand-in.ts'
import {collect, type RealBroker, type RealPerson, startRealBroker} from './broker.ts'
import {openScreen} from './screen.ts'

const hasAws = spawnSync('sh', ['-c', 'command -v aws']).status === 0
if (!hasAws) console.warn('the AWS CLI is not on this machine: granted roles are used by a program of the tests')

const ends: (() => Promise<void>)[] = []
let aws: BrokerStandIn
let portal: StandIn
let broker: RealBroker
let [alice, bob] = [] as unknown as [RealPerson, RealPerson]

beforeAll(async () => {
  aws = await startBrokerStandIn(end => void ends.push(end))
  portal = await startStandIn(end => void ends.push(end))
  portal.accounts = [{id: '111122223333', name: 'payments', roles: ['PaymentsAdmin']}]
  aws.center.users.set('alice', 'u-a')
  const place = {AWS_ENDPOINT_URL: aws.url, AWS_REGION: 'us-east-1'}
  aws.roles.set(roleArn('deployer'), {
    allows: [{Effect: 'Allow', Action: '*', Resource: '*'}],
    trusts: new Set(['AKIABROKER']),
    maxSeconds: 3600,
    inline: new Map(),
  })
  broker = await startRealBroker(end => void ends.push(end), {
    env: {...place, AWS_ACCESS_KEY_ID: 'AKIABROKER', AWS_SECRET_ACCESS_KEY: 'secret-of-the-broker'},
  })
  mkdirSync(join(broker.dir, 'catalog/roles'), {recursive: true})
  writeFileSync(
    join(broker.dir, 'policy/global/aws.cedar'),
    ['deployer', 'payments-admin']
      .map(
        name => `permit (principal in Group::"engineers", action == Action::"request", resource == Role::"${name}");
permit (principal in Group::"sre-leads", action == Action::"approve", resource == Role::"${name}");
`,
      )
      .join(''),
  )
  writeFileSync(
    join(broker.dir, 'catalog/roles/payments-admin.yaml'),
    `kind: Role
name: payments-admin
summary: looks after the account of payments
provider: aws-identity-center
parameters:
  instance: arn:aws:sso:::instance/ssoins-1234567890abcdef
  permissionSet: arn:aws:sso:::permissionSet/ssoins-1234567890abcdef/ps-1234567890abcdef
  account: '111122223333'
  region: eu-west-1
  identityStore: d-1234567890
  role: PaymentsAdmin
  startUrl: https://corp.awsapps.com/start
class: change
maxSeconds: 3600
`,
  )
  writeFileSync(
    join(broker.dir, 'catalog/roles/deployer.yaml'),
    `kind: Role
name: deployer
summary: deploys
provider: aws-sts
parameters: { account: '111122223333', role: deployer, regions: [us-east-1] }
class: change
maxSeconds: 7200
allows: ["iam:GetRole"]
`,
  )
  ;[alice, bob] = [broker.as('alice'), broker.as('bob')]
  Object.assign(alice.env, place)
  await bob.login()
  for (let tries = 0; tries < 100; tries++) {
    const {stdout} = await alice.run(['roles', '--json'])
    if (stdout.includes('deployer')) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error('the role did not load')
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

/** What a program does with an endpoint of its own: fetches credentials, asks IAM for the role, prints the answer. */
const ownProgram = `
const {AWS_CONTAINER_CREDENTIALS_FULL_URI: uri, AWS_CONTAINER_AUTHORIZATION_TOKEN: authorization, AWS_ENDPOINT_URL: aws} = process.env
const given = await fetch(uri, {headers: {authorization}})
if (!given.ok) { console.error(await given.text()); process.exit(1) }
const {AccessKeyId, Token} = await given.json()
const signed = {authorization: 'AWS4-HMAC-SHA256 Credential=' + AccessKeyId + '/20261122/us-east-1/iam/aws4_request, Signature=0', 'x-amz-security-token': Token}
const answer = await fetch(aws, {method: 'POST', headers: signed, body: new URLSearchParams({Action: 'GetRole', RoleName: 'deployer'})})
console.log(await answer.text())
process.exit(answer.ok ? 0 : 1)
`
const own = [process.execPath, '--input-type=module', '-e', ownProgram]
const programs = [own, ...(hasAws ? [['aws', 'iam', 'get-role', '--role-name', 'deployer', '--output', 'json']] : [])]
const question = programs.at(-1) ?? own
const childEnv = {PATH: process.env.PATH ?? ''}

async function approve(id: string): Promise<void> {
  const {status, stderr} = await bob.run(['request', 'approve', id, '--yes'])
  expect(stderr).not.toContain('error')
  expect(status).toBe(0)
}

test('a role is listed as usable after approval; --nowait prints the request and ends with 245, and is not asked for twice', async () => {
  const listed = JSON.parse((await alice.run(['roles', '--json'])).stdout) as {name: string; usable: string; source: string}[]
  expect(listed.find(({name}) => name === 'deployer')).toMatchObject({
    usable: 'request',
    source: 'broker',
    class: 'change',
    allows: ['iam:GetRole'],
  })
  const asked = await alice.run(['assume', 'deployer', '--nowait', '--reason', 'deploy the new build of payments', '--', 'true'])
  expect(asked.status).toBe(245)
  const id = asked.stdout.trim()
  expect(id).toMatch(/^req_/)
  const again = await alice.run(['assume', 'deployer', '--nowait', '--reason', 'deploy the new build of payments', '--', 'true'])
  expect(again.stdout.trim()).toBe(id)
  await approve(id)
})

test('TM-U3: once approved, a foreign program gets its credentials from the endpoint and AWS lets it in', async () => {
  for (const program of programs) {
    const used = await alice.run(['assume', 'deployer', '--', ...program], {env: childEnv})
    expect(used.stderr).toMatch(/deployer: grant grant_\w+ until /)
    expect(used.stdout).toContain('deployer')
    expect(used.status).toBe(0)
  }
  // the same grant serves again, without a word to anybody
  const again = await alice.run(['assume', 'deployer', '--json'])
  expect(JSON.parse(again.stdout)).toMatchObject({Version: 1, AccessKeyId: expect.stringMatching(/^ASIA/)})
  const grants = JSON.parse((await alice.run(['grant', 'ls', '--json'])).stdout) as unknown[]
  expect(grants).toHaveLength(1)
})

test('a grant that is too short is not stretched: another is asked for, waited for, and taken once it is approved', async () => {
  const waiting = await alice.start(
    ['assume', 'deployer', '--min-remaining', '90m', '-d', '2h', '--reason', 'a long apply', '--', ...own],
    {env: childEnv},
  )
  waiting.stdin.end()
  let said = ''
  waiting.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const ended = new Promise<number | null>(resolve => waiting.once('close', resolve))
  let id = ''
  for (let tries = 0; id === '' && tries < 100; tries++) {
    const waits = JSON.parse((await bob.run(['request', 'ls', '--json'])).stdout) as {id: string; state: string; summary: string}[]
    id = waits.find(({state, summary}) => state === 'pending' && summary === 'the role deployer for 2h')?.id ?? ''
  }
  expect(said).toMatch(/grant grant_\w+ of deployer lasts .+ more: asking for another/)
  await approve(id)
  expect(await ended).toBe(0)
  // one credential lives for an hour at most, however long the grant: where nothing renews it that is too short
  const plain = await alice.run(['assume', 'deployer', '--min-remaining', '90m', '--env', '--', 'true'])
  expect(plain.status).toBe(241)
  expect(plain.stderr).toContain('they are renewed while the grant lives')
  const grants = JSON.parse((await alice.run(['grant', 'ls', '--json'])).stdout) as {state: string}[]
  expect(grants.filter(({state}) => state === 'active')).toHaveLength(2)
})

/** The request that waits, by its summary. */
async function waiting(summary: string): Promise<string> {
  for (let tries = 0; tries < 100; tries++) {
    const waits = JSON.parse((await bob.run(['request', 'ls', '--json'])).stdout) as {id: string; state: string; summary: string}[]
    const found = waits.find(one => one.state === 'pending' && one.summary === summary)
    if (found) return found.id
  }
  throw new Error(`nothing waits as ${summary}`)
}

test('Ctrl-C while an approval is waited for takes the request back and ends with 130', async ({onTestFinished}) => {
  const asked = ['assume', 'payments-admin', '--reason', 'thought better of', '--', 'true']
  const screen = await openScreen(onTestFinished, alice, asked)
  const [, id = ''] = await screen.until(/(req_\w+) waits since/)
  screen.type('\x03')
  expect(await screen.ended).toBe(130)
  expect(screen.text()).not.toMatch(/wrong|could not|error/)
  expect(JSON.parse((await alice.run(['request', 'show', id, '--json'])).stdout)).toMatchObject({state: 'cancelled'})
  // without a terminal too
  const child = await alice.start(asked)
  child.stdin.end()
  const ended = collect(child)
  const next = await waiting('the role payments-admin for 1h')
  child.kill('SIGINT')
  expect(await ended).toMatchObject({status: 130, stdout: ''})
  expect(JSON.parse((await alice.run(['request', 'show', next, '--json'])).stdout)).toMatchObject({state: 'cancelled'})
})

test('a login at IAM Identity Center that ends while an approval is waited for is asked for again, once', async ({onTestFinished}) => {
  mkdirSync(join(alice.home, '.aws'), {recursive: true})
  const local = `[services local]\nsso =\n  endpoint_url = ${portal.url}\nsso_oidc =\n  endpoint_url = ${portal.url}\n`
  const session = '[sso-session corp]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = eu-west-1\nservices = local\n'
  writeFileSync(join(alice.home, '.aws/config'), session + local)
  mkdirSync(join(alice.home, 'bin'))
  writeFileSync(
    join(alice.home, 'bin/xdg-open'),
    `#!${process.execPath}
const {get} = require('node:http')
const go = url => get(url, answer => { answer.resume(); if (answer.headers.location) go(answer.headers.location) })
go(process.argv[2])
`,
  )
  chmodSync(join(alice.home, 'bin/xdg-open'), 0o755)
  const options = {env: {BROWSER: 'x', PATH: `${join(alice.home, 'bin')}:${alice.env.PATH}`}}
  const listed = await openScreen(onTestFinished, alice, ['roles', '--refresh'], options)
  expect(await listed.ended).toBe(0)
  expect(portal.logins).toBe(1)

  const asked = ['assume', 'payments-admin', '--reason', 'the ledger is stuck', '--', 'sh', '-c', 'echo is $PROD_ASSUMED; exit 7']
  const screen = await openScreen(onTestFinished, alice, asked, options)
  const [, id = ''] = await screen.until(/(req_\w+) waits since/)
  portal.endLogins()
  await approve(id)
  await screen.until(/is payments-admin/)
  expect(await screen.ended).toBe(7)
  expect(portal.logins).toBe(2)
  for (const secret of portal.secrets) expect(screen.raw()).not.toContain(secret)
  const [grant] = (JSON.parse((await alice.run(['grant', 'ls', '--json'])).stdout) as {id: string; role: string}[]).filter(
    ({role}) => role === 'payments-admin',
  )
  // the deny that the broker has put ends what the portal gave: the holder's own command sees it
  portal.revoked = () => [...aws.center.inline.values()].some(policy => policy.includes('prodrevoked'))
  const revoked = await alice.run(['grant', 'revoke', grant?.id ?? ''], {env: {AWS_ENDPOINT_URL_IAM: portal.url}})
  expect(revoked).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/is handed-back.*\na call under it was refused after \d+\.\d s\n$/),
  })
  expect(portal.calls).toContain('ListAccountAliases')
})

test('TM-N4: a portal that does not answer keeps no grant alive', async ({onTestFinished}) => {
  const asked = await alice.run(['assume', 'payments-admin', '--nowait', '--reason', 'the ledger is stuck again', '--', 'true'])
  expect(asked.status).toBe(245)
  await approve(asked.stdout.trim())
  expect(await alice.run(['assume', 'payments-admin', '--', 'true'])).toMatchObject({status: 0})
  const held = JSON.parse((await alice.run(['grant', 'ls', '--json'])).stdout) as {id: string; role: string; state: string}[]
  const grant = held.find(({role, state}) => role === 'payments-admin' && state === 'active')
  const {promise, resolve} = Promise.withResolvers<void>()
  portal.held = promise
  onTestFinished(() => {
    portal.held = undefined
    resolve()
  })
  const revoked = await alice.run(['grant', 'revoke', grant?.id ?? ''])
  expect(revoked).toMatchObject({status: 0, stdout: expect.stringContaining('is handed-back')})
})

test('TM-N4: grant revoke says after how long AWS refused, a running program is refused, and the next one asks anew', async () => {
  const held = JSON.parse((await alice.run(['grant', 'ls', '--json'])).stdout) as {id: string; role: string}[]
  const [grant, ...others] = held.filter(({role}) => role === 'deployer')
  for (const {id} of others) await alice.run(['grant', 'revoke', id])
  const go = join(alice.home, 'go')
  const script = `until [ -e ${go} ]; do sleep 0.05; done; exec "$@"`
  const child = await alice.start(['assume', 'deployer', '--', 'sh', '-c', script, 'sh', ...question], {env: childEnv})
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  const ended = new Promise<number | null>(resolve => child.once('close', resolve))
  for (let tries = 0; !said.includes('until') && tries < 500; tries++) await new Promise(resolve => setTimeout(resolve, 20))
  const revoked = await bob.run(['grant', 'revoke', grant?.id ?? '', '--note', 'the deploy is stopped'])
  expect(revoked.stdout).toMatch(/a call under it was refused after \d+\.\d s/)
  writeFileSync(go, '')
  expect(await ended).not.toBe(0)
  expect(said).toMatch(/AccessDenied|explicit deny|grant_\w+ of deployer was revoked/)
  const next = await alice.run(['assume', 'deployer', '--nowait', '--reason', 'deploy it once more', '--', 'true'])
  expect(next.status).toBe(245)
})

test('TM-U2: no secret of AWS lies in the person’s home or the broker’s folder', () => {
  const files = [alice.home, broker.dir].flatMap(home =>
    readdirSync(home, {recursive: true, withFileTypes: true}).flatMap(one => (one.isFile() ? [join(one.parentPath, one.name)] : [])),
  )
  expect(aws.secrets.size).toBeGreaterThan(0)
  for (const file of files.filter(existsSync)) {
    const text = readFileSync(file, 'latin1')
    for (const secret of aws.secrets) expect(text.includes(secret), file).toBe(false)
  }
})

test('Ctrl-C while the broker is away ends the wait too, and says that the request may still be approved', async () => {
  const child = await alice.start(['assume', 'payments-admin', '--reason', 'too late for the broker', '--', 'true'])
  child.stdin.end()
  const ended = collect(child)
  const id = await waiting('the role payments-admin for 1h')
  await broker.stop('SIGKILL')
  child.kill('SIGINT')
  expect(await ended).toMatchObject({status: 130, stderr: expect.stringContaining(`${id} could not be cancelled`)})
})
