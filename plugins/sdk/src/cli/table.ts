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
  narrow(widths, titles.map(columns), prose, room)
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

/** Takes from sentences first, then from the widest column, until all fit; no column goes under its head and 8. An id is worth more than a sentence. */
function narrow(widths: number[], heads: readonly number[], prose: readonly boolean[], room: number): void {
  let over = widths.reduce((sum, width) => sum + width, 2 * (widths.length - 1)) - room
  const spare = (index: number): number => (widths[index] as number) - Math.max(heads[index] as number, 8)
  for (const first of [true, false]) {
    const giving = widths.map((_, index) => index).filter(index => prose[index] === first)
    while (over > 0) {
      const widest = giving.filter(index => spare(index) > 0).sort((a, b) => (widths[b] as number) - (widths[a] as number))[0]
      if (widest === undefined) break
      widths[widest] = (widths[widest] as number) - 1
      over -= 1
    }
  }
}
