/**
 * Patterns of messages. Words are literal; `{name}` captures a word, quoted or not; `{name:text}` may hold blanks, `{name:few}` too, but no more than a few words; `{name:name}` is a name, whatever word it is; `{name:address}` is a word that a host, a URL or a path may be; `{a|b}` is either, and
 * `{a|}` may be missing; `{{}` is a brace. A pattern is read once from left to right and never tries again, so its cost is bounded by its own length.
 */
import type {Message} from './message.ts'

type Kind = 'word' | 'text' | 'few' | 'name' | 'address'

type Part = {readonly literal: readonly string[]; readonly optional: boolean} | {readonly capture: string; readonly kind: Kind}

export interface Pattern {
  readonly parts: readonly Part[]
  /** what is looked for first */
  readonly anchors: readonly string[]
}

/** One place where a pattern holds. */
export interface Match {
  readonly at: number
  readonly end: number
  readonly captures: Readonly<Record<string, string>>
  /** captures that stand in quotes, or before an `@`: names, whatever they are */
  readonly names: ReadonlySet<string>
}

/** A pattern is looked for at this many places of a text. */
const maxPlaces = 200
/** What a capture may span. */
const maxCapture = 1200
/** What a capture of a few words may span. */
const maxFew = 50

const kinds: readonly Kind[] = ['text', 'few', 'name', 'address']

const parsed = new Map<string, Pattern>()

/** Reads a pattern. Throws for one that is none: a table is at fault, not a text. */
export function pattern(source: string): Pattern {
  const known = parsed.get(source)
  if (known) return known
  const parts: Part[] = []
  let at = 0
  while (at < source.length) {
    const open = source.indexOf('{', at)
    const literal = source.slice(at, open < 0 ? source.length : open).toLowerCase()
    if (literal) parts.push({literal: [literal], optional: false})
    if (open < 0) break
    const close = source.indexOf('}', open)
    const inside = source.slice(open + 1, close)
    if (inside === '{') parts.push({literal: ['{'], optional: false})
    else if (inside.includes('|')) {
      const choices = inside.toLowerCase().split('|')
      parts.push({literal: choices.filter(choice => choice !== ''), optional: choices.includes('')})
    } else {
      const [capture = '', kind] = inside.split(':')
      parts.push({capture, kind: kinds.find(one => one === kind) ?? 'word'})
    }
    at = close + 1
  }
  const first = parts.find(part => 'literal' in part && !part.optional) as {literal: readonly string[]} | undefined
  if (!first || parts.indexOf(first as Part) > 1) throw new Error(`a pattern begins with words or with one capture: ${source}`)
  const made = {parts, anchors: first.literal}
  parsed.set(source, made)
  return made
}

/** The places where a pattern holds, from the left. Most patterns do not: that is seen without reading them. */
export function* places({plain, low}: Message, source: string): Generator<Match> {
  const open = source.indexOf('{')
  if (open !== 0 && !low.includes((open < 0 ? source : source.slice(0, open)).toLowerCase())) return
  const {parts, anchors} = pattern(source)
  for (const anchor of anchors) {
    let from = 0
    for (let place = 0; place < maxPlaces; place++) {
      const at = low.indexOf(anchor, from)
      if (at < 0) break
      from = at + anchor.length
      if (!beginsWord(plain, anchor, at)) continue
      const match = matchAt(plain, low, parts, at, from)
      if (match) yield match
    }
  }
}

/** Whether what was found begins a word, or a part of a joined one: `on resource` is not in `execution resource`, nor ENOTFOUND in `ResourceNotFound`. */
function beginsWord(plain: string, anchor: string, at: number): boolean {
  if (at === 0 || !isLetter(anchor[0] as string) || !isLetter(plain[at - 1] as string)) return true
  return /[A-Z]/.test(plain[at] as string)
}

function isLetter(letter: string): boolean {
  return /[A-Za-z]/.test(letter)
}

function matchAt(plain: string, low: string, parts: readonly Part[], at: number, afterAnchor: number): Match | undefined {
  const captures: Record<string, string> = {}
  const names = new Set<string>()
  let index = 1
  let start = at
  const [first] = parts
  if (first && 'capture' in first) {
    const word = wordBefore(plain, at)
    if (!word) return undefined
    captures[first.capture] = word.value
    if (first.kind === 'name' || plain[at] === '@' || isQuote(plain[word.at])) names.add(first.capture)
    start = word.at
    index = 2
  }
  let here = afterAnchor
  for (; index < parts.length; index++) {
    const part = parts[index] as Part
    if ('literal' in part) {
      const found = part.literal.find(choice => low.startsWith(choice, here))
      if (found !== undefined) here += found.length
      else if (!part.optional) return undefined
      continue
    }
    const next = parts[index + 1]
    if (next && 'literal' in next && !next.optional) {
      const span = spanTo(low, here, next.literal, part.kind === 'few' ? maxFew : maxCapture)
      if (!span) return undefined
      if (part.kind === 'few') {
        here = span.end
        index += 1
        continue
      }
      const value = part.kind === 'text' ? bare(plain.slice(here, span.at)) : unfold(bare(plain.slice(here, span.at)))
      if (value === undefined || value === '' || (part.kind === 'address' && !isAddress(value))) return undefined
      if (part.kind === 'text' && plain[here - 1] === '"' && low[span.at] === '"' && value.includes('"')) return undefined // another's quotes
      captures[part.capture] = value
      if (part.kind === 'name' || isQuote(plain[here - 1]) || isQuote(plain.slice(here, span.at).trimStart()[0])) names.add(part.capture)
      here = span.end
      index += 1
    } else {
      const word = wordAfter(plain, here)
      if (!word || (part.kind === 'address' && !isAddress(word.value))) return undefined
      captures[part.capture] = word.value
      if (part.kind === 'name' || isQuote(plain[here - 1]) || isQuote(plain.slice(here, word.end).trimStart()[0])) names.add(part.capture)
      here = word.end
    }
  }
  return {at: start, end: here, captures, names}
}

function isAddress(word: string): boolean {
  return /[\w\]*>][.:/]+[\w[*<]/.test(word) || word === 'localhost'
}

function isQuote(letter = ''): boolean {
  return letter !== '' && '"\'`\u201c\u2018'.includes(letter)
}

/** The nearest of some words after a place, within the span of a capture. */
function spanTo(low: string, from: number, choices: readonly string[], most: number): {at: number; end: number} | undefined {
  const window = low.slice(from, from + most)
  let best: {at: number; end: number} | undefined
  for (const choice of choices) {
    const at = window.indexOf(choice)
    if (at >= 0 && (!best || from + at < best.at)) best = {at: from + at, end: from + at + choice.length}
  }
  return best
}

const closing: Readonly<Record<string, string>> = {'"': '"', "'": "'", '`': "`'", '\u201c': '\u201d', '\u2018': '\u2019', '[': ']'}

/** Text without the quotes around it. */
function bare(text: string): string {
  let value = text.trim()
  for (let times = 0; times < 3; times++) {
    const close = closing[value[0] ?? '']
    if (value.length > 1 && close?.includes(value.at(-1) as string)) value = value.slice(1, -1).trim()
  }
  return value
}

/** A word that a fold went through, whole again; undefined for several words. */
function unfold(value: string): string | undefined {
  const whole = value.replaceAll('\n', '')
  if (!whole.includes(' ')) return whole
  // `arn:aws:sts::[account id]:…`: a placeholder inside a name
  if (!whole.startsWith('arn:')) return undefined
  for (let at = 0; at < whole.length; at++) {
    if (whole[at] === ' ' && !isSlip(whole, 0, at)) return undefined
    at = endOfPlaceholder(whole, at) ?? at
  }
  return whole
}

/** Where what stands for a part of a name ends, where one begins after `:` or `/`: `<account>`, `[account id]`, `"my account"`; of an ARN's account, words alone. */
function endOfPlaceholder(text: string, at: number): number | undefined {
  if (text[at - 1] === ':' && /arn:[\w-]+:[\w-]+:[\w-]*:$/.test(text.slice(Math.max(0, at - 80), at))) {
    const words = /^[A-Za-z]+(?: [A-Za-z0-9]+){1,2}(?=:)/.exec(text.slice(at, at + 40))?.[0]
    if (words !== undefined) return at + words.length - 1
  }
  const close = placeholders[text[at] as string]
  if (close === undefined || !':/'.includes(text[at - 1] ?? ' ')) return undefined
  const length = text.slice(at + 1, at + 61).indexOf(close)
  const end = at + 1 + length
  const next = text[end + 1]
  const ends = next === undefined || ':/-_'.includes(next) || (text[at] === '<' && ' \n.,'.includes(next))
  return length > 0 && ends ? end : undefined
}

const placeholders: Readonly<Record<string, string>> = {'<': '>', '[': ']', '"': '"', "'": "'", '{': '}', '(': ')'}

/** The word that begins at or after a place: what a quote encloses, else up to a blank, without the punctuation of the sentence. */
function wordAfter(plain: string, from: number): {value: string; end: number} | undefined {
  let start = from
  while (start < plain.length && (plain[start] === ' ' || plain[start] === '\n')) start += 1
  let open = plain[start] ?? ''
  const most = Math.min(plain.length, start + maxCapture)
  if (closing[open] !== undefined) {
    while (open === '[' && plain[start + 1] === '[') start += 1
    const close = closing[open] as string
    for (let at = start + 1; at < most; at++) {
      if (!close.includes(plain[at] as string)) continue
      const value = plain.slice(start + 1, at)
      if (open !== '[' || !value.includes(' ')) return value.trim() === '' ? undefined : {value: value.replaceAll('\n', ''), end: at + 1}
      break
    }
    start += 1
    open = ''
  }
  let end = start
  if (plain[start] === '<') {
    // `<the arn>`: a placeholder is one word
    const close = plain.slice(start, start + 80).indexOf('>')
    if (close > 0 && plain.slice(start, start + close).includes(' ')) end = start + close + 1
  }
  while (end < most) {
    const placeholder = endOfPlaceholder(plain, end)
    if (placeholder !== undefined) end = placeholder + 1
    else if (endsWord(plain, end) && !goesOn(plain, start, end) && !isSlip(plain, start, end)) break
    else end += 1
  }
  const value = trimmed(plain.slice(start, end))
  return value === '' ? undefined : {value: value.replaceAll('\n', ''), end: start + value.length}
}

/** Whether an ARN goes on in the next line: it was broken after a slash, a colon or a hyphen, and what follows is no word of a sentence. */
function goesOn(plain: string, start: number, at: number): boolean {
  if (plain[at] !== '\n' || !'/:-'.includes(plain[at - 1] as string) || !plain.startsWith('arn:', start)) return false
  if (plain.slice(start, at).endsWith(':log-stream:')) return false
  const next = /^[\w[<{*.-][^\s:]{0,200}(?=[\s:"'),.]|$)/.exec(plain.slice(at + 1, at + 203))?.[0]
  return next !== undefined && !sentenceWords.test(next)
}

/** Whether a blank stands beside the colon after an ARN's account, where a slip of the hand put it. */
function isSlip(text: string, start: number, at: number): boolean {
  if (text[at] !== ' ' || !text.startsWith('arn:', start) || at - start > 80) return false
  const rest = text[at - 1] === ':' ? at + 1 : text[at + 1] === ':' ? at + 2 : -1
  return (
    rest > 0 &&
    /^arn:[\w-]+:[\w-]+:[\w-]*:[^\s:]+:?$/.test(text.slice(start, at)) &&
    /^[a-z][a-z-]*[/:][^\s]/.test(text.slice(rest, rest + 40))
  )
}

const sentenceWords = /^(?:because|with|on|is|and|status|the|in|due|which|for|to|at|as|error|by|from|no|\[?error\]?|\d+)$/i

function endsWord(plain: string, at: number): boolean {
  const letter = plain[at] as string
  if (letter === ' ' || letter === '\n' || letter === '"' || letter === ';' || letter === '`') return true
  const next = plain[at + 1]
  if (letter === '<') return next === '/'
  if (letter === ',' || letter === "'")
    return next === undefined || next === ' ' || next === '\n' || next === '"' || next === "'" || next === ',' || next === '}'
  return false
}

/** Without what ends a sentence or a bracket that did not open here; three dots are somebody's own. */
function trimmed(text: string): string {
  let end = text.length
  if (text.endsWith(':log-stream:')) return text // as the ARN of a log group is written
  const least = Math.max(0, end - 8)
  while (end > least) {
    const letter = text[end - 1] as string
    const isDot = letter === '.' && !text.slice(0, end).endsWith('...')
    const open = letter === ')' ? '(' : letter === ']' ? '[' : letter === '}' ? '{' : undefined
    if (isDot || ',:;!?\'"`'.includes(letter) || (open !== undefined && !isBalanced(text.slice(0, end), open, letter))) end -= 1
    else break
  }
  return text.slice(0, end)
}

function isBalanced(text: string, open: string, close: string): boolean {
  let depth = 0
  for (const letter of text) depth += letter === open ? 1 : letter === close ? -1 : 0
  return depth >= 0
}

/** The word that ends before a place. */
function wordBefore(plain: string, to: number): {value: string; at: number} | undefined {
  let end = to
  while (end > 0 && (plain[end - 1] === ' ' || plain[end - 1] === '\n')) end -= 1
  const least = Math.max(0, end - maxCapture)
  const close = plain[end - 1] ?? ''
  if (close === '"' || close === "'" || close === ']' || close === '`') {
    const open = close === ']' ? '[' : close
    for (let at = end - 2; at >= least; at--) {
      if (plain[at] === open || (close === "'" && plain[at] === '`'))
        return at + 1 < end - 1 ? {value: plain.slice(at + 1, end - 1), at} : undefined
    }
    end -= 1
  }
  let start = end
  while (start > least && !' \n"\'`<>(['.includes(plain[start - 1] as string)) start -= 1
  const value = plain.slice(start, end)
  return value === '' ? undefined : {value, at: start}
}
