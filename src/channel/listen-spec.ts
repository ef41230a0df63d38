/** What is written after `-L` and `--stdio`, as ssh reads it. Pure. */
import {isIP} from 'node:net'
import type {HostPort} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {isLoopback, readHost, showHostPort} from '@prod/sdk/forward'

/** A port of this machine, or a socket in its file system. */
export type LocalPlace = HostPort | {path: string}

/** A port or socket here, and where its connections lead. A port 0: a free one. */
export interface Listen {
  listen: LocalPlace
  to: HostPort
}

const forms = 'PORT, PORT:HOST:PORT, ADDR:PORT:HOST:PORT or /SOCKET:HOST:PORT'
/** what an address of a socket holds at most, everywhere */
const maxPathBytes = 103

/**
 * Reads `PORT` (the target's own port, the same here), `PORT:HOST:PORT` and `ADDR:PORT:HOST:PORT`; IPv6 in brackets, an empty ADDR or `*` for
 * every address of this machine. What holds a slash before its first colon is a socket: `./db.sock:HOST:PORT`. Throws USAGE.
 */
export function parseListen(text: string): Listen {
  const refuse = (why: string) => new ProdError('USAGE', `-L ${JSON.stringify(text)}: ${why}`, 'prod forward TARGET -L 8080:localhost:80')
  const path = /^[^:[\]]*\/[^:[\]]*(?=:)/.exec(text)?.[0]
  if (path !== undefined) return {listen: {path: pathOr(path, refuse)}, to: placeOr(text.slice(path.length + 1), refuse)}
  const words = split(text)
  if (!words || ![1, 3, 4].includes(words.length)) throw refuse(`it is written ${forms}`)
  const [port = '', host = 'localhost', far = port] = words.slice(-3)
  const [own, remote] = [portOf(port, 0), portOf(far, 1)]
  if (own === undefined) throw refuse(`${JSON.stringify(port)} is no port`)
  if (remote === undefined) throw refuse(words.length === 1 ? 'the port of the target is 1 to 65535' : `${JSON.stringify(far)} is no port`)
  const address = words.length === 4 ? (words[0] as string) : '127.0.0.1'
  const at = address === '' || address === '*' ? '::' : address === 'localhost' ? '127.0.0.1' : readHost(address)
  if (at === undefined || isIP(at) === 0) throw refuse(`${JSON.stringify(address)} is no address of this machine`)
  return {listen: {host: at, port: own}, to: {host: readHostOr(host, refuse), port: remote}}
}

/** Reads `PORT` or `HOST:PORT`. Throws USAGE. */
export function parsePlace(text: string): HostPort {
  const refuse = (why: string) =>
    new ProdError('USAGE', `--stdio ${JSON.stringify(text)}: ${why}`, 'prod forward TARGET --stdio 22, or --stdio db.internal:5432')
  const words = split(text)
  if (!words || words.length > 2) throw refuse('it is written PORT or HOST:PORT')
  const [host, port] = words.length === 1 ? ['localhost', words[0] as string] : (words as [string, string])
  const far = portOf(port, 1)
  if (far === undefined) throw refuse(`${JSON.stringify(port)} is no port`)
  return {host: readHostOr(host, refuse), port: far}
}

/** Whether others than this machine can come in at it. */
export function isExposed({listen}: Listen): boolean {
  return !('path' in listen) && !isLoopback(listen.host)
}

/** As it was written. */
export function showLocal(place: LocalPlace): string {
  return 'path' in place ? place.path : showHostPort(place)
}

type Refuse = (why: string) => ProdError

function pathOr(path: string, refuse: Refuse): string {
  if (path.endsWith('/') || path.includes('\0')) throw refuse(`${JSON.stringify(path)} names no socket`)
  if (Buffer.byteLength(path) > maxPathBytes) throw refuse(`a socket's path has ${maxPathBytes} bytes at most`)
  return path
}

function placeOr(text: string, refuse: Refuse): HostPort {
  const words = split(text)
  const far = portOf(words?.[1] ?? '', 1)
  if (words?.length !== 2 || far === undefined) throw refuse(`it is written ${forms}`)
  return {host: readHostOr(words[0] as string, refuse), port: far}
}

function readHostOr(text: string, refuse: Refuse): string {
  const host = readHost(text)
  if (host === undefined) throw refuse(`${JSON.stringify(text)} names no host`)
  return host
}

/** At the colons that stand outside brackets; undefined where brackets are wrong. */
function split(text: string): string[] | undefined {
  const words = text.match(/\[[^[\]]*\]|[^:[\]]+|:/g) ?? []
  if (words.join('') !== text) return undefined
  const found = ['']
  for (const word of words) {
    if (word === ':') found.push('')
    else if (found.at(-1) === '') found[found.length - 1] = word
    else return undefined
  }
  return found
}

function portOf(text: string, least: number): number | undefined {
  const port = /^(?:0|[1-9][0-9]{0,4})$/.test(text) ? Number(text) : Number.NaN
  return port >= least && port <= 65_535 ? port : undefined
}
