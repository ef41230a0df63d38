/** Regular expressions of POSIX tools, as far as they cost: what a tool would spend minutes or gigabytes on is refused. */
import type {ValueKinds} from '../kind.ts'
import {begins, findLeadingFault} from './text.ts'

/** A group or the whole: how many steps a matcher makes of it, written out. */
interface Level {
  steps: number
  /** steps of the piece that a repeat would take */
  last: number
  /** is that piece a group? */
  group: boolean
}

const maxSteps = 2000

/** `regexp`. */
export const regexpKinds: ValueKinds = {
  regexp: {
    fields: ['pattern', 'maxLength', 'leading', 'lines'],
    cedar: 'String',
    // as the value of an option, where `-` may lead, `--` is a pattern like any other
    test: (value, spec, afterDashes) =>
      (spec.lines || !value.includes('\n')) && begins(value, spec, afterDashes || spec.leading?.includes('-') === true) && isCheap(value),
    describe: spec =>
      `a regular expression of up to ${spec.maxLength ?? 4096} characters${spec.lines ? '' : ', one line'}, whose counted repeats come to at most ${maxSteps} steps`,
    samples: () => ['error', 'time.?out|refused', '^[0-9]{1,3}$', '$(reboot)', "it's", '-x', '+x'],
    findFault: findLeadingFault,
    maxLength: 4096,
  },
}

/**
 * Is the cost of this expression bounded in the matchers of grep, find and less? `{n,m}` is written out by them, so repeats
 * of repeats multiply; a back reference makes them try every way to read the groups before it. Basic and extended syntax
 * alike: `(` and `\(`, `{` and `\{` count both, so a pattern is at worst counted as dearer than it is. Pure, linear.
 */
export function isCheap(pattern: string): boolean {
  const levels: Level[] = [{steps: 0, last: 0, group: false}]
  const most = Math.max(maxSteps, pattern.length)
  let open = 0
  let openOnGroup = false
  let backReference = false
  for (let at = 0; at < pattern.length; ) {
    const level = levels.at(-1) as Level
    const escaped = pattern[at] === '\\'
    const sign = pattern[escaped ? at + 1 : at]
    const start = at
    at += escaped ? 2 : 1
    if (sign === '(') {
      levels.push({steps: 0, last: 0, group: false})
      if (levels.length > 50) return false
    } else if (sign === ')' && levels.length > 1) {
      levels.pop()
      addPiece(levels.at(-1) as Level, level.steps + 1, true)
    } else if (sign === '[' && !escaped) {
      at = endOfBrackets(pattern, at)
      addPiece(level, 1, false)
    } else if (sign === '*' || sign === '+' || sign === '?') {
      if (sign !== '?') {
        open++
        openOnGroup ||= level.group
      }
    } else if (sign === '{') {
      const [whole, from, comma, to] =
        /^(?:\{([0-9]{1,5})?(,)?([0-9]{1,5})?\\?\})/.exec(pattern.slice(escaped ? start + 1 : start, start + 16)) ?? []
      if (whole === undefined || (from === undefined && to === undefined)) {
        addPiece(level, 1, false)
        continue
      }
      at = (escaped ? start + 1 : start) + whole.length
      const unbounded = comma !== undefined && to === undefined
      const times = Math.max(1, Number(to ?? from ?? 1))
      if (unbounded || times > 9) {
        open++
        openOnGroup ||= level.group
      }
      level.steps += level.last * (times - 1)
      level.last *= times
    } else {
      if (escaped && /[1-9]/.test(sign ?? '')) backReference = true
      addPiece(level, 1, false)
    }
    if ((levels.at(-1) as Level).steps > most) return false
  }
  const whole = levels.reduce((sum, {steps}) => sum + steps, 0)
  return whole <= most && !(backReference && (open > 1 || openOnGroup))
}

function addPiece(level: Level, steps: number, group: boolean): void {
  level.steps += steps
  level.last = steps
  level.group = group
}

/** After `]`: one right after `[` or `[^` is a member, and `[:alpha:]` has its own. */
function endOfBrackets(pattern: string, from: number): number {
  let at = pattern[from] === '^' ? from + 1 : from
  if (pattern[at] === ']') at++
  while (at < pattern.length && pattern[at] !== ']') {
    const [inner] = /^\[([:.=]).*?\1\]/.exec(pattern.slice(at, at + 40)) ?? []
    at += inner?.length ?? 1
  }
  return Math.min(at + 1, pattern.length)
}
