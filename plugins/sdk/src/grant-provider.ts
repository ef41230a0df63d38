import type {Grant} from './domain.ts'
import type {Access} from './primitive.ts'

/** One right a provider holds for a grant, as the far side knows it. */
export interface Conferred {
  grant: string
  /** ISO 8601 UTC; null where the far side keeps no end */
  expiresAt: string | null
}

/**
 * Confers roles of one kind. Conferring or revoking twice is fine; nothing outlives the grant; `list` shows what the far
 * side holds, so that the reconciler can mend after a broker died at any point.
 * @typeParam R the role's parameters, checked by `parse`
 */
export interface GrantProvider<R = unknown> {
  /** `provider` of a catalog role */
  readonly id: string
  /** what it confers, in a line */
  readonly summary: string
  /** Checks a catalog role's `parameters`. Pure. Throws CATALOG_INVALID. */
  parse(parameters: Record<string, unknown>): R
  /** Gives the right under the grant's principal, tagged with the grant's id and ending with it where the far side can. */
  confer(grant: Grant, role: R): Promise<Access>
  /** Takes back what this grant gave, and nothing that another gave. */
  revoke(grant: Grant, role: R): Promise<void>
  /** All that the far side holds by our tags. */
  list(): AsyncIterable<Conferred>
}

/** Types a grant provider without losing its role type. */
export function defineGrantProvider<R>(provider: GrantProvider<R>): GrantProvider<R> {
  return provider
}
