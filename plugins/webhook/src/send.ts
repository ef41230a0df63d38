/** One notice to one receiver: written, signed, sent to a checked address, accepted or not. */
import {lookup} from 'node:dns/promises'
import {type ClientRequest, request as httpRequest, type IncomingMessage, type RequestOptions} from 'node:http'
import {request as httpsRequest} from 'node:https'
import type {LookupFunction} from 'node:net'
import type {Delivered, Notice} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {noticeBody} from './body.ts'
import {addressesOf, type Receiver, type Resolve} from './receiver.ts'
import {readSecret} from './secrets.ts'
import {signWebhook} from './signature.ts'

const limitMilliseconds = 10_000
const maxHeaderBytes = 16 * 1024

const resolveName: Resolve = host => lookup(host, {all: true, verbatim: true})

/**
 * Sends a notice. An answer 200-299 is acceptance; its body is not read, a redirect not followed. Secrets are read for each notice, so that
 * they can be exchanged while the broker runs. Throws TARGET_UNREACHABLE, CONFIG_INVALID for the secret files; no error tells the URL's path.
 */
export async function send(
  name: string,
  receiver: Receiver,
  notice: Notice,
  signal: AbortSignal,
  resolve: Resolve = resolveName,
): Promise<Delivered> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMilliseconds)])
  const {holder} = receiver
  const secrets = holder ? [holder.secret] : await Promise.all(receiver.secretFiles.map(readSecret))
  const body = Buffer.from(noticeBody(notice))
  let status: number
  try {
    const addresses = await unlessAborted(limit, addressesOf(receiver, resolve))
    const signed = signWebhook(notice.id, body, secrets, new Date())
    const headers = holder ? {...signed, 'webhook-holder': encodeURIComponent(holder.name)} : signed
    status = await post(receiver.url, addresses, headers, body, limit)
  } catch (error) {
    if (error instanceof ProdError) throw error
    const why = limit.aborted
      ? 'did not answer in time'
      : `cannot be reached: ${(error as NodeJS.ErrnoException).code ?? 'the connection was cut'}`
    throw new ProdError('TARGET_UNREACHABLE', `the receiver of ${name} ${why}`)
  }
  if (status < 200 || status > 299) throw new ProdError('TARGET_UNREACHABLE', `the receiver of ${name} answered ${status}`)
  return {receiver: name, at: new Date().toISOString()}
}

/** Posts to one of `addresses`, whatever a name server says by now, and gives the status of the answer. */
export function post(
  url: URL,
  addresses: {address: string; family: number}[],
  headers: Record<string, string>,
  body: Buffer,
  signal: AbortSignal,
): Promise<number> {
  const pinned: LookupFunction = (_host, options, callback) => {
    const [first] = addresses as [{address: string; family: number}]
    if (options.all) callback(null, addresses)
    else callback(null, first.address, first.family)
  }
  const options: RequestOptions = {
    method: 'POST',
    agent: false, // a connection of its own: none is kept that another answer could ride on
    lookup: pinned,
    signal,
    maxHeaderSize: maxHeaderBytes,
    headers: {
      ...headers,
      'content-type': 'application/json',
      'content-length': body.length,
      'user-agent': 'prod-webhook',
      connection: 'close',
    },
  }
  return new Promise((resolve, reject) => {
    const answered = (response: IncomingMessage): void => {
      resolve(response.statusCode ?? 0)
      response.destroy()
    }
    const request: ClientRequest =
      url.protocol === 'https:'
        ? httpsRequest(url, {...options, rejectUnauthorized: true, minVersion: 'TLSv1.2'}, answered)
        : httpRequest(url, options, answered)
    request.on('error', reject)
    request.on('close', () => reject(new Error('no answer')))
    request.end(body)
  })
}

/** A name server can be slow, and its answer cannot be called off. */
function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new Error('too late'))
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, {once: true})
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
