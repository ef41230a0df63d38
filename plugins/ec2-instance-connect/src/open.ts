/** Opens each use. Loaded when the first one is. */
import type {Duplex} from 'node:stream'
import type {Access, Channel, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {openProgram} from './channel.ts'
import {type Connection, connect, openRaw} from './connect.ts'
import {portChannel} from './port.ts'
import {isRaw, type Target} from './target.ts'

type Forward = Extract<Use, {kind: 'forward'}>

/** how long a connection of a forward stays without use, should nobody say that the forward is over */
const idleMs = 120_000

/** Opens a program, a shell or one connection of a forward. Throws TARGET_UNREACHABLE, TARGET_INVALID, TOOL_UNAVAILABLE, DENIED. */
export async function open(target: Target, use: Use, access: Access, signal: AbortSignal): Promise<Channel> {
  signal.throwIfAborted()
  if (target.instanceId === '*')
    throw new ProdError('TARGET_INVALID', 'this stands for many instances, and one is used at a time', 'prod targets --find TEXT')
  if (use.kind === 'forward') return openForward(target, use, access, signal)
  const connection = await connect(target, use, access, signal)
  try {
    return await openProgram(connection, use)
  } catch (error) {
    connection.close()
    throw error
  }
}

/** Connections that all of one forward share, by the id of its access. */
const shared = new Map<string, {connection: Promise<Connection>; uses: number; idle?: NodeJS.Timeout}>()

/** The forward of this id is over: its connection closes. */
export async function release(id: string): Promise<void> {
  const found = shared.get(id)
  shared.delete(id)
  clearTimeout(found?.idle)
  await found?.connection.then(
    connection => connection.close(),
    () => {},
  )
}

async function openForward(target: Target, use: Forward, access: Access, signal: AbortSignal): Promise<Channel> {
  if (isRaw(target, use.to)) return portChannel(await openRaw(target, use.to.port, access, signal), {halfClose: false})
  const way = shared.get(access.id) ?? share(target, use, access)
  clearTimeout(way.idle)
  way.uses += 1
  const leave = (): void => {
    way.uses -= 1
    if (way.uses > 0 || shared.get(access.id) !== way) return
    way.idle = setTimeout(() => void release(access.id), idleMs)
    way.idle.unref()
  }
  try {
    const connection = await way.connection
    signal.throwIfAborted()
    const channel = portChannel(await dial(connection, target, use), {halfClose: true})
    void channel.ended.then(leave)
    return channel
  } catch (error) {
    leave()
    throw error
  }
}

/** A connection for all of a forward; one that has gone is followed by another, with a key of its own. */
function share(target: Target, use: Forward, access: Access) {
  // whoever comes first may leave, and others still wait for it
  const made = {connection: connect(target, use, access, new AbortController().signal), uses: 0} as {
    connection: Promise<Connection>
    uses: number
    idle?: NodeJS.Timeout
  }
  const forget = (): void => {
    if (shared.get(access.id) === made) shared.delete(access.id)
  }
  made.connection.then(({gone}) => gone.then(forget), forget)
  shared.set(access.id, made)
  return made
}

function dial({client}: Connection, {instanceId}: Target, {to}: Forward): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    client.forwardOut('127.0.0.1', 0, to.host, to.port, (cause, stream) => {
      if (!cause) resolve(stream)
      else
        reject(
          new ProdError(
            'TARGET_UNREACHABLE',
            `${instanceId} does not reach ${to.host}:${to.port}: ${cause.message}`,
            'does anything listen there? does its sshd allow AllowTcpForwarding?',
            {cause},
          ),
        )
    })
  })
}
