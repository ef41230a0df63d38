import {createHash, randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {type AddressInfo, createServer} from 'node:net'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {payload} from './frame.ts'
import {type StandIn, startStandIn} from './stand-in.ts'
import {call, start} from './test-client.ts'

let standIn: StandIn
const target = 'i-0a1b2c3d4e5f60001'
beforeAll(async () => {
  standIn = await startStandIn({agent: {pieceDelayMs: 0}})
})
afterAll(() => standIn.close())

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

test('a command with streams apart gives stdout, stderr and its status', async () => {
  const command = await start(standIn, {
    Target: target,
    DocumentName: 'Prod-RunCommand',
    Parameters: {command: [`sh -c 'echo out; echo err >&2; exit 3'`]},
  })
  expect(await command.closed).toBe('')
  expect([command.text(), Buffer.concat(command.errors).toString(), command.exitText]).toEqual(['out\n', 'err\n', 'EXIT_CODE: 3'])
})

test('many connections go through one port session', async () => {
  const echo = createServer(socket => socket.pipe(socket)).listen(0, '127.0.0.1')
  await once(echo, 'listening')
  const port = String((echo.address() as AddressInfo).port)
  const session = await start(standIn, {Target: target, DocumentName: 'AWS-StartPortForwardingSession', Parameters: {portNumber: [port]}})
  await session.until(() => session.requested !== undefined)
  const smux = (what: number, id: number, data = Buffer.alloc(0)): Buffer => {
    const header = Buffer.from([1, what, 0, 0, 0, 0, 0, 0])
    header.writeUInt16LE(data.length, 2)
    header.writeUInt32LE(id, 4)
    return Buffer.concat([header, data])
  }
  const bytes = randomBytes(30_000)
  session.send(payload.output, Buffer.concat([smux(0, 3), smux(0, 5), smux(2, 5, Buffer.from('five'))]))
  session.send(payload.output, smux(2, 3, bytes))
  const received = (id: number): Buffer => {
    const all = Buffer.concat(session.output)
    const parts: Buffer[] = []
    for (let at = 0; at + 8 <= all.length; at += 8 + all.readUInt16LE(at + 2))
      if (all[at + 1] === 2 && all.readUInt32LE(at + 4) === id) parts.push(all.subarray(at + 8, at + 8 + all.readUInt16LE(at + 2)))
    return Buffer.concat(parts)
  }
  await session.until(() => received(3).length === bytes.length && received(5).length === 4)
  expect(createHash('sha256').update(received(3)).digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'))
  expect(received(5).toString()).toBe('five')
  session.send(payload.flag, Buffer.from([0, 0, 0, 2]))
  expect(await session.closed).toBe('')
  echo.close()
})

test('a session is taken up again with a new address and token, and nothing is lost', async () => {
  const shell = await start(standIn, {Target: target})
  shell.send(payload.output, Buffer.from('echo before-$((1 + 1))\r'))
  await shell.until('before-2')
  standIn.sessions.get(shell.id)?.cut('client')
  await once(shell.socket, 'close')
  shell.send(payload.output, Buffer.from('echo after-$((1 + 2))\r'))
  const {StreamUrl, TokenValue} = await call(standIn, 'ssm', 'ResumeSession', {SessionId: shell.id})
  await shell.reconnect(StreamUrl ?? '', TokenValue ?? '')
  await shell.until('after-3')
  await call(standIn, 'ssm', 'TerminateSession', {SessionId: shell.id})
  await shell.closed
  expect(await call(standIn, 'ssm', 'ResumeSession', {SessionId: shell.id})).toEqual({SessionId: shell.id})
})
