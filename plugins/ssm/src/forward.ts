/**
 * Forwards: many connections of one use over few sessions. A session of Session Manager carries many connections, but its agent sends
 * no faster than some 0.7 MB/s on it: connections that are open at once get sessions of their own, up to a bound, and share beyond it.
 */
import type {Access, Channel, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {isNewer} from './channel/agent-version.ts'
import {openPort, type PortSession} from './channel/index.ts'
import {notBegun, prepare} from './open.ts'
import {documentOf, isInstance} from './permissions.ts'
import {failureOf} from './preflight.ts'
import type {Target} from './target.ts'

/** sessions side by side for one use and one port, at most */
const mostSessions = 8
/** The first agent that leads to another host; an older one leads to itself instead. Source: specification of the documents, §18 */
const beforeRemote = '3.1.1373.9999'

interface Member {
  session: Promise<PortSession>
  /** connections open, or being opened, on it */
  load: number
}

/** The sessions of one use to one port. */
interface Pool {
  members: Set<Member>
  /** the newest access of this use: its credential is good the longest */
  access: Access
  over: AbortController
}

/** by the id of the use, then by where it leads */
const pools = new Map<string, Map<string, Pool>>()

type Forward = Extract<Use, {kind: 'forward'}>

/** Opens one connection. Throws TARGET_INVALID, TARGET_UNREACHABLE, or the signal's reason. */
export async function open(target: Target, use: Forward, access: Access, signal: AbortSignal, strict: boolean): Promise<Channel> {
  signal.throwIfAborted()
  const pool = poolOf(target, use, access)
  // one more try: a session may end between being chosen and being used
  for (let tries = 2; ; tries--) {
    const member = choose(pool, target, use, strict)
    member.load++
    try {
      const channel = await connect(member, signal)
      void channel.ended.then(() => member.load--)
      return channel
    } catch (error) {
      member.load--
      signal.throwIfAborted()
      if (tries === 0 || pool.members.has(member) || pool.over.signal.aborted) throw error
    }
  }
}

/** The use is over: all of its sessions end. */
export async function release(id: string): Promise<void> {
  const all = [...(pools.get(id)?.values() ?? [])]
  pools.delete(id)
  await Promise.all(
    all.map(async ({members, over}) => {
      over.abort(new Error('the forward is over'))
      await Promise.all([...members].map(({session}) => session.then(one => one.end('the forward is over')).catch(() => {})))
    }),
  )
}

function poolOf(target: Target, {to}: Forward, access: Access): Pool {
  const places = pools.get(access.id) ?? new Map<string, Pool>()
  pools.set(access.id, places)
  const place = JSON.stringify([target, to.host, to.port])
  const pool = places.get(place) ?? {members: new Set(), access, over: new AbortController()}
  places.set(place, pool)
  pool.access = access
  return pool
}

/** A session that carries nothing, else a new one, else the one that carries least. */
function choose(pool: Pool, target: Target, use: Forward, strict: boolean): Member {
  const [least] = [...pool.members].sort((a, b) => a.load - b.load)
  if (least && (least.load === 0 || pool.members.size >= mostSessions)) return least
  const member: Member = {session: start(pool, target, use, strict), load: 0}
  pool.members.add(member)
  const forget = () => pool.members.delete(member)
  member.session.then(one => one.ended.then(forget), forget)
  return member
}

async function start(pool: Pool, target: Target, use: Forward, strict: boolean): Promise<PortSession> {
  const {host, port} = use.to
  const isHere = isInstance(host)
  const parameters = {portNumber: [String(port)], localPortNumber: ['0'], ...(isHere ? {} : {host: [host]})}
  const {id, principal} = pool.access
  const access: Access = {
    id,
    principal,
    get credential() {
      return pool.access.credential
    },
    renew: async () => (pool.access.renew ? pool.access.renew() : pool.access.credential),
  }
  const {signal} = pool.over
  const options = await prepare(target, use, {document: documentOf(target, use), parameters, access, signal, strict})
  const session = await openPort(options).catch(error => notBegun(error, target))
  const {agentVersion = ''} = session.greeting
  if (!isHere && !isNewer(agentVersion, beforeRemote)) {
    await session.end('its agent leads to no other host')
    throw failureOf('oldAgent', {instance: target.instanceId, version: agentVersion, needed: '3.1.1374.0 or newer'})
  }
  return session
}

async function connect({session}: Member, signal: AbortSignal): Promise<Channel> {
  const gone = Promise.withResolvers<never>()
  const leave = () => gone.reject(signal.reason)
  signal.addEventListener('abort', leave, {once: true})
  gone.promise.catch(() => {})
  const connecting = session.then(one => one.connect())
  try {
    return await Promise.race([connecting, gone.promise])
  } catch (error) {
    connecting.then(
      channel => channel.end('nobody waits for it'),
      () => {},
    )
    throw error instanceof ProdError || signal.aborted
      ? error
      : new ProdError('TARGET_UNREACHABLE', 'the connection could not be opened', 'prod targets', {cause: error})
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
