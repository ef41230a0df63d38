/**
 * Every failure we foresee: its exit status at the CLI (240-249, DESIGN of the exit statuses in docs/errors.md)
 * and its HTTP status at the broker. A code never changes its meaning; docs/errors.md has each.
 */
export const codes = {
  INTERNAL: {exit: 240, status: 500},
  // usage, bad input, not found, already decided
  USAGE: {exit: 241, status: 400},
  BAD_REQUEST: {exit: 241, status: 400},
  UNKNOWN_HOST: {exit: 241, status: 421},
  METHOD_NOT_ALLOWED: {exit: 241, status: 405},
  UNSUPPORTED_MEDIA_TYPE: {exit: 241, status: 415},
  TOO_LARGE: {exit: 241, status: 413},
  REASON_INVALID: {exit: 241, status: 422},
  INCIDENT_INVALID: {exit: 241, status: 422},
  TARGET_INVALID: {exit: 241, status: 422},
  TARGET_NOT_FOUND: {exit: 241, status: 404},
  TOOL_NOT_FOUND: {exit: 241, status: 404},
  ROLE_NOT_FOUND: {exit: 241, status: 404},
  ARGV_INVALID: {exit: 241, status: 422},
  ARGV_REFUSED: {exit: 243, status: 422},
  FORWARD_REFUSED: {exit: 243, status: 422},
  STDIN_REFUSED: {exit: 241, status: 422},
  DURATION_INVALID: {exit: 241, status: 422},
  REQUEST_NOT_FOUND: {exit: 241, status: 404},
  GRANT_NOT_FOUND: {exit: 241, status: 404},
  RUN_NOT_FOUND: {exit: 241, status: 404},
  SESSION_NOT_FOUND: {exit: 241, status: 404},
  REVIEW_NOT_FOUND: {exit: 241, status: 404},
  NOT_FOUND: {exit: 241, status: 404},
  ALREADY_DECIDED: {exit: 241, status: 409},
  STILL_OPEN: {exit: 241, status: 409},
  DIGEST_MISMATCH: {exit: 241, status: 409},
  IDEMPOTENCY_CONFLICT: {exit: 241, status: 409},
  SIGNATURE_INVALID: {exit: 241, status: 422},
  CONFIG_INVALID: {exit: 241, status: 422},
  CATALOG_INVALID: {exit: 241, status: 422},
  POLICY_INVALID: {exit: 241, status: 422},
  NO_TERMINAL: {exit: 241, status: 400},
  CONFIRMATION_FAILED: {exit: 241, status: 400},
  KEYCHAIN_UNAVAILABLE: {exit: 241, status: 500},
  INSECURE_URL: {exit: 241, status: 400},
  SERVER_IDENTITY_CHANGED: {exit: 241, status: 400},
  PORT_IN_USE: {exit: 241, status: 500},
  STORE_IN_USE: {exit: 241, status: 500},
  // who is calling
  NOT_LOGGED_IN: {exit: 242, status: 401},
  LOGIN_EXPIRED: {exit: 242, status: 401},
  LOGIN_FAILED: {exit: 242, status: 401},
  TOKEN_INVALID: {exit: 242, status: 401},
  FRESH_LOGIN_REQUIRED: {exit: 242, status: 401},
  // may not
  DENIED: {exit: 243, status: 403},
  SELF_APPROVAL: {exit: 243, status: 403},
  NOT_AN_APPROVER: {exit: 243, status: 403},
  PLACE_REFUSED: {exit: 243, status: 403},
  LIMIT_REACHED: {exit: 243, status: 429},
  FROZEN: {exit: 243, status: 423},
  REVIEW_OVERDUE: {exit: 243, status: 403},
  KIT_INVALID: {exit: 243, status: 403},
  SELF_REVIEW: {exit: 243, status: 403},
  SELF_ERASURE: {exit: 243, status: 403},
  REQUEST_DENIED: {exit: 244, status: 409},
  REQUEST_EXPIRED: {exit: 244, status: 410},
  REQUEST_CANCELLED: {exit: 244, status: 409},
  APPROVAL_VOID: {exit: 244, status: 409},
  REQUEST_PENDING: {exit: 245, status: 202},
  // reaching things
  BROKER_UNREACHABLE: {exit: 246, status: 502},
  CERTIFICATE_REFUSED: {exit: 246, status: 502},
  STORE_UNAVAILABLE: {exit: 246, status: 503},
  /** the identity provider cannot be asked: nothing is wrong with the login */
  IDENTITY_UNAVAILABLE: {exit: 246, status: 503},
  DRAINING: {exit: 246, status: 503},
  TARGET_UNREACHABLE: {exit: 247, status: 502},
  TOOL_UNAVAILABLE: {exit: 247, status: 502},
  ALERTS_NOT_ACCEPTED: {exit: 247, status: 502},
  OUTCOME_UNKNOWN: {exit: 248, status: 502},
  LINK_LOST: {exit: 248, status: 502},
  ENDED_BY_LIMIT: {exit: 249, status: 409},
  REVOKED: {exit: 249, status: 409},
} as const satisfies Record<string, {exit: number; status: number}>

export type ErrorCode = keyof typeof codes

/** What leaves the process about a failure: `code` of {@link codes}, message, and the command to type next. */
export interface ErrorDescription {
  code: ErrorCode
  message: string
  hint?: string
  /** ties the answer to the broker's log */
  correlation?: string
  /** index of the first bad argument, for ARGV_REFUSED */
  position?: number
  /** in how many seconds it may be tried again, for LIMIT_REACHED */
  retryAfterSeconds?: number
}

/** A failure we foresaw. `message`: what is so, lower case, no full stop. `hint`: the command to type next. */
export class ProdError extends Error {
  /** By shape, not by class: the bundled CLI and the broker that it loads each have a copy of this class. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: a subclass asks for itself
    if (this !== ProdError) return Function.prototype[Symbol.hasInstance].call(this, value)
    return value instanceof Error && value.name === 'ProdError' && Object.hasOwn(codes, (value as {code?: unknown}).code as string)
  }

  override readonly name = 'ProdError'
  readonly code: ErrorCode
  readonly hint?: string
  /** index of the first bad argument, for ARGV_REFUSED */
  readonly position?: number
  /** ties a broker's answer to its log */
  readonly correlation?: string
  /** in how many seconds it may be tried again, for LIMIT_REACHED */
  readonly retryAfterSeconds?: number
  constructor(
    code: ErrorCode,
    message: string,
    hint?: string,
    options?: ErrorOptions & {position?: number; correlation?: string; retryAfterSeconds?: number},
  ) {
    super(message, options)
    this.code = code
    if (hint !== undefined) this.hint = hint
    if (options?.position !== undefined) this.position = options.position
    if (options?.correlation !== undefined) this.correlation = options.correlation
    if (options?.retryAfterSeconds !== undefined) this.retryAfterSeconds = options.retryAfterSeconds
  }
}

/** The one form in which a failure is shown or sent. A bug becomes INTERNAL without its text. */
export function describeError(error: unknown): ErrorDescription {
  if (!(error instanceof ProdError)) return {code: 'INTERNAL', message: 'something went wrong inside prod'}
  const {code, message, hint, position, correlation, retryAfterSeconds} = error
  return {
    code,
    message,
    ...(hint === undefined ? {} : {hint}),
    ...(correlation === undefined ? {} : {correlation}),
    ...(position === undefined ? {} : {position}),
    ...(retryAfterSeconds === undefined ? {} : {retryAfterSeconds}),
  }
}
