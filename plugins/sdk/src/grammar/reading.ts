/** The state of reading argv, and what may come next in it. */
import type {Command, Operand, Option} from './compile.ts'
import type {Part} from './grammar.ts'

/** How far the reading has come. */
export interface Reading {
  command: Command
  parts: Part[]
  /** option or operand name → values */
  given: Map<string, string[]>
  /** values taken, by index into `command.operands` */
  counts: number[]
  /** `--` has been read */
  dashes: boolean
  /** with `optionsStand: after`: an option was read, so no operand follows */
  closed: boolean
  /** the words ended where this option's value must come */
  awaiting: Option | undefined
  /** this option may take further values (`many`) */
  more: Option | undefined
  /** the word at which a command of another tool begins; it goes to the end */
  innerFrom: number | undefined
}

/** A reading that has read nothing. */
export function startReading(command: Command): Reading {
  return {
    command,
    parts: [],
    given: new Map(),
    counts: [],
    dashes: false,
    closed: false,
    awaiting: undefined,
    more: undefined,
    innerFrom: undefined,
  }
}

/** May an option stand here? */
export function mayStandOption({command, counts, dashes}: Reading): boolean {
  if (dashes) return false
  if (command.optionsStand === 'anywhere') return !command.operands.some((operand, index) => operand.optionsEnd && (counts[index] ?? 0) > 0)
  if (command.optionsStand === 'before') return counts.every(count => count === 0)
  return command.operands.every((operand, index) => operand.afterDashes || (counts[index] ?? 0) >= operand.min)
}

/** May `--` stand here? */
export function mayStandDashes({command, counts, dashes}: Reading): boolean {
  if (dashes || command.dashes === 'refused') return false
  if (command.operands.some(operand => operand.afterDashes) || counts.every(count => count === 0)) return true
  return command.dashes === 'allowed' && command.optionsStand === 'anywhere'
}

/** Was this option given, and is it no flag that was turned off? */
export function isOn({given}: Reading, option: Option): boolean {
  const values = given.get(option.name)
  return values !== undefined && (option.type !== undefined || values.at(-1) !== 'false')
}

/** May this option be given once more? */
export function mayRepeat({given, parts}: Reading, option: Option): boolean {
  if (!given.has(option.name) || option.repeat === true) return true
  return (
    typeof option.repeat === 'number' && parts.filter(part => part.kind === 'option' && part.name === option.name).length < option.repeat
  )
}

/** The operands that the next word could be, in order. */
export function openOperands({command, counts, dashes, closed}: Reading): {operand: Operand; index: number}[] {
  const {operands} = command
  if (closed && !dashes) return []
  const grouped = operands.some(operand => operand.afterDashes)
  if (command.dashes === 'required' && !dashes && !grouped) return []
  const last = counts.findLastIndex(count => count > 0)
  const open: {operand: Operand; index: number}[] = []
  for (const [index, operand] of operands.entries()) {
    if (index < last || (grouped && operand.afterDashes !== dashes) || (counts[index] ?? 0) >= operand.max) continue
    open.push({operand, index})
    if ((counts[index] ?? 0) < operand.min) break
  }
  return open
}
