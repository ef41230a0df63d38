/** The grammar in words, for refusals and descriptions. */
import {attachesOf, type Operand, type Option, spellingKind} from './compile.ts'
import type {ValueType} from './grammar.ts'
import {mayRepeat, mayStandDashes, mayStandOption, openOperands, type Reading} from './reading.ts'
import {allOf, describeValue, listValues, specOf} from './values.ts'

const mostOffered = 24

/** What may come next, each on its own, at most 24: `--since DURATION`, `UNIT: the name of a unit`. */
export function allowedNext(reading: Reading): string[] {
  const {command} = reading
  const operands = openOperands(reading).map(({operand}) => `${operandLabel(operand)}: ${describeValue(operand.type)}`)
  const options = mayStandOption(reading)
    ? [...new Set(command.options.values())].filter(option => mayRepeat(reading, option)).map(optionLabel)
    : []
  return atMost([...operands, ...options, ...(mayStandDashes(reading) ? ['--'] : [])])
}

/** A list that stays readable. */
export function atMost(items: string[]): string[] {
  return items.length <= mostOffered ? items : [...items.slice(0, mostOffered - 1), `and ${items.length - mostOffered + 1} more`]
}

/** `--since DURATION`, `--color[=WHEN]`, `-n INTEGER`. */
export function optionLabel(option: Option): string {
  const {name, type} = option
  if (!type || spellingKind(name) === 'number') return name
  const word = typeLabel(option)
  const attaches = attachesOf(option, name)
  if (option.optional) return spellingKind(name) === 'short' ? `${name}[${word}]` : `${name}[=${word}]`
  if (attaches.includes('separate')) return option.many ? `${name} ${word}...` : `${name} ${word}`
  return attaches.includes('attached') ? `${name}${word}` : `${name}=${word}`
}

/** The operand in capitals, or the one text it can be. */
export function operandLabel({name, type}: Operand): string {
  const values = isClosed(type) ? listValues(type) : []
  return values.length === 1 && values[0] !== '' ? (values[0] as string) : name.toUpperCase()
}

/** Are all values of the type known, so that they can stand for its name? */
export function isClosed(type: ValueType): boolean {
  const spec = specOf(type)
  return spec.type === 'any' ? allOf(spec).every(isClosed) : ['enum', 'literal', 'command'].includes(spec.type)
}

/** An argument as part of a sentence: quoted, and not longer than 80 characters. */
export function quote(word: string): string {
  return JSON.stringify(word.length <= 80 ? word : `${word.slice(0, 60)}...${word.slice(-16)}`)
}

function typeLabel({type}: Option): string {
  if (!type) return ''
  const values = listValues(type)
  if (values.length > 0 && values.length <= 6 && type.type !== 'any') return values.join('|')
  return type.type === 'any' || type.type === 'joined' ? 'VALUE' : type.type.toUpperCase()
}
