/** The bundle's own tests: `policy/tests/*.yaml`. A bundle with a failing or missing one does not load (TM-D3). */
import type {PolicyAction, UseAction} from '@prod/sdk'
import {parse} from '@prod/sdk/grammar/parse'
import type {Catalog} from '../catalog/catalog.ts'
import {checkForm} from '../catalog/check-form.ts'
import type {Finding} from '../catalog/finding.ts'
import type {BundleFile} from '../catalog/read.ts'
import {testsSchema} from '../catalog/schemas.ts'
import {parseYaml} from '../catalog/yaml.ts'
import {decideUse} from './decide.ts'
import type {Bundle, Question, Resource} from './policy.ts'
import {mayReach} from './reach.ts'
import type {Rule} from './rules.ts'
import {reachesAction} from './scope.ts'
import {thingsOf} from './things.ts'

/** One line of a test file. */
export interface PolicyTest {
  file: string
  line: number
  name?: string
  principal: string
  groups: string[]
  /** default: `run` with argv, `assume` with a role, `shell` with a target alone, else `readAudit` */
  action?: PolicyAction
  /** which use `request`, `approve` or `breakGlass` is about */
  use?: UseAction
  argv?: string[]
  target?: string
  role?: string
  address?: string
  incident?: boolean
  expect: 'allow' | 'request' | 'deny'
  approvals?: number
  /** the argument at which the grammar must refuse */
  position?: number
  /** the id of a rule that must be among those which decided */
  rule?: string
}

/** What came of one. `message`: what is so instead of what was expected; absent when it held. */
export interface TestResult extends Pick<PolicyTest, 'file' | 'line'> {
  name: string
  /** what is asked, without what is expected */
  scene: string
  tool: string | null
  decision: 'allow' | 'request' | 'deny' | null
  approvals?: number
  rules: string[]
  message?: string
}

/** All tests of the files, in order. */
export function readTests(files: readonly BundleFile[], findings: Finding[]): PolicyTest[] {
  return files
    .filter(({name}) => name.startsWith('policy/tests/'))
    .flatMap(file => {
      const yaml = parseYaml(file, findings)
      const tests = yaml && checkForm<Omit<PolicyTest, 'file' | 'line'>[]>(yaml, testsSchema, findings)
      return (tests ?? []).map((test, index) => ({...test, file: file.name, line: yaml?.at([index]).line ?? 1}))
    })
}

/** Runs them through the decision that everybody uses. Starts nothing. */
export function runTests(bundle: Bundle, tests: readonly PolicyTest[]): TestResult[] {
  return tests.map(test => {
    // whether somebody may approve or watch a command shows nothing of what may be run
    const uses = test.action === undefined || test.action === 'run' || test.action === 'request'
    const result = {
      file: test.file,
      line: test.line,
      name: test.name ?? `${sceneOf(test)} → ${test.expect}`,
      scene: sceneKey(test),
      tool: (uses ? test.argv?.[0] : undefined) ?? null,
    }
    const answer = answerOf(bundle, test)
    if ('fault' in answer) return {...result, decision: null, rules: [], message: `test “${result.name}”: ${answer.fault}`}
    const {decision, rules, approvals, position} = answer
    const because =
      rules.length > 0
        ? ` by ${rules.join(' and ')}`
        : position === undefined
          ? ', no rule permits it'
          : ` by the grammar at argument ${position}`
    const fault =
      decision !== test.expect
        ? `expected ${test.expect}, is ${decision}${because}`
        : test.approvals !== undefined && test.approvals !== approvals
          ? `expected ${test.approvals} approvals, needs ${approvals ?? 'none'}`
          : test.position !== undefined && test.position !== position
            ? `expected the grammar to refuse argument ${test.position}, it ${position === undefined ? 'refuses none' : `refuses ${position}`}`
            : test.rule !== undefined && !rules.some(id => id === test.rule || id.endsWith(`#${test.rule}`))
              ? `expected the rule ${test.rule} to decide, ${rules.join(' and ') || 'none'} did`
              : undefined
    return {
      ...result,
      decision,
      rules,
      ...(approvals === undefined ? {} : {approvals}),
      ...(fault ? {message: `test “${result.name}”: ${fault}`} : {}),
    }
  })
}

type Answered = {decision: 'allow' | 'request' | 'deny'; rules: string[]; approvals?: number; position?: number}

function answerOf(bundle: Bundle, test: PolicyTest): Answered | {fault: string} {
  const found = resourceOf(bundle.catalog, test)
  if ('fault' in found || 'decision' in found) return found
  const {resource} = found
  const action =
    test.action ??
    {command: 'run' as const, role: 'assume' as const, target: 'shell' as const, log: 'readAudit' as const, fleet: 'freeze' as const}[
      resource.kind
    ]
  const asked: Omit<Question, 'action'> = {
    principal: {iss: 'test', sub: test.principal, person: test.principal, name: test.principal},
    groups: test.groups,
    resource,
    context: {
      ...(test.use ? {use: test.use} : {}),
      ...(test.address ? {address: test.address} : {}),
      ...(test.incident === undefined ? {} : {incident: test.incident}),
    },
  }
  const isUse = action === 'run' || action === 'shell' || action === 'forward' || action === 'assume'
  const answer = isUse ? decideUse(bundle, asked, action) : bundle.ask({...asked, action})
  if ('errors' in answer && answer.errors[0]) return {fault: answer.errors[0]}
  const decision = answer.decision === 'allow' || answer.decision === 'request' ? answer.decision : 'deny'
  return {decision, rules: answer.rules, ...('approvals' in answer ? {approvals: answer.approvals} : {})}
}

function resourceOf({tools, targets, roles}: Catalog, test: PolicyTest): {resource: Resource} | Answered | {fault: string} {
  const named = test.target === undefined ? undefined : targets.get(test.target)
  if (test.target !== undefined && !named) return {fault: `there is no target ${test.target}`}
  if (test.argv) {
    const tool = tools.get(test.argv[0] as string)
    if (!tool) return {fault: `there is no tool ${test.argv[0]}`}
    const target = named ?? targets.get(tool.targets[0] as string)
    if (!target || !tool.targets.includes(target.name)) return {fault: `${tool.name} does not run on ${target?.name}`}
    const parsed = parse(tool.grammar, test.argv, name => tools.get(name)?.grammar)
    if (!parsed.ok) return {decision: 'deny', rules: [], position: parsed.refusal.position}
    return {resource: {kind: 'command', tool, structure: parsed.structure, target}}
  }
  if (test.role !== undefined) {
    const role = roles.get(test.role)
    return role ? {resource: {kind: 'role', role}} : {fault: `there is no role ${test.role}`}
  }
  if (test.action === 'freeze' || test.action === 'unfreeze') return {resource: {kind: 'fleet'}}
  return {resource: named ? {kind: 'target', target: named} : {kind: 'log'}}
}

/** Who asks for what: `alice (engineers): unit restart ledger`. Pure. */
export function sceneOf({principal, groups, action, argv, target, role}: PolicyTest): string {
  const what = [action, argv?.join(' ') ?? role ?? target].filter(part => part !== undefined).join(' ')
  return `${principal} (${groups.join(', ') || 'no groups'}): ${what || 'readAudit'}`
}

function sceneKey({principal, groups, argv, target, role, address, incident}: PolicyTest): string {
  return JSON.stringify([principal, [...groups].sort(), argv, target, role, address, incident])
}

const deniesPerTool = 3

/** Rules that no passing test rests on, and tools that a rule lets somebody run without a test of what is allowed and three of what must be denied. */
export function missingTests(catalog: Catalog, rules: readonly Rule[], tests: readonly TestResult[]): Finding[] {
  const passed = tests.filter(({message}) => message === undefined)
  const exercised = new Set(passed.flatMap(one => one.rules))
  const untested = rules
    .filter(({id}) => !exercised.has(id))
    .map(({id, file, json}) => ({
      file,
      message: `no test shows what rule ${id} ${json.effect === 'permit' ? 'permits' : 'forbids'}`,
      mend: 'add one to policy/tests',
    }))
  const tools = usableTools(catalog, rules).flatMap(tool => {
    // the same question twice shows nothing more
    const of = [...new Map(passed.filter(one => one.tool === tool).map(one => [one.scene, one])).values()]
    const denied = of.filter(({decision}) => decision === 'deny').length
    const refuse = (message: string, mend: string): Finding => ({file: 'policy/tests', message: `tool ${tool} has ${message}`, mend})
    return [
      ...(denied < deniesPerTool
        ? [refuse(`${denied} of ${deniesPerTool} tests of what must be denied`, 'add the rest to policy/tests')]
        : []),
      ...(denied === of.length ? [refuse('no test of what is allowed', 'add one to policy/tests')] : []),
    ]
  })
  return [...untested, ...tools]
}

/** Tools that some rule could let somebody run, at once or after approval. */
function usableTools(catalog: Catalog, rules: readonly Rule[]): string[] {
  const permits = rules.filter(({json}) => json.effect === 'permit' && (reachesAction(json, 'run') || reachesAction(json, 'request')))
  if (permits.length === 0) return []
  const usable = new Set<string>()
  for (const {resource, entity, use, class: toolClass} of thingsOf(catalog)) {
    if (resource.kind !== 'command' || usable.has(resource.tool.name)) continue
    const context = {class: toolClass, use}
    if (permits.some(({json}) => mayReach(json, 'run', entity, context) || mayReach(json, 'request', entity, context)))
      usable.add(resource.tool.name)
  }
  return [...usable]
}
