/** Upgrades to WebSockets: data channels, signed in their headers (section 2.2), and tunnels, signed in their address (section 20.2). */
import {randomUUID} from 'node:crypto'
import type {IncomingMessage} from 'node:http'
import type {Duplex} from 'node:stream'
import type {WebSocketServer} from 'ws'
import {failAsTold, type Serving} from './answer.ts'
import {ApiError} from './api-error.ts'
import {carryTunnel, tunnelWanted} from './api-instance-connect.ts'
import {sessionArns} from './api-ssm.ts'
import type {Call} from './world.ts'

/** Lets a client in, or says why not. */
export function answerUpgrade(serving: Serving, sockets: WebSocketServer, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const {world, identities, calls, hung} = serving
  socket.on('error', () => {})
  const url = new URL(request.url ?? '/', 'http://here')
  const tunnel = url.pathname === '/openTunnel'
  const action = tunnel ? 'OpenTunnel' : 'OpenDataChannel'
  const record: Call = {service: '', action, region: '', accessKeyId: '', input: {path: url.pathname}, outcome: 'ok', at: world.now()}
  calls.push(record)
  if (hung.has(action)) return
  try {
    const {identity, region, service} = identities.identify(request, Buffer.alloc(0))
    Object.assign(record, {service, region, accessKeyId: identity.accessKeyId})
    const authorize = identities.authorizer(identity, region)
    failAsTold(serving, action)
    if (request.headers['sec-websocket-protocol']) throw new ApiError('BadRequest', 'there is no subprotocol')
    if (service !== (tunnel ? 'ec2-instance-connect' : 'ssmmessages')) throw new ApiError('Forbidden', 'signed for another service', 403)
    if (tunnel) {
      if (!url.searchParams.has('X-Amz-Signature')) throw new ApiError('Forbidden', 'a tunnel is signed in its address', 403)
      const wanted = tunnelWanted(world, url.searchParams, region, authorize)
      sockets.handleUpgrade(request, socket, head, client => carryTunnel(client, wanted))
      return
    }
    const id = decodeURIComponent(/^\/v1\/data-channel\/([^/]+)$/.exec(url.pathname)?.[1] ?? '')
    const session = world.gateway.sessions.get(id)
    if (!session || session.region !== region) throw new ApiError('Forbidden', 'there is no such data channel', 403)
    authorize('ssmmessages:OpenDataChannel', sessionArns(session))
    if (!world.gateway.admits(id, url.searchParams.get('cell-number') ?? ''))
      throw new ApiError('Forbidden', 'the address is no longer valid', 403)
    sockets.handleUpgrade(request, socket, head, client => world.gateway.accept(id, client, socket))
  } catch (error) {
    const {code, status, message} =
      error instanceof ApiError ? error : new ApiError('InternalServerError', String((error as Error).stack), 500)
    record.outcome = code
    refuse(socket, code === 'AccessDeniedException' ? 403 : status, message)
  }
}

function refuse(socket: Duplex, status: number, text: string): void {
  const lines = [
    `HTTP/1.1 ${status} ${status === 403 ? 'Forbidden' : 'Refused'}`,
    'Connection: close',
    'Content-Type: text/plain',
    `x-amzn-requestid: ${randomUUID()}`,
    `Content-Length: ${Buffer.byteLength(text)}`,
  ]
  socket.end(`${lines.join('\r\n')}\r\n\r\n${text}`)
}
