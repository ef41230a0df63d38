import {showArgv} from '../text.ts'
import {cedarTypeName} from './cedar.ts'
import {type Command, compile, type Operand, type Option, optionsOf} from './compile.ts'
import type {FindGrammar, Grammar} from './grammar.ts'
import {sampleArgv} from './sample.ts'
import {isClosed, operandLabel, optionLabel} from './say.ts'
import {describeValue, listValues} from './values.ts'

/**
 * What one command allows, in words: the form, each operand and option, where `--` goes, what stdin may be, examples. One
 * line each, for `prod tools show` and refusals. `commandIndex` is the index into `Grammar.commands`.
 */
export function describeCommand(grammar: Grammar, commandIndex: number, tools?: FindGrammar): string[] {
  const command = compile(grammar).commands[commandIndex]
  if (!command) throw new RangeError(`the grammar of ${grammar.tool} has no command ${commandIndex}`)
  const {summary, stdin, adds, requireOne, spans} = command.grammar
  const options = optionsOf(command)
  return [
    usage(grammar, command),
    ...(summary === undefined ? [] : [`  ${summary}`]),
    ...command.operands.map(
      operand => `  ${operandLabel(operand)}: ${describeValue(operand.type)}${count(operand)}${more(operand.summary)}`,
    ),
    ...options.map(
      option =>
        `  ${[optionLabel(option), ...option.spellings.slice(1), ...(option.truth ? [`${option.name}=true|false`] : [])].join(', ')}${option.type ? `: ${describeValue(option.type)}` : ''}${bounds(option)}${more(option.summary)}`,
    ),
    ...(requireOne ?? []).map(names => `  at least one of ${names.join(', ')}`),
    ...(spans ?? []).map(({from, to, max}) => `  from ${from} to ${to ?? 'now'} at most ${max}`),
    ...(options.length > 0 && command.operands.length > 0 ? [`  options stand ${whereOptions(command)}`] : []),
    ...(command.bundles ? ['  short options may be bundled'] : []),
    ...(adds || grammar.adds ? [`  the broker adds: ${[...(grammar.adds ?? []), ...(adds ?? [])].join(' ')}`] : []),
    ...(stdin ? [`  reads stdin${typeof stdin === 'object' ? `, up to ${stdin.maxBytes} bytes` : ''}`] : []),
    `  in policy: ${cedarTypeName(grammar, commandIndex)}`,
    ...examplesOf(grammar, commandIndex, tools).map(example => `  for example: ${example}`),
  ]
}

/** What the definition gives as examples; where it gives none, the plainest line that the grammar allows. Pure. */
export function examplesOf(grammar: Grammar, commandIndex: number, tools?: FindGrammar): string[] {
  const {examples} = grammar.commands[commandIndex] ?? {}
  if (examples) return examples
  // the plainest choices first, then others in a fixed order
  for (let attempt = 0; attempt < 24; attempt++) {
    let step = 0
    const argv = sampleArgv(grammar, commandIndex, {pick: count => (attempt === 0 ? 0 : (attempt * 5 + step++) % count), tools})
    if (argv) return [showArgv(argv)]
  }
  return []
}

function usage(grammar: Grammar, command: Command): string {
  const options = optionsOf(command).map(
    option => (option.required ? optionLabel(option) : `[${optionLabel(option)}]`) + (option.repeat ? '...' : ''),
  )
  const grouped = command.operands.some(operand => operand.afterDashes)
  const form = (operand: Operand): string => {
    const values = isClosed(operand.type) ? listValues(operand.type).filter(value => value !== '') : []
    const word = values.length > 1 && values.length <= 6 ? `(${values.join('|')})` : operandLabel(operand)
    return operand.min === 0 ? `[${word}${operand.max > 1 ? '...' : ''}]` : `${word}${operand.max > 1 ? '...' : ''}`
  }
  const dashes = command.dashes === 'required' ? ['--'] : command.dashes === 'allowed' ? ['[--]'] : []
  const before = command.operands.filter(operand => !operand.afterDashes).map(form)
  const after = command.operands.filter(operand => operand.afterDashes).map(form)
  const operands = grouped ? [...before, ...dashes, ...after] : [...dashes, ...before]
  const order = command.optionsStand === 'after' ? [...operands, ...options] : [...options, ...operands]
  return [grammar.tool, ...command.grammar.path, ...order].join(' ')
}

function whereOptions({optionsStand, operands}: Command): string {
  const end = operands.find(operand => operand.optionsEnd)
  if (end) return `before ${operandLabel(end)}`
  return optionsStand === 'anywhere' ? 'anywhere' : `${optionsStand} the operands`
}

function count({min, max}: Operand): string {
  if (max === 1) return min === 0 ? '; may be left out' : ''
  return min === max ? `; ${min} of them` : `; ${min} to ${max} of them`
}

function bounds(option: Option): string {
  const words = [
    ...(option.required ? ['required'] : []),
    ...(option.repeat ? [typeof option.repeat === 'number' ? `up to ${option.repeat} times` : 'may be repeated'] : []),
    ...(option.many === undefined ? [] : [`up to ${option.many} values`]),
    ...(option.excludes?.length ? [`not with ${option.excludes.join(', ')}`] : []),
    ...(option.requires?.length ? [`only with ${option.requires.join(', ')}`] : []),
  ]
  return words.length === 0 ? '' : `; ${words.join('; ')}`
}

function more(summary: string | undefined): string {
  return summary === undefined ? '' : ` (${summary})`
}
