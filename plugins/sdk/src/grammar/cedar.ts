/** What policy sees of a command: one entity type for each, its options and operands as attributes. */
import {type Command, compile, isMany, type Operand, type Option, optionsOf, spellingKind} from './compile.ts'
import type {Grammar, Structure} from './grammar.ts'
import type {CedarType} from './kind.ts'
import {specOf, valueKinds} from './values.ts'

/** One attribute of the Cedar schema. `required`: it is there in every run. */
export interface CedarAttribute {
  type: CedarType
  required: boolean
}

export type CedarValue = string | number | boolean | string[]

// Cedar's grammar: these are no identifiers
const reserved = new Set(['true', 'false', 'if', 'then', 'else', 'in', 'is', 'like', 'has', '__cedar'])

/**
 * The entity type of a command, `TOOL::PATH_WORDS`: `unit::list_units`; without a subcommand `TOOL::run`. Further forms of
 * one path carry their name, `grep::run_by_option`. `checkGrammar` refuses grammars in which two commands come to one type.
 */
export function cedarTypeName(grammar: Grammar, commandIndex: number): string {
  const command = grammar.commands[commandIndex]
  const words = [...(command?.path ?? []), ...(command?.name === undefined ? [] : [command.name])]
  if ((command?.path.length ?? 0) === 0) words.unshift('run')
  return `${identifier(grammar.tool)}::${identifier(words.join('_'))}`
}

/**
 * Attribute name → its type. Flags are Bool and always there; what may be given more than once, and lists, are Set<String>
 * and always there; integers and durations (in seconds) are Long; all else is String. Secrets and symbols such as `(` are
 * not among them.
 */
export function cedarAttributes(grammar: Grammar, commandIndex: number): Record<string, CedarAttribute> {
  return Object.fromEntries(attributesOf(commandOf(grammar, commandIndex)).map(({name, type, required}) => [name, {type, required}]))
}

/** The attributes' values in one run. */
export function cedarValues(structure: Structure, grammar: Grammar): Record<string, CedarValue> {
  const entries = attributesOf(commandOf(grammar, structure.command)).flatMap(({name, type, thing}): [string, CedarValue][] => {
    const values = Object.hasOwn(structure.arguments, thing.name) ? structure.arguments[thing.name] : undefined
    // a flag that was turned off, `--no-pager`, is not there
    if (type === 'Bool') return [[name, values !== undefined && values.at(-1) !== 'false']]
    const seen = (values ?? []).map(value => cedarValue(value, thing))
    if (type === 'Set<String>') return [[name, [...new Set(seen.flatMap(value => (Array.isArray(value) ? value : [String(value)])))]]]
    const only = seen[0]
    return only === undefined ? [] : [[name, only]]
  })
  return Object.fromEntries(entries)
}

/** Two things that policy would see under one name, if any. */
export function findAttributeClash(grammar: Grammar, commandIndex: number): [string, string] | undefined {
  const seen = new Map<string, string>()
  for (const {name, thing} of attributesOf(commandOf(grammar, commandIndex))) {
    const other = seen.get(name)
    if (other !== undefined) return [other, thing.name]
    seen.set(name, thing.name)
  }
  return undefined
}

interface Attribute extends CedarAttribute {
  name: string
  thing: Option | Operand
}

function attributesOf(command: Command): Attribute[] {
  const options = optionsOf(command).filter(
    option => option.attribute !== undefined || spellingKind(option.name) !== 'word' || /^[A-Za-z]/.test(option.name),
  )
  return [...options, ...command.operands]
    .filter(thing => thing.type === undefined || !specOf(thing.type).secret)
    .map(thing => {
      const name = thing.attribute ?? identifier(thing.name.replace(/^[-+]+/, ''))
      if (thing.type === undefined) return {name, type: 'Bool', required: true, thing}
      if (isMany(thing)) return {name, type: 'Set<String>', required: true, thing}
      // a value that may be left out is an empty text, which no Long can be
      const optional = 'spellings' in thing && thing.optional === true
      const type = optional ? 'String' : (valueKinds[specOf(thing.type).type]?.cedar ?? 'String')
      return {name, type, required: 'min' in thing ? thing.min > 0 : thing.required === true, thing}
    })
}

function cedarValue(value: string, thing: Option | Operand): CedarValue {
  if (thing.type === undefined) return true
  const spec = specOf(thing.type)
  const kind = valueKinds[spec.type]
  if (value === '' || !kind?.cedarValue) return value
  // in a set, and where the value may be left out, the text stands for itself
  const asText = kind.cedar === 'Long' && (isMany(thing) || ('spellings' in thing && thing.optional === true))
  return asText ? value : kind.cedarValue(value, spec)
}

function commandOf(grammar: Grammar, index: number): Command {
  const command = compile(grammar).commands[index]
  if (!command) throw new RangeError(`the grammar of ${grammar.tool} has no command ${index}`)
  return command
}

/** `is-active` is `is_active`, `/usr/bin/grep` is `usr_bin_grep`, `7z` is `_7z`, `in` is `in_`. */
function identifier(text: string): string {
  const name = text.replace(/^[^A-Za-z0-9_]+/, '').replace(/[^A-Za-z0-9_]/g, '_') || '_'
  return reserved.has(name) ? `${name}_` : /^[0-9]/.test(name) ? `_${name}` : name
}
