import {columns, showLine, showName} from '../text.ts'
import {cut, paint, terminalWidth, unpaint} from './output.ts'

/** A column: its head, and whether people's sentences are in it (names are marked where they mislead, sentences are not). */
export type Column = string | {head: string; prose?: true}

/**
 * Rows under heads, for `this.log`: aligned with two blanks between, at a terminal cut to its width (the widest columns give way; a column of ids
 * never does: what is cut cannot be typed), whole when piped. For machines there is `--json`. No rows, no lines.
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
  const ids = titles.map((_, index) => cells.some(row => idForm.test(row[index] as string)))
  narrow(widths, titles.map(columns), {prose, ids, room})
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) => pad(cut(cell, widths[index] as number), index === row.length - 1 ? 0 : (widths[index] as number)))
      .join('  ')
      .trimEnd()
  return [paint('bold', line(titles)), ...cells.map(line)]
}

/** `req_…`, as the broker makes them */
const idForm = /^[a-z]{2,6}_[0-9a-z]{8,40}$/

function safeCell(cell: string, prose: boolean): string {
  if (unpaint(cell) !== cell) return cell // painted by us; the writer makes it safe
  return prose ? showLine(cell) : showName(cell)
}

function pad(cell: string, width: number): string {
  return cell + ' '.repeat(Math.max(0, width - columns(unpaint(cell))))
}

/** Takes from sentences first, then from the widest column, until all fit: no column goes under its head and 8, and only where that is not enough, under 4. */
function narrow(
  widths: number[],
  heads: readonly number[],
  {prose, ids, room}: {prose: readonly boolean[]; ids: readonly boolean[]; room: number},
): void {
  let over = widths.reduce((sum, width) => sum + width, 2 * (widths.length - 1)) - room
  for (const [least, sentences] of [
    [8, true],
    [8, false],
    [4, true],
    [4, false],
  ] as const) {
    const spare = (index: number): number => (widths[index] as number) - Math.max(heads[index] as number, least)
    const giving = widths.map((_, index) => index).filter(index => prose[index] === sentences && !ids[index])
    while (over > 0) {
      const widest = giving.filter(index => spare(index) > 0).sort((a, b) => (widths[b] as number) - (widths[a] as number))[0]
      if (widest === undefined) break
      widths[widest] = (widths[widest] as number) - 1
      over -= 1
    }
  }
}
