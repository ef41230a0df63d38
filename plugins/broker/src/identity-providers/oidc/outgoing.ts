/** Calls to the identity provider: https alone, nothing followed, nothing inside reached, bounded in size and time (TM-A7). */
import {type LookupAddress, lookup} from 'node:dns'
import {request as httpRequest, type IncomingMessage, type RequestOptions} from 'node:http'
import {request as httpsRequest} from 'node:https'
import {isIP, type LookupFunction} from 'node:net'
import {certificateFault} from '@prod/sdk/broker-errors'
import {ProdError} from '@prod/sdk/errors'
import ipaddr from 'ipaddr.js'

const timeoutMs = 8000
const maxBytes = 512 * 1024
const refusedRanges: ReadonlySet<string> = new Set([
  'loopback',
  'linkLocal',
  'unspecified',
  'multicast',
  'broadcast',
  'reserved',
  'carrierGradeNat',
])

/** Where calls may go. */
export interface Reach {
  /** http to a literal loopback address is allowed: a development broker */
  development: boolean
  /** PEM: the CAs that may vouch for it, instead of the public ones */
  ca?: string
}

export interface Answer {
  status: number
  /** parsed; undefined where it is not JSON */
  json: Record<string, unknown> | undefined
}

/** Checks a URL that configuration or discovery gave. Throws CONFIG_INVALID. */
export function checkUrl(text: unknown, {development}: Reach): URL {
  const url = typeof text === 'string' ? URL.parse(text) : null
  if (url?.username !== '' || url.password !== '' || url.hash !== '')
    throw new ProdError('CONFIG_INVALID', 'the identity provider names an address that is not a URL')
  const loopback = url.hostname === '127.0.0.1' || url.hostname === '[::1]'
  if (url.protocol === 'http:' && development && loopback) return url
  if (url.protocol !== 'https:')
    throw new ProdError('CONFIG_INVALID', `the identity provider is reached over https only, not at ${url.origin}`)
  const literal = url.hostname.replace(/^\[|\]$/g, '')
  if (isIP(literal) !== 0 && isRefused(literal)) throw new ProdError('CONFIG_INVALID', `the identity provider does not live at ${url.host}`)
  return url
}

/** One call. A redirect is an answer like any other. Throws IDENTITY_UNAVAILABLE where no whole answer came in 8 s. */
export async function call(
  url: URL,
  reach: Reach,
  {form, authorization}: {form?: URLSearchParams; authorization?: string} = {},
): Promise<Answer> {
  checkUrl(url.href, reach)
  const body = form?.toString()
  const options: RequestOptions = {
    method: body === undefined ? 'GET' : 'POST',
    signal: AbortSignal.timeout(timeoutMs),
    headers: {
      accept: 'application/json',
      'user-agent': 'prod',
      ...(authorization === undefined ? {} : {authorization}),
      ...(body === undefined ? {} : {'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body)}),
    },
  }
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request =
        url.protocol === 'https:'
          ? httpsRequest(
              url,
              {
                ...options,
                lookup: outsideOnly,
                minVersion: 'TLSv1.2',
                rejectUnauthorized: true,
                ...(reach.ca === undefined ? {} : {ca: reach.ca}),
              },
              resolve,
            )
          : httpRequest(url, options, resolve)
      request.on('error', reject)
      request.end(body)
    })
    return {status: response.statusCode ?? 0, json: parse(await read(response))}
  } catch (cause) {
    const fault = certificateFault(cause)
    if (fault !== undefined) {
      throw new ProdError(
        'IDENTITY_UNAVAILABLE',
        `the broker refuses the certificate of the identity provider at ${url.host}: ${fault}`,
        'ask who runs the broker; for a CA of their own: identity.caFile in its configuration',
        {cause},
      )
    }
    throw new ProdError('IDENTITY_UNAVAILABLE', 'the identity provider cannot be reached', 'try again in a moment', {cause})
  }
}

async function read(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) {
      response.destroy()
      throw new RangeError('the answer is too large')
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** The address is looked up once, checked, and the connection goes to that one. */
const outsideOnly: LookupFunction = (host, _options, callback) => {
  lookup(host, {all: true, verbatim: true}, (error, addresses: LookupAddress[]) => {
    const usable = (addresses ?? []).filter(({address}) => !isRefused(address))
    if (error || usable.length === 0) {
      callback(error ?? Object.assign(new Error('no usable address'), {code: 'EACCES'}), [])
      return
    }
    callback(null, usable)
  })
}

function isRefused(address: string): boolean {
  return refusedRanges.has(ipaddr.process(address).range())
}
