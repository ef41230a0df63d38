import {columns, showLine, showName} from '../text.ts'
import {cut, paint, terminalWidth, unpaint} from './output.ts'

/** A column: its head, and whether people's sentences are in it (names are marked where they mislead, sentences are not). */
export type Column = string | {head: string; prose?: true}

/**
 * Rows under heads, for `this.log`: aligned with two blanks between, at a terminal cut to its width (the widest columns give way), whole when
 * piped. For machines there is `--json`. No rows, no lines.
 */
export function table(
  heads: readonly Column[],
  rows: readonly (readonly (string | number | null | undefined)[])[],
  room = process.stdout.isTTY ? terminalWidth() : Number.POSITIVE_INFINITY,
): string[] {
  if (rows.length === 0) return []
  const prose = heads.map(head => typeof head !== 'string' && head.prose === true)
  const titles = heads.map(head => (typeof head === 'string' ? head : head.head))
  const cells = rows.map(row => titles.map((_, index) => safeCell(String(row[index] ?? '-'), prose[index] === true)))
  const widths = titles.map((title, index) => Math.max(columns(title), ...cells.map(row => columns(unpaint(row[index] as string)))))
  narrow(widths, titles.map(columns), room)
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) => pad(cut(cell, widths[index] as number), index === row.length - 1 ? 0 : (widths[index] as number)))
      .join('  ')
      .trimEnd()
  return [paint('bold', line(titles)), ...cells.map(line)]
}

function safeCell(cell: string, prose: boolean): string {
  if (unpaint(cell) !== cell) return cell // painted by us; the writer makes it safe
  return prose ? showLine(cell) : showName(cell)
}

function pad(cell: string, width: number): string {
  return cell + ' '.repeat(Math.max(0, width - columns(unpaint(cell))))
}

/** Takes from the widest column until all fit, but no column goes under its head and 8. */
function narrow(widths: number[], heads: readonly number[], room: number): void {
  let over = widths.reduce((sum, width) => sum + width, 2 * (widths.length - 1)) - room
  while (over > 0) {
    const widest = widths.indexOf(Math.max(...widths))
    const least = Math.max(heads[widest] as number, 8)
    const others = widths.filter((_, index) => index !== widest)
    const give = Math.min(over, Math.max(1, (widths[widest] as number) - Math.max(...others, least)), (widths[widest] as number) - least)
    if (give <= 0) return
    widths[widest] = (widths[widest] as number) - give
    over -= give
  }
}
