/**
 * JSON from strangers (TM-A13, RFC 8259): one value in UTF-8 without a byte order mark, no key twice in an object, no key
 * that reaches a prototype, bounded depth. A scanner of our own, since `JSON.parse` keeps the last of two keys in silence.
 */
import {ProdError} from '@prod/sdk/errors'

const maxDepth = 32
const forbiddenKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])
const utf8 = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true})
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
// all up to the next quote, backslash or control character
const plain = /[^"\\\u0000-\u001f]*/y
const space = /[ \t\n\r]*/y

/** The value in these bytes. Throws BAD_REQUEST, with the position but never the text; pure, linear time. */
export function parseStrictJson(bytes: Uint8Array): unknown {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw refused('it is not UTF-8', 0)
  }
  const state: State = {text, at: 0}
  const value = readValue(state, 0)
  skipSpace(state)
  if (state.at < text.length) throw refused('something follows the value', state.at)
  return value
}

interface State {
  readonly text: string
  at: number
}

function readValue(state: State, depth: number): unknown {
  skipSpace(state)
  const {text, at} = state
  switch (text[at]) {
    case '{':
      return readObject(state, depth + 1)
    case '[':
      return readArray(state, depth + 1)
    case '"':
      return readString(state)
    case 't':
      return readWord(state, 'true', true)
    case 'f':
      return readWord(state, 'false', false)
    case 'n':
      return readWord(state, 'null', null)
    default:
      return readNumber(state)
  }
}

function readObject(state: State, depth: number): Record<string, unknown> {
  open(state, depth)
  const object: Record<string, unknown> = {}
  if (closes(state, '}')) return object
  for (;;) {
    skipSpace(state)
    const start = state.at
    if (state.text[start] !== '"') throw refused('a key is due', start)
    const key = readString(state)
    if (forbiddenKeys.has(key)) throw refused('this key is not allowed', start)
    if (Object.hasOwn(object, key)) throw refused('this key stands there twice', start)
    skipSpace(state)
    expect(state, ':')
    object[key] = readValue(state, depth)
    if (closes(state, '}')) return object
    expect(state, ',')
  }
}

function readArray(state: State, depth: number): unknown[] {
  open(state, depth)
  const array: unknown[] = []
  if (closes(state, ']')) return array
  for (;;) {
    array.push(readValue(state, depth))
    if (closes(state, ']')) return array
    expect(state, ',')
  }
}

function readString(state: State): string {
  const start = state.at
  state.at++
  for (;;) {
    plain.lastIndex = state.at
    plain.test(state.text)
    state.at = plain.lastIndex
    const next = state.text[state.at]
    if (next === '"') {
      state.at++
      break
    }
    if (next !== '\\') throw refused('a string is malformed', state.at)
    state.at += 2 // whatever is escaped; JSON.parse below knows which escapes there are
  }
  let value: string
  try {
    value = JSON.parse(state.text.slice(start, state.at)) as string
  } catch {
    throw refused('a string is malformed', start)
  }
  if (!value.isWellFormed()) throw refused('a string holds half a character', start)
  return value
}

function readNumber(state: State): number {
  number.lastIndex = state.at
  const [digits] = number.exec(state.text) ?? []
  if (digits === undefined) throw refused('a value is due', state.at)
  const value = Number(digits)
  if (!Number.isFinite(value)) throw refused('a number is too large', state.at)
  state.at += digits.length
  return value
}

function readWord<T>(state: State, word: string, value: T): T {
  if (!state.text.startsWith(word, state.at)) throw refused('a value is due', state.at)
  state.at += word.length
  return value
}

function open(state: State, depth: number): void {
  if (depth > maxDepth) throw refused(`it is nested deeper than ${maxDepth}`, state.at)
  state.at++
}

function closes(state: State, bracket: string): boolean {
  skipSpace(state)
  if (state.text[state.at] !== bracket) return false
  state.at++
  return true
}

function expect(state: State, character: string): void {
  if (state.text[state.at] !== character) throw refused(`${character} is due`, state.at)
  state.at++
}

function skipSpace(state: State): void {
  space.lastIndex = state.at
  space.test(state.text)
  state.at = space.lastIndex
}

function refused(why: string, position: number): ProdError {
  return new ProdError('BAD_REQUEST', `the JSON is refused at character ${position}: ${why}`)
}
