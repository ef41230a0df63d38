/** Bounds on the values that the steps of a filter of jq give, and how bounds are put together. */

/** What is known of a value. */
export interface Size {
  /** how many pieces or characters at most */
  size: number
  /** the largest number that it may be, or hold */
  most: number
  /** `data`: a piece of the input or a number made of it; `made`: anything else */
  kind: 'number' | 'data' | 'object' | 'made'
}

/** What is known of the values that a step gives. */
export interface Flow {
  count: number
  /** of all of them together */
  total: number
  /** of each */
  each: Size
}

/** What a function is given: an operand, to be run on a value. */
export type Operand = (input: Size) => Flow

/** A filter that may cost too much, or uses what is not allowed. */
export class CostFault extends Error {}

/** The input of the whole filter. */
export const input: Size = {size: 10, most: 10, kind: 'data'}
/** Most values of one step. */
export const maxCount = 100_000
/** Most pieces and characters of all values of one step. */
export const maxTotal = 2_000_000

/** One value. */
export function one(each: Size): Flow {
  return {count: 1, total: each.size, each}
}

/** So many values, each like this. */
export function every(count: number, each: Size): Flow {
  return {count, total: count * each.size, each}
}

/** No value. */
export const nothing: Flow = {count: 0, total: 0, each: {size: 1, most: 0, kind: 'number'}}

/** A value that a filter made. */
export function made(size: number, most = 0): Size {
  return {size, most, kind: 'made'}
}

/** A value that is part of this one, or made of nothing but its parts. */
export function pieceOf({size, most, kind}: Size): Size {
  return {size, most, kind: kind === 'data' ? 'data' : 'made'}
}

/**
 * What a step gives that is run on each value of a flow. The sizes of the values are not known, but their sum is: what
 * costs most is then few values as large as can be, or many of size 1.
 */
export function through(flow: Flow, next: Operand): Flow {
  const large = next(flow.each)
  if (flow.count <= 1) return large
  const largest = Math.min(flow.each.size, flow.total)
  const few = times(large, Math.ceil(flow.total / Math.max(1, largest)))
  const many = times(next({...flow.each, size: 1}), flow.count)
  return checked({count: Math.max(few.count, many.count), total: Math.max(few.total, many.total), each: large.each})
}

/** The flow, so many times. */
export function times({count, total, each}: Flow, factor: number): Flow {
  return {count: count * factor, total: total * factor, each}
}

/** What either gives: the larger of all. */
export function either(flows: Flow[]): Flow {
  const [first, ...others] = flows as [Flow, ...Flow[]]
  return others.reduce(
    (all, flow) => ({
      count: Math.max(all.count, flow.count),
      total: Math.max(all.total, flow.total),
      each: flow.count === 0 ? all.each : all.count === 0 ? flow.each : join(all.each, flow.each),
    }),
    first,
  )
}

/** How many values come of flows that are combined each with each. */
export function product(flows: Flow[]): number {
  return flows.reduce((all, {count}) => all * count, 1)
}

/** Throws where a flow is more than a filter may make. */
export function checked(flow: Flow): Flow {
  if (!(flow.count <= maxCount)) throw new CostFault('gives too many values')
  if (!(flow.total <= maxTotal)) throw new CostFault('makes values that are too large')
  checkedSize(flow.each)
  return flow
}

/** Throws where a value is larger than a filter may make. */
export function checkedSize(value: Size): Size {
  if (!(value.size <= maxTotal)) throw new CostFault('makes a value that is too large')
  return value
}

/** What two values may both be. */
export function join(left: Size, right: Size): Size {
  const kind = left.kind === right.kind ? left.kind : fromInput(left) && fromInput(right) ? 'data' : 'made'
  return {size: Math.max(left.size, right.size), most: Math.max(left.most, right.most), kind}
}

/** Is it a number, or of the input: no text that the filter made? */
export function fromInput({kind}: Size): boolean {
  return kind === 'data' || kind === 'number'
}
