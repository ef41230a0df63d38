/** Two alert receivers of a development broker: each checks the signature and writes one JSON line. A receiver somebody else could have written. */
import {createHmac, timingSafeEqual} from 'node:crypto'
import {appendFile, mkdir} from 'node:fs/promises'
import {createServer} from 'node:http'
import {join} from 'node:path'
import {listen} from '../http/listen.ts'

const maxBytes = 256 * 1024
const toleranceSeconds = 300

/** A running receiver; `url` is what the channel is configured with. */
export interface Receiver {
  url: string
  close(): Promise<void>
}

/** Starts a receiver that writes `DIR/alerts/NAME.jsonl`. `secret` as `whsec_…` (https://www.standardwebhooks.com). */
export async function startReceiver(dir: string, name: string, secret: string): Promise<Receiver> {
  const folder = join(dir, 'alerts')
  await mkdir(folder, {recursive: true, mode: 0o700})
  const file = join(folder, `${name}.jsonl`)
  await appendFile(file, '', {mode: 0o600})
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const seen = new Set<string>()
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    let total = 0
    request.on('data', (chunk: Buffer) => {
      total += chunk.byteLength
      if (total > maxBytes) request.destroy()
      else chunks.push(chunk)
    })
    request.on('end', () => {
      const id = String(request.headers['webhook-id'] ?? '')
      const timestamp = String(request.headers['webhook-timestamp'] ?? '')
      const body = Buffer.concat(chunks)
      const holder = request.headers['webhook-holder']
      const by =
        typeof holder === 'string'
          ? createHmac('sha256', key)
              .update(`prod holder ${decodeURIComponent(holder)}`)
              .digest()
          : key
      const expected = createHmac('sha256', by).update(`${id}.${timestamp}.`).update(body).digest()
      const signed = String(request.headers['webhook-signature'] ?? '')
        .split(' ')
        .some(one => {
          const given = Buffer.from(one.replace(/^v1,/, ''), 'base64')
          return one.startsWith('v1,') && given.length === expected.length && timingSafeEqual(given, expected)
        })
      const fresh = /^\d+$/.test(timestamp) && Math.abs(Date.now() / 1000 - Number(timestamp)) <= toleranceSeconds
      if (!signed || !fresh) {
        response.writeHead(401).end()
        return
      }
      if (seen.has(id)) {
        response.writeHead(204).end()
        return
      }
      appendFile(file, `${JSON.stringify({id, receivedAt: new Date().toISOString(), ...(JSON.parse(body.toString()) as object)})}\n`).then(
        () => {
          seen.add(id)
          response.writeHead(204).end()
        },
        () => response.writeHead(500).end(),
      )
    })
  })
  const port = await listen(server, {host: '127.0.0.1', port: 0})
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
