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

test('TM-X5: text that looks like a command or a parameter of Systems Manager stays a word', () => {
  expect(quoteWords(['/bin/echo', '; rm -rf /', '{{ssm:secret}}'])).toBe("/bin/echo '; rm -rf /' '{''{ssm:secret}}'")
})
