/** A receiver for tests: a real server, the bytes it got, and ways to misbehave. */
import {randomBytes} from 'node:crypto'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse} from 'node:http'
import {createServer as createSecureServer} from 'node:https'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Notice} from '@prod/sdk'

export interface Got {
  path: string
  headers: IncomingHttpHeaders
  body: Buffer
}

export interface TestReceiver {
  port: number
  url: string
  got: Got[]
  /** connections that were opened */
  connections(): number
  answer(how: (response: ServerResponse, request: IncomingMessage) => void): void
  stop(): Promise<void>
}

export const status =
  (code: number, headers: Record<string, string> = {}, text = '') =>
  (response: ServerResponse) =>
    void response.writeHead(code, headers).end(text)

export async function startReceiver(tls?: {key: string; cert: string}): Promise<TestReceiver> {
  const got: Got[] = []
  let connections = 0
  let how: (response: ServerResponse, request: IncomingMessage) => void = status(204)
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      got.push({path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks)})
      how(response, request)
    })
  }
  const server = tls ? createSecureServer(tls, serve) : createServer(serve)
  server.on('connection', () => (connections += 1))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const {port} = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}/hook`,
    got,
    connections: () => connections,
    answer: next => {
      how = next
    },
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`

/** Secret files in a folder of their own. */
export function writeSecrets(...secrets: string[]): {files: string[]; dir: string; remove(): void} {
  const dir = mkdtempSync(join(tmpdir(), 'prod-webhook-'))
  const files = secrets.map((_, n) => join(dir, `${n}.secret`))
  for (const [n, file] of files.entries()) writeFileSync(file, `${secrets[n]}\n`, {mode: 0o600})
  return {files, dir, remove: () => rmSync(dir, {recursive: true, force: true})}
}

export function notice(changed: Partial<Notice> = {}): Notice {
  return {
    id: 'ntc_1',
    type: 'request.created',
    at: '2026-11-22T03:04:05.678Z',
    urgency: 'info',
    title: 'a request waits for approval',
    principal: 'alice',
    target: 'web (production)',
    risk: 'change',
    digest: 'ab'.repeat(32),
    subject: 'req_1',
    reason: 'restart after the leak',
    next: 'prod request approve req_1',
    ...changed,
  }
}
