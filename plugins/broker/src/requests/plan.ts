/** From a draft to what exactly would happen: the resource that policy judges and the document that people approve. */
import {dirname} from 'node:path'
import type {ApprovalDocument, Principal, TargetRef, ToolClass} from '@prod/sdk'
import {sealDocument} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import {showDuration} from '@prod/sdk/grammar/duration'
import type {Structure} from '@prod/sdk/grammar/grammar'
import {hasSecret, layersOf, strongestClass} from '@prod/sdk/grammar/operands'
import {checkArgv, parse} from '@prod/sdk/grammar/parse'
import {addArguments, print} from '@prod/sdk/grammar/print'
import {showArgv} from '@prod/sdk/text'
import type {TargetEntry, ToolEntry} from '../catalog/catalog.ts'
import type {Parts} from '../parts.ts'
import type {Bundle, Question, Resource} from '../policy/policy.ts'
import {inspectProgram} from '../runs/program.ts'
import {canonicalName, type Draft} from './state.ts'

/** All that follows from a draft under one bundle. */
export interface Plan {
  draft: Draft
  resource: Resource
  action: 'run' | 'shell' | 'assume'
  class: ToolClass
  environment: string
  summary: string
  /** keys that runs of class `change` and above hold one at a time */
  lock: string | null
  tool: ToolEntry | null
  target: TargetEntry | null
}

/** Finds and checks what a draft names. Throws TOOL_NOT_FOUND, ARGV_INVALID, ARGV_REFUSED, TARGET_NOT_FOUND, ROLE_NOT_FOUND. */
export function makePlan(bundle: Bundle, draft: Draft): Plan {
  if (draft.kind === 'exec') return planExec(bundle, draft)
  if (draft.kind === 'shell') {
    const target = bundle.catalog.targets.get(draft.target) ?? findByAddress(bundle, draft.target)
    if (!target) throw new ProdError('TARGET_NOT_FOUND', `there is no target ${draft.target}`, 'prod targets')
    return {
      draft: {...draft, target: target.name},
      resource: {kind: 'target', target},
      action: 'shell',
      class: 'shell',
      environment: target.environment,
      summary: `a shell on ${target.name} (${target.environment})`,
      lock: null,
      tool: null,
      target,
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
    lock: null,
    tool: null,
    target: null,
  }
}

function findByAddress(bundle: Bundle, address: string): TargetEntry | undefined {
  return [...bundle.catalog.targets.values()].find(target => target.address === address)
}

/** `scheme://user:password@` (TM-E7) */
const urlWithPassword = /:\/\/[^/\s?#@:]*:[^/\s?#@]+@/

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

  const targetName = draft.target ?? (tool.targets.length === 1 ? tool.targets[0] : undefined)
  if (targetName === undefined) {
    throw new ProdError(
      'TARGET_INVALID',
      `${name} runs on several targets: ${tool.targets.join(', ')}`,
      `prod exec --on ${tool.targets[0]} …`,
    )
  }
  const target = bundle.catalog.targets.get(targetName)
  if (!target || !tool.targets.includes(target.name)) {
    throw new ProdError('TARGET_NOT_FOUND', `${name} does not run on ${targetName}`, `prod tools show ${name}`)
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
  return {
    draft: {...draft, target: target.name},
    resource: {kind: 'command', tool, structure, target},
    action: 'run',
    class: strongestClass(structure),
    environment: target.environment,
    summary: `${showArgv(draft.argv)} on ${target.name} (${target.environment})`,
    // by address: two names of one machine are one machine
    lock: strongestClass(structure) === 'read' ? null : JSON.stringify([target.address, ...structure.locks.map(canonicalName)]),
    tool,
    target,
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

/** The document, its RFC 8785 text and digest. Reads the program's bytes, so that what is approved is what runs. */
export async function makeDocument(
  parts: Parts,
  bundle: Bundle,
  plan: Plan,
  fixed: Fixed,
): Promise<{text: string; digest: string; document: ApprovalDocument}> {
  const {draft, tool, target} = plan
  const role = plan.resource.kind === 'role' ? plan.resource.role : null
  const targets: TargetRef[] = target ? [{name: target.name, address: target.address, environment: target.environment}] : []
  const behind = target && plan.resource.kind === 'command' ? await inspectBehind(parts, bundle, plan.resource.structure, target) : []
  const document: ApprovalDocument = {
    version: 1,
    request: fixed.id,
    kind: draft.kind,
    argv: plan.resource.kind === 'command' ? executedArgv(plan.resource.tool, plan.resource.structure) : null,
    program: tool && target ? await inspectProgram(parts, tool, target) : null,
    env: {...tool?.env, ...(behind[0] ? {PATH: dirname(behind[0].program.path)} : {})},
    cwd: null,
    stdin: draft.kind === 'exec' ? draft.stdin : null,
    tool: tool?.name ?? null,
    class: plan.class,
    runAs: tool ? tool.runAs : (target?.shellAs ?? null),
    ...(behind.length > 0 ? {behind} : {}),
    targets,
    role: role ? {name: role.name, provider: role.provider, parameters: role.parameters} : null,
    durationSeconds: draft.kind === 'role' ? draft.durationSeconds : (tool?.limits.wallSeconds ?? fixed.maxSeconds),
    startAt: draft.kind === 'shell' ? null : draft.startAt,
    maxUses: 1,
    retention: tool?.retention ?? 'full',
    limits: tool?.limits ?? null,
    approvalsNeeded: fixed.approvalsNeeded,
    breakGlass: fixed.breakGlass,
    incident: draft.incident,
    requester: fixed.principal,
    reason: draft.reason,
    bundle: bundle.digest,
    createdAt: fixed.createdAt,
  }
  return {...sealDocument(document), document}
}
