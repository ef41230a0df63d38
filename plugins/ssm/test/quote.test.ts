import {execFileSync} from 'node:child_process'
import fc from 'fast-check'
import {expect, test} from 'vitest'
import {quoteWords} from '../src/quote.ts'

/** What `sh` makes of a text: the words that a program gets, each ended by a NUL. */
function wordsOf(text: string, shell = 'sh'): string[] {
  const out = execFileSync(shell, ['-c', `printf '%s\\0' ${text}`], {maxBuffer: 1024 ** 3})
  return out.toString('utf8').split('\0').slice(0, -1)
}

const nasty = [
  '',
  ' ',
  "'",
  "''",
  '"',
  '\\',
  "\\'",
  '$HOME',
  '$(id)',
  '`id`',
  ';id',
  '&&',
  '| cat',
  '\n',
  'a\nb',
  '\r\n',
  '\t',
  '*',
  '~',
  '~root',
  '{a,b}',
  '{{ command }}',
  '{{{{{',
  '{{ssm:secret}}',
  '#',
  '# not a comment',
  '!',
  '!!',
  '-n',
  '--',
  'ü\u{1f4a9}',
  '\u2028',
  '<(id)',
  '>x',
  '%s',
  'a=b',
]

test('TM-H5: a real sh reads exactly the words that went in, one text for all of them', () => {
  expect(wordsOf(quoteWords(nasty))).toEqual(nasty)
  for (const one of nasty) expect(wordsOf(quoteWords([one]))).toEqual([one])
})

test('TM-H5: whatever well-formed text without NUL is a word, a real sh gives it to the program byte for byte', () => {
  const sign = fc.oneof(
    {weight: 3, arbitrary: fc.constantFrom(...'\'"\\$`{}();&|<>*?[]~#! \n\t\r=%-ab')},
    {weight: 1, arbitrary: fc.string({unit: 'binary', minLength: 1, maxLength: 1}).filter(text => text !== '\0' && text.isWellFormed())},
  )
  const word = fc.array(sign, {maxLength: 30}).map(signs => signs.join(''))
  // many word lists for one shell: a process is dear, a word is not
  fc.assert(
    fc.property(fc.array(word, {minLength: 200, maxLength: 400}), words => {
      const text = quoteWords(words)
      expect(text).not.toContain('{{')
      expect(wordsOf(text)).toEqual(words)
    }),
    {numRuns: 10},
  )
})

/** What PowerShell does with a text, as far as quotes go: signs that stand outside of all quotes. Its single and double quotes have several signs each. */
function outsideOfQuotes(text: string): string {
  const singles = "'\u2018\u2019\u201a\u201b"
  const doubles = '"\u201c\u201d\u201e'
  let within = ''
  let outside = ''
  for (const sign of text) {
    if (within !== '') {
      if (within.includes(sign)) within = ''
    } else if (singles.includes(sign)) within = singles
    else if (doubles.includes(sign)) within = doubles
    else outside += sign
  }
  return within === '' ? outside : `${outside} and an open quote`
}

test('TM-H5, TM-X5: nor does a PowerShell, which a Windows instance reads it with, find a command in it', () => {
  const signs = fc.constantFrom(...'\'"\u2018\u2019\u201a\u201b\u201c\u201d\u201e;&|$(){}`\\\n@#ab ')
  const word = fc.array(signs, {maxLength: 12}).map(all => all.join(''))
  for (const one of ["'; calc; '", '\u2019; calc; \u2018', '"; calc; "', "\\'; calc #", '{{ x }}']) {
    expect(outsideOfQuotes(quoteWords(['/bin/echo', one]))).toMatch(/^[\w/ ]*$/)
    expect(wordsOf(quoteWords([one]))).toEqual([one])
  }
  fc.assert(
    fc.property(fc.array(word, {maxLength: 40}), words => {
      // what is plain stands there as it is
      expect(outsideOfQuotes(quoteWords(words))).toMatch(/^[\w@ ]*$/)
    }),
    {numRuns: 500},
  )
})

test('TM-X5: text that looks like a command or a parameter of Systems Manager stays a word', () => {
  expect(quoteWords(['/bin/echo', '; rm -rf /', '{{ssm:secret}}'])).toBe("/bin/echo '; rm -rf /' '{''{ssm:secret}}'")
})
