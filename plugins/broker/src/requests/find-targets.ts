/** Looks for the targets that others of the catalog stand for, by each one's primitive and role, under the caller's name. */
import {api} from '@prod/sdk/api'
import type {FoundTargets} from '@prod/sdk/catalog-view'
import {describeError, ProdError} from '@prod/sdk/errors'
import type {FastifyInstance} from 'fastify'
import type {TargetEntry} from '../catalog/catalog.ts'
import {findMany, findTarget, rootOf, standsForMany} from '../catalog/members.ts'
import {accessFor} from '../grants/access.ts'
import {handle} from '../http/handle.ts'
import type {Caller, Parts} from '../parts.ts'
import {decideUse} from '../policy/decide.ts'
import {countMint} from '../runs/limits.ts'
import {reach} from '../runs/program.ts'

/** most that are told of one target that stands for many */
const mostFound = 200
const lookSeconds = 60

/** `GET /v1/targets`. */
export function findTargetRoutes(app: FastifyInstance, parts: Parts): void {
  handle(app, parts, api.findTargets, ({text, within}, caller) => findTargets(parts, caller, text, within))
}

async function findTargets(parts: Parts, caller: Caller, text: string, within?: string): Promise<FoundTargets> {
  const {catalog} = parts.bundle()
  const asked = within === undefined ? [...catalog.targets.values()] : [findMany(catalog, within) ?? []].flat()
  const many = asked.filter(target => isLookedAmong(parts, caller, target))
  if (within !== undefined && many.length === 0)
    throw new ProdError('TARGET_NOT_FOUND', `${within} is no target that stands for others and that you may use`, 'prod targets')
  const found: FoundTargets = {targets: [], faults: [], more: false}
  await Promise.all(
    many.map(async target => {
      try {
        await lookAmong(parts, caller, target, text, found)
      } catch (error) {
        found.faults.push({target: target.name, message: describeError(error).message})
      }
    }),
  )
  const order = new Map(many.map(({name}, at) => [name, at]))
  const placeOf = ({name}: {name: string}): number => order.get(name.slice(0, name.indexOf('/'))) ?? 0
  found.targets.sort((a, b) => placeOf(a) - placeOf(b) || (a.called < b.called ? -1 : 1))
  return found
}

/** Whether it stands for many, can be looked among, and the caller may use it or ask for it in some way. */
function isLookedAmong(parts: Parts, {principal, groups, address}: Caller, target: TargetEntry): boolean {
  if (!standsForMany(target) || !isDiscovered(parts, target)) return false
  const bundle = parts.bundle()
  const asked = {principal, groups, context: {address}}
  const resource = {kind: 'target', target} as const
  if ((['shell', 'forward'] as const).some(use => decideUse(bundle, {...asked, resource}, use).decision !== 'deny')) return true
  const broken = bundle.ask({...asked, action: 'breakGlass', resource, context: {address, use: 'shell', incident: true}})
  if (broken.decision === 'allow') return true
  return [...bundle.catalog.tools.values()].some(
    tool =>
      tool.targets.includes(target.of ?? target.name) &&
      tool.grammar.commands.some((_, command) => bundle.couldUse({...asked, tool, command}) !== 'no'),
  )
}

/** Whether its way in finds what it stands for. */
function isDiscovered(parts: Parts, target: TargetEntry): boolean {
  try {
    return reach(parts, target).primitive.discover !== undefined
  } catch (error) {
    // one of many in which there is nothing more
    if (error instanceof ProdError && error.code === 'TARGET_INVALID') return false
    throw error
  }
}

async function lookAmong(parts: Parts, caller: Caller, target: TargetEntry, text: string, found: FoundTargets): Promise<void> {
  const {primitive, where} = reach(parts, target)
  const id = parts.newId('look')
  const {catalog} = parts.bundle()
  const role = target.role === null ? null : (catalog.roles.get(target.role) ?? null)
  await countMint(parts, caller.principal, 'looks')
  const given = await accessFor(
    parts,
    {target, access: role, tool: null, class: 'read'},
    {permissions: primitive.discoverPermissions?.(where) ?? []},
    {
      id,
      request: id,
      principal: caller.principal,
      correlation: caller.correlation,
      until: new Date(parts.store.now().getTime() + lookSeconds * 1000).toISOString(),
    },
  )
  try {
    let count = 0
    for await (const one of primitive.discover?.({text, within: where}, given.access) ?? []) {
      const member = findTarget(catalog, `${target.name}/${idOf(target, one.address)}`)
      // what the catalog names itself is none of many
      if (member?.of !== (target.of ?? target.name)) continue
      if (++count > mostFound) {
        found.more = true
        break
      }
      found.targets.push({
        name: member.name,
        called: one.name,
        address: member.address,
        environment: target.environment,
        labels: {...target.labels, ...one.labels},
        ...(one.inside ? {inside: one.inside} : {}),
      })
    }
  } finally {
    await given.end()
  }
}

/** What stands in the place of the `*`; the last name, where an address is written otherwise. */
function idOf(target: TargetEntry, address: string): string {
  const where = address.replace(/\?.*$/s, '')
  const root = `${rootOf(target)}/`
  return where.startsWith(root) ? where.slice(root.length) : where.slice(where.lastIndexOf('/') + 1)
}
