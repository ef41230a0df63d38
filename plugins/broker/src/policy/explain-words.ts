/** What policy says about an argv, for a person: the decision, why, how the line was read, and where it went wrong. */
import {type Told, tellStructure} from '@prod/sdk/grammar/tell'
import {columns, showArgument, showLine} from '@prod/sdk/text'
import type {Explained, ExplainQuestion} from './explain.ts'
import type {Bundle} from './policy.ts'

const width = 76
const kindWidth = 60

/** Lines to show, the decision first. Pure. */
export function explainInWords(bundle: Bundle, {argv}: ExplainQuestion, {answer, refusal, tool, target}: Explained): string[] {
  const {decision, rules, approvals, approvers, structure, message, hint} = answer
  const after = decision === 'request' ? `, after ${approvals} by ${approvers.join(' or ') || 'nobody that policy names'}` : ''
  return [
    `${decision}${after}`,
    ...rules.map(rule => `rule ${rule}`),
    ...(refusal ? pointAt(argv, refusal.position) : []),
    ...(refusal ? [tool ? `argument ${refusal.position} of ${tool.name}: ${refusal.message}` : refusal.message] : message ? [message] : []),
    ...(refusal && refusal.allowed.length > 0 ? ['allowed here:', ...refusal.allowed.map(one => `  ${one}`)] : []),
    ...(hint ? [`next: ${hint}`] : []),
    ...(structure && tool ? aligned(tellStructure(structure, tool.grammar, name => bundle.catalog.tools.get(name)?.grammar)) : []),
    ...(structure && tool && decision !== 'deny' ? starts(bundle, answer, tool.name, target?.name) : []),
  ]
}

/** What the program is started with, where that is not what was typed. */
function starts(bundle: Bundle, {structure}: Explained['answer'], name: string, target: string | undefined): string[] {
  const grammar = bundle.catalog.tools.get(name)?.grammar
  const adds = structure && grammar ? [...(grammar.adds ?? []), ...(grammar.commands[structure.command]?.adds ?? [])] : []
  const where = target === undefined ? [] : [`on ${target} (${bundle.catalog.targets.get(target)?.environment})`]
  return [...where, ...(adds.length > 0 ? [`the broker adds ${adds.map(showArgument).join(' ')}`] : [])]
}

/** The line as typed and a caret under the argument. A long line is shown from some words before it on. */
function pointAt(argv: readonly string[], position: number): string[] {
  const words = argv.map(showArgument)
  const room = (from: number): number => columns(words.slice(from, position + 1).join(' '))
  let from = 0
  while (from < position && room(from) > width) from++
  const before = [...(from > 0 ? ['…'] : []), ...words.slice(from, position)]
  const line = [...before, ...words.slice(position)].join(' ')
  const at = columns(before.join(' ')) + (before.length > 0 ? 1 : 0)
  const marks = Math.max(1, Math.min(columns(words[position] ?? ''), width))
  return [`  ${line}`, `  ${' '.repeat(at)}${'^'.repeat(marks)}`]
}

function aligned(told: readonly Told[]): string[] {
  const rows = told.map(({name, value, kind, depth}) => ({
    name: `${'  '.repeat(depth + (name === 'command' ? 0 : 1))}${name === 'command' ? value : name}`,
    value: name === 'command' || value === '' ? '' : showArgument(value),
    kind: showLine(kind),
  }))
  const nameWidth = Math.max(...rows.map(({name}) => columns(name)))
  const valueWidth = Math.min(32, Math.max(...rows.map(({value}) => columns(value))))
  const pad = (text: string, to: number): string => text + ' '.repeat(Math.max(0, to - columns(text)))
  return rows.map(({name, value, kind}) =>
    `  ${pad(name, nameWidth)}  ${pad(value, valueWidth)}  ${kind.length > kindWidth ? `${kind.slice(0, kindWidth - 1)}…` : kind}`.trimEnd(),
  )
}
