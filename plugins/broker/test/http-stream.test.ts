import {once} from 'node:events'
import {maxFrameBytes, streamPath, streamProtocol} from '@prod/sdk/wire'
import {expect, test} from 'vitest'
import WebSocket from 'ws'
import {reauthenticate} from '../src/identity/authenticate.ts'
import {type DoorOptions, logIn, openDoor, send, type TestDoor, type TestSession} from './door.ts'

interface Refused {
  status: number
  code: string
}

/** One upgrade: the open socket, or why not. */
async function upgrade(
  door: TestDoor,
  headers: Record<string, string>,
  path = streamPath,
  protocol: string | undefined = streamProtocol,
): Promise<WebSocket | Refused> {
  const socket = new WebSocket(door.origin.replace('http', 'ws') + path, protocol === undefined ? [] : [protocol], {
    headers,
    perMessageDeflate: true,
  })
  return new Promise((resolve, reject) => {
    socket.on('open', () => resolve(socket))
    socket.on('error', reject)
    socket.on('unexpected-response', (_request, response) => {
      let body = ''
      response.on('data', chunk => (body += chunk))
      response.on('end', () => resolve({status: response.statusCode ?? 0, code: (JSON.parse(body) as {error: {code: string}}).error.code}))
    })
  })
}

const opened = async (door: TestDoor, session: TestSession): Promise<WebSocket> => {
  const socket = await upgrade(door, await session.headers('GET', streamPath))
  if (!(socket instanceof WebSocket)) throw new Error(`not opened: ${JSON.stringify(socket)}`)
  return socket
}

test('TM-A3 TM-A4 TM-Q3: a stream opens only for our Host, no foreign origin, its protocol, a token and a fresh proof', async ({
  onTestFinished,
}) => {
  let served = 0
  const door = await openDoor(onTestFinished, {
    stream: socket => {
      served++
      socket.close()
    },
  })
  const alice = await logIn(door, 'alice')
  const good = (): Promise<Record<string, string>> => alice.headers('GET', streamPath)
  const {host} = new URL(door.origin)
  const replayed = await good()
  const cases: [string, Record<string, string>, number, string?, string?][] = [
    ['no token', {}, 401],
    ['no proof', {authorization: `DPoP ${alice.tokens.accessToken}`}, 401],
    ['a proof for another call', await alice.headers('GET', '/v1/whoami'), 401],
    ['a foreign origin', {...(await good()), origin: 'https://attacker.example'}, 403],
    ['origin null', {...(await good()), origin: 'null'}, 403],
    ['cross-site', {...(await good()), 'sec-fetch-site': 'cross-site'}, 403],
    ['a foreign host', {...(await good()), host: `${host}.attacker.example`}, 421],
    ['another path', await good(), 404, '/v1/streams'],
    ['a query', await good(), 404, `${streamPath}?token=x`],
    ['another protocol', await good(), 400, streamPath, 'other.v1'],
  ]
  for (const [what, headers, status, path, protocol] of cases)
    expect(await upgrade(door, headers, path, protocol), what).toMatchObject({status})
  expect(served).toBe(0)
  const socket = (await upgrade(door, replayed)) as WebSocket
  expect([socket.protocol, socket.extensions]).toEqual([streamProtocol, ''])
  await once(socket, 'close')
  expect(await upgrade(door, replayed)).toMatchObject({status: 401, code: 'TOKEN_INVALID'})
  expect(served).toBe(1)
})

/** A stream that does what its messages say. */
const talk: DoorOptions['stream'] = (socket, hello, parts) => {
  let caller = hello.caller
  const say = (message: unknown): void => socket.send(JSON.stringify(message))
  socket.on('message', async (data, binary) => {
    if (binary) return say({bytes: (data as Buffer).length})
    const message = JSON.parse((data as Buffer).toString()) as {type: string; token?: string; proof?: string}
    try {
      if (message.type === 'challenge-me') await hello.challenge()
      if (message.type === 'auth') caller = await hello.refreshCaller(message.token as string, message.proof as string)
      if (message.type === 'again') caller = await reauthenticate(parts, caller)
      if (message.type !== 'proof') say({done: message.type, groups: caller.groups, until: caller.tokenExpiresAt})
    } catch (error) {
      say({failed: (error as {code: string}).code})
    }
  })
}

const say = (socket: WebSocket, message: unknown): void => socket.send(JSON.stringify(message))
const hear = async (socket: WebSocket): Promise<Record<string, string>> =>
  JSON.parse(String((await once(socket, 'message'))[0])) as Record<string, string>

test('TM-Q3: a challenge is answered by a fresh proof with the broker’s nonce alone', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished, {stream: talk})
  const alice = await logIn(door, 'alice')
  const bob = await logIn(door, 'bob')
  const socket = await opened(door, alice)
  const answers: [string, (nonce: string) => Promise<string>, boolean][] = [
    ['right', async nonce => (await alice.headers('GET', streamPath, {nonce})).dpop as string, true],
    ['no nonce', async () => (await alice.headers('GET', streamPath)).dpop as string, false],
    ['another nonce', async () => (await alice.headers('GET', streamPath, {nonce: 'x'.repeat(22)})).dpop as string, false],
    ['another person', async nonce => (await bob.headers('GET', streamPath, {nonce})).dpop as string, false],
  ]
  let used = ''
  for (const [what, answer, right] of answers) {
    say(socket, {type: 'challenge-me'})
    const {type, nonce} = await hear(socket)
    expect([type, nonce?.length]).toEqual(['challenge', 22])
    expect(nonce).not.toBe(used)
    used = nonce as string
    say(socket, {type: 'proof', proof: await answer(used)})
    expect(await hear(socket), what).toMatchObject(right ? {done: 'challenge-me'} : {failed: 'TOKEN_INVALID'})
  }
  socket.close()
})

test('TM-Q7 TM-G3: an open stream takes the next token, sees its groups change, and learns of a logout', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished, {stream: talk})
  const alice = await logIn(door, 'alice')
  const bob = await logIn(door, 'bob')
  const socket = await opened(door, alice)
  say(socket, {type: 'again'})
  const before = await hear(socket)
  expect(before).toMatchObject({done: 'again', groups: ['engineers']})

  door.forward(60_000)
  const iat = Math.floor(door.parts.store.now().getTime() / 1000)
  const dpop = await alice.key.proof({htm: 'POST', htu: `${door.origin}/v1/login/refresh`, iat})
  alice.tokens = (await send(door, 'POST', '/v1/login/refresh', {dpop}, {refreshToken: alice.tokens.refreshToken})).body
  const auth = await alice.headers('GET', streamPath, {iat})
  say(socket, {type: 'auth', token: alice.tokens.accessToken, proof: auth.dpop})
  const after = await hear(socket)
  expect(after).toMatchObject({done: 'auth'})
  expect(after.until! > before.until!).toBe(true)

  say(socket, {type: 'auth', token: bob.tokens.accessToken, proof: (await bob.headers('GET', streamPath, {iat})).dpop})
  expect(await hear(socket)).toEqual({failed: 'TOKEN_INVALID'})

  await send(door, 'POST', '/v1/logout', await alice.headers('POST', '/v1/logout', {iat}), {})
  say(socket, {type: 'again'})
  expect(await hear(socket)).toEqual({failed: 'LOGIN_EXPIRED'})
  socket.close()
})

test('messages are bounded: 256 KiB for the first, one frame for each after it; nothing is compressed', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished, {stream: talk})
  const alice = await logIn(door, 'alice')
  const large = await opened(door, alice)
  large.send(Buffer.alloc(256 * 1024))
  expect(await hear(large)).toEqual({bytes: 256 * 1024})
  large.send(Buffer.alloc(maxFrameBytes + 1))
  expect(await hear(large)).toEqual({bytes: maxFrameBytes + 1})
  large.send(Buffer.alloc(maxFrameBytes + 2))
  expect((await once(large, 'close'))[0]).toBe(1009)
  const tooLarge = await opened(door, alice)
  tooLarge.send(Buffer.alloc(256 * 1024 + 1))
  expect((await once(tooLarge, 'close'))[0]).toBe(1009)
})

test('when the broker stops, streams end with 1001 and nothing is left open', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished, {stream: talk})
  const socket = await opened(door, await logIn(door, 'alice'))
  const closed = once(socket, 'close')
  await door.stop()
  expect((await closed)[0]).toBe(1001)
  await expect(fetch(door.origin)).rejects.toThrow()
})
