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
}

/** A reading that has read nothing. */
export function startReading(command: Command): Reading {
  return {command, parts: [], given: new Map(), counts: [], dashes: false, closed: false, awaiting: undefined, more: undefined}
}

/** May an option stand here? */
export function mayStandOption({command, counts, dashes}: Reading): boolean {
  if (dashes) return false
  if (command.optionsStand === 'anywhere') return true
  if (command.optionsStand === 'before') return counts.every(count => count === 0)
  return command.operands.every((operand, index) => operand.afterDashes || (counts[index] ?? 0) >= operand.min)
}

/** May `--` stand here? */
export function mayStandDashes({command, counts, dashes}: Reading): boolean {
  if (dashes || command.dashes === 'refused') return false
  return command.operands.some(operand => operand.afterDashes) || counts.every(count => count === 0)
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
