/**
 * What is approved is what is touched: addresses that leave open which task or which instances they lead to, through the built CLI, a real
 * broker and the stand-in of AWS; and machines that several runs want at once.
 */
import {once} from 'node:events'
import {existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type StandIn, startStandIn} from '../sessions-stand-in/stand-in.ts'
import {type RealBroker, type RealPerson, startRealBroker} from './broker.ts'
import {openScreen} from './screen.ts'

const ends: (() => Promise<void> | void)[] = []
const folder = mkdtempSync(join(tmpdir(), 'prod-approved-'))
ends.push(() => rmSync(folder, {recursive: true, force: true}))
let aws: StandIn
let broker: RealBroker
let [alice, bob] = [] as unknown as [RealPerson, RealPerson]

const [web1, web2, worker] = ['i-0a1b2c3d4e5f60001', 'i-0a1b2c3d4e5f60002', 'i-0a1b2c3d4e5f60003'] as const
const task = (last: string): string => `0123456789abcdef0123456789abcde${last}`
const reason = ['--reason', 'the web servers are slow']

const target = (name: string, address: string) => `kind: Target
name: ${name}
address: ${address}
environment: production
role: operator
forwards: [{ host: localhost, ports: ["1024-65535"] }]
`
const tool = (name: string, program: string, run: string, commands: string) => `kind: Tool
name: ${name}
summary: a tool of the test
program: ${program}
class: change
run: ${run}
commands: [${commands}]
`
const script = '{ path: [], options: { -c: { value: { type: text, lines: true, maxLength: 2000 } } } }'
const files: Record<string, string> = {
  'catalog/roles/operator.yaml': `kind: Role
name: operator
summary: changes to the web servers
provider: aws-sts
parameters: { account: '111122223333', role: operator, regions: [us-east-1] }
class: change
maxSeconds: 3600
`,
  'catalog/targets/app.yaml': target('app', 'ecs:us-east-1/prod/web/app?definition=web:7'),
  'catalog/targets/one.yaml': target('one', `ssm:us-east-1/${web1}?exec=Prod-RunCommand`),
  'catalog/targets/fleet.yaml': target('fleet', 'ssm-command:us-east-1/*?tag:Service=web').replace(/forwards.*\n/, ''),
  'catalog/targets/restart.yaml': target('restart', 'ssm-automation:us-east-1/Restart?over=InstanceId&tag:Service=web').replace(
    /forwards.*\n/,
    '',
  ),
  'catalog/tools/run.yaml': tool(
    'run',
    '/bin/sh',
    '{ primitive: ecs, target: app }',
    '{ path: [], operands: [{ name: file, type: text }] }',
  ),
  'catalog/tools/alone.yaml': tool('alone', '/bin/sh', '{ primitive: ssm, target: one }', script),
  'catalog/tools/all.yaml': tool('all', '/bin/sh', '{ primitive: ssm-command, target: fleet }', script),
  'catalog/tools/asked.yaml': tool('asked', '/bin/sh', '{ primitive: ssm-command, target: fleet }', script),
  'catalog/tools/restart.yaml': tool('restart', '/automation/start', '{ primitive: ssm-automation, target: restart }', '{ path: [] }'),
  'catalog/tools/agree.yaml': tool(
    'agree',
    '/automation/approve',
    '{ primitive: ssm-automation, target: restart }',
    '{ path: [], operands: [{ name: execution, type: text }] }',
  ),
  'policy/global/approved.cedar': `@id("allowed")
permit (principal in Group::"engineers", action == Action::"run", resource)
when { resource in Tool::"alone" || resource in Tool::"all" || resource in Tool::"restart" || resource in Tool::"agree" };
@id("asked")
permit (principal in Group::"engineers", action == Action::"request", resource)
when { resource in Tool::"run" || resource in Tool::"asked" || resource == Target::"app" };
@id("approved")
permit (principal in Group::"sre-leads", action == Action::"approve", resource);
`,
}

beforeAll(async () => {
  aws = await startStandIn({
    region: 'us-east-1',
    agent: {outputDelayMs: 0, pieceDelayMs: 0},
    roles: {operator: {allows: {Statement: {Effect: 'Allow', Action: '*', Resource: '*'}}}},
    documents: [
      {
        name: 'Restart',
        type: 'Automation',
        owner: 'self',
        version: '1',
        content: {
          schemaVersion: '0.3',
          parameters: {InstanceId: {type: 'String'}},
          mainSteps: [{name: 'ask', action: 'aws:approve', inputs: {Approvers: ['arn:aws:iam::111122223333:role/leads']}}],
        },
      },
    ],
  })
  ends.push(() => aws.close())
  const said: string[] = []
  broker = await startRealBroker(end => void ends.push(end), {env: aws.env, onAlarm: line => void said.push(line)})
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(broker.dir, name, '..'), {recursive: true})
    writeFileSync(join(broker.dir, name), content)
  }
  ;[alice, bob] = [broker.as('alice'), broker.as('bob')]
  await bob.login()
  for (let tries = 0; tries < 50; tries++) {
    if ((await alice.run(['tools', '--json'])).stdout.includes('"asked"')) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error(`the catalog did not load: ${said.join('')}`)
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

/** Asked for and approved: the id, and what bob saw. */
async function approved(...words: string[]): Promise<{id: string; seen: string}> {
  const asked = await alice.run([...words])
  const id = asked.stdout.trim()
  expect(id, asked.stderr).toMatch(/^req_/)
  return {id, seen: await approve(id)}
}

/** What bob sees when he approves it. */
async function approve(id: string): Promise<string> {
  const {status, stdout, stderr} = await bob.run(['request', 'approve', id, '--yes'])
  expect(status, stderr).toBe(0)
  return stdout + stderr
}

/** The calls of one kind that were answered from now on. */
function callsFromNow(): (action: string) => Record<string, unknown>[] {
  const before = aws.calls.length
  return action => aws.calls.slice(before).flatMap(one => (one.action === action && one.outcome === 'ok' ? [one.input] : []))
}

test('TM-X2: the task that was there when it was asked for is what is approved and run; another that takes its place needs a new approval', async () => {
  const path = join(folder, 'here.sh')
  writeFileSync(path, 'pwd\n')
  const web = aws.world.clusters[0]?.tasks.filter(({service, id}) => service === 'web' && id !== task('0')) ?? []
  const first = aws.world.clusters[0]?.tasks.find(({id}) => id === task('0'))
  if (!first) throw new Error('there is no such task')
  first.startedAt = Date.now()
  const command = ['exec', ...reason, '--nowait', 'run', path]

  const kept = await approved(...command)
  expect(kept.seen).toContain(`ecs:us-east-1/prod/web/app?definition=web:7&task=${task('0')}`)
  // a newer one would be taken by whoever asks now
  for (const one of web) one.startedAt = Date.now() + 60_000
  const calls = callsFromNow()
  const done = await alice.run(['attach', kept.id])
  expect(done.status, done.stderr).toBe(0)
  expect(calls('ExecuteCommand').map(({task: used}) => used)).toEqual([task('0')])

  for (const one of web) one.startedAt = 1
  const lost = await approved(...command)
  first.lastStatus = 'STOPPED'
  const after = callsFromNow()
  try {
    const refused = await alice.run(['attach', lost.id])
    expect(refused).toMatchObject({status: 247, stdout: ''})
    expect(refused.stderr).toMatch(
      /abcde0 is stopped; no other takes the place of what was asked for\n.*try: ask again with the same command/,
    )
    expect(after('ExecuteCommand')).toEqual([])
    // it is used up: nobody runs it elsewhere later
    expect((await alice.run(['request', 'show', lost.id, '--json'])).stdout).toContain('"done"')
    const again = await approved(...command)
    expect(again.seen).not.toContain(task('0'))
    expect((await alice.run(['attach', again.id])).status).toBe(0)
  } finally {
    first.lastStatus = 'RUNNING'
  }
})

test('TM-X2: shells and forwards that must be approved name their task too; where none runs nobody is asked', async ({onTestFinished}) => {
  const screen = await openScreen(onTestFinished, alice, ['shell', 'app', ...reason, '--nowait'], {columns: 90, rows: 24})
  expect(await screen.ended, screen.text()).toBe(245)
  const [id = ''] = /req_\w+/.exec(screen.text()) ?? []
  const forwarded = ['forward', 'app', '-L', '0:localhost:8080', ...reason, '--nowait']
  for (const seen of [await approve(id), (await approved(...forwarded)).seen])
    expect(seen).toMatch(/&task=0123456789abcdef0123456789abcde[0-9a-f]/)
  const web = aws.world.clusters[0]?.tasks.filter(({service}) => service === 'web') ?? []
  for (const one of web) one.lastStatus = 'STOPPED'
  try {
    const none = await alice.run(forwarded)
    expect(none).toMatchObject({status: 247, stdout: '', stderr: expect.stringContaining('no task of web runs')})
  } finally {
    for (const one of web) one.lastStatus = 'RUNNING'
  }
})

test('TM-X2: the instances that had the tags are what is approved and reached; one that got them later is not, one that lost them refuses it', async () => {
  const {id, seen} = await approved('exec', ...reason, '--nowait', 'asked', '-c', 'true')
  expect(seen).toContain(`ssm-command:us-east-1/${web1},${web2}?tag:Service=web`)
  const tagsOf = (wanted: string) => aws.world.instances.find(one => one.id === wanted)?.tags as Record<string, string>
  tagsOf(worker).Service = 'web'
  try {
    const calls = callsFromNow()
    expect((await alice.run(['attach', id])).status).toBe(0)
    expect(calls('SendCommand').map(({InstanceIds}) => InstanceIds)).toEqual([[web1, web2]])
  } finally {
    tagsOf(worker).Service = 'worker'
  }
  const other = await approved('exec', ...reason, '--nowait', 'asked', '-c', 'true')
  tagsOf(web2).Service = 'mail'
  try {
    const calls = callsFromNow()
    const refused = await alice.run(['attach', other.id])
    expect(refused).toMatchObject({status: 241, stderr: expect.stringContaining(`${web2} is not what the catalog says`)})
    expect(refused.stderr).toContain('no other takes the place of what was asked for')
    expect(calls('SendCommand')).toEqual([])
  } finally {
    tagsOf(web2).Service = 'web'
  }
})

test('TM-N1: a run on many instances waits for whoever holds one of them, and whoever wants one of them waits for it', async () => {
  const flag = join(folder, 'go')
  const held = await alice.start(['exec', ...reason, 'alone', '-c', `echo holds; until test -e ${flag}; do sleep 0.1; done`])
  const heldEnd = once(held, 'close')
  await once(held.stdout, 'data')
  const many = await alice.start(['exec', ...reason, 'all', '-c', 'echo all'])
  const [out, manyEnd] = [text(many.stdout), once(many, 'close')]
  let said = ''
  many.stderr.on('data', chunk => {
    said += String(chunk)
  })
  while (!said.includes('waits for')) await once(many.stderr, 'data')
  expect(said).toMatch(new RegExp(`waits for 1 other run on fleet: run_\\w+ holds aws:us-east-1/${web1}\n`))
  const behind = await alice.start(['exec', ...reason, 'alone', '-c', 'echo after'])
  const behindEnd = once(behind, 'close')
  let heard = ''
  behind.stderr.on('data', chunk => {
    heard += String(chunk)
  })
  while (!heard.includes('waits for 2 other runs')) await once(behind.stderr, 'data')
  expect(existsSync(flag)).toBe(false)
  writeFileSync(flag, '')
  for (const [end, status] of [
    [heldEnd, 0],
    [manyEnd, 0],
    [behindEnd, 0],
  ] as const)
    expect((await end)[0], said + heard).toBe(status)
  expect((await out).split('\n').filter(Boolean).sort()).toEqual([`[${web1}] all`, `[${web2}] all`])
})

test('a step of an Automation that holds its instances is approved by a run that need not wait for them', async () => {
  const started = await alice.start(['exec', ...reason, 'restart'])
  const ended = once(started, 'close')
  started.stdout.resume()
  let said = ''
  started.stderr.on('data', chunk => {
    said += String(chunk)
  })
  for (let steps = 1; steps <= 2; steps++) {
    const waiting = () => said.match(/somebody must approve [0-9a-f-]{36}/g) ?? []
    while (waiting().length < steps) await once(started.stderr, 'data')
    const execution = waiting()[0]?.slice(-36) ?? ''
    const agreed = await alice.run(['exec', ...reason, 'agree', execution])
    expect(agreed.status, agreed.stderr).toBe(0)
  }
  expect((await ended)[0], said).toBe(0)
})
