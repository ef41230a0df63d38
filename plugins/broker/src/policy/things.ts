/** All that a catalog lets people use, as rules see it before anybody asks: for the linter, and for what must be tested. Pure. */
import type {UseAction} from '@prod/sdk'
import type {Catalog, TargetEntry} from '../catalog/catalog.ts'
import {approvalsFor} from './decide.ts'
import {commandEntity, entityOf} from './engine.ts'
import type {Resource} from './policy.ts'

/** One command on one target, a shell on a target, a forward through it, or a role. */
export interface Thing {
  /** of a command: without arguments */
  resource: Exclude<Resource, {kind: 'log' | 'fleet'}>
  entity: ReturnType<typeof entityOf>
  use: UseAction
  class: string
  /** for people */
  what: string
  /** how many it needs where policy says `request` */
  approvals: number
}

/** Whatever can be used. Targets of which policy sees the same are one. */
export function* thingsOf(catalog: Catalog): Iterable<Thing> {
  for (const tool of catalog.tools.values())
    for (const target of distinctTargets(tool.targets.map(name => catalog.targets.get(name) as TargetEntry)))
      for (const [command, {path, class: toolClass}] of tool.grammar.commands.entries()) {
        const structure = {tool: tool.name, command, path, class: toolClass, parts: [], arguments: {}, locks: []}
        const resource = {kind: 'command' as const, tool, structure, target}
        const entity = commandEntity({tool, command, target}, {})
        yield {
          resource,
          entity,
          use: 'run',
          class: toolClass,
          what: [tool.name, ...path].join(' '),
          approvals: approvalsFor({catalog}, resource),
        }
      }
  for (const target of distinctTargets([...catalog.targets.values()])) {
    const resource = {kind: 'target' as const, target}
    yield {
      resource,
      entity: entityOf(resource),
      use: 'shell',
      class: 'shell',
      what: `a shell on ${target.name}`,
      approvals: approvalsFor({catalog}, resource),
    }
    if (target.forwards.length === 0) continue
    yield {
      resource,
      entity: entityOf(resource),
      use: 'forward',
      class: 'change',
      what: `a forward through ${target.name}`,
      approvals: approvalsFor({catalog}, resource),
    }
  }
  for (const role of catalog.roles.values()) {
    const resource = {kind: 'role' as const, role}
    yield {
      resource,
      entity: entityOf(resource),
      use: 'assume',
      class: role.class,
      what: `the role ${role.name}`,
      approvals: approvalsFor({catalog}, resource),
    }
  }
}

/** Rules that name a target by itself are few: targets that differ by their name alone are judged up to a number. */
const mostTargets = 200

function distinctTargets(targets: TargetEntry[]): TargetEntry[] {
  const kinds = new Map<string, TargetEntry>()
  for (const [at, target] of targets.entries())
    kinds.set(
      at < mostTargets
        ? target.name
        : JSON.stringify([target.environment, target.service, target.data, target.labels, target.forwards.length > 0]),
      target,
    )
  return [...kinds.values()]
}
