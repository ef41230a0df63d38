import {ProdError} from '@prod/sdk/errors'
import type {Chain} from '../config/profile.ts'

/** The parts of an AWS failure that say what it is. */
interface AwsError {
  name?: string
  message?: string
  code?: string
  $metadata?: {httpStatusCode?: number}
  $response?: {statusCode?: number}
}

const unreachable = /^(ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|UND_ERR|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/

/**
 * What AWS or its SDK threw, in our words. Texts of a `credential_process` are never passed on: what it writes may be a secret (TM-U2).
 * A bug stays one.
 */
export function awsFailure(error: unknown, {name, source, steps}: Pick<Chain, 'name' | 'source' | 'steps'>): unknown {
  if (error instanceof ProdError || (error instanceof Error && error.name === 'Interrupted')) return error
  const given = (error ?? {}) as AwsError
  const {$metadata, $response, message = ''} = given
  // the SDK makes a text of what the portal said, and throws that
  const [, inner] = /^(\w+): /.exec(message) ?? []
  const wrapped = given.name === 'CredentialsProviderError' ? inner : undefined
  const kind = wrapped ?? given.name ?? ''
  const code = given.code ?? (wrapped && /\b(ECONN\w+|ENOTFOUND|EAI_\w+|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)\b/.exec(message)?.[1]) ?? ''
  const status = $metadata?.httpStatusCode ?? $response?.statusCode
  const again = `prod assume ${name}`
  if (source.kind === 'other' && source.how === 'credential_process' && status === undefined && !unreachable.test(code)) {
    return new ProdError(
      'LOGIN_FAILED',
      `credential_process of AWS profile ${source.profile} gave no credentials`,
      'run it by hand; its line is in ~/.aws/config',
    )
  }
  if (/MultiFactorAuthentication|MFA/i.test(message) && (status === 403 || /AccessDenied/.test(kind))) {
    return new ProdError('LOGIN_FAILED', 'AWS did not accept the MFA code, or it was used before', `wait for the next code, then ${again}`)
  }
  if (
    /TimeTooSkewed|SignatureDoesNotMatch|InvalidSignature|RequestExpired/.test(kind) ||
    /Signature (?:expired|not yet current)/.test(message)
  ) {
    return new ProdError(
      'LOGIN_FAILED',
      'AWS did not accept the signature: the clock of this machine or the secret key is wrong',
      'date -u',
    )
  }
  if (/ExpiredToken|TokenRefreshRequired/.test(kind) || /security token .*expired/i.test(message)) {
    return new ProdError('LOGIN_EXPIRED', `the credentials that AWS profile ${name} begins with have expired`, again)
  }
  if (/InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|AuthFailure/.test(kind)) {
    return new ProdError(
      'LOGIN_FAILED',
      `AWS does not know the keys that profile ${name} begins with`,
      'make new ones, or mend ~/.aws/credentials',
    )
  }
  if (/UnauthorizedException/.test(kind) || status === 401) {
    return new ProdError('LOGIN_EXPIRED', 'the login at IAM Identity Center has ended', again)
  }
  if (/AccessDenied|Forbidden/.test(kind) || status === 403) {
    const what = source.kind === 'portal' && steps.length === 0 ? `${source.role} in ${source.account}` : (steps.at(-1)?.roleArn ?? name)
    return new ProdError('DENIED', `AWS does not let you assume ${what}`, 'prod roles')
  }
  if (/Throttl|TooManyRequests|RequestLimitExceeded/.test(kind) || status === 429) {
    return new ProdError('TARGET_UNREACHABLE', 'AWS is asked too often', `in a minute: ${again}`)
  }
  if (unreachable.test(code) || /TimeoutError|NetworkingError/.test(kind) || (status !== undefined && status >= 500)) {
    return new ProdError('TARGET_UNREACHABLE', `AWS cannot be reached${code ? ` (${code})` : status ? ` (status ${status})` : ''}`, again)
  }
  if (given.name === 'CredentialsProviderError' || status !== undefined) {
    return new ProdError(
      'CONFIG_INVALID',
      `no credentials for AWS profile ${name}${status === undefined ? '' : ` (${kind}, status ${status})`}`,
      'prod roles',
    )
  }
  return error
}
