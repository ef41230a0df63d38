import {expect, test} from 'vitest'
import {isCheap} from '../src/grammar/kinds/regexp.ts'
import {testValue} from '../src/grammar/values.ts'

test('what people look for in a log is allowed', () => {
  for (const pattern of [
    'ERROR',
    'time.?out|refused',
    '^2026-01-0[1-7] .*"code":5[0-9]{2}',
    '\\b([0-9]{1,3}\\.){3}[0-9]{1,3}\\b',
    '[[:digit:]]\\{4\\}',
    '(a|b)+c',
    '(.)\\1',
    '\\b(\\w+) \\1\\b',
    '$(reboot)',
    '{"id":7}',
    'a{',
    'x)y',
    'a{,5}',
    '[]a]',
    '[^]]*',
    '\\',
    'x'.repeat(4000),
  ])
    expect(testValue(pattern, 'regexp'), pattern).toBe(true)
})

test('TM-H11: repeats of repeats, and references back into open repeats, are refused', () => {
  for (const pattern of [
    'a{1,5000}',
    '(a{1,255}){1,255}',
    '((a{1,255}){1,255}){1,255}',
    '\\(a\\{1,255\\}\\)\\{1,255\\}',
    '(((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9})',
    '(a*)*\\1',
    '(.+)(.+)\\1\\2$',
    '('.repeat(60),
  ])
    expect(isCheap(pattern), pattern).toBe(false)
})

test('a pattern is one line unless the definition says so, and begins as it says', () => {
  expect(testValue('a\nb', 'regexp')).toBe(false)
  expect(testValue('a\nb', {type: 'regexp', lines: true})).toBe(true)
  expect(testValue('-x', 'regexp')).toBe(false)
  expect(testValue('-x', 'regexp', true)).toBe(true)
  expect(testValue('--', 'regexp', true)).toBe(true)
  expect(testValue('!x', {type: 'regexp', leading: ['!']})).toBe(true)
})

test('where one of several types is long, the choice says how long', () => {
  const of = [
    {type: 'enum', values: ['']},
    {type: 'text', maxLength: 60_000},
  ]
  expect(testValue('x'.repeat(5000), {type: 'any', of})).toBe(false)
  expect(testValue('x'.repeat(5000), {type: 'any', maxLength: 60_000, of})).toBe(true)
  expect(testValue('', {type: 'any', of})).toBe(true)
})
