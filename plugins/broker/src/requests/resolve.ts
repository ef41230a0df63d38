/** Which one an address that leaves it open leads to: looked up when a use is asked for, so that what is approved is what is touched (TM-X2). */
import {ProdError} from '@prod/sdk/errors'
import {standsForMany} from '../catalog/members.ts'
import {accessFor} from '../grants/access.ts'
import type {Caller, Parts} from '../parts.ts'
import {countMint} from '../runs/limits.ts'
import {reach} from '../runs/program.ts'
import {eachOf, type Plan} from './plan.ts'
import type {Resolved} from './state.ts'

const lookSeconds = 60

/**
 * Where the addresses of a plan lead now, as far as somebody must approve it or it locks machines that its address does not name; undefined
 * where nothing is open. Asks the far side by the role of the target, for that alone. Throws what the primitive and the provider refuse.
 */
export async function resolveOpen(parts: Parts, caller: Caller, plan: Plan, approvals: number): Promise<Resolved | undefined> {
  const {catalog} = parts.bundle()
  const open = new Map<string, Plan>()
  for (const one of eachOf(plan)) {
    if (!one.target) continue
    const {primitive, where} = reach(parts, one.target)
    if (!primitive.resolve || primitive.resolvePermissions?.(where) === undefined) continue
    const isLocked = one.locks.length > 0 && catalog.machinesOf?.(one.target.address, one.tool?.program.path) === undefined
    if (approvals > 0 || isLocked) open.set(one.target.address, one)
  }
  if (open.size === 0) return undefined
  await countMint(parts, caller.principal, 'looks')
  const resolved: Record<string, string> = {}
  for (const [address, one] of open) resolved[address] = await lookUp(parts, caller, one)
  return resolved
}

async function lookUp(parts: Parts, caller: Caller, plan: Plan): Promise<string> {
  const target = plan.target as NonNullable<Plan['target']>
  const {primitive, where} = reach(parts, target)
  const id = parts.newId('look')
  const given = await accessFor(
    parts,
    {...plan, class: 'read'},
    {permissions: primitive.resolvePermissions?.(where) ?? []},
    {
      id,
      request: id,
      principal: caller.principal,
      correlation: caller.correlation,
      until: new Date(parts.store.now().getTime() + lookSeconds * 1000).toISOString(),
    },
  )
  try {
    const found = await primitive.resolve?.(where, given.access, AbortSignal.timeout(lookSeconds * 1000))
    const address = `${primitive.id}:${found}`
    if (found === undefined || standsForMany({address}) || primitive.resolvePermissions?.(primitive.parse(found)) !== undefined)
      throw new Error(`${primitive.id} leaves open what ${address} is`)
    return address
  } finally {
    await given.end()
  }
}

/** What is told where the one that was fixed cannot be reached: no other takes its place, and asking anew finds it. Anything else as it is. */
export function ofResolved(error: unknown, {draft, target}: Pick<Plan, 'draft' | 'target'>): unknown {
  if (!(error instanceof ProdError) || (error.code !== 'TARGET_UNREACHABLE' && error.code !== 'TARGET_INVALID')) return error
  if (draft.kind === 'role' || !target || !Object.values(draft.resolved ?? {}).includes(target.address)) return error
  const again = 'ask again with the same command'
  return new ProdError(
    error.code,
    `${error.message}; no other takes the place of what was asked for`,
    error.hint ? `${again}, or: ${error.hint}` : again,
    {cause: error},
  )
}
