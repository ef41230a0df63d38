/** The loopback end of a login (RFC 8252 section 7.3): one listener, for one answer, on a literal address. */
import {timingSafeEqual} from 'node:crypto'
import {createServer, type IncomingMessage} from 'node:http'
import type {AddressInfo} from 'node:net'
import {ProdError} from '../errors.ts'

/** What the provider sent back. */
export interface Answer {
  code: string
  iss?: string
}

export interface Callback {
  /** `http://127.0.0.1:PORT` and the path */
  readonly redirectUri: string
  /** Resolves with the one right answer. Throws LOGIN_FAILED where the provider refused, or nobody came in time. */
  readonly answer: Promise<Answer>
  close(): void
}

/**
 * Listens on 127.0.0.1, a port of the system's choice, until the answer that carries `state` comes, or `limitMs` have passed. What
 * is not that answer is refused and takes nothing away: another path 404, another Host 421, another method 405, another state 400.
 */
export async function listen({
  state,
  issuer,
  issRequired = false,
  limitMs,
  path = '/callback',
  again = 'prod login',
}: {
  state: string
  /** whom an answer that names its issuer must name; left out: of a service that names none */
  issuer?: string
  issRequired?: boolean
  limitMs: number
  path?: string
  /** the command to type where it came to nothing */
  again?: string
}): Promise<Callback> {
  const {promise: answer, resolve, reject} = Promise.withResolvers<Answer>()
  answer.catch(() => undefined)
  let host = ''
  let taken = false

  const judge = (request: IncomingMessage): [status: number, text: string, act?: () => void] => {
    if (request.headers.host !== host) return [421, 'this is not the host you look for']
    const url = URL.parse(request.url ?? '', `http://${host}`)
    if (url?.pathname !== path || url.host !== host) return [404, 'there is nothing here']
    if (request.method !== 'GET') return [405, 'only GET']
    // a page that fetches in the background is not a person who came back from the provider
    const mode = request.headers['sec-fetch-mode']
    if (mode !== undefined && mode !== 'navigate') return [400, 'open this page, do not fetch it']
    const params = url.searchParams
    const names = [...params.keys()]
    if (new Set(names).size !== names.length) return [400, 'a parameter stands twice']
    if (!same(params.get('state') ?? '', state)) return [400, 'this answer belongs to no login that waits here']
    if (taken) return [400, 'this login has had its answer']

    const iss = params.get('iss')
    if (iss === null ? issRequired : issuer !== undefined && iss !== issuer) {
      return [
        400,
        'this answer comes from another provider',
        () => reject(new ProdError('LOGIN_FAILED', `the answer names another provider than ${issuer}`, again)),
      ]
    }
    const error = params.get('error')
    const code = params.get('code')
    if (error !== null || !code) {
      const why = params.get('error_description') ?? error ?? 'it sent no code'
      return [
        400,
        'the provider refused the login; the terminal says more',
        () => reject(new ProdError('LOGIN_FAILED', `the provider refused the login: ${why}`, again)),
      ]
    }
    return [200, 'You may close this page and go back to the terminal.', () => resolve({code, ...(iss === null ? {} : {iss})})]
  }

  const server = createServer({requestTimeout: 10_000, headersTimeout: 5000, maxHeaderSize: 16_384}, (request, response) => {
    const [status, text, act] = judge(request)
    if (act) taken = true
    response.writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      connection: 'close',
      ...(status === 405 ? {allow: 'GET'} : {}),
    })
    response.end(`prod: ${text}\n`, act)
  })
  server.maxConnections = 16
  await new Promise<void>((listening, failed) => {
    server.once('error', failed)
    server.listen(0, '127.0.0.1', listening)
  })
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const timer = setTimeout(
    () => reject(new ProdError('LOGIN_FAILED', `nobody came back from the provider within ${Math.round(limitMs / 60_000)} minutes`, again)),
    limitMs,
  )
  const close = (): void => {
    clearTimeout(timer)
    server.close()
    server.closeAllConnections()
    reject(new ProdError('LOGIN_FAILED', 'the login was given up', again))
  }
  return {redirectUri: `http://${host}${path}`, answer, close}
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
