import {columns, showLine, showName} from '../text.ts'
import {cut, paint, terminalWidth, unpaint} from './output.ts'

/** A column: its head, and whether people's sentences are in it (names are marked where they mislead, sentences are not). */
export type Column = string | {head: string; prose?: true}

/**
 * Rows under heads, for `this.log`: aligned with two blanks between, whole when piped. At a terminal that is too narrow the widest columns are cut, as
 * long as that leaves enough of them to read; what then does not fit stands under its row, sentences first. A column of ids is never cut: what is cut
 * cannot be typed. For machines there is `--json`. No rows, no lines.
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
  const {beside, under} = place(cells, {widths, titleWidths, prose, room})
  const last = beside.at(-1)
  const line = (row: readonly string[], own: readonly number[]): string => {
    let text = ''
    for (const index of beside) {
      const [cell, width, whole] = [row[index] as string, widths[index] as number, own[index] as number]
      const fitting = whole > width ? cut(cell, width) : cell
      const used = whole > width ? shownWidth(fitting) : whole
      text += index === last ? fitting : `${fitting}${' '.repeat(Math.max(0, width - used))}  `
    }
    return text.trimEnd()
  }
  const below = (row: readonly string[]): string[] => {
    const told = under
      .filter(index => row[index] !== '-' && row[index] !== '')
      .map(index => ({index, text: `${titles[index]}: ${row[index]}`}))
    const of = (sentences: boolean): string[] => told.flatMap(({index, text}) => (prose[index] === sentences ? [text] : []))
    const names = of(false).join('  ')
    const lines = names !== '' && shownWidth(names) + 2 <= room ? [names] : of(false)
    return [...lines, ...of(true)].map(text => `  ${cut(text, mostRows * room)}`)
  }
  return [paint('bold', line(titles, titleWidths)), ...cells.flatMap((row, index) => [line(row, shown[index] as number[]), ...below(row)])]
}

/** `req_…`, as the broker makes them */
const idForm = /^[a-z]{2,6}_[0-9a-z]{8,40}$/

function safeCell(cell: string, prose: boolean): string {
  if (unpaint(cell) !== cell) return cell // painted by us; the writer makes it safe
  return prose ? showLine(cell) : showName(cell)
}

const shownWidth = (cell: string): number => columns(unpaint(cell))

/** However long a sentence is: so many rows of the terminal. */
const mostRows = 3
/** So much of a sentence, and of a name, is left in its column. */
const least = {prose: 32, name: 20}

/** Which columns stand beside one another and which under the row; the widths become what those beside have. */
function place(
  cells: readonly (readonly string[])[],
  {widths, titleWidths, prose, room}: {widths: number[]; titleWidths: readonly number[]; prose: readonly boolean[]; room: number},
): {beside: readonly number[]; under: readonly number[]} {
  const all = widths.map((_, index) => index)
  const total = (of: readonly number[], widthOf: (index: number) => number): number =>
    of.reduce((sum, index) => sum + widthOf(index), 2 * (of.length - 1))
  const whole = (index: number): number => widths[index] as number
  if (total(all, whole) <= room) return {beside: all, under: []}
  const ids = all.map(index => cells.some(row => idForm.test(row[index] as string)))
  const needed = (index: number): number =>
    ids[index] ? whole(index) : Math.min(whole(index), Math.max(titleWidths[index] as number, prose[index] ? least.prose : least.name))
  let beside = all
  while (beside.length > 1 && total(beside, needed) > room) {
    const leaves = beside.findLast(index => index > 0 && prose[index]) ?? beside.at(-1)
    beside = beside.filter(index => index !== leaves)
  }
  let over = total(beside, whole) - room
  for (const giving of [beside.filter(index => prose[index]), beside.filter(index => !prose[index] && !ids[index])]) {
    const spare = (index: number): number => whole(index) - (beside.length > 1 ? needed(index) : 8)
    while (over > 0) {
      const widest = giving.filter(index => spare(index) > 0).sort((a, b) => whole(b) - whole(a))[0]
      if (widest === undefined) break
      widths[widest] = whole(widest) - 1
      over -= 1
    }
  }
  return {beside, under: all.filter(index => !beside.includes(index))}
}
