/**
 * Reads a filter of jq's language (jq 1.5 to 1.8, manual section by section) into a tree. Left out on purpose: comments, whose
 * end differs between versions, modules, and the environment. What it does not know is no filter.
 */
import {Scanner} from './scan.ts'
import type {Filter, Pattern} from './tree.ts'

const identity: Filter = {kind: 'identity'}
const maxDepth = 100

/** The tree of a filter. Throws {@link FilterFault}. Linear in the text's length. */
export function readFilter(text: string): Filter {
  const reader = new Reader(text)
  const filter = reader.pipe()
  if (reader.sign() !== '') reader.fail('does not go on here')
  return filter
}

class Reader extends Scanner {
  private depth = 0

  /** `a | b`, `def f: …; a`: the widest form. In an object a comma ends it. */
  pipe(commas = true): Filter {
    if (++this.depth > maxDepth) this.fail('is nested too deeply')
    const steps: Filter[] = []
    do {
      if (this.word() === 'def') {
        steps.push(this.definition(commas))
        break
      }
      steps.push(commas ? this.comma() : this.operation(0))
    } while (this.take('|'))
    this.depth--
    return steps.length === 1 ? (steps[0] as Filter) : {kind: 'pipe', steps}
  }

  private comma(): Filter {
    let left = this.operation(0)
    while (this.take(',')) left = {kind: 'binary', sign: ',', left, right: this.operation(0)}
    return left
  }

  private definition(commas: boolean): Filter {
    this.expectWord('def')
    const name = this.name()
    const parameters: string[] = []
    if (this.take('(')) {
      do parameters.push(this.take('$') ? `$${this.name()}` : this.name())
      while (this.take(';'))
      this.expect(')')
    }
    this.expect(':')
    const definition = this.pipe()
    this.expect(';')
    return {kind: 'define', name, parameters, definition, body: this.pipe(commas)}
  }

  /** Operators from the loosest, `//`, to the tightest, `*`. */
  private operation(level: number): Filter {
    const group = levels[level]
    if (!group) return this.unary()
    let left = this.operation(level + 1)
    for (;;) {
      const sign = group.words ? this.word() : this.sign()
      if (!group.signs.includes(sign)) return left
      if (group.words) this.expectWord(sign)
      else this.expect(sign)
      const right = this.operation(group.right ? level : level + 1)
      left = {kind: 'binary', sign, left, right}
      if (group.once && group.signs.includes(this.sign())) this.fail('needs brackets here')
    }
  }

  private unary(): Filter {
    if (this.sign() === '-') {
      if (++this.depth > maxDepth) this.fail('is nested too deeply')
      this.expect('-')
      const of = this.unary()
      this.depth--
      return {kind: 'negate', of}
    }
    if (this.word() === 'label') {
      this.expectWord('label')
      const name = this.variable()
      this.expect('|')
      return {kind: 'label', name, body: this.pipe()}
    }
    const source = this.postfix()
    if (this.word() !== 'as') return source
    this.expectWord('as')
    const patterns = this.patterns()
    this.expect('|')
    return {kind: 'as', source, patterns, body: this.pipe()}
  }

  private patterns(): Pattern[] {
    const patterns = [this.pattern()]
    while (this.take('?//')) patterns.push(this.pattern())
    return patterns
  }

  private pattern(): Pattern {
    if (++this.depth > maxDepth) this.fail('is nested too deeply')
    const found: Pattern = {names: [], keys: []}
    const add = ({names, keys}: Pattern): void => {
      found.names.push(...names)
      found.keys.push(...keys)
    }
    if (this.take('[')) {
      do add(this.pattern())
      while (this.take(','))
      this.expect(']')
    } else if (this.take('{')) {
      do {
        if (this.sign() === '$') {
          found.names.push(this.variable())
          if (this.take(':')) add(this.pattern())
          continue
        }
        if (this.take('(')) {
          found.keys.push(this.pipe())
          this.expect(')')
        } else if (this.sign() === '"') found.keys.push(this.string())
        else this.name(true)
        this.expect(':')
        add(this.pattern())
      } while (this.take(','))
      this.expect('}')
    } else found.names.push(this.variable())
    this.depth--
    return found
  }

  private postfix(): Filter {
    let term = this.term()
    for (;;) {
      const sign = this.sign()
      if (sign === '?' || sign === '?//') {
        this.at++
        term = {kind: 'try', body: term, otherwise: undefined}
      } else if (sign === '[') term = this.brackets(term)
      else if (sign === '.') {
        const field = this.field()
        if (field !== undefined) term = {kind: 'index', of: term, at: {kind: 'text', parts: [field]}}
        else {
          this.expect('.')
          if (this.sign() === '"') term = {kind: 'index', of: term, at: this.string()}
          else if (this.sign() === '[') term = this.brackets(term)
          else this.fail('needs the name of a field')
        }
      } else return term
    }
  }

  /** `[]`, `[i]`, `[i:j]` after a term. */
  private brackets(of: Filter): Filter {
    this.expect('[')
    if (this.take(']')) return {kind: 'iterate', of}
    const bounds: Filter[] = []
    if (this.sign() !== ':') bounds.push(this.pipe())
    if (this.take(':')) {
      if (this.sign() !== ']') bounds.push(this.pipe())
      else if (bounds.length === 0) this.fail('needs a bound')
      this.expect(']')
      return {kind: 'slice', of, bounds}
    }
    this.expect(']')
    return {kind: 'index', of, at: bounds[0] as Filter}
  }

  private term(): Filter {
    const sign = this.sign()
    if (sign === '0') return {kind: 'number', value: this.figure()}
    if (sign === '"') return this.string()
    if (sign === '@') return this.format()
    if (sign === 'a') return this.named()
    switch (sign) {
      case '..':
        this.expect('..')
        return {kind: 'descend'}
      case '.': {
        const field = this.field()
        if (field !== undefined) return {kind: 'index', of: identity, at: {kind: 'text', parts: [field]}}
        this.expect('.')
        return this.sign() === '"' ? {kind: 'index', of: identity, at: this.string()} : identity
      }
      case '$': {
        if (this.text.startsWith('$__loc__', this.at) && !/\w/.test(this.text[this.at + 8] ?? '')) {
          this.at += 8
          return {kind: 'place'}
        }
        return {kind: 'variable', name: this.variable()}
      }
      case '(': {
        this.expect('(')
        const inner = this.pipe()
        this.expect(')')
        return inner
      }
      case '[': {
        this.expect('[')
        if (this.take(']')) return {kind: 'array', of: undefined}
        const of = this.pipe()
        this.expect(']')
        return {kind: 'array', of}
      }
      case '{':
        return this.object()
      default:
        return this.fail('does not go on here')
    }
  }

  private named(): Filter {
    const word = this.word()
    if (word === 'if') return this.condition()
    if (word === 'reduce' || word === 'foreach') return this.fold(word === 'foreach')
    if (word === 'try') {
      this.expectWord('try')
      const body = this.sign() === '-' ? this.unary() : this.postfix()
      if (this.word() !== 'catch') return {kind: 'try', body, otherwise: undefined}
      this.expectWord('catch')
      return {kind: 'try', body, otherwise: this.sign() === '-' ? this.unary() : this.postfix()}
    }
    if (word === 'def') {
      // `1 + def f: .; f`: allowed nowhere but at the start of a pipe
      this.fail('stands at the start')
    }
    const name = this.name()
    if (name === 'break') return {kind: 'break', name: this.variable()}
    const operands: Filter[] = []
    if (this.take('(')) {
      do operands.push(this.pipe())
      while (this.take(';'))
      this.expect(')')
    }
    return {kind: 'call', name, operands}
  }

  private condition(): Filter {
    const conditions: Filter[] = []
    const branches: Filter[] = []
    for (let word = 'if'; word === 'if' || word === 'elif'; word = this.word()) {
      this.expectWord(word)
      conditions.push(this.pipe())
      this.expectWord('then')
      branches.push(this.pipe())
    }
    if (this.word() === 'else') {
      this.expectWord('else')
      branches.push(this.pipe())
    } else branches.push(identity)
    this.expectWord('end')
    return {kind: 'if', conditions, branches}
  }

  private fold(each: boolean): Filter {
    this.expectWord(each ? 'foreach' : 'reduce')
    const source = this.postfix()
    this.expectWord('as')
    const patterns = this.patterns()
    this.expect('(')
    const start = this.pipe()
    this.expect(';')
    const update = this.pipe()
    const extract = each && this.take(';') ? this.pipe() : undefined
    this.expect(')')
    return {kind: 'fold', source, patterns, start, update, extract, each}
  }

  private object(): Filter {
    this.expect('{')
    const entries: {key: Filter; value: Filter}[] = []
    while (this.sign() !== '}') {
      entries.push(this.entry())
      if (!this.take(',')) break
    }
    this.expect('}')
    return {kind: 'object', entries}
  }

  private entry(): {key: Filter; value: Filter} {
    const sign = this.sign()
    if (sign === '$') {
      const value = this.term()
      return {key: {kind: 'text', parts: ['']}, value}
    }
    if (sign === '(') {
      this.expect('(')
      const key = this.pipe()
      this.expect(')')
      this.expect(':')
      return {key, value: this.pipe(false)}
    }
    const key: Filter = sign === '"' ? this.string() : sign === '@' ? this.format() : {kind: 'text', parts: [this.name(true)]}
    return {key, value: this.take(':') ? this.pipe(false) : {kind: 'index', of: identity, at: key}}
  }

  private format(): Filter {
    const [name = ''] = /^@[a-z0-9]+/.exec(this.text.slice(this.at, this.at + 20)) ?? []
    if (!formats.includes(name)) this.fail('is no format')
    this.at += name.length
    return this.sign() === '"' ? {...(this.string() as Filter & {kind: 'text'}), format: name} : {kind: 'format'}
  }

  private string(): Filter {
    this.sign()
    this.at++
    const parts: (string | Filter)[] = []
    let plain = ''
    for (;;) {
      const sign = this.text[this.at]
      if (sign === undefined) this.fail('has a text without an end')
      this.at++
      if (sign === '"') break
      if (sign !== '\\') {
        plain += sign
        continue
      }
      const escaped = this.text[this.at++] ?? ''
      if (escaped === '(') {
        parts.push(plain, this.pipe())
        plain = ''
        this.expect(')')
      } else if (escaped === 'u' && /^[0-9A-Fa-f]{4}$/.test(this.text.slice(this.at, this.at + 4))) {
        plain += String.fromCharCode(Number.parseInt(this.text.slice(this.at, this.at + 4), 16))
        this.at += 4
      } else if (Object.hasOwn(escapes, escaped)) plain += escapes[escaped]
      else this.fail('has a `\\` that means nothing')
    }
    parts.push(plain)
    return {kind: 'text', parts}
  }
}

const levels: {signs: string[]; right?: true; once?: true; words?: true}[] = [
  {signs: ['//'], right: true},
  {signs: ['=', '|=', '+=', '-=', '*=', '/=', '%=', '//='], once: true},
  {signs: ['or'], words: true},
  {signs: ['and'], words: true},
  {signs: ['==', '!=', '<', '<=', '>', '>='], once: true},
  {signs: ['+', '-']},
  {signs: ['*', '/', '%']},
]
const formats = ['@text', '@json', '@html', '@uri', '@csv', '@tsv', '@sh', '@base64', '@base64d', '@base32', '@base32d', '@urid']
const escapes: Readonly<Record<string, string>> = {'"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t'}
