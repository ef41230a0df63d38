/** The form of every answer: headers that all carry, and the one shape of a failure (TM-A14). */
import type {Socket} from 'node:net'
import {codes, describeError, type ErrorCode, ProdError} from '@prod/sdk/errors'
import type {Parts} from '../parts.ts'

/** Headers of every answer. Nothing here is a page, and nothing is for a cache. */
export function commonHeaders({config}: Pick<Parts, 'config'>, correlation: string): Record<string, string> {
  return {
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-correlation-id': correlation,
    ...(config.origin.startsWith('https:') ? {'strict-transport-security': 'max-age=31536000'} : {}),
  }
}

export interface Failure {
  status: number
  headers: Record<string, string>
  body: string
}

/** A failure as it leaves: status, code, message, hint and correlation id, never more. A bug is told to the operator under the same id. */
export function failureOf(parts: Parts, thrown: unknown, correlation: string, where: string): Failure {
  const error = foreseen(thrown)
  if (!(error instanceof ProdError)) parts.alarm('a call failed through a fault of ours', {correlation, where, ...faultOf(thrown)})
  const description = {...describeError(error), correlation}
  const {status} = codes[description.code]
  return {
    status,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      ...(status === 401 ? {'www-authenticate': `DPoP error="${challenges[description.code] ?? 'invalid_token'}", algs="ES256"`} : {}),
      ...(description.retryAfterSeconds === undefined ? {} : {'retry-after': String(description.retryAfterSeconds)}),
    },
    body: JSON.stringify({error: description}),
  }
}

/** RFC 9449 section 7.1, RFC 6750 section 3.1. */
const challenges: Partial<Record<ErrorCode, string>> = {FRESH_LOGIN_REQUIRED: 'insufficient_user_authentication'}

/** The framework's refusals, in our words. */
function foreseen(thrown: unknown): unknown {
  if (thrown instanceof ProdError) return thrown
  const status = (thrown as {statusCode?: unknown} | null)?.statusCode
  if (status === 413) return new ProdError('TOO_LARGE', 'the body is larger than 1 MiB')
  if (status === 415) return new ProdError('UNSUPPORTED_MEDIA_TYPE', 'the body is not application/json')
  if (status === 400) return new ProdError('BAD_REQUEST', 'the request is malformed')
  if (status === 503) return new ProdError('DRAINING', 'this broker is stopping', 'try again in a moment')
  return thrown
}

/** What an operator needs of a bug: its name and where, not its text, which may quote what somebody sent. */
function faultOf(thrown: unknown): Record<string, unknown> {
  if (!(thrown instanceof Error)) return {fault: typeof thrown}
  const frames = (thrown.stack ?? '')
    .split('\n')
    .filter(line => /^\s+at /.test(line))
    .map(line => line.trim())
  const code = (thrown as {code?: unknown}).code
  return {fault: thrown.name, ...(typeof code === 'string' ? {code} : {}), frames: frames.slice(0, 8)}
}

const lingerMs = 1000

/** Answers on a bare socket and ends it, whether or not the other side reads. */
export function writeFailure(
  parts: Parts,
  socket: Pick<Socket, 'end' | 'destroy'>,
  error: unknown,
  correlation = parts.newId('cor'),
): void {
  const {status, headers, body} = failureOf(parts, error, correlation, 'socket')
  const all = {
    ...commonHeaders(parts, correlation),
    ...headers,
    date: new Date().toUTCString(),
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${phrases[status] ?? 'Refused'}\r\n${lines.join('')}\r\n${body}`)
  setTimeout(() => socket.destroy(), lingerMs).unref()
}

const phrases: Record<number, string> = {
  [codes.BAD_REQUEST.status]: 'Bad Request',
  [codes.NOT_LOGGED_IN.status]: 'Unauthorized',
  [codes.DENIED.status]: 'Forbidden',
  [codes.NOT_FOUND.status]: 'Not Found',
  [codes.LIMIT_REACHED.status]: 'Too Many Requests',
}
