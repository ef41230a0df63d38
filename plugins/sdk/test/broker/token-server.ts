/** A small broker to test the client against, written apart from it: RFC 9449 checked with jose, refresh tokens that rotate. */
import {createHash, randomBytes} from 'node:crypto'
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http'
import {createServer as createTlsServer} from 'node:https'
import type {AddressInfo} from 'node:net'
import {calculateJwkThumbprint, EmbeddedJWK, type JWK, jwtVerify} from 'jose'
import {type WebSocket, WebSocketServer} from 'ws'

export interface Seen {
  method: string
  path: string
  authorization: string | undefined
  proof: Record<string, unknown> | undefined
  body: Record<string, unknown>
}

export interface TokenServer {
  url: string
  seen: Seen[]
  refreshes: () => number
  /** how the next answers are bent */
  bend: {
    tokenSeconds: number
    demandNonce?: string
    refuse?: {status: number; body: string; headers?: Record<string, string>}
    onRefresh?: (given: string, answer: () => void) => void
    configuration?: Record<string, unknown>
    dropOnce?: boolean
  }
  sockets: WebSocket[]
  onStream: (socket: WebSocket) => void
  issue: (thumbprint: string) => {accessToken: string; refreshToken: string}
  expire: () => void
  close: () => Promise<void>
}

/** Checks a proof by the letter of RFC 9449 section 4.3. */
export async function checkProof(
  proof: string,
  expected: {method: string; url: string; token?: string; nonce?: string},
  used: Set<string>,
): Promise<{thumbprint: string; payload: Record<string, unknown>}> {
  const {payload, protectedHeader} = await jwtVerify(proof, EmbeddedJWK, {typ: 'dpop+jwt', algorithms: ['ES256'], maxTokenAge: 60})
  const jwk = protectedHeader.jwk as JWK
  if ('d' in jwk) throw new Error('the private key was sent')
  if (payload.htm !== expected.method) throw new Error(`htm ${payload.htm}`)
  if (payload.htu !== expected.url) throw new Error(`htu ${payload.htu} is not ${expected.url}`)
  const ath = expected.token === undefined ? undefined : createHash('sha256').update(expected.token).digest('base64url')
  if (payload.ath !== ath) throw new Error('ath')
  if (expected.nonce !== undefined && payload.nonce !== expected.nonce) throw new Error('nonce')
  if (typeof payload.jti !== 'string' || payload.jti.length < 20 || used.has(payload.jti)) throw new Error('jti')
  used.add(payload.jti)
  return {thumbprint: await calculateJwkThumbprint(jwk), payload}
}

const principal = {iss: 'https://issuer.example', sub: '1', person: 'p-alice', name: 'alice'}

/** Starts it on a free port of 127.0.0.1. */
export async function startTokenServer(tls?: {key: string; cert: string; maxVersion?: 'TLSv1.1'}): Promise<TokenServer> {
  const access = new Map<string, {thumbprint: string; endsAt: number}>()
  const refresh = new Map<string, {thumbprint: string; successor?: string; usedAt?: number}>()
  const answers = new Map<string, string>()
  const used = new Set<string>()
  let refreshes = 0

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    void serve(request, response).catch(error =>
      send(response, 401, {error: {code: 'TOKEN_INVALID', message: `refused: ${(error as Error).message}`}}),
    )
  }
  const server: Server = tls
    ? (createTlsServer({...tls, ...(tls.maxVersion ? {minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0'} : {})} as never, handle) as never)
    : createServer(handle)
  const wss = new WebSocketServer({noServer: true, handleProtocols: () => 'prod.stream.v1'})

  const self: TokenServer = {
    url: '',
    seen: [],
    refreshes: () => refreshes,
    bend: {tokenSeconds: 900},
    sockets: [],
    onStream: () => undefined,
    issue(thumbprint) {
      const accessToken = randomBytes(24).toString('base64url')
      const refreshToken = randomBytes(24).toString('base64url')
      access.set(accessToken, {thumbprint, endsAt: Date.now() + self.bend.tokenSeconds * 1000})
      refresh.set(refreshToken, {thumbprint})
      return {accessToken, refreshToken}
    },
    expire: () => access.clear(),
    close: () =>
      new Promise(resolve => {
        for (const socket of wss.clients) socket.terminate()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }

  async function prove(request: IncomingMessage, path: string): Promise<{thumbprint: string; payload: Record<string, unknown>}> {
    const token = request.headers.authorization?.replace(/^DPoP /, '')
    const expected = {
      method: request.method as string,
      url: self.url + path,
      ...(token === undefined ? {} : {token}),
      ...(self.bend.demandNonce === undefined ? {} : {nonce: self.bend.demandNonce}),
    }
    const proved = await checkProof(String(request.headers.dpop), expected, used)
    if (token !== undefined) {
      const known = access.get(token)
      if (!known || known.endsAt < Date.now()) throw new Error('token expired')
      if (known.thumbprint !== proved.thumbprint) throw new Error('token of another key')
    }
    return proved
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url as string, 'http://x').pathname
    let text = ''
    for await (const chunk of request) text += chunk
    const body = text ? (JSON.parse(text) as Record<string, unknown>) : {}
    const seen: Seen = {
      method: request.method as string,
      path: request.url as string,
      authorization: request.headers.authorization,
      proof: undefined,
      body,
    }
    self.seen.push(seen)
    if (self.bend.dropOnce) {
      self.bend.dropOnce = false
      return void request.socket.destroy()
    }
    if (self.bend.refuse) {
      response.writeHead(self.bend.refuse.status, {'content-type': 'application/json', ...self.bend.refuse.headers})
      return void response.end(self.bend.refuse.body)
    }
    if (path === '/v1/login/configuration') return send(response, 200, {...configurationOf(self), ...self.bend.configuration})
    if (self.bend.demandNonce !== undefined) response.setHeader('dpop-nonce', self.bend.demandNonce)
    const {thumbprint, payload} = await prove(request, path)
    seen.proof = payload
    if (path === '/v1/login') return send(response, 200, tokens(self.issue(thumbprint)))
    if (path === '/v1/login/refresh') {
      refreshes++
      const given = String(body.refreshToken)
      const row = refresh.get(given)
      if (!row || row.thumbprint !== thumbprint)
        return send(response, 401, {error: {code: 'LOGIN_EXPIRED', message: 'no such refresh token'}})
      if (row.usedAt !== undefined && Date.now() - row.usedAt > 60_000)
        return send(response, 401, {error: {code: 'LOGIN_EXPIRED', message: 'used again'}})
      if (!answers.has(given)) {
        answers.set(given, JSON.stringify(tokens(self.issue(thumbprint))))
        row.usedAt = Date.now()
      }
      const answer = (): void => send(response, 200, JSON.parse(answers.get(given) as string))
      if (self.bend.onRefresh) return self.bend.onRefresh(given, answer)
      return answer()
    }
    if (path === '/v1/whoami') {
      return send(response, 200, {
        principal,
        groups: ['engineers'],
        expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
        loggedInAt: new Date().toISOString(),
        grants: [],
      })
    }
    if (path === '/v1/logout') return send(response, 200, {ended: body.everywhere ? 3 : 1})
    return send(response, 200, {path: request.url, body})
  }

  server.on('upgrade', (request, socket, head) => {
    prove(request, '/v1/stream').then(
      () =>
        wss.handleUpgrade(request, socket, head, opened => {
          self.sockets.push(opened)
          self.onStream(opened)
        }),
      error => {
        const text = JSON.stringify({error: {code: 'TOKEN_INVALID', message: (error as Error).message}})
        const nonce = self.bend.demandNonce === undefined ? '' : `DPoP-Nonce: ${self.bend.demandNonce}\r\n`
        socket.end(`HTTP/1.1 401 Unauthorized\r\n${nonce}Content-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`)
      },
    )
  })

  function tokens({accessToken, refreshToken}: {accessToken: string; refreshToken: string}): object {
    return {
      accessToken,
      refreshToken,
      expiresInSeconds: self.bend.tokenSeconds,
      principal,
      groups: ['engineers'],
      loggedInAt: new Date().toISOString(),
      login: 'login-1',
    }
  }

  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  self.url = `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`
  return self
}

function configurationOf({url}: TokenServer): Record<string, unknown> {
  return {
    name: 'test broker',
    development: true,
    issuer: 'https://issuer.example',
    authorizationEndpoint: 'https://issuer.example/auth',
    clientId: 'prod',
    scopes: ['openid'],
    receiptKey: {kty: 'OKP', crv: 'Ed25519', x: 'AAAA'},
    logKey: 'test+0+AAAA',
    origin: url,
  }
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, {'content-type': 'application/json'})
  response.end(JSON.stringify(value))
}
