import {createServer, type Server, type Socket} from 'node:net'
import {ProdError} from '@prod/sdk/errors'
import {tokenBytes} from './messages.ts'

/** The runner's end of all byte streams: who is awaited on its socket. */
export interface Links {
  /** The connection that begins with this token; one that nobody makes is given up. */
  take(token: string): Promise<Socket>
  close(): void
}

const strangerMilliseconds = 30_000

/** Listens for the broker's connections. */
export async function listen(socket: string): Promise<Links> {
  const meetings = new Map<string, PromiseWithResolvers<Socket> & {timer: NodeJS.Timeout}>()
  /** A connection may come before the message that tells of it. */
  const meeting = (token: string) => {
    const known = meetings.get(token)
    if (known) return known
    const met = Promise.withResolvers<Socket>()
    const timer = setTimeout(() => {
      meetings.delete(token)
      met.reject(new ProdError('TARGET_UNREACHABLE', 'the broker did not connect', 'prod doctor'))
      met.promise.then(
        connection => connection.destroy(),
        () => {},
      )
    }, strangerMilliseconds)
    const fresh = {...met, timer}
    meetings.set(token, fresh)
    return fresh
  }

  const server: Server = createServer({allowHalfOpen: true, pauseOnConnect: true}, connection => {
    connection.on('error', () => {})
    const timer = setTimeout(() => connection.destroy(), strangerMilliseconds)
    const read = () => {
      const head: Buffer | null = connection.read(tokenBytes)
      if (!head) return
      clearTimeout(timer)
      connection.off('readable', read)
      meeting(head.toString('latin1')).resolve(connection)
    }
    connection.on('readable', read)
    connection.once('end', () => clearTimeout(timer))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(socket, resolve)
  })
  return {
    take: async token => {
      const {promise, timer} = meeting(token)
      const connection = await promise
      clearTimeout(timer)
      meetings.delete(token)
      return connection
    },
    close: () => server.close(),
  }
}
