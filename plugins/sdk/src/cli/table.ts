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
  const shown = cells.map(row => row.map(shownWidth))
  const titleWidths = titles.map(columns)
  const widths = titleWidths.map((width, index) => shown.reduce((most, row) => Math.max(most, row[index] as number), width))
  const tooWide = total(widths) > room
  if (tooWide) {
    const ids = titles.map((_, index) => cells.some(row => idForm.test(row[index] as string)))
    narrow(widths, titleWidths, {prose, ids, room})
  }
  const last = titles.length - 1
  const line = (row: readonly string[], own: readonly number[]): string => {
    let text = ''
    for (const [index, cell] of row.entries()) {
      const width = widths[index] as number
      const fitting = tooWide ? cut(cell, width) : cell
      const used = tooWide ? shownWidth(fitting) : (own[index] as number)
      text += index === last ? fitting : `${fitting}${' '.repeat(Math.max(0, width - used))}  `
    }
    return text.trimEnd()
  }
  return [paint('bold', line(titles, titleWidths)), ...cells.map((row, index) => line(row, shown[index] as number[]))]
}

/** `req_…`, as the broker makes them */
const idForm = /^[a-z]{2,6}_[0-9a-z]{8,40}$/

function safeCell(cell: string, prose: boolean): string {
  if (unpaint(cell) !== cell) return cell // painted by us; the writer makes it safe
  return prose ? showLine(cell) : showName(cell)
}

const shownWidth = (cell: string): number => columns(unpaint(cell))
const total = (widths: readonly number[]): number => widths.reduce((sum, width) => sum + width, 2 * (widths.length - 1))

/** Takes from sentences first, then from the widest column, until all fit: no column goes under its head and 8, and only where that is not enough, under 4. */
function narrow(
  widths: number[],
  heads: readonly number[],
  {prose, ids, room}: {prose: readonly boolean[]; ids: readonly boolean[]; room: number},
): void {
  let over = total(widths) - room
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
