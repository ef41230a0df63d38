import {createCipheriv, createDecipheriv, createHash, randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {type AddressInfo, createServer, type Server} from 'node:net'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {payload} from './frame.ts'
import {type StandIn, startStandIn} from './stand-in.ts'
import {call, connect, start, type TestClient} from './test-client.ts'

let standIn: StandIn
let echo: Server
let echoPort: string
const target = 'i-0a1b2c3d4e5f60001'
const old = 'i-0a1b2c3d4e5f60002'
beforeAll(async () => {
  standIn = await startStandIn({agent: {pieceDelayMs: 0}})
  echo = createServer(socket => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1')
  await once(echo, 'listening')
  echoPort = String((echo.address() as AddressInfo).port)
})
afterAll(async () => {
  echo.close()
  await standIn.close()
})

const document = (name: string, parameters: Record<string, string>): object => ({
  Target: target,
  DocumentName: name,
  Parameters: Object.fromEntries(Object.entries(parameters).map(([key, value]) => [key, [value]])),
})

/** One frame of smux, version 1 unless said. */
function smux(what: number, id: number, data: Buffer | string = '', version = 1): Buffer {
  const body = Buffer.from(data)
  const header = Buffer.from([version, what, 0, 0, 0, 0, 0, 0])
  header.writeUInt16LE(body.length, 2)
  header.writeUInt32LE(id, 4)
  return Buffer.concat([header, body])
}

/** What came on a stream, and whether it was closed. */
function received(session: TestClient, id: number): {data: Buffer; closed: boolean} {
  const all = Buffer.concat(session.output)
  const parts: Buffer[] = []
  let closed = false
  for (let at = 0; at + 8 <= all.length; at += 8 + all.readUInt16LE(at + 2)) {
    if (all.readUInt32LE(at + 4) !== id) continue
    if (all[at + 1] === 2) parts.push(all.subarray(at + 8, at + 8 + all.readUInt16LE(at + 2)))
    if (all[at + 1] === 1) closed = true
  }
  return {data: Buffer.concat(parts), closed}
}
const terminate = Buffer.from([0, 0, 0, 2])
const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

test('a shell is bash in a terminal that has the size it was given', async () => {
  const shell = await start(standIn, {Target: target})
  shell.send(payload.size, {cols: 132, rows: 43})
  shell.send(payload.output, Buffer.from('stty size; echo "grün $((6 * 7))"\r'))
  await shell.until('43 132')
  await shell.until('grün 42')
  shell.send(payload.output, Buffer.from('exit\r'))
  expect(await shell.closed).toBe('')
  expect(shell.requested).toBeUndefined()
})

test('an interactive command has a shell on an instance, and none in a container', async () => {
  const command = await start(standIn, document('AWS-StartInteractiveCommand', {command: 'read x; echo "got $x"'}))
  command.send(payload.output, Buffer.from('this\r'))
  expect(await command.closed).toBe('')
  expect(command.text()).toMatch(/got this/)
  const answer = await call(standIn, 'ecs', 'ExecuteCommand', {
    cluster: 'prod',
    task: '0123456789abcdef0123456789abcde0',
    container: 'app',
    command: `echo '$HOME  ;' "a b"`,
    interactive: true,
  })
  const {sessionId, streamUrl, tokenValue} = answer.session as unknown as Record<string, string>
  expect(sessionId).toMatch(/^ecs-execute-command-[0-9a-f]{17}$/)
  const inside = await connect(standIn, streamUrl ?? '', tokenValue ?? '')
  await inside.closed
  expect(inside.text()).toBe('$HOME  ; a b\r\n')
})

test('a command with streams apart gives stdout, stderr and its status', async () => {
  const command = await start(standIn, document('Prod-RunCommand', {command: `sh -c 'echo out; echo err >&2; exit 3'`}))
  expect(await command.closed).toBe('')
  expect([command.text(), Buffer.concat(command.errors).toString(), command.exitText]).toEqual(['out\n', 'err\n', 'EXIT_CODE: 3'])
})

test('only a client that is too old for streams apart is asked to be renewed', async () => {
  const asked = document('Prod-RunCommand', {command: 'true'})
  for (const [clientVersion, asks] of [
    ['1.2.764.0', false],
    ['1.2.200.0', true],
  ] as const) {
    const command = await start(standIn, asked, {clientVersion})
    await command.closed
    expect(command.frames.some(it => String(it.payload).includes('Please update'))).toBe(asks)
  }
})

test('a command that a signal ends has the status -1, and one that cannot start speaks after its status', async () => {
  const command = await start(standIn, document('Prod-RunCommand', {command: `sh -c 'echo ready; exec sleep 600'`}))
  await command.until('ready')
  command.send(payload.output, Buffer.from([3]))
  await command.closed
  expect(command.exitText).toBe('EXIT_CODE: -1')
  const missing = await start(standIn, document('Prod-RunCommand', {command: 'no-such-program'}))
  await missing.closed
  expect(missing.exitText).toBe('EXIT_CODE: 1')
  expect(missing.frames.map(it => it.payloadType).slice(-2)).toEqual([payload.exitCode, payload.stdErr])
})

test("AWS's own document for commands gives both streams mixed, at the end, and no status", async () => {
  const command = await start(standIn, document('AWS-StartNonInteractiveCommand', {command: `sh -c 'echo out; echo err >&2; exit 3'`}))
  expect(await command.closed).toBe('')
  expect([command.text(), command.errors.length, command.exitText]).toEqual(['out\nerr\n', 0, ''])
})

test('many connections go through one port session, and a port that refuses is told by a flag and a FIN', async () => {
  const session = await start(standIn, document('AWS-StartPortForwardingSession', {portNumber: echoPort}))
  const bytes = randomBytes(30_000)
  await session.until(() => session.requested !== undefined)
  session.send(payload.output, Buffer.concat([smux(0, 3), smux(0, 5), smux(2, 5, 'five')]))
  session.send(payload.output, smux(2, 3, bytes))
  await session.until(() => received(session, 3).data.length === bytes.length && received(session, 5).data.length === 4)
  expect(digest(received(session, 3).data)).toBe(digest(bytes))
  session.send(payload.output, smux(1, 5))
  await session.until(() => received(session, 5).closed)
  session.send(payload.flag, terminate)
  expect(await session.closed).toBe('')

  const refused = await start(standIn, document('AWS-StartPortForwardingSession', {portNumber: '1'}))
  await refused.until(() => refused.requested !== undefined)
  refused.send(payload.output, smux(0, 3))
  await refused.until(() => received(refused, 3).closed)
  expect(refused.frames.find(it => it.payloadType === payload.flag)?.payload).toEqual(Buffer.from([0, 0, 0, 3]))
  refused.send(payload.flag, terminate)
  await refused.closed
})

test('an agent that speaks smux 2 tells what it has read, and keeps to the window it is given', async () => {
  const two = await startStandIn({agent: {pieceDelayMs: 0, smuxVersions: [1, 2]}})
  try {
    const session = await start(two, document('AWS-StartPortForwardingSession', {portNumber: echoPort}))
    await session.until(() => session.requested !== undefined)
    session.send(payload.output, smux(0, 3, '', 2))
    for (let sent = 0; sent < 10; sent++) session.send(payload.output, smux(2, 3, Buffer.alloc(32_768, 7), 2))
    // no more comes back than the first window, until we say that we have read
    await session.until(() => received(session, 3).data.length === 262_144)
    const update = Buffer.alloc(8)
    update.writeUInt32LE(262_144, 0)
    update.writeUInt32LE(262_144, 4)
    session.send(payload.output, smux(4, 3, update, 2))
    await session.until(() => received(session, 3).data.length === 327_680)
    expect(Buffer.concat(session.output)[0]).toBe(2)
    session.close()
  } finally {
    await two.close()
  }
})

test('an SSH session is one plain stream, which ends with its connection', async () => {
  const greeting = createServer(socket => socket.end('SSH-2.0-none\r\n')).listen(0, '127.0.0.1')
  await once(greeting, 'listening')
  const session = await start(standIn, document('AWS-StartSSHSession', {portNumber: String((greeting.address() as AddressInfo).port)}))
  expect(await session.closed).toBe('')
  expect(session.text()).toBe('SSH-2.0-none\r\n')
  greeting.close()
})

test('an old agent serves one connection at a time, and dials again after DisconnectToPort', async () => {
  const instance = standIn.world.instances.find(it => it.id === old)
  if (instance) instance.agent = {version: '3.0.196.0'}
  const session = await start(standIn, {...document('AWS-StartPortForwardingSession', {portNumber: echoPort}), Target: old})
  await session.until(() => session.requested !== undefined)
  expect(session.requested?.AgentVersion).toBe('3.0.196.0')
  session.send(payload.output, Buffer.from('one'))
  await session.until('one')
  session.send(payload.flag, Buffer.from([0, 0, 0, 1]))
  session.send(payload.output, Buffer.from('two'))
  await session.until('onetwo')
  session.send(payload.flag, terminate)
  expect(await session.closed).toBe('')
})

test('a remote host is reached by its name, and addresses of the cloud itself are forbidden', async () => {
  standIn.world.agent.ports = {'db.internal:5432': Number(echoPort)}
  const remote = (host: string): Promise<TestClient> =>
    start(standIn, document('AWS-StartPortForwardingSessionToRemoteHost', {host, portNumber: '5432'}))
  const session = await remote('db.internal')
  await session.until(() => session.requested !== undefined)
  session.send(payload.output, Buffer.concat([smux(0, 3), smux(2, 3, 'select 1')]))
  await session.until(() => received(session, 3).data.toString() === 'select 1')
  session.close()
  expect(await (await remote('169.254.169.254')).closed).toMatch('Forwarding to IP address 169.254.169.254 is forbidden.')
})

test.each(['none', 'offered', 'required'] as const)('an encrypted shell, its random challenge %s', async challenge => {
  const key = `arn:aws:kms:us-east-1:111122223333:key/a`
  const sealed = await startStandIn({preferences: {kmsKeyId: key}, agent: {challenge}})
  try {
    let keys: Buffer = Buffer.alloc(64)
    const opened = await call(sealed, 'ssm', 'StartSession', {Target: target})
    const shell = await connect(sealed, opened.StreamUrl ?? '', opened.TokenValue ?? '', {
      async answer(_, {KMSKeyId, Challenge}) {
        const EncryptionContext = {
          'aws:ssm:SessionId': opened.SessionId,
          'aws:ssm:TargetId': target,
          ...(Challenge ? {'aws:ssm:RandomChallenge': Challenge} : {}),
        }
        const {Plaintext = '', CiphertextBlob} = await call(sealed, 'kms', 'GenerateDataKey', {
          KeyId: KMSKeyId,
          NumberOfBytes: 64,
          EncryptionContext,
        })
        keys = Buffer.from(Plaintext, 'base64')
        return {
          ActionResult: {KMSCipherTextKey: CiphertextBlob, KMSCipherTextHash: null, ...(Challenge ? {ChallengeAcknowledgement: true} : {})},
        }
      },
      seal(bytes) {
        const nonce = randomBytes(12)
        const cipher = createCipheriv('aes-256-gcm', keys.subarray(32), nonce)
        return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
      },
      open(bytes) {
        const decipher = createDecipheriv('aes-256-gcm', keys.subarray(0, 32), bytes.subarray(0, 12)).setAuthTag(bytes.subarray(-16))
        return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()])
      },
    })
    await shell.until(() => shell.frames.some(it => it.payloadType === payload.handshakeComplete))
    shell.send(payload.output, Buffer.from('echo secret-$((6 * 7))\r'))
    await shell.until('secret-42')
    expect(shell.frames.every(it => !it.payload.includes('secret-'))).toBe(true)
    shell.close()
    // a client that leaves the challenge out, or cannot encrypt, is told what is wrong
    const bare = await start(sealed, {Target: target}, {answer: () => ({ActionResult: {KMSCipherTextKey: 'AAAA'}})})
    expect(await bare.closed).toMatch(challenge === 'required' ? 'client does not support required encryption' : 'could not go on')
    const failed = await start(sealed, {Target: target}, {answer: () => ({ActionStatus: 2, Error: 'access denied'})})
    expect(await failed.closed).toMatch('KMSEncryption failed on client with status 2 error: access denied')
  } finally {
    await sealed.close()
  }
})

test('a session is taken up again with a new address and token, and nothing is lost', async () => {
  const shell = await start(standIn, {Target: target})
  shell.send(payload.output, Buffer.from('echo before-$((1 + 1))\r'))
  await shell.until('before-2')
  const stale = shell.socket.url
  standIn.sessions.get(shell.id)?.cut('client')
  await once(shell.socket, 'close')
  shell.send(payload.output, Buffer.from('echo after-$((1 + 2))\r'))
  const {StreamUrl, TokenValue} = await call(standIn, 'ssm', 'ResumeSession', {SessionId: shell.id})
  await expect(connect(standIn, stale, TokenValue ?? '')).rejects.toThrow('403')
  await shell.reconnect(StreamUrl ?? '', TokenValue ?? '')
  await shell.until('after-3')
  // the agent's own link goes, and comes back
  standIn.sessions.get(shell.id)?.cut('agent')
  shell.send(payload.output, Buffer.from('echo again-$((1 + 3))\r'))
  await shell.until('again-4')
  await call(standIn, 'ssm', 'TerminateSession', {SessionId: shell.id})
  await shell.closed
  expect(await call(standIn, 'ssm', 'ResumeSession', {SessionId: shell.id})).toEqual({SessionId: shell.id})
})

test('a channel is not opened with a signature or a token that is not its own', async () => {
  const {StreamUrl = '', TokenValue = ''} = await call(standIn, 'ssm', 'StartSession', {Target: target})
  const stranger = standIn.register({name: 'mallory'})
  await expect(connect(standIn, StreamUrl, TokenValue, {caller: {...stranger, secretAccessKey: 'another'}})).rejects.toThrow('403')
  const guessed = await connect(standIn, StreamUrl, 'guessed')
  const [code, reason] = (await once(guessed.socket, 'close')) as [number, Buffer]
  expect([code, reason.toString()]).toEqual([1008, 'the token is not valid'])
  guessed.close()
  const client = await connect(standIn, StreamUrl, TokenValue)
  client.send(payload.output, Buffer.from('echo in\r'))
  await client.until('in')
  const second = await connect(standIn, StreamUrl, TokenValue)
  await once(second.socket, 'close')
  second.close()
  client.close()
})

test('a session that is idle for too long, or too long at all, is ended with a reason', async () => {
  const short = await startStandIn({limits: {idleMs: 300}})
  try {
    expect(await (await start(short, {Target: target})).closed).toMatch('idle for too long')
    short.world.documents.unshift({
      name: 'Short',
      type: 'Session',
      owner: 'self',
      version: '1',
      content: {
        schemaVersion: '1.0',
        sessionType: 'InteractiveCommands',
        inputs: {maxSessionDuration: '0.005'},
        properties: {linux: {commands: 'cat'}},
      },
    })
    expect(await (await start(short, {Target: target, DocumentName: 'Short'})).closed).toMatch(/longest duration|idle/)
  } finally {
    await short.close()
  }
})

test('all that a network does to frames is mended by both ends, the same each time for the same seed', async () => {
  const trouble = {loss: 0.02, duplicates: 0.02, reordering: 0.05, malformed: 0.02}
  const rough = await startStandIn({
    agent: {pieceDelayMs: 0},
    trouble: {seed: 7, up: trouble, down: trouble, cutAgentEveryMs: 700, agentAwayMs: 50},
  })
  try {
    const session = await start(rough, document('AWS-StartPortForwardingSession', {portNumber: echoPort}))
    await session.until(() => session.requested !== undefined)
    const bytes = randomBytes(200_000)
    session.send(payload.output, smux(0, 3))
    for (let at = 0; at < bytes.length; at += 1016) session.send(payload.output, smux(2, 3, bytes.subarray(at, at + 1016)))
    await session.until(() => received(session, 3).data.length >= bytes.length)
    expect(digest(received(session, 3).data)).toBe(digest(bytes))
    expect(session.broken.length).toBeGreaterThan(0)
    session.close()
  } finally {
    await rough.close()
  }
})

test('an agent that is told to end takes along what its shell started, in the background too', async () => {
  const shell = await start(standIn, {Target: target})
  shell.send(payload.output, Buffer.from('sleep 7531 & echo "job $!"; (setsid sleep 7532 &)\r'))
  await shell.until(() => /job \d+/.test(shell.text()))
  const pid = Number(/job (\d+)/.exec(shell.text())?.[1])
  await call(standIn, 'ssm', 'TerminateSession', {SessionId: shell.id})
  await shell.closed
  await expect.poll(() => isAlive(pid), {timeout: 30_000}).toBe(false)
})

test('with an old agent both keep smux alive, and one that hears nothing ends the session', async () => {
  const quick = await startStandIn({timeScale: 200, limits: {idleMs: 0}, agent: {version: '3.1.1511.0'}})
  try {
    const session = await start(quick, document('AWS-StartPortForwardingSession', {portNumber: echoPort}))
    await session.until(() => Buffer.concat(session.output).includes(Buffer.from([1, 3, 0, 0, 0, 0, 0, 0])))
    expect(await session.closed).toBe('')
  } finally {
    await quick.close()
  }
})

test('an address may be stale before its time, the service may say goodbye, and a socket may fall silent', async () => {
  const moody = await startStandIn({trouble: {staleUpgrades: 1, byeEveryMs: 300}})
  const silent = await startStandIn({trouble: {deafAfterMs: 0}})
  try {
    const {StreamUrl = '', TokenValue = ''} = await call(moody, 'ssm', 'StartSession', {Target: target})
    await expect(connect(moody, StreamUrl, TokenValue)).rejects.toThrow('403')
    const client = await connect(moody, StreamUrl, TokenValue)
    const [code, reason] = (await once(client.socket, 'close')) as [number, Buffer]
    expect([code, reason.toString()]).toEqual([1000, 'Bye'])
    client.close()
    const unheard = await start(silent, {Target: target})
    await expect.poll(() => silent.sessions.get(unheard.id)?.agent.seen.paused, {timeout: 30_000}).toBe(true)
    let heard = false
    unheard.socket.on('pong', () => {
      heard = true
    })
    unheard.socket.ping()
    const {StreamUrl: url, TokenValue: token} = await call(silent, 'ssm', 'ResumeSession', {SessionId: unheard.id})
    await unheard.reconnect(url ?? '', token ?? '')
    unheard.send(payload.output, Buffer.from('echo heard-$((1 + 1))\r'))
    await unheard.until('heard-2')
    expect(heard).toBe(false)
    unheard.close()
  } finally {
    await moody.close()
    await silent.close()
  }
})

test('an agent that knows of no status gives none, and a late handshake still opens', async () => {
  const plain = await startStandIn({agent: {knowsStatus: false, handshakeDelayMs: 60}})
  const never = await startStandIn({agent: {handshakeTimeoutMs: 60}})
  try {
    const command = await start(plain, document('Prod-RunCommand', {command: `sh -c 'echo out; exit 3'`}))
    expect([await command.closed, command.text(), command.exitText]).toEqual(['', 'out\n', ''])
    const mute = await start(never, document('Prod-RunCommand', {command: 'true'}), {answer: () => ({}), mute: true})
    expect(await mute.closed).toMatch('the handshake was not answered in time')
  } finally {
    await plain.close()
    await never.close()
  }
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
