/**
 * What is refused before anything looks at a request: foreign Host (TM-A4), foreign origin (TM-A1, A3), a path that is not
 * written in its one form (TM-A6), a body where none belongs. The same for calls and for the upgrade of a stream.
 */
import type {IncomingMessage} from 'node:http'
import {ProdError} from '@prod/sdk/errors'
import ipaddr from 'ipaddr.js'
import type {Config} from '../config.ts'

// one written form: nothing encoded, no empty, dotted or endless segment, no slash at the end
const path = /^(?:\/|(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,127})+)$/
const json = /^application\/json(?:; ?charset="?utf-8"?)?$/i
const label = /^[A-Za-z0-9._:-]{1,64}$/

/** Why this request goes no further; undefined where it may. */
export function refusalOf(config: Config, request: IncomingMessage): ProdError | undefined {
  const hosts = valuesOf(request, 'host')
  if (hosts.length !== 1 || !isOwnHost(config, hosts[0] as string)) {
    return new ProdError('UNKNOWN_HOST', 'this broker is not reached under that name', `prod login --broker ${config.origin}`)
  }
  const origins = valuesOf(request, 'origin')
  if (origins.some(origin => origin !== config.origin)) return new ProdError('DENIED', 'calls from other origins are refused')
  const sites = valuesOf(request, 'sec-fetch-site')
  if (sites.some(site => site !== 'same-origin' && site !== 'none')) return new ProdError('DENIED', 'calls from other sites are refused')

  if (!path.test(pathOf(request))) return new ProdError('NOT_FOUND', 'there is no such path')
  if (request.headers['content-encoding'] !== undefined) return new ProdError('UNSUPPORTED_MEDIA_TYPE', 'an encoded body is refused')
  const {method, headers} = request
  const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
  if (hasBody && method !== 'POST') return new ProdError('BAD_REQUEST', `a body does not belong to ${method}`)
  const types = valuesOf(request, 'content-type')
  if (hasBody && !(types.length === 1 && json.test(types[0] as string)))
    return new ProdError('UNSUPPORTED_MEDIA_TYPE', 'the body is not application/json in UTF-8')
  return undefined
}

/** The part of the request target before `?`. */
export function pathOf({url = '/'}: Pick<IncomingMessage, 'url'>): string {
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
}

/** Who is at the other end: the peer, or what a configured proxy says of it (`X-Forwarded-For`, read from the right). */
export function addressOf(config: Config, request: IncomingMessage): string {
  const peer = plainAddress(request.socket.remoteAddress ?? '')
  if (!isTrusted(config, peer)) return peer
  const forwarded = valuesOf(request, 'x-forwarded-for')
    .join(',')
    .split(',')
    .map(one => one.trim())
  for (let at = forwarded.length - 1; at >= 0; at--) {
    const address = plainAddress(forwarded[at] as string)
    if (!ipaddr.isValid(address)) return peer
    if (!isTrusted(config, address)) return address
  }
  return peer
}

/** What the client calls this call, for its own records (TM-I3): a label, never the correlation id. */
export function labelOf(request: IncomingMessage): string | undefined {
  const [given] = valuesOf(request, 'x-correlation-id')
  return given !== undefined && label.test(given) ? given : undefined
}

/** What a caller shows of itself: each header once. Throws TOKEN_INVALID. */
export function credentialsOf(request: IncomingMessage): {authorization: string | undefined; proof: string | undefined} {
  const [authorization, ...others] = valuesOf(request, 'authorization')
  const [proof, ...more] = valuesOf(request, 'dpop')
  if (others.length > 0 || more.length > 0) throw new ProdError('TOKEN_INVALID', 'a header that proves who calls came twice')
  return {authorization, proof}
}

/** Every value a header was sent with: node keeps the first of some that must not come twice. */
export function valuesOf({rawHeaders}: IncomingMessage, name: string): string[] {
  const values: string[] = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() === name) values.push(rawHeaders[at + 1] as string)
  }
  return values
}

function isOwnHost(config: Config, given: string): boolean {
  const {host, port, protocol} = new URL(config.origin)
  const own = port === '' ? [host, `${host}:${protocol === 'https:' ? 443 : 80}`] : [host]
  // a development broker may be reached under either literal loopback address, never under a name
  if (config.development) own.push(`127.0.0.1:${port}`, `[::1]:${port}`)
  return own.includes(given.toLowerCase())
}

function isTrusted({trustedProxies}: Config, address: string): boolean {
  if (trustedProxies.length === 0 || !ipaddr.isValid(address)) return false
  const parsed = ipaddr.parse(address)
  return trustedProxies.some(proxy => {
    const [range, bits] = proxy.includes('/') ? ipaddr.parseCIDR(proxy) : [ipaddr.parse(proxy), undefined]
    return range.kind() === parsed.kind() && parsed.match(range as ipaddr.IPv4, bits ?? (range.kind() === 'ipv4' ? 32 : 128))
  })
}

/** `::ffff:127.0.0.1` is 127.0.0.1. */
function plainAddress(address: string): string {
  return ipaddr.isValid(address) ? ipaddr.process(address).toString() : address
}
