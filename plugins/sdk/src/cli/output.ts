/**
 * The one writer. stdout is the result alone; prod's own words go to stderr, each line after `prod: `. All text passes the sanitiser on its
 * way out, so only {@link paint} can colour, and no registered credential is ever written.
 */
import {Chalk} from 'chalk'
import {forLog} from '../surfaces.ts'
import {columns, fit, showLine, showText} from '../text.ts'
import {watchReader} from './pipe-reader.ts'

/** How text may be set off. Never the only carrier of a meaning. */
export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

// chalk knows the codes; whether they are written is decided for each stream, at the moment of writing
const pen = new Chalk({level: 1})

/** The codes that begin and end a style: `[1, 22]`. */
function sgr(style: Style): string[] {
  return pen[style]('\0').match(/\d+/g) ?? []
}

/** Known to this process alone: text from elsewhere cannot colour, because it cannot guess it. */
const mark = `\0${Math.random().toString(36).slice(2)}${process.hrtime.bigint().toString(36)}:`
const paintMark = new RegExp(`${mark}(\\d+)\0`, 'g')

/** Text in a style, for {@link writeResult}, {@link say} and tables; without colour it is the text. */
export function paint(style: Style, text: string): string {
  const [on, off] = sgr(style)
  return `${mark}${on}\0${text}${mark}${off}\0`
}

/** Text without what {@link paint} added. */
export function unpaint(text: string): string {
  return text.includes(mark) ? text.replace(paintMark, '') : text
}

type Name = 'stdout' | 'stderr'

/** Whether colour may be written: to a terminal, unless `NO_COLOR` or `TERM=dumb`; `FORCE_COLOR` asks for it anywhere. */
export function hasColour(name: Name, env: NodeJS.ProcessEnv = process.env): boolean {
  if (env.NO_COLOR) return false
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0'
  return process[name].isTTY === true && env.TERM !== 'dumb'
}

/** Columns of the terminal; 80 where there is none. */
export function terminalWidth(name: Name = 'stdout'): number {
  return process[name].isTTY ? process[name].columns || 80 : 80
}

const secrets = new Set<string>()

/** From now on this credential is never written: it is shown as `[secret]`. Shorter than 8 characters it is no secret. */
export function neverWrite(secret: string): void {
  if (secret.length < 8) return
  secrets.add(secret)
  secrets.add(JSON.stringify(secret).slice(1, -1))
}

function withoutSecrets(text: string): string {
  for (const secret of secrets) if (text.includes(secret)) text = text.replaceAll(secret, '[secret]')
  return text
}

/** Makes text safe piece by piece between the marks of {@link paint}. */
function render(name: Name, text: string, safe: (piece: string) => string): string {
  const clean = withoutSecrets(text)
  if (!clean.includes(mark)) return safe(clean)
  const colour = hasColour(name)
  return clean
    .split(paintMark)
    .map((piece, index) => (index % 2 === 0 ? safe(piece) : colour ? `\x1b[${piece}m` : ''))
    .join('')
}

const gone = new AbortController()

/**
 * Aborts when nobody reads stdout any more (`prod … | head`): what only lists or follows may end, quietly, with 0. Asked for before the first
 * line is written it sees a reader who goes while nothing is written, too.
 */
export function resultUnread(): AbortSignal {
  guardStreams()
  if (!watching) {
    watching = true
    const isGone = watchReader(1)
    isGone() // who reads now
    setInterval(() => {
      if (isGone()) gone.abort()
    }, 500).unref()
  }
  return gone.signal
}

let watching = false

let guarded = false

/** A closed pipe is no failure: what is written to it goes nowhere. Any other fault is said, and the end is not 0. */
export function guardStreams(): void {
  if (guarded) return
  guarded = true
  process.stdout.removeAllListeners('error') // the framework's would throw, with a stack
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    gone.abort()
    if (error.code === 'EPIPE') return
    process.stderr.write(`prod: the result could not be written: ${error.code ?? error.name}\n`)
    process.exit(240)
  })
  process.stderr.on('error', () => {})
}

/** What stands on the terminal and must step aside while a line is written: the spinner. */
export interface Standing {
  clear(): void
  draw(): void
}

let standing: Standing | undefined

/** Puts up what stands below all lines, or takes it away. */
export function stand(what: Standing | undefined): void {
  standing = what
}

function write(name: Name, text: string | Uint8Array): void {
  guardStreams()
  if (name === 'stdout' && gone.signal.aborted) return
  standing?.clear()
  process[name].write(text)
  standing?.draw()
}

/** Writes the result: one text, lines and tabs kept, or several lines of which each is one line whatever is in it. */
export function writeResult(text: string | readonly string[]): void {
  const shown = typeof text === 'string' ? render('stdout', text, showText) : text.map(line => render('stdout', line, showLine)).join('\n')
  if (typeof text === 'string' || text.length > 0) write('stdout', `${shown}\n`)
}

/** Writes the one JSON document of `--json`. It parses to the value; nothing in it acts on a terminal. */
export function writeJson(value: unknown): void {
  const text = JSON.stringify(value, undefined, 2) ?? 'null'
  const safe = text
    .split('\n')
    .map(line => line.replace(/[[\p{C}\p{Z}\p{DI}\u2800\ufffc]--[ ]]/gv, character => forLog(character).slice(1, -1)))
  write('stdout', `${withoutSecrets(safe.join('\n'))}\n`)
}

/** Says something to the person: to stderr, `prod: ` before each line. A text of several lines is one message: the further ones are set in. */
export function say(text: string | readonly string[]): void {
  const lines = typeof text === 'string' ? text.split('\n').map((line, index) => (index === 0 ? line : `  ${line}`)) : text
  const room = process.stderr.isTTY ? terminalWidth('stderr') - prefix.length : Number.POSITIVE_INFINITY
  const rows = lines.flatMap(line => wrap(line, room).map((row, index) => `${index === 0 ? prefix : ' '.repeat(prefix.length)}${row}`))
  write('stderr', rows.map(row => `${render('stderr', row, showLine).trimEnd()}\n`).join(''))
}

const prefix = 'prod: '

/** A command within a sentence, up to the end or a comma or semicolon outside its quotes; `another prod is` is none. */
const command = /(?:(?<=^\s*|[:;(,] )prod [a-z](?:"[^"]*"|'[^']*'|[^;,"']|[;,](?=\S))*(?:[;,]|["'].*)?|\S+)\s*/g

/** A line as rows of so many columns, broken between words. A command to type stays in one: broken it could not be copied. */
export function wrap(line: string, room: number): string[] {
  if (columns(unpaint(line)) <= room || /^\s*(?:try|or|more):/.test(unpaint(line))) return [line]
  const indent = /^\s*/.exec(line)?.[0] ?? ''
  const rows: string[] = []
  for (const piece of line.slice(indent.length).match(command) ?? []) {
    const longer = rows.length === 0 ? `${indent}${piece}` : `${rows.at(-1)}${piece}`
    if (rows.length === 0) rows.push(longer)
    else if (columns(unpaint(longer).trimEnd()) <= room) rows[rows.length - 1] = longer
    else rows.push(`${indent}${piece}`)
  }
  return rows.map(row => row.trimEnd())
}

/** Passes bytes of a program on, untouched; resolves when there is room for more, false when nobody reads them. */
export function passBytes(name: Name, bytes: Uint8Array | string): Promise<boolean> {
  guardStreams()
  const stream = process[name]
  if (name === 'stdout' && gone.signal.aborted) return Promise.resolve(false)
  return new Promise(resolve => {
    stream.write(bytes, error => resolve(!error))
  })
}

/** Text cut to fit into `room` columns, with `…` where something is missing. Styles are lost where it is cut. */
export function cut(text: string, room: number): string {
  const bare = unpaint(text)
  return columns(bare) <= room ? text : `${fit(bare, Math.max(1, room - 1))}…`
}
