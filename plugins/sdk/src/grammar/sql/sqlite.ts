/** Read-only statements of SQLite, by a parser made from SQLite's own grammar file: its tree may hold nothing that is not named. */
import {parse} from 'sqlite3-parser'
import {judgeBy, manyRows, refuse, type StatementRule} from './judge.ts'

interface Node {
  type: string
  [field: string]: unknown
}

/** Judges one statement. */
export const judge = judgeBy((statement, rule) => {
  // from 3.47 on the shell takes more than a leading dot for its own
  if (/^[\s;]*[.#\\]/.test(statement)) refuse('it is a command of the shell')
  const result = parse(statement)
  if (result.status !== 'ok') refuse('it is no statement of SQLite')
  const [first, ...more] = (result as unknown as {root: {cmds: Node[]}}).root.cmds
  if (!first || more.length > 0) refuse('it is not exactly one statement')
  const explained = first.type === 'ExplainStmt'
  if (!rule.statements.includes(explained ? 'explain' : 'select')) refuse('it is a statement of another kind')
  const select = (explained ? first.stmt : first) as Node
  if (select.type !== 'SelectStmt') refuse(`${select.type} is not allowed`)
  walk(select, rule)
  let rows = 1
  for (const {amount} of calls(select)) rows *= amount
  if (rows > 10 * manyRows) refuse('generate_series makes too much')
})

const types = new Set(
  `SelectStmt Select SelectFrom SelectValues ValuesRow CompoundSelect FromClause JoinedSelectTable CommaJoinOperator
  TypedJoinJoinOperator OnJoinConstraint UsingJoinConstraint TableSelectTable TableCallSelectTable SelectSelectTable SubSelectTable
  ExprResultColumn StarResultColumn TableStarResultColumn AsAs ElidedAs Id Name QualifiedName IndexedColumn IndexedByIndexed
  NotIndexedIndexed SortedColumn Limit With CommonTableExpr Type MaxSizeTypeSize TypeSizeTypeSize FunctionTail WindowOver NameOver
  Window WindowDef FrameClause CurrentRowFrameBound FollowingFrameBound PrecedingFrameBound
  UnboundedFollowingFrameBound UnboundedPrecedingFrameBound SortListFunctionCallOrder WithinGroupFunctionCallOrder BetweenExpr BinaryExpr CaseExpr WhenThen CastExpr
  CollateExpr ExistsExpr FunctionCallExpr FunctionCallStarExpr InListExpr InSelectExpr InTableExpr IsNullExpr LikeExpr NameExpr
  NotNullExpr ParenthesizedExpr QualifiedExpr SubqueryExpr UnaryExpr NumericLiteral StringLiteral BlobLiteral KeywordLiteral NullLiteral
  CurrentDateLiteral CurrentTimeLiteral CurrentTimestampLiteral`.split(/\s+/),
)

/** The functions that only compute, or only tell what anybody may see. */
const functions = new Set(
  `abs changes char coalesce concat concat_ws format glob hex if ifnull iif instr last_insert_rowid length like likelihood likely lower
  ltrim max min nullif octet_length printf quote random randomblob regexp regexpi replace round rtrim sign soundex sqlite_compileoption_get
  sqlite_compileoption_used sqlite_source_id sqlite_version substr substring total_changes trim typeof unhex unicode unistr
  unistr_quote unlikely upper zeroblob date time datetime julianday unixepoch strftime timediff current_date current_time current_timestamp avg
  count group_concat string_agg sum total median percentile percentile_cont percentile_disc row_number rank dense_rank percent_rank
  cume_dist ntile lag lead first_value last_value nth_value acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp
  floor ln log log10 log2 mod pi pow power radians sin sinh sqrt tan tanh trunc json jsonb json_array jsonb_array json_array_length
  json_array_insert jsonb_array_insert json_error_position json_extract jsonb_extract json_insert jsonb_insert json_object jsonb_object
  json_patch jsonb_patch json_pretty json_remove jsonb_remove json_replace jsonb_replace json_set jsonb_set json_type json_valid
  json_quote json_group_array jsonb_group_array json_group_object jsonb_group_object decimal decimal_add decimal_cmp decimal_mul
  decimal_sub decimal_sum ieee754 ieee754_exponent ieee754_mantissa base64 base85 highlight snippet bm25 offsets matchinfo stddev
  subtype`.split(/\s+/),
)

/** Functions that stand in FROM: with their arguments, or as a table. */
const tables = new Set(
  `json_each json_tree jsonb_each jsonb_tree generate_series pragma_table_info pragma_table_xinfo pragma_table_list pragma_index_list
  pragma_index_info pragma_index_xinfo pragma_foreign_key_list pragma_function_list pragma_collation_list pragma_compile_options
  pragma_user_version pragma_page_count pragma_page_size pragma_freelist_count pragma_encoding pragma_journal_mode
  pragma_application_id pragma_schema_version`.split(/\s+/),
)

/** Tables that the program may bring along: they read files or pages. `generate_series` without bounds does not end. */
const refusedTables =
  /^(?:pragma_.*|fsdir|zipfile|sqlite_db(?:page|data|ptr|hash)|sqlite_stmt|sqlite_memstat|dbstat|completion|csv|vfsstat|wholenumber|generate_series)$/

function walk(value: unknown, rule: StatementRule): void {
  if (Array.isArray(value)) for (const item of value) walk(item, rule)
  if (Array.isArray(value) || typeof value !== 'object' || value === null || value instanceof Uint8Array) return
  const node = value as Node
  if (typeof node.type !== 'string' || !types.has(node.type)) refuse(`${node.type} is not allowed`)
  checks[node.type]?.(node, rule)
  for (const [field, inner] of Object.entries(node)) if (field !== 'span') walk(inner, rule)
}

const nameOf = (node: unknown): string => String((node as Node).name ?? (node as Node).text).toLowerCase()

function checkCall(node: Node, {functions: more}: StatementRule): void {
  const name = nameOf(node.name)
  if (!functions.has(name) && !more.includes(name)) refuse(`the function ${name} is not allowed`)
  if (['randomblob', 'zeroblob'].includes(name)) {
    const [length] = (node.args ?? []) as Node[]
    if (length?.type !== 'NumericLiteral' || !(Number(length.value) <= manyRows)) refuse(`${name} may make too much`)
  }
  if (!['printf', 'format'].includes(name)) return
  const [form] = (node.args ?? []) as Node[]
  if (form?.type !== 'StringLiteral' || /\*|\d{4,}/.test(String(form.value))) refuse(`${name} may make too much`)
}

function checkTable(node: Node): void {
  const {dbName, objName} = node.tblName as {dbName?: Node; objName: Node}
  const name = nameOf(objName)
  if (dbName && !['main', 'temp'].includes(nameOf(dbName))) refuse('there is no other database')
  const known = tables.has(name) && (name !== 'generate_series' || node.type === 'TableCallSelectTable')
  if (node.type === 'TableCallSelectTable' ? !known : !known && refusedTables.test(name)) refuse(`${name} is not allowed in FROM`)
}

const checks: Readonly<Record<string, (node: Node, rule: StatementRule) => void>> = {
  FunctionCallExpr: checkCall,
  FunctionCallStarExpr: checkCall,
  TableSelectTable: checkTable,
  TableCallSelectTable: checkTable,
  InTableExpr: ({rhs, args}) => checkTable({type: args ? 'TableCallSelectTable' : 'TableSelectTable', tblName: rhs}),
  // RECURSIVE may be left out
  CommonTableExpr({tblName, select}) {
    const name = nameOf(tblName)
    const {compounds, limit} = select as {compounds?: {select: Node}[]; limit?: unknown}
    const steps = (compounds ?? []).filter(step => names(step, name))
    if (limit) return
    if (names(select, name) && steps.length === 0) refuse('a recursion without a first step')
    if (!steps.every(({select: step}) => ends(step))) refuse('nothing ends this recursion')
  },
}

/** Does anything in it read this table? */
function names(tree: unknown, name: string): boolean {
  return collect(tree, ['TableSelectTable', 'TableCallSelectTable']).some(
    ({tblName}) => nameOf((tblName as {objName: Node}).objName) === name,
  )
}

/** Each step is filtered by a comparison with something that is not huge, or bound to the rows of a table. */
function ends({whereClause, from}: Node): boolean {
  const joins = collect((from as Node | undefined)?.joins, ['OnJoinConstraint', 'UsingJoinConstraint'])
  if (joins.some(({type}) => type === 'UsingJoinConstraint')) return true
  return [whereClause, ...joins.map(({expr}) => expr)].some(condition =>
    collect(condition, ['BinaryExpr', 'BetweenExpr', 'InListExpr', 'InSelectExpr']).some(compared => {
      if (compared.type === 'BinaryExpr' && !/^(?:Equals|NotEquals|Less|LessEquals|Greater|GreaterEquals)$/.test(String(compared.op)))
        return false
      const huge = collect(compared, ['NumericLiteral']).some(({value}) => Number(value) > manyRows)
      return !huge && collect(compared, ['Id', 'QualifiedExpr']).length > 0
    }),
  )
}

/** The calls of generate_series, with the largest number in each. */
function calls(tree: Node): {amount: number}[] {
  return collect(tree, ['TableCallSelectTable'])
    .filter(({tblName}) => nameOf((tblName as {objName: Node}).objName) === 'generate_series')
    .map(({args}) => {
      const given = (args ?? []) as unknown[]
      const multiplies = collect(given, ['BinaryExpr']).some(({op}) => ['Multiply', 'LeftShift', 'Concat'].includes(String(op)))
      const values = collect(given, ['NumericLiteral', 'StringLiteral']).map(({value}) => Math.abs(Number(value)) || 1)
      const amount =
        given.length < 2 ? Number.POSITIVE_INFINITY : multiplies ? values.reduce((all, one) => all * one, 1) : Math.max(1, ...values)
      return {amount: amount > manyRows ? Number.POSITIVE_INFINITY : amount}
    })
}

function collect(tree: unknown, wanted: readonly string[]): Node[] {
  if (Array.isArray(tree)) return tree.flatMap(item => collect(item, wanted))
  if (typeof tree !== 'object' || tree === null || tree instanceof Uint8Array) return []
  const node = tree as Node
  const below = Object.entries(node).flatMap(([field, inner]) => (field === 'span' ? [] : collect(inner, wanted)))
  return wanted.includes(node.type) ? [node, ...below] : below
}
