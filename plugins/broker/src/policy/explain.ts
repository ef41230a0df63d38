/** What policy says about an argv, for `prod policy explain`: the same decision as everywhere, and nothing is run (TM-K3). */
import {createInterface} from 'node:readline'
import {describeError, ProdError} from '@prod/sdk/errors'
import type {Structure} from '@prod/sdk/grammar/grammar'
import {checkArgv, parse} from '@prod/sdk/grammar/parse'
import {decideUse, explainDenial, type UseQuestion} from './decide.ts'
import type {Bundle} from './policy.ts'

/** Who asks about what. `target`: needed where the tool has several. */
export interface ExplainQuestion {
  principal: string
  groups: string[]
  argv: string[]
  target?: string | undefined
}

/** The answer. `position`: the argument at which the grammar refuses. `message`, `hint`: why not, and what to type instead. */
export interface PolicyExplanation {
  structure: Structure | null
  decision: 'allow' | 'request' | 'deny'
  rules: string[]
  approvals: number
  /** groups that may approve it */
  approvers: string[]
  position?: number
  message?: string
  hint?: string
}

/** Explains one argv. Never throws for what a person may type: it answers `deny` and says why. */
export function explainArgv(bundle: Bundle, {principal, groups, argv, target: wanted}: ExplainQuestion): PolicyExplanation {
  const refuse = (message: string, position?: number, hint?: string): PolicyExplanation => ({
    structure: null,
    decision: 'deny',
    rules: [],
    approvals: 0,
    approvers: [],
    ...(position === undefined ? {} : {position}),
    message,
    ...(hint ? {hint} : {}),
  })
  try {
    checkArgv(argv)
  } catch (error) {
    if (!(error instanceof ProdError)) throw error
    const {message, position} = describeError(error)
    return refuse(message, position ?? 0)
  }
  const tool = bundle.catalog.tools.get(argv[0] as string)
  if (!tool) return refuse(`there is no tool ${JSON.stringify(argv[0])} in the catalog`, 0, 'prod tools')
  const parsed = parse(tool.grammar, argv, name => bundle.catalog.tools.get(name)?.grammar)
  if (!parsed.ok) {
    const {position, message, allowed} = parsed.refusal
    return refuse(
      `argument ${position} of ${tool.name}: ${message}${allowed.length > 0 ? `; allowed here: ${allowed.slice(0, 8).join(', ')}` : ''}`,
      position,
    )
  }
  const {structure} = parsed
  const name = wanted ?? (tool.targets.length === 1 ? tool.targets[0] : undefined)
  if (name === undefined)
    return {...refuse(`${tool.name} runs on several targets: ${tool.targets.join(', ')}`, undefined, `--on ${tool.targets[0]}`), structure}
  const target = bundle.catalog.targets.get(name)
  if (!target || !tool.targets.includes(name))
    return {...refuse(`${tool.name} does not run on ${name}`, undefined, `--on ${tool.targets[0]}`), structure}

  const asked: UseQuestion = {
    principal: {iss: 'explain', sub: principal, person: principal, name: principal},
    groups,
    resource: {kind: 'command', tool, structure, target},
    context: {},
  }
  const decided = decideUse(bundle, asked, 'run')
  return {
    structure,
    decision: decided.decision,
    rules: decided.rules,
    approvals: decided.decision === 'request' ? decided.approvals : 0,
    approvers: decided.decision === 'request' ? bundle.approverGroups(asked.resource) : [],
    ...(decided.decision === 'deny' ? explainDenial(bundle, asked, 'run') : {}),
  }
}

const maxLineBytes = 256 * 1024

/** Answers questions as JSON lines, in order. A line that is no question is answered with `deny` and what is wrong with it. */
export async function* explainLines(bundle: Bundle, input: NodeJS.ReadableStream): AsyncIterable<string> {
  for await (const line of createInterface({input})) {
    if (line.trim() === '') continue
    const asked = readQuestion(line)
    const answer: PolicyExplanation =
      typeof asked === 'string'
        ? {structure: null, decision: 'deny', rules: [], approvals: 0, approvers: [], message: asked}
        : explainArgv(bundle, asked)
    yield JSON.stringify(answer)
  }
}

function readQuestion(line: string): ExplainQuestion | string {
  if (line.length > maxLineBytes) return 'the line is too long'
  let asked: Partial<ExplainQuestion>
  try {
    asked = JSON.parse(line)
  } catch {
    return 'the line is not JSON'
  }
  const texts = (value: unknown): value is string[] => Array.isArray(value) && value.every(one => typeof one === 'string')
  if (typeof asked !== 'object' || asked === null) return 'the line is no object'
  const {principal, groups, argv, target, ...unknown} = asked
  const odd = Object.keys(unknown)[0]
  if (odd !== undefined) return `${JSON.stringify(odd)} is not known here`
  if (typeof principal !== 'string' || !texts(groups) || !texts(argv)) return 'principal, groups and argv are needed'
  if (target !== undefined && target !== null && typeof target !== 'string') return 'target is no text'
  return {principal, groups, argv, target: target ?? undefined}
}
