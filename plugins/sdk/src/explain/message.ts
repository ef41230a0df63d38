/** Peels what tools wrap around a message: colours, boxes, folds, escapes of JSON, entities of HTML. The one place that does. Linear. */

/** Most of a text that is read: 1 MiB of characters. Of a longer one the end counts, where tools say why they failed. */
export const maxTextLength = 1024 * 1024

/** A text made plain. Both strings are of one length, so that what is found in the one is cut from the other. */
export interface Message {
  /** blanks are single; a line break is `\n` */
  readonly plain: string
  /** in small letters, with blanks alone and straight quotes: for finding */
  readonly low: string
}

const escapeCode = 0x1b
const backslash = 0x5c
const ampersand = 0x26
const newline = 0x0a
const bar = 0x7c
/** What quotes a line of a post, and what makes it a comment. */
const hash = 0x23
const greater = 0x3e
const entities: Readonly<Record<string, string>> = {
  '&quot;': '"',
  '&#34;': '"',
  '&#39;': "'",
  '&#x27;': "'",
  '&apos;': "'",
  '&lt;': '<',
  '&gt;': '>',
  '&amp;': '&',
  '&nbsp;': ' ',
}

/**
 * The message in a text, as one or two readings of it: a terminal that is too narrow, and Terraform's boxes, fold lines, sometimes inside a
 * word, so where lines are filled to the brim the second reading joins them. Pure.
 */
export function peel(text: string): Message[] {
  const part = withoutRightBorder(text.length > maxTextLength ? text.slice(-maxTextLength) : text)
  const plain = unwrap(part, Number.POSITIVE_INFINITY)
  const table = withoutColumns(part)
  const width = table === undefined ? widthOfFolds(part) : undefined
  const joined = table !== undefined ? unwrap(table, Number.POSITIVE_INFINITY) : width === undefined ? plain : unwrap(part, width)
  return (joined === plain ? [plain] : [plain, joined]).map(one => ({plain: one, low: lower(one)}))
}

/** The lines of a box without its right side, which would stand between the halves of a word that a line breaks. */
function withoutRightBorder(text: string): string {
  if (!text.includes(' │\n')) return text
  const lines = text.split('\n')
  return lines.map(line => (line.endsWith(' │') ? line.slice(0, -2).trimEnd() : line)).join('\n')
}

/**
 * The length that the longest lines share, where at least one line seems to go on in the next: two different lines are filled to the brim,
 * or one, and what follows it does not begin like a sentence.
 */
function widthOfFolds(text: string): number | undefined {
  if (!text.includes('\n')) return undefined
  let longest = 0
  let first = 0
  let goesOn = false
  for (let from = 0; from <= text.length; ) {
    const at = text.indexOf('\n', from)
    const end = at < 0 ? text.length : at
    const length = end - from
    if (length > longest) {
      longest = length
      first = from
      goesOn = /^(?:[│|>] ?)?[a-z0-9:/_*-]/.test(text.slice(end + 1, end + 4))
    } else if (length === longest && length <= 400) goesOn ||= !text.startsWith(text.slice(from, end), first)
    if (at < 0) break
    from = end + 1
  }
  return goesOn && longest >= 60 && longest <= 400 ? longest : undefined
}

/** What indents a cell at the least. */
const leastIndent = 20

/**
 * A text whose last column is folded, as tables and log handlers print it, with each such cell on one line; undefined where there is none.
 * A line of a cell that is filled to the brim goes on in the next without a blank, and so does a name that is broken after a hyphen.
 */
function withoutColumns(text: string): string | undefined {
  if (!text.includes(`\n${' '.repeat(leastIndent)}`) && !text.includes(`\n,${' '.repeat(leastIndent)}`)) return undefined
  const lines = text.split('\n')
  const out: string[] = []
  let found = false
  for (let at = 0; at < lines.length; at++) {
    const indent = indentOf(lines[at + 1] ?? '')
    let end = at + 1
    while (indent >= leastIndent && end < lines.length && indentOf(lines[end] as string) === indent) end += 1
    const head = lines[at] as string
    const isHead = head.length > indent && head[indent - 1] === ' ' && head[indent] !== ' '
    if (end - at < 3 || !isHead) {
      out.push(head)
      continue
    }
    const cells = lines.slice(at, end).map(line => line.slice(indent).trimEnd())
    const width = cells.reduce((most, {length}) => Math.max(most, length), 0)
    const goesOn = (cell: string): boolean => cell.length === width || /(?:^| )arn:\S{0,400}-$/.test(cell.slice(-404))
    out.push(head.slice(0, indent) + cells.map(cell => (goesOn(cell) ? cell : `${cell} `)).join(''))
    found = true
    at = end - 1
  }
  return found ? out.join('\n') : undefined
}

/** The blanks that a line begins with; a comma may stand first. */
function indentOf(line: string): number {
  let at = line.startsWith(',') ? 1 : 0
  while (line[at] === ' ') at += 1
  return at === line.length ? 0 : at
}

/** `width`: lines as long as this are joined to the next one without a blank. */
function unwrap(text: string, width: number): string {
  const out: string[] = []
  let kept = 0 // from here on, characters are yet to be copied
  let lineStart = 0
  let blank = '\n' as string // what stands before the next character: nothing begins with a blank
  const put = (what: string): void => {
    if (blank === ' ' || blank === '\n') {
      if (out.length > 0) out.push(blank)
    }
    blank = ''
    out.push(what)
  }
  const flush = (end: number): void => {
    if (end > kept) put(text.slice(kept, end))
  }
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    const mayBegin = code === bar || code === hash || code === greater
    if (code > 0x20 && code < 0x7f && code !== backslash && code !== ampersand && !mayBegin) continue
    // a bar is a box where a line begins with it; the others mark a line where a blank follows
    if (mayBegin && !(kept === at && blank === '\n' && (code === bar || text[at + 1] === ' '))) continue
    if (code > 0x9f && !isBlank(code) && !isHidden(code)) continue
    flush(at)
    let next = at + 1
    if (code === newline) {
      if (at - lineStart >= width && text[next] !== ' ' && text[next] !== '\t') blank = blank === '' ? 'join' : blank
      else blank = '\n'
      lineStart = next
    } else if (code === escapeCode) next = endOfSequence(text, at)
    else if (code === backslash) {
      const [shown, end] = unescaped(text, at)
      next = end
      if (shown === '\n') blank = '\n'
      else put(shown)
    } else if (code === ampersand) {
      const name = text.slice(at, at + 7)
      const length = name.indexOf(';') + 1
      const entity = entities[name.slice(0, length)]
      put(entity ?? '&')
      if (entity) next = at + length
    } else if (mayBegin) {
      // left out
    } else if (isBlank(code)) {
      if (blank !== '\n' && blank !== 'join') blank = ' '
    }
    // any other control or hidden character is left out
    kept = next
    at = next - 1
  }
  flush(text.length)
  return out.join('')
}

/** Blanks of Unicode, C0 blanks, and the lines that boxes are drawn with. */
function isBlank(code: number): boolean {
  return (
    code === 0x20 ||
    (code >= 0x09 && code <= 0x0d) ||
    code === 0xa0 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x3000 ||
    (code >= 0x2500 && code <= 0x257f)
  )
}

/** What has no width or turns the order: it could hide words. */
function isHidden(code: number): boolean {
  return (
    code === 0xad ||
    (code >= 0x200b && code <= 0x200f) ||
    (code >= 0x202a && code <= 0x202e) ||
    (code >= 0x2060 && code <= 0x206f) ||
    code === 0xfeff
  )
}

/** The end of a terminal's escape sequence: CSI up to its final byte, OSC and its like up to BEL or ST. */
function endOfSequence(text: string, at: number): number {
  const kind = text[at + 1]
  let next = at + 2
  if (kind === '[') {
    while (next < text.length && text.charCodeAt(next) >= 0x20 && text.charCodeAt(next) < 0x40) next += 1
    return Math.min(text.length, next + 1)
  }
  if (kind === ']' || kind === 'P' || kind === '_' || kind === '^') {
    const most = Math.min(text.length, next + 2048)
    while (next < most && text.charCodeAt(next) !== 7 && text.charCodeAt(next) !== escapeCode && text.charCodeAt(next) !== newline)
      next += 1
    return text.charCodeAt(next) === 7 ? next + 1 : next
  }
  return Math.min(text.length, next)
}

/** What one or more backslashes stand for, as JSON and programs write text into text, and where it ends. */
function unescaped(text: string, at: number): [shown: string, end: number] {
  let next = at
  while (text.charCodeAt(next) === backslash) next += 1
  const letter = text[next] ?? ''
  if (letter === '"' || letter === "'" || letter === '/' || letter === '`') return [letter, next + 1]
  if (letter === 'n' || letter === 'r' || letter === 't') {
    // `CORP\nancy` is a name
    const isName = isSmall(text.charCodeAt(next + 1)) && /(?:^|[\s"'(=[])[A-Z][\w.-]{0,30}$/.test(text.slice(Math.max(0, at - 33), at))
    if (!isName) return ['\n', next + 1]
  }
  if (letter === 'u') {
    const code = Number.parseInt(text.slice(next + 1, next + 5), 16)
    if (code >= 0x20 && code < 0x7f && !/[^0-9a-f]/i.test(text.slice(next + 1, next + 5))) return [String.fromCharCode(code), next + 5]
  }
  return [text.slice(at, next), next]
}

function isSmall(code: number): boolean {
  return code >= 0x61 && code <= 0x7a
}

const straight: Readonly<Record<string, string>> = {'\u2018': "'", '\u2019': "'", '\u201c': '"', '\u201d': '"', '\n': ' '}

function lower(plain: string): string {
  const small = plain.toLowerCase()
  const same = small.length === plain.length ? small : plain.replace(/[A-Z]/g, letter => letter.toLowerCase())
  return same.replace(/[\u2018\u2019\u201c\u201d\n]/g, mark => straight[mark] as string)
}
