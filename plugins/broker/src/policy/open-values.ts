/** Arguments that bind nothing: any text, or a pattern that every text matches. Pure. */
import type {Command} from '@prod/sdk/grammar/compile'
import type {ValueSpec} from '@prod/sdk/grammar/grammar'
import {matchesPattern} from '@prod/sdk/grammar/pattern'
import {allOf, specOf} from '@prod/sdk/grammar/values'

/** What no pattern that means something lets through all of. */
const probes = ['a', 'Z9', '-x', '--all', '/etc/shadow', '../..', '$(id)', ';id', 'a b', "'", '"', '@f', '%00', 'x=y', '*', '!', '|sh', '#']

/** Whether a pattern says nothing, but for so many of these: `.*`, all that ASCII can print, and whatever else comes to the same. */
export function matchesAll(pattern: string, misses = 0): boolean {
  const missed = (text: (probe: string) => string): number => probes.filter(probe => !matchesPattern(pattern, text(probe))).length
  return missed(probe => probe) <= misses || missed(probe => `${probe}${probe}`) <= misses
}

/** Whether a value of this type may be any text, or any but for so many of the probes. */
export function isOpen(spec: ValueSpec, misses = 0): boolean {
  if (spec.type === 'string' || spec.type === 'text') return spec.pattern === undefined || matchesAll(spec.pattern, misses)
  return spec.type === 'any' && allOf(spec).some(one => isOpen(one, misses))
}

/** Every type of a command's options and operands, those inside of others too. */
export function typesOf({options, operands}: Command): ValueSpec[] {
  const inside = (spec: ValueSpec): ValueSpec[] => [spec, ...allOf(spec).flatMap(inside)]
  return [...options.values()]
    .flatMap(({type}) => type ?? [])
    .concat(operands.map(({type}) => specOf(type)))
    .flatMap(inside)
}

/** Whether any option or operand takes any text, or any without one sign: to an interpreter that is no bound. */
export function takesAnything(command: Command): boolean {
  return typesOf(command).some(spec => isOpen(spec, 1))
}
