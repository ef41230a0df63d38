/**
 * Containers by ECS Exec and instances by Instance Connect, through the built CLI and a real broker: the way in is the stand-in of AWS
 * with a real sshd behind it, by roles that the broker mints.
 */
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir, userInfo} from 'node:os'
import {join} from 'node:path'
import {serveForwarded} from '@prod/sdk/testing/forwarded-server'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {decide} from '../sessions-stand-in/policy.ts'
import {sshdPath, startSshd} from '../sessions-stand-in/sshd.ts'
import {type StandIn, startStandIn} from '../sessions-stand-in/stand-in.ts'
import type {Identity} from '../sessions-stand-in/world.ts'
import {type RealBroker, type RealPerson, startRealBroker} from './broker.ts'
import {openScreen} from './screen.ts'

if (!sshdPath) console.warn('there is no sshd on this machine: nothing of EC2 Instance Connect was tried')

const ends: (() => Promise<void> | void)[] = []
const folder = mkdtempSync(join(tmpdir(), 'prod-containers-'))
ends.push(() => rmSync(folder, {recursive: true}))
let aws: StandIn
let broker: RealBroker
let [alice, bob] = [] as unknown as [RealPerson, RealPerson]

const instance = 'i-0a1b2c3d4e5f60001'
const task = (last: string): string => `0123456789abcdef0123456789abcde${last}`
const reason = ['--reason', 'looking at the web servers']

const target = (name: string, address: string): string => `kind: Target
name: ${name}
address: ${address}
environment: production
role: operator
forwards: [{ host: localhost, ports: ["1024-65535"] }]
`
const filesOf = (user: string): Record<string, string> => ({
  'catalog/roles/operator.yaml': `kind: Role
name: operator
summary: sessions in containers and on instances
provider: aws-sts
parameters: { account: '111122223333', role: operator, regions: [us-east-1] }
class: change
maxSeconds: 3600
`,
  'catalog/roles/keeper.yaml': `kind: Role
name: keeper
summary: shells for the time of an incident
provider: group
parameters: { group: keepers }
class: change
maxSeconds: 3600
approvals: 1
`,
  'catalog/targets/app.yaml': target('app', 'ecs:us-east-1/prod/web/app?definition=web:7'),
  'catalog/targets/first.yaml': target('first', `ecs:us-east-1/other/web/app?task=${task('a')}`),
  'catalog/targets/containers.yaml': target('containers', 'ecs:us-east-1/prod/*?account=111122223333'),
  'catalog/targets/batch.yaml': target('batch', 'ecs:us-east-1/other/batch/job'),
  'catalog/targets/host.yaml': target('host', `ec2-instance-connect:us-east-1/${instance}?user=${user}&tag:Name=web-1`),
  'catalog/targets/hosts.yaml': target('hosts', `ec2-instance-connect:us-east-1/*?tag:Service=web&user=${user}`),
  'catalog/tools/run.yaml': `kind: Tool
name: run
summary: runs a script of the test
program: /bin/sh
class: read
run: { primitive: ecs, targets: [app, first, containers, batch] }
commands: [{ path: [], operands: [{ name: file, type: text }, { name: word, type: text, min: 0, max: 1 }], stdin: true }]
`,
  'catalog/tools/script.yaml': `kind: Tool
name: script
summary: runs a script of the test
program: /bin/sh
class: read
run: { primitive: ec2-instance-connect, targets: [host, hosts] }
commands: [{ path: [], options: { -c: { value: { type: text, lines: true, maxLength: 2000 } } }, stdin: true }]
`,
  'policy/global/containers.cedar': `@id("run")
permit (principal in Group::"engineers", action == Action::"run", resource) when { resource in Tool::"run" || resource in Tool::"script" };
@id("shell")
permit (principal in Group::"keepers", action == Action::"shell", resource) unless { resource == Target::"local" };
@id("forward")
permit (principal in Group::"engineers", action == Action::"forward", resource) unless { resource == Target::"local" };
@id("ask")
permit (principal in Group::"engineers", action == Action::"request", resource == Role::"keeper");
@id("approve")
permit (principal in Group::"sre-leads", action == Action::"approve", resource == Role::"keeper");
`,
})

/** A script that a container can be told to run: ECS Exec takes no word with a blank. */
function script(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

/** Who made the last call of an action. */
function callerOf(action: string): Identity {
  const call = aws.calls.findLast(one => one.action === action && one.outcome === 'ok')
  const found = [...aws.world.identities.values()].find(one => one.accessKeyId === call?.accessKeyId)
  if (!found) throw new Error(`nobody called ${action}`)
  return found
}

/** Whether the policy of its session allows it, as the stand-in judges. */
function may({policy, issuedAt}: Identity, action: string, resource: string, more: Record<string, string> = {}): boolean {
  const context = {'aws:CurrentTime': new Date(issuedAt).toISOString(), 'aws:RequestedRegion': 'us-east-1', ...more}
  return decide([{Effect: 'Allow', Action: '*', Resource: '*'}], policy, {action, resource: `arn:aws:${resource}`, context}) === 'allowed'
}

/** Whether it can do nothing any more. */
function isOver({allows, policy, issuedAt}: Identity): boolean {
  const context = {'aws:TokenIssueTime': new Date(Math.floor(issuedAt / 1000) * 1000).toISOString()}
  return decide(allows, policy, {action: 'ecs:ListTasks', resource: '*', context}) === 'explicit'
}

/** A grant that gives shells. */
async function becomeKeeper(): Promise<void> {
  const asked = await alice.run(['request', 'create', 'keeper', '-d', '30m', ...reason, '--nowait'])
  const approved = await bob.run(['request', 'approve', asked.stdout.trim(), '--yes'])
  if (approved.status !== 0) throw new Error(`${asked.stderr}${approved.stderr}`)
  for (let tries = 0; tries < 100; tries++) if ((await alice.run(['grant', 'ls', '--json'])).stdout.includes('"active"')) return
  throw new Error('the grant is not active')
}

beforeAll(async () => {
  const web = {service: 'web', lastStatus: 'RUNNING', launchType: 'FARGATE' as const, platformVersion: '1.4.0', taskDefinition: 'web:1'}
  const app = (id: string) => ({name: 'app', runtimeId: `${id}-2531612879`, lastStatus: 'RUNNING', execAgent: 'RUNNING'})
  aws = await startStandIn({
    region: 'us-east-1',
    agent: {outputDelayMs: 0, pieceDelayMs: 0},
    roles: {operator: {allows: {Statement: {Effect: 'Allow', Action: '*', Resource: '*'}}}},
  })
  aws.world.clusters.push({
    name: 'other',
    region: 'us-east-1',
    definitions: {'web:1': {taskRoleArn: 'arn:aws:iam::111122223333:role/web-task'}, 'batch:1': {}},
    tasks: [
      {...web, id: task('a'), enableExecuteCommand: true, containers: [app(task('a'))]},
      {
        ...web,
        id: task('c'),
        service: 'batch',
        taskDefinition: 'batch:1',
        enableExecuteCommand: true,
        containers: [{name: 'job', runtimeId: `${task('c')}-1`, lastStatus: 'RUNNING', execAgent: 'PENDING'}],
      },
    ],
  })
  ends.push(() => aws.close())
  if (sshdPath) {
    const sshd = await startSshd(aws, instance)
    ends.push(() => sshd.close())
  }
  const said: string[] = []
  broker = await startRealBroker(end => void ends.push(end), {env: aws.env, onAlarm: text => void said.push(text)})
  for (const [name, text] of Object.entries(filesOf(userInfo().username))) {
    mkdirSync(join(broker.dir, name, '..'), {recursive: true})
    writeFileSync(join(broker.dir, name), text)
  }
  ;[alice, bob] = [broker.as('alice'), broker.as('bob')]
  await bob.login()
  for (let tries = 0; tries < 30; tries++) {
    if ((await alice.run(['tools', '--json'])).stdout.includes('"script"')) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error(`the catalog did not load: ${said.join('')}`)
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

describe('containers', () => {
  const on = (name: string, ...argv: string[]) => alice.run(['exec', ...reason, '--on', name, 'run', ...argv])

  test('TM-X1: a tool has its own status, output, errors and input, under a role for this container and this run alone', async () => {
    const path = script('status.sh', 'cat; echo "out $1"; echo err >&2; exit 7\n')
    const done = await alice.run(['exec', ...reason, '--on', 'app', 'run', path, 'word'], {stdin: 'in\0\n'})
    expect(done).toMatchObject({status: 7, stdout: 'in\0\nout word\n', stderr: expect.stringContaining('err\n')})
    const by = callerOf('ExecuteCommand')
    expect(by.arn).toMatch(/assumed-role\/operator\//)
    const execute = (cluster: string, container: string) =>
      may(by, 'ecs:ExecuteCommand', `ecs:us-east-1:111122223333:task/${cluster}/${task('0')}`, {'ecs:container-name': container})
    expect([execute('prod', 'app'), execute('prod', 'proxy'), execute('other', 'app')]).toEqual([true, false, false])
    for (const action of ['ssm:StartSession', 'ecs:StopTask', 'ecs:RunTask', 'ssm:SendCommand']) expect(may(by, action, '*')).toBe(false)
    await expect.poll(() => isOver(by)).toBe(true)
  })

  test('TM-X5: a word that a shell could read is refused with its position, before anything is asked of AWS', async () => {
    const before = aws.calls.length
    expect(await on('app', script('true.sh', 'true\n'), 'a;b')).toMatchObject({
      status: 243,
      stderr: expect.stringContaining('argument 2 does not go to a container'),
    })
    expect(aws.calls.slice(before).map(({action}) => action)).not.toContain('ExecuteCommand')
  })

  test('TM-X2: another definition than the catalog names, or another task in the place of the named one, is refused', async () => {
    const path = script('here.sh', 'echo here\n')
    expect(await on('first', path)).toMatchObject({status: 0, stdout: 'here\n'})
    const [prod, other] = aws.world.clusters as [(typeof aws.world.clusters)[0], (typeof aws.world.clusters)[0]]
    const web = prod.tasks.filter(({service}) => service === 'web')
    for (const one of web) one.taskDefinition = 'web:8'
    const [first] = other.tasks as [(typeof other.tasks)[0]]
    other.tasks.push({...first, id: task('b')})
    first.lastStatus = 'STOPPED'
    try {
      expect(await on('app', path)).toMatchObject({
        status: 241,
        stdout: '',
        stderr: expect.stringContaining('no task of web runs web:7, which the catalog names: now it is web:8'),
      })
      expect(await on('first', path)).toMatchObject({status: 247, stdout: '', stderr: expect.stringContaining(`${task('a')} is stopped`)})
    } finally {
      for (const one of web) one.taskDefinition = 'web:7'
      other.tasks.pop()
      first.lastStatus = 'RUNNING'
    }
  })

  test('what is missing is said with what mends it', async () => {
    expect(await on('batch', script('true.sh', 'true\n'))).toMatchObject({
      status: 247,
      stderr: expect.stringMatching(/batch:1 has no task role; the agent of ECS Exec in job is PENDING\n.*try: give it one that allows/),
    })
  })

  test('those that a target stands for are found, used by name, and are none of those that the catalog names itself', async () => {
    const find = async (...words: string[]) => {
      const {stdout} = await alice.run(['targets', ...words, '--json'])
      return (JSON.parse(stdout) as {name: string}[]).map(({name}) => name)
    }
    expect(await find('containers', '--find', '')).toEqual(['containers/batch/job', 'containers/web/proxy'])
    expect(await find('containers/web/proxy', '--find', '')).toEqual([`containers/web/proxy/${task('0')}`])
    const path = script('where.sh', 'pwd; exit 3\n')
    expect(await on('containers/web/proxy', path)).toMatchObject({status: 3, stdout: expect.stringMatching(/abcde0-proxy\n$/)})
    expect(await on(`containers/web/proxy/${task('0')}`, path)).toMatchObject({status: 3})
    // `app` is judged by its own name alone, whatever holds it or it holds
    for (const name of ['containers', 'containers/web', `containers/web/app/${task('0')}`])
      expect(await on(name, path)).toMatchObject({status: 241, stdout: ''})
    expect(await on('containers/web/app', path)).toMatchObject({status: 3})
  })

  test('ports of a container are there for a command', async ({onTestFinished}) => {
    const servers = await serveForwarded()
    onTestFinished(() => servers.close())
    const fetched = `require('node:net').connect(process.env.PROD_FORWARD_PORT).on('data', bytes => { process.stdout.write(bytes); process.exit(4) }).write('there and back')`
    const listen = ['-L', `0:localhost:${servers.echo.port}`]
    const done = await alice.run(['forward', 'app', ...listen, ...reason, '--', process.execPath, '-e', fetched])
    expect(done).toMatchObject({status: 4, stdout: 'there and back'})
    const by = callerOf('StartSession')
    expect(may(by, 'ecs:ExecuteCommand', `ecs:us-east-1:111122223333:task/prod/${task('0')}`, {'ecs:container-name': 'app'})).toBe(false)
  })
})

describe.skipIf(!sshdPath)('instances over SSH', () => {
  const on = (name: string, text: string, stdin?: string) =>
    alice.run(['exec', ...reason, '--on', name, 'script', '-c', text], stdin === undefined ? {} : {stdin})

  test('TM-J2: a tool has its own status, output, errors and input, by a key for this account of this instance alone', async () => {
    const done = await on('host', "cat; echo 'out; $x'; echo err >&2; exit 7", 'in\0\n')
    expect(done).toMatchObject({status: 7, stdout: 'in\0\nout; $x\n', stderr: expect.stringContaining('err\n')})
    const by = callerOf('SendSSHPublicKey')
    const push = (id: string, account: string, name = 'web-1') =>
      may(by, 'ec2-instance-connect:SendSSHPublicKey', `ec2:us-east-1:111122223333:instance/${id}`, {
        'ec2:osuser': account,
        'aws:ResourceTag/Name': name,
      })
    const {username: user} = userInfo()
    expect(push(instance, user)).toBe(true)
    expect([push(instance, 'other'), push('i-0a1b2c3d4e5f60002', user), push(instance, user, 'web-2')]).toEqual([false, false, false])
    for (const action of ['ssm:StartSession', 'ec2:TerminateInstances', 'ec2-instance-connect:SendSerialConsoleSSHPublicKey'])
      expect(may(by, action, '*')).toBe(false)
  })

  test('those with the tags are found and used by name; the catalog’s own, and those without the tags, are none of them', async () => {
    const {stdout} = await alice.run(['targets', 'hosts', '--find', '10.0.1', '--json'])
    expect((JSON.parse(stdout) as {name: string}[]).map(({name}) => name)).toEqual(['hosts/i-0a1b2c3d4e5f60002'])
    expect(await on('hosts/i-0a1b2c3d4e5f60003', 'true')).toMatchObject({
      status: 241,
      stderr: expect.stringContaining('the tag Service is "worker"'),
    })
    expect(await on(`hosts/${instance}/more`, 'true')).toMatchObject({status: 241})
  })

  test('ports of an instance are there for a command', async ({onTestFinished}) => {
    const servers = await serveForwarded()
    onTestFinished(() => servers.close())
    const fetched = `require('node:net').connect(process.env.PROD_FORWARD_PORT).on('data', bytes => { process.stdout.write(bytes); process.exit(4) }).write('there and back')`
    const listen = ['-L', `0:localhost:${servers.echo.port}`]
    const done = await alice.run(['forward', 'host', ...listen, ...reason, '--', process.execPath, '-e', fetched])
    expect(done).toMatchObject({status: 4, stdout: 'there and back'})
  })
})

describe('shells', () => {
  beforeAll(becomeKeeper)
  const size = {columns: 90, rows: 24}

  test.for(sshdPath ? ['app', 'host'] : ['app'])(
    'one in %s has the size of the terminal, follows it, and has a status',
    async (name, {onTestFinished}) => {
      const screen = await openScreen(onTestFinished, alice, ['shell', name, ...reason], size)
      await screen.until(/[#$] ?$/m)
      screen.type('stty size; echo ünï-$((40+2))\r')
      await screen.until(/24 90/)
      await screen.until(/^ünï-42/m)
      screen.resize(70, 20)
      screen.type("until stty size | grep '20 70'; do :; done\r")
      await screen.until(/^20 70/m)
      // the key ends what runs: not before it has the terminal
      screen.type("sh -c 'echo runs-$((1+1)); exec sleep 1000'\r")
      await screen.until(/^runs-2/m)
      screen.type('\u0003')
      screen.type('(exit 3); exit 5\r')
      expect(await screen.ended, screen.text()).toBe(5)
    },
  )

  test('without a name, one is picked: the target, the container, the task', async ({onTestFinished}) => {
    const screen = await openScreen(onTestFinished, alice, ['shell', ...reason], {columns: 140, rows: 30})
    onTestFinished(() => void aws.world.clusters[0]?.tasks.splice(-1))
    const [first] = (aws.world.clusters[0]?.tasks ?? []) as [(typeof aws.world.clusters)[0]['tasks'][0]]
    aws.world.clusters[0]?.tasks.push({...first, id: task('9'), startedAt: Date.now(), containers: first.containers.slice(1)})
    await screen.until(/target/)
    screen.type('containers')
    await screen.until(/target containers\n❯ containers +production/)
    screen.type('\r')
    await screen.until(/one of containers/)
    screen.type('proxy')
    await screen.until(/❯ web\/proxy/)
    screen.type('\r')
    await screen.until(/task[\s\S]*the newest healthy one[\s\S]*abcde0[\s\S]*abcde9/)
    screen.type('cde0')
    await screen.until(/❯ \w*abcde0/)
    screen.type('\r')
    await screen.until(/\[prod containers\/web\/proxy\/\w+abcde0\] .*# ?$/m)
    screen.type('exit 6\r')
    expect(await screen.ended, screen.text()).toBe(6)
  })

  test('TM-X4: what gave the right is revoked, and open shells end in seconds, here and at AWS', async ({onTestFinished}) => {
    const screens = await Promise.all(
      (sshdPath ? ['app', 'host'] : ['app']).map(name => openScreen(onTestFinished, alice, ['shell', name, ...reason], size)),
    )
    for (const screen of screens) {
      await screen.until(/[#$] ?$/m)
      screen.type('echo up-$((1+1)); exec sleep 1000\r')
      await screen.until(/^up-2/m)
    }
    const [grant] = JSON.parse((await alice.run(['grant', 'ls', '--json'])).stdout) as {id: string}[]
    expect(await bob.run(['grant', 'revoke', grant?.id ?? '', '--note', 'over'])).toMatchObject({status: 0})
    for (const screen of screens) expect(await screen.ended, screen.text()).toBe(249)
    await expect.poll(() => [...aws.sessions.values()].filter(({state}) => state === 'Connected').length, {timeout: 60_000}).toBe(0)
  })
})
