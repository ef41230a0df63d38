/** One connection through an EC2 Instance Connect Endpoint: a WebSocket that carries plain bytes. */
import {Duplex} from 'node:stream'
import {ProdError} from '@prod/sdk/errors'
import {endpointOf, type Way} from '@prod/ssm/aws'
import {presign} from '@prod/ssm/sign'
import WebSocket from 'ws'
import type {Endpoint} from './instance.ts'

type Keys = Awaited<ReturnType<Way['keys']>>

/** Where a tunnel leads. */
export interface Destination {
  readonly endpoint: Endpoint
  readonly privateIp: string
  readonly port: number
}

const openMs = 20_000
const pingMs = 30_000
/** most bytes of one message, as AWS's own client has it */
const mostBytes = 65_000

/**
 * The URL of one tunnel, signed for a minute. Source: Signature Version 4 in the query. Pure.
 * @param more further parameters that the service knows, such as `maxTunnelDuration`
 */
export function tunnelUrl(
  {endpoint, privateIp, port}: Destination,
  region: string,
  keys: Keys,
  at: Date,
  more: Readonly<Record<string, string>> = {},
): string {
  const url = new URL(`${schemeFor(endpoint.dnsName)}//${endpoint.dnsName}/openTunnel`)
  const query = {instanceConnectEndpointId: endpoint.id, remotePort: String(port), privateIpAddress: privateIp, ...more}
  for (const [name, value] of Object.entries(query)) url.searchParams.append(name, value)
  return presign({url, service: 'ec2-instance-connect', region, seconds: 60, at}, keys)
}

function schemeFor(dnsName: string): 'ws:' | 'wss:' {
  return isLoopback(dnsName) ? 'ws:' : 'wss:'
}

function isLoopback(dnsName: string): boolean {
  return /^(?:127\.0\.0\.1|localhost|\[::1\]):\d+$/.test(dnsName)
}

/** Throws TARGET_UNREACHABLE for an endpoint whose name is not one of AWS, or of the loopback where the operator sends all calls there. */
export function checkName({id, dnsName}: Endpoint, region: string): void {
  const name = /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/.test(dnsName)
  if (name && [`.${region}.amazonaws.com`, `.${region}.amazonaws.com.cn`, `.${region}.api.aws`].some(end => dnsName.endsWith(end))) return
  const {protocol} = new URL(endpointOf('ec2', region))
  if (protocol === 'http:' && isLoopback(dnsName)) return
  throw new ProdError(
    'TARGET_UNREACHABLE',
    `${id} says that it is reached at ${JSON.stringify(dnsName)}, which is no name of AWS`,
    'prod doctor',
  )
}

/**
 * Opens a tunnel. The duplex ends where the far side closes in order, and fails where it breaks off; its writing side closes all of it.
 * Throws TARGET_UNREACHABLE with the service's own reason.
 */
export async function openTunnel(way: Way, destination: Destination, signal: AbortSignal): Promise<Duplex> {
  checkName(destination.endpoint, way.region)
  const url = tunnelUrl(destination, way.region, await way.keys(), new Date())
  signal.throwIfAborted()
  const socket = new WebSocket(url, {perMessageDeflate: false, handshakeTimeout: openMs, followRedirects: false, maxPayload: 1024 ** 2})
  const leave = () => socket.terminate()
  signal.addEventListener('abort', leave, {once: true})
  // from the first moment: what the far side sends at once must find its reader
  const duplex = overSocket(socket)
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
      socket.once('unexpected-response', (_request, response) => {
        const bytes: Buffer[] = []
        response.on('data', (chunk: Buffer) => bytes.push(chunk))
        response.once('close', () => {
          socket.terminate()
          const said = clean(Buffer.concat(bytes).toString('utf8'))
          reject(unreachable(destination, `the endpoint answers ${response.statusCode}${said ? `: ${said}` : ''}`))
        })
      })
    })
  } catch (error) {
    duplex.destroy()
    signal.throwIfAborted()
    // the URL carries a signature, and the failures of a socket may carry the URL
    throw error instanceof ProdError ? error : unreachable(destination, 'the endpoint cannot be reached')
  } finally {
    signal.removeEventListener('abort', leave)
  }
  return duplex
}

function overSocket(socket: WebSocket): Duplex {
  let closed = false
  const duplex = new Duplex({
    allowHalfOpen: true,
    read: () => socket.resume(),
    write(chunk: Buffer, _encoding, done) {
      const pieces: Buffer[] = []
      for (let at = 0; at < chunk.length; at += mostBytes) pieces.push(chunk.subarray(at, at + mostBytes))
      const next = (): void => {
        const piece = pieces.shift()
        if (!piece) done()
        else socket.send(piece, {binary: true}, error => (error ? done(error) : next()))
      }
      next()
    },
    final(done) {
      done()
      if (!closed) socket.close(1000)
    },
    destroy(error, done) {
      clearInterval(beat)
      if (!closed) socket.terminate()
      done(error)
    },
  })
  // whoever reads it hears of a failure; before there is anybody, and after, nobody need
  duplex.on('error', () => {})
  let heard = true
  const beat = setInterval(() => {
    if (socket.readyState !== WebSocket.OPEN) return
    if (!heard) socket.terminate()
    heard = false
    socket.ping()
  }, pingMs)
  beat.unref()
  socket.on('pong', () => {
    heard = true
  })
  socket.on('message', (data: Buffer, isBinary) => {
    heard = true
    if (!isBinary) duplex.destroy(new Error(clean(data.toString('utf8')) || 'the endpoint said that something failed'))
    else if (data.length > 0 && !duplex.push(data)) socket.pause()
  })
  socket.on('error', () => {})
  socket.once('close', (code, reason) => {
    closed = true
    clearInterval(beat)
    if (code === 1000 || (duplex.writableFinished && code === 1005)) duplex.push(null)
    else duplex.destroy(new Error(clean(reason.toString('utf8')) || `the tunnel broke off (${code})`))
  })
  return duplex
}

function unreachable({endpoint, privateIp, port}: Destination, why: string): ProdError {
  return new ProdError(
    'TARGET_UNREACHABLE',
    `${privateIp}:${port} cannot be reached through ${endpoint.id}: ${why}`,
    'docs/aws-sessions.md, "EC2 Instance Connect"',
  )
}

/** Words of the far side, for people: one line, nothing that acts on a terminal. */
function clean(text: string): string {
  return text
    .replace(/[\u0000-\u001f\u007f-\u009f\s]+/g, ' ')
    .trim()
    .slice(0, 300)
}
