/** What a server answers to the upgrade of a WebSocket: a 101, or a refusal with its body. */
import {createHash} from 'node:crypto'

/** An answer other than an upgrade. Names of headers are in lower case. */
export interface Refused {
  status: number
  headers: Map<string, string>
  body: string
}

const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const maxHeadBytes = 64 * 1024
const maxBodyBytes = 64 * 1024

/** What is wrong with a 101. Pure. */
export function faultOf({headers}: Answer, key: string, protocol: string): string | undefined {
  const has = (name: string, word: string) =>
    (headers.get(name) ?? '')
      .toLowerCase()
      .split(',')
      .some(one => one.trim() === word)
  if (!has('upgrade', 'websocket') || !has('connection', 'upgrade')) return 'it upgrades to something else'
  if (
    headers.get('sec-websocket-accept') !==
    createHash('sha1')
      .update(key + guid)
      .digest('base64')
  )
    return 'it answers another upgrade'
  if (headers.has('sec-websocket-extensions')) return 'it speaks extensions that nobody asked for'
  return headers.get('sec-websocket-protocol') === protocol ? undefined : `it does not speak ${protocol}`
}

/** The answer as it comes: a head, and where it is a refusal, a body. `read` throws for what is no answer. */
export class Answer {
  status = 0
  headers = new Map<string, string>()
  /** a refusal is there with all its body, or with all that is looked at */
  whole = false
  #head = ''
  #headOver = false
  #body = ''

  /** What comes after the head of a 101, once that is whole. */
  read(bytes: Buffer): Buffer | undefined {
    if (this.#headOver) {
      this.#readBody(bytes)
      return undefined
    }
    const before = this.#head.length
    this.#head += bytes.toString('latin1')
    const end = this.#head.indexOf('\r\n\r\n')
    if (end === -1 || end > maxHeadBytes) {
      if (this.#head.length > maxHeadBytes) throw new Error('an answer that is too large')
      return undefined
    }
    const rest = bytes.subarray(end + 4 - before)
    this.#parse(this.#head.slice(0, end))
    this.#head = ''
    if (this.status === 101) return rest
    // what is only on the way: the answer follows
    if (this.status < 200) return this.read(rest)
    this.#headOver = true
    this.#readBody(rest)
    return undefined
  }

  /** The body has no other end than that of the connection. */
  get endsWithConnection(): boolean {
    return this.#headOver && !this.headers.has('content-length') && !this.headers.has('transfer-encoding')
  }

  /** The refusal that it is. */
  refused(): Refused {
    const {status, headers} = this
    const body = headers.has('transfer-encoding') ? (unchunk(this.#body) ?? '') : this.#body
    return {status, headers, body: Buffer.from(body, 'latin1').toString('utf8')}
  }

  #parse(head: string): void {
    const [first = '', ...lines] = head.split('\r\n')
    const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(first)?.[1]
    if (status === undefined) throw new Error('what answers there does not speak HTTP')
    this.status = Number(status)
    this.headers = new Map()
    for (const line of lines) {
      const colon = line.indexOf(':')
      const name = line.slice(0, Math.max(0, colon)).toLowerCase()
      const value = line.slice(colon + 1).trim()
      const known = this.headers.get(name)
      this.headers.set(name, known === undefined ? value : `${known}, ${value}`)
    }
  }

  #readBody(bytes: Buffer): void {
    this.#body += bytes.toString('latin1')
    const length = Number(this.headers.get('content-length') ?? Number.POSITIVE_INFINITY)
    const over = this.headers.has('transfer-encoding') ? unchunk(this.#body) !== undefined : this.#body.length >= length
    this.whole = over || this.#body.length > maxBodyBytes
  }
}

/** A body that came in chunks (RFC 9112 section 7.1); undefined: not all of it is there. */
function unchunk(text: string): string | undefined {
  let body = ''
  for (let at = 0; ; ) {
    const line = text.indexOf('\r\n', at)
    if (line === -1) return undefined
    const size = Number.parseInt(text.slice(at, line), 16)
    if (!(size >= 0)) throw new Error('chunks that are none')
    if (size === 0) return body
    if (text.length < line + 2 + size + 2) return undefined
    body += text.slice(line + 2, line + 2 + size)
    at = line + 2 + size + 2
  }
}
