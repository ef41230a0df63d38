/** The far side of a forward on this machine, for {@link primitiveContract}. */
import {createServer, type Server, type Socket} from 'node:net'
import {text} from 'node:stream/consumers'
import type {HostPort} from '../domain.ts'
import type {ForwardedServer} from './primitive-contract.ts'

/** Starts all of it on free ports of `host`. */
export async function serveForwarded(host = '127.0.0.1'): Promise<ForwardedServer> {
  const servers: Server[] = []
  const open = new Set<Socket>()
  const serve = async (act: (socket: Socket) => void): Promise<HostPort> => {
    const server = createServer({allowHalfOpen: true}, socket => {
      open.add(socket)
      socket.once('close', () => open.delete(socket)).on('error', () => {})
      act(socket)
    })
    await new Promise<void>(resolve => server.listen(0, host, resolve))
    servers.push(server)
    return {host, port: (server.address() as {port: number}).port}
  }
  let got = Promise.withResolvers<string>()
  const greeter = await serve(socket => {
    got = Promise.withResolvers()
    got.promise.catch(() => {})
    socket.end('hello')
    text(socket).then(got.resolve, got.reject)
  })
  const nobody = await serve(() => {})
  await new Promise(resolve => servers.at(-1)?.close(resolve))
  return {
    echo: await serve(socket => void socket.pipe(socket)),
    greeter,
    got: () => got.promise,
    breaker: await serve(socket => void socket.once('data', () => socket.resetAndDestroy())),
    nobody,
    async close() {
      for (const socket of open) socket.destroy()
      await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
    },
  }
}
