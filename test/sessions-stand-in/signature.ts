/** Signature Version 4, as a service checks it: in headers, and in a presigned URL's query. */
import {createHash, createHmac, timingSafeEqual} from 'node:crypto'

/** What a request says of who signed it. */
export interface Signed {
  accessKeyId: string
  sessionToken: string
  region: string
  service: string
}

/** A request as it came. */
export interface Request {
  method: string
  /** path and query as sent */
  url: string
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Buffer
}

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
const hash = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex')
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/** Who signed it, unchecked; undefined when nobody did. */
export function signer(request: Request): Signed | undefined {
  const query = new URL(request.url, 'http://here').searchParams
  const [credential, token] = query.has('X-Amz-Signature')
    ? [query.get('X-Amz-Credential') ?? '', query.get('X-Amz-Security-Token') ?? '']
    : [/Credential=([^,\s]+)/.exec(one(request, 'authorization'))?.[1] ?? '', one(request, 'x-amz-security-token')]
  const [accessKeyId = '', date, region = '', service = '', end] = credential.split('/')
  return date && end === 'aws4_request' ? {accessKeyId, sessionToken: token, region, service} : undefined
}

const one = (request: Request, name: string): string => String(request.headers[name] ?? '')

/** The text that is signed, and the signature over it. */
function sign(
  request: Request,
  path: string,
  query: [string, string][],
  signedHeaders: string[],
  date: string,
  scope: string,
  secret: string,
): string {
  const [day = '', region = '', service = ''] = scope.split('/')
  const lines = [
    request.method,
    path,
    query
      .map(([name, value]) => `${encode(name)}=${encode(value)}`)
      .sort()
      .join('&'),
    ...signedHeaders.map(name => `${name}:${one(request, name).trim().replace(/\s+/g, ' ')}`),
    '',
    signedHeaders.join(';'),
    one(request, 'x-amz-content-sha256') || hash(request.body),
  ]
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), 'aws4_request')
  return hmac(key, ['AWS4-HMAC-SHA256', date, scope, hash(lines.join('\n'))].join('\n')).toString('hex')
}

/** The headers that sign a request, for whoever tests the stand-in without an SDK. */
export function signedHeaders(
  request: Request,
  it: {accessKeyId: string; secretAccessKey: string; sessionToken: string; region: string; service: string; at: Date},
): Record<string, string> {
  const url = new URL(request.url, 'http://here')
  const date = it.at.toISOString().replace(/[-:]|\.\d+/g, '')
  const scope = `${date.slice(0, 8)}/${it.region}/${it.service}/aws4_request`
  const own: Record<string, string> = {'x-amz-date': date, ...(it.sessionToken && {'x-amz-security-token': it.sessionToken})}
  const names = ['host', ...Object.keys(own)]
  const all = {...request, headers: {...request.headers, ...own}}
  const signature = sign(all, url.pathname.split('/').map(encode).join('/'), [...url.searchParams], names, date, scope, it.secretAccessKey)
  return {
    ...own,
    authorization: `AWS4-HMAC-SHA256 Credential=${it.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  }
}

/** What is wrong with a request's signature; undefined when nothing is. `now` in milliseconds. */
export function signatureFault(request: Request, secretAccessKey: string, now: number, mayBeOldMs = 300_000): string | undefined {
  const url = new URL(request.url, 'http://here')
  const query = url.searchParams
  const presigned = query.has('X-Amz-Signature')
  const header = one(request, 'authorization')
  const said = (name: string): string =>
    presigned ? (query.get(`X-Amz-${name}`) ?? '') : (new RegExp(`${name}=([^,\\s]+)`).exec(header)?.[1] ?? '')
  const [, day = '', region = '', service = ''] = said('Credential').split('/')
  const date = presigned ? said('Date') : one(request, 'x-amz-date')
  const at = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date)
  if (!at || !date.startsWith(day)) return 'the date is missing, or not the one of the scope'
  const sentAt = Date.UTC(Number(at[1]), Number(at[2]) - 1, Number(at[3]), Number(at[4]), Number(at[5]), Number(at[6]))
  const lastsMs = presigned ? Number(said('Expires')) * 1000 : mayBeOldMs
  if (!(lastsMs > 0) || now > sentAt + lastsMs || now < sentAt - mayBeOldMs) return 'the signature has expired'

  const names = said('SignedHeaders').split(';')
  const must = [
    'host',
    ...(presigned ? [] : ['x-amz-date']),
    ...(!presigned && one(request, 'x-amz-security-token') ? ['x-amz-security-token'] : []),
  ]
  const missing = must.find(name => !names.includes(name))
  if (missing) return `${missing} is not signed`
  const digest = one(request, 'x-amz-content-sha256')
  if (digest && digest !== hash(request.body)) return 'the body is not the one that was signed'
  const pairs = [...query].filter(([name]) => name !== 'X-Amz-Signature')
  // the path is encoded once, from what was sent
  const path = url.pathname.split('/').map(encode).join('/')
  const expected = sign(request, path, pairs, names, date, `${day}/${region}/${service}/aws4_request`, secretAccessKey)
  const given = said('Signature')
  return given.length === expected.length && timingSafeEqual(Buffer.from(given), Buffer.from(expected))
    ? undefined
    : 'the signature does not match'
}

/** An address that is signed in its query, for whoever tests the stand-in without an SDK. */
export function presigned(
  url: string,
  it: {accessKeyId: string; secretAccessKey: string; sessionToken: string; region: string; service: string; at: Date},
  expiresSeconds: number,
): string {
  const whole = new URL(url)
  const date = it.at.toISOString().replace(/[-:]|\.\d+/g, '')
  const scope = `${date.slice(0, 8)}/${it.region}/${it.service}/aws4_request`
  const query: [string, string][] = [
    ...whole.searchParams,
    ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
    ['X-Amz-Credential', `${it.accessKeyId}/${scope}`],
    ['X-Amz-Date', date],
    ['X-Amz-Expires', String(expiresSeconds)],
    ['X-Amz-SignedHeaders', 'host'],
    ...(it.sessionToken ? [['X-Amz-Security-Token', it.sessionToken] as [string, string]] : []),
  ]
  const request = {method: 'GET', url, headers: {host: whole.host}, body: Buffer.alloc(0)}
  const signature = sign(request, whole.pathname.split('/').map(encode).join('/'), query, ['host'], date, scope, it.secretAccessKey)
  const text = [...query, ['X-Amz-Signature', signature]].map(([name, value]) => `${name}=${encode(value as string)}`).join('&')
  return `${whole.origin === 'null' ? `${whole.protocol}//${whole.host}` : whole.origin}${whole.pathname}?${text}`
}
