/** Where notices go: a URL from the operator's configuration, and the addresses that it may lead to (TM-A7). */

import {isIP} from 'node:net'
import {isAbsolute} from 'node:path'
import {ProdError} from '@prod/sdk/errors'
import ipaddr from 'ipaddr.js'
import {secretKey} from './secrets.ts'

/** One receiver, checked. Two secret files while the secret is being exchanged. */
export interface Receiver {
  url: URL
  secretFiles: string[]
  /** of one person, who sends from their own machine: whose name the signature is in, and the secret that is theirs alone */
  holder: {name: string; secret: string} | null
  /** a literal loopback address is allowed, over http too */
  development: boolean
}

const known = new Set(['url', 'secretFile', 'secretFiles', 'holder', 'secret', 'development'])
const globalUnicastV6 = ipaddr.parseCIDR('2000::/3') as [ipaddr.IPv6, number]

/** Reads a channel's configuration `{url, secretFile | secretFiles | holder and secret, development?}`. Throws CONFIG_INVALID. Pure. */
export function parseReceiver(name: string, config: Record<string, unknown>): Receiver {
  const refuse = (why: string, hint = 'config: {url: https://…, secretFile: /…}') =>
    new ProdError('CONFIG_INVALID', `the channel ${name} ${why}`, hint)
  const unknown = Object.keys(config).find(key => !known.has(key))
  if (unknown !== undefined) throw refuse(`has a key that a webhook does not know: ${unknown}`)
  const {url: text, secretFile, secretFiles, holder, secret, development = false} = config
  if (typeof development !== 'boolean') throw refuse('says neither true nor false for development')

  const files = secretFiles ?? (secretFile === undefined ? [] : [secretFile])
  if (secretFile !== undefined && secretFiles !== undefined) throw refuse('has both secretFile and secretFiles')
  const held = typeof holder === 'string' && holder !== '' && typeof secret === 'string' ? {name: holder, secret} : null
  if (held ? files !== undefined && (files as unknown[]).length > 0 : holder !== undefined || secret !== undefined)
    throw refuse('has a holder without a secret, or beside the files of the operator')
  if (held) secretKey(held.secret)
  else if (
    !Array.isArray(files) ||
    files.length < 1 ||
    files.length > 2 ||
    !files.every(file => typeof file === 'string' && isAbsolute(file)) ||
    new Set(files).size !== files.length
  ) {
    throw refuse('needs one secret file, or two while the secret is exchanged, by absolute path')
  }

  const url = typeof text === 'string' && text.trim() === text ? URL.parse(text) : null
  if (!url) throw refuse('has no URL')
  if (url.username !== '' || url.password !== '' || url.hash !== '') throw refuse('has a URL with a user or a fragment')
  const literal = literalOf(url)
  const here = development && literal !== undefined && isLoopback(literal)
  if (url.protocol !== 'https:' && !(here && url.protocol === 'http:')) throw refuse('must have an https URL')
  if (literal !== undefined && !here && !isPublic(literal)) throw refuse(`must not lead to ${literal}, which is inside`)
  return {url, secretFiles: files as string[], holder: held, development}
}

/** The address that a URL names itself; undefined for a host name. Short, decimal and hex forms are dotted by then. */
export function literalOf({hostname}: URL): string | undefined {
  const bare = hostname.replace(/^\[|\]$/g, '')
  return isIP(bare) === 0 ? undefined : bare
}

/** Whether an address belongs to the public internet: no loopback, private, link-local, metadata, shared, translated or reserved one. Pure. */
export function isPublic(address: string): boolean {
  if (isIP(address) === 0) return false
  const read = ipaddr.process(address) // an IPv4 address written as IPv6 is the IPv4 address
  return read.range() === 'unicast' && (read.kind() === 'ipv4' || (read as ipaddr.IPv6).match(globalUnicastV6))
}

function isLoopback(address: string): boolean {
  return address === '127.0.0.1' || address === '::1'
}

/** Asks the name server once. */
export type Resolve = (host: string) => Promise<{address: string; family: number}[]>

/**
 * The addresses that the connection may go to, asked for once. One bad address refuses them all: a name that also leads inside is not
 * trusted. Throws TARGET_UNREACHABLE.
 */
export async function addressesOf({url, development}: Receiver, resolve: Resolve): Promise<{address: string; family: number}[]> {
  const literal = literalOf(url)
  const found = literal === undefined ? await resolve(url.hostname) : [{address: literal, family: isIP(literal)}]
  const allowed = (address: string): boolean => isPublic(address) || (development && literal !== undefined && isLoopback(address))
  if (found.length === 0 || !found.every(({address}) => allowed(address)))
    throw new ProdError('TARGET_UNREACHABLE', 'the receiver’s name leads to an address inside')
  return found
}
