import {generateKeyPairSync} from 'node:crypto'
import {once} from 'node:events'
import type {AddressInfo} from 'node:net'
import {createLoginKey} from '@prod/sdk/dpop'
import type {Session} from '@prod/sdk/session'
import {type FirstMessage, frame, type ServerMessage} from '@prod/sdk/wire'
import {CompactSign} from 'jose'
import {expect, type TestContext, test, vi} from 'vitest'
import {type WebSocket, WebSocketServer} from 'ws'
import {followRun} from '../src/channel/exec.ts'

const {privateKey, publicKey} = generateKeyPairSync('ed25519')
const run = 'run_0000000000001'
const first = {
  type: 'exec',
  key: 'k'.repeat(22),
  argv: ['web', 'restart'],
  targets: [],
  reason: 'the site answers slowly',
  wait: true,
  stdin: false,
  client: {version: 'test', platform: 'test'},
} satisfies FirstMessage

/** A far end that does what `serve` says with the first message of each connection. */
async function follow(
  onTestFinished: TestContext['onTestFinished'],
  serve: (far: WebSocket, message: FirstMessage, count: number) => Promise<void> | void,
) {
  const server = new WebSocketServer({host: '127.0.0.1', port: 0})
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  let count = 0
  server.on('connection', far => {
    count += 1
    const now = count
    far.once('message', data => void serve(far, JSON.parse(String(data)) as FirstMessage, now))
  })
  const {key} = createLoginKey()
  const broker = {name: 'far', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`}
  const session = {
    broker,
    key,
    renewAt: Date.now() + 600_000,
    tokenEndsAt: Date.now() + 900_000,
    token: async () => 'token',
    renew: async () => 'token',
  } as unknown as Session
  return followRun({
    broker,
    session,
    pins: {receiptKey: publicKey.export({format: 'jwk'}) as Record<string, string>, logKey: ''},
    first,
    json: true,
    raw: false,
    onInterrupt: () => {},
  })
}

const say = (far: WebSocket, message: ServerMessage) => far.send(JSON.stringify(message))
async function finish(far: WebSocket): Promise<void> {
  say(far, {
    type: 'started',
    id: run,
    request: 'req_0000000000001',
    target: 'local',
    environment: 'production',
    correlation: '',
    stdout: 0,
    stderr: 0,
  })
  const end = {id: run, exit: {status: 7}, endedBy: null, stdoutBytes: 0, stderrBytes: 0, iat: 0}
  const jws = await new CompactSign(Buffer.from(JSON.stringify(end)))
    .setProtectedHeader({alg: 'EdDSA', typ: 'prod-end+jws'})
    .sign(privateKey)
  far.send(Buffer.concat([Buffer.of(frame.end), Buffer.from(jws)]))
  far.close(1000)
}

test('TM-N3: a link that is cut before the broker said a word is taken up with the same words and the same key', async ({
  onTestFinished,
}) => {
  const heard: FirstMessage[] = []
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  onTestFinished(() => said.mockRestore())
  const outcome = await follow(onTestFinished, (far, message, count) => {
    heard.push(message)
    if (count === 1) far.terminate()
    else return finish(far)
  })
  expect(outcome).toMatchObject({status: 7, id: run})
  expect(heard).toEqual([first, first])
  expect(said.mock.calls.map(([line]) => line)).toEqual(['prod: connection lost; taking up the request again\n', 'prod: connected again\n'])
})

test('a link that is cut before the start, after stdin was read, is not taken up: what was read is gone', async ({onTestFinished}) => {
  const lost = follow(onTestFinished, far => {
    say(far, {type: 'stdin-wanted'})
    setImmediate(() => far.terminate())
  })
  await expect(lost).rejects.toMatchObject({code: 'OUTCOME_UNKNOWN', hint: 'prod request ls --mine'})
})
