/** Takes named JSON fields and columns out of a tool's output, as bytes come: nothing is held back but the name that is being read. */
import type {RedactRules} from '../catalog/catalog.ts'

/** One step of a redactor: text in, text out; each character is one byte. */
export interface Mask {
  push(text: string): string
  end(): string
}

/** What stands where something was taken out. */
export const mark = '[redacted]'
/** longest name of a field or column that is compared */
const maxNameLength = 512
const decode = (bytes: string) => Buffer.from(bytes, 'latin1').toString('utf8')

/** How deep a quotation mark lies in JSON inside of strings of JSON, by the backslashes before it: `"` 0, `\\"` 1, `\\\\\\"` 2. */
function levelOf(backslashes: number): number {
  let level = 0
  for (let left = backslashes; left % 2 === 1; left = (left - 1) / 2) level++
  return level
}

/** A quotation mark of this level, as it is written. */
const quote = (level: number): string => `${'\\'.repeat(2 ** level - 1)}"`

/**
 * Masks the values of JSON fields by name, at any depth, in whatever they stand in: JSON lines, one large document, words around
 * them, JSON that is a string of JSON. A value of any kind and length goes; brackets are balanced again after it. What never
 * closes is masked to the end. Quotation marks need not come in pairs: a name is what stands between two of them, before a colon.
 */
export function maskFields(names: readonly string[], masked: () => void): Mask {
  const wanted = new Set(names.map(name => name.toLowerCase()))
  let state: 'text' | 'after' | 'value' | 'string' | 'nested' | 'scalar' = 'text'
  let backslashes = 0
  /** the end of what came, and what came before it */
  let recent = ''
  let gone = 0
  /** of each level, where the text after its last quotation mark begins */
  let opened: (number | undefined)[] = []
  /** of the field whose value goes; of a string: the level of its quotation marks */
  let level = 0
  let quoted = false
  let depth = 0

  const remember = (text: string): void => {
    recent += text
    if (recent.length < 8 * maxNameLength) return
    gone += recent.length - 2 * maxNameLength
    recent = recent.slice(-2 * maxNameLength)
  }
  /** Whether the text from here to a quotation mark of that level, which was just remembered, is a name that is masked. */
  const isWanted = (from: number, of: number): boolean => {
    const to = recent.length - 2 ** of
    if (from < gone || to - (from - gone) > maxNameLength * 2) return false
    let name = decode(recent.slice(from - gone, Math.max(from - gone, to)))
    try {
      for (let left = of; left >= 0 && name.includes('\\'); left--) name = JSON.parse(`"${name}"`) as string
    } catch {
      return false
    }
    return wanted.has(name.toLowerCase())
  }
  /** A quotation mark that is not inside of a value which goes. */
  const closeName = (of: number): void => {
    const from = opened[of]
    state = from !== undefined && isWanted(from, of) ? 'after' : 'text'
    level = of
    opened = opened.slice(0, of)
    opened[of] = gone + recent.length
  }
  /** What ends a value that goes: the quotation mark of a string around it, which stays. */
  const outer = (of: number): string => {
    remember(quote(of))
    closeName(of)
    return quote(of)
  }

  const step = (character: string): string => {
    const before = backslashes
    backslashes = character === '\\' ? before + 1 : 0
    const blank = ' \t\r\n'.includes(character)
    switch (state) {
      case 'text':
        remember(character)
        if (character === '"') closeName(levelOf(before))
        return character
      case 'after':
        remember(character)
        if (character === '"') closeName(levelOf(before))
        else if (character === ':') state = 'value'
        else if (!blank && character !== '\\') state = 'text'
        return character
      case 'value': {
        // what backslashes belong to is told by what follows them
        if (character === '\\') return ''
        if (before > 0 && 'nrt'.includes(character)) return `${'\\'.repeat(before)}${character}`
        if (blank) return '\\'.repeat(before) + character
        if (character === '"' && levelOf(before) < level) return outer(levelOf(before))
        masked()
        const written = `${quote(level)}${mark}${quote(level)}`
        quoted = false
        depth = 1
        state = character === '"' ? 'string' : character === '{' || character === '[' ? 'nested' : 'scalar'
        if (state === 'string') level = levelOf(before)
        return written
      }
      case 'string':
        if (character !== '"' || levelOf(before) > level) return ''
        if (levelOf(before) < level) return outer(levelOf(before))
        state = 'text'
        opened = []
        return ''
      case 'nested':
        if (character === '"' && levelOf(before) < level) return outer(levelOf(before))
        if (character === '"' && levelOf(before) === level) quoted = !quoted
        else if (!quoted && (character === '{' || character === '[')) depth++
        else if (!quoted && (character === '}' || character === ']')) depth--
        if (depth > 0) return ''
        state = 'text'
        opened = []
        return ''
      case 'scalar':
        if (character === '"') return outer(levelOf(before))
        if (!blank && !',}]'.includes(character)) return ''
        state = 'text'
        opened = []
        remember(character)
        return character
    }
  }
  return {
    push(text) {
      let out = ''
      for (let at = 0; at < text.length; at++) {
        if (state === 'text' || state === 'string') {
          // most of a text has no quotation mark: it goes through, or away, in one piece
          const next = text.indexOf('"', at)
          const end = next === -1 ? text.length : next
          if (end > at) {
            const piece = text.slice(at, end)
            let own = 0
            while (own < piece.length && piece[piece.length - 1 - own] === '\\') own++
            backslashes = own === piece.length ? backslashes + own : own
            if (state === 'text') {
              remember(piece)
              out += piece
            }
            if (next === -1) break
            at = next
          }
        }
        out += step(text[at] as string)
      }
      return out
    },
    end: () => '',
  }
}

/** Masks columns: those named in the first line that is not empty, and those at a position. */
export function maskColumns(rules: NonNullable<RedactRules['columns']>, masked: () => void): Mask {
  const {separator, positions} = rules
  const wanted = new Set(rules.names.map(name => name.toLowerCase()))
  const columns = new Set(positions)
  let inHeader = wanted.size > 0
  let name = ''
  /** as quoted fields count in CSV, and as if there were none: inside quotes nobody knows yet whether they end, and both go */
  let column = 1
  let plain = 1
  // of a field: whether anything but blanks came, whether it began with a quotation mark, is inside of two, or just after them
  let begun = false
  let quotes: 'none' | 'inside' | 'after' = 'none'
  let blank = false
  let plainBegun = false

  const isBlank = (character: string) => character === ' ' || character === '\t' || character === '\r'
  const endField = (): void => {
    const heading = decode(name).replace(/^\s*"?|"?\s*$/g, '')
    if (inHeader && wanted.has(heading.toLowerCase())) columns.add(column)
    name = ''
    begun = false
    quotes = 'none'
    blank = false
    plainBegun = false
  }
  const closing = (): string => (!inHeader && columns.has(column) && blank ? ' ' : '')
  /** One character inside of quotes: out, unless either way of counting says that it goes. */
  const inside = (character: string): string => {
    if (character === '\n' || character === separator) {
      plain = character === '\n' ? 1 : plain + 1
      plainBegun = false
      return columns.has(column) ? '' : character
    }
    if (columns.has(column)) return ''
    if (!columns.has(plain) || character === '"' || (!plainBegun && isBlank(character))) return character
    if (plainBegun) return ''
    plainBegun = true
    masked()
    return mark
  }

  const step = (character: string): string => {
    if (quotes === 'inside' && !(inHeader && character === '\n')) {
      if (character === '"') quotes = 'after'
      if (inHeader && name.length < maxNameLength) name += character
      return inHeader ? character : inside(character)
    }
    if (quotes === 'after' && character === '"') {
      quotes = 'inside'
      if (inHeader) name += character
      return inHeader ? character : inside(character)
    }
    if (character === '\n') {
      const wasEmpty = column === 1 && name.trim() === '' && !begun
      const pad = closing()
      endField()
      column = 1
      plain = 1
      if (!wasEmpty) inHeader = false
      return pad + character
    }
    if (separator === null ? begun && isBlank(character) : character === separator) {
      const pad = closing()
      endField()
      column++
      plain = column
      return pad + character
    }
    if (quotes === 'after' && !isBlank(character)) {
      // no CSV has that: they were no quotes
      quotes = 'none'
      column = plain
      begun = plainBegun
    }
    if (character === '"' && separator !== null && !begun) quotes = 'inside'
    if (inHeader) {
      if (name.length < maxNameLength) name += character
      if (!isBlank(character)) begun = true
      return character
    }
    const first = !begun && !isBlank(character)
    if (first) begun = true
    if (!columns.has(column)) return character
    if (first) {
      masked()
      return mark
    }
    // blanks before a field stay, those after it come back as one
    blank = begun && isBlank(character)
    return begun ? '' : character
  }
  return {
    push(text) {
      let out = ''
      for (const character of text) out += step(character)
      return out
    },
    end: () => '',
  }
}
