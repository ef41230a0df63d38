/**
 * A second judge of argv, deliberately simple: it reads a definition as a page would say it in words, tries every reading of
 * each word, keeps no tables, and shares with the real one nothing but the types that stand for whole languages (SQL, a
 * filter, a URL). Where the two differ, one of them is wrong.
 */
import type {CommandGrammar, FindGrammar, Grammar, OperandGrammar, OptionGrammar, ValueSpec, ValueType} from '@prod/sdk/grammar/grammar'
import {findTimePoint} from '@prod/sdk/grammar/kinds/time'
import {testValue} from '@prod/sdk/grammar/values'

interface State {
  /** option → what was given, `'on'` and `'off'` for flags */
  given: ReadonlyMap<string, readonly string[]>
  /** values of operands, by their place in the definition */
  taken: readonly number[]
  dashes: boolean
  /** an option stood here, and may take further words */
  more: string | undefined
  closed: boolean
}
type Options = Record<string, OptionGrammar>
/** One way to read the words from here: which options they give, and how many words that takes. */
interface Reading {
  gives: [option: string, value: string][]
  words: number
}

const start: State = {given: new Map(), taken: [], dashes: false, more: undefined, closed: false}

/** Every class that a reading of argv has, the strongest first; empty: there is no reading, argv is refused. */
export function judgeArgv(grammar: Grammar, argv: readonly string[], tools: FindGrammar, depth = 0): string[] {
  if (argv[0] !== grammar.tool || depth > 3) return []
  const found = new Set<string>()
  for (const command of grammar.commands) {
    const all = {...full(grammar.options), ...full(command.options)}
    for (const [rest, state] of afterPath(grammar, command, argv)) {
      for (const inner of finish(command, all, argv, rest, {...state, taken: (command.operands ?? []).map(() => 0)}, tools, depth))
        found.add(['shell', 'admin', 'change', 'read'].find(one => one === command.class || one === inner) as string)
    }
  }
  return [...found]
}

function full(options: Grammar['options']): Options {
  return Object.fromEntries(
    Object.entries(options ?? {}).map(([name, entry]) => [
      name,
      typeof entry === 'object' && 'value' in entry && !('type' in entry) ? entry : {value: entry},
    ]),
  )
}

/** Where the words of the path may end, with the tool's own options between them. */
function afterPath(grammar: Grammar, command: CommandGrammar, argv: readonly string[]): [number, State][] {
  const own = full(grammar.options)
  const walk = (at: number, left: readonly string[], state: State): [number, State][] => {
    const word = argv[at]
    const longer = grammar.commands.some(
      ({path}) => path.length > command.path.length && command.path.every((step, index) => path[index] === step),
    )
    const here: [number, State][] = left.length === 0 ? [[at, state]] : []
    // the tool's own options stand after the last word too where a further one could follow
    if (word === undefined || (left.length === 0 && !longer)) return here
    const following = grammar.commands.filter(one => one.path.length > 0).map(one => one.path[command.path.length - left.length])
    if (word === left[0]) return walk(at + 1, left.slice(1), state)
    if (following.includes(word) && samePath(grammar, command, left.length, word)) return []
    const found = readings(own, grammar.bundles === true, argv, at)
    // where a further word could follow, a word that is the tool's own option is that and nothing else
    if (found.length === 0 && !namesOption(own, word)) return here
    return found.flatMap(reading => {
      const next = give(own, state, reading)
      return next ? walk(at + reading.words, left, {...next, more: undefined}) : []
    })
  }
  return walk(1, command.path, start)
}

function samePath(grammar: Grammar, command: CommandGrammar, left: number, word: string): boolean {
  const before = command.path.slice(0, command.path.length - left)
  return grammar.commands.some(({path}) => before.every((step, at) => path[at] === step) && path[before.length] === word)
}

/** The classes of all ways to read the words from `at` on to the end: `read` for none behind it. */
function finish(
  command: CommandGrammar,
  options: Options,
  argv: readonly string[],
  at: number,
  state: State,
  tools: FindGrammar,
  depth: number,
): string[] {
  const operands = command.operands ?? []
  if (at >= argv.length) return isWhole(command, options, state) ? ['read'] : []
  const word = argv[at] as string
  const go = (words: number, next: State): string[] => finish(command, options, argv, at + words, next, tools, depth)
  const none = state.taken.every(count => count === 0)
  const grouped = operands.some(one => one.afterDashes)
  const dashes = command.dashes ?? 'refused'
  const stand = command.optionsStand ?? 'before'

  if (word === '--' && !state.dashes) {
    const may = dashes !== 'refused' && (none || grouped || (dashes === 'allowed' && stand === 'anywhere'))
    return may ? go(1, {...state, dashes: true, more: undefined}) : []
  }
  const ended = operands.some((one, index) => one.optionsEnd && (state.taken[index] ?? 0) > 0)
  const mayOption =
    !state.dashes &&
    (stand === 'anywhere'
      ? !ended
      : stand === 'before'
        ? none
        : operands.every((one, index) => one.afterDashes || (state.taken[index] ?? 0) >= (one.min ?? 1)))
  const found = mayOption ? readings(options, command.bundles === true, argv, at) : []
  if (found.length > 0 || (mayOption && namesOption(options, word))) {
    return found.flatMap(reading => {
      const next = give(options, state, reading)
      return next ? go(reading.words, stand === 'after' ? {...next, closed: true} : next) : []
    })
  }
  const more = state.more === undefined ? undefined : options[state.more]
  if (more && state.more !== undefined && !word.startsWith('-') && (state.given.get(state.more)?.length ?? 0) < (more.many ?? 1)) {
    return isValue(word, more.value, false) ? go(1, {...state, given: add(state.given, state.more, word)}) : []
  }
  const index = openOperand(command, state, word)
  if (index === undefined) return []
  const taken = operands.map((_, one) => (state.taken[one] ?? 0) + (one === index ? 1 : 0))
  const operand = operands[index] as OperandGrammar
  if (typeof operand.type === 'object' && operand.type.type === 'command') {
    const grammar = tools(word)
    const behind = grammar ? judgeArgv(grammar, argv.slice(at), tools, depth + 1) : []
    return isWhole(command, options, {...state, taken}) ? behind : []
  }
  return go(1, {...state, taken, more: undefined})
}

/** The operand that a word is: the first one still open that has such values. */
function openOperand(command: CommandGrammar, {taken, dashes, closed}: State, word: string): number | undefined {
  const operands = command.operands ?? []
  if (closed && !dashes) return undefined
  const grouped = operands.some(one => one.afterDashes)
  if (command.dashes === 'required' && !dashes && !grouped) return undefined
  const last = taken.findLastIndex(count => count > 0)
  for (const [index, one] of operands.entries()) {
    const count = taken[index] ?? 0
    const min = one.min ?? 1
    if (index < last || (grouped && (one.afterDashes ?? false) !== dashes) || count >= (one.max ?? Math.max(1, min))) continue
    if ((dashes || !word.startsWith('-') || ownsDash(one.type, word)) && isValue(word, one.type, dashes)) return index
    if (count < min) return undefined
  }
  return undefined
}

/** Only what is spelled out, and a number, may begin with a dash where no `--` stands before it. */
function ownsDash(type: ValueType, word: string): boolean {
  if (typeof type === 'object' && type.type === 'any') return of(type).some(one => ownsDash(one, word) && isValue(word, one, false))
  return ['enum', 'literal', 'integer'].includes(typeof type === 'string' ? type : type.type)
}

/** Is the word an option in a form that it does not take, so that nothing else may be made of it? */
function namesOption(options: Options, word: string): boolean {
  if (word !== '-NUM' && spelled(options, word)) return true
  if (!/^[-+]./.test(word)) return false
  const head = word.split('=', 1)[0] as string
  if (word.includes('=') && isLong(head) && spelled(options, head)) return true
  if (/^-[0-9]+$/.test(word) && spelled(options, '-NUM')) return true
  const short = /^-[^-]./.test(word) ? spelled(options, word.slice(0, 2)) : undefined
  return short !== undefined && short.option.value !== 'flag' && !short.option.optional
}

const isLong = (spelling: string): boolean => !/^-[^-]$/.test(spelling)

function spelled(options: Options, spelling: string): {name: string; option: OptionGrammar; off: boolean} | undefined {
  for (const [name, option] of Object.entries(options)) {
    const spellings = [name, ...(option.aliases ?? [])]
    if (spellings.includes(spelling)) return {name, option, off: false}
    if (option.negatable && spellings.some(one => one.startsWith('--') && `--no-${one.slice(2)}` === spelling))
      return {name, option, off: true}
  }
  return undefined
}

function attaches({option, spelling}: {option: OptionGrammar; spelling: string}, how: string): boolean {
  const single = /^-[^-]./.test(spelling)
  const short = !isLong(spelling)
  const usual = option.optional && short ? ['attached'] : single ? ['separate'] : ['separate', 'equals']
  const named: readonly string[] = option.attach ?? usual
  const fits = short ? ['separate', 'attached', 'short-equals'] : /^[-+]/.test(spelling) ? ['separate', 'equals'] : ['separate']
  return fits.includes(how) && named.includes(how) && !(how === 'separate' && option.optional)
}

/** Every way to read the word at `at` as options, with the word after it where that is the value. */
function readings(options: Options, bundles: boolean, argv: readonly string[], at: number): Reading[] {
  const word = argv[at] as string
  const exact = word === '-NUM' ? undefined : spelled(options, word)
  if (exact) return ofSpelling(exact, word, argv, at)
  if (!/^[-+]./.test(word)) return []
  const number = spelled(options, '-NUM')
  if (number && /^-[0-9]+$/.test(word))
    return isValue(word.slice(1), number.option.value, false) ? [{gives: [[number.name, word.slice(1)]], words: 1}] : []
  const head = word.split('=', 1)[0] as string
  const value = word.slice(head.length + 1)
  const named = word.includes('=') ? spelled(options, head) : undefined
  if (named) {
    const {name, option, off} = named
    if (option.truth && !off)
      return value === 'true' || value === 'false' ? [{gives: [[name, value === 'true' ? 'on' : 'off']], words: 1}] : []
    if (option.value !== 'flag' && attaches({option, spelling: head}, isLong(head) ? 'equals' : 'short-equals'))
      return isValue(value, option.value, false) ? [{gives: [[name, value]], words: 1}] : []
    if (isLong(head)) return []
  }
  return /^-[^-]./.test(word) ? ofShorts(options, bundles, argv, at, word.slice(1), []) : []
}

function ofSpelling(
  {name, option, off}: {name: string; option: OptionGrammar; off: boolean},
  spelling: string,
  argv: readonly string[],
  at: number,
): Reading[] {
  if (option.value === 'flag' || option.optional) return [{gives: [[name, option.value === 'flag' ? (off ? 'off' : 'on') : '']], words: 1}]
  const value = argv[at + 1]
  return value !== undefined && attaches({option, spelling}, 'separate') && isValue(value, option.value, false)
    ? [{gives: [[name, value]], words: 2}]
    : []
}

function ofShorts(
  options: Options,
  bundles: boolean,
  argv: readonly string[],
  at: number,
  letters: string,
  before: Reading['gives'],
): Reading[] {
  const spelling = `-${letters[0]}`
  const found = spelled(options, spelling)
  if (!found) return []
  const rest = letters.slice(1)
  if (found.option.value !== 'flag' && rest !== '' && attaches({option: found.option, spelling}, 'attached'))
    return isValue(rest, found.option.value, false) ? [{gives: [...before, [found.name, rest]], words: 1}] : []
  if (rest === '') return ofSpelling(found, spelling, argv, at).map(({gives, words}) => ({gives: [...before, ...gives], words}))
  if (!bundles || (found.option.value !== 'flag' && !found.option.optional)) return []
  return ofShorts(options, bundles, argv, at, rest, [...before, [found.name, found.option.value === 'flag' ? 'on' : '']])
}

/** The state after a reading; undefined where the options do not go with what was given, or come too often. */
function give(options: Options, state: State, {gives, words}: Reading): State | undefined {
  let {given} = state
  let more: string | undefined
  for (const [name, value] of gives) {
    const option = options[name] as OptionGrammar
    const times = given.get(name)?.length ?? 0
    // of an option with many values the words are counted elsewhere
    const most = option.repeat === true ? Number.POSITIVE_INFINITY : option.repeat ? option.repeat : 1
    if (times >= most) return undefined
    const names = (one: string): string | undefined => spelled(options, one)?.name
    for (const other of given.keys()) {
      if (other === name) continue
      if (option.excludes?.some(one => names(one) === other) || options[other]?.excludes?.some(one => names(one) === name)) return undefined
    }
    given = add(given, name, value)
    more = option.many !== undefined && words === 2 ? name : undefined
  }
  return {...state, given, more}
}

function add(given: State['given'], name: string, value: string): State['given'] {
  return new Map([...given, [name, [...(given.get(name) ?? []), value]]])
}

/** Is everything there that must be? */
function isWhole(command: CommandGrammar, options: Options, {given, taken}: State): boolean {
  const on = (spelling: string): boolean => {
    const name = spelled(options, spelling)?.name as string
    return given.has(name) && given.get(name)?.at(-1) !== 'off'
  }
  return (
    Object.entries(options).every(([name, option]) => (!option.required || on(name)) && (!on(name) || (option.requires ?? []).every(on))) &&
    (command.requireOne ?? []).every(names => names.some(on)) &&
    (command.operands ?? []).every((one, index) => (taken[index] ?? 0) >= (one.min ?? 1)) &&
    (command.spans ?? []).every(span => isShort(span, options, given))
  )
}

/** A span holds if it holds at every hour of a day. */
function isShort({from, to, max}: NonNullable<CommandGrammar['spans']>[number], options: Options, given: State['given']): boolean {
  const point = (spelling: string | undefined) => {
    const found = spelling === undefined ? undefined : spelled(options, spelling)
    const value = found && given.get(found.name)?.at(-1)
    return value === undefined || !found ? undefined : findTimePoint(value, found.option.value as ValueSpec)
  }
  const [start, stop] = [point(from), point(to)]
  if (!start) return stop === undefined
  const end = stop ?? {from: 'now', offset: 0}
  // a moving time beside a fixed one
  if ((start.from === 'zero') !== (end.from === 'zero')) return false
  const most = Number.parseInt(max, 10) * ({s: 1, m: 60, h: 3600, d: 86_400}[max.at(-1) as 's'] ?? 0)
  return [0, 1, 43_200, 86_399, 86_400].every(hour => {
    const at = ({from, offset}: typeof end): number => offset + (from === 'now' ? hour : 0)
    return at(end) - at(start) <= most
  })
}

function of(type: ValueSpec): ValueType[] {
  return Array.isArray(type.of) ? type.of : type.of === undefined ? [] : [type.of]
}

/** Is the word such a value? The plain types are said again here, the rest is the type's own. */
function isValue(word: string, type: 'flag' | ValueType, dashes: boolean): boolean {
  const spec: ValueSpec = typeof type === 'string' ? {type} : type
  const inside = (one: ValueType, value: string, later = false): boolean => isValue(value, one, dashes || later)
  switch (spec.type) {
    case 'enum':
      return spec.values?.some(value => value === word) === true && word.length <= 256
    case 'literal':
      return spec.value === word && word.length <= 256
    case 'integer':
      return (
        String(Number(word)) === word &&
        Number.isSafeInteger(Number(word)) &&
        Number(word) >= (spec.min ?? 0) &&
        Number(word) <= (spec.max ?? 2 ** 53)
      )
    case 'any':
      return of(spec).some(one => inside(one, word)) && word.length <= 4096
    case 'list': {
      const items = word.split(spec.separator ?? ',')
      return (
        items.length <= (spec.max ?? 50) &&
        items.every(item => inside(of(spec)[0] as ValueType, item)) &&
        word.length <= (spec.maxLength ?? 4096)
      )
    }
    case 'joined': {
      const separator = spec.separator as string
      const pieces = word.split(separator)
      const types = of(spec)
      const joined = [...pieces.slice(0, types.length - 1), pieces.slice(types.length - 1).join(separator)]
      return (
        pieces.length >= types.length &&
        joined.every((piece, at) => inside(types[at] as ValueType, piece, at > 0)) &&
        word.length <= (spec.maxLength ?? 4096)
      )
    }
    default:
      return testValue(word, spec, dashes)
  }
}
