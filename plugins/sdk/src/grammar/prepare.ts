/** Loads what the values of a grammar need before argv can be read by it: parsers that no start should pay for. */
import {compile, optionsOf} from './compile.ts'
import type {Grammar, ValueSpec} from './grammar.ts'
import {judges as evalJudge} from './kinds/mongosh.ts'
import {judges} from './kinds/sql.ts'
import type {Dialect, Judge} from './sql/judge.ts'
import {allOf, specOf} from './values.ts'

const loaders: Record<Dialect, () => Promise<{judge: Judge}>> = {
  postgresql: () => import('./sql/postgresql.ts'),
  mysql: () => import('./sql/mysql.ts'),
  sqlite: () => import('./sql/sqlite.ts'),
}

/** After it, `parse` reads by this grammar. What was not loaded is refused, so that forgetting it allows nothing. */
export async function prepareGrammar(grammar: Grammar): Promise<void> {
  for (const command of compile(grammar).commands) {
    const types = [...optionsOf(command).map(({type}) => type), ...command.operands.map(({type}) => specOf(type))]
    for (const type of types) if (type) await prepareType(type)
  }
}

async function prepareType(spec: ValueSpec): Promise<void> {
  for (const inner of allOf(spec)) await prepareType(inner)
  const dialect = spec.dialect as Dialect | undefined
  if (spec.type === 'sql' && dialect && !judges.has(dialect)) judges.set(dialect, (await loaders[dialect]()).judge)
  if (spec.type === 'mongosh' && !evalJudge.has('mongosh')) evalJudge.set('mongosh', (await import('./sql/mongosh.ts')).judge)
}
