/** Sends usage events beside what a command does. Nothing waits for it, and it keeps no process alive. */
import {api} from '../api.ts'
import {proof} from '../dpop.ts'
import {type Session, trust} from '../session.ts'
import {takeUsage} from './usage.ts'

/** What the command itself sends goes before. */
const afterMilliseconds = 30
const limitMilliseconds = 5000

let begun = false

/** Sends what is due, once in a process; what is not heard of before the process ends is sent again, under the same name, by a later one. */
export function sendUsageBeside(session: () => Promise<Session>): void {
  if (begun) return
  begun = true
  setTimeout(() => void sendUsage(session).catch(() => {}), afterMilliseconds).unref()
}

/** Sends what is due; for tests: sooner and to its end. */
export async function sendUsage(session: () => Promise<Session>): Promise<void> {
  const batch = takeUsage()
  if (!batch) return
  const body = JSON.stringify({batch: batch.id, events: batch.events})
  const {status, nonce} = await post(await session(), body)
  const said = status === 401 && nonce !== undefined ? (await post(await session(), body, nonce)).status : status
  // taken, or such that no broker takes it
  if ([200, 400, 413, 422].includes(said)) batch.done()
}

/** One POST by hand: what a client loads for its calls costs more than the command may be charged. */
async function post(session: Session, body: string, nonce?: string): Promise<{status: number; nonce: string | undefined}> {
  const {broker, key} = session
  const url = broker.url + api.usage.path
  const {rejectUnauthorized, minVersion, ca} = trust(broker)
  const accessToken = await session.token()
  const {request} = await (url.startsWith('https:') ? import('node:https') : import('node:http'))
  return new Promise((resolve, reject) => {
    const call = request(url, {
      method: api.usage.method,
      agent: false,
      rejectUnauthorized,
      minVersion,
      ...(ca === undefined ? {} : {ca}),
      timeout: limitMilliseconds,
      headers: {
        authorization: `DPoP ${accessToken}`,
        dpop: proof(key, {method: api.usage.method, url, accessToken, ...(nonce === undefined ? {} : {nonce})}),
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'prod',
      },
    } as object)
    call.on('socket', socket => socket.unref())
    call.on('timeout', () => call.destroy(new Error('no answer')))
    call.on('error', reject)
    call.on('response', response => {
      const given = response.headers['dpop-nonce']
      response.resume()
      resolve({status: response.statusCode ?? 0, nonce: Array.isArray(given) ? given[0] : given})
    })
    call.end(body)
  })
}
