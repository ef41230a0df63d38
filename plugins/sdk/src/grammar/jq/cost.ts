/**
 * How much a filter may make of its input, judged from the filter alone: a bound on how many values, and how large ones,
 * every step gives. jq itself bounds nothing, so what has no bound (`repeat`, recursion) or too high a one (`range(1e12)`,
 * a text times a billion, doubling forty times) is refused. The input itself counts as small: what it makes a filter do is
 * bounded by the run's limits.
 */
import {
  CostFault,
  checked,
  checkedSize,
  either,
  every,
  type Flow,
  fromInput,
  input,
  join,
  made,
  maxCount,
  nothing,
  type Operand,
  one,
  pieceOf,
  product,
  type Size,
  through,
  times,
} from './flow.ts'
import {functions} from './functions.ts'
import type {Filter, Pattern} from './tree.ts'

const maxSteps = 20_000

/** What can be named where a step stands. */
interface Scope {
  variables: Map<string, Size>
  functions: Map<string, {parameters: string[]; definition: Filter; scope: Scope} | {operand: Operand} | 'itself'>
  labels: Set<string>
}

/** Throws {@link CostFault} unless every step of the filter is bounded, and low enough. Bounded itself. */
export function checkCost(filter: Filter): void {
  let steps = 0
  run(filter, input, {variables: new Map(), functions: new Map(), labels: new Set()})

  function run(step: Filter, dot: Size, scope: Scope): Flow {
    if (++steps > maxSteps) throw new CostFault('is too much work to judge')
    return checked(runStep(step, dot, scope))
  }

  function runStep(step: Filter, dot: Size, scope: Scope): Flow {
    const on = (inner: Filter): Flow => run(inner, dot, scope)
    switch (step.kind) {
      case 'identity':
        return one(dot)
      case 'descend':
        return {count: dot.size, total: 2 * dot.size, each: pieceOf(dot)}
      case 'place':
        return one({size: 3, most: 1000, kind: 'object'})
      case 'number':
        return one({size: 1, most: Math.abs(step.value), kind: 'number'})
      case 'text': {
        const parts = step.parts.map(part => (typeof part === 'string' ? one(made(part.length)) : on(part)))
        const length = sum(parts, ({each}) => each.size)
        return every(product(parts), made(Math.max(1, length * (step.format ? 6 : 1))))
      }
      case 'format':
        return one(made(dot.size * 6))
      case 'index':
      case 'slice': {
        const of = on(step.of)
        const places = (step.kind === 'index' ? [step.at] : step.bounds).map(on)
        if (places.some(({each}) => each.most > maxCount)) throw new CostFault('has an index that is too large')
        const count = product(places)
        return {count: of.count * count, total: of.total * count, each: pieceOf(of.each)}
      }
      case 'iterate': {
        const of = on(step.of)
        return {count: of.total, total: of.total, each: pieceOf(of.each)}
      }
      case 'array': {
        if (!step.of) return one(made(1))
        const of = on(step.of)
        return one({size: of.total + 1, most: of.each.most, kind: fromInput(of.each) ? 'data' : 'made'})
      }
      case 'object': {
        const parts = step.entries.flatMap(({key, value}) => [on(key), on(value)])
        const values = parts.filter((_, index) => index % 2 === 1)
        return every(product(parts), {
          size: 1 + sum(values, ({each}) => each.size),
          most: Math.max(0, ...values.map(({each}) => each.most)),
          kind: 'object',
        })
      }
      case 'negate': {
        const of = on(step.of)
        return {...of, each: {...of.each, kind: 'number'}}
      }
      case 'pipe':
        return step.steps.reduce<Flow>((flow, next) => through(flow, value => run(next, value, scope)), one(dot))
      case 'binary':
        return runBinary(step.sign, step.left, step.right, dot, scope)
      case 'try':
        return either([on(step.body), ...(step.otherwise ? [run(step.otherwise, {...dot, kind: 'made'}, scope)] : [])])
      case 'if':
        return times(either(step.branches.map(on)), product(step.conditions.map(on)))
      case 'as': {
        const source = on(step.source)
        return times(run(step.body, dot, bind(step.patterns, source.each, dot, scope)), source.count)
      }
      case 'fold':
        return runFold(step, dot, scope)
      case 'define': {
        const name = `${step.name}/${step.parameters.length}`
        // the bounds know the built-in ones by their names
        const taken = [name, ...step.parameters.map(parameter => `${parameter.replace('$', '')}/0`)].find(own =>
          Object.hasOwn(functions, own),
        )
        if (taken) throw new CostFault(`takes the name of ${taken}`)
        const outside = {...scope, functions: new Map(scope.functions).set(name, 'itself')}
        const own = {parameters: step.parameters, definition: step.definition, scope: outside}
        return run(step.body, dot, {...scope, functions: new Map(scope.functions).set(name, own)})
      }
      case 'call':
        return runCall(step.name, step.operands, dot, scope)
      case 'variable': {
        const value = scope.variables.get(step.name)
        if (!value) throw new CostFault(`there is no $${step.name} here`)
        return one(value)
      }
      case 'label':
        return run(step.body, dot, {...scope, labels: new Set(scope.labels).add(step.name)})
      case 'break':
        if (!scope.labels.has(step.name)) throw new CostFault(`there is no label $${step.name} here`)
        return nothing
    }
  }

  function runBinary(sign: string, leftStep: Filter, rightStep: Filter, dot: Size, scope: Scope): Flow {
    const left = run(leftStep, dot, scope)
    if (sign === '|=') {
      const changed = run(rightStep, left.each, scope)
      return one(made(dot.size + left.count * Math.max(0, changed.each.size - left.each.size), Math.max(dot.most, changed.each.most)))
    }
    const right = run(rightStep, dot, scope)
    if (sign === ',') return {count: left.count + right.count, total: left.total + right.total, each: join(left.each, right.each)}
    if (sign === '//') return either([left, right])
    const count = left.count * right.count
    if (sign.endsWith('=') && !['==', '!=', '<=', '>='].includes(sign)) {
      const value = sign === '=' || sign === '//=' ? right.each : calculate(sign[0] as string, left.each, right.each, rightStep)
      // what is added to a place grows it by that much
      const growth = sign === '+=' ? right.each.size : Math.max(0, value.size - (sign === '*=' || sign === '/=' ? left.each.size : 0))
      return every(right.count, made(dot.size + left.count * growth, Math.max(dot.most, value.most)))
    }
    return every(count, calculate(sign, left.each, right.each, rightStep))
  }

  /** `reduce` and `foreach`: what they hold may grow by the same amount each time, and not by more. */
  function runFold(step: Filter & {kind: 'fold'}, dot: Size, scope: Scope): Flow {
    const source = run(step.source, dot, scope)
    const inner = bind(step.patterns, source.each, dot, scope)
    const start = run(step.start, dot, scope)
    const held: Size[] = [start.each]
    let updates = 0
    for (let round = 0; round < 4; round++) {
      const update = run(step.update, held.at(-1) as Size, inner)
      updates = Math.max(updates, update.count)
      held.push(join(held.at(-1) as Size, update.each))
    }
    const grown = (of: (value: Size) => number): [number, boolean] => {
      const [, , second, third, fourth] = held.map(of) as [number, number, number, number, number]
      return [fourth + (fourth - third) * source.count, fourth - third > third - second]
    }
    const [size, faster] = grown(value => value.size)
    if (faster) throw new CostFault('makes what it holds grow ever faster')
    const [most, soars] = grown(value => value.most)
    const last = checkedSize({size, most: soars ? Number.POSITIVE_INFINITY : most, kind: (held.at(-1) as Size).kind})
    if (!step.each) return every(start.count, last)
    const shown = step.extract ? run(step.extract, last, inner) : one(last)
    return times(shown, start.count * source.count * Math.max(1, updates))
  }

  function runCall(name: string, operands: Filter[], dot: Size, scope: Scope): Flow {
    const signature = `${name}/${operands.length}`
    const known = scope.functions.get(signature)
    if (known === 'itself') throw new CostFault(`${name} calls itself`)
    const given = operands.map(
      (operand): Operand =>
        value =>
          run(operand, value, scope),
    )
    if (known && 'operand' in known) return known.operand(dot)
    if (known) {
      const variables = new Map(known.scope.variables)
      const inside = new Map(known.scope.functions)
      let count = 1
      for (const [index, parameter] of known.parameters.entries()) {
        const operand = given[index] as Operand
        inside.set(`${parameter.replace('$', '')}/0`, {operand})
        if (!parameter.startsWith('$')) continue
        const value = operand(dot)
        variables.set(parameter.slice(1), value.each)
        count *= value.count
      }
      return times(run(known.definition, dot, {...known.scope, variables, functions: inside}), count)
    }
    const builtIn = Object.hasOwn(functions, signature) ? functions[signature] : undefined
    if (!builtIn) throw new CostFault(`there is no function ${name} with ${operands.length} operands here`)
    // every operand is judged, whatever the function makes of it
    for (const operand of given) operand(dot)
    return builtIn(dot, given, operands)
  }

  function bind(patterns: Pattern[], value: Size, dot: Size, scope: Scope): Scope {
    const variables = new Map(scope.variables)
    for (const {names} of patterns) for (const name of names) variables.set(name, pieceOf(value))
    const inner = {...scope, variables}
    for (const {keys} of patterns) for (const key of keys) run(key, dot, inner)
    return inner
  }
}

function calculate(sign: string, left: Size, right: Size, rightStep: Filter): Size {
  const isNumber = left.kind === 'number' || right.kind === 'number'
  const number = (most: number): Size => ({size: 1, most: Number.isNaN(most) ? Number.POSITIVE_INFINITY : most, kind: 'number'})
  const kind = left.kind === 'object' || right.kind === 'object' ? 'object' : fromInput(left) && fromInput(right) ? 'data' : 'made'
  const both = left.size + right.size
  switch (sign) {
    case '+':
      return isNumber ? number(left.most + right.most) : {size: both, most: left.most + right.most, kind}
    case '-':
      return isNumber ? number(left.most + right.most) : {size: left.size, most: left.most + right.most, kind}
    case '*': {
      const most = left.most * right.most
      if (kind === 'data') return isNumber ? number(most) : {size: both, most, kind}
      if (kind === 'object') return {size: both, most, kind}
      // a text times a number is that text so many times
      const repeated = (text: Size, by: Size): number => (text.kind === 'number' ? 1 : text.size * Math.max(1, by.most))
      return {size: Math.max(both, repeated(left, right), repeated(right, left)), most, kind}
    }
    case '/': {
      const least = rightStep.kind === 'number' ? rightStep.value : 0
      const most = least > 0 ? left.most / least : Number.POSITIVE_INFINITY
      return isNumber ? number(most) : {size: left.size + 1, most, kind}
    }
    case '%':
      return number(right.most)
    default:
      return {size: 1, most: 0, kind: 'made'}
  }
}

function sum(flows: Flow[], of: (flow: Flow) => number): number {
  return flows.reduce((all, flow) => all + of(flow), 0)
}
