/** One SSH connection to an instance: its own key, its own push, by the one way that the target names. */
import {connect as dial} from 'node:net'
import type {Duplex} from 'node:stream'
import type {Access, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {AwsRefused, type Way, wayOf} from '@prod/ssm/aws'
import ssh from 'ssh2'
import {fingerprintOf, type HostKey, hostKeyTypes, typeOf, typesFor} from './host-keys.ts'
import {findEndpoint, findInstance, hostKeyRefused, type Instance, learnHostKeys, pushKey} from './instance.ts'
import {makeKey} from './one-key.ts'
import {type Target, userOf} from './target.ts'
import {openTunnel} from './tunnel.ts'

const dialMs = 20_000
const handshakeMs = 30_000
const beatMs = 15_000
const beats = 3

/** A connection that stands. */
export interface Connection {
  readonly client: ssh.Client
  /** resolves when it is gone; with what broke it, if anything did */
  readonly gone: Promise<string>
  close(): void
}

/** Opens the way, pushes a key of this connection alone, and logs in with it. Throws TARGET_UNREACHABLE, TARGET_INVALID, DENIED. */
export async function connect(target: Target, use: Use, access: Access, signal: AbortSignal): Promise<Connection> {
  return foreseen(async () => {
    const user = userOf(target, use)
    const way = wayOf(access, target.region, signal)
    const instance = await findInstance(way, target)
    const keys = target.hostKey === 'console' ? await learnHostKeys(way, target) : undefined
    const key = makeKey()
    // the key opens the account for 60 seconds from here
    const opening = openWay(way, target, instance, target.port, signal)
    const [socket] = await Promise.all([opening, pushKey(way, target, user, key.publicKey, instance.zone)]).catch(
      async (error: unknown) => {
        opening.then(
          late => late.destroy(),
          () => {},
        )
        throw error
      },
    )
    return handshake(target, socket, {user, agent: key.agent, keys}, signal)
  }, target)
}

/** The bytes between here and a port of the instance itself, through its endpoint. Throws as {@link connect}. */
export async function openRaw(target: Target, port: number, access: Access, signal: AbortSignal): Promise<Duplex> {
  return foreseen(async () => {
    const way = wayOf(access, target.region, signal)
    return openWay(way, target, await findInstance(way, target), port, signal)
  }, target)
}

async function openWay(way: Way, {instanceId, via}: Target, instance: Instance, port: number, signal: AbortSignal): Promise<Duplex> {
  if (via === 'endpoint' || via.startsWith('eice-'))
    return openTunnel(way, {endpoint: await findEndpoint(way, instance, via), privateIp: instance.privateIp, port}, signal)
  const host = {private: instance.privateIp, public: instance.publicIp, ipv6: instance.ipv6}[via as 'private' | 'public' | 'ipv6']
  if (!host) throw new ProdError('TARGET_UNREACHABLE', `${instanceId} has no ${via} address`, 'another via=… in the address of the target')
  const socket = dial({host, port, noDelay: true, signal, timeout: dialMs})
  // it may break before anybody reads it
  socket.on('error', () => {})
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', cause => {
      if (signal.aborted) reject(signal.reason as Error)
      else
        reject(
          new ProdError(
            'TARGET_UNREACHABLE',
            `${host}:${port} cannot be reached: ${codeOf(cause)}`,
            `via=endpoint, or a route and a security group that let the broker in`,
            {cause},
          ),
        )
    })
    socket.once('timeout', () => socket.destroy(Object.assign(new Error('it does not answer'), {code: 'ETIMEDOUT'})))
  })
  socket.setTimeout(0)
  return socket
}

async function handshake(
  target: Target,
  socket: Duplex,
  {user, agent, keys}: {user: string; agent: ssh.BaseAgent; keys: HostKey[] | undefined},
  signal: AbortSignal,
): Promise<Connection> {
  const client = new ssh.Client()
  let refused: ProdError | undefined
  let reason = 'the connection was lost'
  const gone = new Promise<string>(resolve => client.once('close', () => resolve(reason)))
  const leave = () => client.destroy()
  signal.addEventListener('abort', leave, {once: true})
  try {
    await new Promise<void>((resolve, reject) => {
      client.once('ready', resolve)
      client.on('error', cause => {
        reason = `the connection broke: ${said(cause)}`
        reject(refused ?? handshakeFailed(target, user, cause))
      })
      client.once('close', () => reject(refused ?? handshakeFailed(target, user, new Error('the far side closed the connection'))))
      client.connect({
        sock: socket,
        username: user,
        agent,
        authHandler: ['agent'],
        algorithms: {serverHostKey: [...(keys ? typesFor(keys) : hostKeyTypes)] as ssh.ServerHostKeyAlgorithm[]},
        hostVerifier: (shown: Buffer) => {
          if (isKnown(target, keys, shown)) return true
          refused = hostKeyRefused(target, shown, typeOf(shown))
          return false
        },
        readyTimeout: handshakeMs,
        keepaliveInterval: beatMs,
        keepaliveCountMax: beats,
      })
    })
  } catch (error) {
    client.destroy()
    socket.destroy()
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', leave)
  }
  return {client, gone, close: () => client.end()}
}

function isKnown({hostKey}: Target, keys: HostKey[] | undefined, shown: Buffer): boolean {
  if (hostKey === 'unchecked') return true
  if (hostKey === 'console') return keys?.some(({blob}) => blob.equals(shown)) === true
  return hostKey.fingerprints.includes(fingerprintOf(shown))
}

function handshakeFailed({instanceId}: Target, user: string, cause: Error): ProdError {
  const level = (cause as {level?: string}).level
  if (level === 'client-authentication') {
    return new ProdError(
      'TARGET_UNREACHABLE',
      `${instanceId} does not let ${user} in with the key that was just pushed`,
      `is there an account ${user}, and the package ec2-instance-connect? user=… in the address of the target`,
      {cause},
    )
  }
  return new ProdError(
    'TARGET_UNREACHABLE',
    `no SSH with ${instanceId}: ${said(cause)}`,
    'does its sshd listen there? port=… in the address of the target',
    {cause},
  )
}

/** What failed, in words for people: one line. */
function said({message}: Error): string {
  return message
    .replace(/[\u0000-\u001f\u007f-\u009f\s]+/g, ' ')
    .trim()
    .slice(0, 200)
}

function codeOf(error: Error): string {
  return String((error as NodeJS.ErrnoException).code ?? error.message)
}

/** What AWS refuses, in our words. */
async function foreseen<A>(work: () => Promise<A>, {instanceId}: Target): Promise<A> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof AwsRefused)) throw error
    const words = `AWS refuses ${error.action} for ${instanceId} (${error.code})`
    if (error.denied)
      throw new ProdError('DENIED', words, 'the role of the target must allow it: docs/aws-sessions.md, "EC2 Instance Connect"', {
        cause: error,
      })
    throw new ProdError('TARGET_UNREACHABLE', words, 'docs/aws-sessions.md, "EC2 Instance Connect"', {cause: error})
  }
}
