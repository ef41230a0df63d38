/** Read-only statements of PostgreSQL, by PostgreSQL's own parser (libpg-query): its tree may hold nothing that is not named. */
import {loadModule, parseSync} from 'libpg-query'
import {judgeBy, manyRows, refuse, type StatementRule} from './judge.ts'
import {functions, operators, secretRelations} from './postgresql-names.ts'
import {nodes, planned} from './postgresql-nodes.ts'

type Tree = Record<string, unknown>
interface Found {
  rule: StatementRule
  table: typeof nodes
  /** names under which FROM has a function, each with the columns it may be asked for */
  aliases: Map<string, Set<string>>
  /** `a.b`, to be held against `aliases` once all of FROM is known */
  columns: [string, string][]
  /** rows that generate_series makes in all */
  rows: number
}

await loadModule()

/** Judges one statement. */
export const judge = judgeBy((statement, rule) => {
  const [first, ...more] = (parseSync(statement).stmts ?? []) as {stmt?: Tree}[]
  if (!first?.stmt || more.length > 0) refuse('it is not exactly one statement')
  const found: Found = {rule, table: nodes, aliases: new Map(), columns: [], rows: 1}
  const [kind, tree] = only(first.stmt)
  if (kind === 'SelectStmt' && rule.statements.includes('select')) walkAs(kind, tree, found)
  else if (kind === 'ExplainStmt' && rule.statements.includes('explain')) checkExplain(tree, found)
  else if (kind === 'VariableShowStmt' && rule.statements.includes('show')) return
  else refuse('it is a statement of another kind')
  for (const [name, column] of found.columns) {
    const known = found.aliases.get(name)
    if (known && !known.has(column)) refuse(`${name}.${column} may be a call of a function`)
  }
})

/** Without ANALYZE it plans, and does nothing of what it plans. */
function checkExplain({query, options, ...rest}: Tree, found: Found): void {
  if (Object.keys(rest).length > 0) refuse('EXPLAIN with something unknown')
  for (const option of (options ?? []) as Tree[]) {
    const {defname, arg} = only(option)[1] as {defname?: string; arg?: Tree}
    const name = defname?.toLowerCase() ?? ''
    const off = arg !== undefined && ['off', 'false', '0'].includes(String(Object.values(only(arg)[1])[0] ?? 0).toLowerCase())
    if (!['costs', 'verbose', 'settings', 'generic_plan', 'buffers', 'summary', 'format', 'memory'].includes(name) && !off)
      refuse(`EXPLAIN with ${name}`)
    if (['analyze', 'serialize'].includes(name) && !off) refuse('EXPLAIN ANALYZE executes the statement')
  }
  const [kind, tree] = only(query)
  if (!['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt'].includes(kind)) refuse(`EXPLAIN of ${kind}`)
  walkAs(kind, tree, kind === 'SelectStmt' ? found : Object.assign(found, {table: planned}))
}

/** A list of nodes, or a node that says its own type. */
function walk(value: unknown, found: Found): void {
  if (Array.isArray(value)) for (const item of value) walk(item, found)
  else {
    const entries = Object.entries(value as Tree)
    // how the tree says "nothing here": DISTINCT without ON, a missing bound
    if (entries.length === 0) return
    const [kind, tree] = only(value)
    walkAs(kind, tree, found)
  }
}

function walkAs(kind: string, tree: Tree, found: Found): void {
  const fields = Object.hasOwn(found.table, kind) ? found.table[kind] : undefined
  if (!fields) refuse(`${kind} is not allowed`)
  checks[kind]?.(tree, found)
  for (const [field, value] of Object.entries(tree)) {
    if (field.endsWith('location') && typeof value === 'number') continue
    const type = Object.hasOwn(fields, field) ? fields[field] : undefined
    if (type === undefined) refuse(`${kind} with ${field} is not allowed`)
    else if (type === '*') walk(value, found)
    else if (type !== '_') walkAs(type, value as Tree, found)
  }
}

/** What must hold beside the form, by node. */
const checks: Readonly<Record<string, (tree: Tree, found: Found) => void>> = {
  FuncCall({funcname, args}, found) {
    const name = namesOf(funcname)
    checkFunction(name, found.rule)
    checkAmount(name.at(-1) as string, args, found)
  },
  A_Expr({kind, name}) {
    if (!String(kind).includes('BETWEEN')) checkOperator(namesOf(name))
  },
  SubLink({operName}) {
    if (operName) checkOperator(namesOf(operName))
  },
  // `(x).f` is `f(x)` where x has no column f, whatever x is
  A_Indirection({indirection}, {table}) {
    for (const step of indirection as Tree[])
      if (only(step)[0] === 'String' && table === nodes) refuse('a part taken by name may be a call')
    for (const step of indirection as Tree[]) if (only(step)[0] === 'String') refuse('a part taken by name may be a call')
  },
  ColumnRef({fields}, {columns}) {
    const names = (fields as Tree[]).map(field => String((only(field)[1] as {sval?: string}).sval ?? '*'))
    if (names.length > 1 && names.at(-1) !== '*') columns.push([names.at(-2) as string, names.at(-1) as string])
  },
  RangeVar({schemaname, relname}) {
    if (secretRelations.has(String(relname))) refuse(`${relname} may hold secrets`)
    if (schemaname === 'pg_toast') refuse('pg_toast holds parts of other tables')
  },
  RangeFunction: checkRangeFunction,
  RangeTableSample({method}) {
    if (!['system', 'bernoulli'].includes(namesOf(method).at(-1) as string)) refuse('this way to sample is not allowed')
  },
  CommonTableExpr({ctequery}) {
    if (only(ctequery)[0] !== 'SelectStmt') refuse('a part of WITH writes')
  },
  WithClause({recursive, ctes}) {
    if (recursive) for (const cte of ctes as Tree[]) checkRecursion(only(cte)[1])
  },
}

function checkFunction(name: string[], {functions: more}: StatementRule): void {
  const known = name.length === 1 || (name.length === 2 && name[0] === 'pg_catalog')
  if (!(known && functions.has(name.at(-1) as string)) && !more.includes(name.join('.')))
    refuse(`the function ${name.join('.')} is not allowed`)
}

function checkOperator(name: string[]): void {
  const known = name.length === 1 || (name.length === 2 && name[0] === 'pg_catalog')
  if (!known || !operators.has(name.at(-1) as string)) refuse(`the operator ${name.join('.')} is not allowed`)
}

/** Columns that the known functions in FROM give. */
const outputs = ['ordinality', 'key', 'value', 'relid', 'parentrelid', 'isleaf', 'level', 'privilege_type', 'grantee', 'is_grantable']

/** A function in FROM may be asked for its columns alone: asked for anything else, its value is given to a function of that name. */
function checkRangeFunction(tree: Tree, {aliases}: Found): void {
  const alias = tree.alias as {aliasname?: string; colnames?: unknown} | undefined
  const defined = [tree.coldeflist]
  const called: string[] = []
  for (const list of tree.functions as Tree[]) {
    const [call, columns] = (only(list)[1] as {items: Tree[]}).items
    const [kind, body] = only(call)
    if (kind !== 'FuncCall') refuse(`${kind} cannot stand in FROM`)
    called.push(namesOf(body.funcname).at(-1) as string)
    if (columns && Object.keys(columns).length > 0) defined.push((only(columns)[1] as {items?: unknown}).items)
  }
  const name = alias?.aliasname ?? (called[0] as string)
  const columns = defined.flatMap(list => ((list ?? []) as Tree[]).map(column => String((only(column)[1] as {colname?: string}).colname)))
  const given = alias?.colnames ? namesOf(alias.colnames) : []
  const known = [...outputs, ...columns, ...given, name, ...called]
  aliases.set(name, aliases.has(name) ? new Set(known.filter(one => aliases.get(name)?.has(one))) : new Set(known))
}

const amplifiers = ['repeat', 'lpad', 'rpad', 'generate_series', 'array_fill', 'factorial', 'lcm', 'power', 'pow']

/** One call makes no more than a million of anything out of a few letters. */
function checkAmount(name: string, args: unknown, found: Found): void {
  if (!amplifiers.includes(name)) return
  let largest = 1
  let product = 1
  let multiplies = false
  each(args, (kind, tree) => {
    if (kind === 'A_Expr') multiplies ||= ['*', '^', '<<'].includes(namesOf(tree.name)[0] as string)
    if (kind !== 'A_Const') return
    const [value] = Object.values((tree.ival ?? tree.fval ?? tree.sval ?? {}) as Tree)
    const number = Math.abs(Number(value))
    if (Number.isNaN(number) || number < 1) return
    largest = Math.max(largest, number)
    product *= number
  })
  if (name === 'generate_series') found.rows *= largest
  if (largest > manyRows || (multiplies && product > manyRows) || found.rows > 10 * manyRows) refuse(`${name} makes too much`)
}

/** A recursion ends if each further step is filtered by a comparison, or bound to the rows of a table. */
function checkRecursion({ctename, ctequery}: Tree): void {
  const name = String(ctename)
  const {larg, rarg, limitCount} = only(ctequery)[1]
  let calls = 0
  each(ctequery, (kind, tree) => {
    if (kind === 'RangeVar' && tree.relname === name && tree.schemaname === undefined) calls += 1
  })
  if (calls === 0 || limitCount) return
  const step = rarg as Tree | undefined
  if (!larg || !step) refuse('a recursion without a first step')
  let bound = false
  const ask = (condition: unknown): void =>
    each(condition, (kind, tree) => {
      bound ||= kind === 'A_Expr' && isBound(tree)
    })
  ask(step.whereClause)
  each(step.fromClause, (kind, tree) => {
    if (kind !== 'JoinExpr') return
    bound ||= tree.usingClause !== undefined
    ask(tree.quals)
  })
  if (!bound) refuse('nothing ends this recursion')
}

/** A comparison that a step can fail: a column with another column, or with something that is not huge. */
function isBound({kind, name, lexpr, rexpr}: Tree): boolean {
  const compares = ['AEXPR_OP', 'AEXPR_IN', 'AEXPR_BETWEEN', 'AEXPR_OP_ANY', 'AEXPR_OP_ALL', 'AEXPR_DISTINCT'].includes(String(kind))
  if (!compares || !['=', '<>', '<', '<=', '>', '>=', 'BETWEEN', '@>', '<@'].includes(namesOf(name)[0] as string)) return false
  let columns = 0
  let huge = false
  each([lexpr, rexpr].filter(Boolean), (inner, tree) => {
    if (inner === 'ColumnRef') columns += 1
    if (inner === 'A_Const') huge ||= JSON.stringify(tree).match(/\d{7,}/) !== null
  })
  return columns > 0 && !huge
}

/** Every node below, those that say their type. */
function each(value: unknown, see: (kind: string, tree: Tree) => void): void {
  if (Array.isArray(value)) for (const item of value) each(item, see)
  else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      if (/^[A-Z]/.test(key) && typeof inner === 'object' && inner !== null) see(key, inner as Tree)
      each(inner, see)
    }
  }
}

/** A node that says its type: one key, the type, and its fields. */
function only(node: unknown): [string, Tree] {
  const entries = Object.entries((node ?? {}) as Tree)
  if (entries.length !== 1) refuse('a node of an unknown form')
  return entries[0] as [string, Tree]
}

/** The texts of a list of names. */
function namesOf(list: unknown): string[] {
  return (list as Tree[]).map(item => {
    const [kind, {sval}] = only(item)
    return kind === 'String' ? String(sval) : refuse('a name of an unknown form')
  })
}
