/** Instances of AWS through the built CLI and a real broker: the way in is the stand-in of AWS, by roles that the broker mints. */
import {spawn} from 'node:child_process'
import {createHash, randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:http'
import {type AddressInfo, connect, createServer as createTcpServer, type Socket} from 'node:net'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type StandIn, startStandIn} from '../sessions-stand-in/stand-in.ts'
import {someInstances} from '../sessions-stand-in/world.ts'
import {cli, collect, type RealBroker, type RealPerson, startRealBroker} from './broker.ts'
import {openScreen} from './screen.ts'

const ends: (() => Promise<void> | void)[] = []
let aws: StandIn
let broker: RealBroker
let alice: RealPerson
/** what the broker wrote to stderr */
let alarms = ''

const target = (name: string, address: string) => `kind: Target
name: ${name}
address: ${address}
environment: production
role: operator
labels: { fleet: web }
`
const tool = (name: string, run: string, more: string) => `kind: Tool
name: ${name}
summary: a tool of the test
${more}
class: read
run: ${run}
`
const files: Record<string, string> = {
  'catalog/roles/operator.yaml': `kind: Role
name: operator
summary: sessions on instances
provider: aws-sts
parameters: { account: '111122223333', role: operator, regions: [us-east-1] }
class: change
maxSeconds: 3600
`,
  'catalog/targets/web-1.yaml':
    target('web-1', 'ssm:us-east-1/i-0a1b2c3d4e5f60001?exec=Prod-RunCommand&tag:Name=web-1') +
    'forwards: [{ host: localhost, ports: ["1024-65535"] }]\n',
  'catalog/targets/typed.yaml': target('typed', 'ssm:us-east-1/i-0a1b2c3d4e5f60004?exec=AWS-StartInteractiveCommand'),
  'catalog/targets/plain.yaml': target('plain', 'ssm:us-east-1/i-0a1b2c3d4e5f60004'),
  'catalog/targets/web.yaml': target('web', 'ssm:us-east-1/*?tag:Service=web&exec=Prod-RunCommand'),
  'catalog/targets/fleet.yaml': target('fleet', 'ssm-command:us-east-1/*?tag:Service=web'),
  'catalog/targets/naps.yaml': target('naps', 'ssm-automation:us-east-1/Say'),
  'catalog/tools/script.yaml': tool(
    'script',
    '{ primitive: ssm, targets: [web-1, typed, plain, web] }',
    `program: /bin/sh
commands:
  - { path: [], options: { -c: { value: { type: text, lines: true, maxLength: 2000 } } } }`,
  ),
  'catalog/tools/pour.yaml': tool(
    'pour',
    '{ primitive: ssm, targets: [web-1, typed] }',
    `program: /bin/sh
commands:
  - { path: [], options: { -c: { value: { type: text } } }, stdin: true }`,
  ),
  'catalog/tools/where.yaml': tool('where', '{ primitive: ssm-command, target: fleet }', 'program: /bin/pwd\ncommands: [{ path: [] }]'),
  'catalog/tools/say.yaml': tool(
    'say',
    '{ primitive: ssm-automation, target: naps }',
    'program: /automation/start\ncommands: [{ path: [] }]',
  ),
  'policy/global/ssm.cedar': `@id("ssm-run")
permit (principal in Group::"engineers", action == Action::"run", resource) when { resource in Tool::"script" || resource in Tool::"pour" || resource in Tool::"where" || resource in Tool::"say" };
@id("ssm-shell")
permit (principal in Group::"engineers", action == Action::"shell", resource == Target::"web-1");
@id("ssm-forward")
permit (principal in Group::"engineers", action == Action::"forward", resource == Target::"web-1");
`,
}

beforeAll(async () => {
  aws = await startStandIn({
    region: 'us-east-1',
    agent: {outputDelayMs: 0, pieceDelayMs: 0},
    instances: [...someInstances(), {id: 'i-0a1b2c3d4e5f60004', name: 'plain-1'}],
    roles: {operator: {allows: {Statement: {Effect: 'Allow', Action: '*', Resource: '*'}}}},
    documents: [
      {
        name: 'Say',
        type: 'Automation',
        owner: 'self',
        version: '1',
        content: {schemaVersion: '0.3', mainSteps: [{name: 'rest', action: 'aws:sleep', inputs: {Duration: 'PT0S'}}]},
      },
    ],
  })
  ends.push(() => aws.close())
  broker = await startRealBroker(end => void ends.push(end), {
    env: aws.env,
    onAlarm: text => {
      alarms += text
    },
  })
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(broker.dir, name, '..'), {recursive: true})
    writeFileSync(join(broker.dir, name), text)
  }
  alice = broker.as('alice')
  let last = ''
  for (let tries = 0; tries < 100; tries++) {
    last = (await alice.run(['tools', '--json'])).stdout
    if (last.includes('"script"')) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error(`the catalog did not load: ${last}`)
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

const reason = ['--reason', 'looking at the web servers']

/** what was said to people, and the argv of all processes while something ran */
const told: string[] = []
let processes = ''
function look(): void {
  if (!existsSync('/proc/self/cmdline')) return
  for (const id of readdirSync('/proc').filter(name => /^\d+$/.test(name)))
    try {
      processes += readFileSync(`/proc/${id}/cmdline`, 'latin1')
    } catch {
      // it has ended
    }
}

test('a tool on an instance: its own status, output and errors apart, under a role for this run alone', async () => {
  const done = await alice.run(['exec', ...reason, '--on', 'web-1', 'script', '-c', 'echo out; echo err >&2; exit 7'])
  expect(done).toMatchObject({status: 7, stdout: 'out\n', stderr: expect.stringContaining('err\n')})
  const started = aws.calls.findLast(({action}) => action === 'StartSession')
  const by = [...aws.world.identities.values()].find(({accessKeyId}) => accessKeyId === started?.accessKeyId)
  expect(by?.arn).toMatch(/assumed-role\/operator\//)
  expect(JSON.stringify(by?.policy)).toContain('SessionDocumentAccessCheck')
  expect(started?.input.Reason).toMatch(/^prod run_/)
})

test('where the document cannot give a status: 248, and what to change', async () => {
  const done = await alice.run(['exec', ...reason, '--on', 'plain', 'script', '-c', 'echo out; exit 7'])
  expect(done).toMatchObject({status: 248, stdout: 'out\n', stderr: expect.stringContaining('separateOutputStream')})
})

test('by a document that opens a terminal a tool takes input; where the way there takes none that is refused before anything starts', async () => {
  const pour = (on: string, argv: string[], stdin: Buffer) => alice.run(['exec', ...reason, '--on', on, 'pour', ...argv], {stdin})
  const bytes = Buffer.from([0x03, 0x04, 0x1a, 0x1c, 0x00, 0x0d, 0x0a, 0x7e])
  expect(await pour('typed', ['-c', 'od -An -tx1; exit 7'], bytes)).toMatchObject({status: 7, stdout: ' 03 04 1a 1c 00 0d 0a 7e\n'})
  const from = aws.calls.length
  const refused = await pour('web-1', ['-c', 'cat'], bytes)
  expect(refused).toMatchObject({status: 241, stdout: '', stderr: expect.stringContaining('pour takes stdin, which does not reach web-1')})
  expect(refused.stderr).toContain('exec=AWS-StartInteractiveCommand in the address')
  expect(aws.calls.slice(from).filter(({action}) => action === 'StartSession')).toEqual([])
})

test.runIf(process.platform === 'linux')('a file as input of a tool that takes none is refused, not dropped', async ({onTestFinished}) => {
  const path = join(alice.home, 'queue.txt')
  writeFileSync(path, 'first\nsecond\n')
  const exec = `"$0" "$1" exec --reason "looking at the web servers" --on web-1 script -c 'echo ran'`
  const from = async (script: string) => {
    const child = spawn('/bin/sh', ['-c', script, process.execPath, cli, path], {env: alice.env, stdio: ['ignore', 'pipe', 'pipe']})
    onTestFinished(() => void child.kill())
    return collect(child)
  }
  expect(await from(`${exec} < "$2"`)).toMatchObject({status: 241, stdout: '', stderr: expect.stringContaining('script takes no stdin')})
  // whoever loops over its lines is reading it himself
  expect(await from(`while read -r line; do ${exec}; done < "$2"`)).toMatchObject({status: 0, stdout: 'ran\nran\n'})
})

test("SIGTERM is the program's where it can be; else the session is ended, and that is said", async () => {
  const waits = `trap 'echo told; exit 9' TERM; echo ready; while :; do sleep 0.05; done`
  const ended = async (on: string) => {
    const child = await alice.start(['exec', ...reason, '--on', on, 'script', '-c', waits])
    child.stdout.once('data', () => child.kill('SIGTERM'))
    return collect(child)
  }
  expect(await ended('typed')).toMatchObject({status: 9, stdout: 'ready\ntold\n'})
  const {status, stderr} = await ended('web-1')
  expect({status, stderr}).toEqual({status: 248, stderr: expect.stringContaining('SIGTERM does not reach a program by this document')})
  expect([...aws.sessions.values()].filter(({state}) => state === 'Connected')).toEqual([])
})

test('a shell on an instance has the size of the terminal, follows it, and is over when it is left', async ({onTestFinished}) => {
  const screen = await openScreen(onTestFinished, alice, ['shell', 'web-1', ...reason], {columns: 90, rows: 24})
  await screen.until(/bash.*[#$] ?$/m)
  screen.type('stty size; echo ünï-$((40+2))\r')
  await screen.until(/24 90/)
  await screen.until(/^ünï-42$/m)
  look()
  screen.type('exit\r')
  expect(await screen.ended).toBe(0)
  told.push(screen.raw())
})

test('SIGTERM and SIGHUP end a shell in order: at AWS too, and the terminal is given back', async ({onTestFinished}) => {
  for (const name of ['SIGTERM', 'SIGHUP']) {
    const from = aws.calls.length
    const screen = await openScreen(onTestFinished, alice, ['shell', 'web-1', ...reason])
    await screen.until(/bash.*[#$] ?$/m)
    await screen.kill(name)
    expect(await screen.ended).toBe(130)
    expect(screen.raw()).toContain('\x1b[?1047l')
    expect(aws.calls.slice(from).filter(({action}) => action === 'TerminateSession')).toMatchObject([{outcome: 'ok'}])
  }
  expect([...aws.sessions.values()].filter(({state}) => state === 'Connected')).toEqual([])
})

test('Run Command goes to all with the tag, and each output stands under its instance', async () => {
  const done = await alice.run(['exec', ...reason, 'where'])
  expect(done.status, done.stderr).toBe(0)
  expect(done.stdout).toMatch(/^\[i-0a1b2c3d4e5f6000[12]\] \//m)
  expect(done.stderr).toContain('2 succeeded, 0 did not')
})

test('an Automation is a tool too', async () => {
  const done = await alice.run(['exec', ...reason, 'say'])
  expect(done.status, done.stderr).toBe(0)
  expect(done.stderr).toMatch(/rest +aws:sleep +Success/)
})

test('instances are looked for among those that a target stands for, and one of them is used', async () => {
  const found = await alice.run(['targets', 'web', '--find', '10.0.1.12', '--json'])
  expect(JSON.parse(found.stdout), found.stderr).toMatchObject([
    {name: 'web/i-0a1b2c3d4e5f60002', called: 'web-2', environment: 'production', labels: {Service: 'web', agent: 'Online', fleet: 'web'}},
  ])
  const minted = [...aws.world.identities.values()].findLast(({arn}) => arn.includes('assumed-role/operator/'))
  expect(JSON.stringify(minted?.policy)).not.toContain('StartSession')

  const on = (name: string) => alice.run(['exec', ...reason, '--on', name, 'script', '-c', 'echo here; exit 3'])
  expect(await on('web/i-0a1b2c3d4e5f60002')).toMatchObject({status: 3, stdout: 'here\n'})
  expect(await on('web')).toMatchObject({status: 241, stdout: '', stderr: expect.stringContaining('stands for many')})
  const missing = await on('web/i-0a1b2c3d4e5f60009')
  expect(missing).toMatchObject({status: 241, stdout: ''})
  told.push(missing.stderr)
})

test('TM-X2: an instance without the tags is none of those that a target stands for', async () => {
  const done = await alice.run(['exec', ...reason, '--on', 'web/i-0a1b2c3d4e5f60003', 'script', '-c', 'true'])
  told.push(done.stderr)
  expect(done).toMatchObject({status: 241, stdout: '', stderr: expect.stringContaining('its tag Service is "worker"')})
})

/** Fetches a page many times at once, each on a connection of its own, and prints what it got. */
const fetchMany = `
import {createHash} from 'node:crypto'
import {get} from 'node:http'
const one = () => new Promise((done, failed) => get({port: process.env.PROD_FORWARD_PORT, host: '127.0.0.1', agent: false}, response => {
  const hash = createHash('sha256')
  response.on('data', bytes => hash.update(bytes)).on('end', () => done(hash.digest('hex')))
}).on('error', failed))
console.log(JSON.stringify(await Promise.all(Array.from({length: 12}, one))))
`

test('a port of an instance: many connections at once over sessions side by side, which end with the forward', async ({onTestFinished}) => {
  const page = randomBytes(200_000)
  const server = createServer((_, response) => void response.end(page))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const {port} = server.address() as AddressInfo
  const listen = ['-L', `0:localhost:${port}`]
  const done = await alice.run(['forward', 'web-1', ...listen, ...reason, '--', process.execPath, '--input-type=module', '-e', fetchMany])
  expect(done.status, done.stderr).toBe(0)
  const digest = createHash('sha256').update(page).digest('hex')
  expect(JSON.parse(done.stdout)).toEqual(Array.from({length: 12}, () => digest))
  const sessions = [...aws.sessions.values()].filter(({documentName}) => documentName === 'AWS-StartPortForwardingSession')
  expect(sessions.length).toBeGreaterThan(1)
  expect(sessions.length).toBeLessThanOrEqual(8)
  await expect.poll(() => sessions.filter(({state}) => state === 'Connected'), {timeout: 60_000}).toEqual([])
})

/** A port of this machine where everything comes back. */
async function startEcho(onFinished: (stop: () => void) => void): Promise<number> {
  const server = createTcpServer(socket => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const {port} = server.address() as AddressInfo
  onFinished(() => void server.close())
  return port
}

/** A forward that is open, with a port here for each one there, and what it says to the person. */
async function openForward(ports: readonly number[]) {
  const listen = ports.flatMap(port => ['-L', `0:localhost:${port}`])
  const child = await alice.start(['forward', 'web-1', ...listen, '--json', ...reason])
  const ended = collect(child)
  let said = ''
  child.stderr.on('data', (text: string) => {
    said += text
  })
  const line = await Promise.race([once(createInterface(child.stdout), 'line'), ended])
  if (!Array.isArray(line)) throw new Error(line.stderr)
  const {forwards} = JSON.parse(line[0] as string) as {forwards: {port: number}[]}
  const sockets: Socket[] = []
  return {
    to(index: number): Socket {
      const socket = connect((forwards[index] as {port: number}).port, '127.0.0.1').on('error', () => {})
      sockets.push(socket)
      return socket
    },
    async says(words: string): Promise<void> {
      while (!said.includes(words))
        await Promise.race([once(child.stderr, 'data'), ended.then(all => Promise.reject(new Error(all.stderr)))])
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      child.kill('SIGINT')
      return ended
    },
  }
}
const isOpenForward = ({documentName, state}: {documentName: string; state: string}): boolean =>
  documentName === 'AWS-StartPortForwardingSession' && state === 'Connected'

test('who forwards hears what becomes of the way there: a connection lost, and back; a port that nobody serves', async ({
  onTestFinished,
}) => {
  onTestFinished(() => aws.mend())
  const echo = await startEcho(onTestFinished)
  const nobody = await startEcho(stop => stop())
  const forward = await openForward([echo, nobody])
  const socket = forward.to(0)
  const hears = async (words: string) => {
    socket.write(words)
    expect(String((await once(socket, 'data'))[0])).toBe(words)
  }
  await hears('before')
  aws.fail('ResumeSession', 'InternalServerError', undefined, 500)
  for (const session of [...aws.sessions.values()].filter(isOpenForward)) session.cut('client')
  await forward.says(`localhost:${echo}: connection lost, resuming…`)
  aws.mend()
  await forward.says(`localhost:${echo}: connection resumed`)
  await hears('after')
  forward.to(1)
  await forward.says(`localhost:${nobody}: the target refused the connection to the port`)
  look()
  const {stdout, stderr} = await forward.close()
  told.push(stdout, stderr)
  expect(stderr.match(/connection lost/g)).toHaveLength(1)
})

/** Every file under a folder. */
function filesOf(folder: string): string[] {
  return readdirSync(folder, {recursive: true, encoding: 'utf8'})
    .map(name => join(folder, name))
    .filter(path => statSync(path, {throwIfNoEntry: false})?.isFile())
}

/** A secret as it is, and as it may be written. */
const written = (secret: string): string[] => [
  ...new Set([
    secret,
    encodeURIComponent(secret),
    Buffer.from(secret).toString('base64').replace(/=+$/, ''),
    Buffer.from(secret).toString('hex'),
  ]),
]

test.runIf(existsSync('/proc/self/cmdline'))(
  'TM-X3: addresses, tokens and credentials of sessions are in no file, no log, no argv and no words of a failure',
  async () => {
    const folder = alice.home
    const script = `touch ${folder}/begun; while [ ! -e ${folder}/seen ]; do sleep 0.1; done`
    const running = alice.run(['exec', ...reason, '--on', 'web-1', 'script', '-c', script])
    await expect.poll(() => existsSync(join(folder, 'begun')), {timeout: 60_000}).toBe(true)
    look()
    writeFileSync(join(folder, 'seen'), '')
    const ran = await running
    expect(ran.status, ran.stderr).toBe(0)
    told.push(ran.stdout, ran.stderr)

    // those of the tests above are among them
    const secrets = aws.secrets()
    for (const name of ['AWS-StartPortForwardingSession', 'Prod-RunCommand', 'SSM-SessionManagerRunShell'])
      expect([...aws.sessions.values()].map(({documentName}) => documentName)).toContain(name)
    expect(secrets.length).toBeGreaterThan(12)
    const needles = secrets.flatMap(written).map(text => Buffer.from(text))
    const places: [string, Buffer][] = [
      ...[...filesOf(broker.dir), ...filesOf(alice.home)].map((path): [string, Buffer] => [path, readFileSync(path)]),
      ['argv', Buffer.from(processes, 'latin1')],
      ['words', Buffer.from(told.join('\n'))],
      ['alarms', Buffer.from(alarms)],
    ]
    expect(processes).toContain('bin/run.js')
    expect(places.filter(([, bytes]) => needles.some(needle => bytes.includes(needle))).map(([place]) => place)).toEqual([])
  },
)
