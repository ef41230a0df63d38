/** Opens a secret address in the browser without it standing in anybody's argv, where every account of the machine reads it (TM-U2). */
import {randomBytes} from 'node:crypto'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {ProdError} from '@prod/sdk/errors'

/**
 * `open` is given an address of this machine that leads on to `url`, once, for as long as `limitMs`. Resolves when a browser has taken it.
 * Throws TARGET_UNREACHABLE where none came.
 */
export async function openOnce(url: string, open: (page: string) => void, limitMs = 60_000): Promise<void> {
  const path = `/${randomBytes(32).toString('base64url')}`
  const taken = Promise.withResolvers<void>()
  let host = ''
  let done = false
  const server = createServer({requestTimeout: 10_000, headersTimeout: 5000}, (request, response) => {
    const right = request.headers.host === host && request.url === path && request.method === 'GET' && !done
    // a page that fetches in the background is no person who opened this
    const mode = request.headers['sec-fetch-mode']
    const headers = {'cache-control': 'no-store', 'referrer-policy': 'no-referrer', connection: 'close'}
    if (!right || (mode !== undefined && mode !== 'navigate')) {
      response.writeHead(404, headers).end()
      return
    }
    done = true
    response.writeHead(302, {...headers, location: url}).end(() => taken.resolve())
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const timer = setTimeout(
    () =>
      taken.reject(new ProdError('TARGET_UNREACHABLE', 'no browser came for the page', 'the same command with --url prints the address')),
    limitMs,
  )
  try {
    open(`http://${host}${path}`)
    await taken.promise
  } finally {
    clearTimeout(timer)
    server.close()
  }
}
