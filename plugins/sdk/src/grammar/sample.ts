/** Lines that a grammar allows, made from it: examples for people, and by chance for tests. */
import {attachesOf, type Command, compile, type Operand, type Option, optionsOf, spellingKind} from './compile.ts'
import type {FindGrammar, Grammar, ValueSpec, ValueType} from './grammar.ts'
import {checkArgv, parse} from './parse.ts'
import {samplePattern} from './pattern.ts'
import {isOn, startReading} from './reading.ts'
import {allOf, listValues, specOf, testValue, valueKinds} from './values.ts'

/** Answers an index below `count`. Always 0: the plainest choice. */
export type Pick = (count: number) => number

/** What a maker of lines may use. */
export interface Sources {
  pick: Pick
  /** for commands behind another */
  tools?: FindGrammar | undefined
  /** values of an option or operand that are known to be good, where the type alone could not say one */
  known?: ((command: number, name: string) => readonly string[]) | undefined
}

/** A value of the type, or undefined where none could be made. */
export function sampleValue(type: ValueType, pick: Pick): string | undefined {
  const spec = specOf(type)
  const made = makeValue(spec, pick)
  return made !== undefined && testValue(made, spec, true) ? made : undefined
}

function makeValue(spec: ValueSpec, pick: Pick): string | undefined {
  const types = allOf(spec)
  const sample = (type: ValueSpec | undefined): string | undefined => type && sampleValue(type, pick)
  if (spec.type === 'any') return sample(types[pick(types.length)]) ?? types.map(sample).find(made => made !== undefined)
  if (spec.type === 'joined' || spec.type === 'list') {
    const count = spec.type === 'list' ? 1 + pick(Math.min(spec.max ?? 3, 3)) : types.length
    const pieces = Array.from({length: count}, (_, at) => sample(types[spec.type === 'list' ? 0 : at]))
    return pieces.includes(undefined) ? undefined : pieces.join(spec.separator ?? ',')
  }
  if (spec.pattern !== undefined && spec.type !== 'path' && spec.type !== 'url') return samplePattern(spec.pattern, pick)
  const good = [...listValues(spec), ...(valueKinds[spec.type]?.samples?.(spec) ?? [])].filter(value => testValue(value, spec))
  return good[pick(good.length)]
}

/**
 * A line of one command: what is required, and of the rest what `pick` chooses. Undefined where no such line could be made
 * or the grammar refuses it: by chance that happens, and one tries again.
 */
export function sampleArgv(grammar: Grammar, commandIndex: number, sources: Sources): string[] | undefined {
  const command = compile(grammar).commands[commandIndex]
  if (!command) throw new RangeError(`the grammar of ${grammar.tool} has no command ${commandIndex}`)
  const options = optionWords(command, sources)
  const operands = operandWords(command, sources)
  if (!options || !operands) return undefined
  const {before, after, inner} = operands
  const dashes =
    command.dashes === 'required' || after.length > 0 || (command.dashes === 'allowed' && before.length > 0 && sources.pick(3) === 1)
      ? ['--']
      : []
  const grouped = command.operands.some(operand => operand.afterDashes)
  const plain = grouped ? [...before, ...dashes, ...after] : [...dashes, ...before]
  const head = [grammar.tool, ...command.grammar.path]
  const ordered =
    command.optionsStand === 'after' || (command.optionsStand === 'anywhere' && dashes.length === 0 && sources.pick(3) === 1)
      ? [...plain, ...options]
      : [...options, ...plain]
  const argv = [...head, ...ordered, ...inner]
  if (!isFit(argv)) return undefined
  const parsed = parse(grammar, argv, sources.tools)
  return parsed.ok && parsed.structure.command === commandIndex ? argv : undefined
}

/** May a program get these words at all? A pattern may be wider than that. */
function isFit(argv: readonly string[]): boolean {
  try {
    checkArgv(argv)
    return true
  } catch {
    return false
  }
}

/** The options' words, each choice with what it needs; undefined where a required value could not be made. */
function optionWords(command: Command, sources: Sources): string[] | undefined {
  const {pick} = sources
  const chosen = new Map<Option, string[]>()
  const reading = {...startReading(command), given: new Map<string, string[]>()}
  const give = (option: Option, depth = 0): boolean => {
    if (chosen.has(option)) return true
    const clash = [...chosen.keys()].some(
      other => names(command, option.excludes).includes(other) || names(command, other.excludes).includes(option),
    )
    const words = clash || depth > 4 ? undefined : wordsOf(command, option, sources)
    if (!words) return false
    chosen.set(option, words)
    reading.given.set(option.name, [''])
    return names(command, option.requires).every(other => give(other, depth + 1))
  }
  const all = optionsOf(command)
  for (const option of all) if (option.required && !give(option)) return undefined
  for (const list of command.grammar.requireOne ?? []) {
    const choices = names(command, list)
    if (choices.some(option => isOn(reading, option))) continue
    const from = pick(choices.length)
    if (![...choices.slice(from), ...choices.slice(0, from)].some(option => give(option))) return undefined
  }
  // at most four more, by chance
  for (let more = pick(5); more > 0 && all.length > 0; more--) give(all[pick(all.length)] as Option)
  return [...chosen.values()].flat()
}

function names(command: Command, list: readonly string[] | undefined): Option[] {
  return (list ?? []).map(name => command.options.get(name)).filter(option => option !== undefined)
}

function wordsOf(command: Command, option: Option, sources: Sources): string[] | undefined {
  const {pick} = sources
  const spelling = option.spellings[pick(option.spellings.length)] as string
  if (!option.type)
    return [option.truth && !option.required && pick(3) === 1 && !option.negations.includes(spelling) ? `${spelling}=true` : spelling]
  if (option.optional && pick(2) === 0) return [spelling]
  const attaches = attachesOf(option, spelling)
  const attach = attaches[pick(attaches.length)]
  const value = valueFor(command, option.name, option.type, sources)
  if (value === undefined || attach === undefined) return undefined
  if (spellingKind(spelling) === 'number') return [`-${value}`]
  return attach === 'separate' ? [spelling, value] : [attach === 'attached' ? spelling + value : `${spelling}=${value}`]
}

function operandWords(command: Command, sources: Sources): {before: string[]; after: string[]; inner: string[]} | undefined {
  const found = {before: [] as string[], after: [] as string[], inner: [] as string[]}
  for (const operand of command.operands) {
    if (specOf(operand.type).type === 'command') {
      const inner = innerWords(operand, sources)
      if (!inner) return undefined
      found.inner = inner
      continue
    }
    const count = operand.min + sources.pick(Math.min(operand.max - operand.min, 2) + 1)
    for (let at = 0; at < count; at++) {
      const value = valueFor(command, operand.name, specOf(operand.type), sources)
      if (value === undefined) return undefined
      found[operand.afterDashes ? 'after' : 'before'].push(value)
    }
  }
  return found
}

function innerWords(operand: Operand, {tools, ...sources}: Sources): string[] | undefined {
  const choices = specOf(operand.type).tools ?? []
  const grammar = tools?.(choices[sources.pick(choices.length)] as string)
  return grammar && sampleArgv(grammar, sources.pick(grammar.commands.length), {tools, pick: sources.pick})
}

function valueFor(command: Command, name: string, type: ValueSpec, {pick, known}: Sources): string | undefined {
  const good = known?.(command.index, name) ?? []
  if (good.length > 0 && pick(2) === 0) return good[pick(good.length)]
  return sampleValue(type, pick) ?? good[pick(good.length)]
}
