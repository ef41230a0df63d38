/**
 * The one sanitiser. Whatever text came from elsewhere (a reason, an argument, a name, a policy, an error, stored or
 * live output) passes through here before it is shown, whatever shows it. What could act or hide becomes a visible
 * escape, `\x1b`, `\u202e`, `\u{e0041}`; all else stays as it is. Everything here is pure and linear in its input.
 */
import {looksLike} from './confusable.ts'

/** Text as it came: bytes are read as UTF-8, and what is not UTF-8 stays visible. */
export type Foreign = string | Uint8Array

/** Classes of Unicode are put together when the first text needs them: a start that shows ASCII alone does not pay for them. */
function late(make: () => RegExp): () => RegExp {
  let made: RegExp | undefined
  return () => (made ??= make())
}

/** One line may hold no other blank than the space: a no-break space or a filler would pass for one. */
const suspectInLine = late(() => /[[\p{C}\p{Z}\p{M}\p{DI}\u2800\ufffc]--[ ]]+/gv)
/** Text of many lines keeps line ends, tabs and the blanks that people write numbers with. */
const suspectInText = late(() => /[[\p{C}\p{Zl}\p{Zp}\p{M}\p{DI}\u2800\ufffc]--[\n\t]]+/gv)
const hidden = late(() => /[\p{C}\p{Z}\p{DI}\u2800\ufffc]/v)
const pictographAtEnd = /\p{Extended_Pictographic}$/v
const rightToLeft = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u
/** As many combining marks as any living script puts on one letter. */
const marksOnOneLetter = 4

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0')
}

/** How one character that must not act is shown. A lone `\x80`-`\xff` is a byte that is no UTF-8; U+0085 is `\u0085`. */
function escapeCharacter(character: string): string {
  if (character === '\n') return '\\n'
  if (character === '\r') return '\\r'
  if (character === '\t') return '\\t'
  const code = character.codePointAt(0) as number
  return code < 0x80 ? `\\x${hex(code, 2)}` : code < 0x1_00_00 ? `\\u${hex(code, 4)}` : `\\u{${hex(code, 0)}}`
}

/** What stood before a run: how many marks its letter has already, undefined where there is no letter to carry one. */
interface Before {
  marks: number | undefined
  pictograph: boolean
}

/** Escapes the characters of one run of suspects, given what stood before it; `before` is brought up to date. */
function escapeRun(run: string, before: Before, lenient: boolean): string {
  let out = ''
  for (const character of run) {
    if (lenient && character === '\ufe0f' && before.pictograph)
      out += character // how an emoji is written; it hides nothing
    else if (!hidden().test(character) && before.marks !== undefined && before.marks < marksOnOneLetter) {
      out += character
      before.marks += 1
      continue
    } else {
      out += escapeCharacter(character)
      if (hidden().test(character)) before.marks = undefined
    }
    before.pictograph = false
  }
  return out
}

/** `at` is what the text continues; it is brought up to date for the text that follows. */
function sanitise(text: string, suspects: () => RegExp, at: Before): string {
  const lenient = suspects === suspectInText
  let state: Before | undefined
  let end = 0
  const out = text.replace(suspects(), (run: string, offset: number) => {
    state =
      offset === 0
        ? at
        : {
            marks: /[\n\t]/.test(text[offset - 1] as string) ? undefined : 0,
            pictograph: pictographAtEnd.test(text.slice(Math.max(0, offset - 2), offset)),
          }
    end = offset + run.length
    return escapeRun(run, state, lenient)
  })
  if (state && end === text.length) Object.assign(at, state)
  else if (text !== '') Object.assign(at, {marks: /[\n\t]$/.test(text) ? undefined : 0, pictograph: pictographAtEnd.test(text.slice(-2))})
  return out
}

const plain = /^[\x20-\x7e]*$/
const plainText = /^[\x20-\x7e\n\t]*$/

/** One line: nothing in it acts, hides, breaks the line or reorders it. For names, reasons, messages, cells. */
export function showLine(foreign: Foreign): string {
  const text = decoded(foreign)
  return plain.test(text) ? text : sanitise(text, suspectInLine, {marks: undefined, pictograph: false})
}

/** Text of many lines: as {@link showLine}, but `\n` and `\t` stay, and `\r\n` becomes `\n`. */
export function showText(foreign: Foreign): string {
  const text = decoded(foreign).replaceAll('\r\n', '\n')
  if (plainText.test(text)) return text
  return sanitise(text, suspectInText, {marks: undefined, pictograph: false})
}

/**
 * A name of a person, tool, target, role or host, or a cell of a table: as {@link showLine}; where it would pass for another
 * name (mixed scripts, look-alike letters) or turns the order on the line, its letters beyond ASCII are escaped too.
 */
export function showName(foreign: Foreign): string {
  const text = decoded(foreign)
  if (plain.test(text)) return text
  return misleads(text) ? escapeBeyondAscii(text, escapeCharacter) : showLine(text)
}

/** A host name: in punycode where it has letters beyond ASCII. */
export function showHost(host: string): string {
  if (plain.test(host)) return host
  try {
    return new URL(`https://${host}`).host
  } catch {
    return showName(host)
  }
}

function misleads(text: string): boolean {
  return rightToLeft.test(text) || text.normalize('NFC') !== text || looksLike(text) !== undefined
}

function escapeBeyondAscii(text: string, escaped: (character: string) => string): string {
  return text.replace(/[^\x20-\x7e]/gu, escaped)
}

/** Counts what a terminal advances by, of text already made safe: wide letters are 2, marks 0. */
export function columns(text: string): number {
  if (plain.test(text)) return text.length
  let width = 0
  for (const character of text) width += widthOf(character)
  return width
}

const wide = late(
  () =>
    /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{Script=Yi}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u,
)
const noWidth = late(() => /[\p{Mn}\p{Me}\p{DI}]/v)

function widthOf(character: string): number {
  if (character <= '~') return 1
  return noWidth().test(character) ? 0 : wide().test(character) ? 2 : 1
}

/** Visible characters and whole escapes, never half of one. */
const piece = /\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|u\{[0-9a-f]+\}|U[0-9a-f]{8}|[nrt\\'])|[\s\S]/gu

/** The first pieces of `text` that fit into `room`, or the last with `fromEnd`. */
export function fit(text: string, room: number, fromEnd = false): string {
  const pieces = (fromEnd ? text.slice(-room * 12) : text.slice(0, room * 12)).match(piece) ?? []
  if (fromEnd) pieces.reverse()
  let used = 0
  let taken = 0
  for (const one of pieces) {
    used += columns(one)
    if (used > room) break
    taken += 1
  }
  const kept = pieces.slice(0, taken)
  if (fromEnd) kept.reverse()
  return kept.join('')
}

/**
 * At most about `columns` wide: what is too long keeps its start and its end, and says between them how much is left out and the
 * SHA-256 of the whole. `of` names what is counted when characters would not say it. Takes text that is already safe to show.
 */
export function bounded(shown: string, limits: {columns: number; of?: string}): string {
  const room = limits.columns
  if (shown.length <= room || (shown.length <= room * 12 && columns(shown) <= room)) return shown
  const head = fit(shown, Math.ceil(room * 0.6))
  const tail = fit(shown, Math.floor(room * 0.4), true)
  const left = shown.length - head.length - tail.length
  return `${head} …[${left} more characters${limits.of ? ` of ${limits.of}` : ''}, sha256 ${digest(shown)}]… ${tail}`
}

/** At most `lines` lines, the first and the last, each {@link bounded}; how many are left out stands between. */
export function boundedLines(shown: string, limits: {lines: number; columns: number}): string[] {
  const all = shown.split('\n')
  const show = (line: string): string => bounded(line, {columns: limits.columns})
  if (all.length <= limits.lines) return all.map(show)
  const head = Math.ceil(limits.lines * 0.6)
  const tail = limits.lines - head
  const left = all.length - head - tail
  return [
    ...all.slice(0, head).map(show),
    `…[${left} more lines of ${all.length}, sha256 ${digest(shown)}]…`,
    ...all.slice(all.length - tail).map(show),
  ]
}

/** Loaded at the moment something is cut: the CLI's start pays nothing for it. */
function digest(text: string): string {
  return process.getBuiltinModule('node:crypto').hash('sha256', text, 'hex')
}

/**
 * An argv as one line that a POSIX shell with `$'…'` (bash, zsh, ksh) reads back as exactly this argv: two different ones never
 * look alike. An argument that hides, misleads or runs from right to left is written in escapes, so the order seen is the order meant.
 */
export function showArgv(argv: readonly string[]): string {
  return argv.map(showArgument).join(' ')
}

/** One argument of {@link showArgv}. */
export function showArgument(argument: string): string {
  if (/^[\w@%+=:,./-]+$/.test(argument)) return argument
  const tricky = /[[\p{C}\p{Z}\p{DI}\u2800\ufffc]--[ ]]/v.test(argument) || misleads(argument) || tooManyMarks().test(argument)
  if (tricky) return `$'${escapeBeyondAscii(argument.replace(/[\\']/g, '\\$&'), escapeForShell)}'`
  if (!argument.includes("'")) return `'${argument}'`
  return /["$`\\!]/.test(argument) ? `'${argument.replaceAll("'", String.raw`'\''`)}'` : `"${argument}"`
}

const tooManyMarks = late(() => /^\p{M}|\p{M}{5}/u)

function escapeForShell(character: string): string {
  const code = character.codePointAt(0) as number
  return code > 0xff_ff ? `\\U${hex(code, 8)}` : escapeCharacter(character)
}

/** {@link showArgv}, {@link bounded}: start and end stay, with the number of arguments. For lists and notices, never for what is approved. */
export function boundedArgv(argv: readonly string[], limits: {columns: number}): string {
  return bounded(showArgv(argv), {...limits, of: argv.length === 1 ? '1 argument' : `${argv.length} arguments`})
}

// ── live output ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Makes a stream safe for a terminal, chunk by chunk. The result does not depend on how the stream was cut. */
export interface StreamSanitiser {
  push(chunk: Uint8Array): string
  /** what was held back: half a character, a carriage return */
  end(): string
}

/**
 * For live output at a terminal: `\n`, `\r\n` and `\t` act, all other controls are shown. A line that begins like prod's own
 * words (`prod:`) gets `| ` before it, so that a program cannot speak as prod.
 */
export function createStreamSanitiser({ownPrefix = 'prod:'}: {ownPrefix?: string} = {}): StreamSanitiser {
  const at: Before = {marks: undefined, pictograph: false}
  let rest: Uint8Array = new Uint8Array(0)
  let held = ''
  let atLineStart = true

  function take(text: string, last: boolean): string {
    let ready = held + text
    held = ''
    if (!last) {
      const keep = heldBack(ready)
      held = ready.slice(ready.length - keep)
      ready = ready.slice(0, ready.length - keep)
    }
    if (ready === '') return ''
    let out = sanitise(ready.replaceAll('\r\n', '\n'), suspectInText, at)
    if (out.includes(ownPrefix)) out = out.replaceAll(`\n${ownPrefix}`, `\n| ${ownPrefix}`)
    if (atLineStart && out.startsWith(ownPrefix)) out = `| ${out}`
    atLineStart = out.endsWith('\n')
    return out
  }

  /** How much of the end must wait: `\r` that may be half of a line end, or a line that so far may become the prefix. */
  function heldBack(text: string): number {
    const lineStart = text.lastIndexOf('\n') + 1
    const line = text.slice(lineStart, lineStart + ownPrefix.length)
    const begins = lineStart > 0 || atLineStart
    if (begins && line !== '' && line.length < ownPrefix.length && ownPrefix.startsWith(line) && lineStart + line.length === text.length)
      return line.length
    return text.endsWith('\r') ? 1 : 0
  }

  return {
    push(chunk) {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      const whole = bytes.length - unfinished(bytes)
      rest = Uint8Array.from(bytes.subarray(whole))
      return take(decodeBytes(bytes.subarray(0, whole)), false)
    },
    end() {
      const out = take(decodeBytes(rest), true)
      rest = new Uint8Array(0)
      return out
    },
  }
}

/** How many bytes at the end begin a character that is not finished. */
function unfinished(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] as number
    if (byte < 0x80) return 0
    if (byte >= 0xc0) return lengthFrom(byte) > back && sequenceAt(bytes, bytes.length - back) === -1 ? back : 0
  }
  return 0
}

// ── bytes ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function decoded(foreign: Foreign): string {
  return typeof foreign === 'string' ? foreign : decodeBytes(foreign)
}

function lengthFrom(first: number): number {
  return first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 1
}

/** Length of the well-formed UTF-8 sequence at `from`; 0 where there is none; -1 where the bytes end before it does. */
function sequenceAt(bytes: Uint8Array, from: number): number {
  const first = bytes[from] as number
  if (first < 0x80) return 1
  const length = lengthFrom(first)
  if (length === 1) return 0
  for (let i = 1; i < length; i += 1) {
    const byte = bytes[from + i]
    if (byte === undefined) return -1
    const low = i > 1 ? 0x80 : first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
    const high = i > 1 ? 0xbf : first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
    if (byte < low || byte > high) return 0
  }
  return length
}

/** UTF-8 to text; each byte that belongs to no well-formed character is shown as `\xff`. */
function decodeBytes(bytes: Uint8Array): string {
  const {isUtf8} = process.getBuiltinModule('node:buffer')
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (isUtf8(view)) return view.toString('utf8')
  const parts: string[] = []
  let start = 0
  for (let i = 0; i < view.length; ) {
    const length = sequenceAt(view, i)
    if (length > 0) {
      i += length
      continue
    }
    if (i > start) parts.push(view.toString('utf8', start, i))
    parts.push(`\\x${hex(view[i] as number, 2)}`)
    i += 1
    start = i
  }
  if (start < view.length) parts.push(view.toString('utf8', start))
  return parts.join('')
}
