/** What judges a statement: one for each dialect, loaded when a grammar that uses it is (`prepare.ts`). */

/** What a rule allows of a dialect. */
export interface StatementRule {
  statements: readonly StatementKind[]
  /** functions that it allows beside the known harmless ones, in lower case, with their schema where they have one */
  functions: readonly string[]
}

/** `select` also means WITH … SELECT, VALUES and TABLE; `explain` also DESCRIBE. */
export type StatementKind = 'select' | 'explain' | 'show'
/** Every {@link StatementKind}. */
export const statementKinds: readonly StatementKind[] = ['select', 'explain', 'show']

export type Dialect = 'postgresql' | 'mysql' | 'sqlite'
/** Every {@link Dialect}. */
export const dialects: readonly Dialect[] = ['postgresql', 'mysql', 'sqlite']

/** Why the statement is refused, or undefined. */
export type Judge = (statement: string, rule: StatementRule) => string | undefined

/** Thrown by a judge on what it does not allow; whatever else a parser throws is a refusal too. */
export class Refused extends Error {}

/** Ends the judging of this statement. */
export function refuse(why: string): never {
  throw new Refused(why)
}

/** Judges by a function that throws. What is nested so deeply that a parser could fail by it is refused unread. */
export function judgeBy(check: (statement: string, rule: StatementRule) => void): Judge {
  return (statement, rule) => {
    let depth = 0
    for (const sign of statement) {
      if (sign === '(' || sign === '[') depth += 1
      else if (sign === ')' || sign === ']') depth -= 1
      if (depth > 100) return 'it is nested too deeply'
    }
    try {
      check(statement, rule)
      return undefined
    } catch (error) {
      return error instanceof Refused ? error.message : 'it is no statement of this dialect'
    }
  }
}

/** Rows that one call may make, and a bound that ends a recursion. */
export const manyRows = 1_000_000
