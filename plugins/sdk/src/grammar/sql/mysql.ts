/**
 * Read-only statements of MySQL and MariaDB: a parser for SELECT, SHOW, EXPLAIN and what stands in them, and for nothing else.
 * Whatever it takes, each word is known: no function that is not named, no clause that writes or locks (docs/adr/0038).
 */
import {judgeBy, manyRows, Refused, refuse, type StatementRule} from './judge.ts'
import {MysqlExpressions} from './mysql-expressions.ts'
import {openSystemTables, reserved, secretTables, shows} from './mysql-names.ts'
import {openText, readWords, type Word} from './mysql-words.ts'

/** Judges one statement. */
export const judge = judgeBy((statement, rule) => {
  judgeWords(readWords(statement), rule)
  if (statement.includes('\\')) {
    // the server may run without escapes, and nothing else may come of it then
    const other = readOther(statement)
    if (other) judgeWords(other, rule)
  }
})

function judgeWords(words: Word[], rule: StatementRule): void {
  const reader = new Statement(words, rule.functions)
  const kind = reader.sees('show') ? 'show' : reader.sees('explain', 'describe', 'desc') ? 'explain' : 'select'
  if (!rule.statements.includes(kind)) refuse('it is a statement of another kind')
  if (kind === 'show') reader.show()
  else if (kind === 'explain') reader.explain()
  else reader.query()
  reader.end()
}

/** The words without escapes; undefined where the server then finds a text without an end, and nothing before it. */
function readOther(statement: string): Word[] | undefined {
  try {
    return readWords(statement, false)
  } catch (error) {
    if (error instanceof Refused && error.message === openText) return undefined
    throw error
  }
}

/** Statements; what stands in them is in {@link MysqlExpressions}. */
class Statement extends MysqlExpressions {
  /** WITH … SELECT … UNION … ORDER BY … LIMIT … */
  override query(): void {
    if (this.take('with')) {
      this.take('recursive')
      this.list(() => this.commonTable())
    }
    this.body()
    this.tail()
  }

  private commonTable(): void {
    const name = this.name()
    if (this.take('(')) this.names()
    this.must('as')
    this.must('(')
    const from = this.at
    this.query()
    const inside = this.words.slice(from, this.at)
    this.must(')')
    const reads = inside.some(
      ({kind, text}, index) => (kind === 'word' || kind === 'quoted') && text === name && inside[index - 1]?.text !== '.',
    )
    const union = inside.findLastIndex(({kind, text}) => kind === 'word' && text === 'union')
    if (reads && union >= 0 && inside.slice(union).some(({text}) => text === name)) {
      const step = inside.slice(union)
      const filter = step.findIndex(({kind, text}) => kind === 'word' && ['where', 'on', 'using', 'limit'].includes(text))
      const compares = ['=', '<', '<=', '>', '>=', '<>', '!=', 'in', 'between', 'using', 'limit']
      const condition = filter < 0 ? [] : step.slice(filter)
      const named = condition
        .slice(1)
        .some(({kind, text}) => kind === 'quoted' || (kind === 'word' && !reserved.has(text)) || /^[1-9]/.test(text))
      const column = condition.slice(1).some(({kind, text}) => kind === 'quoted' || (kind === 'word' && !reserved.has(text)))
      const limited = condition.some(({text}) => text === 'limit')
      const huge = condition.some(({kind, text}) => kind === 'number' && Number(text) > manyRows)
      if (!named || !(column || limited) || huge || !condition.some(({kind, text}) => kind !== 'string' && compares.includes(text)))
        refuse('nothing ends this recursion')
    } else if (reads && union < 0) refuse('a recursion without a first step')
  }

  private body(): void {
    do this.term()
    while (this.take('union', 'except', 'intersect') && (this.take('all', 'distinct') || true))
  }

  private term(): void {
    if (this.take('(')) {
      this.query()
      this.must(')')
    } else if (this.take('values')) {
      this.list(() => {
        this.must('row')
        this.must('(')
        this.list(() => this.expression())
        this.must(')')
      })
    } else if (this.take('table')) this.table()
    else this.select()
  }

  private select(): void {
    this.must('select')
    while (this.take('all', 'distinct', 'distinctrow', 'high_priority', 'straight_join', 'sql_small_result', 'sql_big_result'));
    while (this.take('sql_buffer_result', 'sql_no_cache', 'sql_cache', 'sql_calc_found_rows', 'distinct'));
    this.list(() => this.selected())
    if (this.take('from') && !this.take('dual')) this.tables()
    if (this.take('where')) this.expression()
    if (this.take('group')) {
      this.must('by')
      this.list(() => this.ordered())
      if (this.take('with')) this.must('rollup')
    }
    if (this.take('having')) this.expression()
    if (this.take('window'))
      this.list(() => {
        this.name()
        this.must('as')
        this.window()
      })
  }

  private tail(): void {
    if (this.take('order')) {
      this.must('by')
      this.list(() => this.ordered())
    }
    if (this.take('limit')) {
      this.count()
      if (this.take(',', 'offset')) this.count()
    } else if (this.take('offset')) {
      this.count()
      this.must('row', 'rows')
    }
    if (this.take('fetch')) {
      this.must('first', 'next')
      this.count()
      this.must('row', 'rows')
      this.must('only')
    }
  }

  private count(): void {
    if (this.next().kind !== 'number') refuse('LIMIT takes numbers')
  }

  private selected(): void {
    if (this.take('*')) return
    this.expression()
    if (this.take('as')) this.alias()
    else if (this.isName() || this.peek()?.kind === 'string') this.alias()
  }

  private alias(): void {
    if (this.peek()?.kind === 'string') this.next()
    else this.name()
  }

  private tables(): void {
    this.list(() => this.joined())
  }

  private joined(): void {
    this.factor()
    for (;;) {
      const natural = this.take('natural')
      const side = this.take('left', 'right')
      if (side) this.take('outer')
      else if (!this.take('inner')) this.take('cross')
      if (this.take('straight_join') || this.take('join')) this.factor()
      else {
        if (natural || side) refuse('a JOIN that is none')
        return
      }
      while (this.sees('on', 'using')) {
        if (this.take('on')) this.expression()
        else {
          this.must('using')
          this.must('(')
          this.names()
        }
      }
    }
  }

  private factor(): void {
    const lateral = this.take('lateral')
    if (this.take('(')) {
      if (this.sees('select', 'with', 'values', 'table', '(') && this.tries(() => this.query())) {
        this.must(')')
        this.tableAlias()
      } else {
        this.tables()
        this.must(')')
      }
    } else if (lateral) refuse('LATERAL is of a query')
    else if (this.take('json_table')) {
      this.jsonTable()
      this.tableAlias()
    } else {
      this.table()
      if (this.take('partition')) {
        this.must('(')
        this.names()
      }
      this.tableAlias()
      while (this.take('use', 'ignore', 'force')) {
        this.must('index', 'key')
        if (this.take('for') && !this.take('join')) {
          this.must('order', 'group')
          this.must('by')
        }
        this.must('(')
        if (!this.take(')')) this.names(() => void (this.take('primary') || this.name()))
      }
    }
  }

  private tableAlias(): void {
    if (this.take('as') || this.isName()) this.name()
    else return
    if (this.take('(')) this.names()
  }

  /** `name` or `database.name`; never a table of secrets. */
  private table(): void {
    const first = this.name()
    const second = this.take('.') ? this.part() : undefined
    if (first === 'mysql' && second !== undefined && !openSystemTables.has(second)) refuse(`${first}.${second} may hold secrets`)
    if (secretTables.has(second ?? first)) refuse(`${second ?? first} may hold secrets`)
  }

  /** JSON_TABLE(text, path COLUMNS (…)) */
  private jsonTable(): void {
    this.must('(')
    this.expression()
    this.must(',')
    this.expression()
    this.jsonColumns()
    this.must(')')
  }

  private jsonColumns(): void {
    this.must('columns')
    this.must('(')
    this.list(() => {
      if (this.take('nested')) {
        this.take('path')
        this.expression()
        this.jsonColumns()
        return
      }
      this.name()
      if (this.take('for')) return void this.must('ordinality')
      this.type()
      this.take('exists')
      this.must('path')
      this.expression()
      while (this.take('null', 'error', 'default')) {
        if (!this.take('on')) this.expression()
        else this.at -= 1
        this.must('on')
        this.must('empty', 'error')
      }
    })
    this.must(')')
  }

  /** EXPLAIN plans; EXPLAIN ANALYZE and MariaDB's ANALYZE execute. */
  explain(): void {
    this.must('explain', 'describe', 'desc')
    while (this.take('extended', 'partitions', 'format')) {
      if (this.words[this.at - 1]?.text === 'format') {
        this.must('=')
        this.must('json', 'tree', 'traditional', 'traditional_strict')
      }
    }
    if (this.take('for')) {
      this.must('connection')
      this.count()
    } else if (this.take('delete')) {
      this.must('from')
      this.table()
      this.changed()
    } else if (this.take('update')) {
      this.table()
      this.must('set')
      this.list(() => {
        this.name()
        while (this.take('.')) this.part()
        this.must('=')
        this.expression()
      })
      this.changed()
    } else if (this.sees('select', 'with', 'values', 'table', '(')) this.query()
    else {
      this.table()
      if (this.peek()?.kind === 'string') this.next()
      else if (this.isName()) this.name()
    }
  }

  private changed(): void {
    if (this.take('where')) this.expression()
    this.tail()
  }

  show(): void {
    this.must('show')
    const end = this.words.findIndex(
      ({kind, text}, index) => index > this.at && kind === 'word' && ['like', 'where', 'limit'].includes(text),
    )
    const head = this.words.slice(this.at, end < 0 ? undefined : end)
    const creates = head[0]?.text === 'create'
    const form = head
      .map(({kind, text}, index) => {
        const before = head[index - 1]?.text ?? ''
        const follows = nameFollows.includes(before) || (creates && created.includes(before)) || (index === 1 && before === 'engine')
        return kind === 'string' ? "'" : kind === 'quoted' || (kind === 'word' && follows && !reserved.has(text)) ? '`' : text
      })
      .join(' ')
    const known = shows.some(shown => shown.test(form))
    if (!known) refuse('this SHOW is not allowed')
    const names = head.map(({text}) => text)
    if (names.includes('create') && names.includes('mysql')) refuse('the database mysql may hold secrets')
    this.at = end < 0 ? this.words.length : end
    if (this.take('like')) {
      if (this.next().kind !== 'string') refuse('LIKE takes a text')
    } else if (this.take('where')) this.expression()
    this.tail()
  }
}

/** After these words of SHOW stands a name; after the others only in SHOW CREATE. */
const nameFollows = ['from', 'in', '.', 'exists']
const created = ['table', 'view', 'procedure', 'function', 'trigger', 'event', 'database', 'schema', 'sequence', 'package']
