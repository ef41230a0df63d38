/** What went wrong between us and a broker, in the words of errors.ts: for calls and for streams alike. */
import {codes, type ErrorCode, type ErrorDescription, ProdError} from './errors.ts'
import type {Broker} from './session.ts'

/** The failure a broker described: `{"error": {code, message, hint, correlation, position}}`. Anything else is told by its status. */
export function refusal(broker: Broker, status: number, body: string, date?: string): ProdError {
  const described = parse(body)
  if (!described) {
    const gone = status === 502 || status === 503 || status === 504
    return gone
      ? new ProdError(
          'BROKER_UNREACHABLE',
          `${broker.url} answered ${status}: what stands before the broker cannot reach it`,
          'prod doctor',
        )
      : new ProdError('INTERNAL', `${broker.url} answered ${status} in a way that no broker does`, 'prod doctor')
  }
  const {code, message, hint, correlation, position, retryAfterSeconds} = described
  return new ProdError(code, message, clockHint(code, date) ?? hint ?? (codes[code].exit === 242 ? 'prod login' : undefined), {
    ...(correlation === undefined ? {} : {correlation}),
    ...(position === undefined ? {} : {position}),
    ...(retryAfterSeconds === undefined ? {} : {retryAfterSeconds}),
  })
}

/** The failure of a connection: refused, timed out, or a certificate that nobody vouches for. */
export function unreachable(broker: Broker, error: unknown): ProdError {
  if (error instanceof ProdError) return error
  const code = errnoOf(error)
  // the error itself holds the request, and with it the token
  const cause = new Error(code)
  if (isCertificateFault(code)) {
    return new ProdError(
      'CERTIFICATE_REFUSED',
      `the certificate of ${broker.url} is refused: ${certificateFaults[code] ?? code}`,
      `name the CA that vouches for it, if there is one of your own: prod login --broker ${broker.url} --ca-file FILE`,
      {cause},
    )
  }
  return new ProdError('BROKER_UNREACHABLE', `${broker.url} cannot be reached: ${linkFaults[code] ?? code}`, 'prod doctor', {cause})
}

/** Whether a refused token is worth renewing: not where only a new login helps. Pure. */
export function isTokenRefused({code}: ProdError): boolean {
  return code === 'TOKEN_INVALID'
}

function parse(body: string): ErrorDescription | undefined {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return undefined
  }
  const error = (value as {error?: Record<string, unknown>} | null)?.error
  if (typeof error?.message !== 'string') return undefined
  const {code, message, hint, correlation, position, retryAfterSeconds} = error
  return {
    code: typeof code === 'string' && Object.hasOwn(codes, code) ? (code as ErrorCode) : 'INTERNAL',
    message,
    ...(typeof hint === 'string' ? {hint} : {}),
    ...(typeof correlation === 'string' ? {correlation} : {}),
    ...(typeof position === 'number' ? {position} : {}),
    ...(typeof retryAfterSeconds === 'number' ? {retryAfterSeconds} : {}),
  }
}

/** A refused proof is most often a wrong clock: proofs older than a minute do not count. */
function clockHint(code: ErrorCode, date: string | undefined): string | undefined {
  if (code !== 'TOKEN_INVALID' || date === undefined) return undefined
  const seconds = Math.round((Date.parse(date) - Date.now()) / 1000)
  if (!(Math.abs(seconds) > 30)) return undefined
  return `set the clock of this machine, it is ${Math.abs(seconds)} s ${seconds > 0 ? 'behind' : 'ahead of'} the broker's`
}

function errnoOf(cause: unknown): string {
  for (let at = cause; at instanceof Error; at = at.cause) {
    const {code, errors} = at as Error & {code?: unknown; errors?: unknown[]}
    if (code === 'EPROTO' && /protocol version|unsupported protocol/.test(at.message)) return 'ERR_SSL_UNSUPPORTED_PROTOCOL'
    if (typeof code === 'string' && code !== '') return code
    if (Array.isArray(errors) && errors[0] instanceof Error) return errnoOf(errors[0])
  }
  return cause instanceof Error ? cause.message : String(cause)
}

/** Why the certificate of whoever was called is refused, in words; undefined where the failure is of another kind. */
export function certificateFault(error: unknown): string | undefined {
  const code = errnoOf(error)
  return isCertificateFault(code) ? (certificateFaults[code] ?? code) : undefined
}

function isCertificateFault(code: string): boolean {
  if (Object.hasOwn(linkFaults, code)) return false
  return Object.hasOwn(certificateFaults, code) || /^(CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|INVALID_)/.test(code)
}

const certificateFaults: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is signed by itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'its CA is not trusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its CA is not trusted',
  UNABLE_TO_GET_ISSUER_CERT: 'its CA is not trusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its CA is not trusted',
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it belongs to another name',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'the server speaks only an old TLS',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'the server speaks only an old TLS',
}

const linkFaults: Record<string, string> = {
  ECONNREFUSED: 'nobody listens there',
  ECONNRESET: 'the connection was cut',
  ENOTFOUND: 'no such name',
  EAI_AGAIN: 'names cannot be resolved now',
  ETIMEDOUT: 'no answer in time',
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'no route to it',
  EPIPE: 'the connection was cut',
  EPROTO: 'what answers there does not speak TLS',
  ERR_SSL_WRONG_VERSION_NUMBER: 'what answers there does not speak TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'what answers there does not speak TLS',
}
