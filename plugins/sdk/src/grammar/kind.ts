/** What a value type is made of. The types themselves are in kinds/, their table is in values.ts. */
import type {ValueSpec} from './grammar.ts'

/** What policy sees of a value. */
export type CedarType = 'String' | 'Long' | 'Bool' | 'Set<String>'

/** One value type. */
export interface ValueKind {
  /** the fields it takes beside `type`, `summary` and `secret`; any other is refused */
  fields: readonly (keyof ValueSpec)[]
  /** one value, told from a whole argument or a piece of one; `afterDashes`: a leading `-` is harmless there */
  test(value: string, spec: ValueSpec, afterDashes: boolean): boolean
  /** after "it is": `an integer from 1 to 5000` */
  describe(spec: ValueSpec): string
  cedar: 'String' | 'Long' | 'Set<String>'
  /** what policy sees, where it is not the text itself */
  cedarValue?(value: string, spec: ValueSpec): number | string[]
  /** a fault of the definition, or undefined */
  findFault?(spec: ValueSpec): string | undefined
  /** all values, where they are few and known: for completion, and to tell operands apart */
  list?(spec: ValueSpec): string[]
  /** some values of it, for examples and for lines made by chance; those that the bounds of a definition refuse are left out */
  samples?(spec: ValueSpec): string[]
  /** it may begin with `-` as an operand without `--`: for types that know their few values */
  ownDash?: true
  /** most characters of a value where the definition does not say: default 256 */
  maxLength?: number
}

/** Types by their names, a part of the whole table. */
export type ValueKinds = Readonly<Record<string, ValueKind>>

/** Characters that nobody sees, or that do more than stand there; the blank is not among them. */
export const hidden = /[[\p{C}\p{Z}\p{DI}\u2800\ufffc]--[ ]]/v

/** A text that can be a value spelled out in a definition. Pure. */
export function isWord(value: string): boolean {
  return typeof value === 'string' && !hidden.test(value) && value.length <= 4096 && value !== '--'
}

/** The end of a description: what the pattern of the definition asks. Pure. */
export function suchAs(spec: ValueSpec): string {
  return spec.pattern === undefined ? '' : `, matching ${spec.pattern}`
}

/** `a`, `a or b`, `a, b or c`. Pure. */
export function orList(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} or ${items.at(-1)}`
}
