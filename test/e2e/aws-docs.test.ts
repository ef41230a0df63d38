/**
 * docs/aws-sessions.md as somebody new reads it: its files in a new broker, its policies of IAM as all that the roles may, and then every
 * command that stands there without output, against the stand-in of AWS.
 */
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {connect} from 'node:net'
import {userInfo} from 'node:os'
import {join} from 'node:path'
import {serveForwarded} from '@prod/sdk/testing/forwarded-server'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {sshdPath, startSshd} from '../sessions-stand-in/sshd.ts'
import {type StandIn, startStandIn} from '../sessions-stand-in/stand-in.ts'
import type {Container, Task} from '../sessions-stand-in/world.ts'
import {type RealBroker, type RealPerson, startRealBroker} from './broker.ts'
import {openScreen} from './screen.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/aws-sessions.md'), 'utf8')
const servers = await serveForwarded()
/** A real sshd lets in whoever runs this, and leads to real ports. */
const asHere = (text: string): string =>
  text
    .replace(/user=ubuntu|"ec2:osuser": "ubuntu"/g, pin => pin.replace('ubuntu', userInfo().username))
    .replaceAll('localhost:6379', `localhost:${servers.echo.port}`)
    .replaceAll('[6379]', `[${servers.echo.port}]`)
const chapters = new Map(page.split(/^## /m).map(text => [text.slice(0, text.indexOf('\n')), text]))
const blocks = (text: string, language: string): string[] =>
  [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].flatMap(([, of, block]) => (of === language ? [block as string] : []))
const told = ['The first session', 'ECS Exec', 'EC2 Instance Connect', 'Run Command'].map(name => chapters.get(name) ?? '')
const commands = told
  .flatMap(text => blocks(text, ''))
  .flatMap(block => block.split('\n'))
  .map(line => line.replace(/^\$ /, ''))
  .filter(line => line.startsWith('prod '))
/** What that chapter leaves to the reader: a role, and who may. */
const left = {
  'catalog/roles/fleet.yaml': `kind: Role
name: fleet
summary: commands on the web servers
provider: aws-sts
parameters: { account: '111122223333', role: fleet, regions: [eu-west-1] }
maxSeconds: 3600
`,
  'policy/global/fleet.cedar': 'permit (principal in Group::"engineers", action == Action::"run", resource in Tool::"where");',
}

const ends: (() => Promise<void> | void)[] = []
let aws: StandIn
let broker: RealBroker
let [alice, bob] = [] as unknown as [RealPerson, RealPerson]

beforeAll(async () => {
  ends.push(() => servers.close())
  const [sessions, containers, bastions] = [chapters.get('Permissions') ?? '', ...told.slice(1, 3)].map(text => {
    const [first = '{}'] = blocks(text, 'json')
    return {allows: asHere(first)}
  })
  const ports = Object.fromEntries(['5432', '9090'].map(port => [port, servers.echo.port]))
  const id = '0123456789abcdef0123456789abcde'
  const task = (at: number, service: string, name: string): Task => {
    const container: Container = {name, runtimeId: `${id}${at}-1`, lastStatus: 'RUNNING', execAgent: 'RUNNING'}
    const own = {service, taskDefinition: `${service}:42`, containers: [container]}
    return {id: `${id}${at}`, lastStatus: 'RUNNING', enableExecuteCommand: true, launchType: 'FARGATE', platformVersion: '1.4.0', ...own}
  }
  aws = await startStandIn({
    region: 'eu-west-1',
    agent: {outputDelayMs: 0, pieceDelayMs: 0, ports},
    instances: [
      {id: 'i-0a1b2c3d4e5f67890', tags: {Role: 'web'}},
      {id: 'i-0a1b2c3d4e5f67891', tags: {Role: 'bastion'}, privateIp: '10.0.1.91'},
    ],
    clusters: [
      {
        name: 'prod',
        region: 'eu-west-1',
        definitions: {},
        tasks: [task(0, 'web', 'app'), task(1, 'mail', 'sender'), task(2, 'mail', 'sender')],
      },
    ],
    roles: {
      'prod-instances': sessions as {allows: string},
      'prod-containers': containers as {allows: string},
      'prod-bastions': bastions as {allows: string},
      fleet: {allows: {Statement: {Effect: 'Allow', Action: '*', Resource: '*'}}},
    },
  })
  ends.push(() => aws.close())
  if (sshdPath) {
    const sshd = await startSshd(aws, 'i-0a1b2c3d4e5f67891')
    ends.push(() => sshd.close())
  }
  const alarms: string[] = []
  broker = await startRealBroker(end => void ends.push(end), {env: aws.env, onAlarm: text => void alarms.push(text)})
  const files = new Map([
    ...Object.entries(left),
    ['policy/global/aws-sessions.cedar', told.flatMap(text => blocks(text, 'cedar')).join('\n')],
  ])
  for (const text of told.flatMap(chapter => blocks(chapter, 'yaml'))) files.set(/^# (catalog\/\S+)\n/.exec(text)?.[1] ?? '', text)
  for (const [name, text] of files) {
    mkdirSync(join(broker.dir, name, '..'), {recursive: true})
    writeFileSync(join(broker.dir, name), asHere(text))
  }
  ;[alice, bob] = [broker.as('alice'), broker.as('bob')]
  await bob.login()
  for (let tries = 0; tries < 50; tries++) {
    if ((await alice.run(['tools', '--json'])).stdout.includes('"kernel"')) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error(`the files of the page did not load: ${alarms.join('')}`)
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

test('there are commands of each kind for each way in', () => {
  const kinds = commands.map(line => line.split(' ')[1])
  expect(kinds.filter(kind => kind === 'exec')).toHaveLength(4)
  expect(kinds.filter(kind => kind === 'forward')).toHaveLength(3)
  expect(kinds.filter(kind => kind === 'shell')).toHaveLength(5)
})

test.for(commands)('%s', async (line, {onTestFinished, skip}) => {
  if (!sshdPath && /bastion|kernel/.test(line)) skip('there is no sshd on this machine')
  const [, kind, ...rest] = [...asHere(line).matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
  if (kind === 'shell') {
    const screen = await openScreen(onTestFinished, alice, ['shell', ...rest])
    if (rest[0] === 'mail') {
      await screen.until(/one of mail\s*\n❯ sender/)
      screen.type('\r')
    }
    if (rest[0] === 'mail') {
      await screen.until(/task\s*\n❯ the newest healthy one/)
      screen.type('\r')
    }
    await screen.until(/req_/)
    const waiting = JSON.parse((await bob.run(['request', 'ls', '--json'])).stdout) as {id: string; state: string}[]
    const {id = ''} = waiting.find(({state}) => state === 'pending') ?? {}
    expect(await bob.run(['request', 'approve', id, '--yes'])).toMatchObject({status: 0})
    await screen.until(/\$ ?$|# ?$/m)
    screen.type('echo here-$((40+2)); exit\r')
    await screen.until(/^here-42/m)
    expect(await screen.ended, screen.text()).toBe(0)
  } else if (kind === 'forward') {
    const asked = rest.map(word => word.replace(/^\d+:localhost/, '0:localhost'))
    const child = await alice.start(['forward', ...asked, '--json'])
    const [ready] = (await child.stdout.take(1).toArray()) as [Buffer]
    const {forwards} = JSON.parse(String(ready)) as {forwards: {port: number}[]}
    const socket = connect(forwards[0]?.port ?? 0, '127.0.0.1')
    socket.write('there and back')
    const [back] = (await socket.take(1).toArray()) as [Buffer]
    expect(String(back)).toBe('there and back')
    child.kill('SIGINT')
    expect(await new Promise(resolve => child.once('close', resolve))).toBe(130)
  } else {
    const done = await alice.run([kind as string, ...rest])
    expect(done, done.stderr).toMatchObject({status: 0, stdout: expect.stringMatching(/\S/)})
  }
})
