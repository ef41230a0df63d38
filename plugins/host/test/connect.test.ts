import type {AddressInfo} from 'node:net'
import {createServer} from 'node:net'
import {text} from 'node:stream/consumers'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {connect} from '../src/connect.ts'
import {primitive} from '../src/index.ts'

const server = createServer(socket => socket.end('inside'))
const never = new AbortController().signal
let port: number
beforeAll(async () => {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})
afterAll(() => void server.close())

const named =
  (...addresses: string[]) =>
  async () =>
    addresses.map(address => ({address}))

test.each([
  ['a name that leads to the machine itself', 'db.internal', '127.0.0.1'],
  ['the same over IPv6', 'db.internal', '::1'],
  ['the same as a mapped address', 'db.internal', '::ffff:127.0.0.1'],
  ['a name that leads to metadata', 'db.internal', '169.254.169.254'],
  ['metadata as a mapped address', 'db.internal', '::ffff:169.254.169.254'],
  ['metadata behind a translation', 'db.internal', '64:ff9b::a9fe:a9fe'],
  ['every address of this machine', 'db.internal', '0.0.0.0'],
  ['localhost that leads elsewhere', 'localhost', '10.0.0.1'],
])('TM-A7: %s is not connected to', async (_, host, address) => {
  await expect(connect({host, port}, never, named(address))).rejects.toMatchObject({
    code: 'TARGET_UNREACHABLE',
    message: expect.stringContaining('nobody is led to'),
  })
})

test('TM-A7: a name is resolved once, and of its addresses only what is allowed is tried', async () => {
  let asked = 0
  const channel = await connect({host: 'localhost', port}, never, async () => {
    asked++
    return [{address: '169.254.169.254'}, {address: '10.0.0.1'}, {address: '127.0.0.1'}]
  })
  channel.stderr.resume()
  channel.stdin.end()
  expect([await text(channel.stdout), asked]).toEqual(['inside', 1])
  expect(await channel.ended).toEqual({status: 0})
})

test('a name that nobody knows is said to be so', async () => {
  const unknown = async () => Promise.reject(new Error('ENOTFOUND'))
  await expect(connect({host: 'db.internal', port}, never, unknown)).rejects.toMatchObject({
    code: 'TARGET_UNREACHABLE',
    message: expect.stringContaining('not known'),
  })
})

test('says where a connection leads', () => {
  expect(primitive.permissions({name: 'local'}, {kind: 'forward', to: {host: '::1', port: 80}})).toEqual([
    {kind: 'os', actions: ['connect'], resources: ['tcp:[::1]:80']},
  ])
})
