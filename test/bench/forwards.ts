/** Forwards of instances by the built CLI, through a broker, and what goes through them. */
import {createHash, randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {type AddressInfo, connect, createServer, type Socket} from 'node:net'
import {createInterface} from 'node:readline'
import type {RealPerson} from '../e2e/broker.ts'
import {reason} from './far-side.ts'

/** A port of ours, by a forward that leads to a server of ours. */
export async function openForward(
  alice: RealPerson,
  serve: (socket: Socket) => void,
): Promise<{farPort: string; connect(): Promise<Socket>; close(): Promise<void>}> {
  const server = createServer(socket => serve(socket.on('error', () => {}))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const farPort = String((server.address() as AddressInfo).port)
  const place = `0:localhost:${farPort}`
  const child = await alice.start(['forward', 'web-1', '-L', place, '--reason', reason, '--json'])
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const {port} = (JSON.parse(line) as {forwards: [{port: number}]}).forwards[0]
  const sockets: Socket[] = []
  return {
    farPort,
    async connect() {
      const socket = connect({port, host: '127.0.0.1', noDelay: true})
      sockets.push(socket)
      await once(socket, 'connect')
      return socket
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      child.kill('SIGINT')
      await once(child, 'exit')
      server.close()
    },
  }
}

/** Sends random bytes to a server that reads: bytes a second. Throws where other bytes came. */
export async function sendThrough(alice: RealPerson, bytes: number): Promise<number> {
  const data = randomBytes(bytes)
  const hash = createHash('sha256')
  let got = 0
  const all = Promise.withResolvers<void>()
  const forward = await openForward(alice, socket =>
    socket.on('data', part => {
      hash.update(part)
      got += part.length
      if (got === bytes) all.resolve()
    }),
  )
  const socket = await forward.connect()
  const from = performance.now()
  for (let at = 0; at < bytes; at += 65_536) if (!socket.write(data.subarray(at, at + 65_536))) await once(socket, 'drain')
  await all.promise
  const seconds = (performance.now() - from) / 1000
  await forward.close()
  if (hash.digest('hex') !== createHash('sha256').update(data).digest('hex')) throw new Error('other bytes came than were sent')
  return bytes / seconds
}

/** Gets random bytes from a server that writes: bytes a second. Throws where other bytes came. */
export async function getThrough(alice: RealPerson, bytes: number): Promise<number> {
  const data = randomBytes(bytes)
  const hash = createHash('sha256')
  const forward = await openForward(alice, socket => void socket.end(data))
  const from = performance.now()
  let got = 0
  for await (const part of await forward.connect()) {
    hash.update(part as Buffer)
    got += (part as Buffer).length
    if (got === bytes) break
  }
  const seconds = (performance.now() - from) / 1000
  await forward.close()
  if (hash.digest('hex') !== createHash('sha256').update(data).digest('hex')) throw new Error('other bytes came than were sent')
  return bytes / seconds
}
