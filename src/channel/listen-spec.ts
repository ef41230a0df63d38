/** What is written after `-L` and `--stdio`, as ssh reads it. Pure. */
import {isIP} from 'node:net'
import type {HostPort} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {isLoopback, readHost} from '@prod/sdk/forward'

/** A port here, and where its connections lead. `listen.port` 0: a free one. */
export interface Listen {
  listen: HostPort
  to: HostPort
}

const forms = 'PORT, PORT:HOST:PORT or ADDR:PORT:HOST:PORT'

/**
 * Reads `PORT` (the target's own port, the same here), `PORT:HOST:PORT` and `ADDR:PORT:HOST:PORT`; IPv6 in brackets, an empty ADDR or `*` for
 * every address of this machine. Throws USAGE.
 */
export function parseListen(text: string): Listen {
  const refuse = (why: string) => new ProdError('USAGE', `-L ${JSON.stringify(text)}: ${why}`, 'prod forward TARGET -L 8080:localhost:80')
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
  return !isLoopback(listen.host)
}

function readHostOr(text: string, refuse: (why: string) => ProdError): string {
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
