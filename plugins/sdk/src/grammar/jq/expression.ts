/** What a regular expression written into a filter of jq may be. */
import {isCheap} from '../kinds/regexp.ts'

/**
 * Why the expression is refused, or undefined. `replaces`: all its matches are replaced, so it must not match the empty text,
 * on which jq 1.6 never ends. Source: Oniguruma's doc/RE, syntax Perl_NT.
 */
export function findExpressionFault(text: string, replaces: boolean): string | undefined {
  if (!isCheap(text)) return 'has a regular expression whose repeats come to too much'
  if (replaces && new Expression(text).shortest() === 0) return 'replaces what may be the empty text'
  return undefined
}

/** The length of the shortest match; 0 where it cannot be told. */
class Expression {
  private readonly text: string
  private at = 0

  constructor(text: string) {
    this.text = text
  }

  shortest(): number {
    const shortest = this.choice()
    return this.at === this.text.length ? shortest : 0
  }

  private choice(): number {
    let shortest = this.sequence()
    while (this.text[this.at] === '|') {
      this.at++
      shortest = Math.min(shortest, this.sequence())
    }
    return shortest
  }

  private sequence(): number {
    let length = 0
    while (this.at < this.text.length && this.text[this.at] !== '|' && this.text[this.at] !== ')') {
      const piece = this.piece()
      length += this.mayBeLeftOut() ? 0 : piece
    }
    return length
  }

  private piece(): number {
    const sign = this.text[this.at++] as string
    if (sign === '(') return this.group()
    if (sign === '[') {
      this.at = endOfSet(this.text, this.at)
      return 1
    }
    if (sign === '^' || sign === '$') return 0
    if (sign !== '\\') return 1
    const escaped = this.text[this.at++] ?? ''
    // a class or a sign; everything else may stand for nothing: an edge, a reference back
    return /^[dDwWsShHnrtfvae\W]$/.test(escaped) ? 1 : 0
  }

  private group(): number {
    const [opening = '', counts] = /^\?(?:(:|>|<[A-Za-z_]\w*>)|[=!]|<[=!])/.exec(this.text.slice(this.at, this.at + 60)) ?? []
    if (this.text[this.at] === '?' && opening === '') {
      // flags and conditions: not judged
      this.at = this.text.length + 1
      return 0
    }
    const inside = opening === '' || counts !== undefined
    this.at += opening.length
    const length = this.choice()
    if (this.text[this.at] !== ')') this.at = this.text.length + 1
    this.at++
    return inside ? length : 0
  }

  /** Reads the repeats after a piece. */
  private mayBeLeftOut(): boolean {
    let leftOut = false
    for (let quantified = false; ; quantified = true) {
      const sign = this.text[this.at]
      const [counted] = /^\{[0-9,]*\}/.exec(this.text.slice(this.at, this.at + 20)) ?? []
      if (counted !== undefined) {
        this.at += counted.length
        if (/^\{0*(?:,|\})/.test(counted) || this.text[this.at] === '?') leftOut = true
      } else if (sign === '*' || sign === '?' || sign === '+') {
        this.at++
        // after another repeat `?` means as few as can be
        if (sign === '*' || (sign === '?' && !quantified)) leftOut = true
      } else return leftOut
    }
  }
}

function endOfSet(text: string, from: number): number {
  let at = text[from] === '^' ? from + 1 : from
  if (text[at] === ']') at++
  for (let depth = 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '[') depth++
    else if (text[at] === ']' && --depth === 0) return at + 1
  }
  return text.length + 1
}
