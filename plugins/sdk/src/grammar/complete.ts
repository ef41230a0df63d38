import {attachesOf, compile, type Option, optionsOf} from './compile.ts'
import type {FindGrammar, Grammar, ValueType} from './grammar.ts'
import {findMissingOption, readCommand, readPath} from './read.ts'
import {mayRepeat, mayStandDashes, mayStandOption, openOperands, type Reading} from './reading.ts'
import {allOf, listValues, specOf, testValue} from './values.ts'

/**
 * What could be typed as the last word of argv, which may be begun or empty: subcommands, options, values of few. Only
 * what `parse` would take; nothing when the words before are wrong. `tools`: for commands behind another. Pure and light: a shell waits.
 */
export function completions(grammar: Grammar, argv: readonly string[], tools?: FindGrammar): string[] {
  const begun = argv.at(-1) ?? ''
  if (argv.length < 2) return grammar.tool.startsWith(begun) ? [grammar.tool] : []
  const words = argv.slice(0, -1)
  if (words[0] !== grammar.tool) return []
  const path = readPath(compile(grammar), words)
  if ('position' in path) return []
  const {node, reading, next} = path
  const found: string[] = []
  if (next === words.length && node.words.size > 0)
    found.push(...(reading.awaiting ? [] : node.words.keys()), ...(node.commands.length === 0 ? nextWords(reading, begun) : []))
  for (const command of node.commands) {
    const read = readCommand(command, reading, words, next)
    if ('position' in read) continue
    const inner = read.innerFrom === undefined ? undefined : tools?.(argv[read.innerFrom] as string)
    if (inner) found.push(...completions(inner, argv.slice(read.innerFrom), tools))
    else if (read.innerFrom === undefined) found.push(...nextWords(read, begun))
  }
  return [...new Set(found)].filter(word => word.startsWith(begun))
}

function nextWords(reading: Reading, begun: string): string[] {
  const {command, awaiting, dashes} = reading
  if (awaiting?.type) return valuesOf(awaiting.type, begun)
  // where options come first, the last word for an option is before the first operand
  const ready = command.optionsStand !== 'before' || reading.dashes || !findMissingOption(reading, 0)
  const operands = (ready ? openOperands(reading) : []).flatMap(({operand}) =>
    valuesOf(operand.type, begun).filter(value => testValue(value, operand.type, dashes)),
  )
  if (!mayStandOption(reading)) return [...operands, ...(mayStandDashes(reading) ? ['--'] : [])]
  const equals = begun.indexOf('=')
  const options = optionsOf(command)
    .filter(option => mayRepeat(reading, option))
    .filter(option => !conflicts(reading, option.name))
    .flatMap(option => {
      if (equals < 0) return option.spellings.flatMap(spelling => begin(option, spelling))
      const head = begun.slice(0, equals)
      if (option.truth && option.spellings.includes(head) && !option.negations.includes(head)) return [`${head}=true`, `${head}=false`]
      return option.type && option.spellings.includes(head) && begin(option, head).length > 0
        ? valuesOf(option.type, begun.slice(equals + 1)).map(value => `${head}=${value}`)
        : []
    })
  // a word that spells an option is that option
  const others = operands.filter(value => !command.options.has(value))
  return [...others, ...options, ...(ready && mayStandDashes(reading) ? ['--'] : [])]
}

/** Values of few. Of a list, behind the items that stand there already, each that is not among them. */
function valuesOf(type: ValueType, begun: string): string[] {
  const spec = specOf(type)
  if (spec.type !== 'list') return listValues(type)
  const separator = spec.separator ?? ','
  const given = begun.split(separator).slice(0, -1)
  return allOf(spec)
    .flatMap(listValues)
    .filter(value => !given.includes(value))
    .map(value => [...given, value].join(separator))
    .filter(value => testValue(value, type))
}

/** The option as typed first: `--since`, or `--since=` where its value is part of the word. */
function begin(option: Option, spelling: string): string[] {
  const attaches = attachesOf(option, spelling)
  if (!option.type || option.optional || attaches.includes('separate')) return [spelling]
  return attaches.some(attach => attach !== 'attached') ? [`${spelling}=`] : []
}

function conflicts({command, given}: Reading, name: string): boolean {
  const option = command.options.get(name)
  return [...given.keys()].some(other => {
    const names = [
      ...(option?.excludes ?? []).map(excluded => [excluded, other]),
      ...(command.options.get(other)?.excludes ?? []).map(excluded => [excluded, name]),
    ]
    return names.some(([excluded, met]) => command.options.get(excluded as string)?.name === met)
  })
}
