/** The expressions of MySQL and MariaDB, read from left to right; how they bind changes nothing of what they may do. */
import {manyRows, refuse} from './judge.ts'
import {bareFunctions, functions, reserved, units} from './mysql-names.ts'
import type {Word} from './mysql-words.ts'

const infix = [
  ...['or', '||', 'xor', 'and', '&&', '=', '<=>', '>=', '>', '<=', '<', '<>', '!=', '|', '&', '<<', '>>', '+', '-', '*', '/', 'div', '%'],
  ...['mod', '^', '->', '->>', 'like', 'regexp', 'rlike', 'escape'],
]
const amplifiers = ['repeat', 'lpad', 'rpad', 'space', 'pow', 'power', 'exp']

/** Reads words by rules; a word that no rule takes ends in a refusal. */
export abstract class MysqlExpressions {
  readonly words: readonly Word[]
  at = 0
  private readonly more: readonly string[]
  private depth = 0

  constructor(words: readonly Word[], more: readonly string[]) {
    this.words = words
    this.more = more
  }

  abstract query(): void

  peek(): Word | undefined {
    return this.words[this.at]
  }

  next(): Word {
    const word = this.words[this.at] ?? refuse('it ends too early')
    this.at += 1
    return word
  }

  /** Is the next word one of these, as a keyword or a sign? */
  sees(...texts: string[]): boolean {
    const word = this.peek()
    return word !== undefined && (word.kind === 'word' || word.kind === 'sign') && texts.includes(word.text)
  }

  take(...texts: string[]): boolean {
    if (!this.sees(...texts)) return false
    this.at += 1
    return true
  }

  must(...texts: string[]): void {
    if (!this.take(...texts)) refuse(`${this.peek()?.text ?? 'its end'} stands where ${texts[0]} should`)
  }

  end(): void {
    const word = this.peek()
    if (word) refuse(`${word.text} is not allowed here`)
  }

  list(item: () => void): void {
    do item()
    while (this.take(','))
  }

  /** Reads by this rule if it fits, else stays where it is. */
  tries(rule: () => void): boolean {
    const {at} = this
    this.depth += 1
    // each way that is tried could double the work: only few of them inside one another
    if (this.depth > 8) refuse('it is nested too deeply')
    try {
      rule()
      return true
    } catch {
      this.at = at
      return false
    } finally {
      this.depth -= 1
    }
  }

  isName(): boolean {
    const word = this.peek()
    return word?.kind === 'quoted' || (word?.kind === 'word' && !reserved.has(word.text))
  }

  name(): string {
    return this.isName() ? this.next().text : refuse(`${this.peek()?.text ?? 'its end'} is no name`)
  }

  /** What follows a dot: there a reserved word is a name too. */
  part(): string {
    const word = this.next()
    return word.kind === 'word' || word.kind === 'quoted' ? word.text : refuse(`${word.text} is no name`)
  }

  /** Names up to the closing bracket. */
  names(item: () => void = () => void this.name()): void {
    this.list(item)
    this.must(')')
  }

  ordered(): void {
    this.expression()
    this.take('asc', 'desc')
  }

  expression(): void {
    for (;;) {
      while (this.take('not', '-', '+', '~', '!', 'binary'));
      this.primary()
      while (this.follow());
      if (!this.take(...infix)) {
        if (this.take('not')) this.must('like', 'regexp', 'rlike')
        else return
      }
    }
  }

  /** What may stand behind an operand and leaves it an operand. */
  private follow(): boolean {
    if (this.take('collate')) return this.next().kind === 'sign' ? refuse('COLLATE takes a name') : true
    if (this.take('is')) {
      this.take('not')
      this.must('null', 'true', 'false', 'unknown')
      return true
    }
    const negated = this.sees('not') && ['in', 'between'].includes(this.words[this.at + 1]?.text ?? '') && this.take('not')
    // POSITION('a' IN b) is not this one
    if (this.words[this.at + 1]?.text === '(' && this.take('in')) {
      this.must('(')
      this.inner()
      return true
    }
    if (this.take('between')) {
      this.operand()
      this.must('and')
      this.operand()
      return true
    }
    if (negated) refuse('NOT of what?')
    if (this.sees('sounds') && this.words[this.at + 1]?.text === 'like') {
      this.at += 2
      this.operand()
      return true
    }
    if (this.sees('member') && this.words[this.at + 1]?.text === 'of') {
      this.at += 2
      this.must('(')
      this.inner()
      return true
    }
    if (this.sees('at') && this.words[this.at + 1]?.text === 'time') refuse('AT TIME ZONE stands in CAST alone')
    return false
  }

  /** One side of BETWEEN: an expression that `AND` ends. */
  private operand(): void {
    const stops = ['or', '||', 'xor', 'and', '&&']
    for (;;) {
      while (this.take('not', '-', '+', '~', '!', 'binary'));
      this.primary()
      if (!this.take(...infix.filter(one => !stops.includes(one)))) return
    }
  }

  /** A query, or expressions, and the closing bracket. */
  private inner(): void {
    if (this.sees('select', 'with', 'values', 'table', '(') && this.tries(() => this.queryThenBracket())) return
    this.list(() => this.expression())
    this.must(')')
  }

  private queryThenBracket(): void {
    this.query()
    this.must(')')
  }

  private primary(): void {
    const word = this.next()
    // `:=` is no sign that we know, so a variable is only read
    if (word.kind === 'number' || word.kind === 'variable') return
    if (word.kind === 'string') {
      while (this.peek()?.kind === 'string') this.next()
      return
    }
    if (word.kind === 'sign') {
      if (word.text !== '(') refuse(`${word.text} is not allowed here`)
      this.inner()
      return
    }
    if (word.kind === 'word' && this.keyword(word.text)) return
    if (this.sees('(')) {
      this.call(word.text)
      return
    }
    if (word.kind === 'word' && reserved.has(word.text)) refuse(`${word.text} is not allowed here`)
    this.column(word.text)
  }

  /** The rest of `a`, `t.a`, `d.t.a`, `t.*`, or a function of a database. */
  private column(first: string): void {
    const parts = [first]
    while (this.take('.')) {
      if (this.take('*')) return
      parts.push(this.part())
    }
    if (parts.length > 3) refuse('a name of too many parts')
    if (this.sees('(')) {
      if (!this.more.includes(parts.join('.'))) refuse(`the function ${parts.join('.')} is not allowed`)
      this.readArguments(parts.join('.'))
    }
  }

  /** Operands that begin with a word of their own. */
  private keyword(text: string): boolean {
    if (['null', 'true', 'false', 'default'].includes(text) && !this.sees('(')) return text !== 'default'
    // N'…', x'…', b'…', _utf8mb4'…', DATE '…'
    if (this.peek()?.kind === 'string' && (/^(?:n|x|b|date|time|timestamp)$/.test(text) || /^_[a-z0-9]+$/.test(text))) {
      this.next()
      return true
    }
    if (/^_[a-z0-9]+$/.test(text) && this.peek()?.kind === 'number' && /^0[xXbB]/.test(this.peek()?.text ?? ''))
      return this.next() !== undefined
    if (text === 'exists') {
      this.must('(')
      this.query()
      this.must(')')
      return true
    }
    if (text === 'case') {
      if (!this.sees('when')) this.expression()
      do {
        this.must('when')
        this.expression()
        this.must('then')
        this.expression()
      } while (this.sees('when'))
      if (this.take('else')) this.expression()
      this.must('end')
      return true
    }
    if (text === 'row' && this.take('(')) {
      this.inner()
      return true
    }
    if (['any', 'some', 'all'].includes(text) && this.take('(')) {
      this.query()
      this.must(')')
      return true
    }
    if (text === 'interval') {
      this.expression()
      // else it was the function INTERVAL(…)
      if (this.peek()?.kind === 'word' && units.has(this.peek()?.text ?? '')) this.next()
      return true
    }
    if (bareFunctions.has(text) && !this.sees('(')) return true
    return false
  }

  private call(name: string): void {
    if (!functions.has(name) && !this.more.includes(name)) refuse(`the function ${name} is not allowed`)
    this.readArguments(name)
  }

  /** What stands in the brackets of a call, with the words that some functions have there; then AGAINST and OVER. */
  private readArguments(name: string): void {
    this.must('(')
    const from = this.at
    if (!this.take(')')) {
      this.take('distinct', 'all', 'leading', 'trailing', 'both')
      if (
        this.peek()?.kind === 'word' &&
        (units.has(this.peek()?.text ?? '') || this.sees('date', 'time', 'datetime')) &&
        /^(?:,|from)$/.test(this.words[this.at + 1]?.text ?? '')
      )
        this.next()
      else if (!this.take('*') && !this.sees('from')) this.expression()
      while (!this.take(')')) {
        if (this.take('as', 'returning')) this.type()
        else if (this.take('using')) this.part()
        else if (this.take('separator')) this.next()
        else if (this.take('order')) {
          this.must('by')
          this.list(() => this.ordered())
        } else if (this.take('limit', 'on', 'at')) this.next()
        else if (this.take('null', 'error', 'empty', 'default', 'time', 'zone')) continue
        else {
          this.must(',', 'from', 'for', 'in')
          if (name === 'convert') this.type()
          else this.expression()
        }
      }
    }
    if (amplifiers.includes(name)) this.checkAmount(name, this.words.slice(from, this.at))
    if (name === 'match') this.against()
    if (this.sees('respect', 'ignore') && this.words[this.at + 1]?.text === 'nulls') this.at += 2
    if (this.take('over')) this.isName() ? this.name() : this.window()
  }

  private checkAmount(name: string, words: readonly Word[]): void {
    const numbers = words
      .filter(({kind, text}) => kind === 'number' || (kind === 'string' && /^\d+$/.test(text)))
      .map(({text}) => Number(text))
    const multiplies = words.some(({kind, text}) => kind === 'sign' && ['*', '<<', '^'].includes(text))
    const amount = multiplies ? numbers.reduce((all, one) => all * Math.max(1, one), 1) : Math.max(1, ...numbers)
    if (amount > manyRows) refuse(`${name} makes too much`)
  }

  private against(): void {
    this.must('against')
    this.must('(')
    this.searched()
    while (this.take('in', 'natural', 'language', 'boolean', 'mode', 'with', 'query', 'expansion'));
    this.must(')')
  }

  /** The text of AGAINST, which IN ends. */
  private searched(): void {
    const word = this.next()
    if (word.kind !== 'string' && word.kind !== 'variable') refuse('AGAINST takes a text')
  }

  /** `(PARTITION BY … ORDER BY … ROWS BETWEEN … AND …)` */
  window(): void {
    this.must('(')
    if (this.isName() && !this.sees('partition')) this.name()
    if (this.take('partition')) {
      this.must('by')
      this.list(() => this.expression())
    }
    if (this.take('order')) {
      this.must('by')
      this.list(() => this.ordered())
    }
    if (this.take('rows', 'range', 'groups')) {
      const bound = (): void => {
        if (this.take('current')) {
          this.must('row')
          return
        }
        if (!this.take('unbounded')) this.operand()
        if (this.peek()?.kind === 'word' && units.has(this.peek()?.text ?? '')) this.next()
        this.must('preceding', 'following')
      }
      if (this.take('between')) {
        bound()
        this.must('and')
        bound()
      } else bound()
    }
    this.must(')')
  }

  /** `decimal(10, 2)`, `char(3) character set utf8mb4`, `unsigned integer` */
  type(): void {
    let read = 0
    for (;;) {
      if (this.take(...typeWords)) read += 1
      else if (this.sees('(')) {
        this.must('(')
        this.list(() => (this.next().kind === 'number' ? undefined : refuse('a type takes numbers')))
        this.must(')')
      } else if (this.take('charset', 'collate')) this.part()
      else break
    }
    if (read === 0) refuse('a type is missing')
  }
}

const typeWords =
  `signed unsigned integer int bigint smallint tinyint mediumint decimal dec numeric float double real precision char character set
  varchar nchar binary varbinary blob text longtext mediumtext tinytext longblob date datetime time timestamp year json boolean bool array
  utf8mb4 utf8mb3 utf8 latin1 ascii unicode byte bit varying point`.split(/\s+/)
