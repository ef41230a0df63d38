/** AWS Signature Version 4, as headers or in a URL. Source: IAM user guide, "Create a signed AWS API request". Pure. */
import {createHash, createHmac} from 'node:crypto'

/** A credential of AWS. Its values are secrets. */
export interface Keys {
  accessKeyId: string
  secretAccessKey: string
  /** of a temporary credential */
  sessionToken?: string
}

/** One request to be signed. */
export interface Unsigned {
  method: 'GET' | 'POST'
  url: URL
  service: string
  region: string
  body: string
  /** signed and sent besides `host` and `x-amz-date`; names in lower case */
  headers: Record<string, string>
  at: Date
}

/** All headers that the request must carry: those given, the date, the session's token and `authorization`. */
export function signedHeaders(
  {method, url, service, region, body, headers, at}: Unsigned,
  {accessKeyId, secretAccessKey, sessionToken}: Keys,
): Record<string, string> {
  const time = timeOf(at)
  const sent: Record<string, string> = {
    ...headers,
    'x-amz-date': time,
    ...(sessionToken ? {'x-amz-security-token': sessionToken} : {}),
  }
  const all: Record<string, string> = {...sent, host: url.host}
  const names = Object.keys(all).sort()
  const canonical = [
    method,
    url.pathname.split('/').map(encode).join('/'),
    queryOf(url),
    ...names.map(name => `${name}:${all[name]}`),
    '',
    names.join(';'),
    sha256(body),
  ].join('\n')
  const scope = scopeOf(time, region, service)
  const signature = signatureOf(canonical, time, scope, secretAccessKey)
  return {
    ...sent,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  }
}

/** A GET that a URL alone makes, for so long after it was signed. */
export interface Presigned {
  /** with its own query, in the order in which it is sent */
  url: URL
  service: string
  region: string
  seconds: number
  at: Date
}

/** The URL with its signature in the query. It is a secret for as long as it is good. */
export function presign({url, service, region, seconds, at}: Presigned, {accessKeyId, secretAccessKey, sessionToken}: Keys): string {
  const time = timeOf(at)
  const scope = scopeOf(time, region, service)
  const query = [
    ...url.searchParams,
    ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
    ['X-Amz-Credential', `${accessKeyId}/${scope}`],
    ['X-Amz-Date', time],
    ['X-Amz-Expires', String(seconds)],
    ['X-Amz-SignedHeaders', 'host'],
    ...(sessionToken ? [['X-Amz-Security-Token', sessionToken]] : []),
  ].map(([name = '', value = '']) => `${encode(name)}=${encode(value)}`)
  const canonical = ['GET', url.pathname, [...query].sort().join('&'), `host:${url.host}`, '', 'host', sha256('')].join('\n')
  return `${url.protocol}//${url.host}${url.pathname}?${query.join('&')}&X-Amz-Signature=${signatureOf(canonical, time, scope, secretAccessKey)}`
}

const timeOf = (at: Date): string => at.toISOString().replace(/[-:]|\.\d{3}/g, '')
const scopeOf = (time: string, region: string, service: string): string => `${time.slice(0, 8)}/${region}/${service}/aws4_request`

function signatureOf(canonical: string, time: string, scope: string, secretAccessKey: string): string {
  const key = scope.split('/').reduce<string | Buffer>((by, text) => hmac(by, text).digest(), `AWS4${secretAccessKey}`)
  return hmac(key, ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')).digest('hex')
}

/** The query read as a form, written anew and sorted: a raw `+` is a space there, as the service reads it. */
function queryOf({searchParams}: URL): string {
  return [...searchParams]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&')
}

/** Percent-encodes all but the unreserved signs of RFC 3986. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, sign => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text)
