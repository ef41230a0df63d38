/**
 * Patterns of the catalog (TM-M2): a small part of the usual syntax, always anchored at both ends, matched in linear time.
 * Nothing here backtracks: a pattern becomes a list of states, and a value is read once, character by character.
 *
 * What there is: literals, `.` (anything but a line break), `[a-z]`, `[^…]`, `\d \w \s`, `\` before punctuation, `\t`,
 * `( )` and `(?: )` with `|` inside, `* + ? {n} {n,} {n,m}`.
 */

/** Ranges of code points, `[from, to]` each. */
type Ranges = [number, number][]
type Node =
  | {kind: 'set'; ranges: Ranges}
  | {kind: 'sequence'; items: Node[]}
  | {kind: 'choice'; items: Node[]}
  | {kind: 'repeat'; item: Node; min: number; max: number}
type State = {ranges: Ranges; next: number} | {split: number[]} | 'end'
type Machine = {states: State[]; start: number}

const maxPatternLength = 1024
const maxStates = 4096
const classes: Record<string, Ranges> = {
  d: [[48, 57]],
  w: [
    [48, 57],
    [65, 90],
    [95, 95],
    [97, 122],
  ],
  s: [
    [9, 9],
    [32, 32],
  ],
}

/** Why a pattern is refused, in words; undefined when it is fine. */
export function findPatternFault(pattern: string): string | undefined {
  try {
    compilePattern(pattern)
    return undefined
  } catch (error) {
    if (error instanceof PatternFault) return error.message
    throw error
  }
}

class PatternFault extends Error {}

/**
 * A text that matches, made by choices: `pick(n)` answers an index below n. Unbounded repeats go at most three over their
 * least. Throws on a pattern that {@link findPatternFault} finds fault with.
 */
export function samplePattern(pattern: string, pick: (count: number) => number): string {
  const make = (node: Node): string => {
    switch (node.kind) {
      case 'set': {
        const [from, to] = node.ranges[pick(node.ranges.length)] as [number, number]
        // of wide ranges the part that people type
        const low = to - from > 200 && from < 97 && to > 122 ? 97 : from < 33 && to >= 33 ? 33 : from
        return String.fromCodePoint(low + pick(Math.min(to - low, 25) + 1))
      }
      case 'sequence':
        return node.items.map(make).join('')
      case 'choice':
        return make(node.items[pick(node.items.length)] as Node)
      case 'repeat':
        return Array.from({length: node.min + pick(Math.min(node.max - node.min, 3) + 1)}, () => make(node.item)).join('')
    }
  }
  return make(parsePattern(pattern))
}

const compiled = new Map<string, Machine>()

function machineOf(pattern: string): Machine {
  const known = compiled.get(pattern)
  if (known) return known
  const machine = compilePattern(pattern)
  if (compiled.size >= 2048) compiled.clear()
  compiled.set(pattern, machine)
  return machine
}

/** Does the whole value match? Throws on a pattern that {@link findPatternFault} finds fault with. Linear in the value's length. */
export function matchesPattern(pattern: string, value: string): boolean {
  const {states, start} = machineOf(pattern)
  const marks = new Int32Array(states.length).fill(-1)
  let step = 0
  let current: number[] = []
  const reach = (index: number, into: number[]): void => {
    const stack = [index]
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (marks[at] === step) continue
      marks[at] = step
      const state = states[at] as State
      if (state !== 'end' && 'split' in state) stack.push(...state.split)
      else into.push(at)
    }
  }
  reach(start, current)
  for (const character of value) {
    step++
    const point = character.codePointAt(0) as number
    const following: number[] = []
    for (const index of current) {
      const state = states[index] as State
      if (state !== 'end' && 'ranges' in state && inRanges(state.ranges, point)) reach(state.next, following)
    }
    if (following.length === 0) return false
    current = following
  }
  return current.some(index => states[index] === 'end')
}

/**
 * Where the pattern matches inside a text, in order; what overlaps is one stretch. Linear in the text's length.
 * Throws on a pattern that {@link findPatternFault} finds fault with.
 */
export function findMatches(pattern: string, text: string): {from: number; to: number}[] {
  const machine = machineOf(pattern)
  // most texts have none: that is seen faster than where
  if (!holdsMatch(machine, text)) return []
  const {states, start} = machine
  const found: {from: number; to: number}[] = []
  // for each state that is reached, the earliest beginning of a match that may end there
  let current = new Map<number, number>()
  const reach = (index: number, from: number, into: Map<number, number>): void => {
    const stack = [index]
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const known = into.get(at)
      if (known !== undefined && known <= from) continue
      into.set(at, from)
      const state = states[at] as State
      if (state !== 'end' && 'split' in state) stack.push(...state.split)
    }
  }
  let at = 0
  for (const character of text) {
    reach(start, at, current)
    const point = character.codePointAt(0) as number
    at += character.length
    const following = new Map<number, number>()
    let earliest = Number.POSITIVE_INFINITY
    for (const [index, from] of current) {
      const state = states[index] as State
      if (state === 'end' || !('ranges' in state) || !inRanges(state.ranges, point)) continue
      reach(state.next, from, following)
    }
    for (const [index, from] of following) if (states[index] === 'end') earliest = Math.min(earliest, from)
    current = following
    if (earliest === Number.POSITIVE_INFINITY) continue
    while ((found.at(-1)?.to ?? -1) > earliest) earliest = Math.min(earliest, (found.pop() as {from: number}).from)
    found.push({from: earliest, to: at})
  }
  return found
}

/** A set of states at once, with where each character leads: made as texts ask for it. */
interface Together {
  readonly members: readonly number[]
  readonly ends: boolean
  readonly next: Map<number, Together>
}

const maxTogether = 2000
const searched = new WeakMap<Machine, {first: Together; byMembers: Map<string, Together>}>()

/** Whether a match begins and ends anywhere in the text. */
function holdsMatch(machine: Machine, text: string): boolean {
  const {states, start} = machine
  let search = searched.get(machine)
  const together = (roots: readonly number[]): Together => {
    const members = new Set<number>()
    const stack = [...roots, start]
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (members.has(at)) continue
      members.add(at)
      const state = states[at] as State
      if (state !== 'end' && 'split' in state) stack.push(...state.split)
    }
    const sorted = [...members].sort((a, b) => a - b)
    const key = sorted.join()
    const known = search?.byMembers.get(key)
    if (known) return known
    const made: Together = {members: sorted, ends: sorted.some(index => states[index] === 'end'), next: new Map()}
    search?.byMembers.set(key, made)
    return made
  }
  if (!search || search.byMembers.size > maxTogether) {
    search = {first: together([]), byMembers: new Map()}
    searched.set(machine, search)
  }
  let at = search.first
  for (let index = 0; index < text.length; index++) {
    const point = text.codePointAt(index) as number
    if (point > 0xffff) index++
    let next = at.next.get(point)
    if (!next) {
      const roots: number[] = []
      for (const member of at.members) {
        const state = states[member] as State
        if (state !== 'end' && 'ranges' in state && inRanges(state.ranges, point)) roots.push(state.next)
      }
      next = together(roots)
      at.next.set(point, next)
    }
    if (next.ends) return true
    at = next
  }
  return false
}

function inRanges(ranges: Ranges, point: number): boolean {
  return ranges.some(([from, to]) => point >= from && point <= to)
}

function compilePattern(pattern: string): Machine {
  const states: State[] = []
  const add = (state: State): number => {
    if (states.length >= maxStates) throw new PatternFault(`the pattern is too large: its repeats come to more than ${maxStates} steps`)
    return states.push(state) - 1
  }
  // built back to front: each piece knows the state that follows it
  const build = (node: Node, next: number): number => {
    switch (node.kind) {
      case 'set':
        return add({ranges: node.ranges, next})
      case 'sequence':
        return node.items.reduceRight((following, item) => build(item, following), next)
      case 'choice':
        return add({split: node.items.map(item => build(item, next))})
      case 'repeat': {
        let from = next
        if (node.max === Number.POSITIVE_INFINITY) {
          const loop = {split: [next]}
          from = add(loop)
          loop.split.push(build(node.item, from))
        } else for (let count = node.min; count < node.max; count++) from = add({split: [build(node.item, from), next]})
        for (let count = 0; count < node.min; count++) from = build(node.item, from)
        return from
      }
    }
  }
  const start = build(parsePattern(pattern), add('end'))
  return {states, start}
}

function parsePattern(pattern: string): Node {
  if (pattern === '' || pattern.length > maxPatternLength) throw new PatternFault(`a pattern has 1 to ${maxPatternLength} characters`)
  const text = [...pattern]
  let at = 0
  const fail = (why: string): never => {
    throw new PatternFault(`${why}, at character ${at + 1} of the pattern`)
  }

  function choice(depth: number): Node {
    const items = [sequence(depth)]
    while (text[at] === '|') {
      if (depth === 0) fail('`|` stands inside a group, (?:a|b)')
      at++
      items.push(sequence(depth))
    }
    return items.length === 1 ? (items[0] as Node) : {kind: 'choice', items}
  }

  function sequence(depth: number): Node {
    const items: Node[] = []
    while (at < text.length && text[at] !== '|' && text[at] !== ')') items.push(repeated(depth))
    if (text[at] === ')' && depth === 0) fail('`)` without its `(`')
    if (items.length === 0) fail('an empty alternative or group')
    return {kind: 'sequence', items}
  }

  function repeated(depth: number): Node {
    const item = atom(depth)
    const bounds = quantifier()
    if (!bounds) return item
    const [min, max] = bounds
    if (quantifier()) fail('two repeats in a row')
    if (max > 1 && item.kind !== 'set' && holdsUnbounded(item)) fail('a repeat inside a repeated group: give the inner one bounds, {1,63}')
    return {kind: 'repeat', item, min, max}
  }

  function quantifier(): [number, number] | undefined {
    const sign = text[at]
    if (sign === '*' || sign === '+' || sign === '?') {
      at++
      return [sign === '+' ? 1 : 0, sign === '?' ? 1 : Number.POSITIVE_INFINITY]
    }
    if (sign !== '{') return undefined
    const found = /^\{(\d{1,4})(,(\d{1,4})?)?\}/.exec(text.slice(at, at + 12).join(''))
    if (!found) return fail('`{` is a repeat such as {1,63}; as a character it is \\{')
    at += found[0].length
    const min = Number(found[1])
    const max = found[2] === undefined ? min : found[3] === undefined ? Number.POSITIVE_INFINITY : Number(found[3])
    if (max < min || max === 0) fail('a repeat from more to less')
    return [min, max]
  }

  function atom(depth: number): Node {
    const character = text[at++] as string
    switch (character) {
      case '(': {
        if (depth >= 16) fail('groups nested too deeply')
        if (text[at] === '?') {
          if (text[at + 1] !== ':') fail('of the groups with `?` only (?: ) is known: no look-around, no names')
          at += 2
        }
        const inner = choice(depth + 1)
        if (text[at++] !== ')') fail('`(` without its `)`')
        return inner
      }
      case '[':
        return {kind: 'set', ranges: set()}
      case '.':
        return {
          kind: 'set',
          ranges: invert([
            [10, 10],
            [13, 13],
            [0x2028, 0x2029],
          ]),
        }
      case '\\':
        return {kind: 'set', ranges: escaped()}
      case '^':
      case '$':
        at--
        return fail(`\`${character}\` is left out: a pattern always matches the whole value; as a character it is \\${character}`)
      case '*':
      case '+':
      case '?':
      case '{':
        at--
        return fail(`nothing to repeat before \`${character}\``)
      case ']':
      case '}':
        at--
        return fail(`\`${character}\` as a character is \\${character}`)
      default:
        return {kind: 'set', ranges: one(character)}
    }
  }

  function escaped(): Ranges {
    const character = text[at++] ?? fail('a `\\` at the end')
    const known = classes[character]
    if (known && Object.hasOwn(classes, character)) return known
    if (character === 't') return one('\t')
    if (/[A-Za-z0-9]/.test(character)) fail(`\\${character} is not known: there are \\d \\w \\s \\t, and no back-references`)
    return one(character)
  }

  function member(): Ranges {
    const character = text[at++] as string
    return character === '\\' ? escaped() : one(character)
  }

  function set(): Ranges {
    const inverted = text[at] === '^'
    if (inverted) at++
    const ranges: Ranges = []
    while (text[at] !== ']') {
      if (at >= text.length) fail('`[` without its `]`')
      if (text[at] === '[') fail('`[` inside a set is \\[')
      const from = member()
      if (text[at] !== '-' || text[at + 1] === ']') {
        ranges.push(...from)
        continue
      }
      at++
      if (at >= text.length) fail('`[` without its `]`')
      const to = member()
      const [low, high] = [from[0]?.[0] ?? 0, to[0]?.[0] ?? 0]
      if (from.length !== 1 || to.length !== 1 || from[0]?.[1] !== low || to[0]?.[1] !== high || low > high)
        fail('a range goes from a lower character to a higher')
      ranges.push([low, high])
    }
    at++
    if (ranges.length === 0) fail('an empty set')
    return inverted ? invert([...ranges, [10, 10], [13, 13]]) : ranges
  }

  const node = choice(0)
  if (at < text.length) fail('the pattern goes on after its end')
  return node
}

function one(character: string): Ranges {
  const point = character.codePointAt(0) as number
  return [[point, point]]
}

function invert(ranges: Ranges): Ranges {
  const inverted: Ranges = []
  let from = 0
  for (const [low, high] of ranges.toSorted(([a], [b]) => a - b)) {
    if (low > from) inverted.push([from, low - 1])
    from = Math.max(from, high + 1)
  }
  if (from <= 0x10ffff) inverted.push([from, 0x10ffff])
  return inverted
}

function holdsUnbounded(node: Node): boolean {
  if (node.kind === 'set') return false
  if (node.kind === 'repeat') return node.max === Number.POSITIVE_INFINITY || holdsUnbounded(node.item)
  return node.items.some(holdsUnbounded)
}
