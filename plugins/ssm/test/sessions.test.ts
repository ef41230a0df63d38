/** Uses of instances against the stand-in of AWS: real agents, policies that are really asked. */
import {createHash} from 'node:crypto'
import {text} from 'node:stream/consumers'
import type {Access, Channel, Permission, Use} from '@prod/sdk'
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest'
import {type StandIn, startStandIn} from '../../../test/sessions-stand-in/stand-in.ts'
import {wayOf} from '../src/aws/call.ts'
import {openCommand} from '../src/channel/index.ts'
import {primitives} from '../src/index.ts'
import {permissions} from '../src/permissions.ts'
import {openSession, resumeSession, startSession, terminateSession} from '../src/session.ts'
import {parse} from '../src/target.ts'

const limits = {wallSeconds: 60, cpuSeconds: 60, memoryBytes: 1024 ** 3, processes: 64, fileBytes: 1024 ** 3, outputBytes: 1024 ** 3}
const exec = (...argv: string[]): Use => ({kind: 'exec', program: {path: argv[0] as string}, argv, env: {}, limits, stdin: false})
const shell: Use = {kind: 'shell', size: {columns: 80, rows: 24}, env: {}, limits}
const instance = 'us-east-1/i-0a1b2c3d4e5f60001'
const never = new AbortController().signal
const logged = {s3BucketName: 'sessions', s3EncryptionEnabled: true}
const runner = (inputs?: object, commands = '{{ command }}') => ({
  schemaVersion: '1.0',
  sessionType: 'NonInteractiveCommands',
  parameters: {command: {type: 'String'}},
  ...(inputs ? {inputs} : {}),
  properties: {linux: {commands, runAsElevated: false, separateOutputStream: true}},
})
const interactive = 'AWS-StartInteractiveCommand'
/** by which programs have a status */
const documents = ['Prod-RunCommand', interactive]
const words = ["it's", '$(id)', '`id`', '{{ssm:secret}}', '{{ command }}', 'a\nb', ' ', '', '*', '"', '\\', '#', 'ü\u{1f4a9}', '-n', "'"]
const digest = (content: object): string => createHash('sha256').update(JSON.stringify(content)).digest('hex')

const [ssm] = primitives
if (!ssm) throw new Error('no primitive')
let standIn: StandIn
let stop: (() => Promise<void>) | undefined
const before = {...process.env}

beforeAll(async () => {
  standIn = await startStandIn({
    region: 'us-east-1',
    agent: {outputDelayMs: 0, pieceDelayMs: 0, customerMessage: 'This session is encrypted.'},
    documents: [
      {name: 'Logged-Run', type: 'Session', owner: 'self', version: '1', content: runner(logged)},
      {name: 'Wrapped-Run', type: 'Session', owner: 'self', version: '1', content: runner(logged, 'sh -c "{{ command }}"')},
    ],
  })
  Object.assign(process.env, standIn.env)
})
afterAll(async () => {
  process.env = before
  await standIn.close()
})
beforeEach(async () => {
  standIn.mend()
  await stop?.()
  stop = await ssm.start?.({development: true, hide: []})
})

/** A credential that may do everything, or what a use of this target needs and no more. */
function access(needed?: readonly Permission[], id = 'run_test'): Access {
  const policy = needed && {
    Statement: needed.map(({actions, resources, conditions}) => ({
      Effect: 'Allow' as const,
      Action: actions,
      Resource: resources,
      ...(conditions ? {Condition: conditions} : {}),
    })),
  }
  const name = `alice-${Math.random().toString(36).slice(2)}`
  const {accessKeyId, secretAccessKey, sessionToken} = standIn.register({
    name,
    arn: `arn:aws:sts::111122223333:assumed-role/ops/${name}`,
    userId: `AROAEXAMPLE:${name}`,
    sessionToken: 'token',
    ...(policy ? {policy} : {}),
  })
  return {id, principal: 'x#alice', credential: {AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken}}
}

async function run(channel: Channel) {
  const [stdout, stderr, exit] = await Promise.all([text(channel.stdout), text(channel.stderr), channel.ended])
  return {stdout, stderr, exit}
}
const open = (address: string, use: Use, by: Access = access(permissions(parse(address), use))) =>
  ssm.open(parse(address), use, by, never) as Promise<Channel>
const sessionsNow = () => [...standIn.sessions.values()].filter(({state}) => state === 'Connected')

describe('exec', () => {
  test('gives output, errors and the status apart, with no more than the least permissions', async () => {
    const done = await run(await open(`${instance}?exec=Prod-RunCommand`, exec('/bin/sh', '-c', 'echo out; echo err >&2; exit 7')))
    expect(done).toEqual({stdout: 'out\n', stderr: 'err\n', exit: {status: 7}})
  })

  test.each(documents)('TM-H5: by %s arguments arrive byte for byte', async document => {
    const {stdout} = await run(await open(`${instance}?exec=${document}`, exec('/usr/bin/printf', '%s\\0', ...words)))
    expect(stdout.split('\0').slice(0, -1)).toEqual(words)
  })

  test.each(documents)('by %s the environment is built from nothing', async document => {
    const use = {...exec('/usr/bin/env'), env: {GREETING: 'a b'}} as Use
    const {stdout} = await run(await open(`${instance}?exec=${document}`, use))
    const names = stdout.split('\n').map(line => line.split('=')[0])
    expect(stdout).toContain('GREETING=a b\n')
    expect(names).toEqual(expect.arrayContaining(['PATH', 'LANG', 'TZ', 'HOME']))
    expect(names.filter(name => /^(AWS_(?!PAGER)|SSM|LD_)/.test(name ?? ''))).toEqual([])
  })

  test('a document that cannot give a status is said to be one, with what to change', async () => {
    const done = await run(await open(instance, exec('/bin/sh', '-c', 'echo out; exit 7')))
    expect(done.stdout).toBe('out\n')
    expect(done.exit).toEqual({unknown: expect.stringContaining('separateOutputStream')})
  })

  test('whoever wants input is told before anything starts, and what to use instead', async () => {
    const calls = standIn.calls.length
    await expect(open(instance, {...exec('/bin/cat'), stdin: true} as Use)).rejects.toMatchObject({
      code: 'STDIN_REFUSED',
      message: expect.stringContaining('AWS-StartNonInteractiveCommand'),
      hint: `exec=${interactive} in the address of the target`,
    })
    expect(standIn.calls.length).toBe(calls)
  })

  test('by a document that opens a terminal there are input, output and errors apart, and a status', async () => {
    const use = {...exec('/bin/sh', '-c', 'wc -c; echo err >&2; exit 7'), stdin: true} as Use
    const channel = await open(`${instance}?exec=${interactive}`, use)
    channel.stdin.end(Buffer.from([0x03, 0x1c, 0x1a, 0x04, 0x00, 0x0d, 0x0a, 0xff]))
    expect(await run(channel)).toEqual({stdout: '8\n', stderr: 'err\n', exit: {status: 7}})
    expect(sessionsNow()).toEqual([])
  })

  test('by a document that opens a terminal signals reach the program; without one SIGTERM and SIGHUP end the session, and say so', async () => {
    const waits = exec('/bin/sh', '-c', 'trap "echo $0; exit 9" TERM; echo ready; while :; do sleep 0.05; done', 'told')
    const channel = await open(`${instance}?exec=${interactive}`, waits)
    channel.stdout.once('data', () => channel.signal('SIGTERM'))
    expect(await run(channel)).toMatchObject({stdout: 'ready\ntold\n', exit: {status: 9}})

    const bare = await open(`${instance}?exec=Prod-RunCommand`, waits)
    bare.stdout.once('data', () => bare.signal('SIGTERM'))
    expect(await run(bare)).toMatchObject({exit: {unknown: expect.stringContaining('SIGTERM does not reach a program by this document')}})
    expect(standIn.calls.filter(({action}) => action === 'TerminateSession').at(-1)).toMatchObject({outcome: 'ok'})
    expect(sessionsNow()).toEqual([])
  })

  test('what could not be ended at a terminal is not started there: another account', async () => {
    const use = {...exec('/bin/true'), runAs: 'deploy'} as Use
    await expect(open(`${instance}?exec=${interactive}`, use)).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE'})
  })

  test('TM-X4: ending it ends the session by the API', async () => {
    const channel = await open(`${instance}?exec=Prod-RunCommand`, exec('/bin/sleep', '1000'))
    for (const stream of [channel.stdout, channel.stderr]) stream.resume()
    expect(sessionsNow()).toHaveLength(1)
    await channel.end('revoked')
    expect(standIn.calls.filter(({action}) => action === 'TerminateSession').at(-1)).toMatchObject({outcome: 'ok'})
    expect(sessionsNow()).toEqual([])
  })

  test('TM-X4: where the API does not answer at first, ending goes on after the channel has closed', async () => {
    const channel = await open(`${instance}?exec=Prod-RunCommand`, exec('/bin/sleep', '1000'))
    for (const stream of [channel.stdout, channel.stderr]) stream.resume()
    standIn.fail('TerminateSession', 'InternalServerError', 6, 500)
    await channel.end('revoked')
    // so long the credential of the use is kept
    await ssm.release?.('run_test')
    expect(sessionsNow()).toEqual([])
  })
})

describe('what is approved is what is used', () => {
  test('TM-X1: the credential of one use starts no other document, and touches no session of others', async () => {
    const by = access(permissions(parse(instance), exec('/bin/true')))
    const way = wayOf(by, 'us-east-1')
    const start = (document: string | undefined, instanceId = 'i-0a1b2c3d4e5f60001') =>
      startSession(way, {instanceId, document, access: by})
    for (const document of [undefined, 'AWS-StartInteractiveCommand', 'AWS-StartPortForwardingSession', 'AWS-StartSSHSession'])
      await expect(start(document)).rejects.toMatchObject({code: 'AccessDeniedException'})
    await expect(start('AWS-StartNonInteractiveCommand', 'i-0a1b2c3d4e5f60002')).rejects.toMatchObject({code: 'AccessDeniedException'})

    const other = await open(instance, shell)
    const [session] = sessionsNow()
    if (!session) throw new Error('no session')
    await expect(terminateSession(way, session.id)).rejects.toMatchObject({code: 'AccessDeniedException'})
    await expect(resumeSession(way, session.id)).rejects.toMatchObject({code: 'AccessDeniedException'})
    await other.end('over')
  })

  test('TM-X2: an instance of another account or with other tags is refused', async () => {
    const all = access()
    await expect(open(`${instance}?account=999999999999`, exec('/bin/true'), all)).rejects.toMatchObject({
      code: 'TARGET_INVALID',
      message: expect.stringContaining('111122223333'),
    })
    await expect(open(`${instance}?tag:Name=web-9`, exec('/bin/true'), all)).rejects.toMatchObject({code: 'TARGET_INVALID'})
    await expect(open(`${instance}?tag:Missing=1`, exec('/bin/true'), all)).rejects.toMatchObject({code: 'TARGET_INVALID'})
    const good = `${instance}?account=111122223333&tag:Name=web-1&exec=Prod-RunCommand`
    expect((await run(await open(good, exec('/bin/true')))).exit).toEqual({status: 0})
  })

  test('TM-X2: a tag that changes after approval refuses the next use', async () => {
    const [web] = standIn.world.instances
    if (!web) throw new Error('no instance')
    const {Name} = web.tags
    web.tags.Name = 'something-else'
    await expect(open(`${instance}?tag:Name=web-1`, shell, access())).rejects.toMatchObject({code: 'TARGET_INVALID'})
    web.tags.Name = Name as string
  })
})

describe('outside of development', () => {
  beforeEach(async () => {
    await stop?.()
    stop = await ssm.start?.({development: false, hide: []})
  })
  const pinned = `${instance}?exec=Logged-Run@${digest(runner(logged))}`

  test('TM-X3: what the account does not log is not opened', async () => {
    await expect(open(instance, shell)).rejects.toMatchObject({
      code: 'TARGET_INVALID',
      message: expect.stringContaining('logs sessions nowhere'),
    })
    await expect(open(instance, exec('/bin/true'))).rejects.toMatchObject({code: 'TARGET_INVALID'})
    expect(sessionsNow()).toEqual([])
    const channel = await open(`${instance}?logging=broker`, shell)
    await channel.end('over')
  })

  test('TM-X3: a log without encryption is none', async () => {
    const preferences = standIn.world.documents.find(({name}) => name === 'SSM-SessionManagerRunShell')
    if (!preferences) throw new Error('no preferences')
    const {content} = preferences
    preferences.content = {...content, inputs: {s3BucketName: 'sessions', s3EncryptionEnabled: false}}
    await expect(open(instance, shell)).rejects.toMatchObject({message: expect.stringContaining('without encryption')})
    preferences.content = {...content, inputs: logged}
    await (await open(instance, shell)).end('over')
    preferences.content = content
  })

  test('TM-X1: a document of the account is used as it was pinned, and one that is not pinned is not used', async () => {
    expect((await run(await open(pinned, exec('/bin/true')))).exit).toEqual({status: 0})
    await expect(open(`${instance}?exec=Logged-Run`, exec('/bin/true'))).rejects.toMatchObject({
      message: expect.stringContaining('not pinned'),
      hint: expect.stringContaining(digest(runner(logged))),
    })
  })

  test('TM-X3: a document edited to drop logging after approval is refused', async () => {
    const document = standIn.world.documents.find(({name}) => name === 'Logged-Run')
    if (!document) throw new Error('no document')
    document.content = runner()
    await expect(open(pinned, exec('/bin/true'))).rejects.toMatchObject({message: expect.stringContaining('not the pinned one')})
    await expect(open(`${instance}?exec=Logged-Run@${digest(runner())}`, exec('/bin/true'))).rejects.toMatchObject({
      message: expect.stringContaining('logs sessions nowhere'),
    })
    document.content = runner(logged)
  })

  test('TM-H5: a document that puts the command inside of other text is refused', async () => {
    const wrapped = runner(logged, 'sh -c "{{ command }}"')
    await expect(open(`${instance}?exec=Wrapped-Run@${digest(wrapped)}`, exec('/bin/true'))).rejects.toMatchObject({
      message: expect.stringContaining('other text around'),
    })
  })
})

describe('encryption', () => {
  test('TM-X3: where the account asks for it, the session has a key of its own, bound to session and instance', async () => {
    const key = 'arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab'
    const preferences = standIn.world.documents.find(({name}) => name === 'SSM-SessionManagerRunShell')
    if (!preferences) throw new Error('no preferences')
    const {content} = preferences
    preferences.content = {...content, inputs: {kmsKeyId: key}}
    const channel = await open(instance, shell)
    const heard: string[] = []
    channel.listen?.(words => heard.push(words))
    channel.stdin.end('echo sealed-$((40+2)); exit\n')
    expect(await text(channel.stdout)).toContain('sealed-42')
    expect(heard).toEqual(['the agent says "This session is encrypted."'])
    expect(standIn.calls.find(({action}) => action === 'GenerateDataKey')).toMatchObject({
      outcome: 'ok',
      input: {KeyId: key, NumberOfBytes: 64, EncryptionContext: {'aws:ssm:TargetId': 'i-0a1b2c3d4e5f60001'}},
    })
    standIn.fail('GenerateDataKey', 'AccessDeniedException')
    await expect(open(instance, shell)).rejects.toMatchObject({
      code: 'TARGET_UNREACHABLE',
      hint: expect.stringContaining('kms:GenerateDataKey'),
    })
    preferences.content = content
  })
})

describe('why not', () => {
  const failing = async (change: (one: StandIn['world']['instances'][number]) => void, address = instance) => {
    const [web] = standIn.world.instances
    if (!web) throw new Error('no instance')
    const was = {...web}
    change(web)
    const error = await open(address, shell, access()).catch((thrown: unknown) => thrown)
    Object.assign(web, was)
    return error
  }

  test('an agent that is away, an instance that is stopped, and one that is not there, are told apart', async () => {
    expect(await failing(web => Object.assign(web, {connected: false}))).toMatchObject({
      code: 'TARGET_UNREACHABLE',
      message: expect.stringContaining('has not been heard since'),
      hint: expect.stringContaining('amazon-ssm-agent'),
    })
    expect(await failing(web => Object.assign(web, {connected: false, state: 'stopped'}))).toMatchObject({
      message: 'i-0a1b2c3d4e5f60001 is stopped',
      hint: 'start the instance',
    })
    expect(await failing(() => {}, 'us-east-1/i-0a1b2c3d4e5f69999')).toMatchObject({
      message: expect.stringContaining('there is no instance'),
    })
  })

  test('a missing right is told by its name', async () => {
    const needed = permissions(parse(instance), shell)
    const without = (action: string) => access(needed.map(one => ({...one, actions: one.actions.filter(name => name !== action)})))
    await expect(open(instance, shell, without('ssm:StartSession'))).rejects.toMatchObject({
      message: expect.stringContaining('AWS does not allow ssm:StartSession'),
    })
    await expect(open(instance, shell, without('ssmmessages:OpenDataChannel'))).rejects.toMatchObject({
      hint: expect.stringContaining('ssmmessages:OpenDataChannel'),
    })
  })

  test('a document that is not there, a credential that has ended and no credential at all', async () => {
    await expect(open(`${instance}?exec=No-Such-Document`, exec('/bin/true'), access())).rejects.toMatchObject({
      message: expect.stringContaining('there is no document No-Such-Document'),
    })
    standIn.fail('StartSession', 'ExpiredTokenException', 1, 403)
    await expect(open(instance, shell)).rejects.toMatchObject({message: expect.stringContaining('does not take the credential')})
    await expect(open(instance, shell, {id: 'run_x', principal: 'x#y', credential: {}})).rejects.toMatchObject({code: 'CONFIG_INVALID'})
  })

  test('TM-X3: no failure shows where the session is reached, nor its token', async () => {
    const seen: string[] = []
    for (const code of ['AccessDeniedException', 'InternalServerError', 'TargetNotConnected']) {
      standIn.fail('StartSession', code, 10, code === 'InternalServerError' ? 500 : 400)
      seen.push(JSON.stringify(await open(instance, shell).catch((error: Error) => [error.message, error.stack, String(error.cause)])))
      standIn.mend()
    }
    expect(seen.join()).not.toMatch(/wss?:|data-channel/)
  })
})

test('a credential is renewed before it ends, for as long as the use lives', async () => {
  const first = access()
  const second = access()
  let renewed = 0
  const by: Access = {
    ...first,
    credential: {...first.credential, Expiration: new Date(Date.now() + 1000).toISOString()},
    renew: async () => {
      renewed++
      return {...second.credential, Expiration: new Date(Date.now() + 3_600_000).toISOString()}
    },
  }
  const way = wayOf(by, 'us-east-1')
  const options = await openSession({
    way,
    region: 'us-east-1',
    instanceId: 'i-0a1b2c3d4e5f60001',
    document: 'Prod-RunCommand',
    parameters: {command: ['/bin/true']},
    access: by,
    signal: never,
  })
  expect((await run(await openCommand(options))).exit).toEqual({status: 0})
  expect(renewed).toBe(1)
})
