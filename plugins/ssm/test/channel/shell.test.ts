import {once} from 'node:events'
import {text} from 'node:stream/consumers'
import {setTimeout as wait} from 'node:timers/promises'
import type {Channel} from '@prod/sdk'
import {expect, test} from 'vitest'
import {encodeFrame, payloadTypes} from '../../src/channel/frame.ts'
import {createSeal} from '../../src/channel/seal.ts'
import {openShell} from '../../src/channel/shell.ts'
import {json, optionsFor, type Peer, startPeer} from './peer.ts'

const size = {columns: 100, rows: 30}
const typed = (peer: Peer): string =>
  peer.input
    .filter(({payloadType}) => payloadType === payloadTypes.output)
    .map(({payload}) => payload.toString())
    .join('')
const sizes = (peer: Peer): string[] =>
  peer.input.filter(({payloadType}) => payloadType === payloadTypes.size).map(({payload}) => payload.toString())

/** Resolves when it is so: looks at each message of the agent's side. */
async function until(so: () => boolean): Promise<void> {
  while (!so()) await wait(5)
}

async function openPeer(onFinished: (stop: () => Promise<void>) => void): Promise<{peer: Peer; shell: Channel}> {
  const peer = await startPeer(onFinished)
  peer.onToken = () => peer.send(payloadTypes.output, '$ ')
  const shell = await openShell(optionsFor(peer), size)
  onFinished(async () => void (await shell.end('the test is over')))
  return {peer, shell}
}

test('a shell begins with output, is told its size, takes keys, and ends with the channel', async ({onTestFinished}) => {
  const {peer, shell} = await openPeer(onTestFinished)
  const output = text(shell.stdout)
  shell.stdin.write('stty size\r')
  await until(() => typed(peer).endsWith('\r'))
  peer.send(payloadTypes.output, '30 100\r\n')
  shell.resize({columns: 80, rows: 24})
  await until(() => sizes(peer).includes('{"cols":80,"rows":24}'))
  peer.close()
  expect(await shell.ended).toEqual({status: 0})
  expect(await output).toBe('$ 30 100\r\n')
  expect(await text(shell.stderr)).toBe('')
  expect(sizes(peer)[0]).toBe('{"cols":100,"rows":30}')
  expect(peer.tokens[0]).toEqual({
    MessageSchemaVersion: '1.0',
    RequestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    TokenValue: 'token-0',
    ClientId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    ClientVersion: '1.2.764.0',
  })
})

test('the URL is sent byte for byte, without extensions, and a redirect is not followed', async ({onTestFinished}) => {
  const {peer} = await openPeer(onTestFinished)
  expect(peer.upgrades[0]?.url).toBe('/v1/data-channel/alice-0a1b?role=publish_subscribe&cell-number=AA+/=')
  expect(peer.upgrades[0]?.headers).not.toHaveProperty('sec-websocket-extensions')
  expect(peer.upgrades[0]?.headers).not.toHaveProperty('sec-websocket-protocol')
  peer.refuse = 302
  await expect(openShell(optionsFor(peer, {timings: {openMs: 100}}), size)).rejects.toMatchObject({
    code: 'TARGET_UNREACHABLE',
    message: expect.stringContaining('302'),
  })
})

test('keys are taken before the program has put out anything', async ({onTestFinished}) => {
  const peer = await startPeer(onTestFinished)
  const shell = await openShell(optionsFor(peer), size)
  shell.stdin.write('x')
  await until(() => typed(peer) === 'x')
  expect(sizes(peer)).toContain('{"cols":100,"rows":30}')
  await shell.end('the test is over')
})

test('signals are keys; one line feed stays one; input that ends is Ctrl-D, and the session goes on', async ({onTestFinished}) => {
  const {peer, shell} = await openPeer(onTestFinished)
  const output = text(shell.stdout)
  shell.stdin.write('\n')
  await until(() => typed(peer) === '\n')
  shell.signal('SIGINT')
  shell.signal('SIGQUIT')
  await until(() => typed(peer) === '\n\x03\x1c')
  shell.stdin.end()
  await until(() => typed(peer) === '\n\x03\x1c\x04')
  peer.send(payloadTypes.output, 'still here')
  peer.close()
  expect(await output).toBe('$ still here')
})

test('a message that comes again is acknowledged again and shown once; one too early waits for its turn', async ({onTestFinished}) => {
  const {peer, shell} = await openPeer(onTestFinished)
  const output = text(shell.stdout)
  peer.fault = ({sequenceNumber, messageType}, to) => ({
    times: messageType === 'output_stream_data' && to === 'client' && sequenceNumber === 2 ? 3 : 1,
  })
  const made = [1, 2, 3].map(number =>
    encodeFrame({
      messageType: 'output_stream_data',
      createdDate: 1,
      sequenceNumber: number,
      flags: 0,
      payloadType: 1,
      payload: Buffer.from(String(number)),
    }),
  )
  for (const number of [2, 1, 1, 0, 2]) if (made[number]) peer.raw(made[number])
  await until(() => peer.acknowledged.filter(number => number === 2).length >= 2)
  peer.close()
  expect(await output).toBe('$ 123')
})

test('an acknowledgement that was lost does not hang the session', async ({onTestFinished}) => {
  const {peer, shell} = await openPeer(onTestFinished)
  const output = text(shell.stdout)
  let lost = 0
  peer.fault = ({messageType}, to) => ({times: to === 'agent' && messageType === 'acknowledge' && lost++ < 2 ? 0 : 1})
  for (const word of ['a', 'b', 'c']) peer.send(payloadTypes.output, word)
  await until(() => [1, 2, 3].every(number => peer.acknowledged.includes(number)))
  peer.close()
  expect(await output).toBe('$ abc')
})

test('keys survive a cut: the session is resumed with what ResumeSession gave, as the same client, signed anew', async ({
  onTestFinished,
}) => {
  const peer = await startPeer(onTestFinished)
  peer.onToken = () => peer.tokens.length === 1 && peer.send(payloadTypes.output, '$ ')
  let signed = 0
  const shell = await openShell(optionsFor(peer, {sign: () => ({'x-signed': String(++signed)})}), size)
  peer.cut()
  shell.stdin.write('typed while it was down')
  await until(() => typed(peer) === 'typed while it was down')
  expect(peer.tokens.map(({TokenValue}) => TokenValue)).toEqual(['token-0', 'token-1'])
  expect(new Set(peer.tokens.map(({ClientId}) => ClientId)).size).toBe(1)
  expect(new Set(peer.tokens.map(({RequestId}) => RequestId)).size).toBe(2)
  expect(peer.upgrades.map(({headers}) => headers['x-signed'])).toEqual(['1', '2'])
  await shell.end('the test is over')
})

test('a session that ResumeSession knows no more is over, and its status unknown', async ({onTestFinished}) => {
  const peer = await startPeer(onTestFinished)
  peer.onToken = () => peer.send(payloadTypes.output, '$ ')
  const shell = await openShell(optionsFor(peer, {renew: async () => ({})}), size)
  peer.cut()
  expect(await shell.ended).toEqual({unknown: expect.stringContaining('is over')})
})

test('a right that has ended stops the resuming at once', async ({onTestFinished}) => {
  const peer = await startPeer(onTestFinished)
  peer.onToken = () => peer.send(payloadTypes.output, '$ ')
  const gone = Object.assign(new Error('no'), {name: 'DoesNotExistException'})
  let asked = 0
  const renew = async () => {
    asked++
    throw gone
  }
  const shell = await openShell(optionsFor(peer, {renew}), size)
  peer.cut()
  expect(await shell.ended).toEqual({unknown: expect.stringContaining('does not exist')})
  expect(asked).toBe(1)
})

test('an upgrade that is refused is told, and nothing hangs', async ({onTestFinished}) => {
  const peer = await startPeer(onTestFinished)
  peer.refuse = 403
  await expect(openShell(optionsFor(peer), size)).rejects.toMatchObject({
    code: 'TARGET_UNREACHABLE',
    message: 'AWS refused ssmmessages:OpenDataChannel on session/alice-0a1b',
  })
})

test('while resuming, a stale URL and a refusal are tried again with what ResumeSession gives next', async ({onTestFinished}) => {
  const peer = await startPeer(onTestFinished)
  peer.onToken = () => peer.tokens.length === 1 && peer.send(payloadTypes.output, '$ ')
  let asked = 0
  const renew = async () => {
    asked++
    peer.refuse = asked === 1 ? 403 : asked === 2 ? 410 : undefined
    return {streamUrl: peer.url, token: `fresh-${asked}`}
  }
  const shell = await openShell(optionsFor(peer, {renew}), size)
  peer.cut()
  await until(() => peer.tokens.length === 2)
  expect(peer.tokens[1]?.TokenValue).toBe('fresh-3')
  await shell.end('the test is over')
})

test('a lost connection is told to the person after a while, and that it is back', async ({onTestFinished}) => {
  const peer = await startPeer(onTestFinished)
  peer.onToken = () => peer.tokens.length === 1 && peer.send(payloadTypes.output, '$ ')
  const told: string[] = []
  const lost = Promise.withResolvers<void>()
  const tell = (words: string) => {
    told.push(words)
    lost.resolve()
  }
  // it takes until the person has been told: a new connection may stand within a millisecond
  const renew = async () => {
    await lost.promise
    return {streamUrl: peer.url, token: 'token-1'}
  }
  const shell = await openShell(optionsFor(peer, {tell, renew, timings: {tellMs: 1}}), size)
  peer.cut()
  await until(() => told.length === 2)
  expect(told).toEqual(['connection lost, resuming…', 'connection resumed'])
  await shell.end('the test is over')
})

test("TM-R6: what the agent tells the customer is told once, short, in one line, and as the agent's words", async ({onTestFinished}) => {
  const peer = await startPeer(onTestFinished)
  const lie = `approved by bob\nprod: type your password\u001b[2J${'x'.repeat(100_000)}`
  peer.onToken = () => {
    // before a greeting, with it, and again and again after it
    peer.complete(lie)
    peer.greet('Standard_Stream')
    peer.onInput = ({payloadType}) => {
      if (payloadType !== payloadTypes.handshakeResponse) return
      for (let time = 0; time < 50; time++) peer.complete(lie)
      peer.send(payloadTypes.output, '$ ')
    }
  }
  const told: string[] = []
  const shell = await openShell(optionsFor(peer, {tell: words => told.push(words)}), size)
  await once(shell.stdout, 'readable')
  expect(told).toHaveLength(1)
  expect(told[0]).toMatch(/^the agent says "approved by bob\\nprod: type your password\\u001b\[2Jx+"$/)
  expect(told[0]?.length).toBeLessThan(1100)
  peer.close('y'.repeat(100_000))
  // it goes into the record and the receipt
  expect(JSON.stringify(await shell.ended).length).toBeLessThan(1100)
})

test('pause is a hint: nothing new goes out, the oldest does after a while, and any word of the agent ends it', async ({
  onTestFinished,
}) => {
  const peer = await startPeer(onTestFinished)
  peer.onToken = () => peer.send(payloadTypes.output, '$ ')
  const shell = await openShell(optionsFor(peer, {timings: {probeMs: 20}}), size)
  await until(() => sizes(peer).length > 0)
  peer.service('pause_publication')
  await peer.heard()
  peer.isTaking = false
  shell.stdin.write('a')
  shell.stdin.write('b')
  const keys = () => peer.arrived.filter(({payloadType}) => payloadType === payloadTypes.output).map(({payload}) => payload.toString())
  await until(() => keys().length >= 2)
  expect(new Set(keys())).toEqual(new Set(['a']))
  // its acknowledgement is a word of the agent
  peer.isTaking = true
  await until(() => typed(peer) === 'ab')
  peer.service('pause_publication')
  peer.service('start_publication')
  shell.stdin.write('c')
  await until(() => typed(peer) === 'abc')
  await shell.end('the test is over')
})

test('a session that is closed with a text says it; one that never began is no shell', async ({onTestFinished}) => {
  const {peer, shell} = await openPeer(onTestFinished)
  peer.close('\n----------ERROR-------\nSession timed out')
  expect(await shell.ended).toEqual({unknown: '----------ERROR-------\nSession timed out'})

  const other = await startPeer(onTestFinished)
  other.onToken = () => other.close('plugin not found')
  await expect(openShell(optionsFor(other, {timings: {graceMs: 10_000}}), size)).rejects.toMatchObject({
    code: 'TARGET_UNREACHABLE',
    message: 'the session did not begin: plugin not found',
  })
})

test('TM-X4: ending it here ends it at AWS, also when the caller goes away', async ({onTestFinished}) => {
  const peer = await startPeer(onTestFinished)
  peer.onToken = () => peer.send(payloadTypes.output, '$ ')
  let terminated = 0
  const terminate = async () => void terminated++
  const gone = new AbortController()
  const shell = await openShell(optionsFor(peer, {terminate, signal: gone.signal, timings: {endMs: 20}}), size)
  gone.abort()
  expect(await shell.ended).toEqual({unknown: expect.stringContaining('ended')})
  expect(terminated).toBe(1)
  await until(() => peer.sockets.size === 0)
})

test('a frame that breaks the protocol is dropped, and the session goes on', async ({onTestFinished}) => {
  const {peer, shell} = await openPeer(onTestFinished)
  const good = encodeFrame({
    messageType: 'output_stream_data',
    createdDate: 1,
    sequenceNumber: 1,
    flags: 0,
    payloadType: 1,
    payload: Buffer.from('ok'),
  })
  for (const bad of [Buffer.alloc(0), Buffer.alloc(119), Buffer.alloc(4000, 0xff), Buffer.from(good).fill(0, 125)]) peer.raw(bad)
  peer.raw(
    encodeFrame({messageType: 'acknowledge', createdDate: 1, sequenceNumber: 0, flags: 3, payloadType: 0, payload: Buffer.from('[]')}),
  )
  peer.raw(
    encodeFrame({messageType: 'channel_closed', createdDate: 1, sequenceNumber: 0, flags: 0, payloadType: 0, payload: Buffer.from('no')}),
  )
  peer.raw(
    encodeFrame({messageType: 'some_future_type', createdDate: 1, sequenceNumber: 0, flags: 0, payloadType: 0, payload: Buffer.from('{}')}),
  )
  peer.raw(good)
  const output = text(shell.stdout)
  await until(() => peer.acknowledged.includes(1))
  peer.close()
  expect(await output).toBe('$ ok')
})

/** The agent's side of an encrypted session. */
function encrypt(peer: Peer, dataKey: Buffer, {challenge = 'AAECAwQFBgcICQoLDA0ODw=='} = {}): ReturnType<typeof createSeal> {
  // seen from the agent, the halves are exchanged
  const seal = createSeal(Buffer.concat([dataKey.subarray(32), dataKey.subarray(0, 32)]))
  const secret = Buffer.alloc(64, 5)
  peer.onInput = ({payloadType, payload}) => {
    if (payloadType === payloadTypes.handshakeResponse)
      peer.send(payloadTypes.challengeRequest, json({Challenge: seal.seal(secret).toString('base64')}))
    if (payloadType === payloadTypes.challengeResponse) {
      const {Challenge} = JSON.parse(payload.toString()) as {Challenge: string}
      if (seal.open(Buffer.from(Challenge, 'base64'))?.equals(secret)) peer.complete('This session is encrypted using AWS KMS.')
    }
  }
  const wish = {
    ActionType: 'KMSEncryption',
    ActionParameters: {KMSKeyId: 'arn:aws:kms:eu-west-1:1:key/k', ...(challenge ? {Challenge: challenge} : {})},
  }
  peer.greet('Standard_Stream', {more: [wish]})
  return seal
}

test('an encrypted shell: the key is bound to session, target and challenge; bytes are sealed both ways, sizes are not', async ({
  onTestFinished,
}) => {
  const peer = await startPeer(onTestFinished)
  const dataKey = Buffer.from(Array.from({length: 64}, (_, at) => at))
  let seal: ReturnType<typeof createSeal> | undefined
  peer.onToken = () => {
    seal = encrypt(peer, Buffer.from(dataKey))
  }
  const asked: unknown[] = []
  const told: string[] = []
  const shell = await openShell(
    optionsFor(peer, {
      tell: words => told.push(words),
      kms: {
        required: true,
        async generate({keyId, context}) {
          asked.push({keyId, context})
          return {plaintext: Buffer.from(dataKey), ciphertext: Buffer.from('sealed key')}
        },
      },
    }),
    size,
  )
  expect(asked).toEqual([
    {
      keyId: 'arn:aws:kms:eu-west-1:1:key/k',
      context: {
        'aws:ssm:SessionId': 'alice-0a1b',
        'aws:ssm:TargetId': 'i-0123456789abcdef0',
        'aws:ssm:RandomChallenge': 'AAECAwQFBgcICQoLDA0ODw==',
      },
    },
  ])
  const response = peer.input.find(({payloadType}) => payloadType === payloadTypes.handshakeResponse)?.payload.toString()
  expect(response).toBe(
    '{"ClientVersion":"1.2.764.0","ProcessedClientActions":[{"ActionType":"SessionType","ActionStatus":1,"ActionResult":null,"Error":""},{"ActionType":"KMSEncryption","ActionStatus":1,"ActionResult":{"KMSCipherTextKey":"c2VhbGVkIGtleQ==","KMSCipherTextHash":null,"ChallengeAcknowledgement":true},"Error":""}],"Errors":null}',
  )
  expect(told).toContain('the agent says "This session is encrypted using AWS KMS."')
  shell.stdin.write('secret')
  const sealed = () => peer.input.filter(({payloadType}) => payloadType === payloadTypes.output)
  await until(() => sealed().length === 1)
  expect(seal?.open(sealed()[0]?.payload ?? Buffer.alloc(0))?.toString()).toBe('secret')
  expect(sizes(peer)).toContain('{"cols":100,"rows":30}')
  peer.send(payloadTypes.output, seal?.seal(Buffer.from('answer')) ?? '')
  expect(String((await once(shell.stdout, 'data'))[0])).toBe('answer')
  // what nobody sealed is not shown
  peer.send(payloadTypes.output, 'forged by somebody on the way')
  expect(await shell.ended).toEqual({unknown: "a message was not sealed with the session's key"})
})

test('where the session must be encrypted, a plain one is refused, and so is another key', async ({onTestFinished}) => {
  const generate = async () => ({plaintext: Buffer.alloc(64), ciphertext: Buffer.alloc(1)})
  const plain = await startPeer(onTestFinished)
  plain.onToken = () => plain.send(payloadTypes.output, '$ ')
  await expect(openShell(optionsFor(plain, {kms: {generate, required: true}}), size)).rejects.toThrow('is not encrypted')
  const other = await startPeer(onTestFinished)
  other.onToken = () => void encrypt(other, Buffer.alloc(64))
  await expect(openShell(optionsFor(other, {kms: {generate, keyId: 'arn:aws:kms:eu-west-1:1:key/ours'}}), size)).rejects.toThrow(
    'another key',
  )
})

test('a KMS that refuses ends the session with its reason, and the agent is told', async ({onTestFinished}) => {
  const peer = await startPeer(onTestFinished)
  peer.onToken = () => void encrypt(peer, Buffer.alloc(64))
  const generate = () => Promise.reject(Object.assign(new Error('with an account number in it'), {name: 'AccessDeniedException'}))
  await expect(openShell(optionsFor(peer, {kms: {generate}}), size)).rejects.toThrow(
    'KMS gave no data key (kms:GenerateDataKey): AccessDeniedException',
  )
  const response = JSON.parse(
    peer.input.find(({payloadType}) => payloadType === payloadTypes.handshakeResponse)?.payload.toString() ?? '{}',
  )
  expect(response.ProcessedClientActions[1]).toMatchObject({ActionStatus: 2, ActionResult: null})
})

test('an agent that greets late has thrown away what came before: it is sent again, sealed, with the size', async ({onTestFinished}) => {
  const peer = await startPeer(onTestFinished)
  const dataKey = Buffer.alloc(64, 1).fill(2, 32)
  const generate = async () => ({plaintext: Buffer.from(dataKey), ciphertext: Buffer.alloc(1)})
  const shell = await openShell(optionsFor(peer, {kms: {generate}}), size)
  shell.stdin.write('early')
  await until(() => typed(peer) === 'early')
  const before = peer.input.length
  const seal = encrypt(peer, Buffer.from(dataKey))
  shell.stdin.write(' late')
  const opened = () =>
    peer.input
      .slice(before)
      .filter(({payloadType}) => payloadType === payloadTypes.output)
      .map(({payload}) => seal.open(payload)?.toString())
      .join('')
  await until(() => opened() === 'early late')
  expect(peer.input.slice(before).filter(({payloadType}) => payloadType === payloadTypes.size)).toHaveLength(1)
  await shell.end('the test is over')
})

test('a session of another type than was asked for is refused with status 3', async ({onTestFinished}) => {
  const peer = await startPeer(onTestFinished)
  peer.onToken = () => peer.greet('Port', {more: [{ActionType: 'Unheard', ActionParameters: {}}]})
  await expect(openShell(optionsFor(peer), size)).rejects.toThrow('session type Port is not what was asked for')
  const response = JSON.parse(
    peer.input.find(({payloadType}) => payloadType === payloadTypes.handshakeResponse)?.payload.toString() ?? '{}',
  )
  expect(response.ProcessedClientActions.map(({ActionStatus}: {ActionStatus: number}) => ActionStatus)).toEqual([3, 3])
})

test('a shell whose output nobody reads makes the far side wait, and loses nothing', async ({onTestFinished}) => {
  const {peer, shell} = await openPeer(onTestFinished)
  const piece = Buffer.alloc(1024, 'x')
  const pieces = 12 * 1024
  let sent = 0
  const fill = async () => {
    while (sent < pieces) {
      for (let count = 0; count < 256 && sent < pieces; count++, sent++) peer.send(payloadTypes.output, piece)
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  await fill()
  await wait(50)
  expect(shell.stdout.readableLength).toBeLessThan(3 * 1024 ** 2)
  let got = 0
  shell.stdout.on('data', chunk => {
    got += (chunk as Buffer).length
    if (got === pieces * 1024 + 2) peer.close()
  })
  expect(await shell.ended).toEqual({status: 0})
  expect(got).toBe(pieces * 1024 + 2)
})
