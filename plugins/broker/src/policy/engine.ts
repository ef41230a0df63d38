/** Cedar: validated once at load, then asked with preparsed sets, one for the services a resource belongs to (global rules and theirs). */
import {
  type Context,
  type EntityJson,
  isAuthorizedPartial,
  preparsePolicySet,
  preparseSchema,
  type SchemaJson,
  statefulIsAuthorized,
  validate,
} from '@cedar-policy/cedar-wasm/nodejs'
import type {PolicyAction, UseAction} from '@prod/sdk'
import {cedarAttributes, cedarTypeName, cedarValues} from '@prod/sdk/grammar/cedar'
import type {RuleView} from '@prod/sdk/ruling'
import ipaddr from 'ipaddr.js'
import type {Catalog, TargetEntry, ToolEntry} from '../catalog/catalog.ts'
import type {Finding} from '../catalog/finding.ts'
import {actionResources} from './cedar-schema.ts'
import {fold, oddName, twinOf} from './names.ts'
import type {Answer, Question, Resource} from './policy.ts'
import {lineOf, offsetIn, placeIn, type Rule} from './rules.ts'
import {literals, reachesAction, reachesEntity} from './scope.ts'
import {type Asked, decidingForbids, nearPermits} from './why.ts'

/** Every validation finding of the rules, Cedar's warnings (a rule that can never apply) and unknown names among them. */
export function validateRules(
  rules: readonly Rule[],
  schema: SchemaJson<string>,
  catalog: Catalog,
  files: ReadonlyMap<string, string>,
): Finding[] {
  const findings: Finding[] = []
  const refuse = (rule: Rule, offset: number, message: string, mend?: string): void => {
    const path = rule.id.includes('#') ? `@id ${rule.id.slice(rule.id.indexOf('#') + 1)}` : undefined
    findings.push({
      file: rule.file,
      ...(path ? {path} : {}),
      ...placeIn(files.get(rule.file) ?? '', rule.start + offset),
      message,
      ...(mend ? {mend} : {}),
    })
  }
  // named by position: an id of ours may hold what Cedar would have to escape
  const named = Object.fromEntries(rules.map((rule, index) => [`p${index}`, rule.text]))
  const checked = validate({schema, policies: {staticPolicies: named}})
  if (checked.type === 'failure')
    return checked.errors.map(error => ({file: 'policy', message: lineOf(error), ...(error.help ? {mend: error.help} : {})}))
  const wrong = new Set(checked.validationErrors.map(({policyId}) => policyId))
  const warnings = checked.validationWarnings.filter(({policyId}) => !wrong.has(policyId))
  for (const {policyId, error} of [...checked.validationErrors, ...warnings]) {
    const rule = rules[Number(policyId.slice(1))] as Rule
    refuse(rule, offsetIn(rule.text, error), lineOf(error), error.help ?? undefined)
  }

  const known: Record<string, ReadonlySet<string>> = {
    Tool: new Set(catalog.tools.keys()),
    Target: new Set(catalog.targets.keys()),
    Service: new Set(catalog.services.keys()),
    Role: new Set(catalog.roles.keys()),
    Environment: new Set([...catalog.targets.values()].map(({environment}) => environment)),
    Log: new Set(['audit']),
    Fleet: new Set(['all']),
  }
  const spellings = policyNames(rules, catalog)
  for (const rule of rules) {
    for (const {type, id} of literals(rule.json)) {
      const offset = Math.max(0, rule.text.indexOf(`${type}::${JSON.stringify(id)}`))
      const names = known[type]
      if (names && !names.has(id))
        refuse(
          rule,
          offset,
          `there is no ${type}::${JSON.stringify(id)} in the catalog`,
          `known: ${[...names].sort().slice(0, 20).join(', ') || 'none'}`,
        )
      const odd = type === 'Group' || type === 'Person' ? (oddName(id) ?? twinOf(id, spellings)) : undefined
      if (odd) refuse(rule, offset, `the name ${JSON.stringify(id)} ${odd}`, 'spell it as the identity provider does')
    }
  }
  return findings
}

/** Names of people and groups that decide something, by their folded form: policy's own, and those the catalog gives to roles. */
function policyNames(rules: readonly Rule[], catalog: Catalog): Map<string, string> {
  const names = new Map<string, string>()
  const add = (id: string): unknown => names.has(fold(id)) || names.set(fold(id), id)
  for (const {json} of rules) for (const {type, id} of literals(json)) if (type === 'Group' || type === 'Person') add(id)
  for (const {parameters} of catalog.roles.values()) if (typeof parameters.group === 'string') add(parameters.group)
  return names
}

const freeSlots: number[] = []
let slots = 0
/** Cedar keeps what it parsed under a name for ever: the names of a bundle that nobody holds any more are used again. */
const slotOwners = new FinalizationRegistry<number>(slot => freeSlots.push(slot))

/** Asks the rules of one bundle. */
export class Engine {
  readonly #slot = freeSlots.pop() ?? slots++
  readonly #sets = new Set<string>()
  readonly #rules: readonly Rule[]
  readonly #spellings: ReadonlyMap<string, string>

  /** `rules` and `schema` without findings. */
  constructor(rules: readonly Rule[], schema: SchemaJson<string>, catalog: Catalog) {
    slotOwners.register(this, this.#slot)
    this.#rules = rules
    this.#spellings = policyNames(rules, catalog)
    const parsed = preparseSchema(this.#name('schema'), schema)
    if (parsed.type === 'failure') throw new Error(`the schema does not parse: ${parsed.errors[0]?.message}`)
  }

  #name(part: string): string {
    return `bundle-${this.#slot}/${part}`
  }

  #set(services: readonly string[]): string {
    const id = this.#name(JSON.stringify(services))
    if (this.#sets.has(id)) return id
    const staticPolicies = Object.fromEntries(
      this.#rules.filter(({service}) => service === null || services.includes(service)).map(rule => [rule.id, rule.text]),
    )
    const parsed = preparsePolicySet(id, {staticPolicies})
    if (parsed.type === 'failure') throw new Error(`the rules do not parse: ${parsed.errors[0]?.message}`)
    this.#sets.add(id)
    return id
  }

  /** Parses the set for these services now, not at the first question. */
  prepare(services: readonly (string | null)[]): void {
    this.#set(distinct(services))
  }

  /** One decision. Anything that is not as it must be, evaluation errors included, is `forbidden` (TM-L3). */
  ask({principal, groups, action, resource, context}: Question): Answer {
    const refuse = (...errors: string[]): Answer => ({decision: 'forbidden', rules: [], errors})
    const id = principal.person || `${principal.iss}#${principal.sub}`
    for (const name of [id, ...groups]) {
      const odd = twinOf(name, this.#spellings)
      if (odd) return refuse(`the name ${JSON.stringify(name)} ${odd}`)
    }
    if (!actionResources[action].includes(resource.kind)) return refuse(`${action} is not asked about a ${resource.kind}`)
    const address = context.address === undefined ? undefined : plainAddress(context.address)
    if (context.address !== undefined && address === undefined) return refuse('the address is not an IP address')

    const person = personOf(principal, groups)
    const entity = entityOf(resource)
    const use = context.use === 'role' ? 'assume' : (context.use ?? useOf(resource))
    const answer = statefulIsAuthorized({
      principal: person.uid,
      action: {type: 'Action', id: action},
      resource: entity.uid,
      context: contextOf(context, use, classOf(resource, use), address),
      preparsedSchemaName: this.#name('schema'),
      validateRequest: true,
      preparsedPolicySetId: this.#set(servicesOf(resource)),
      entities: [person, entity],
    })
    if (answer.type === 'failure') return refuse(...answer.errors.map(lineOf))
    const {decision, diagnostics} = answer.response
    const errors = diagnostics.errors.map(({policyId, error}) => `${policyId}: ${lineOf(error)}`)
    const rules = [...diagnostics.reason].sort()
    if (errors.length > 0) return {decision: 'forbidden', rules, errors}
    if (decision === 'allow') return {decision, rules, errors}
    return {decision: rules.length > 0 ? 'forbidden' : 'default', rules, errors}
  }

  /** Groups that permits on `approve` name in their scope, where the scope reaches this resource. Conditions are not weighed. */
  approverGroups(resource: Resource): string[] {
    const entity = entityOf(resource)
    const groups = this.#reaching('approve', entity, servicesOf(resource))
      .filter(({json}) => json.effect === 'permit')
      .flatMap(({json}) => literals(json.principal))
      .filter(({type}) => type === 'Group')
    return [...new Set(groups.map(({id}) => id))].sort()
  }

  /** Of a use that is denied: the forbids that decided, else the permits that would have held but for some part, on the use or on asking for it. */
  why({principal, groups, resource, context}: Omit<Question, 'action'>, use: UseAction, decided: readonly string[]): RuleView[] {
    const entity = entityOf(resource)
    const address = context.address === undefined ? undefined : plainAddress(context.address)
    const asked = (action: PolicyAction): Asked => ({
      person: personOf(principal, groups),
      entity,
      action,
      context: contextOf(context, use, classOf(resource, use), address),
    })
    const forbids = this.#rules.filter(({id, json}) => json.effect === 'forbid' && decided.includes(id))
    if (forbids.length > 0) return decidingForbids(forbids, asked(use))
    const services = servicesOf(resource)
    const near = ([use, 'request'] as const).flatMap(action => nearPermits(this.#reaching(action, entity, services), asked(action)))
    return near.filter(({rule}, index) => near.findIndex(one => one.rule === rule) === index).slice(0, 3)
  }

  /** Whether some arguments of a command would be allowed this action: its attributes are left open. Shown only, never relied on. */
  couldBe(
    action: PolicyAction,
    {principal, groups, context}: Omit<Question, 'action' | 'resource'>,
    {tool, command, target}: CommandPlace,
  ): boolean {
    const person = personOf(principal, groups)
    const open = Object.keys(cedarAttributes(tool.grammar, command)).map(name => [name, {__extn: {fn: 'unknown', arg: name}}])
    const entity = commandEntity({tool, command, target}, Object.fromEntries(open))
    const rules = this.#reaching(action, entity, distinct([tool.service, target.service])).filter(({json}) =>
      reachesEntity(json.principal, person),
    )
    if (!rules.some(({json}) => json.effect === 'permit')) return false
    const toolClass = tool.grammar.commands[command]?.class ?? 'change'
    const answer = isAuthorizedPartial({
      principal: person.uid,
      action: {type: 'Action', id: action},
      resource: entity.uid,
      context: contextOf(context, 'run', toolClass, context.address === undefined ? undefined : plainAddress(context.address)),
      policies: {staticPolicies: Object.fromEntries(rules.map(rule => [rule.id, rule.text]))},
      entities: [person, entity],
    })
    return answer.type === 'residuals' && answer.response.errored.length === 0 && answer.response.decision !== 'deny'
  }

  /** Whether some permit of any action could hold for this person and this, whatever the circumstances and what forbids say: then they may know of it. */
  mayKnow({principal, groups}: Pick<Question, 'principal' | 'groups'>, thing: Resource | CommandPlace): boolean {
    const person = personOf(principal, groups)
    const open = (names: string[]) => Object.fromEntries(names.map(name => [name, {__extn: {fn: 'unknown', arg: name}}]))
    const isPlace = !('kind' in thing)
    const entity = isPlace ? commandEntity(thing, open(Object.keys(cedarAttributes(thing.tool.grammar, thing.command)))) : entityOf(thing)
    const services = isPlace ? distinct([thing.tool.service, thing.target.service]) : servicesOf(thing)
    const kind = isPlace ? 'command' : thing.kind
    return (Object.keys(actionResources) as PolicyAction[]).some(action => {
      if (!actionResources[action].includes(kind)) return false
      const permits = this.#reaching(action, entity, services).filter(
        ({json}) => json.effect === 'permit' && reachesEntity(json.principal, person),
      )
      if (permits.length === 0) return false
      const answer = isAuthorizedPartial({
        principal: person.uid,
        action: {type: 'Action', id: action},
        resource: entity.uid,
        context: open(['use', 'class', 'incident', 'reused', 'address']) as Context,
        policies: {staticPolicies: Object.fromEntries(permits.map(rule => [rule.id, rule.text]))},
        entities: [person, entity],
      })
      return answer.type === 'residuals' && answer.response.decision !== 'deny'
    })
  }

  #reaching(action: PolicyAction, entity: EntityJson, services: readonly string[]): Rule[] {
    return this.#rules.filter(
      ({service, json}) =>
        (service === null || services.includes(service)) && reachesAction(json, action) && reachesEntity(json.resource, entity),
    )
  }
}

/** A command, whatever its arguments, on a target. */
export interface CommandPlace {
  tool: ToolEntry
  command: number
  target: TargetEntry
}

function personOf(principal: Question['principal'], groups: readonly string[]): EntityJson {
  return {
    uid: {type: 'Person', id: principal.person || `${principal.iss}#${principal.sub}`},
    attrs: {},
    parents: groups.map(id => ({type: 'Group', id})),
  }
}

function contextOf({incident, reused}: Question['context'], use: string, toolClass: string, address: string | undefined): Context {
  const known: Context = {use, class: toolClass, incident: incident ?? false, reused: reused ?? false}
  return address === undefined ? known : {...known, address: {__extn: {fn: 'ip', arg: address}}}
}

/** The action by which a resource is used. Pure. */
export function useOf(resource: Resource): 'run' | 'shell' | 'assume' {
  return resource.kind === 'command' ? 'run' : resource.kind === 'role' ? 'assume' : 'shell'
}

/** The class of a use of it: policy never takes the asker's word for it. Pure. */
export function classOf(resource: Resource, use?: string): string {
  if (resource.kind === 'command') return resource.structure.class
  if (resource.kind === 'role') return resource.role.class
  if (resource.kind !== 'target') return 'read'
  return use === 'forward' ? 'change' : 'shell'
}

/** The services whose rules apply: the tool's and the target's. Sorted. Pure. */
export function servicesOf(resource: Resource): string[] {
  const owners =
    resource.kind === 'command'
      ? [resource.tool.service, resource.target.service]
      : [resource.kind === 'target' ? resource.target.service : resource.kind === 'role' ? resource.role.service : null]
  return distinct(owners)
}

function distinct(services: readonly (string | null)[]): string[] {
  return [...new Set(services.filter(service => service !== null))].sort()
}

/** A resource as Cedar knows it. Pure. */
export function entityOf(resource: Resource): EntityJson {
  const services = servicesOf(resource).map(id => ({type: 'Service', id}))
  switch (resource.kind) {
    case 'command': {
      const {tool, structure, target} = resource
      return commandEntity({tool, command: structure.command, target}, cedarValues(structure, tool.grammar))
    }
    case 'target':
      return {
        uid: {type: 'Target', id: resource.target.of ?? resource.target.name},
        attrs: {},
        parents: [{type: 'Environment', id: resource.target.environment}, ...services],
        tags: {...resource.target.labels},
      }
    case 'role':
      return {uid: {type: 'Role', id: resource.role.name}, attrs: {}, parents: services}
    case 'log':
      return {uid: {type: 'Log', id: 'audit'}, attrs: {}, parents: []}
    case 'fleet':
      return {uid: {type: 'Fleet', id: 'all'}, attrs: {}, parents: []}
  }
}

/** A command, its arguments as they are given. Pure. */
export function commandEntity({tool, command, target}: CommandPlace, attrs: EntityJson['attrs']): EntityJson {
  return {
    uid: {type: cedarTypeName(tool.grammar, command), id: [tool.name, ...(tool.grammar.commands[command]?.path ?? [])].join(' ')},
    attrs,
    parents: [
      {type: 'Tool', id: tool.name},
      {type: 'Target', id: target.of ?? target.name},
      {type: 'Environment', id: target.environment},
      ...distinct([tool.service, target.service]).map(id => ({type: 'Service', id})),
    ],
  }
}

/** One spelling for each address: an IPv4 address in IPv6 clothes is the IPv4 address. */
function plainAddress(text: string): string | undefined {
  const bare = text.replace(/%.*$/, '')
  return ipaddr.isValid(bare) ? ipaddr.process(bare).toString() : undefined
}
