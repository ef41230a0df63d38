import {createHash, randomBytes} from 'node:crypto'
import {expect, test} from 'vitest'
import type {WebSocket} from 'ws'
import {openCredentialStore} from '../src/cli/credential-store.ts'
import {openSession} from '../src/cli/credentials.ts'
import {ProdError} from '../src/errors.ts'
import type {Broker} from '../src/session.ts'
import {LinkLost, openStream, type StreamConnection, type StreamEvent} from '../src/stream-client.ts'
import {type ClientMessage, type FirstMessage, type ServerMessage, windowBytes} from '../src/wire.ts'
import {logIn, newHome} from './broker/home.ts'
import {checkProof, startTokenServer, type TokenServer} from './broker/token-server.ts'

type OnFinished = (act: () => void | Promise<void>) => void

const exec: FirstMessage = {
  type: 'exec',
  key: 'k',
  argv: ['unit', 'status'],
  targets: [],
  reason: 'a good reason',
  wait: true,
  stdin: true,
  client: {version: '0', platform: 'linux'},
}

/** The broker's end of one stream: what came, and a way to wait for it. */
interface FarEnd {
  socket: WebSocket
  messages: (FirstMessage | ClientMessage)[]
  stdin: Buffer
  until: (what: () => boolean) => Promise<void>
  say: (message: ServerMessage) => void
  frame: (kind: number, bytes: Uint8Array) => void
}

async function start(
  onTestFinished: OnFinished,
  serve: (far: FarEnd, count: number) => void = () => undefined,
  tokenSeconds = 900,
): Promise<{server: TokenServer; broker: Broker}> {
  newHome(onTestFinished)
  const server = await startTokenServer()
  onTestFinished(server.close)
  server.bend.tokenSeconds = tokenSeconds
  let count = 0
  server.onStream = socket => {
    let wake = Promise.withResolvers<void>()
    const far: FarEnd = {
      socket,
      messages: [],
      stdin: Buffer.alloc(0),
      async until(what) {
        while (!what()) await wake.promise
      },
      say: message => socket.send(JSON.stringify(message)),
      frame: (kind, bytes) => socket.send(Buffer.concat([Buffer.from([kind]), bytes])),
    }
    socket.on('message', (data: Buffer, binary: boolean) => {
      if (!binary) far.messages.push(JSON.parse(String(data)) as ClientMessage)
      else if (data[0] === 0) far.stdin = Buffer.concat([far.stdin, data.subarray(1)])
      wake.resolve()
      wake = Promise.withResolvers()
    })
    serve(far, ++count)
  }
  return {server, broker: await logIn(server)}
}

async function readAll(connection: StreamConnection, each: (event: StreamEvent) => void = () => undefined): Promise<unknown> {
  try {
    for await (const event of connection) each(event)
    return 'ended'
  } catch (error) {
    return error
  }
}

test('the first message goes out with the connection; output, messages and the end arrive in order', async ({onTestFinished}) => {
  const {broker} = await start(onTestFinished, far => {
    void far
      .until(() => far.messages.length > 0)
      .then(() => {
        far.say({type: 'notice', text: JSON.stringify(far.messages[0])})
        far.frame(1, Buffer.from([0, 255, 10]))
        far.frame(2, Buffer.from('err'))
        far.frame(3, Buffer.from('a.b.c'))
        far.socket.close(1000)
      })
  })
  const connection = await openStream({broker, session: await openSession(broker), first: exec})
  const events: StreamEvent[] = []
  expect(await readAll(connection, event => events.push(event))).toBe('ended')
  expect(
    events.map(event => (event.type === 'output' ? [event.stream, [...event.bytes]] : event.type === 'message' ? event.message : event)),
  ).toEqual([
    {type: 'notice', text: JSON.stringify(exec)},
    ['stdout', [0, 255, 10]],
    ['stderr', [...Buffer.from('err')]],
    {type: 'end', jws: 'a.b.c'},
  ])
})

test('TM-Q3: a challenge is answered with a fresh proof over its nonce, by the key of the login', async ({onTestFinished}) => {
  let far: FarEnd | undefined
  const {broker} = await start(onTestFinished, end => {
    far = end
    end.say({type: 'challenge', nonce: 'fresh-nonce'})
  })
  const session = await openSession(broker)
  const connection = await openStream({broker, session, first: exec})
  onTestFinished(() => connection.close())
  const find = (): ClientMessage | FirstMessage | undefined => far?.messages.find(({type}) => type === 'proof')
  await far?.until(() => find() !== undefined)
  const answer = find()
  const token = (await openCredentialStore().find(broker.url))?.accessToken as string
  const {thumbprint} = await checkProof(
    (answer as {proof: string}).proof,
    {method: 'GET', url: `${broker.url}/v1/stream`, token, nonce: 'fresh-nonce'},
    new Set(),
  )
  expect(thumbprint).toBe(session.key.thumbprint)
})

test('the upgrade takes up a nonce that is demanded, and renews a token that is refused', async ({onTestFinished}) => {
  const {server, broker} = await start(onTestFinished, far => far.socket.close(1000))
  server.bend.demandNonce = 'n-7'
  server.expire()
  const connection = await openStream({broker, session: await openSession(broker), first: exec})
  expect(await readAll(connection)).toBe('ended')
  expect(server.refreshes()).toBe(1)
})

test('before the token ends the next one is shown on the stream, with a proof of its own', async ({onTestFinished}) => {
  const {broker} = await start(
    onTestFinished,
    far => {
      void far
        .until(() => far.messages.some(({type}) => type === 'auth'))
        .then(() => {
          far.say({type: 'notice', text: JSON.stringify(far.messages.find(({type}) => type === 'auth'))})
          far.socket.close(1000)
        })
    },
    2,
  )
  const connection = await openStream({broker, session: await openSession(broker), first: exec})
  let notice = ''
  expect(
    await readAll(connection, event => {
      if (event.type === 'message' && event.message.type === 'notice') notice = event.message.text
    }),
  ).toBe('ended')
  const {token, proof} = JSON.parse(notice) as {token: string; proof: string}
  expect(token).toBe((await openCredentialStore().find(broker.url))?.accessToken)
  await checkProof(proof, {method: 'GET', url: `${broker.url}/v1/stream`, token}, new Set())
})

test('what is written is acknowledged by quarters of the window, and wholly after the end', async ({onTestFinished}) => {
  const acks: {stdout: number; stderr: number}[] = []
  const {broker} = await start(onTestFinished, far => {
    for (let sent = 0; sent < windowBytes; sent += 65_536) far.frame(1, randomBytes(65_536))
    far.frame(2, Buffer.from('abc'))
    far.frame(3, Buffer.from('a.b.c'))
    void far
      .until(() => {
        acks.splice(0, acks.length, ...far.messages.filter(message => message.type === 'ack'))
        return acks.at(-1)?.stdout === windowBytes && acks.at(-1)?.stderr === 3
      })
      .then(() => far.socket.close(1000))
  })
  const connection = await openStream({broker, session: await openSession(broker), first: exec})
  expect(
    await readAll(
      connection,
      event => event.type === 'output' && event.stream !== 'stdin' && connection.wrote(event.stream, event.bytes.length),
    ),
  ).toBe('ended')
  expect(acks.length).toBeLessThan(10)
  expect(connection.written).toEqual({stdout: windowBytes, stderr: 3})
})

test('stdin stops at the window and goes on with the credit', async ({onTestFinished}) => {
  let far: FarEnd | undefined
  const {broker} = await start(onTestFinished, end => (far = end))
  const connection = await openStream({broker, session: await openSession(broker), first: exec})
  onTestFinished(() => connection.close())
  const input = randomBytes(windowBytes + 300_000)
  let taken = false
  const sending = connection.sendStdin(input).then(() => (taken = true))
  await far?.until(() => far?.stdin.length === windowBytes)
  expect(taken).toBe(false)
  far?.say({type: 'window', stdin: 200_000})
  await far?.until(() => far?.stdin.length === windowBytes + 200_000)
  far?.say({type: 'window', stdin: windowBytes})
  await sending
  await connection.endStdin()
  await far?.until(() => far?.messages.some(({type}) => type === 'stdin-end') === true)
  expect(far?.stdin.equals(input)).toBe(true)
})

test('a cut link says how much was written, and an attach goes on with output and stdin where both ends stood', async ({
  onTestFinished,
}) => {
  const input = randomBytes(500_000)
  const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
  let first = Buffer.alloc(0)
  const {broker} = await start(onTestFinished, (far, count) => {
    if (count === 1) {
      far.frame(1, Buffer.from('hello'))
      void far
        .until(() => far.stdin.length >= 131_072)
        .then(() => {
          // of what came, a part was read; the broker says less than that before the link goes
          first = Buffer.from(far.stdin.subarray(0, 100_000))
          far.say({type: 'window', stdin: 60_000})
          setImmediate(() => far.socket.terminate())
        })
    } else {
      far.say({type: 'window', stdin: 100_000})
      void far
        .until(() => far.messages.some(({type}) => type === 'stdin-end'))
        .then(() => {
          far.say({type: 'notice', text: hash(Buffer.concat([first, far.stdin]))})
          far.socket.close(1000)
        })
    }
  })
  const session = await openSession(broker)
  const connection = await openStream({broker, session, first: exec})
  const reading = readAll(connection, event => event.type === 'output' && connection.wrote('stdout', event.bytes.length))
  await connection.sendStdin(input)
  await connection.endStdin()
  const lost = await reading
  expect(lost).toBeInstanceOf(LinkLost)
  const {have, stdin} = lost as LinkLost
  expect(have).toEqual({stdout: 5, stderr: 0})

  const again = await openStream({
    broker,
    session,
    first: {type: 'attach', id: 'run_0000aaaa', have, stdin: true, client: exec.client},
    stdin,
  })
  let heard = ''
  expect(
    await readAll(again, event => {
      if (event.type === 'message' && event.message.type === 'notice') heard = event.message.text
    }),
  ).toBe('ended')
  expect(again.written).toEqual({stdout: 5, stderr: 0})
  expect(heard).toBe(hash(input))
})

test('an error on the stream is thrown as the broker said it, after all that came before', async ({onTestFinished}) => {
  const {broker} = await start(onTestFinished, far => {
    far.frame(1, Buffer.from('x'))
    far.say({type: 'error', error: {code: 'DENIED', message: 'not allowed', hint: 'prod request create', correlation: 'cor_1'}})
    far.socket.close(1000)
  })
  const connection = await openStream({broker, session: await openSession(broker), first: exec})
  let seen = 0
  const error = await readAll(connection, () => seen++)
  expect(error).toBeInstanceOf(ProdError)
  expect(error).toMatchObject({code: 'DENIED', hint: 'prod request create', correlation: 'cor_1'})
  expect(seen).toBe(1)
})

test('a broker that is not there is BROKER_UNREACHABLE; closing on purpose ends the reading', async ({onTestFinished}) => {
  const {server, broker} = await start(onTestFinished)
  const session = await openSession(broker)
  const connection = await openStream({broker, session, first: exec})
  const reading = readAll(connection)
  connection.close()
  expect(await reading).toBe('ended')
  await server.close()
  await expect(openStream({broker, session, first: exec})).rejects.toMatchObject({code: 'BROKER_UNREACHABLE', hint: 'prod doctor'})
})
