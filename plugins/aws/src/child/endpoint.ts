/** The loopback endpoint a child asks for its credentials. http loads at the first question; most children ask none or one. */
import {closeSync, openSync, readSync} from 'node:fs'
import type {Server as HttpServer, IncomingMessage, RequestListener} from 'node:http'
import type {AddressInfo, Server as NetServer, Socket} from 'node:net'
import type {ProcessCredentials} from '../credentials/kept.ts'

/** A child's own endpoint. */
export interface Endpoint {
  /** for `AWS_CONTAINER_CREDENTIALS_FULL_URI` */
  url: string
  /** for `AWS_CONTAINER_AUTHORIZATION_TOKEN`: 256 bits */
  token: string
  close(): void
}

/** Answers credentials that serve now, or throws what a person can read. */
export type Provide = () => Promise<ProcessCredentials>

const path = '/credentials'
/** What never ends is asked for again now and then, since every SDK wants an end. */
const unendingMs = 15 * 60_000

/**
 * Listens on 127.0.0.1, a port of the system's choice. Refused: another Host 421, another path 404, another method 405, another or no
 * token 401 (TM-U3, A4). What `provide` throws is an answer that AWS tools show: `{code, message}`, status 502 when they may try again.
 * Source: "Container credential provider" of the SDKs and Tools Reference Guide.
 */
export function openEndpoint(provide: Provide): Promise<Endpoint> {
  const token = randomToken()
  const {createServer} = process.getBuiltinModule('node:net')
  let host = ''
  let http: HttpServer | undefined
  const open = new Set<Socket>()
  const server = createServer(socket => {
    open.add(socket)
    socket.on('close', () => open.delete(socket)).on('error', () => socket.destroy())
    http ??= makeHttp((request, response) => {
      const refused = judge(request, host, token)
      const answer = (status: number, body: object): void => {
        const text = JSON.stringify(body)
        response.writeHead(status, {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
          'cache-control': 'no-store',
          'x-content-type-options': 'nosniff',
          ...(status === 405 ? {allow: 'GET'} : {}),
        })
        response.end(text)
      }
      if (refused) return answer(refused[0], {code: refused[1], message: `prod: ${refused[2]}`})
      provide().then(
        credentials => answer(200, containerForm(credentials)),
        (error: unknown) => {
          const {code = 'INTERNAL', message = 'no credentials'} = error as {code?: string; message?: string}
          const {hint} = error as {hint?: string}
          const own = (error as Error).name === 'ProdError'
          answer(own ? 400 : 500, {
            code: own ? code : 'INTERNAL',
            message: own ? `prod: ${message}${hint === undefined ? '' : `; try: ${hint}`}` : 'prod: something went wrong inside prod',
          })
        },
      )
    })
    http.emit('connection', socket)
  })
  server.maxConnections = 64
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      host = `127.0.0.1:${(server.address() as AddressInfo).port}`
      server.unref()
      const close = (): void => {
        server.close()
        for (const socket of open) socket.destroy()
      }
      resolve({url: `http://${host}${path}`, token, close})
    })
    listen(server)
  })
}

/** On an address, without the look-up of names that `listen` loads even then: it costs a sixth of a start. */
function listen(server: NetServer & {_listen2?: (address: string, port: number, family: 4, backlog: number) => void}): void {
  if (server._listen2) server._listen2('127.0.0.1', 0, 4, 64)
  else server.listen(0, '127.0.0.1')
}

function makeHttp(listener: RequestListener): HttpServer {
  const {createServer: createHttpServer} = process.getBuiltinModule('node:http')
  return createHttpServer({requestTimeout: 10_000, headersTimeout: 5000, maxHeaderSize: 16_384}, listener)
}

function judge(request: IncomingMessage, host: string, token: string): [status: number, code: string, why: string] | undefined {
  if (request.headers.host !== host) return [421, 'UNKNOWN_HOST', 'this is not the host you look for']
  if (request.url !== path) return [404, 'NOT_FOUND', 'there is nothing here']
  if (request.method !== 'GET') return [405, 'METHOD_NOT_ALLOWED', 'only GET']
  // no AWS tool sends these, every browser does
  if (request.headers.origin !== undefined || request.headers['sec-fetch-site'] !== undefined) return [403, 'DENIED', 'not for a web page']
  if (!same(request.headers.authorization ?? '', token))
    return [401, 'TOKEN_INVALID', 'this endpoint is for the command that prod assume started']
  return undefined
}

/** In a time that tells nothing of where they differ. */
function same(given: string, wanted: string): boolean {
  if (given.length !== wanted.length) return false
  let different = 0
  for (let at = 0; at < wanted.length; at++) different |= given.charCodeAt(at) ^ wanted.charCodeAt(at)
  return different === 0
}

/** From the kernel directly where it can be had: node:crypto costs a fifth of a start. */
function randomToken(): string {
  const bytes = Buffer.alloc(32)
  let file: number | undefined
  try {
    file = openSync('/dev/urandom', 'r')
    if (readSync(file, bytes, 0, 32, null) === 32) return bytes.toString('base64url')
  } catch {
    // no such device here
  } finally {
    if (file !== undefined) closeSync(file)
  }
  return process.getBuiltinModule('node:crypto').randomBytes(32).toString('base64url')
}

function containerForm({AccessKeyId, SecretAccessKey, SessionToken, Expiration}: ProcessCredentials): object {
  const end = Expiration ?? new Date(Date.now() + unendingMs).toISOString()
  return {AccessKeyId, SecretAccessKey, Token: SessionToken ?? '', Expiration: end}
}
