/** The operations listener: figures for Prometheus, on a port of their own (TM-A16). */
import {createServer} from 'node:http'
import {listen} from './listen.ts'

/** Serves `render()` at `/metrics` on a loopback address; no other name or path answers. Throws PORT_IN_USE. */
export async function startOperations(
  port: number,
  render: () => Promise<string>,
  host = '127.0.0.1',
): Promise<{port: number; url: string; close(): Promise<void>}> {
  const server = createServer(
    {headersTimeout: 5000, requestTimeout: 5000, keepAliveTimeout: 5000, connectionsCheckingInterval: 1000},
    (request, response) => {
      const answer = (status: number, text: string): void => {
        response.writeHead(status, {
          'content-type': 'text/plain; version=0.0.4; charset=utf-8',
          'cache-control': 'no-store',
          'x-content-type-options': 'nosniff',
        })
        response.end(text)
      }
      if (request.headers.host !== name) return answer(421, 'unknown host\n')
      if (request.headers.origin !== undefined || request.url !== '/metrics') return answer(404, 'not found\n')
      if (request.method !== 'GET') return answer(405, 'method not allowed\n')
      render().then(
        text => answer(200, text),
        () => answer(500, 'the figures cannot be read\n'),
      )
    },
  )
  const given = await listen(server, {host, port})
  const name = `${host.includes(':') ? `[${host}]` : host}:${given}`
  return {
    port: given,
    url: `http://${name}/metrics`,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
