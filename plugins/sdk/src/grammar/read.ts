/**
 * Reads words by a grammar, one after the other. `parse` wants the whole of argv to be right; completion asks what could
 * come next. Both go through here, so that they never disagree.
 */
import {attachesOf, type Command, type Compiled, numberSpelling, type Option, type PathNode, spellingKind} from './compile.ts'
import type {Attach, Refusal, ValueSpec} from './grammar.ts'
import {isOn, mayRepeat, mayStandDashes, mayStandOption, openOperands, type Reading, startReading} from './reading.ts'
import {allowedNext, operandLabel, optionLabel, quote} from './say.ts'
import {describeValue, hasOwnDash, specOf, testValue} from './values.ts'

/** Reads `words[from]` and what belongs to it: the index of the next word, or why not. */
type Step = number | Refusal

/** The subcommand path, with the tool's own options between: the node it leads to, and the first word that is not of it. */
export function readPath(compiled: Compiled, words: readonly string[]): {node: PathNode; reading: Reading; next: number} | Refusal {
  const command: Command = {
    index: -1,
    grammar: {path: [], class: 'read'},
    options: compiled.options,
    operands: [],
    dashes: 'refused',
    optionsStand: 'anywhere',
    bundles: compiled.grammar.bundles ?? false,
  }
  const reading = startReading(command)
  let node = compiled.root
  let at = 1
  while (at < words.length && node.words.size > 0 && !reading.awaiting) {
    const word = words[at] as string
    const child = node.words.get(word)
    if (child) {
      node = child
      reading.parts.push({kind: 'path', text: word})
      at++
      continue
    }
    const step = readOption(reading, words, at)
    if (step === undefined) break
    if (typeof step !== 'number') return step
    at = step
  }
  return {node, reading, next: at}
}

/** Reads the words after the path by one command, up to the end or the first that is wrong. */
export function readCommand(command: Command, before: Reading, words: readonly string[], from: number): Reading | Refusal {
  const reading: Reading = {
    ...before,
    command,
    parts: [...before.parts],
    given: new Map([...before.given].map(([name, values]) => [name, [...values]])),
    counts: command.operands.map(() => 0),
  }
  let at = from
  while (at < words.length) {
    const step = readWord(reading, words, at)
    if (typeof step !== 'number') return step
    at = step
  }
  return reading
}

/** What is missing at the end of the words, if anything. */
export function findMissing(reading: Reading, position: number): Refusal | undefined {
  const {command, awaiting} = reading
  if (awaiting) return {position, message: `${awaiting.name} needs a value`, allowed: awaiting.type ? [describeValue(awaiting.type)] : []}
  const option = findMissingOption(reading, position)
  if (option) return option
  const index = command.operands.findIndex((operand, at) => (reading.counts[at] ?? 0) < operand.min)
  const missing = command.operands[index]
  if (missing) return {position, message: `${operandLabel(missing)} is missing`, allowed: allowedNext(reading)}
  return undefined
}

/** An option that is missing, or one of several. */
export function findMissingOption(reading: Reading, position: number): Refusal | undefined {
  const {command} = reading
  const options = new Set(command.options.values())
  for (const option of options) {
    if (option.required && !isOn(reading, option)) return {position, message: `${option.name} is required`, allowed: [optionLabel(option)]}
    if (!isOn(reading, option)) continue
    const absent = (option.requires ?? []).map(name => command.options.get(name)).find(other => other && !isOn(reading, other))
    if (absent) return {position, message: `${option.name} needs ${absent.name} with it`, allowed: [optionLabel(absent)]}
  }
  for (const names of command.grammar.requireOne ?? []) {
    const choices = names.map(name => command.options.get(name)).filter(option => option !== undefined)
    if (!choices.some(option => isOn(reading, option)))
      return {position, message: `one of ${choices.map(({name}) => name).join(', ')} is required`, allowed: choices.map(optionLabel)}
  }
  return undefined
}

function readWord(reading: Reading, words: readonly string[], at: number): Step {
  const word = words[at] as string
  if (!reading.dashes && word === '--') {
    if (!mayStandDashes(reading))
      return refuse(reading, at, reading.command.dashes === 'refused' ? '`--` is not allowed' : '`--` stands before the operands')
    reading.dashes = true
    reading.more = undefined
    reading.parts.push({kind: 'dashes'})
    return at + 1
  }
  if (mayStandOption(reading)) {
    const step = readOption(reading, words, at)
    if (step !== undefined) return step
  }
  return readMore(reading, word, at) ?? readOperand(reading, word, at, words.length)
}

/** A further value of an option that takes many. */
function readMore(reading: Reading, word: string, at: number): Step | undefined {
  const option = reading.more
  if (!option?.type || word.startsWith('-')) return undefined
  const values = reading.given.get(option.name) ?? []
  if (values.length >= (option.many ?? 1)) return undefined
  if (!testValue(word, option.type))
    return {
      position: at,
      message: `${shownValue(word, option.type)} is not a value of ${option.name}`,
      allowed: [describeValue(option.type), ...allowedNext(reading)],
    }
  values.push(word)
  reading.parts.push({kind: 'value', name: option.name, value: word})
  return at + 1
}

function readOperand(reading: Reading, word: string, at: number, count: number): Step {
  const {command, dashes} = reading
  const open = openOperands(reading)
  const dashed = !dashes && word.startsWith('-')
  const found = open.find(({operand}) => (!dashed || hasOwnDash(word, operand.type)) && testValue(word, operand.type, dashes))
  if (found) {
    const {operand, index} = found
    reading.counts[index] = (reading.counts[index] ?? 0) + 1
    reading.more = undefined
    addValue(reading, operand.name, word)
    if (specOf(operand.type).type === 'command') {
      // the rest of argv is the other tool's
      reading.innerFrom = at
      reading.parts.push({kind: 'command', name: operand.name})
      return count
    }
    reading.parts.push({kind: 'operand', name: operand.name, value: word})
    return at + 1
  }
  if (dashed && word.length > 1) {
    if (mayStandOption(reading)) return refuse(reading, at, `there is no option ${quote(word)}`)
    const known = [...command.options.keys()].some(spelling => spelling === word || word.startsWith(`${spelling}=`))
    return refuse(reading, at, known ? `${quote(word)} stands ${command.optionsStand} the operands` : `${quote(word)} begins with \`-\``)
  }
  if (open.length === 0 && command.dashes === 'required' && !dashes && command.operands.length > 0)
    return refuse(reading, at, '`--` must come before the operands')
  if (open.length === 0) return refuse(reading, at, `${quote(word)} is one argument too many`)
  const shown = open.some(({operand}) => specOf(operand.type).secret) ? 'it' : quote(word)
  return refuse(reading, at, `${shown} is not ${open.map(({operand}) => `a ${operandLabel(operand)}`).join(' or ')}`)
}

/** The option that this word is, with its value; undefined when the word is no option of the grammar. */
function readOption(reading: Reading, words: readonly string[], at: number): Step | undefined {
  const word = words[at] as string
  const {options, bundles} = reading.command
  const exact = options.get(word)
  if (exact && word !== numberSpelling) return takeOption(reading, exact, word, words, at)
  if (!/^[-+]./.test(word)) return undefined
  const numbered = /^-[0-9]+$/.test(word) ? options.get(numberSpelling) : undefined
  if (numbered) return takeValue(reading, numbered, '-', word.slice(1), 'attached', at)

  const equals = word.indexOf('=')
  const head = equals < 0 ? undefined : word.slice(0, equals)
  const named = head === undefined ? undefined : options.get(head)
  if (named && head !== undefined) {
    const attach: Attach = spellingKind(head) === 'short' ? 'short-equals' : 'equals'
    if (named.truth && !named.negations.includes(head)) return takeTruth(reading, named, head, word.slice(equals + 1), attach, at)
    if (attachesOf(named, head).includes(attach)) return takeValue(reading, named, head, word.slice(equals + 1), attach, at)
    if (attach === 'equals')
      return refuse(reading, at, named.type ? `the value of ${head} is not given with \`=\`` : `${head} takes no value`)
  }
  if (/^-[^-]./.test(word)) return readShort(reading, words, at, bundles)
  return undefined
}

/** `-n5`, `-ab`, `-abn5`, `-abn 5`. */
function readShort(reading: Reading, words: readonly string[], at: number, bundles: boolean): Step | undefined {
  const word = words[at] as string
  for (let index = 1; index < word.length; index++) {
    const spelling = `-${word[index]}`
    const option = reading.command.options.get(spelling)
    const bundled = index > 1
    if (!option) return bundled ? refuse(reading, at, `there is no option ${quote(spelling)} in ${quote(word)}`) : undefined
    const rest = word.slice(index + 1)
    if (option.type && rest !== '' && attachesOf(option, spelling).includes('attached'))
      return takeValue(reading, option, spelling, rest, 'attached', at, bundled)
    if (rest === '') return takeOption(reading, option, spelling, words, at, bundled)
    if (option.type && !option.optional) return refuse(reading, at, `the value of ${spelling} stands apart from it: ${spelling} VALUE`)
    if (!bundles) return undefined
    const refusal = give(reading, option, at)
    if (refusal) return refusal
    reading.parts.push({kind: 'option', name: option.name, spelling, value: null, attach: 'none', ...(bundled ? {bundled} : {})})
    push(reading, option, '')
  }
  return at + 1
}

/** An option whose word ends here: a flag, or one whose value is the next word. */
function takeOption(reading: Reading, option: Option, spelling: string, words: readonly string[], at: number, bundled = false): Step {
  if (!option.type || option.optional) {
    const refusal = give(reading, option, at)
    if (refusal) return refusal
    reading.parts.push({kind: 'option', name: option.name, spelling, value: null, attach: 'none', ...(bundled ? {bundled} : {})})
    push(reading, option, option.negations.includes(spelling) ? 'false' : '')
    return at + 1
  }
  if (!attachesOf(option, spelling).includes('separate'))
    return refuse(reading, at, `the value of ${spelling} is part of the same argument`)
  const value = words[at + 1]
  if (value !== undefined) return takeValue(reading, option, spelling, value, 'separate', at, bundled)
  const refusal = give(reading, option, at)
  if (refusal) return refusal
  reading.awaiting = option
  return at + 1
}

/** `--all=true`, `-A=false`: only these two words, which no tool reads otherwise. */
function takeTruth(reading: Reading, option: Option, spelling: string, value: string, attach: Attach, at: number): Step {
  const refusal = give(reading, option, at)
  if (refusal) return refusal
  if (value !== 'true' && value !== 'false')
    return {position: at, message: `${quote(value)} is not a value of ${spelling}`, allowed: [`${spelling}=true`, `${spelling}=false`]}
  reading.parts.push({kind: 'option', name: option.name, spelling, value, attach})
  push(reading, option, value === 'true' ? '' : 'false')
  return at + 1
}

function takeValue(reading: Reading, option: Option, spelling: string, value: string, attach: Attach, at: number, bundled = false): Step {
  const refusal = give(reading, option, at)
  if (refusal) return refusal
  const position = attach === 'separate' ? at + 1 : at
  if (!option.type || !testValue(value, option.type)) {
    return {
      position,
      message: `${option.type ? shownValue(value, option.type) : quote(value)} is not a value of ${spelling === '-' ? option.name : spelling}`,
      allowed: option.type ? [describeValue(option.type)] : [],
    }
  }
  reading.parts.push({kind: 'option', name: option.name, spelling, value, attach, ...(bundled ? {bundled} : {})})
  push(reading, option, value)
  if (option.many !== undefined && attach === 'separate') reading.more = option
  return position + 1
}

/** May this option be given now, beside what was given before? */
function give(reading: Reading, option: Option, at: number): Refusal | undefined {
  const {command, given} = reading
  reading.more = undefined
  if (!mayRepeat(reading, option))
    return refuse(
      reading,
      at,
      typeof option.repeat === 'number' ? `${option.name} is given more than ${option.repeat} times` : `${option.name} is given twice`,
    )
  const clash = [...given.keys()].find(name => {
    const other = command.options.get(name)
    return other !== undefined && other !== option && (excludes(command, option, other) || excludes(command, other, option))
  })
  return clash === undefined ? undefined : refuse(reading, at, `${option.name} does not go with ${clash}`)
}

function excludes(command: Command, option: Option, other: Option): boolean {
  return option.excludes?.some(name => command.options.get(name) === other) ?? false
}

function push(reading: Reading, option: Option, value: string): void {
  addValue(reading, option.name, value)
  if (reading.command.optionsStand === 'after') reading.closed = true
}

function addValue({given}: Reading, name: string, value: string): void {
  const values = given.get(name)
  if (values) values.push(value)
  else given.set(name, [value])
}

/** The value as part of a sentence; a secret is not repeated. */
function shownValue(value: string, type: ValueSpec): string {
  return type.secret ? 'it' : quote(value)
}

function refuse(reading: Reading, position: number, message: string): Refusal {
  return {position, message, allowed: allowedNext(reading)}
}
