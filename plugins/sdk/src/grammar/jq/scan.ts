/** The signs and words of a filter of jq, one after the other. */

/** Why a text is no filter that we read; `at` is the place in it. */
export class FilterFault extends Error {
  readonly at: number
  constructor(message: string, at: number) {
    super(message)
    this.at = at
  }
}

const keywords = new Set('and as catch def elif else end foreach if import include label module or reduce then try __loc__'.split(' '))
const signs = ['?//', '|=', '+=', '-=', '*=', '/=', '%=', '//=', '==', '!=', '<=', '>=', '//', '..', ...'.[](){}|,:;=<>+-*/%?$'].sort(
  (a, b) => b.length - a.length,
)

/** A place in the text of a filter, and what can be read from there. */
export class Scanner {
  protected readonly text: string
  protected at = 0

  constructor(text: string) {
    this.text = text
  }

  fail(message: string): never {
    throw new FilterFault(message, this.at)
  }

  /** A number as written. */
  protected figure(): number {
    const [figure = ''] = /^(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?/.exec(this.text.slice(this.at, this.at + 400)) ?? []
    this.at += figure.length
    return Number(figure)
  }

  /** `.name` written as one, or undefined. */
  protected field(): string | undefined {
    this.sign()
    if (this.text[this.at] !== '.') return undefined
    const name = this.wordAt(this.at + 1)
    if (name === '') return undefined
    this.at += name.length + 1
    return name
  }

  protected variable(): string {
    this.expect('$')
    if (!/[A-Za-z_]/.test(this.text[this.at] ?? '')) this.fail('needs the name of a variable')
    return this.name(true)
  }

  protected name(any = false): string {
    const word = this.word()
    if (word === '' || (!any && keywords.has(word)) || this.text.startsWith('::', this.at + word.length)) this.fail('needs a name')
    this.at += word.length
    return word
  }

  /** The next word, or the empty text. */
  protected word(): string {
    return this.sign() === 'a' ? this.wordAt(this.at) : ''
  }

  private wordAt(at: number): string {
    const word = /[A-Za-z_][A-Za-z_0-9]*/y
    word.lastIndex = at
    return word.exec(this.text)?.[0] ?? ''
  }

  protected expectWord(word: string): void {
    if (this.word() !== word) this.fail(`needs ${word}`)
    this.at += word.length
  }

  /** What comes next, blanks left out: an operator, `"`, `@`, `0` for a number, `a` for a word, or the empty text at the end. */
  sign(): string {
    while (/[ \t\n\r]/.test(this.text[this.at] ?? '')) this.at++
    const first = this.text[this.at]
    if (first === undefined) return ''
    if (/[A-Za-z_]/.test(first)) return 'a'
    if (/[0-9]/.test(first) || (first === '.' && /[0-9]/.test(this.text[this.at + 1] ?? ''))) return '0'
    if (first === '"' || first === '@') return first
    return signs.find(sign => this.text.startsWith(sign, this.at)) ?? this.fail('has a sign that means nothing')
  }

  protected take(sign: string): boolean {
    if (this.sign() !== sign) return false
    this.at += sign.length
    return true
  }

  protected expect(sign: string): void {
    if (!this.take(sign)) this.fail(`needs ${sign}`)
  }
}
