import {randomBytes} from 'node:crypto'
import {chmodSync, mkdtempSync, rmSync} from 'node:fs'
import {createConnection, createServer, type Server, type Socket} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {tokenBytes} from './messages.ts'

/** The broker's end of all byte streams: a socket in a folder of its own, and who is awaited on it. */
export interface Links {
  readonly socket: string
  /** folder for what the runner makes: others may pass through it, and read nothing */
  readonly folder: string
  /** A token, and the connection that will begin with it. */
  expect(): {token: string; connection: Promise<Socket>; forget(): void}
  close(): void
}

const strangerMilliseconds = 30_000

/** Listens in new folders: the socket's is 0700, so that no other user can connect (TM-A5). */
export async function listen(): Promise<Links> {
  const folder = mkdtempSync(join(tmpdir(), 'prod-host-'))
  chmodSync(folder, 0o711)
  const inner = mkdtempSync(join(folder, 'link-'))
  const socket = join(inner, 'broker')
  const awaited = new Map<string, (connection: Socket) => void>()

  const server: Server = createServer({allowHalfOpen: true, pauseOnConnect: true}, connection => {
    connection.on('error', () => {})
    const timer = setTimeout(() => connection.destroy(), strangerMilliseconds)
    timer.unref()
    const read = () => {
      const head: Buffer | null = connection.read(tokenBytes)
      if (!head) return
      clearTimeout(timer)
      connection.off('readable', read)
      const token = head.toString('latin1')
      const take = awaited.get(token)
      awaited.delete(token)
      if (take) take(connection)
      else connection.destroy()
    }
    connection.on('readable', read)
    connection.once('end', () => clearTimeout(timer))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(socket, resolve)
  })
  server.unref()
  return {
    socket,
    folder,
    expect: () => {
      const token = randomBytes(tokenBytes / 2).toString('hex')
      const connection = new Promise<Socket>(resolve => awaited.set(token, resolve))
      return {token, connection, forget: () => awaited.delete(token)}
    },
    close: () => {
      server.close()
      rmSync(folder, {recursive: true, force: true})
    },
  }
}

/** Connects to the broker and says the token: what follows is the tool's. */
export function connect(socket: string, token: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const connection = createConnection({path: socket, allowHalfOpen: true})
    connection.once('error', reject)
    connection.once('connect', () => {
      connection.pause()
      connection.off('error', reject)
      connection.on('error', () => {})
      connection.write(token, 'latin1', error => (error ? reject(error) : resolve(connection)))
    })
  })
}
