/** From a draft to what exactly would happen: the resource that policy judges and the document that people approve. */
import {dirname} from 'node:path'
import type {ApprovalDocument, ConferredRole, Principal, TargetRef, ToolClass} from '@prod/sdk'
import {sealDocument} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import {isAllowed, readHost, showHostPort, sortPlaces} from '@prod/sdk/forward'
import {parseDuration, showDuration} from '@prod/sdk/grammar/duration'
import type {Structure} from '@prod/sdk/grammar/grammar'
import {hasSecret, layersOf, strongestClass} from '@prod/sdk/grammar/operands'
import {checkArgv, parse} from '@prod/sdk/grammar/parse'
import {addArguments, print} from '@prod/sdk/grammar/print'
import {needsCredential} from '@prod/sdk/primitive'
import {showArgv} from '@prod/sdk/text'
import type {RoleEntry, TargetEntry, ToolEntry} from '../catalog/catalog.ts'
import {findTarget, machinesOf, standsForMany} from '../catalog/members.ts'
import type {Parts} from '../parts.ts'
import {longestOn} from '../policy/decide.ts'
import type {Bundle, Question, Resource} from '../policy/policy.ts'
import {inspectProgram, reach} from '../runs/program.ts'
import {mostTargets} from './selectors.ts'
import {canonicalName, type Draft, type Resolved} from './state.ts'

/** All that follows from a draft under one bundle. */
export interface Plan {
  draft: Draft
  resource: Resource
  action: 'run' | 'shell' | 'forward' | 'assume'
  class: ToolClass
  environment: string
  summary: string
  /** keys that runs of class `change` and above hold one at a time: one for each machine it touches, sorted */
  locks: string[]
  tool: ToolEntry | null
  /** null for a role, and for a run on many targets */
  target: TargetEntry | null
  /** by whose credential the target is reached; null: by none */
  access: RoleEntry | null
  /** a run on many targets: the same on each of them, and how it goes from one to the next */
  each?: Plan[]
  rollout?: NonNullable<ApprovalDocument['rollout']>
}

/**
 * A target of the catalog by its name, and which one its address led to when the use was asked for, where that was fixed (TM-X2). What was
 * fixed belongs to the address as it was then: under another one it counts for nothing, and the document is another.
 */
function targetFor({catalog}: Bundle, name: string, resolved: Resolved | undefined): TargetEntry | undefined {
  const target = findTarget(catalog, name)
  const address = target && resolved && Object.hasOwn(resolved, target.address) ? resolved[target.address] : undefined
  return target && address !== undefined ? {...target, address} : target
}

/** The plan for each target: the plan itself where there is one. Pure. */
export function eachOf(plan: Plan): Plan[] {
  return plan.each ?? [plan]
}

/** Finds and checks what a draft names. Throws TOOL_NOT_FOUND, ARGV_INVALID, ARGV_REFUSED, TARGET_NOT_FOUND, FORWARD_REFUSED, ROLE_NOT_FOUND. */
export function makePlan(bundle: Bundle, draft: Draft): Plan {
  if (draft.kind === 'exec') return planExec(bundle, draft)
  if (draft.kind === 'shell' || draft.kind === 'forward') {
    const target = targetFor(bundle, draft.target, draft.resolved)
    if (!target) throw new ProdError('TARGET_NOT_FOUND', `there is no target ${draft.target}`, 'prod targets')
    if (draft.kind === 'forward') return planForward(bundle, draft, target)
    return {
      draft: {...draft, target: target.name},
      resource: {kind: 'target', target},
      action: 'shell',
      class: 'shell',
      environment: target.environment,
      summary: `a shell on ${target.name} (${target.environment})`,
      locks: [],
      tool: null,
      target,
      access: roleFor(bundle, target, null),
    }
  }
  const role = bundle.catalog.roles.get(draft.role)
  if (!role) throw new ProdError('ROLE_NOT_FOUND', `there is no role ${draft.role}`, 'prod roles')
  if (draft.durationSeconds > role.maxSeconds) {
    throw new ProdError(
      'DURATION_INVALID',
      `${role.name} is given for at most ${showDuration(role.maxSeconds)}`,
      `prod request create ${role.name} -d ${role.maxSeconds}s`,
    )
  }
  return {
    draft,
    resource: {kind: 'role', role},
    action: 'assume',
    class: role.class,
    environment: '',
    summary: `the role ${role.name} for ${showDuration(draft.durationSeconds)}`,
    locks: [],
    tool: null,
    target: null,
    access: null,
  }
}

/** A forward to places that the target's definition allows, in their one spelling and order. Throws FORWARD_REFUSED. */
function planForward(bundle: Bundle, draft: Draft & {kind: 'forward'}, target: TargetEntry): Plan {
  const allowed = target.forwards.map(({host, ports}) => `${host} ${ports.join(', ')}`)
  const to = draft.to.map(({host: text, port}) => {
    const host = readHost(text)
    if (host !== undefined && isAllowed(target.forwards, {host, port})) return {host, port}
    const offered = allowed.length > 0 ? `; allowed: ${allowed.slice(0, 8).join(' · ')}` : '; it forwards nowhere'
    throw new ProdError(
      'FORWARD_REFUSED',
      `${target.name} does not forward to ${showHostPort({host: text, port})}${offered}`,
      'prod targets',
    )
  })
  const places = sortPlaces(to)
  return {
    draft: {...draft, target: target.name, to: places},
    resource: {kind: 'target', target},
    action: 'forward',
    class: 'change',
    environment: target.environment,
    summary: `a forward through ${target.name} (${target.environment}) to ${places.map(showHostPort).join(', ')}`,
    locks: [],
    tool: null,
    target,
    access: roleFor(bundle, target, null),
  }
}

/** How long a forward may last: what the broker, the owners of the service and break-glass allow. */
export function forwardSeconds(
  {config, bundle}: Pick<Parts, 'config' | 'bundle'>,
  {target}: Pick<Plan, 'target'>,
  breakGlass: boolean,
): number {
  return Math.min(
    config.forward.maxSeconds,
    longestOn(bundle(), target),
    breakGlass ? config.breakGlass.maxSeconds : Number.POSITIVE_INFINITY,
  )
}

/** `scheme://user:password@`, and `https://token@`: whom one is to a web server is told by a secret alone (TM-E7) */
const urlWithPassword = /:\/\/[^/\s?#@:]*:[^/\s?#@]+@|https?:\/\/[^/\s?#@]+@/i

function planExec(bundle: Bundle, draft: Draft & {kind: 'exec'}): Plan {
  checkArgv(draft.argv)
  const name = draft.argv[0] as string
  const tool = bundle.catalog.tools.get(name)
  if (!tool) throw new ProdError('TOOL_NOT_FOUND', `there is no tool ${JSON.stringify(name)} in the catalog`, 'prod tools')

  const login = draft.argv.findIndex(word => urlWithPassword.test(word))
  if (login !== -1) {
    throw new ProdError(
      'ARGV_REFUSED',
      `argument ${login} of ${name}: a password does not belong into a URL: approvers and the log would see it`,
      `prod tools show ${name}`,
      {position: login},
    )
  }
  const {tools} = bundle.catalog
  const parsed = parse(tool.grammar, draft.argv, name => tools.get(name)?.grammar)
  if (!parsed.ok) {
    const {position, message, allowed} = parsed.refusal
    const offered = allowed.length > 0 ? `; allowed here: ${allowed.slice(0, 8).join(', ')}` : ''
    throw new ProdError('ARGV_REFUSED', `argument ${position} of ${name}: ${message}${offered}`, `prod tools show ${name}`, {position})
  }

  const {structure} = parsed
  if (hasSecret(structure, tool.grammar)) {
    throw new ProdError(
      'ARGV_REFUSED',
      `a secret does not belong in the arguments of ${name}: approvers and the log would see it`,
      `prod tools show ${name}`,
    )
  }
  const command = tool.grammar.commands[structure.command]
  if (draft.stdin && !command?.stdin)
    throw new ProdError('STDIN_REFUSED', `${[name, ...structure.path].join(' ')} takes no stdin`, `prod tools show ${name}`)
  const maxStdin = typeof command?.stdin === 'object' ? command.stdin.maxBytes : undefined
  if (draft.stdin && maxStdin !== undefined && draft.stdin.bytes > maxStdin) {
    throw new ProdError('STDIN_REFUSED', `${name} takes at most ${maxStdin} bytes of stdin`, `prod tools show ${name}`)
  }
  if (draft.many) return planMany(bundle, draft, draft.many, tool, structure)
  return planOn(bundle, draft, tool, structure)
}

function planOn(bundle: Bundle, draft: Draft & {kind: 'exec'}, tool: ToolEntry, structure: Structure): Plan {
  const {name} = tool
  const targetName = draft.target ?? (tool.targets.length === 1 ? tool.targets[0] : undefined)
  if (targetName === undefined) {
    throw new ProdError(
      'TARGET_INVALID',
      `${name} runs on several targets: ${tool.targets.join(', ')}`,
      `prod exec --on ${tool.targets[0]} …`,
    )
  }
  const target = targetFor(bundle, targetName, draft.resolved)
  if (!target || !tool.targets.includes(target.of ?? target.name)) {
    throw new ProdError('TARGET_NOT_FOUND', `${name} does not run on ${targetName}`, `prod tools show ${name}`)
  }

  const toolClass = strongestClass(structure)
  return {
    draft: {...draft, target: target.name},
    resource: {kind: 'command', tool, structure, target},
    action: 'run',
    class: toolClass,
    environment: target.environment,
    summary: `${showArgv(draft.argv)} on ${target.name} (${target.environment})`,
    // two names of one machine are one machine
    locks:
      toolClass === 'read'
        ? []
        : machinesOf(bundle.catalog, target, tool.program.path).map(machine =>
            JSON.stringify([machine, ...structure.locks.map(canonicalName)]),
          ),
    tool,
    target,
    access: roleFor(bundle, target, tool),
  }
}

/** targets that stand in a summary; the document has them all */
const namedTargets = 20

/** The same on many targets, within what the command allows (TM-F2). Throws LIMIT_REACHED, STDIN_REFUSED. */
function planMany(
  bundle: Bundle,
  {many: _, ...draft}: Draft & {kind: 'exec'},
  many: {on: string[]; targets: string[]},
  tool: ToolEntry,
  structure: Structure,
): Plan {
  const {on, targets} = many
  const each = targets.map(target => planOn(bundle, {...draft, target}, tool, structure))
  const [first] = each
  if (!first) throw new ProdError('TARGET_NOT_FOUND', `no target of ${tool.name} was chosen`, `prod tools show ${tool.name}`)
  const command = tool.grammar.commands[structure.command]
  const words = [tool.name, ...structure.path].join(' ')
  if (command?.stdin)
    throw new ProdError('STDIN_REFUSED', `${words} takes stdin, and so runs on one target at a time`, `prod exec --on ${targets[0]} …`)
  const reads = first.class === 'read'
  // what stands behind is bound by its own definition too
  const bounds = layersOf(structure).map(layer => bundle.catalog.tools.get(layer.tool)?.grammar.commands[layer.command]?.rollout)
  const most = Math.min(
    ...bounds.map(bound => bound?.maxTargets ?? (bound || reads ? mostTargets : 1)),
    ...bounds.map(bound => (bound?.maxPercent ? Math.max(1, Math.floor((tool.targets.length * bound.maxPercent) / 100)) : mostTargets)),
  )
  const batch = Math.min(...bounds.map(bound => bound?.batch ?? (reads ? 10 : 1)))
  const pauseSeconds = Math.max(...bounds.map(bound => (bound?.pause === undefined ? 0 : parseDuration(bound.pause))))
  const stopOnError = bounds.some(bound => bound?.stopOnError ?? !reads)
  if (targets.length > most) {
    throw new ProdError(
      'LIMIT_REACHED',
      `${words} runs on at most ${most} of the ${tool.targets.length} targets of ${tool.name} at once, not on ${targets.length}`,
      `prod tools show ${tool.name}`,
    )
  }
  const environments = [...new Set(each.map(({environment}) => environment))].sort()
  const shown = targets.slice(0, namedTargets).join(', ')
  const more = targets.length > namedTargets ? ` and ${targets.length - namedTargets} more` : ''
  const count = `${targets.length} ${targets.length === 1 ? 'target' : 'targets'}`
  return {
    ...first,
    draft: {...draft, target: null, many},
    environment: environments.join(', '),
    summary: `${showArgv(draft.argv)} on ${count} (${environments.join(', ')}): ${shown}${more}`,
    locks: [],
    target: null,
    access: null,
    each,
    rollout: {on, batch, pauseSeconds, stopOnError},
  }
}

/** The question that policy is asked about a plan. */
export function question(plan: Plan, caller: {principal: Principal; groups: string[]; address: string}): Omit<Question, 'action'> {
  return {
    principal: caller.principal,
    groups: caller.groups,
    resource: plan.resource,
    context: {
      class: plan.class,
      address: caller.address,
      incident: plan.draft.incident !== null,
    },
  }
}

/** What reaches the program: what was typed, and what the catalog has the broker add. */
function executedArgv(tool: ToolEntry, structure: Structure): string[] {
  return addArguments(structure, tool.grammar.commands[structure.command]?.adds, tool.grammar.adds)
}

/** What is fixed when a request is made and stays so when its document is computed again at use. */
export interface Fixed {
  id: string
  createdAt: string
  principal: Principal
  approvalsNeeded: number
  breakGlass: boolean
  secondPerson: string | null
  maxSeconds: number
}

/** The commands behind the one that is started, each with the program that its own tool names: part of what is approved. */
function inspectBehind(
  parts: Parts,
  {catalog}: Bundle,
  structure: Structure,
  target: TargetEntry,
): Promise<NonNullable<ApprovalDocument['behind']>> {
  return Promise.all(
    layersOf(structure)
      .slice(1)
      .map(async layer => ({
        tool: layer.tool,
        argv: print(layer),
        program: await inspectProgram(parts, catalog.tools.get(layer.tool) as ToolEntry, target),
      })),
  )
}

/** The program, which must be the same on all targets: one document tells of one. Throws TOOL_UNAVAILABLE. */
async function inspectOnEach(parts: Parts, tool: ToolEntry, each: readonly Plan[]): Promise<{path: string; sha256: string | null}> {
  const targets = each.flatMap(({target}) => target ?? [])
  const found: {path: string; sha256: string | null}[] = []
  for (let at = 0; at < targets.length; at += inspectedAtOnce)
    found.push(...(await Promise.all(targets.slice(at, at + inspectedAtOnce).map(target => inspectProgram(parts, tool, target)))))
  const [first] = found as [{path: string; sha256: string | null}]
  const other = found.findIndex(({sha256}) => sha256 !== first.sha256)
  if (other === -1) return first
  throw new ProdError(
    'TOOL_UNAVAILABLE',
    `${first.path} is another program on ${targets[other]?.name} than on ${targets[0]?.name}`,
    `prod exec --on ${targets[0]?.name} …, then on the others`,
  )
}

const inspectedAtOnce = 20

/** What is reached by a credential needs a role that gives one: said before anybody is asked. Throws CATALOG_INVALID. */
function refuseWithoutRole(parts: Pick<Parts, 'primitives'>, {target, access, action}: Plan): void {
  if (!target || access) return
  const {primitive, where} = reach(parts, target)
  if (action !== 'assume' && needsCredential(primitive, where, action === 'run' ? 'exec' : action))
    throw new ProdError(
      'CATALOG_INVALID',
      `${target.name} is reached by a credential, and the catalog names no role for it`,
      'prod targets',
    )
}

/** Input that could not go where the tool runs is refused before anybody is asked, not dropped there. Throws STDIN_REFUSED. */
function refuseStdin(parts: Pick<Parts, 'primitives'>, {target, resource}: Plan): void {
  if (!target || resource.kind !== 'command' || !resource.tool.grammar.commands[resource.structure.command]?.stdin) return
  const {primitive, where} = reach(parts, target)
  const lack = primitive.lacksStdin?.(where)
  if (lack)
    throw new ProdError(
      'STDIN_REFUSED',
      `${resource.tool.name} takes stdin, which does not reach ${target.name}: ${lack.why}`,
      lack.instead,
    )
}

const conferred = ({name, provider, parameters}: RoleEntry): ConferredRole => ({name, provider, parameters})

/** A role in the place of a target, where one is told, confirmed and reviewed. Pure. */
export function ofRole(name: string): TargetRef {
  return {name, address: `role:${name}`, environment: ''}
}

/** What a plan is about, in one name: its target, else its role. Pure. */
export function thingOf({target, resource}: Pick<Plan, 'target' | 'resource'>): TargetRef {
  if (target) return refOf(target) as TargetRef
  if (resource.kind === 'role') return ofRole(resource.role.name)
  throw new Error('about no one thing')
}

/** The role by whose credential a use of this target is made: the tool's goes before the target's. */
function roleFor({catalog}: Bundle, target: TargetEntry, tool: ToolEntry | null): RoleEntry | null {
  const name = tool?.role ?? target.role
  return name === null ? null : (catalog.roles.get(name) ?? null)
}

/** The roles that a document names, of whatever number. Pure. */
export function rolesOf({role, roles}: Pick<ApprovalDocument, 'role' | 'roles'>): ConferredRole[] {
  return roles ?? (role ? [role] : [])
}

function refOf(target: TargetEntry | null): TargetRef | undefined {
  return target ? {name: target.name, address: target.address, environment: target.environment} : undefined
}

/** A target that stands for many is looked among, not used, unless its primitive takes all of them at once. */
function refuseMany(parts: Parts, {target}: Plan): void {
  if (!target || !standsForMany(target) || !reach(parts, target).primitive.discover) return
  throw new ProdError(
    'TARGET_INVALID',
    `${target.name} stands for many, and one is used at a time: ${target.name}/ID`,
    `prod targets --find '' ${target.name}`,
  )
}

/** The document, its RFC 8785 text and digest. Reads the program's bytes, so that what is approved is what runs. */
export async function makeDocument(
  parts: Parts,
  bundle: Bundle,
  plan: Plan,
  fixed: Fixed,
): Promise<{text: string; digest: string; document: ApprovalDocument}> {
  const {draft, tool} = plan
  const each = eachOf(plan)
  const target = each[0]?.target ?? null
  for (const one of each) {
    refuseMany(parts, one)
    refuseWithoutRole(parts, one)
    refuseStdin(parts, one)
  }
  const targets = each.flatMap(one => {
    const ref = refOf(one.target)
    return ref ? [{...ref, ...(one.access ? {role: one.access.name} : {})}] : []
  })
  const used = plan.resource.kind === 'role' ? [plan.resource.role] : each.flatMap(({access}) => access ?? [])
  const roles = [...new Set(used)].map(conferred)
  const limits =
    tool && fixed.breakGlass ? {...tool.limits, wallSeconds: Math.min(tool.limits.wallSeconds, fixed.maxSeconds)} : tool?.limits
  const behind = target && plan.resource.kind === 'command' ? await inspectBehind(parts, bundle, plan.resource.structure, target) : []
  const document: ApprovalDocument = {
    version: 1,
    request: fixed.id,
    kind: draft.kind,
    argv: plan.resource.kind === 'command' ? executedArgv(plan.resource.tool, plan.resource.structure) : null,
    program: tool && target ? await inspectOnEach(parts, tool, each) : null,
    env: {...tool?.env, ...(behind[0] ? {PATH: dirname(behind[0].program.path)} : {})},
    cwd: tool?.workdir ?? null,
    ...(tool?.needs ? {needs: tool.needs} : {}),
    stdin: draft.kind === 'exec' ? draft.stdin : null,
    tool: tool?.name ?? null,
    class: plan.class,
    runAs: tool ? tool.runAs : draft.kind === 'shell' ? (target?.shellAs ?? null) : null,
    ...(behind.length > 0 ? {behind} : {}),
    targets,
    ...(draft.kind === 'forward' ? {to: draft.to} : {}),
    ...(plan.rollout ? {rollout: plan.rollout} : {}),
    role: roles.length === 1 ? (roles[0] as ConferredRole) : null,
    ...(roles.length > 1 ? {roles} : {}),
    durationSeconds:
      draft.kind === 'role'
        ? draft.durationSeconds
        : draft.kind === 'forward'
          ? forwardSeconds(parts, plan, fixed.breakGlass)
          : (limits?.wallSeconds ?? fixed.maxSeconds),
    startAt: 'startAt' in draft ? draft.startAt : null,
    maxUses: 1,
    // a break-glass is recorded, whatever is usual for the tool
    retention:
      draft.kind === 'forward' ? 'none' : tool === null || (fixed.breakGlass && tool.retention === 'none') ? 'full' : tool.retention,
    ...(tool?.redact ? {redact: tool.redact} : {}),
    limits: limits ?? null,
    approvalsNeeded: fixed.approvalsNeeded,
    breakGlass: fixed.breakGlass,
    ...(fixed.secondPerson === null ? {} : {secondPerson: fixed.secondPerson}),
    incident: draft.incident,
    requester: fixed.principal,
    reason: draft.reason,
    bundle: bundle.digest,
    createdAt: fixed.createdAt,
  }
  return {...sealDocument(document), document}
}
