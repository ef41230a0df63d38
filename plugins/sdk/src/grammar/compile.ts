/** A grammar in the form that reading argv needs: every spelling in a table, every default filled in. Made once per grammar. */
import type {Attach, CommandGrammar, Grammar, OperandGrammar, OptionGrammar, ValueSpec, ValueType} from './grammar.ts'
import {specOf, valueKinds} from './values.ts'

export interface Option extends Omit<OptionGrammar, 'value'> {
  /** canonical: the key under which the grammar has it */
  name: string
  spellings: string[]
  /** those of the spellings that turn a flag off: `--no-pager` */
  negations: string[]
  /** undefined: a flag */
  type: ValueSpec | undefined
}

export interface Operand extends OperandGrammar {
  min: number
  max: number
  afterDashes: boolean
}

export interface Command {
  index: number
  grammar: CommandGrammar
  /** every spelling, the tool's own options too */
  options: Map<string, Option>
  /** in the order of `Grammar`, before `--` and after it */
  operands: Operand[]
  dashes: 'refused' | 'allowed' | 'required'
  optionsStand: 'before' | 'anywhere' | 'after'
  bundles: boolean
}

/** One word of the subcommand path, and what may follow it. */
export interface PathNode {
  words: Map<string, PathNode>
  commands: Command[]
}

export interface Compiled {
  grammar: Grammar
  root: PathNode
  commands: Command[]
  /** spelling → option of the tool itself */
  options: Map<string, Option>
}

const cache = new WeakMap<Grammar, Compiled>()

/** The tables of a grammar that `checkGrammar` passed. */
export function compile(grammar: Grammar): Compiled {
  const known = cache.get(grammar)
  if (known) return known
  const options = tableOf(readOptions(grammar.options))
  const root: PathNode = {words: new Map(), commands: []}
  const commands = grammar.commands.map((command, index): Command => {
    const compiled: Command = {
      index,
      grammar: command,
      options: new Map([...options, ...tableOf(readOptions(command.options))]),
      operands: (command.operands ?? []).map(readOperand),
      dashes: command.dashes ?? 'refused',
      optionsStand: command.optionsStand ?? 'before',
      bundles: command.bundles ?? false,
    }
    let node = root
    for (const word of command.path) {
      const next = node.words.get(word) ?? {words: new Map(), commands: []}
      node.words.set(word, next)
      node = next
    }
    node.commands.push(compiled)
    return compiled
  })
  const compiled = {grammar, root, commands, options}
  cache.set(grammar, compiled)
  return compiled
}

/** Options with their short forms written out. */
export function readOptions(options: Grammar['options']): Option[] {
  return Object.entries(options ?? {}).map(([name, entry]) => {
    const {value, ...rest} = isOptionGrammar(entry) ? entry : {value: entry}
    const named = [name, ...(rest.aliases ?? [])]
    const negations = rest.negatable ? named.filter(spelling => spelling.startsWith('--')).map(spelling => `--no-${spelling.slice(2)}`) : []
    return {...rest, name, spellings: [...named, ...negations], negations, type: value === 'flag' ? undefined : specOf(value)}
  })
}

/** `{value: …}` is an option; `{type: …}`, or a text, is its value's type. */
export function isOptionGrammar(entry: 'flag' | ValueType | OptionGrammar): entry is OptionGrammar {
  return typeof entry === 'object' && 'value' in entry && !('type' in entry)
}

export function readOperand(operand: OperandGrammar): Operand {
  const min = operand.min ?? 1
  return {...operand, min, max: operand.max ?? Math.max(1, min), afterDashes: operand.afterDashes ?? false}
}

/** All options of a command, each once. */
export function optionsOf(command: Command): Option[] {
  return [...new Set(command.options.values())]
}

/** The spelling that stands for a dash and a number, `-5`. */
export const numberSpelling = '-NUM'

export type SpellingKind = 'short' | 'long' | 'word' | 'number'

/** `-n` is short; `--lines`, `-name` and `+short` are long; `(` and `dev` are words; `-NUM` is a number. */
export function spellingKind(spelling: string): SpellingKind {
  if (spelling === numberSpelling) return 'number'
  return /^-[^-]$/.test(spelling) ? 'short' : /^[-+]/.test(spelling) ? 'long' : 'word'
}

/** How the value may follow this spelling of the option. */
export function attachesOf(option: Option, spelling: string): Attach[] {
  if (!option.type) return []
  const kind = spellingKind(spelling)
  if (kind === 'number') return ['attached']
  const single = kind === 'long' && /^-[^-]/.test(spelling)
  const fits: Attach[] =
    kind === 'short' ? ['separate', 'attached', 'short-equals'] : kind === 'long' ? ['separate', 'equals'] : ['separate']
  // by default a single-dash long option is followed by its value, as in find and openssl
  const named = option.attach ?? (option.optional && kind === 'short' ? ['attached'] : single ? ['separate'] : ['separate', 'equals'])
  return fits.filter(attach => named.includes(attach) && !(attach === 'separate' && option.optional))
}

/** May one value hold several things, for policy: a list, a repeated option, an operand with a count? */
export function isMany(thing: Option | Operand): boolean {
  const spec = thing.type === undefined ? undefined : specOf(thing.type)
  if (spec && valueKinds[spec.type]?.cedar === 'Set<String>') return true
  return 'spellings' in thing ? (thing.repeat !== undefined && thing.repeat !== false) || thing.many !== undefined : thing.max > 1
}

function tableOf(options: Option[]): Map<string, Option> {
  return new Map(options.flatMap(option => option.spellings.map(spelling => [spelling, option] as const)))
}
