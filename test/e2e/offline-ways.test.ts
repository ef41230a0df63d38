/**
 * Break-glass without the broker by the other ways in: a container by ECS Exec, and an instance by Instance Connect with a real sshd behind it.
 * What goes before the terminal (kit, alerts, typed name) has tests of its own in offline.test.ts.
 */
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {tmpdir, userInfo} from 'node:os'
import {join} from 'node:path'
import type {Session} from '@prod/sdk'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {defaults} from '../../plugins/broker/src/config.ts'
import {type Broker, startBroker} from '../../plugins/broker/src/main.ts'
import {prepareFolder} from '../../plugins/broker/test/core.ts'
import {sshdPath, startSshd} from '../sessions-stand-in/sshd.ts'
import {type StandIn, startStandIn} from '../sessions-stand-in/stand-in.ts'
import {openPerson, type RealPerson} from './broker.ts'
import {openScreen} from './screen.ts'

if (!sshdPath) console.warn('there is no sshd on this machine: nothing of EC2 Instance Connect was tried')

const ends: (() => Promise<void> | void)[] = []
let aws: StandIn
let base: string
let broker: Broker
let serves = false
let [alice, carol] = [] as unknown as [RealPerson, RealPerson]
const alarms: string[] = []
const channels: [name: string, url: string][] = []

const instance = 'i-0a1b2c3d4e5f60001'
const target = (name: string, address: string, offline = 'offline: { role: break-glass }') => `kind: Target
name: ${name}
address: ${address}
environment: production
${offline}
`
const asked = ['--offline', '--reason', 'the site is down and nobody answers', '--incident', 'INC-7']

/** Somebody who is told, and believes all of it. */
async function startReceiver(): Promise<string> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(204).end())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

async function start(port: number): Promise<void> {
  broker = await startBroker({
    development: true,
    dir: join(base, 'broker'),
    port,
    alarm: line => alarms.push(line),
    settings: {
      channels: channels.map(([name, url]) => ({name, notifier: 'webhook', config: {url, secretFile: join(base, `${name}.secret`)}})),
      alertChannels: ['a', 'b'],
      breakGlass: {...defaults.breakGlass, alertSeconds: 8},
    },
  })
  serves = true
}
async function stop(): Promise<void> {
  if (serves) await broker.stop()
  serves = false
}

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'prod-offline-ways-'))
  ends.push(() => rmSync(base, {recursive: true, force: true}))
  aws = await startStandIn({
    region: 'us-east-1',
    agent: {outputDelayMs: 0, pieceDelayMs: 0},
    roles: {'break-glass': {allows: {Statement: {Effect: 'Allow', Action: '*', Resource: '*'}}}},
  })
  ends.push(() => aws.close())
  if (sshdPath) {
    const sshd = await startSshd(aws, instance)
    ends.push(() => sshd.close())
  }
  for (const name of ['a', 'b']) channels.push([name, await startReceiver()])
  for (const [at, name] of ['a', 'b'].entries())
    writeFileSync(join(base, `${name}.secret`), `whsec_${Buffer.alloc(32, at + 1).toString('base64')}`, {mode: 0o600})
  await prepareFolder(join(base, 'broker'), {
    'catalog/targets/app.yaml': target('app', 'ecs:us-east-1/prod/web/app?definition=web:7'),
    'catalog/targets/containers.yaml': target('containers', 'ecs:us-east-1/prod/*'),
    'catalog/targets/secret.yaml': target('secret', 'ecs:us-east-1/prod/web/secret', ''),
    'catalog/targets/host.yaml': target('host', `ec2-instance-connect:us-east-1/${instance}?user=${userInfo().username}&tag:Name=web-1`),
  })
  await start(0)
  ends.push(stop)
  const {url} = broker.ready
  ;[alice, carol] = [openPerson('alice', join(base, 'alice'), url), openPerson('carol', join(base, 'carol'), url)]
  Object.assign(alice.env, {AWS_ENDPOINT_URL: aws.url, AWS_EC2_METADATA_DISABLED: 'true'})
  mkdirSync(join(alice.home, '.aws'))
  writeFileSync(
    join(alice.home, '.aws/config'),
    `[profile base]
aws_access_key_id = ${aws.env.AWS_ACCESS_KEY_ID}
aws_secret_access_key = ${aws.env.AWS_SECRET_ACCESS_KEY}
aws_session_token = ${aws.env.AWS_SESSION_TOKEN}
[profile break-glass]
role_arn = arn:aws:iam::111122223333:role/break-glass
source_profile = base
role_session_name = alice
region = us-east-1
`,
    {mode: 0o600},
  )
  await Promise.all([alice.login(), carol.login()])
  await stop()
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

/** Who made the last call of an action. */
function callerOf(action: string): string | undefined {
  const call = aws.calls.findLast(one => one.action === action && one.outcome === 'ok')
  return [...aws.world.identities.values()].find(one => one.accessKeyId === call?.accessKeyId)?.arn
}

const opened = sshdPath ? ['app', 'containers/web/proxy', 'host'] : ['app', 'containers/web/proxy']

test.for(opened)(
  'TM-O6: with the broker gone a shell in %s opens by the person’s own role, and nothing is left of it',
  async (name, {onTestFinished}) => {
    const screen = await openScreen(onTestFinished, alice, ['shell', name, ...asked], {columns: 90, rows: 24})
    await screen.until(new RegExp(`type ${name} to go on`))
    screen.type(`${name}\r`)
    await screen.until(/ses_\w+ on \S+ \(production\); it ends at/)
    await screen.until(/\[BREAK-GLASS .*[#$] ?$/m)
    screen.type('stty size; echo found-$((40+2))\r')
    await screen.until(/^24 90/m)
    await screen.until(/^found-42/m)
    screen.resize(70, 20)
    screen.type("until stty size | grep '20 70'; do :; done\r")
    await screen.until(/^20 70/m)
    // the key ends what runs: not before it has the terminal
    screen.type("sh -c 'echo runs-$((1+1)); exec sleep 1000'\r")
    await screen.until(/^runs-2/m)
    screen.type('\u0003')
    screen.type('exit 5\r')
    expect(await screen.ended, screen.text()).toBe(5)
    expect(callerOf(name === 'host' ? 'SendSSHPublicKey' : 'ExecuteCommand')).toBe(
      'arn:aws:sts::111122223333:assumed-role/break-glass/alice',
    )
    await expect.poll(() => [...aws.sessions.values()].filter(({state}) => state === 'Connected').length, {timeout: 60_000}).toBe(0)
  },
)

test('TM-L4, TM-O6: what the catalog names itself, and gives no way in to without the broker, has none by another name either', async ({
  onTestFinished,
}) => {
  for (const name of ['secret', 'containers/web/secret', 'containers/web', `containers/web/secret/${'0'.repeat(32)}`, 'containers/..']) {
    const screen = await openScreen(onTestFinished, alice, ['shell', name, ...asked])
    expect(await screen.ended).toBe(243)
    expect(screen.text().replaceAll('\n', '')).toContain(`the break-glass kit does not name ${name}`)
  }
  const own = await openScreen(onTestFinished, alice, ['shell', 'containers/web/app', ...asked])
  await own.until(/type app to go on/)
  own.type('no\r')
  expect(await own.ended).toBe(241)
})

test('TM-O6: what was done there goes home with its recording, and each has its review', async () => {
  await start(Number(new URL(broker.ready.url).port))
  const done = await alice.run(['break-glass', 'hand-in'])
  expect(done.status, done.stderr + alarms.join('')).toBe(0)
  const sessions = JSON.parse((await carol.run(['sessions', 'ls', '--json'])).stdout) as Session[]
  expect(sessions.map(({target: {name}, exit, review}) => [name, exit, typeof review])).toEqual(
    opened.toReversed().map(name => [name, {status: 5}, 'string']),
  )
  const identity = join(base, 'broker/recording-key.txt')
  expect(readFileSync(identity, 'utf8')).toContain('AGE-SECRET-KEY')
  for (const {id} of sessions)
    expect((await carol.run(['sessions', 'play', id, '--identity', identity, '--speed', '0'])).stdout).toContain('found-42')
})
