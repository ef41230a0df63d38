/** A filter of jq as a tree. */

/** One step of a filter. */
export type Filter =
  | {kind: 'identity' | 'descend' | 'place'}
  | {kind: 'number'; value: number}
  | {kind: 'text'; parts: (string | Filter)[]; format?: string}
  | {kind: 'format'}
  | {kind: 'index'; of: Filter; at: Filter}
  | {kind: 'slice'; of: Filter; bounds: Filter[]}
  | {kind: 'iterate'; of: Filter}
  | {kind: 'array'; of: Filter | undefined}
  | {kind: 'object'; entries: {key: Filter; value: Filter}[]}
  | {kind: 'negate'; of: Filter}
  | {kind: 'pipe'; steps: Filter[]}
  | {kind: 'binary'; sign: string; left: Filter; right: Filter}
  | {kind: 'try'; body: Filter; otherwise: Filter | undefined}
  | {kind: 'if'; conditions: Filter[]; branches: Filter[]}
  | {kind: 'fold'; source: Filter; patterns: Pattern[]; start: Filter; update: Filter; extract: Filter | undefined; each: boolean}
  | {kind: 'as'; source: Filter; patterns: Pattern[]; body: Filter}
  | {kind: 'define'; name: string; parameters: string[]; definition: Filter; body: Filter}
  | {kind: 'call'; name: string; operands: Filter[]}
  | {kind: 'variable'; name: string}
  | {kind: 'label'; name: string; body: Filter}
  | {kind: 'break'; name: string}

/** What a value is taken apart by: the names it binds and the keys that are computed for it. */
export interface Pattern {
  names: string[]
  keys: Filter[]
}
