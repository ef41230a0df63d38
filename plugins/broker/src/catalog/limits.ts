import type {Catalog} from './catalog.ts'

/** The strictest of what some services set: least time, most approvals (TM-L2). */
export function limitsOf(
  catalog: Pick<Catalog, 'services'>,
  services: readonly (string | null | undefined)[],
): {maxSeconds: number; approvals: number} {
  const limits = services.map(name => catalog.services.get(name ?? '')?.limits)
  return {
    maxSeconds: Math.min(...limits.map(limit => limit?.maxSeconds ?? Number.POSITIVE_INFINITY)),
    approvals: Math.max(1, ...limits.map(limit => limit?.approvals ?? 1)),
  }
}
