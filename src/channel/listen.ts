/** Local ports and sockets that lead through a forward. */
import {createServer, type Server, type Socket} from 'node:net'
import type {HostPort} from '@prod/sdk'
import {say} from '@prod/sdk/cli/output'
import {ProdError} from '@prod/sdk/errors'
import {showHostPort} from '@prod/sdk/forward'
import {carry, type Streams} from './connection.ts'
import {type Listen, type LocalPlace, showLocal} from './listen-spec.ts'

/** most connections that are being opened at a time: others wait for their turn */
const openingAtOnce = 16

/** Ports that are taken, and not yet open. */
export interface Listening {
  /** what was asked for, with the ports that were found free */
  readonly listens: readonly Listen[]
  /** Lets connections in. */
  open(streams: Streams, forward: string): void
  /** No more connections; those there are break off. */
  close(): void
}

/** Takes the ports, so that a port in use is known before anything is asked for. Who comes before `open` is turned away. Throws PORT_IN_USE, USAGE. */
export async function listen(wanted: readonly Listen[]): Promise<Listening> {
  const servers: Server[] = []
  const sockets = new Set<Socket>()
  let through: {streams: Streams; forward: string} | undefined
  const turn = turns(openingAtOnce)
  const close = (): void => {
    through = undefined
    for (const server of servers) server.close()
    for (const socket of sockets) socket.destroy()
  }
  try {
    const serverTo = (to: HostPort): Server => {
      const server = createServer({allowHalfOpen: true, noDelay: true, keepAlive: true}, socket => {
        sockets.add(socket)
        socket.once('close', () => sockets.delete(socket)).on('error', () => {})
        if (through) void serve(socket, through.streams, through.forward, to, turn)
        else breakOff(socket)
      })
      servers.push(server)
      return server
    }
    const listens: Listen[] = []
    for (const {listen: at, to} of wanted) listens.push({listen: await bind(serverTo(to), at), to})
    // who says localhost may mean either, and must not come to another program's port by that
    for (const {listen: at, to} of listens) if ('host' in at && at.host === '127.0.0.1') await bindBeside(serverTo(to), at.port, listens)
    return {
      listens,
      open(streams, forward) {
        through = {streams, forward}
      },
      close,
    }
  } catch (error) {
    close()
    throw error
  }
}

async function bind(server: Server, place: LocalPlace): Promise<LocalPlace> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    listenAt(server, place, () => {
      server.off('error', reject)
      server.on('error', () => {})
      resolve()
    })
  }).catch((cause: NodeJS.ErrnoException) => {
    const where = showLocal(place)
    const path = 'path' in place
    if (cause.code === 'EADDRINUSE')
      throw new ProdError(
        'PORT_IN_USE',
        `${where} is taken`,
        path ? `rm ${where}, if nobody listens there any more` : '-L 0:HOST:PORT takes a free port',
        {cause},
      )
    if (cause.code === 'EACCES')
      throw new ProdError('USAGE', `${where} may not be opened by you`, path ? 'a folder of yours' : 'a port above 1023', {cause})
    if (path && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR'))
      throw new ProdError('USAGE', `there is no folder for ${where}`, '-L ./NAME.sock:HOST:PORT', {cause})
    if (cause.code === 'EADDRNOTAVAIL')
      throw new ProdError('USAGE', `${where} is no address of this machine`, '-L 127.0.0.1:PORT:HOST:PORT', {cause})
    throw cause
  })
  return 'path' in place ? place : {host: place.host, port: (server.address() as {port: number}).port}
}

/** A socket is its person's alone: it is made at once, with the mask that lets nobody else in. */
function listenAt(server: Server, place: LocalPlace, done: () => void): void {
  if ('host' in place) {
    server.listen({host: place.host, port: place.port}, done)
    return
  }
  const mask = process.umask(0o177)
  try {
    server.listen({path: place.path}, done)
  } finally {
    process.umask(mask)
  }
}

/** The same port of ::1, where there is one and nobody has it. */
async function bindBeside(server: Server, port: number, listens: readonly Listen[]): Promise<void> {
  const at = {host: '::1', port}
  if (listens.some(({listen: own}) => 'host' in own && own.port === port && (own.host === '::1' || own.host === '::'))) return
  await bind(server, at).catch((error: unknown) => {
    if (error instanceof ProdError && error.code === 'PORT_IN_USE')
      say(`${showHostPort(at)} is another program's: localhost may lead there, 127.0.0.1 leads through the forward`)
  })
}

async function serve(socket: Socket, streams: Streams, forward: string, to: HostPort, turn: Turn): Promise<void> {
  const done = await turn()
  try {
    if (socket.destroyed) return
    const carried = carry({input: socket, output: socket}, streams, forward, to)
    const gone = (): void => carried.breakOff()
    socket.once('error', gone)
    void carried.opened.then(done)
    const {exit, endedBy} = await carried.ended
    socket.off('error', gone)
    if ('status' in exit && endedBy === null) socket.end()
    else breakOff(socket)
  } catch (error) {
    breakOff(socket)
    if (error instanceof ProdError) say(error.message)
    else throw error
  } finally {
    done()
  }
}

/** After the end of our half a reset is refused, and the socket would stay. */
function breakOff(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

type Turn = () => Promise<() => void>

function turns(most: number): Turn {
  let taken = 0
  const waiting: (() => void)[] = []
  return async () => {
    if (taken >= most) await new Promise<void>(resolve => waiting.push(resolve))
    taken++
    let given = false
    return () => {
      if (given) return
      given = true
      taken--
      waiting.shift()?.()
    }
  }
}
