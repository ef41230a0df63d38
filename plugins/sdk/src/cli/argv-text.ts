import {columns, showArgument, showArgv} from '../text.ts'

/**
 * A whole argv for a person who decides on it: one line where it fits, else one argument on each line with its number, so that the count and
 * the end are seen and nothing is cut (TM-W6). `room` is the width there is.
 */
export function argvLines(argv: readonly string[], room: number): string[] {
  const line = showArgv(argv)
  if (columns(line) <= room) return [line]
  const width = String(argv.length - 1).length
  return [`${argv.length} arguments:`, ...argv.map((argument, index) => `${String(index).padStart(width)}  ${showArgument(argument)}`)]
}
