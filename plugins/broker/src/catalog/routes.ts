/** The catalog as one caller sees it: tools and roles that are usable now or can be asked for, and the targets that they may know of. */
import type {Grant} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import type {CatalogView, Usable} from '@prod/sdk/catalog-view'
import type {FastifyInstance} from 'fastify'
import {handle} from '../http/handle.ts'
import type {Caller, Parts} from '../parts.ts'
import {decideUse} from '../policy/decide.ts'
import {sightOf} from '../policy/seen.ts'
import {standsForMany} from './members.ts'

/** `GET /v1/catalog`. */
export function catalogRoutes(app: FastifyInstance, parts: Parts): void {
  handle(app, parts, api.catalog, (_, caller) => viewCatalog(parts, caller))
}

async function viewCatalog(parts: Parts, caller: Caller): Promise<CatalogView> {
  const bundle = parts.bundle()
  const {tools, targets, roles} = bundle.catalog
  const asked = {principal: caller.principal, groups: caller.groups, context: {address: caller.address}}
  const owner = `${caller.principal.iss}#${caller.principal.sub}`
  const active = (await parts.store.list<Grant>({kind: 'grant', state: 'active', owner})).map(one => one.value)

  return {
    bundle: bundle.digest,
    tools: [...tools.values()]
      .map(tool => ({
        name: tool.name,
        summary: tool.summary,
        service: tool.service,
        targets: tool.targets,
        grammar: tool.grammar,
        commands: tool.grammar.commands.map((command, index) => ({
          path: command.path,
          class: command.class,
          usable: bundle.couldUse({...asked, tool, command: index}),
        })),
      }))
      .filter(tool => tool.commands.some(command => command.usable !== 'no')),
    targets: [...targets.values()].filter(sightOf(bundle, caller)).map(target => {
      const resource = {kind: 'target', target} as const
      const decided = decideUse(bundle, {...asked, resource}, 'shell').decision
      const broken =
        bundle.ask({...asked, action: 'breakGlass', resource, context: {...asked.context, use: 'shell', incident: true}}).decision ===
        'allow'
      const shell: Usable | 'breakGlass' = decided !== 'deny' ? usableOf(decided) : broken ? 'breakGlass' : 'no'
      const {name, address, environment, summary, forwards} = target
      const forward = forwards.length === 0 ? 'no' : usableOf(decideUse(bundle, {...asked, resource}, 'forward').decision)
      const wayIn = parts.primitives.get(address.slice(0, address.indexOf(':')))
      const many = standsForMany(target) && wayIn?.discover ? {many: true as const} : {}
      return {name, address, environment, summary, ...many, shell, forward, forwards: forward === 'no' ? [] : forwards}
    }),
    roles: [...roles.values()]
      .map(role => ({
        name: role.name,
        summary: role.summary,
        provider: role.provider,
        class: role.class,
        maxSeconds: role.maxSeconds,
        usable: usableOf(decideUse(bundle, {...asked, resource: {kind: 'role', role}}, 'assume').decision),
        active: active.find(grant => grant.role === role.name)?.expiresAt ?? null,
        allows: role.allows,
        reach: role.reach,
      }))
      .filter(role => role.usable !== 'no'),
  }
}

function usableOf(decision: 'allow' | 'request' | 'deny'): Usable {
  return decision === 'allow' ? 'now' : decision === 'request' ? 'request' : 'no'
}
