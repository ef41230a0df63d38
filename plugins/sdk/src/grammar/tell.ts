/** What one argv says by its grammar, in words: for `prod policy explain` and whoever wonders how it was read. */
import {compile, type Operand, type Option} from './compile.ts'
import type {FindGrammar, Grammar, Part, Structure} from './grammar.ts'
import {optionLabel} from './say.ts'
import {describeValue, specOf} from './values.ts'

/** One line: what it is (`--since`, `UNIT`), the value as typed, and what kind of value that is. */
export interface Told {
  name: string
  value: string
  kind: string
  /** how many commands it stands behind */
  depth: number
}

/** Every part of a structure in the order typed; a command behind another follows it, one deeper. Secrets are not repeated. Pure. */
export function tellStructure(structure: Structure, grammar: Grammar, tools?: FindGrammar, depth = 0): Told[] {
  const command = compile(grammar).commands[structure.command]
  const things = new Map<string, Option | Operand>([
    ...[...(command?.options.values() ?? [])].map(option => [option.name, option] as const),
    ...(command?.operands ?? []).map(operand => [operand.name, operand] as const),
  ])
  const head: Told[] = [
    {
      name: 'command',
      value: [structure.tool, ...structure.path].join(' '),
      kind: command?.grammar.summary ?? `class ${structure.class}`,
      depth,
    },
  ]
  const told = structure.parts.flatMap(part => tellPart(part, things).map(line => ({...line, depth})))
  const inner = structure.inner
  const innerGrammar = inner && tools?.(inner.tool)
  return [...head, ...told, ...(inner && innerGrammar ? tellStructure(inner, innerGrammar, tools, depth + 1) : [])]
}

function tellPart(part: Part, things: ReadonlyMap<string, Option | Operand>): Omit<Told, 'depth'>[] {
  if (part.kind === 'path') return []
  if (part.kind === 'dashes') return [{name: '--', value: '', kind: 'no options after it'}]
  const thing = things.get(part.name)
  if (!thing) return []
  const secret = thing.type !== undefined && specOf(thing.type).secret === true
  const kind = [...(thing.type === undefined ? [] : [describeValue(thing.type)]), ...(thing.summary === undefined ? [] : [thing.summary])]
  if (part.kind === 'command') return [{name: thing.name.toUpperCase(), value: '', kind: 'judged by its own definition, as follows'}]
  const name = part.kind === 'operand' ? thing.name.toUpperCase() : part.kind === 'value' ? '' : nameOf(part, thing as Option)
  return [{name, value: part.value === null ? '' : secret ? '[secret]' : part.value, kind: kind.join('; ') || 'a flag'}]
}

/** As typed, and the option's own name where that is another: `-n (--lines)`. */
function nameOf({spelling}: Part & {kind: 'option'}, option: Option): string {
  const typed = spelling === '-' ? optionLabel({...option, name: '-NUM'}) : spelling
  return typed === option.name ? typed : `${typed} (${option.name})`
}
