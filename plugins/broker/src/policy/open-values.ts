/** Arguments that bind nothing: any text, or a pattern that every text matches. Pure. */
import type {Command} from '@prod/sdk/grammar/compile'
import type {ValueSpec} from '@prod/sdk/grammar/grammar'
import {matchesPattern} from '@prod/sdk/grammar/pattern'
import {allOf, specOf} from '@prod/sdk/grammar/values'

/** What no pattern that means something lets through all of. */
const probes = [
  'a',
  'Z9',
  '-x',
  '--all',
  '/etc/shadow',
  '../..',
  '$(id)',
  ';id',
  'a b',
  "'",
  '"',
  '@f',
  'é',
  '%00',
  'x=y',
  '*',
  '!',
  '|sh',
  '#',
]

/** Whether a pattern says nothing: `.*`, and whatever else comes to the same. */
export function matchesAll(pattern: string): boolean {
  return probes.every(probe => matchesPattern(pattern, probe)) || probes.every(probe => matchesPattern(pattern, `${probe}${probe}`))
}

/** Whether a value of this type may be any text. */
export function isOpen(spec: ValueSpec): boolean {
  if (spec.type === 'string' || spec.type === 'text') return spec.pattern === undefined || matchesAll(spec.pattern)
  return spec.type === 'any' && allOf(spec).some(isOpen)
}

/** Every type of a command's options and operands, those inside of others too. */
export function typesOf({options, operands}: Command): ValueSpec[] {
  const inside = (spec: ValueSpec): ValueSpec[] => [spec, ...allOf(spec).flatMap(inside)]
  return [...options.values()]
    .flatMap(({type}) => type ?? [])
    .concat(operands.map(({type}) => specOf(type)))
    .flatMap(inside)
}

/** Whether any option or operand takes any text. */
export function takesAnything(command: Command): boolean {
  return typesOf(command).some(isOpen)
}
