/**
 * What was typed at a shell's prompt, from a recording: the first word of each command, and nothing else. A line counts as the terminal showed it, so
 * that what was not shown (a password) is never looked at; and only behind a prompt, so that what was typed into a program is not either. Pure.
 */
import {type RecordingRecord, recordStream} from '@prod/sdk/recording'

const mostColumns = 4096
const [backspace, lineFeed, carriageReturn, escapeCode] = [8, 10, 13, 27]

/** Reads one recording. */
export interface TypedReader {
  push(records: readonly RecordingRecord[]): void
  /** how often each first word was typed */
  words(): Map<string, number>
}

/** A new recording. */
export function readTyped(): TypedReader {
  const line = shownLine()
  const words = new Map<string, number>()
  /** what stood before the first key, where that was a prompt */
  let prompt: string | undefined
  let typing = false
  let entered = false
  const decoder = new TextDecoder()
  const over = (): void => {
    const shown = line.text()
    const word = prompt !== undefined && shown.startsWith(prompt) ? firstWord(shown.slice(prompt.length)) : undefined
    if (word !== undefined) words.set(word, (words.get(word) ?? 0) + 1)
    typing = false
    entered = false
    prompt = undefined
  }
  return {
    push(records) {
      for (const {stream, bytes} of records) {
        if (stream === recordStream.stdin) {
          for (const byte of bytes) {
            if (!typing) {
              typing = true
              prompt = promptIn(line.text())
            }
            if (byte === carriageReturn || byte === lineFeed) entered = true
          }
        } else if (stream === recordStream.stdout) {
          for (const character of decoder.decode(bytes, {stream: true})) {
            if (character === '\n' && entered) over()
            line.put(character)
          }
        }
      }
    },
    words: () => words,
  }
}

/** The line that a terminal shows, as far as editors of command lines move about in it. */
function shownLine(): {put(character: string): void; text(): string} {
  let cells: string[] = []
  let column = 0
  let sequence: string | undefined
  const act = (text: string): void => {
    const [, digits = '', final = ''] = /^\[([0-9]*)[0-9;?]*([@A-Za-z])$/.exec(text) ?? []
    const count = Math.min(Number(digits) || 1, mostColumns)
    if (final === 'C') column = Math.min(mostColumns, column + count)
    else if (final === 'D') column = Math.max(0, column - count)
    else if (final === 'G') column = count - 1
    else if (final === 'K' && (digits === '' || digits === '0')) cells.length = Math.min(cells.length, column)
    else if (final === 'K' && digits === '2') cells = []
    else if (final === 'P') cells.splice(column, count)
    else if (final === '@') cells.splice(column, 0, ...Array<string>(count).fill(' '))
    else if (final === 'J' || final === 'H') {
      cells = []
      column = 0
    }
  }
  return {
    put(character) {
      if (sequence !== undefined) {
        sequence += character
        // CSI to its final byte; OSC to BEL or ST; two characters else
        const over =
          sequence[0] === '['
            ? /^\[[0-9;?<=>!]*[@-~]$/.test(sequence)
            : sequence[0] === ']'
              ? /\x07$|\x1b\\$/.test(sequence)
              : sequence.length >= (/^[()#]/.test(sequence) ? 2 : 1)
        if (over) act(sequence)
        if (over || sequence.length > mostColumns) sequence = undefined
        return
      }
      const code = character.charCodeAt(0)
      if (code === escapeCode) sequence = ''
      else if (code === lineFeed) {
        cells = []
        column = 0
      } else if (code === carriageReturn) column = 0
      else if (code === backspace) column = Math.max(0, column - 1)
      else if (code >= 32 && code !== 127 && column < mostColumns) {
        while (cells.length < column) cells.push(' ')
        cells[column] = character
        column += 1
      }
    },
    text: () => cells.join(''),
  }
}

/** The text, if it ends as the prompt of a shell does. That of psql ends in `=#` or the like, others in `>`: what is typed there is data. */
function promptIn(text: string): string | undefined {
  return /(?:^|[^=\-('"*^!<>])[$#%❯] $/u.test(text) ? text : undefined
}

/** Programs that only start another, with those of their options that take a word. */
const wrappers: Readonly<Record<string, string>> = {
  sudo: 'ugpChTURDr',
  doas: 'uC',
  env: 'uSC',
  nice: 'n',
  ionice: 'cnp',
  nohup: '',
  time: 'fo',
  command: '',
  exec: 'a',
  setsid: '',
}

/** The program that a command line names first, without folders; undefined where that is no plain word. */
export function firstWord(line: string): string | undefined {
  const words = wordsOf(line)
  if (words === undefined) return undefined
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string
    if (/^[A-Za-z_][A-Za-z0-9_]*\+?=/.test(word)) continue
    const name = word.slice(word.lastIndexOf('/') + 1)
    if (!/^[A-Za-z][A-Za-z0-9._+-]{0,31}$/.test(name)) return undefined
    const valued = Object.hasOwn(wrappers, name) ? wrappers[name] : undefined
    if (valued === undefined) return name
    let next = at + 1
    for (; words[next]?.startsWith('-'); next++) {
      const option = words[next] as string
      if (option === '--') {
        next += 1
        break
      }
      if (option.startsWith('--')) return name // whether it takes a word is not known
      if (option.length === 2 && valued.includes(option[1] as string)) next += 1
    }
    if (next >= words.length) return name
    at = next - 1
  }
  return undefined
}

/** Words up to the first operator, quotes kept together; undefined where a quote stays open: then no word is sure. */
function wordsOf(line: string): string[] | undefined {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let at = 0; at < line.length; at++) {
    const character = line[at] as string
    if (quote !== '') {
      if (character === quote) quote = ''
      else word = (word ?? '') + character
    } else if (character === "'" || character === '"' || character === '`') {
      quote = character
      word = `${word ?? ''}\0` // a quoted word is no plain one
    } else if (character === '\\') {
      word = `${word ?? ''}\0`
      at += 1
    } else if (/[\s;|&<>()]/.test(character)) {
      if (word !== undefined) words.push(word)
      word = undefined
      if (!/\s/.test(character) && words.length > 0) return words
    } else word = (word ?? '') + character
  }
  if (quote !== '') return undefined
  return word === undefined ? words : [...words, word]
}
