/** Where a listener may be, and how it starts. */
import type {Server} from 'node:http'
import type {AddressInfo, Socket} from 'node:net'
import {ProdError} from '@prod/sdk/errors'
import type {Config} from '../config.ts'

/** Whether an address names this machine literally, so that no name server can move it. Pure. */
export function isLoopback(host: string): boolean {
  return /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host) || host === '::1'
}

/** Every connection of a server, those upgraded or still shaking hands too. */
const connections = new WeakMap<Server, Set<Socket>>()

/** Listens and gives the port. Throws PORT_IN_USE. */
export async function listen(server: Server, {host, port}: Pick<Config['listen'], 'host' | 'port'>): Promise<number> {
  const {promise, resolve, reject} = Promise.withResolvers<void>()
  const open = new Set<Socket>()
  connections.set(server, open)
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  server.once('error', reject)
  server.listen({host, port, backlog: 1024}, resolve)
  try {
    await promise
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause
    throw new ProdError('PORT_IN_USE', `port ${port} of ${host} is taken`, 'prod broker start --port 0', {cause})
  }
  server.off('error', reject)
  return (server.address() as AddressInfo).port
}

const closeMs = 2000

/** Takes nothing new, lets what is being answered end, and cuts what takes longer than 2 s. */
export function closeServer(server: Server): Promise<void> {
  const {promise, resolve} = Promise.withResolvers<void>()
  const timer = setTimeout(() => {
    for (const socket of connections.get(server) ?? []) socket.destroy()
  }, closeMs)
  server.close(() => {
    clearTimeout(timer)
    resolve()
  })
  server.closeIdleConnections()
  return promise
}
