import {createHash} from 'node:crypto'
import {once} from 'node:events'
import {mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import type {Access, Channel, Use} from '@prod/sdk'
import {serveForwarded} from '@prod/sdk/testing/forwarded-server'
import {afterAll, afterEach, beforeAll, expect, test} from 'vitest'
import {primitive} from '../src/index.ts'
import {type Here, limits, startHere} from './here.ts'

let here: Here
let stop: (() => Promise<void>) | undefined
const folder = mkdtempSync(join(tmpdir(), 'prod-ecs-'))
beforeAll(async () => {
  here = await startHere()
  stop = await primitive.start?.({development: true, hide: []})
})
afterEach(() => here.standIn.mend())
afterAll(async () => {
  await stop?.()
  await here.close()
  rmSync(folder, {recursive: true})
})

type Exec = Extract<Use, {kind: 'exec'}>
let scripts = 0
function script(content: string, more: Partial<Exec> = {}): Exec {
  const path = join(folder, `${++scripts}.sh`)
  writeFileSync(path, content)
  return {kind: 'exec', program: {path: '/bin/sh'}, argv: ['sh', path], env: {}, limits, stdin: false, ...more}
}
const shell: Use = {kind: 'shell', size: {columns: 80, rows: 24}, env: {TERM: 'xterm'}, limits}

const app = 'us-east-1/prod/web/app'
const open = (use: Use, address = app, access: Access = here.access()): Promise<Channel> =>
  primitive.open(primitive.parse(address), use, access, new AbortController().signal)
async function run(use: Use, address = app, access?: Access) {
  const channel = await open(use, address, access)
  const [stdout, stderr, exit] = await Promise.all([text(channel.stdout), text(channel.stderr), channel.ended])
  return {stdout, stderr, exit, limit: channel.limit}
}
const cluster = () => here.standIn.world.clusters.find(({name}) => name === 'prod') as Here['standIn']['world']['clusters'][number]
const bounded = (use: Use, address = app): Access => here.access(primitive.permissions(primitive.parse(address), use))

test('TM-X1: what a use says that it needs is enough for it', async () => {
  const echo = script('echo done')
  expect(await run(echo, app, bounded(echo))).toMatchObject({stdout: 'done\n', exit: {status: 0}})
  const channel = await open(shell, app, bounded(shell))
  channel.stdin.write('exit 4\n')
  channel.stdout.resume()
  expect(await channel.ended).toEqual({status: 4})
  const servers = await serveForwarded()
  const forward: Use = {kind: 'forward', to: servers.echo}
  const access = bounded(forward)
  const connection = await open(forward, app, access)
  connection.stdin.write('there and back')
  const [bytes] = await once(connection.stdout, 'data')
  expect(String(bytes)).toBe('there and back')
  await connection.end('that was it')
  await primitive.release?.(access.id)
  await servers.close()
})

test('TM-X1: and not for another container, another cluster, or a session of another kind', async () => {
  const echo = script('echo done')
  const access = bounded(echo)
  await expect(run(echo, 'us-east-1/prod/web/proxy', access)).rejects.toMatchObject({code: 'DENIED'})
  await expect(run(echo, 'us-east-1/other/web/app', access)).rejects.toMatchObject({code: expect.stringMatching(/DENIED|UNREACHABLE/)})
  await expect(open({kind: 'forward', to: {host: 'localhost', port: 1}}, app, access)).rejects.toMatchObject({code: 'DENIED'})
})

test('no region anywhere is a refusal; the credential may say it', async () => {
  const echo = script('echo done')
  const access = here.access()
  await expect(run(echo, 'prod/web/app', access)).rejects.toMatchObject({code: 'TARGET_INVALID'})
  expect(await run(echo, 'prod/web/app', {...access, credential: {...access.credential, Region: 'us-east-1'}})).toMatchObject({
    stdout: 'done\n',
  })
})

test('TM-X2: a task that runs another definition than the catalog names is refused', async () => {
  const echo = script('echo done')
  expect(await run(echo, `${app}?definition=web:7`)).toMatchObject({exit: {status: 0}})
  await expect(run(echo, `${app}?definition=web:6`)).rejects.toMatchObject({
    code: 'TARGET_INVALID',
    message: 'no task of web runs web:6, which the catalog names: now it is web:7',
  })
  await expect(run(echo, `${app}?image=sha256:${'0'.repeat(64)}`)).rejects.toMatchObject({code: 'TARGET_INVALID'})
  await expect(run(echo, `${app}?account=999999999999`)).rejects.toMatchObject({code: 'TARGET_INVALID'})
  await expect(run(echo, `${app}?task=${'f'.repeat(32)}`)).rejects.toMatchObject({code: 'TARGET_UNREACHABLE'})
})

test('TM-X2: an address that names no task leads to one, by a credential for looking alone, and then to that one or to none', async () => {
  const resolve = async (address: string): Promise<string> => {
    const target = primitive.parse(address)
    const looks = primitive.resolvePermissions?.(target)
    if (!looks) return 'named'
    return (await primitive.resolve?.(target, here.access(looks), new AbortController().signal)) ?? ''
  }
  const address = `${app}?definition=web:7&logging=broker`
  const found = await resolve(address)
  expect(found).toMatch(/^us-east-1\/prod\/web\/app\?definition=web:7&logging=broker&task=[0-9a-f]{32}$/)
  // it is the same machine, so it stands in the same line
  expect(primitive.machine?.(primitive.parse(found))).toBe(primitive.machine?.(primitive.parse(address)))
  for (const named of [found, `${app}/${'f'.repeat(32)}`, 'us-east-1/prod/*']) expect(await resolve(named)).toBe('named')
  const echo = script('echo done')
  expect(await run(echo, found, bounded(echo, found))).toMatchObject({stdout: 'done\n'})
  const [task] = cluster().tasks.filter(({id}) => found.endsWith(id))
  if (!task) throw new Error('it leads to no task')
  task.lastStatus = 'STOPPED'
  try {
    await expect(run(echo, found)).rejects.toMatchObject({code: 'TARGET_UNREACHABLE', message: expect.stringContaining(task.id)})
    expect(await resolve(address)).not.toBe(found)
  } finally {
    task.lastStatus = 'RUNNING'
  }
})

test('TM-X2: a forward stays with its container, and is not led to the one that replaced it', async () => {
  const servers = await serveForwarded()
  const access = here.access()
  const forward: Use = {kind: 'forward', to: servers.echo}
  const address = 'us-east-1/prod/web/app'
  const first = await open(forward, address, access)
  first.stdin.write('one')
  await once(first.stdout, 'readable')
  const tasks = cluster().tasks.filter(({service}) => service === 'web')
  const before = tasks.map(({lastStatus}) => lastStatus)
  const [task] = tasks
  if (!task) throw new Error('the service has no task')
  for (const each of tasks) each.lastStatus = 'STOPPED'
  cluster().tasks.push({...task, id: 'e'.repeat(32), lastStatus: 'RUNNING'})
  for (const session of here.standIn.sessions.values()) if (session.state === 'Connected') session.end()
  first.stdout.resume()
  await first.ended
  try {
    await expect(open(forward, address, access)).rejects.toMatchObject({
      code: 'TARGET_UNREACHABLE',
      message: expect.stringContaining('is stopped'),
    })
    // whoever asks anew is led there
    const other = here.access()
    const second = await open(forward, address, other)
    second.stdin.write('two')
    await once(second.stdout, 'readable')
    await second.end('that was it')
    await primitive.release?.(other.id)
  } finally {
    cluster().tasks.pop()
    for (const [at, each] of tasks.entries()) each.lastStatus = before[at] as string
  }
  await primitive.release?.(access.id)
  await servers.close()
})

test('the preflight says what keeps people out of a service, and what mends it', async () => {
  await expect(run(script('echo'), 'us-east-1/prod/batch')).rejects.toMatchObject({
    code: 'TARGET_UNREACHABLE',
    message: 'the service batch has execute-command not enabled; the task definition batch:3 has no task role',
    hint: expect.stringContaining('--enable-execute-command --force-new-deployment'),
  })
  await expect(run(script('echo'), 'us-east-1/prod/nothing')).rejects.toMatchObject({message: 'prod has no service nothing'})
  await expect(run(script('echo'), 'us-east-1/nowhere/web')).rejects.toMatchObject({
    message: 'there is no cluster nowhere in us-east-1 of this account',
  })
  await expect(run(script('echo'), 'us-east-1/prod/web/nobody')).rejects.toMatchObject({
    message: expect.stringContaining('has no container nobody: app'),
  })
})

test('TM-X3: outside of development a cluster that does not log ECS Exec is refused, unless the catalog says that the broker does', async () => {
  await stop?.()
  stop = undefined
  const echo = script('echo done')
  await expect(run(echo)).rejects.toMatchObject({code: 'TARGET_INVALID', message: expect.stringContaining('that is not awslogs')})
  cluster().logging = 'NONE'
  await expect(run(echo)).rejects.toMatchObject({message: 'prod does not log ECS Exec, so nothing was opened'})
  delete cluster().logging
  expect(await run(echo, `${app}?logging=broker`)).toMatchObject({exit: {status: 0}})
  stop = await primitive.start?.({development: true, hide: []})
})

test('TM-X3, TM-X5: nor does a program run by a document that logs nowhere, nor with a variable that is more than one word', async () => {
  const add = (name: string, inputs: object): string => {
    const content = {
      schemaVersion: '1.0',
      sessionType: 'NonInteractiveCommands',
      parameters: {command: {type: 'String'}},
      inputs,
      properties: {linux: {commands: '{{ command }}', runAsElevated: true, separateOutputStream: true}},
    }
    here.standIn.world.documents.unshift({name, type: 'Session', owner: 'self', version: '1', content})
    return `${app}?exec=${name}@${createHash('sha256').update(JSON.stringify(content)).digest('hex')}`
  }
  const silent = add('Silent-Run', {})
  const logged = add('Own-Run', {cloudWatchLogGroupName: 'ssm', cloudWatchEncryptionEnabled: true})
  const echo = script('echo done')
  const spoiled = {...echo, env: {A: 'x /bin/other'}}
  await expect(run(spoiled, logged)).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE'})
  await stop?.()
  stop = undefined
  await expect(run(echo, silent)).rejects.toMatchObject({code: 'TARGET_INVALID', message: expect.stringContaining('logs sessions nowhere')})
  expect(await run(echo, logged)).toMatchObject({stdout: 'done\n'})
  expect(await run(echo, `${silent}&logging=broker`)).toMatchObject({stdout: 'done\n'})
  stop = await primitive.start?.({development: true, hide: []})
})

test('TM-X3: a log of its own must be named, and encrypted', async () => {
  await stop?.()
  stop = undefined
  const echo = script('echo done')
  const own = cluster()
  const logged = (logConfiguration: Record<string, unknown>): Promise<unknown> => {
    Object.assign(own, {logging: 'OVERRIDE', logConfiguration})
    return run(echo, app, bounded(echo)).then(({exit}) => exit)
  }
  try {
    await expect(logged({})).rejects.toMatchObject({message: 'prod names no place for the logs of ECS Exec, so nothing was opened'})
    for (const open of [
      {cloudWatchLogGroupName: '/exec'},
      {s3BucketName: 'exec', s3EncryptionEnabled: false},
      {cloudWatchLogGroupName: '/exec', cloudWatchEncryptionEnabled: true, s3BucketName: 'exec'},
    ])
      await expect(logged(open)).rejects.toMatchObject({message: 'prod logs ECS Exec without encryption, so nothing was opened'})
    expect(await logged({cloudWatchLogGroupName: '/exec', cloudWatchEncryptionEnabled: true})).toEqual({status: 0})
    expect(await logged({s3BucketName: 'exec', s3EncryptionEnabled: true})).toEqual({status: 0})
    Object.assign(own, {logging: 'DEFAULT', logConfiguration: undefined})
    Object.assign(own.definitions['web:7'] ?? {}, {logDriver: 'awslogs'})
    expect(await run(echo, app, bounded(echo))).toMatchObject({exit: {status: 0}})
  } finally {
    for (const key of ['logging', 'logConfiguration'] as const) delete own[key]
    delete own.definitions['web:7']?.logDriver
    stop = await primitive.start?.({development: true, hide: []})
  }
})

test('TM-X1: a program by a session document has its own status and streams, by leave for that document and this cluster alone', async () => {
  const failing = script('echo out; echo err >&2; exit 3')
  const byDocument = `${app}?exec=Prod-RunCommand`
  const access = bounded(failing, byDocument)
  expect(await run(failing, byDocument, access)).toMatchObject({stdout: 'out\n', stderr: 'err\n', exit: {status: 3}})
  await expect(run(failing, app, access)).rejects.toMatchObject({code: 'DENIED'})
  await expect(run(failing, `${app}?exec=AWS-StartNonInteractiveCommand`, access)).rejects.toMatchObject({code: 'DENIED'})
  expect(await run(failing, `${app}?exec=AWS-StartNonInteractiveCommand`)).toMatchObject({
    exit: {unknown: expect.stringContaining('separateOutputStream')},
  })
  await expect(run({...failing, stdin: true}, byDocument)).rejects.toMatchObject({code: 'STDIN_REFUSED'})
  await expect(run(failing, `${app}?exec=AWS-StartInteractiveCommand`)).rejects.toMatchObject({code: 'TARGET_INVALID'})
  const named = script('printenv NAME', {env: {NAME: 'value'}})
  expect(await run(named, byDocument)).toMatchObject({stdout: 'value\n'})
})

test('TM-X3: the document is the pinned one and logs what it opens; without either, in development alone', async () => {
  const echo = script('echo done')
  const address = (name: string, sha256 = '', more = ''): string => `${app}?exec=${name}${sha256 && `@${sha256}`}${more}`
  const outcome = (where: string) =>
    run(echo, where, bounded(echo, where)).then(
      ({exit}) => exit,
      ({message}: Error) => message,
    )
  const digestOf = async (name: string): Promise<string> =>
    /SHA-256 is (\w{64})/.exec(String(await outcome(address(name, '0'.repeat(64)))))?.[1] ?? ''
  const {documents} = here.standIn.world
  const plain = documents.find(({name}) => name === 'Prod-RunCommand') as (typeof documents)[0]
  const inputs = {cloudWatchLogGroupName: '/sessions', cloudWatchEncryptionEnabled: true}
  documents.push({...plain, name: 'Prod-Logged', content: {...plain.content, inputs}})
  const [unlogged, logged] = [await digestOf('Prod-RunCommand'), await digestOf('Prod-Logged')]
  await stop?.()
  stop = undefined
  try {
    expect(await outcome(address('Prod-Logged'))).toContain('is not pinned')
    expect(await outcome(address('Prod-RunCommand', unlogged))).toBe('Prod-RunCommand logs sessions nowhere, so nothing was opened')
    expect(await outcome(address('AWS-StartNonInteractiveCommand'))).toBe(
      'SSM-SessionManagerRunShell logs sessions nowhere, so nothing was opened',
    )
    expect(await outcome(address('Prod-Logged', logged))).toEqual({status: 0})
    expect(await outcome(address('Prod-RunCommand', unlogged, '&logging=broker'))).toEqual({status: 0})
  } finally {
    documents.pop()
    stop = await primitive.start?.({development: true, hide: []})
  }
})

test('a program that writes to the terminal itself has no status that could be believed', async () => {
  expect(await run(script('echo fine; echo "x 0 0" >/dev/tty; exit 0'))).toMatchObject({
    exit: {unknown: expect.stringContaining('something else wrote')},
  })
})

test('a program whose session breaks has no status', async () => {
  const {exit} = await run(script('kill -KILL $(ps -o sid= $$)'))
  expect(exit).toEqual({unknown: expect.any(String)})
})

test('time that is over ends all of it, and says so', async () => {
  const started = script('sleep 1000', {limits: {...limits, wallSeconds: 1}})
  expect(await run(started)).toMatchObject({exit: {status: 137}, limit: 'wall'})
})

test('a container without the tools that carry output is told, not guessed at', async () => {
  const {agent} = here.standIn.world
  const {environment} = agent
  agent.environment = {PATH: folder}
  try {
    await expect(run(script('echo'))).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE', message: expect.stringContaining('stty, base64')})
  } finally {
    agent.environment = environment
  }
})

test('encrypted by a key of the cluster, where it has one', async () => {
  cluster().kmsKeyId = 'arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555'
  const echo = script('echo sealed; exit 3')
  try {
    expect(await run(echo, app, bounded(echo))).toMatchObject({stdout: 'sealed\n', exit: {status: 3}})
  } finally {
    delete cluster().kmsKeyId
  }
})

test('an account that is not root, a digest of the program: what cannot be held to is refused', async () => {
  await expect(run(script('echo', {runAs: 'app'}))).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE'})
  await expect(run(script('echo', {program: {path: '/bin/sh', sha256: 'a'.repeat(64)}}))).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE'})
})

test('finds what a star stands for, and without one every container of the region', async () => {
  const access = here.access()
  const find = async (query: string, within?: string) => {
    const found: string[] = []
    const where = within === undefined ? {} : {within: primitive.parse(within)}
    const regional = {...access, credential: {...access.credential, Region: 'us-east-1'}}
    for await (const {address} of primitive.discover?.({text: query, ...where}, regional) ?? []) found.push(address)
    return found.sort()
  }
  expect(await find('web')).toEqual(['ecs:us-east-1/prod/web/app', 'ecs:us-east-1/prod/web/proxy'])
  expect(await find('PROD job')).toEqual(['ecs:us-east-1/prod/batch/job'])
  expect(await find('', 'us-east-1/prod/*?logging=broker')).toEqual(
    ['batch/job', 'web/app', 'web/proxy'].map(name => `ecs:us-east-1/prod/${name}?logging=broker`),
  )
  expect(await find('prod web', 'us-east-1/*')).toEqual(['ecs:us-east-1/prod/web/app', 'ecs:us-east-1/prod/web/proxy'])
  expect(await find('app', 'us-east-1/prod/web/*')).toEqual(['ecs:us-east-1/prod/web/app'])
  const tasks = [0, 1].map(at => `0123456789abcdef0123456789abcde${at}`)
  expect(await find('', 'us-east-1/prod/web/app/*?definition=web:7')).toEqual(
    tasks.map(task => `ecs:us-east-1/prod/web/app/${task}?definition=web:7`),
  )
  expect(await find('abcde0', 'us-east-1/prod/web/proxy/*')).toEqual([`ecs:us-east-1/prod/web/proxy/${tasks[0]}`])
  expect(await find('nothing of this')).toEqual([])
  for (const many of ['*', 'prod/*', 'prod/web/*', 'prod/web/app/*'])
    await expect(open(shell, `us-east-1/${many}`)).rejects.toMatchObject({code: 'TARGET_INVALID'})
})

test('several tasks with a container are told, so that one may be chosen; then it is that one, and no other', async () => {
  const inside: Record<string, unknown> = {}
  for await (const one of primitive.discover?.({text: '', within: primitive.parse('us-east-1/prod/*')}, here.access()) ?? [])
    inside[one.name] = one.inside
  expect(inside).toEqual({'batch/job': undefined, 'web/app': {what: 'task', otherwise: 'the newest healthy one'}, 'web/proxy': undefined})
  const where = script('pwd')
  for (const at of [0, 1]) {
    const address = `us-east-1/prod/web/app/0123456789abcdef0123456789abcde${at}`
    expect(await run(where, address, bounded(where, address))).toMatchObject({stdout: expect.stringContaining(`abcde${at}-app\n`)})
  }
  const [one, other] = [0, 1].map(at => `us-east-1/prod/web/app/0123456789abcdef0123456789abcde${at}`) as [string, string]
  await expect(run(where, other, bounded(where, one))).rejects.toMatchObject({code: 'DENIED'})
})

test('the prompt of a shell says where it is, whatever the image has as start-up files', async () => {
  const prompt: Use = {...shell, env: {TERM: 'xterm', PS1: '[prod \u00fcber %41] \\u\\$ '}} as Use
  const read = async (): Promise<string> => {
    const channel = await open(prompt)
    channel.stdin.write('exit\n')
    return text(channel.stdout)
  }
  expect(await read()).toMatch(/\[prod \u00fcber %41\] \w+[#$] /)
  const {agent} = here.standIn.world
  const {environment} = agent
  const bin = mkdtempSync(join(folder, 'bin-'))
  for (const tool of ['env', 'grep', 'cat', 'sh']) symlinkSync(`/bin/${tool}`, join(bin, tool))
  agent.environment = {PATH: bin}
  try {
    expect(await read()).toContain('[prod \u00fcber %41] # ')
  } finally {
    agent.environment = environment
  }
})

test('no end of a program is left to its reader: it ends when what it started is gone', async () => {
  const channel = await open(script('sleep 1000 & echo started'))
  await once(channel.stdout, 'readable')
  channel.stdout.resume()
  channel.stderr.resume()
  expect(await channel.ended).toEqual({status: 0})
})
