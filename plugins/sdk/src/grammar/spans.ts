/** How far apart two times of one command may lie, as far as that can be said without a clock. */
import type {Option} from './compile.ts'
import {findDurationSeconds} from './duration.ts'
import type {Part, Refusal} from './grammar.ts'
import {findTimePoint, mostBetween, type TimePoint} from './kinds/time.ts'
import type {Reading} from './reading.ts'
import {quote} from './say.ts'

/** The first span of the command that is too long, or that only a clock could judge. Pure. */
export function findSpanFault(reading: Reading, end: number): Refusal | undefined {
  const {command, parts} = reading
  for (const span of command.grammar.spans ?? []) {
    const from = command.options.get(span.from)
    const to = span.to === undefined ? undefined : command.options.get(span.to)
    const start = from && pointOf(reading, from)
    const stop = to && pointOf(reading, to)
    if (!from || (!start && !stop)) continue
    const bound = `${span.from} to ${span.to ?? 'now'}: at most ${span.max}`
    if (!start) return {position: end, message: `${to?.name ?? 'a time'} needs ${from.name} with it`, allowed: [bound]}
    const most = mostBetween(start.point, stop?.point ?? {from: 'now', offset: 0})
    if (most === undefined) {
      const message = stop
        ? `${from.name} ${quote(start.value)} and ${to?.name} ${quote(stop.value)} are told in two ways: how far apart they lie depends on when it runs`
        : `${from.name} ${quote(start.value)} is a fixed time${to ? `: it needs ${to.name} with it` : ', and it must be told from now'}`
      return {position: stop || !to ? placeOf(parts, start.part) : end, message, allowed: [bound]}
    }
    if (most > (findDurationSeconds(span.max) ?? 0))
      return {position: placeOf(parts, start.part), message: `${quote(start.value)} is further back than ${span.max}`, allowed: [bound]}
  }
  return undefined
}

function pointOf({parts}: Reading, option: Option): {point: TimePoint; value: string; part: Part} | undefined {
  const part = parts.findLast(one => one.kind === 'option' && one.name === option.name)
  if (part?.kind !== 'option' || part.value === null || !option.type) return undefined
  const point = findTimePoint(part.value, option.type)
  return point && {point, value: part.value, part}
}

/** The index in argv of the word that holds this option's value. */
function placeOf(parts: readonly Part[], wanted: Part): number {
  let at = 0
  for (const part of parts) {
    if (!('bundled' in part && part.bundled)) at++
    if (part.kind === 'option' && part.attach === 'separate') at++
    if (part === wanted) break
  }
  return at
}
