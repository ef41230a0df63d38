/** By whose credential targets are reached: the role that a target or a tool names, checked as far as the loaded parts know. Pure. */
import type {GrantProvider, Primitive} from '@prod/sdk'
import {needsCredential} from '@prod/sdk/primitive'
import type {Catalog, TargetEntry, ToolEntry} from './catalog.ts'

/** What is wrong with the role that a target or a tool names; undefined where it will do. */
export function findRoleFault(
  catalog: Catalog,
  name: string,
  providers: ReadonlyMap<string, GrantProvider> | undefined,
): {message: string; mend?: string} | undefined {
  const role = catalog.roles.get(name)
  if (!role)
    return {message: `there is no role ${name}`, mend: `known: ${[...catalog.roles.keys()].sort().slice(0, 20).join(', ') || 'none'}`}
  const provider = providers?.get(role.provider)
  if (!provider || provider.reachesTargets) return undefined
  return {
    message: `the role ${name} of provider ${role.provider} gives no credential that reaches a target`,
    mend: 'a role of provider aws-sts',
  }
}

/** Why a tool could not run on one of its targets: reached by a credential, and no role gives one. */
export function findMissingRole(
  tool: ToolEntry,
  target: TargetEntry,
  primitives: ReadonlyMap<string, Primitive> | undefined,
): string | undefined {
  const colon = target.address.indexOf(':')
  const primitive = primitives?.get(target.address.slice(0, colon))
  if (!primitive || tool.role !== null || target.role !== null) return undefined
  try {
    if (!needsCredential(primitive, primitive.parse(target.address.slice(colon + 1)), 'exec')) return undefined
  } catch {
    // an address that cannot be read is told by itself
    return undefined
  }
  return `${target.name} is reached by a credential, and neither it nor ${tool.name} names the role that gives it`
}

/** Whether a shell there is had by a credential alone, from wherever one holds it. Pure. */
export function isReachedByOwn(primitive: Primitive, address: string): boolean {
  return needsCredential(primitive, primitive.parse(address.slice(address.indexOf(':') + 1)), 'shell')
}
