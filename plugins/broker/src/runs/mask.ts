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

/**
 * Masks the values of JSON fields by name, at any depth, in whatever they stand in: JSON lines, one large document, words around
 * them. A value of any kind and length goes; brackets are balanced again after it. What never closes is masked to the end.
 */
export function maskFields(names: readonly string[], masked: () => void): Mask {
  const wanted = new Set(names.map(name => name.toLowerCase()))
  type State = 'text' | 'name' | 'long' | 'after' | 'value' | 'string' | 'nested' | 'scalar'
  let state: State = 'text'
  // a name, or a name and the blanks after it, that is not out yet
  let held = ''
  let escaped = false
  let quoted = false
  let depth = 0

  const isWanted = (text: string): boolean => {
    try {
      return wanted.has((JSON.parse(decode(text.trimEnd())) as string).toLowerCase())
    } catch {
      return false
    }
  }
  /** Inside quotes: whether this character closes them. */
  const closes = (character: string): boolean => {
    if (escaped) escaped = false
    else if (character === '\\') escaped = true
    else return character === '"'
    return false
  }

  const step = (character: string): string => {
    switch (state) {
      case 'text':
        if (character !== '"') return character
        state = 'name'
        escaped = false
        held = character
        return ''
      case 'name': {
        held += character
        if (closes(character)) state = 'after'
        // no JSON text has a line break in it: it was a quotation mark
        else if (character === '\n') state = 'text'
        else if (held.length > maxNameLength) state = 'long'
        return state === 'text' || state === 'long' ? release() : ''
      }
      case 'long':
        if (closes(character) || character === '\n') state = 'text'
        return character
      case 'after':
        if (' \t\r\n'.includes(character) && held.length < 2 * maxNameLength) {
          held += character
          return ''
        }
        if (character === ':') {
          state = isWanted(held) ? 'value' : 'text'
          return release() + character
        }
        state = 'text'
        return release() + step(character)
      case 'value':
        if (' \t\r\n'.includes(character)) return character
        masked()
        escaped = false
        quoted = false
        depth = 1
        state = character === '"' ? 'string' : character === '{' || character === '[' ? 'nested' : 'scalar'
        return `"${mark}"`
      case 'string':
        if (closes(character)) state = 'text'
        return ''
      case 'nested':
        if (quoted) quoted = !closes(character)
        else if (character === '"') quoted = true
        else if (character === '{' || character === '[') depth++
        else if (character === '}' || character === ']') depth--
        if (depth === 0) state = 'text'
        return ''
      case 'scalar':
        if (!/[\s,}\]]/.test(character)) return ''
        state = 'text'
        return character
    }
  }
  const release = (): string => {
    const out = held
    held = ''
    return out
  }
  return {
    push(text) {
      let out = ''
      for (let at = 0; at < text.length; at++) {
        if (state === 'text') {
          // most of a text has no quotation mark: it goes through in one piece
          const next = text.indexOf('"', at)
          if (next !== at) {
            out += text.slice(at, next === -1 ? text.length : next)
            if (next === -1) break
            at = next
          }
        }
        out += step(text[at] as string)
      }
      return out
    },
    end: release,
  }
}

/** Masks columns: those named in the first line that is not empty, and those at a position. Quoted fields count as CSV has them. */
export function maskColumns({separator, names, positions}: NonNullable<RedactRules['columns']>, masked: () => void): Mask {
  const wanted = new Set(names.map(name => name.toLowerCase()))
  const columns = new Set(positions)
  let inHeader = names.length > 0
  let column = 1
  let name = ''
  // of a field: whether anything but blanks came, and whether it is in quotes
  let begun = false
  let quoted = false
  let blank = false

  const isBlank = (character: string) => character === ' ' || character === '\t' || character === '\r'
  const endField = (): void => {
    if (
      inHeader &&
      wanted.has(
        decode(name)
          .replace(/^\s*"?|"?\s*$/g, '')
          .toLowerCase(),
      )
    )
      columns.add(column)
    name = ''
    begun = false
    quoted = false
    blank = false
  }
  const step = (character: string): string => {
    if (character === '\n' && !quoted) {
      const wasEmpty = column === 1 && name.trim() === '' && !begun
      const pad = inHeader ? '' : closing()
      endField()
      column = 1
      if (!wasEmpty) inHeader = false
      return pad + character
    }
    const ends = separator === null ? begun && isBlank(character) : character === separator && !quoted
    if (ends) {
      const pad = inHeader ? '' : closing()
      endField()
      column++
      return pad + character
    }
    if (character === '"' && separator !== null) {
      if (!begun) quoted = true
      else quoted = !quoted
    }
    if (inHeader) {
      if (name.length < maxNameLength) name += character
      if (!isBlank(character)) begun = true
      return character
    }
    const first = !begun && !isBlank(character)
    if (!isBlank(character)) begun = true
    if (!columns.has(column)) return character
    if (first) {
      masked()
      return mark
    }
    // blanks before a field stay, those after it come back as one
    blank = begun && isBlank(character)
    return begun ? '' : character
  }
  const closing = (): string => (columns.has(column) && blank ? ' ' : '')
  return {
    push(text) {
      let out = ''
      for (const character of text) out += step(character)
      return out
    },
    end: () => '',
  }
}
