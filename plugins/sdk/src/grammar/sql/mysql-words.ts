/** The words of a statement as MySQL's server reads them, where its command-line client reads them in the same way. */
import {refuse} from './judge.ts'

export interface Word {
  kind: 'word' | 'quoted' | 'string' | 'number' | 'variable' | 'sign'
  /** a word in lower case; a name without its quotes; else as written */
  text: string
}

/** Why a text without an end is refused: client or server do so too, whatever came before it. */
export const openText = 'a text without an end'

const signs = ['<=>', '->>', '<=', '>=', '<>', '!=', '<<', '>>', '||', '&&', '->', ...'+-*/%=<>!~&|^(),.']

/**
 * Reads the words. Comments are left out, a last `;` or `\G` too. Refused is what one of the two would take otherwise:
 * comments that the server executes or obeys, backslashes outside a text, a second statement, what has no end.
 * `escapes`: a backslash in a text takes the next sign with it; not so under NO_BACKSLASH_ESCAPES.
 */
export function readWords(statement: string, escapes = true): Word[] {
  const words: Word[] = []
  let at = 0
  while (at < statement.length) {
    const rest = statement.slice(at, at + 2)
    const sign = statement[at] as string
    if (/[ \t\n]/.test(sign)) at += 1
    else if (sign === '#' || (rest === '--' && /^(?:[ \t\n]|$)/.test(statement.slice(at + 2, at + 3)))) at = endOfLine(statement, at)
    else if (rest === '/*') at = endOfComment(statement, at)
    else if (sign === ';' || sign === '\\') {
      // no command of the client: it stops
      if (!escapes && /^\\["'`]/.test(rest)) refuse(openText)
      if (sign === '\\' && !/^\\[Gg]/.test(rest)) refuse('a backslash outside a text is a command of the client')
      if (!/^(?:[ \t\n]|(?:#|--[ \t])[^\n\\]*(?:\n|$))*$/.test(statement.slice(at + (sign === '\\' ? 2 : 1))))
        refuse('it is more than one statement')
      return words
    } else {
      const word = readWord(statement, at, sign, escapes)
      words.push(word.word)
      at = word.end
    }
  }
  return words
}

function readWord(statement: string, at: number, sign: string, escapes: boolean): {word: Word; end: number} {
  if (sign === "'" || sign === '"' || sign === '`') {
    const end = endOfQuoted(statement, at, sign, escapes)
    const text = statement.slice(at + 1, end - 1)
    return {word: sign === '`' ? {kind: 'quoted', text: text.replaceAll('``', '`').toLowerCase()} : {kind: 'string', text}, end}
  }
  const [found] =
    /^(?:0[xX][0-9a-fA-F]+|0[bB][01]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![\w$\x80-\uffff])/.exec(statement.slice(at)) ?? []
  // `.5` after a name is not a number: `t.5`
  if (found && !(found.startsWith('.') && /[\w$`\x80-\uffff]/.test(statement[at - 1] ?? '')))
    return {word: {kind: 'number', text: found}, end: at + found.length}
  if (/[0-9]/.test(sign)) refuse('a name that begins with a digit')
  const [name] = /^[\w$\x80-\uffff]+/.exec(statement.slice(at)) ?? []
  // the client takes it for its own command, in the middle of a line too
  if (name && /^delimiter$/i.test(name)) refuse('DELIMITER is a command of the client')
  if (name) return {word: {kind: 'word', text: name.toLowerCase()}, end: at + name.length}
  const [variable] = /^@@?[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)*/.exec(statement.slice(at)) ?? []
  if (variable) return {word: {kind: 'variable', text: variable.toLowerCase()}, end: at + variable.length}
  const known = signs.find(one => statement.startsWith(one, at))
  return known ? {word: {kind: 'sign', text: known}, end: at + known.length} : refuse(`${sign} is not allowed`)
}

function endOfLine(statement: string, at: number): number {
  const end = statement.indexOf('\n', at)
  return endOf(statement, at, end < 0 ? statement.length : end)
}

function endOfComment(statement: string, at: number): number {
  const end = statement.indexOf('*/', at + 2)
  if (end < 0 || /^\/\*(?:!|\+|[mM]!)/.test(statement.slice(at, at + 4))) refuse('a comment that is executed, or has no end')
  if (/\n|\/\*/.test(statement.slice(at + 2, end))) refuse('a comment of several lines, or in another')
  return endOf(statement, at, end + 2)
}

function endOf(statement: string, at: number, end: number): number {
  if (statement.slice(at, end).includes('\\')) refuse('a backslash in a comment')
  return end
}

function endOfQuoted(statement: string, start: number, quote: string, escapes: boolean): number {
  let at = start + 1
  while (at < statement.length) {
    const sign = statement[at]
    if (sign === '\\') {
      // the client takes the next sign with it, the server does not
      if (quote === '`') refuse('a backslash in a name')
      at += escapes ? 2 : 1
    } else if (sign !== quote) at += 1
    else if (statement[at + 1] === quote) at += 2
    else return at + 1
  }
  refuse(openText)
}
