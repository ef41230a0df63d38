/** The broker's door: one listener for calls and streams, on a literal loopback address or with TLS. */
import {readFile} from 'node:fs/promises'
import {createServer as createHttp, type RequestListener, type Server, type ServerResponse} from 'node:http'
import {createServer as createHttps} from 'node:https'
import type {Socket} from 'node:net'
import {ProdError} from '@prod/sdk/errors'
import Fastify, {type FastifyInstance} from 'fastify'
import type {WebSocket} from 'ws'
import type {Parts} from '../parts.ts'
import {commonHeaders, failureOf, writeFailure} from './answer.ts'
import {pathOf, refusalOf} from './guard.ts'
import {closeServer, isLoopback, listen} from './listen.ts'
import {openApiRoute} from './openapi.ts'
import {type StreamHello, serveStreams} from './stream.ts'
import {parseStrictJson} from './strict-json.ts'

const maxBodyBytes = 1024 * 1024
// nobody holds a connection for longer than 10 s without having said something whole (TM-A15)
const timeouts = {headersTimeout: 6000, requestTimeout: 7000, keepAliveTimeout: 5000, connectionsCheckingInterval: 1000}
const inactivityMs = 30_000

export type {StreamHello}

/** What a door leads to. */
export interface Door {
  /** the features' endpoints, each through `handle` */
  routes: (app: FastifyInstance) => void
  /** takes an upgraded stream whose caller is known; listens for its first message at once */
  stream: (socket: WebSocket, hello: StreamHello) => void
}

/**
 * Starts to listen. A development broker whose origin has port 0 gets the port it was given, in `parts.config.origin` too, before the
 * first call is answered. Throws PORT_IN_USE, CONFIG_INVALID.
 */
export async function startServer(parts: Parts, {routes, stream}: Door): Promise<{port: number; close(): Promise<void>}> {
  const {config} = parts
  if (!config.tls && !isLoopback(config.listen.host)) {
    throw new ProdError(
      'CONFIG_INVALID',
      `without TLS the broker listens on a loopback address only, not on ${config.listen.host}`,
      'set tls in the configuration',
    )
  }
  const tls = config.tls && {cert: await readFile(config.tls.certFile), key: await readFile(config.tls.keyFile)}
  const guarded =
    (listener: RequestListener): RequestListener =>
    (request, response) => {
      const refusal = refusalOf(config, request)
      if (refusal) refuse(parts, response, refusal)
      else listener(request, response)
    }
  const app = Fastify({
    serverFactory: listener =>
      tls
        ? createHttps({...timeouts, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: 7000}, guarded(listener))
        : createHttp(timeouts, guarded(listener)),
    bodyLimit: maxBodyBytes,
    genReqId: () => parts.newId('cor'),
    requestIdHeader: false,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    routerOptions: {querystringParser: () => ({}), caseSensitive: true, ignoreTrailingSlash: false, maxParamLength: 128},
    clientErrorHandler: (error, socket) => answerBroken(parts, error, socket),
  })
  app.server.setTimeout(inactivityMs)
  const allowed = methodsByPath(app)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', {parseAs: 'buffer'}, (_request, body, done) => {
    try {
      done(null, parseStrictJson(body as Buffer))
    } catch (error) {
      done(error as Error)
    }
  })
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(commonHeaders(parts, request.id))
  })
  app.setErrorHandler((error, request, reply) => {
    const {status, headers, body} = failureOf(parts, error, request.id, `${request.method} ${request.routeOptions.url ?? ''}`)
    return reply.status(status).headers(headers).send(body)
  })
  app.setNotFoundHandler((request, reply) => {
    const allow = allowed(pathOf(request.raw))
    if (allow.length === 0) throw new ProdError('NOT_FOUND', 'there is no such path')
    reply.header('allow', allow.join(', '))
    throw new ProdError('METHOD_NOT_ALLOWED', `${request.method} is not for this path`)
  })
  openApiRoute(app)
  routes(app)
  await app.ready()
  const streams = serveStreams(parts, app.server as Server, stream)
  const port = await listen(app.server as Server, config.listen)
  const origin = new URL(config.origin)
  if (config.development && config.origin.endsWith(':0')) {
    origin.port = String(port)
    config.origin = origin.origin
  }

  return {
    port,
    async close() {
      streams.close()
      await closeServer(app.server as Server)
      await app.close()
    },
  }
}

function refuse(parts: Parts, response: ServerResponse, error: ProdError): void {
  const correlation = parts.newId('cor')
  const {status, headers, body} = failureOf(parts, error, correlation, 'guard')
  // what came with it is not read: the connection ends
  response.writeHead(status, {...commonHeaders(parts, correlation), ...headers, connection: 'close'})
  response.end(body)
}

/** Bytes that are no HTTP, or came too slowly. */
function answerBroken(parts: Parts, error: Error & {code?: string}, socket: Socket): void {
  // a TLS handshake that failed or never ended cannot be answered
  const isHttp = error.code?.startsWith('HPE_') || error.code?.startsWith('ERR_HTTP_')
  if (!isHttp || !socket.writable || socket.bytesWritten > 0) {
    socket.destroy()
    return
  }
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW'
  writeFailure(
    parts,
    socket,
    tooLarge ? new ProdError('TOO_LARGE', 'the headers are too large') : new ProdError('BAD_REQUEST', 'this is not a request'),
  )
}

/** Which methods a path has, for 405 with `Allow`. */
function methodsByPath(app: FastifyInstance): (path: string) => string[] {
  const known: {method: string; pattern: RegExp}[] = []
  app.addHook('onRoute', ({method, url}) => {
    const pattern = new RegExp(
      `^${url
        .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
        .replace(/:\w+/g, '[^/]+')
        .replace(/\*$/, '.+')}$`,
    )
    for (const one of [method].flat()) known.push({method: one, pattern})
  })
  return path => [...new Set(known.filter(({pattern}) => pattern.test(path)).map(({method}) => method))]
}
