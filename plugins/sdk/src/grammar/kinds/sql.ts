/** One read-only statement of SQL, judged by a parser of the dialect (TM-H15). */

import type {ValueSpec} from '../grammar.ts'
import type {ValueKinds} from '../kind.ts'
import {type Dialect, dialects, type Judge, type StatementKind, statementKinds} from '../sql/judge.ts'

/** The judges that are loaded: `prepareGrammar` puts them here. Without its judge a statement is refused. */
export const judges = new Map<Dialect, Judge>()

/** `{type: sql, dialect: postgresql, statements: [select, explain, show]}` */
export const sqlKinds: ValueKinds = {
  sql: {
    fields: ['dialect', 'statements', 'functions', 'lines', 'maxLength'],
    samples: () => ['select 1', 'SELECT count(*) FROM orders WHERE id = 42', 'show tables'],
    cedar: 'String',
    maxLength: 8192,
    test: (value, spec, afterDashes) =>
      (spec.lines === true || !value.includes('\n')) &&
      (afterDashes || !value.startsWith('-')) &&
      findStatementFault(value, spec) === undefined,
    describe: spec =>
      `one ${(spec.statements ?? ['select']).map(word => word.toUpperCase()).join(' or ')} statement of ${names[spec.dialect as Dialect]} that only reads`,
    findFault: ({dialect, statements, functions}) =>
      !dialects.includes(dialect as Dialect)
        ? `sql has a \`dialect\`: ${dialects.join(', ')}`
        : statements?.some(word => !statementKinds.includes(word as StatementKind))
          ? `\`statements\` are of ${statementKinds.join(', ')}`
          : functions?.some(name => !/^[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?$/.test(name))
            ? '`functions` are names in lower case, with their schema where they have one'
            : undefined,
  },
}

const names: Record<Dialect, string> = {postgresql: 'PostgreSQL', mysql: 'MySQL', sqlite: 'SQLite'}

/** Why a statement is refused, for people; undefined when it is allowed. */
export function findStatementFault(value: string, {dialect, statements, functions}: ValueSpec): string | undefined {
  const judge = judges.get(dialect as Dialect)
  if (!judge) return 'the parser of this dialect is not loaded'
  return judge(value, {statements: (statements ?? ['select']) as StatementKind[], functions: functions ?? []})
}
