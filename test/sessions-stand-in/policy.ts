/** Whether IAM allows a call: what the role allows, bounded by the policy of the session; an explicit deny goes before all. */

/** One statement of a policy document. */
export interface Statement {
  Effect: 'Allow' | 'Deny'
  Action?: string | string[]
  NotAction?: string | string[]
  Resource?: string | string[]
  NotResource?: string | string[]
  Condition?: Record<string, Record<string, string | boolean | number | (string | boolean | number)[]>>
}

/** A policy as text or as data. */
export type Policy = string | {Statement: Statement | Statement[]}

/** What a call wants. */
export interface Wish {
  action: string
  resource: string
  context: Readonly<Record<string, string>>
}

const list = <T>(value: T | T[] | undefined): T[] => (value === undefined ? [] : Array.isArray(value) ? value : [value])

/** The statements of a policy. */
export function statements(policy: Policy): Statement[] {
  return list((typeof policy === 'string' ? (JSON.parse(policy) as {Statement: Statement[]}) : policy).Statement)
}

const like = (pattern: string, text: string): boolean => {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`, 's').test(text)
}

/** `${aws:username}` and its like, put in. */
const filled = (text: string, context: Wish['context']): string =>
  text.replace(/\$\{([^}]+)\}/g, (whole, name: string) => context[name] ?? whole)

const operators: Record<string, (has: string, wanted: string) => boolean> = {
  StringEquals: (has, wanted) => has === wanted,
  StringNotEquals: (has, wanted) => has !== wanted,
  StringEqualsIgnoreCase: (has, wanted) => has.toLowerCase() === wanted.toLowerCase(),
  StringLike: (has, wanted) => like(wanted, has),
  StringNotLike: (has, wanted) => !like(wanted, has),
  ArnLike: (has, wanted) => like(wanted, has),
  ArnEquals: (has, wanted) => like(wanted, has),
  Bool: (has, wanted) => has.toLowerCase() === wanted.toLowerCase(),
  NumericEquals: (has, wanted) => Number(has) === Number(wanted),
  NumericLessThanEquals: (has, wanted) => Number(has) <= Number(wanted),
  NumericLessThan: (has, wanted) => Number(has) < Number(wanted),
  DateLessThan: (has, wanted) => Date.parse(has) < Date.parse(wanted),
  DateGreaterThan: (has, wanted) => Date.parse(has) > Date.parse(wanted),
  IpAddress: () => true,
}

/** Whether a statement speaks of this wish. Throws for an operator that nobody has written here yet. */
export function fits(it: Statement, wish: Wish): boolean {
  const named = (patterns: string | string[] | undefined): boolean =>
    list(patterns).some(one => like(one.toLowerCase(), wish.action.toLowerCase()))
  const meant = (patterns: string | string[] | undefined): boolean =>
    list(patterns).some(one => like(filled(one, wish.context), wish.resource))
  return (
    (it.NotAction === undefined ? named(it.Action) : !named(it.NotAction)) &&
    (it.NotResource === undefined ? meant(it.Resource) : !meant(it.NotResource)) &&
    Object.entries(it.Condition ?? {}).every(([operator, keys]) => {
      const [, quantifier, plain = '', ifExists] = /^(ForAnyValue:|ForAllValues:)?(\w+?)(IfExists)?$/.exec(operator) ?? []
      return Object.entries(keys).every(([key, values]) => {
        const has = wish.context[key] ?? Object.entries(wish.context).find(([name]) => name.toLowerCase() === key.toLowerCase())?.[1]
        if (plain === 'Null') return list(values).some(wanted => String(wanted) === String(has === undefined))
        const compare = operators[plain]
        if (!compare) throw new Error(`this stand-in knows no ${operator}`)
        if (has === undefined) return ifExists !== undefined || quantifier === 'ForAllValues:' || plain.includes('Not')
        const wanted = list(values).map(value => filled(String(value), wish.context))
        return plain.includes('Not') ? wanted.every(value => compare(has, value)) : wanted.some(value => compare(has, value))
      })
    })
  )
}

/** The decision of one evaluation. */
export type Decision = 'allowed' | 'explicit' | 'implicit'

/** Decides over statements of the identity and, where there is one, of the session. */
export function decide(own: readonly Statement[], session: readonly Statement[] | undefined, wish: Wish): Decision {
  const fitting = (from: readonly Statement[]): Statement[] => from.filter(one => fits(one, wish))
  const [ours, bounds] = [fitting(own), session && fitting(session)]
  if ([...ours, ...(bounds ?? [])].some(one => one.Effect === 'Deny')) return 'explicit'
  const allows = (from: Statement[]): boolean => from.some(one => one.Effect === 'Allow')
  return allows(ours) && (!bounds || allows(bounds)) ? 'allowed' : 'implicit'
}
