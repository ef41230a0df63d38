/** The client of the data channel against the stand-in's gateway and agents: real programs, real sockets, trouble on the way. */
import {createHash, randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {type AddressInfo, createServer} from 'node:net'
import {buffer, text} from 'node:stream/consumers'
import {inspect} from 'node:util'
import {expect, test} from 'vitest'
import {wayOf} from '../plugins/ssm/src/aws/call.ts'
import type {Keys} from '../plugins/ssm/src/aws/sign.ts'
import {openCommand} from '../plugins/ssm/src/channel/command.ts'
import {openPort} from '../plugins/ssm/src/channel/port.ts'
import {openShell} from '../plugins/ssm/src/channel/shell.ts'
import {checkStreamUrl} from '../plugins/ssm/src/channel/stream-url.ts'
import type {ChannelOptions} from '../plugins/ssm/src/channel/view.ts'
import {openSession} from '../plugins/ssm/src/session.ts'
import {type StandIn, type StandInOptions, startStandIn} from './sessions-stand-in/stand-in.ts'

type Finished = (stop: () => Promise<void>) => void
const region = 'us-east-1'
const instanceId = 'i-0a1b2c3d4e5f60001'
const size = {columns: 132, rows: 43}
/** from the specification's bench: what a network does at its worst */
const trouble = {
  seed: 5,
  up: {loss: 0.01, duplicates: 0.01, reordering: 0.02, malformed: 0.01},
  down: {loss: 0.01, duplicates: 0.01, reordering: 0.02, malformed: 0.01},
}

async function start(onFinished: Finished, options: StandInOptions = {}): Promise<StandIn> {
  const standIn = await startStandIn({region, ...options, agent: {outputDelayMs: 0, pieceDelayMs: 0, ...options.agent}})
  onFinished(() => standIn.close())
  return standIn
}

/** A session's channel options, as the plugin makes them. */
async function session({env}: StandIn, document?: string, parameters: Record<string, string> = {}): Promise<ChannelOptions> {
  Object.assign(process.env, env)
  const {AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '', AWS_SESSION_TOKEN = ''} = env
  const credential = {AccessKeyId: AWS_ACCESS_KEY_ID, SecretAccessKey: AWS_SECRET_ACCESS_KEY, SessionToken: AWS_SESSION_TOKEN}
  const access = {id: 'run_channel', principal: 'https://idp.example#alice', credential}
  const options = await openSession({
    way: wayOf(access, region),
    region,
    instanceId,
    document,
    parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, [value]])),
    access,
    signal: new AbortController().signal,
  })
  return {...options, timings: {firstPauseMs: 20, tickMs: 20}}
}

/** The port of a server that sends back what it gets. */
async function startEcho(onFinished: Finished): Promise<string> {
  const echo = createServer(socket => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1')
  await once(echo, 'listening')
  onFinished(async () => void echo.close())
  return String((echo.address() as AddressInfo).port)
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

test('an encrypted shell, with a challenge that the agent requires, through trouble and cuts', async ({onTestFinished}) => {
  const standIn = await start(onTestFinished, {
    preferences: {kmsKeyId: 'alias/sessions'},
    agent: {challenge: 'required', handshakeDelayMs: 100},
    trouble: {...trouble, cutClientEveryMs: 1000},
  })
  const shell = await openShell(await session(standIn), size)
  shell.stdin.write('stty size; for i in 1 2 3 4 5 6; do sleep 0.3; echo "grün $i"; done; exit\r')
  const output = await text(shell.stdout)
  expect(await shell.ended).toEqual({status: 0})
  expect(output).toContain('43 132')
  for (const number of [1, 2, 3, 4, 5, 6]) expect(output).toContain(`grün ${number}\r\n`)
})

test('a command: output, errors and status apart, whatever the way does to frames', async ({onTestFinished}) => {
  const standIn = await start(onTestFinished, {trouble})
  const command = await openCommand(await session(standIn, 'Prod-RunCommand', {command: 'sh -c "seq 1 20000; echo err >&2; exit 7"'}))
  const [stdout, stderr] = await Promise.all([text(command.stdout), text(command.stderr)])
  expect(sha256(Buffer.from(stdout))).toBe(sha256(Buffer.from(Array.from({length: 20_000}, (_, at) => `${at + 1}\n`).join(''))))
  expect(stderr).toBe('err\n')
  expect(await command.ended).toEqual({status: 7})
})

test('bytes there and back through a forwarded port, with loss, duplicates, other order, rubbish, pauses, stale addresses and cuts on both sides', async ({
  onTestFinished,
}) => {
  const standIn = await start(onTestFinished, {
    trouble: {
      ...trouble,
      cutClientEveryMs: 900,
      byeEveryMs: 1600,
      cutAgentEveryMs: 1300,
      agentAwayMs: 50,
      pauseEveryMs: 700,
      pauseMs: 0,
      staleUpgrades: 1,
    },
  })
  const port = await openPort(await session(standIn, 'AWS-StartPortForwardingSession', {portNumber: await startEcho(onTestFinished)}))
  expect(port.form).toBe('multiplexed')
  const {stdin, stdout, end} = await port.connect()
  const back = stdout.iterator()
  // however fast it goes: until the way there has been lost three times
  for (let sent = 0; sent < 256 * 1024 || port.counts.connections < 4; ) {
    const bytes = randomBytes(16 * 1024)
    stdin.write(bytes)
    let got = Buffer.alloc(0)
    while (got.length < bytes.length) got = Buffer.concat([got, (await back.next()).value as Buffer])
    expect(got.equals(bytes)).toBe(true)
    sent += bytes.length
  }
  await end('it is done')
  expect(await port.end('it is done')).toEqual({status: 0})
})

test('a forward down that is cut after every quarter of a MiB, from an agent on a faster clock, is whole', async ({onTestFinished}) => {
  const standIn = await start(onTestFinished, {
    agent: {pieceDelayMs: 1, timesFaster: 20},
    trouble: {...trouble, cutClientEveryBytes: 2 ** 18},
  })
  const data = randomBytes(2 ** 20)
  const server = createServer(socket => void socket.on('error', () => {}).end(data)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => void server.close())
  const portNumber = String((server.address() as AddressInfo).port)
  const forwarded = await openPort(await session(standIn, 'AWS-StartPortForwardingSession', {portNumber}))
  const {stdin, stdout} = await forwarded.connect()
  const came = await buffer(stdout)
  stdin.end()
  expect(sha256(came)).toBe(sha256(data))
  expect(forwarded.counts.connections).toBeGreaterThan(4)
  await forwarded.end('it is tested')
})

test('a gateway that takes the connection and answers nothing any more is left for a new one', async ({onTestFinished}) => {
  const standIn = await start(onTestFinished, {trouble: {deafAfterMs: 300}})
  const told: string[] = []
  const options = {...(await session(standIn)), tell: (words: string) => void told.push(words)}
  const shell = await openShell({...options, timings: {pingMs: 50, deadMs: 200, firstPauseMs: 20, tickMs: 20, tellMs: 0}}, size)
  shell.stdin.write('sleep 0.7; echo "still $((6 * 7))"; exit\r')
  expect(await text(shell.stdout)).toContain('still 42')
  expect(await shell.ended).toEqual({status: 0})
})

test('a service that never says the end: the status is told all the same', async ({onTestFinished}) => {
  const standIn = await start(onTestFinished, {trouble: {losesClosing: true}})
  const options = await session(standIn, 'Prod-RunCommand', {command: 'sh -c "echo done; exit 4"'})
  const command = await openCommand({...options, timings: {afterExitMs: 100, endMs: 200}})
  expect((await buffer(command.stdout)).toString()).toBe('done\n')
  expect(await command.ended).toEqual({status: 4})
})

test('agents from before multiplexing, and those that must hear something, forward too', async ({onTestFinished}) => {
  const portNumber = await startEcho(onTestFinished)
  for (const [version, form] of [
    ['3.0.196.0', 'basic'],
    ['3.1.1511.0', 'multiplexed'],
  ]) {
    const standIn = await start(onTestFinished, {agent: {version: version as string}})
    const port = await openPort(await session(standIn, 'AWS-StartPortForwardingSession', {portNumber}))
    expect(port.form).toBe(form)
    for (const words of ['first', 'second']) {
      const {stdin, stdout, end} = await port.connect()
      stdin.write(words)
      let all = ''
      for await (const chunk of stdout) {
        all += String(chunk)
        if (all.length >= words.length) break
      }
      expect(all).toBe(words)
      await end('it is done')
    }
    await port.end('it is done')
  }
})

test('TM-X3: neither address nor token of a session is in anything that is said or thrown, nor in argv', async ({onTestFinished}) => {
  const canary = 'CANARY0a1b2c3d'
  const said: string[] = []
  const keys: Keys = {accessKeyId: 'AKIDEXAMPLE', secretAccessKey: `secret-${canary}`}
  const refusing = createServer(socket =>
    socket.on('error', () => {}).end(`HTTP/1.1 403 ${canary}\r\nContent-Length: 6\r\n\r\n${canary.slice(0, 6)}`),
  )
  const silent = createServer(socket => void socket.on('error', () => {}))
  const moved = createServer(socket =>
    socket.on('error', () => {}).end(`HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/${canary}\r\n\r\n`),
  )
  for (const server of [refusing, silent, moved]) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(async () => void server.close())
  }
  const hosts = [refusing, silent, moved].map(server => `127.0.0.1:${(server.address() as AddressInfo).port}`)
  const urls = [
    ...[...hosts, '127.0.0.1:1'].map(host => `ws://${host}/v1/data-channel/${canary}?cell-number=${canary}`),
    `wss://${hosts[0]}/v1/data-channel/${canary}`,
    `wss://ssmmessages.us-east-1.amazonaws.com.${canary}.example/${canary}`,
    `wss://${canary}@ssmmessages.us-east-1.amazonaws.com/`,
    `not a URL ${canary}`,
  ]
  for (const streamUrl of urls) {
    const failure = await openShell(
      {
        streamUrl,
        token: canary,
        sessionId: 'alice-0a1b',
        targetId: instanceId,
        sign: () => ({authorization: `AWS4-HMAC-SHA256 ${keys.secretAccessKey}`}),
        renew: () => Promise.reject(new Error(`${streamUrl} ${canary}`)),
        terminate: () => Promise.reject(new Error(canary)),
        tell: words => void said.push(words),
        allowed: {region, hosts: [...hosts, '127.0.0.1:1']},
        timings: {openMs: 100, upgradeMs: 50, firstPauseMs: 10, tellMs: 1},
      },
      size,
    ).then(
      () => expect.fail('it was opened'),
      (error: unknown) => error,
    )
    said.push(inspect(failure, {depth: 10, showHidden: true}), String((failure as Error).stack))
  }
  expect(said.length).toBeGreaterThanOrEqual(urls.length)
  expect(said.join('\n')).not.toContain(canary)
  expect(process.argv.join(' ')).not.toContain(canary)
})

test.each([
  ['wss://ssmmessages.us-east-1.amazonaws.com/v1/data-channel/a?cell-number=A+/=', true],
  ['wss://ssmmessages-fips.us-east-1.amazonaws.com/v1/data-channel/a', true],
  ['wss://ssmmessages.us-east-1.api.aws/v1/data-channel/a', true],
  ['wss://vpce-1.ssmmessages.us-east-1.vpce.amazonaws.com/v1/data-channel/a', true],
  ['ws://ssmmessages.us-east-1.amazonaws.com/v1/data-channel/a', false],
  ['wss://ssmmessages.us-west-2.amazonaws.com/v1/data-channel/a', false],
  ['wss://ssmmessages.us-east-1.amazonaws.com:8443/', false],
  ['wss://ssmmessages.us-east-1.amazonaws.com.evil.example/', false],
  ['wss://evil.example/ssmmessages.us-east-1.amazonaws.com', false],
  ['wss://ssmmessages.us-east-1.amazonaws.com@evil.example/', false],
  ['wss://ssm.us-east-1.amazonaws.com/', false],
  ['wss://169.254.169.254/latest', false],
  ['wss://localhost/', false],
  ['https://ssmmessages.us-east-1.amazonaws.com/', false],
  ['wss://ssmmessages.us-east-1.amazonaws.com/#a', false],
  ['wss://ssmmessages.us-east-1.amazonaws.com/\r\nHost: evil', false],
])('TM-X3: an address that a session may be reached at: %s: %s', (streamUrl, isAllowed) => {
  const check = () => checkStreamUrl(streamUrl, {region, hosts: ['vpce-1.ssmmessages.us-east-1.vpce.amazonaws.com']})
  if (isAllowed) expect(check().href).toBe(streamUrl)
  else expect(check).toThrow(expect.objectContaining({code: 'TARGET_UNREACHABLE'}))
})
