/** One connection from the broker's machine: resolved once, each address judged, then connected to by that address (TM-A7). */
import {lookup as resolve} from 'node:dns/promises'
import {once} from 'node:events'
import {connect as connectTo, type Socket} from 'node:net'
import {Readable, Writable} from 'node:stream'
import type {Channel, Exit, HostPort} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {isLoopback, isNever, showHostPort} from '@prod/sdk/forward'
import {Lent} from './lent.ts'

/** for one address; there may be several */
const connectMilliseconds = 10_000
const keepAliveMilliseconds = 30_000
const brokeOff = 'the far side broke off'

/** How names become addresses. */
export type Resolve = (host: string) => Promise<{address: string}[]>
const systemResolve: Resolve = host => resolve(host, {all: true})

/** Opens one connection. Throws TARGET_UNREACHABLE where nobody answers, or where the name leads to where nobody is led; or the signal's reason. */
export async function connect(to: HostPort, signal: AbortSignal, lookup: Resolve = systemResolve): Promise<Channel> {
  const where = showHostPort(to)
  const unreachable = (why: string, cause?: unknown) =>
    new ProdError('TARGET_UNREACHABLE', `${where} cannot be reached: ${why}`, 'prod targets', {cause})
  signal.throwIfAborted()
  const found = await lookup(to.host).catch(error => {
    throw unreachable('its name is not known', error)
  })
  signal.throwIfAborted()
  // the machine itself is meant by its own name alone: another one that leads here is not what was allowed
  const meant = found.filter(({address}) => !isNever(address) && isLoopback(address) === isLoopback(to.host))
  if (meant.length === 0)
    throw unreachable(found.length > 0 ? 'its name leads to an address that nobody is led to' : 'its name has no address')
  let last: unknown
  for (const {address} of meant) {
    try {
      return await dial(address, to.port, signal)
    } catch (error) {
      signal.throwIfAborted()
      last = error
    }
  }
  throw unreachable(wordsOf(last), last)
}

async function dial(host: string, port: number, signal: AbortSignal): Promise<Channel> {
  const keepAlive = {keepAlive: true, keepAliveInitialDelay: keepAliveMilliseconds}
  const output = new Lent(onread => connectTo({host, port, allowHalfOpen: true, noDelay: true, ...keepAlive, onread}), {
    leavesOpen: true,
    cut: brokeOff,
  })
  const {socket} = output
  try {
    await once(socket, 'connect', {signal: AbortSignal.any([signal, AbortSignal.timeout(connectMilliseconds)])})
  } catch (error) {
    output.on('error', () => {})
    socket.on('error', () => {}).destroy()
    throw error
  }
  return channelOf(socket, output)
}

function wordsOf(error: unknown): string {
  const {code, name} = error as {code?: string; name?: string}
  if (code === 'ECONNREFUSED') return 'nobody listens there'
  if (code === 'ETIMEDOUT' || name === 'AbortError') return 'nobody answers'
  return code === 'EHOSTUNREACH' || code === 'ENETUNREACH' ? 'there is no way there' : 'the connection failed'
}

/** A socket as a channel: its two halves end each by itself. */
function channelOf(socket: Socket, stdout: Lent): Channel {
  let failed: string | undefined
  const {promise: ended, resolve: finish} = Promise.withResolvers<Exit>()
  socket.on('error', error => {
    failed ??= (error as NodeJS.ErrnoException).code === 'ECONNRESET' ? brokeOff : 'the connection was lost'
  })
  socket.once('close', () => finish(failed === undefined ? {status: 0} : {unknown: failed}))
  // told by how it ended
  stdout.on('error', () => {})
  return {
    stdin: new Writable({
      write: (bytes, _encoding, done) => void socket.write(bytes, () => done()),
      final: done => void socket.end(() => done()),
    }),
    stdout,
    stderr: Readable.from([]),
    resize() {},
    signal() {},
    async end(why) {
      if (!socket.destroyed) {
        failed ??= why
        // after the end of our half a reset is refused, and the socket would stay
        if (socket.writableEnded) socket.destroy()
        else socket.resetAndDestroy()
      }
      return ended
    },
    ended,
  }
}
