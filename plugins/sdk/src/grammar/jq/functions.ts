/**
 * The functions of jq that a filter may use, each with a bound on what it gives. Not among them: what reads anything but the
 * input (`env`, `$ENV`, `input_filename`, `get_search_list`, modules), what ends or writes beside the result (`halt`, `debug`,
 * `stderr`), and what goes on without an end (`repeat`, `while`, `until`, `combinations`).
 */
import {findExpressionFault} from './expression.ts'
import {
  CostFault,
  every,
  type Flow,
  fromInput,
  input,
  made,
  maxCount,
  nothing,
  type Operand,
  one,
  pieceOf,
  type Size,
  through,
  times,
} from './flow.ts'
import type {Filter} from './tree.ts'

type Bound = (dot: Size, operands: Operand[], filters: Filter[]) => Flow

const soaring = Number.POSITIVE_INFINITY
const yes: Size = {size: 1, most: 0, kind: 'made'}
const number = (most: number): Size => ({size: 1, most, kind: 'number'})

/** No larger than what came in: a part of it, or it in another order. */
const piece: Bound = dot => one(pieceOf(dot))
const truth: Bound = (dot, operands) => every(countOf(dot, operands), yes)
const figure: Bound = (dot, operands) => every(countOf(dot, operands), number(Math.max(dot.size, dot.most)))
const largeFigure: Bound = (dot, operands) => every(countOf(dot, operands), number(soaring))
/** A text made of the one that came in. */
const words: Bound = (dot, operands) => (dot.kind === 'object' ? nothing : every(countOf(dot, operands), made(dot.size)))
const moment: Bound = (dot, operands) => every(countOf(dot, operands), {size: 40, most: soaring, kind: 'made'})
/** All pieces of what came in. */
const pieces: Bound = dot => ({count: dot.size, total: dot.size, each: pieceOf(dot)})
const matches: Bound = (dot, _, filters) => {
  checkExpression(filters[0] as Filter)
  return {count: dot.size, total: 10 * dot.size, each: made(10 * dot.size)}
}
const replaced =
  (all: boolean): Bound =>
  (dot, operands, filters) => {
    checkExpression(filters[0] as Filter, all || filters.length > 2)
    // `x` would give blanks and # another meaning
    const flags = filters[2]
    if (flags && !(flags.kind === 'text' && flags.parts.every(part => typeof part === 'string' && /^[ginsl]*$/.test(part))))
      throw new CostFault('has flags that are not written out')
    if (dot.kind === 'object') return nothing
    const by = (operands[1] as Operand)({...made(dot.size), kind: 'object'})
    return every(Math.max(1, by.count), made(dot.size * (1 + by.each.size)))
  }

const map: Bound = (dot, [operand]) => {
  const flow = through({count: dot.size, total: dot.size, each: pieceOf(dot)}, operand as Operand)
  return one({size: flow.total + 1, most: flow.each.most, kind: fromInput(flow.each) ? 'data' : 'made'})
}

const range: Bound = (dot, operands, filters) => {
  const flows = operands.map(operand => operand(dot))
  const by = filters[2] === undefined ? 1 : stepOf(filters[2])
  const reach = flows.length === 1 ? most(flows[0]) : most(flows[0]) + most(flows[1])
  return every(flows.reduce((count, flow) => count * flow.count, 1) * (Math.ceil(reach / by) + 1), number(reach))
}

const recurse: Bound = (dot, _, filters) => {
  if (filters[0] && !descends(filters[0])) throw new CostFault('goes down without an end')
  return {count: dot.size, total: 2 * dot.size, each: pieceOf(dot)}
}

/** Each container of the input goes through once its parts have: it may not come out larger by a factor. */
const walk: Bound = (dot, [operand]) => {
  const on = (size: number): Flow => (operand as Operand)({size, most: dot.most, kind: 'object'})
  const [small, large] = [on(10), on(1010)]
  if (small.count > 1 || large.each.size - small.each.size > 1100) throw new CostFault('makes each level larger by a factor')
  const leaf = (operand as Operand)(pieceOf(dot))
  return one(
    made(2 * dot.size + dot.size * Math.max(leaf.each.size - dot.size, small.each.size - 10, 0), Math.max(dot.most, leaf.each.most)),
  )
}

const limit: Bound = (dot, [amount, operand]) => {
  const flow = (operand as Operand)(dot)
  const count = Math.min(flow.count, Math.max(1, most((amount as Operand)(dot))))
  return {...flow, count}
}
const firstOf: Bound = (dot, operands) => {
  const flow = (operands.at(-1) as Operand)(dot)
  return flow.count === 0 ? nothing : one(flow.each)
}
const placed: Bound = (dot, [place, value]) => {
  const path = (place as Operand)(dot)
  if (path.each.most > maxCount) throw new CostFault('has an index that is too large')
  const put = (value as Operand)(dot)
  return every(path.count * put.count, made(dot.size + put.each.size, Math.max(dot.most, put.each.most)))
}
const joined: Bound = (dot, [between]) => {
  const text = (between as Operand)(dot)
  return every(text.count, made(dot.size * (1 + text.each.size)))
}

/** By name and number of operands, as jq knows them. */
export const functions: Readonly<Record<string, Bound>> = {
  ...all(
    'true false null not type isinfinite isnan isnormal any all has/1 in/1 inside/1 contains/1 startswith/1 endswith/1 any/1 all/1 any/2 all/2 isempty/1 isvalid/1 IN/1 IN/2',
    truth,
  ),
  ...all('length utf8bytelength', dot => one(number(Math.max(dot.size, dot.most)))),
  ...all('floor ceil round trunc sqrt fabs abs cbrt log log2 log10 nan input_line_number bsearch/1 index/1 rindex/1', figure),
  ...all('exp exp2 exp10 pow/2 ldexp/2 infinite now mktime fromdate fromdateiso8601 fromdate/1', largeFigure),
  ...all('significand logb gamma lgamma', largeFigure),
  ...all('tonumber', dot => one(number(fromInput(dot) ? dot.most : soaring))),
  ...all('fromjson', dot => one(dot.kind === 'data' ? dot : made(dot.size, soaring))),
  ...all('tojson', dot => one(made(2 * dot.size + 2))),
  ...all('tostring ascii_downcase ascii_upcase implode trim ltrim rtrim ltrimstr/1 rtrimstr/1', words),
  ...all('explode', dot => one(made(dot.size, 1_114_111))),
  ...all('todate todateiso8601 date dateadd/2 datesub/2 gmtime localtime strftime/1 strflocaltime/1 strptime/1 todate/1', moment),
  ...all('keys keys_unsorted sort unique reverse to_entries from_entries flatten flatten/1 first last min max toarray', piece),
  ...all('add', dot => one({...pieceOf(dot), most: dot.size * dot.most})),
  ...all('transpose', dot => one({...pieceOf(dot), size: dot.size ** 2})),
  ...all('group_by/1', dot => one({...pieceOf(dot), size: 2 * dot.size})),
  ...all('values nulls booleans numbers strings arrays objects iterables scalars finites normals', piece),
  ...all('sort_by/1 unique_by/1 min_by/1 max_by/1 del/1 delpaths/1 getpath/1 nth/1 pick/1', piece),
  ...all('indices/1', dot => one(made(dot.size + 1, dot.size))),
  ...all('select/1', (dot, [test]) => times(one(dot), (test as Operand)(dot).count)),
  ...all('empty error error/1', () => nothing),
  ...all('map/1', map),
  ...all('map_values/1 with_entries/1', (dot, operands, filters) => {
    const {size, most} = map(dot, operands, filters).each
    return one(made(Math.max(dot.size, size), most))
  }),
  ...all('add/1', (dot, [operand]) => {
    const flow = (operand as Operand)(dot)
    return one({...flow.each, size: flow.total + 1, most: flow.each.most * Math.max(1, flow.count)})
  }),
  ...all('path/1', (dot, [operand]) => times(one(made(dot.size, dot.most)), (operand as Operand)(dot).count)),
  ...all('paths paths/1 leaf_paths tostream', dot => ({count: dot.size, total: 4 * dot.size, each: made(dot.size, dot.size)})),
  ...all('fromstream/1 truncate_stream/1 truncate_stream/2', (dot, operands) => {
    const flow = (operands.at(-1) as Operand)(dot)
    return {...flow, each: made(flow.total, flow.each.most)}
  }),
  ...all('range/1 range/2 range/3', range),
  ...all('recurse recurse/1 recurse/2', recurse),
  ...all('walk/1', walk),
  ...all('limit/2', limit),
  ...all('skip/2', (dot, operands) => (operands[1] as Operand)(dot)),
  ...all('first/1 last/1 nth/2', firstOf),
  ...all('setpath/2', placed),
  ...all('join/1', joined),
  ...all('INDEX/1', dot => one(made(2 * dot.size, dot.most))),
  ...all('INDEX/2', (dot, operands) => one(made(2 * (operands[0] as Operand)(dot).total + 1, dot.most))),
  ...all('split/1', (dot, operands) => every(countOf(dot, operands), {...pieceOf(dot), size: dot.size + 1})),
  ...all('split/2', (dot, operands, filters) => one(made(matches(dot, operands, filters).each.size))),
  ...all('test/1 test/2', (dot, operands, filters) => {
    checkExpression(filters[0] as Filter)
    return truth(dot, operands, filters)
  }),
  ...all('match/1 match/2 capture/1 capture/2 scan/1 scan/2 splits/1 splits/2', matches),
  ...all('sub/2 sub/3', replaced(false)),
  ...all('gsub/2 gsub/3', replaced(true)),
  ...all('input', () => one(input)),
  ...all('inputs', () => pieces(input, [], [])),
}

function all(names: string, bound: Bound): Record<string, Bound> {
  return Object.fromEntries(names.split(' ').map(name => [name.includes('/') ? name : `${name}/0`, bound]))
}

function countOf(dot: Size, operands: Operand[]): number {
  return operands.reduce((count, operand) => count * Math.max(1, operand(dot).count), 1)
}

function most(flow: Flow | undefined): number {
  return flow?.each.most ?? 0
}

/** The step of a range, as written; a step of nothing, or one that nobody can see, never ends. */
function stepOf(filter: Filter): number {
  const bare = filter.kind === 'negate' ? filter.of : filter
  if (bare.kind !== 'number' || bare.value === 0) throw new CostFault('has a range whose step is not a number')
  return bare.value
}

/** A regular expression is written out, or comes with the input; where all matches are replaced it matches no empty text, on which jq 1.6 never ends. */
function checkExpression(filter: Filter, replaces = false): void {
  if (filter.kind !== 'text') {
    if (!replaces && ['variable', 'index', 'array'].includes(filter.kind)) return
    throw new CostFault('has a regular expression that is not written out')
  }
  const [text = '', ...more] = filter.parts
  if (more.length > 0 || typeof text !== 'string') throw new CostFault('has a regular expression that is not written out')
  const fault = findExpressionFault(text, replaces)
  if (fault) throw new CostFault(fault)
}

/** Does it give only what lies below its input, so that taking it again and again ends? */
function descends(filter: Filter): boolean {
  switch (filter.kind) {
    case 'iterate':
      return isPlace(filter.of) || descends(filter.of)
    case 'index':
    case 'slice':
      return filter.kind === 'index' && descends(filter.of)
    case 'try':
      return descends(filter.body) && (!filter.otherwise || isEmpty(filter.otherwise))
    case 'binary':
      if (filter.sign === ',') return descends(filter.left) && descends(filter.right)
      return filter.sign === '//' && (isPart(filter.left) || descends(filter.left)) && isEmpty(filter.right)
    case 'pipe':
      return filter.steps.some(descends) && filter.steps.every(step => descends(step) || isPlace(step) || isSieve(step))
    case 'if':
      return filter.branches.every(branch => descends(branch) || isEmpty(branch))
    default:
      return isEmpty(filter)
  }
}

/** `.`, `.a`, `.a.b?`: one place in the input. */
function isPlace(filter: Filter): boolean {
  return filter.kind === 'identity' || isPart(filter)
}

/** `.a`, `.a.b?`: one place below the input. */
function isPart(filter: Filter): boolean {
  if (filter.kind === 'try') return !filter.otherwise && isPart(filter.body)
  return filter.kind === 'index' && (filter.at.kind === 'text' || filter.at.kind === 'number') && isPlace(filter.of)
}

function isEmpty(filter: Filter): boolean {
  return filter.kind === 'call' && filter.name === 'empty'
}

function isSieve(filter: Filter): boolean {
  const sieves = ['select', 'values', 'objects', 'arrays', 'iterables', 'scalars', 'strings', 'numbers', 'booleans', 'nulls', 'empty']
  return filter.kind === 'call' && sieves.includes(filter.name)
}
