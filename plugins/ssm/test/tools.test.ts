/** Run Command and Automation against the stand-in of AWS, which really runs what it is sent. */
import {createHash} from 'node:crypto'
import {once} from 'node:events'
import {text} from 'node:stream/consumers'
import type {Access, Channel, Permission, Primitive, Use} from '@prod/sdk'
import fc from 'fast-check'
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest'
import {type StandIn, startStandIn} from '../../../test/sessions-stand-in/stand-in.ts'
import {someInstances} from '../../../test/sessions-stand-in/world.ts'
import {exitOf} from '../src/command/open.ts'
import {primitives} from '../src/index.ts'
import {parametersOf} from '../src/parameters.ts'

const limits = {wallSeconds: 60, cpuSeconds: 60, memoryBytes: 1024 ** 3, processes: 64, fileBytes: 1024 ** 3, outputBytes: 1024 ** 3}
const use = (path: string, ...rest: string[]): Use => ({
  kind: 'exec',
  program: {path},
  argv: [path.split('/').at(-1) as string, ...rest],
  env: {},
  limits,
  stdin: false,
})
const sh = (script: string): Use => use('/bin/sh', '-c', script)
const [web1, web2, worker] = ['i-0a1b2c3d4e5f60001', 'i-0a1b2c3d4e5f60002', 'i-0a1b2c3d4e5f60003']

const restart = {
  schemaVersion: '0.3',
  parameters: {Unit: {type: 'String'}, InstanceId: {type: 'String'}, AutomationAssumeRole: {type: 'String', default: ''}},
  outputs: ['say.Output'],
  mainSteps: [
    {name: 'ask', action: 'aws:approve', inputs: {Approvers: ['arn:aws:iam::111122223333:role/leads'], Message: 'restart?'}},
    {
      name: 'say',
      action: 'aws:runCommand',
      inputs: {
        DocumentName: 'AWS-RunShellScript',
        InstanceIds: ['{{ InstanceId }}'],
        Parameters: {commands: ['echo restarted {{ Unit }}']},
      },
    },
  ],
}
const restartOne = {
  schemaVersion: '0.3',
  parameters: {InstanceId: {type: 'String'}},
  mainSteps: [
    {
      name: 'say',
      action: 'aws:runCommand',
      inputs: {DocumentName: 'AWS-RunShellScript', InstanceIds: ['{{ InstanceId }}'], Parameters: {commands: ['true']}},
    },
  ],
}
const nap = {schemaVersion: '0.3', mainSteps: [{name: 'nap', action: 'aws:sleep', inputs: {Duration: 'PT1H'}}]}
const broken = {
  schemaVersion: '0.3',
  mainSteps: [
    {
      name: 'try',
      action: 'aws:runCommand',
      inputs: {DocumentName: 'AWS-RunShellScript', InstanceIds: [web1], Parameters: {commands: ['exit 3']}},
    },
  ],
}

/** more than one command takes */
const bulk = Array.from({length: 52}, (_, at) => ({
  id: `i-0a1b2c3d4e5b00${String(at).padStart(2, '0')}0`,
  name: `bulk-${at}`,
  tags: {Role: 'bulk'},
}))

const [ssm, command, automation] = primitives
let standIn: StandIn
let stop: (() => Promise<void>) | undefined
const before = {...process.env}

beforeAll(async () => {
  standIn = await startStandIn({
    region: 'us-east-1',
    instances: [...someInstances(), ...bulk],
    documents: Object.entries({'Restart-Unit': restart, 'Restart-One': restartOne, Nap: nap, Broken: broken}).map(([name, content]) => ({
      name,
      type: 'Automation' as const,
      owner: 'self',
      version: '1',
      content,
    })),
  })
  Object.assign(process.env, standIn.env)
  stop = await ssm?.start?.({development: true, hide: []})
})
afterAll(async () => {
  await stop?.()
  process.env = before
  await standIn.close()
})
beforeEach(() => standIn.mend())

/** A credential that may do what is needed, and no more. */
function access(needed: readonly Permission[]): Access {
  const {accessKeyId, secretAccessKey, sessionToken} = standIn.register({
    name: 'alice',
    sessionToken: 'token',
    policy: {
      Statement: needed.map(({actions, resources, conditions}) => ({
        Effect: 'Allow' as const,
        Action: actions,
        Resource: resources,
        ...(conditions ? {Condition: conditions} : {}),
      })),
    },
  })
  return {
    id: 'run_test',
    principal: 'x#alice',
    credential: {AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken},
  }
}

function open(primitive: Primitive | undefined, address: string, what: Use): Promise<Channel> {
  if (!primitive) throw new Error('no primitive')
  const target = primitive.parse(address)
  return primitive.open(target, what, access(primitive.permissions(target, what)), new AbortController().signal)
}

/** Where an address leads now, by a credential for looking alone. */
async function resolve(primitive: Primitive | undefined, address: string): Promise<string> {
  const target = primitive?.parse(address)
  const looks = primitive?.resolvePermissions?.(target)
  return looks ? ((await primitive?.resolve?.(target, access(looks), new AbortController().signal)) ?? '') : 'named'
}

async function run(channel: Channel) {
  const [stdout, stderr, exit] = await Promise.all([text(channel.stdout), text(channel.stderr), channel.ended])
  return {stdout, stderr, exit}
}

/** Reads on until it has seen this. */
async function until(channel: Channel, pattern: RegExp): Promise<string> {
  let seen = ''
  channel.stderr.on('data', chunk => {
    seen += String(chunk)
  })
  while (!pattern.test(seen)) await once(channel.stderr, 'data')
  return seen
}

describe('Run Command', () => {
  test('on one instance: output, errors and status as if it were here', async () => {
    const done = await run(await open(command, `us-east-1/${web1}`, sh('echo out; echo err >&2; exit 7')))
    expect(done).toEqual({stdout: 'out\n', stderr: expect.stringMatching(/^err\n/), exit: {status: 7}})
  })

  test('TM-H5: arguments arrive byte for byte', async () => {
    const words = ["it's", '$(id)', '{{ssm:secret}}', 'a\nb', '', '*', '\\', '#']
    const {stdout} = await run(await open(command, `us-east-1/${web1}`, use('/usr/bin/printf', '[%s]', ...words)))
    expect(stdout).toBe(words.map(word => `[${word}]`).join(''))
  })

  test('on several: the output of each under its name, a table that grows, and the highest status', async () => {
    const address = `us-east-1/${web1},${web2},${worker}?concurrency=3&errors=3`
    const done = await run(await open(command, address, sh('echo one; echo two; case $PWD in *0002) exit 4;; *) exit 0;; esac')))
    for (const id of [web1, web2, worker]) expect(done.stdout).toContain(`[${id}] one\n[${id}] two\n`)
    expect(done.stderr).toMatch(/^command [0-9a-f-]{36} on 3 instances\n/)
    expect(done.stderr).toMatch(new RegExp(`3/3  ${web1}|3/3  ${web2}|3/3  ${worker}`))
    expect(done.stderr).toContain('2 succeeded, 1 did not\n')
    expect(done.exit).toEqual({status: 4})
  })

  test('rate controls are AWS’s own: with one failure too many no further instance begins', async () => {
    const done = await run(await open(command, `us-east-1/${web1},${web2},${worker}?concurrency=1&errors=0`, sh('exit 5')))
    expect(standIn.calls.findLast(({action}) => action === 'SendCommand')?.input).toMatchObject({MaxConcurrency: '1', MaxErrors: '0'})
    expect(done.exit).toEqual({status: 5})
    expect(done.stderr).toContain('0 succeeded, 1 did not, 2 never began\n')
  })

  test('TM-X2: by tags, on as many instances as the target takes and on none besides', async () => {
    const done = await run(await open(command, 'us-east-1/*?tag:Service=web&tag:Environment=production', sh('echo here')))
    expect(done.stdout.split('\n').filter(Boolean).sort()).toEqual([`[${web1}] here`, `[${web2}] here`])
    expect(done.exit).toEqual({status: 0})
    const calls = standIn.calls.length
    await expect(open(command, 'us-east-1/*?tag:Environment=production&most=2', sh('true'))).rejects.toMatchObject({code: 'LIMIT_REACHED'})
    await expect(open(command, `us-east-1/${worker}?tag:Service=web`, sh('true'))).rejects.toMatchObject({code: 'TARGET_INVALID'})
    expect(standIn.calls.slice(calls).map(({action}) => action)).not.toContain('SendCommand')
  })

  test('TM-X2: tags lead to instances, and the address that names them to those alone, with the same pins', async () => {
    const address = 'us-east-1/*?tag:Service=web&tag:Environment=production&concurrency=1&errors=2&most=7'
    const found = await resolve(command, address)
    expect(found).toBe(`us-east-1/${web1},${web2}?tag:Service=web&tag:Environment=production&concurrency=1&errors=2&most=7`)
    expect(command?.machine?.(command.parse(found))).toEqual([`aws:us-east-1/${web1}`, `aws:us-east-1/${web2}`])
    expect(command?.machine?.(command.parse(address))).toBeUndefined()
    expect(await resolve(command, found)).toBe('named')
    await expect(resolve(command, 'us-east-1/*?tag:Service=nothing')).rejects.toMatchObject({code: 'TARGET_UNREACHABLE'})
    await expect(resolve(command, 'us-east-1/*?tag:Environment=production&most=2')).rejects.toMatchObject({code: 'LIMIT_REACHED'})
  })

  test('on more than AWS takes in one command: one after the other, by their ids, with the same bounds for all of them', async () => {
    const address = await resolve(command, 'us-east-1/*?tag:Role=bulk&concurrency=100%&errors=3&most=99')
    const sent = () => standIn.calls.filter(({action, outcome}) => action === 'SendCommand' && outcome === 'ok').map(({input}) => input)
    let before = sent().length
    const done = await run(await open(command, address, sh('case $PWD in *b00000) exit 3;; esac')))
    expect(done.exit).toEqual({status: 3})
    expect(done.stderr).toContain('51/52')
    expect(done.stderr).toMatch(/51 succeeded, 1 did not\n$/)
    expect(sent().slice(before)).toMatchObject([
      {MaxConcurrency: '52', MaxErrors: '3'},
      {MaxConcurrency: '52', MaxErrors: '2'},
    ])
    expect(
      sent()
        .slice(before)
        .flatMap(({InstanceIds}) => InstanceIds),
    ).toEqual(bulk.map(({id}) => id))
    before = sent().length
    const failed = await run(await open(command, address, sh('exit 4')))
    expect(failed.exit).toEqual({status: 4})
    expect(failed.stderr).toMatch(/0 succeeded, \d+ did not, \d+ never began\n$/)
    expect(sent().slice(before)).toHaveLength(1)
  })

  test('Ctrl-C cancels it, and the outcome of what was cancelled is not made up', async () => {
    const channel = await open(command, `us-east-1/${web1}`, sh('sleep 1000'))
    await expect
      .poll(() => standIn.calls.some(({action, outcome}) => action === 'GetCommandInvocation' && outcome === 'ok'), {timeout: 60_000})
      .toBe(true)
    channel.signal('SIGINT')
    const {exit} = await run(channel)
    expect(standIn.calls.findLast(({action}) => action === 'CancelCommand')?.outcome).toBe('ok')
    expect(exit).toEqual({unknown: expect.stringContaining('Cancelled')})
  })

  test('ending it cancels it too, and may be asked for twice', async () => {
    const channel = await open(command, `us-east-1/${web1}`, sh('sleep 1000'))
    for (const stream of [channel.stdout, channel.stderr]) stream.resume()
    const [first, second] = await Promise.all([channel.end('revoked'), channel.end('revoked')])
    expect(first).toEqual({unknown: expect.any(String)})
    expect(second).toEqual(first)
  })

  test('the status of many: what nobody knows is not a number', () => {
    const one = (Status: string, ResponseCode = -1) => ({InstanceId: 'i-1', Status, ResponseCode})
    expect(exitOf([one('Success', 0)], 0)).toEqual({status: 0})
    expect(exitOf([one('Success', 0), one('Failed', 3), one('Failed', 300)], 0)).toEqual({status: 255})
    expect(exitOf([one('Success', 0), one('TimedOut')], 0)).toEqual({unknown: 'i-1: TimedOut'})
    expect(exitOf([one('Failed', 3), one('Terminated')], 0)).toEqual({status: 3})
    expect(exitOf([one('Success', 0), one('Undeliverable')], 0)).toEqual({unknown: '1 of 2 instances never began: Undeliverable'})
    expect(exitOf([one('Success', 0)], 2)).toEqual({unknown: '2 of 3 instances never began'})
  })

  test.each([
    'us-east-1/*',
    'us-east-1/i-1',
    `us-east-1/${web1},${web1}`,
    'us-east-1/*?tag:a=b&concurrency=0',
    'us-east-1/*?tag:a=b&errors=-1',
    'us-east-1/*?tag:a=b&most=0',
    `us-east-1/${web1}?x=y`,
    'us-east-1/all',
  ])('refuses the target %j', address => expect(() => command?.parse(address)).toThrow(expect.objectContaining({code: 'TARGET_INVALID'})))
})

describe('Automation', () => {
  const unit = 'us-east-1/Restart-Unit'

  test('is followed step by step, waits for approval, and puts out what it gives', async () => {
    const channel = await open(automation, unit, use('/automation/start', '--Unit', 'web.service', `--InstanceId=${web1}`))
    const seen = await until(channel, /somebody must approve ([0-9a-f-]{36})/)
    const [, id = ''] = /somebody must approve ([0-9a-f-]{36})/.exec(seen) ?? []
    const approved = await run(await open(automation, unit, use('/automation/approve', id)))
    expect(approved).toEqual({stdout: '', stderr: `approved ${id}\n`, exit: {status: 0}})
    const [stdout, exit] = await Promise.all([text(channel.stdout), channel.ended])
    expect(JSON.parse(stdout)).toEqual({'say.Output': ['restarted web.service\n']})
    expect(exit).toEqual({status: 0})
    const again = await run(await open(automation, unit, use('/automation/follow', id)))
    expect(again.exit).toEqual({status: 0})
    await expect(open(automation, unit, use('/automation/approve', id))).rejects.toMatchObject({code: 'ALREADY_DECIDED'})
    await expect(open(automation, 'us-east-1/Nap', use('/automation/follow', id))).rejects.toMatchObject({code: 'TARGET_INVALID'})
  })

  test('one that is rejected has failed, and says so', async () => {
    const channel = await open(automation, unit, use('/automation/start', '--Unit', 'web.service', '--InstanceId', web1 as string))
    const [, id = ''] = /somebody must approve ([0-9a-f-]{36})/.exec(await until(channel, /somebody must approve [0-9a-f-]{36}/)) ?? []
    await run(await open(automation, unit, use('/automation/reject', id)))
    const [, exit] = await Promise.all([text(channel.stdout), channel.ended])
    expect(exit).toEqual({status: 1})
  })

  test('a step that fails is told by its name', async () => {
    const {stderr, exit} = await run(await open(automation, 'us-east-1/Broken', use('/automation/start')))
    expect(stderr).toMatch(/try +aws:runCommand +Failed/)
    expect(exit).toEqual({status: 1})
  })

  test('Ctrl-C cancels it', async () => {
    const channel = await open(automation, 'us-east-1/Nap', use('/automation/start'))
    await until(channel, /nap/)
    channel.signal('SIGINT')
    channel.stdout.resume()
    expect(await channel.ended).toEqual({signal: 'SIGINT'})
  })

  test('TM-X2: over the instances with a tag: those that it leads to are named, and another, or one without the tag, is none of them', async () => {
    const address = 'us-east-1/Restart-One?over=InstanceId&tag:Service=web'
    const named = await resolve(automation, address)
    expect(named).toBe(`${address}&on=${web1},${web2}`)
    expect(await resolve(automation, named)).toBe('named')
    expect(automation?.machine?.(automation.parse(named), '/automation/start')).toEqual([`aws:us-east-1/${web1}`, `aws:us-east-1/${web2}`])
    // who approves a step stands in no line behind the run that waits for it
    expect(automation?.machine?.(automation.parse(named), '/automation/approve')).toEqual([])
    const done = await run(await open(automation, named, use('/automation/start')))
    expect(done.exit, done.stderr).toEqual({status: 0})
    expect(standIn.calls.findLast(({action}) => action === 'StartAutomationExecution')?.input).toMatchObject({
      TargetParameterName: 'InstanceId',
      Targets: [{Key: 'ParameterValues', Values: [web1, web2]}],
    })
    await expect(open(automation, `${address}&on=${worker}`, use('/automation/start'))).rejects.toMatchObject({code: 'TARGET_INVALID'})
  })

  test('TM-X1: what follows may not start, and what starts may not approve', () => {
    const target = automation?.parse(unit)
    const actions = (act: string) => automation?.permissions(target, use(`/automation/${act}`)).flatMap(one => one.actions)
    expect(actions('start')).not.toContain('ssm:SendAutomationSignal')
    expect(actions('approve')).not.toContain('ssm:StartAutomationExecution')
    expect(actions('follow')).toEqual(['ssm:GetAutomationExecution'])
  })

  test('a document that was edited since it was pinned is not started', async () => {
    const digest = createHash('sha256').update(JSON.stringify(nap)).digest('hex')
    await expect(open(automation, `us-east-1/Nap@${'0'.repeat(64)}`, use('/automation/start'))).rejects.toMatchObject({
      message: expect.stringContaining(digest),
    })
    const channel = await open(automation, `us-east-1/Nap@${digest}`, use('/automation/start'))
    for (const stream of [channel.stdout, channel.stderr]) stream.resume()
    await channel.end('over')
  })

  test.each([
    'us-east-1',
    'us-east-1/',
    'us-east-1/Doc?tag:a=b',
    'us-east-1/Doc?over=InstanceId',
    'us-east-1/Doc?on=i-0a1b2c3d4e5f60001',
    'us-east-1/Doc?over=InstanceId&tag:a=b&on=web',
    'us-east-1/Doc?assume=x',
    'us-east-1/a b',
  ])('refuses the target %j', address =>
    expect(() => automation?.parse(address)).toThrow(expect.objectContaining({code: 'TARGET_INVALID'})),
  )
})

test('TM-H4: no value names another one that Systems Manager would put in its place', () => {
  for (const value of ['{{ssm:/prod/password}}', '{{ ssm-secure:key }}', 'x{{global:DATE}}y', '{{ InstanceId }}', '{{{', '{{'])
    for (const words of [['--Value', value], [`--Value=${value}`], ['--A', 'b', '--Value', value]])
      expect(() => parametersOf(['t', ...words])).toThrow(expect.objectContaining({code: 'ARGV_INVALID', position: words.length}))
  expect(parametersOf(['t', '--Value', '{"a":{"b":1}}'])).toEqual({Value: ['{"a":{"b":1}}']})
})

test('parameters are read from words, whatever their values hold', () => {
  expect(parametersOf(['tool', '--A', 'x', '--B=y=z', '--A', '--C'])).toEqual({A: ['x', '--C'], B: ['y=z']})
  for (const bad of [
    ['t', 'x'],
    ['t', '--A'],
    ['t', '-a', 'b'],
    ['t', '--', 'b'],
  ])
    expect(() => parametersOf(bad)).toThrow(expect.objectContaining({code: 'ARGV_INVALID'}))
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.constantFrom('A', 'B', '__proto__x', 'constructor'),
          fc.string().filter(value => !value.includes('{{')),
        ),
      ),
      pairs => {
        const good = pairs.filter(([name]) => /^[A-Za-z]/.test(name))
        const read = parametersOf(['t', ...good.flatMap(([name, value]) => [`--${name}`, value])])
        for (const name of new Set(good.map(([one]) => one)))
          expect(Object.getOwnPropertyDescriptor(read, name)?.value).toEqual(good.filter(([one]) => one === name).map(([, value]) => value))
      },
    ),
  )
})
