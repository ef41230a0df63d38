/** A login at a development provider without a browser: it consents by itself, we only follow. */
import {get, type IncomingMessage} from 'node:http'
import {ProdError} from '@prod/sdk/errors'

const maxSteps = 20

/**
 * Follows the authorization URL, with its cookies, from one redirect to the next until one leads to `redirectUri`, and that one
 * too. Goes nowhere but to the provider's own literal loopback address. Throws LOGIN_FAILED, USAGE.
 */
export async function follow(authorizationUrl: string, redirectUri: string): Promise<void> {
  const {origin, hostname, protocol} = new URL(authorizationUrl)
  if (protocol !== 'http:' || !(hostname === '127.0.0.1' || hostname === '[::1]')) {
    throw new ProdError('USAGE', '--as exists for a development provider on this machine alone', 'prod login')
  }
  const cookies = new Map<string, {name: string; value: string; path: string}>()
  let at = new URL(authorizationUrl)
  for (let step = 0; step < maxSteps; step++) {
    const back = at.origin + at.pathname === redirectUri
    if (!back && at.origin !== origin)
      throw new ProdError('LOGIN_FAILED', `the development provider leads away, to ${at.origin}`, 'prod login')
    const {status, location, setCookies} = await visit(at, back ? [] : [...cookies.values()].filter(({path}) => matches(at.pathname, path)))
    if (back) return
    for (const line of setCookies) keep(cookies, line)
    if (status < 300 || status > 399 || location === undefined) {
      if (status === 404)
        throw new ProdError(
          'LOGIN_FAILED',
          'the development provider knows nobody of that name: alice, bob, carol and people.json',
          'prod login --as alice',
        )
      throw new ProdError('LOGIN_FAILED', `the development provider did not consent by itself (it answered ${status})`, 'prod login')
    }
    at = new URL(location, at)
  }
  throw new ProdError('LOGIN_FAILED', 'the development provider leads in circles', 'prod login')
}

function visit(
  url: URL,
  cookies: {name: string; value: string}[],
): Promise<{status: number; location: string | undefined; setCookies: string[]}> {
  const {promise, resolve, reject} = Promise.withResolvers<IncomingMessage>()
  const cookie = cookies.map(({name, value}) => `${name}=${value}`).join('; ')
  get(url, {agent: false, timeout: 10_000, headers: {accept: 'text/html', ...(cookie ? {cookie} : {})}}, resolve)
    .on('timeout', function (this: import('node:http').ClientRequest) {
      this.destroy(new Error('no answer in time'))
    })
    .on('error', reject)
  return promise.then(
    response => {
      response.resume()
      return {status: response.statusCode ?? 0, location: response.headers.location, setCookies: response.headers['set-cookie'] ?? []}
    },
    (cause: unknown) => {
      throw new ProdError('LOGIN_FAILED', `${url.origin} cannot be reached`, 'prod login', {cause})
    },
  )
}

function keep(cookies: Map<string, {name: string; value: string; path: string}>, line: string): void {
  const [pair = '', ...attributes] = line.split(';')
  const [name = '', ...rest] = pair.trim().split('=')
  const of = (wanted: string): string | undefined =>
    attributes.map(one => one.trim().split('=')).find(([key]) => key?.toLowerCase() === wanted)?.[1]
  const path = of('path') ?? '/'
  const expires = of('expires')
  if (of('max-age') === '0' || (expires !== undefined && Date.parse(expires) <= Date.now())) cookies.delete(`${name} ${path}`)
  else cookies.set(`${name} ${path}`, {name, value: rest.join('='), path})
}

/** RFC 6265 section 5.1.4 */
function matches(at: string, path: string): boolean {
  return at === path || (at.startsWith(path) && (path.endsWith('/') || at[path.length] === '/'))
}
