/** What policy says about an argv, for `prod policy explain`: the same decision as everywhere, and nothing is run (TM-K3). */
import {describeError, ProdError} from '@prod/sdk/errors'
import type {Refusal, Structure} from '@prod/sdk/grammar/grammar'
import {checkArgv, parse} from '@prod/sdk/grammar/parse'
import type {TargetEntry, ToolEntry} from '../catalog/catalog.ts'
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

/** An answer and what it was made from, for those who say it in words. */
export interface Explained {
  answer: PolicyExplanation
  /** what the grammar refuses, and what it would take there */
  refusal?: Refusal
  tool?: ToolEntry
  target?: TargetEntry
}

/** Explains one argv. Never throws for what a person may type: it answers `deny` and says why. */
export function explainArgv(bundle: Bundle, question: ExplainQuestion): PolicyExplanation {
  return explain(bundle, question).answer
}

/** The answer to what is no question at all. Pure. */
export function deny(message: string, position?: number, hint?: string): PolicyExplanation {
  return {
    structure: null,
    decision: 'deny',
    rules: [],
    approvals: 0,
    approvers: [],
    ...(position === undefined ? {} : {position}),
    message,
    ...(hint ? {hint} : {}),
  }
}

/** {@link explainArgv}, with what the answer was made from. */
export function explain(bundle: Bundle, {principal, groups, argv, target: wanted}: ExplainQuestion): Explained {
  try {
    checkArgv(argv)
  } catch (error) {
    if (!(error instanceof ProdError)) throw error
    const {message, position} = describeError(error)
    return {answer: deny(message, position ?? 0), refusal: {position: position ?? 0, message, allowed: []}}
  }
  const tool = bundle.catalog.tools.get(argv[0] as string)
  if (!tool) {
    const message = `there is no tool ${JSON.stringify(argv[0])} in the catalog`
    return {
      answer: deny(message, 0, 'prod tools'),
      refusal: {position: 0, message, allowed: likeIt(argv[0] as string, [...bundle.catalog.tools.keys()])},
    }
  }
  const parsed = parse(tool.grammar, argv, name => bundle.catalog.tools.get(name)?.grammar)
  if (!parsed.ok) {
    const {position, message, allowed} = parsed.refusal
    const offered = allowed.length > 0 ? `; allowed here: ${allowed.slice(0, 8).join(', ')}` : ''
    return {answer: deny(`argument ${position} of ${tool.name}: ${message}${offered}`, position), refusal: parsed.refusal, tool}
  }
  const {structure} = parsed
  const name = wanted ?? (tool.targets.length === 1 ? tool.targets[0] : undefined)
  if (name === undefined)
    return {
      answer: {
        ...deny(`${tool.name} runs on several targets: ${tool.targets.join(', ')}`, undefined, `--on ${tool.targets[0]}`),
        structure,
      },
      tool,
    }
  const target = bundle.catalog.targets.get(name)
  if (!target || !tool.targets.includes(name))
    return {answer: {...deny(`${tool.name} does not run on ${name}`, undefined, `--on ${tool.targets[0]}`), structure}, tool}

  const asked: UseQuestion = {
    principal: {iss: 'explain', sub: principal, person: principal, name: principal},
    groups,
    resource: {kind: 'command', tool, structure, target},
    context: {},
  }
  const decided = decideUse(bundle, asked, 'run')
  const answer: PolicyExplanation = {
    structure,
    decision: decided.decision,
    rules: decided.rules,
    approvals: decided.decision === 'request' ? decided.approvals : 0,
    approvers: decided.decision === 'request' ? bundle.approverGroups(asked.resource) : [],
    ...(decided.decision === 'deny' ? explainDenial(bundle, asked, 'run') : {}),
  }
  return {answer, tool, target}
}

/** Names that begin alike: what somebody may have meant. */
function likeIt(typed: string, names: readonly string[]): string[] {
  const begin = typed.slice(0, 2).toLowerCase()
  return begin === '' ? [] : names.filter(name => name.toLowerCase().startsWith(begin)).sort()
}
