import type {Grant} from './domain.ts'
import type {Reach} from './least-role.ts'
import type {Access, Permission} from './primitive.ts'

/** One right a provider holds for a grant, as the far side knows it. */
export interface Conferred {
  grant: string
  /** ISO 8601 UTC; null where the far side keeps no end */
  expiresAt: string | null
}

/** What the store knows of one provider's grants, for a far side that keeps no tags of ours, or none of each grant. */
export interface Known<R = unknown> {
  /** roles of the catalog and of the grants below */
  roles: readonly R[]
  /** all that were conferred and whose end has not come; those that were ended before it are `revoked` or `handed-back` */
  grants: readonly {grant: Grant; role: R}[]
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
  /** it bounds what it confers by the role's `allows`, which are its parameter `actions`: patterns, alone or `ACTION on ARN` */
  readonly usesAllows?: boolean
  /** what it confers is a credential that reaches a target by itself, within `bounds`: a target or a tool may name such a role */
  readonly reachesTargets?: boolean
  /** Checks a catalog role's `parameters`. Pure. Throws CATALOG_INVALID. */
  parse(parameters: Record<string, unknown>): R
  /** How far such a role reaches, whatever it allows: what a person who needs a right is told. Pure. */
  reach?(role: R): Reach
  /**
   * Gives the right under the grant's principal, tagged with the grant's id and ending with it where the far side can. Each credential
   * that the holder asks for is conferred anew. What was revoked stays so. `bounds`: no more than these, of what the role allows.
   */
  confer(grant: Grant, role: R, bounds?: readonly Permission[]): Promise<Access>
  /** Takes back what this grant gave, and nothing that another gave. */
  revoke(grant: Grant, role: R, known?: () => Promise<Known<R>>): Promise<void>
  /** All that the far side holds by our tags, or by what the store knows. What has served its time there is swept. */
  list(known?: () => Promise<Known<R>>): AsyncIterable<Conferred>
  /** Resolves when a real call under this grant is refused; called as it is being revoked. Rejects where that cannot be seen. */
  refused?(grant: Grant, role: R, signal: AbortSignal): Promise<void>
}

/** Types a grant provider without losing its role type. */
export function defineGrantProvider<R>(provider: GrantProvider<R>): GrantProvider<R> {
  return provider
}
