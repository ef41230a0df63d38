import {ProdError} from '../errors.ts'
import {cedarTypeName, findAttributeClash} from './cedar.ts'
import {
  attachesOf,
  type Command,
  compile,
  isOptionGrammar,
  numberSpelling,
  type Operand,
  type Option,
  optionsOf,
  readOperand,
  readOptions,
  spellingKind,
} from './compile.ts'
import {findDurationSeconds} from './duration.ts'
import type {CommandGrammar, Grammar, OptionGrammar} from './grammar.ts'
import {grammarSchema} from './schema.ts'
import {findShapeFaults, type GrammarFault} from './shape.ts'
import {findTypeFault, listValues, specOf, testValue} from './values.ts'

type Path = GrammarFault['path']
type Report = (path: Path, message: string, mend?: string) => void

/**
 * The grammar of one tool from the data of its file (`options` and `commands`), with short forms written out and names of
 * options canonical. Throws CATALOG_INVALID with the first fault and its place, `commands[1].options.--since`.
 */
export function checkGrammar(value: unknown, tool: string): Grammar {
  const [fault] = findGrammarFaults(value, tool)
  if (fault)
    throw new ProdError(
      'CATALOG_INVALID',
      `${[tool, showPlace(fault.path)].filter(Boolean).join(': ')}: ${fault.message}`,
      fault.mend ?? 'prod policy check',
    )
  const {options, adds, bundles, commands} = value as Grammar
  const tables = compile({tool, ...(options ? {options} : {}), commands})
  return {
    tool,
    ...(adds ? {adds} : {}),
    ...(bundles === undefined ? {} : {bundles}),
    ...(options ? {options: written(options, tables.options)} : {}),
    commands: commands.map(
      (command, index): CommandGrammar => ({
        ...command,
        ...(command.options ? {options: written(command.options, (tables.commands[index] as Command).options)} : {}),
        ...(command.operands
          ? {operands: command.operands.map(operand => ({...operand, min: readOperand(operand).min, max: readOperand(operand).max}))}
          : {}),
      }),
    ),
  }
}

/** Everything that is wrong with the data of one tool's grammar: its form first, and what it means once the form is right. */
export function findGrammarFaults(value: unknown, tool: string): GrammarFault[] {
  const shape = findShapeFaults(grammarSchema, value)
  if (shape.length > 0) return shape
  const faults: GrammarFault[] = []
  const report: Report = (path, message, mend) => void faults.push({path, message, ...(mend === undefined ? {} : {mend})})
  const grammar: Grammar = {...(value as Grammar), tool}

  if (!/^(?:[A-Za-z0-9_][A-Za-z0-9_.+-]*|(?:\/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*)+)$/.test(tool))
    report([], `${JSON.stringify(tool)} is no name of a tool`)
  checkTypes(grammar, report)
  // what follows reads values by their types
  if (faults.length > 0) return faults
  const {commands, options} = compile(grammar)
  checkOptions([...new Set(options.values())], options, ['options'], report)
  for (const {name, many} of new Set(options.values()))
    if (many !== undefined && commands.some(({grammar: {path}}) => path.length > 0))
      report(['options', name], 'after `many` values nobody knows where the subcommand begins', 'say it at each command')
  for (const command of commands) {
    const path: Path = ['commands', command.index]
    checkOptions(readOptions(command.grammar.options), command.options, [...path, 'options'], report)
    checkSpellings(grammar, command, [...path, 'options'], report)
    checkOperands(command, path, report)
    checkRest(command, path, report)
    const clash = findAttributeClash(grammar, command.index)
    if (clash) report(path, `policy would see ${clash[0]} and ${clash[1]} under one name`, 'give one of them an `attribute`')
  }
  checkAdds(grammar.adds, ['adds'], report)
  checkNames(grammar, report)
  return faults
}

/** `commands[1].options.--since`. Pure. */
export function showPlace(path: Path): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('')
}

function checkTypes(grammar: Grammar, report: Report): void {
  const judge = (type: unknown, path: Path): void => {
    const fault = findTypeFault(type)
    if (fault) report(path, fault)
  }
  const judgeOptions = (options: Grammar['options'], path: Path): void => {
    for (const [name, entry] of Object.entries(options ?? {})) {
      const value = isOptionGrammar(entry) ? entry.value : entry
      if (value !== 'flag') judge(value, [...path, name])
    }
  }
  judgeOptions(grammar.options, ['options'])
  for (const [index, command] of grammar.commands.entries()) {
    judgeOptions(command.options, ['commands', index, 'options'])
    for (const [at, operand] of (command.operands ?? []).entries()) judge(operand.type, ['commands', index, 'operands', at])
  }
}

function checkOptions(options: Option[], table: Map<string, Option>, place: Path, report: Report): void {
  for (const option of options) {
    const path = [...place, option.name]
    if (!option.type && (option.attach || option.optional || option.many))
      report(path, 'a flag takes no value', 'leave out attach, optional and many')
    for (const spelling of option.spellings) {
      if (!new RegExp(grammarSchema.properties.options.propertyNames.pattern).test(spelling))
        report(path, `${JSON.stringify(spelling)} is no spelling of an option`)
      else if (option.type && !option.optional && attachesOf(option, spelling).length === 0)
        report(path, `nothing says how ${spelling} gets its value`, 'add to `attach`')
    }
    if (option.type && (option.negatable || option.truth)) report(path, '`negatable` and `truth` are of flags')
    if (option.negatable && option.negations.length === 0) report(path, 'only `--NAME` can be turned off by `--no-NAME`')
    if (option.spellings.includes(numberSpelling) && option.type?.type !== 'integer')
      report(path, `${numberSpelling} takes an integer`, 'value: { type: integer }')
    if (option.spellings.includes(numberSpelling) && option.optional)
      report(path, `${numberSpelling} is its own value`, 'leave out optional')
    if (option.type?.type === 'command') report(path, 'a command is an operand, the last one')
    if (option.optional && !option.spellings.some(spelling => attachesOf(option, spelling).length > 0))
      report(path, 'an optional value is part of the same argument', 'add `equals` or `attached` to `attach`')
    if (option.many !== undefined && (option.optional || !attachesOf(option, option.name).includes('separate')))
      report(path, '`many` values are words of their own', 'add `separate` to `attach`')
    for (const name of [...(option.excludes ?? []), ...(option.requires ?? [])]) {
      const other = table.get(name)
      if (!other) report(path, `there is no option ${name}`)
      else if (other.name === option.name) report(path, `${name} names itself`)
    }
    for (const name of option.excludes ?? []) {
      const other = table.get(name)
      if (other?.required && option.required) report(path, `${name} is required too, and the two exclude each other`)
      if (other && option.requires?.some(required => table.get(required) === other)) report(path, `${name} is both required and excluded`)
    }
  }
}

function checkSpellings(grammar: Grammar, command: Command, place: Path, report: Report): void {
  const own = readOptions(command.grammar.options)
  const owners = new Map<string, string>()
  for (const option of [...readOptions(grammar.options), ...own]) {
    for (const spelling of option.spellings) {
      const owner = owners.get(spelling)
      if (owner !== undefined)
        report(
          own.includes(option) ? [...place, option.name] : ['options', option.name],
          `${spelling} is a spelling of ${owner === option.name ? 'this option already' : owner}`,
        )
      owners.set(spelling, option.name)
    }
  }
  if (owners.has(numberSpelling)) {
    const digit = [...owners.keys()].find(spelling => /^-[0-9]/.test(spelling))
    if (digit) report([...place, owners.get(numberSpelling) as string], `${digit} can be read in two ways`)
  }
  // `-name` beside an `-n` that may be bundled or followed at once by its value: two readings
  const long = [...owners.keys()].filter(spelling => spellingKind(spelling) === 'long' && /^-[^-]/.test(spelling))
  for (const spelling of long) {
    const short = command.options.get(spelling.slice(0, 2))
    if (short && (command.bundles || attachesOf(short, spelling.slice(0, 2)).includes('attached')))
      report([...place, owners.get(spelling) as string], `${spelling} can also be read as ${spelling.slice(0, 2)} and more`)
  }
}

function checkOperands(command: Command, place: Path, report: Report): void {
  const {operands} = command
  const names = new Set<string>()
  for (const [index, operand] of operands.entries()) {
    const path = [...place, 'operands', index]
    if (names.has(operand.name) || command.options.has(operand.name)) report(path, `${operand.name} is taken`)
    names.add(operand.name)
    if (operand.min > operand.max) report(path, '`min` is more than `max`')
    if (specOf(operand.type).type === 'command') checkInner(command, operand, index, path, report)
    if (operand.lock && specOf(operand.type).secret) report(path, 'a secret cannot be what a run locks')
    const rest = operands.slice(index + 1).filter(other => other.afterDashes === operand.afterDashes)
    if (operand.min < operand.max && !isToldApart(operand, rest))
      report(
        path,
        `an operand that may be left out or repeated comes before one that is required`,
        'make several commands of it, each with a `name`',
      )
  }
  const grouped = operands.some(operand => operand.afterDashes)
  const path = [...place, 'dashes']
  if (command.dashes !== 'refused' && operands.length === 0) report(path, 'nothing could follow `--`: there are no operands')
  if (grouped && command.dashes === 'refused') report(path, 'operands stand after `--`, and `--` is refused', 'dashes: allowed')
  if (grouped && operands.findIndex(operand => operand.afterDashes) < operands.findLastIndex(operand => !operand.afterDashes))
    report([...place, 'operands'], 'operands after `--` come last')
  const ends = operands.filter(operand => operand.optionsEnd)
  if (ends.length > 0 && (command.optionsStand !== 'anywhere' || ends.length > 1))
    report([...place, 'operands'], '`optionsEnd` marks one operand, where options stand anywhere', 'optionsStand: anywhere')
  if (command.dashes !== 'refused' && command.optionsStand === 'after') report(path, 'options after the operands cannot follow `--`')
}

/** A command of another tool takes all that is left, so nothing may follow it, nor stand where that tool's options do. */
function checkInner(command: Command, operand: Operand, index: number, path: Path, report: Report): void {
  const {operands, optionsStand, grammar} = command
  if (index < operands.length - 1 || operand.min !== 1 || operand.max !== 1 || operand.afterDashes)
    report(path, 'a command stands once, as the last operand')
  if (optionsStand !== 'before') report(path, "options after a command would be that command's own", 'optionsStand: before')
  if (grammar.stdin) report(path, 'a command behind another gets no stdin')
}

const closedTypes = new Set(['enum', 'literal', 'command'])

/** Nothing after it is required, or no word could be both it and one of those up to the required one: one side has few values. */
function isToldApart(operand: Operand, rest: Operand[]): boolean {
  const required = rest.findIndex(other => other.min > 0)
  if (required < 0) return true
  const apart = (few: Operand, other: Operand): boolean =>
    closedTypes.has(specOf(few.type).type) && listValues(few.type).every(value => !testValue(value, other.type, true))
  return rest.slice(0, required + 1).every(other => apart(operand, other) || apart(other, operand))
}

function checkRest(command: Command, place: Path, report: Report): void {
  const {adds, requireOne, limit} = command.grammar
  for (const [index, names] of (requireOne ?? []).entries()) {
    for (const name of names) if (!command.options.has(name)) report([...place, 'requireOne', index], `there is no option ${name}`)
  }
  checkAdds(adds, [...place, 'adds'], report)
  if (limit?.per !== undefined && !findDurationSeconds(limit.per))
    report([...place, 'limit', 'per'], `${JSON.stringify(limit.per)} is no duration`, 'write it as 90s, 10m, 1h30m or 2d')
  for (const [index, {from, to, max}] of (command.grammar.spans ?? []).entries()) {
    for (const name of [from, ...(to === undefined ? [] : [to])]) {
      const option = command.options.get(name)
      if (!option) report([...place, 'spans', index], `there is no option ${name}`)
      else if (option.type?.type !== 'time' || option.repeat || option.optional)
        report([...place, 'spans', index], `${name} is not given once, as a time`)
    }
    if (!findDurationSeconds(max)) report([...place, 'spans', index, 'max'], `${JSON.stringify(max)} is no duration`, 'max: 24h')
  }
  if (command.operands.length > 0 && command.optionsStand !== 'after' && optionsOf(command).some(option => option.many !== undefined))
    report(place, 'an option with `many` values leaves no operand after it', 'optionsStand: after')
}

function checkAdds(adds: readonly string[] | undefined, place: Path, report: Report): void {
  for (const [index, word] of (adds ?? []).entries())
    if (!word.isWellFormed() || /[\p{Cc}\ufffd]/u.test(word)) report([...place, index], 'is not well-formed text')
}

function checkNames(grammar: Grammar, report: Report): void {
  const types = new Map<string, number>()
  for (const index of grammar.commands.keys()) {
    const type = cedarTypeName(grammar, index)
    const other = types.get(type)
    if (other !== undefined) report(['commands', index], `policy would see it and commands[${other}] as one, ${type}`, 'give it a `name`')
    types.set(type, index)
  }
}

/** Options with short forms written out and the names in them canonical. */
function written(options: NonNullable<Grammar['options']>, table: Map<string, Option>): Record<string, OptionGrammar> {
  const canonical = (names: string[]): string[] => names.map(name => table.get(name)?.name ?? name)
  return Object.fromEntries(
    Object.entries(options).map(([name, entry]): [string, OptionGrammar] => {
      const option = isOptionGrammar(entry) ? entry : {value: entry}
      return [
        name,
        {
          ...option,
          ...(option.excludes ? {excludes: canonical(option.excludes)} : {}),
          ...(option.requires ? {requires: canonical(option.requires)} : {}),
        },
      ]
    }),
  )
}
