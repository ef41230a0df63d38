import {explain} from '@prod/sdk/explain/explain'
import {maxTextLength, peel} from '@prod/sdk/explain/message'
import {templates} from '@prod/sdk/explain/next'
import {pattern, places} from '@prod/sdk/explain/pattern'
import type {Explainer} from '@prod/sdk/explainer'
import {categories} from '@prod/sdk/explainer'
import {expect, test} from 'vitest'

const found = (source: string, text: string) => [...places(peel(text)[0]!, source)].map(({captures}) => captures)

test('a pattern finds words in any letter case, and what stands between them', () => {
  expect(found('user {who} may not {what}', 'USER ana may not enter')).toEqual([{who: 'ana', what: 'enter'}])
  expect(found('user {who} may not {what}', 'user ana may')).toEqual([])
})

test.for([
  ['on {x}', 'on "a b", then', 'a b'],
  ['on {x}', "on 'a.b'.", 'a.b'],
  ['on {x}', 'on a.b.', 'a.b'],
  ['on {x}', 'on arn:aws:s3:::a/*)', 'arn:aws:s3:::a/*'],
  ['on {x}', 'on role/...', 'role/...'],
  ['on {x}', 'on arn:aws:iam::<account>:user/<name> because', 'arn:aws:iam::<account>:user/<name>'],
  ['on {x}', 'on arn:aws:iam::"my account":role/b because', 'arn:aws:iam::"my account":role/b'],
  ['on {x}', 'on a</Message>', 'a'],
  ['{x} is gone', 'that "web 1" is gone', 'web 1'],
  ['on {x} is', 'on\nlong/\nname is', 'long/name'],
  ['{either|one of} {x}', 'one of a', 'a'],
  ['on{:|} {x}', 'on: a', 'a'],
] as const)('%s in %j captures %s', ([source, text, x]) => {
  expect(found(source, text)).toEqual([{x}])
})

test('a capture is one word unless the pattern says that it is text', () => {
  expect(found('user {x} may', 'user ana and bob may')).toEqual([])
  expect(found('user {x:text} may', 'user ana and bob may')).toEqual([{x: 'ana and bob'}])
})

test('words are found where a word begins, or a part of a joined one', () => {
  expect(found('on resource {x}', 'execution resource retrieval')).toEqual([])
  expect(found('notfound', 'ResourceNotFound')).toHaveLength(1)
  expect(found('enotfound', 'ResourceNotFound')).toEqual([])
})

test('a pattern must begin with words or with one capture', () => {
  expect(() => pattern('{a} {b}')).not.toThrow()
  expect(() => pattern('{a}')).toThrow('begins with words')
})

test.for([
  ['\x1b[31mdenied\x1b[0m', 'denied'],
  ['\x1b]8;;https://evil.example\x07denied\x1b]8;;\x07', 'denied'],
  ['│ Error: denied\n│\n╵', 'Error: denied'],
  ['a\r\n  b\t c', 'a\nb c'],
  ['{\\"message\\":\\"User: \\\\\\"ana\\\\\\"\\"}', '{"message":"User: "ana""}'],
  ['it failed.\\nstatus code: 403', 'it failed.\nstatus code: 403'],
  ['user CORP\\nancy', 'user CORP\\nancy'],
  ['resource &quot;a&quot; &amp; b &unknown;', 'resource "a" & b &unknown;'],
  ['\\u003carn\\u003e', '<arn>'],
  ['den\u200bied\u202e', 'denied'],
  ['\x00\x07\x9b', ''],
])('%j is peeled to %j', ([text, plain]) => {
  expect(peel(text as string)[0]?.plain).toBe(plain)
})

test('lines that are filled to the brim are read joined as well', () => {
  const width = 'x'.repeat(60)
  expect(peel(`${width}\nyz`).map(({plain}) => plain)).toEqual([`${width}\nyz`, `${width}yz`])
})

test('one line that is longer than the others is not joined to a sentence, nor are two alike', () => {
  const width = 'X'.repeat(60)
  expect(peel(`${width}\nUnable`)).toHaveLength(1)
  expect(peel(`${width}\n${width}\nUnable`)).toHaveLength(1)
  expect(peel(`${width}\n${'Y'.repeat(60)}\nZ`).at(1)?.plain).toBe(`${width}${'Y'.repeat(60)}Z`)
})

test('a folded last column is read joined as well', () => {
  const blanks = ' '.repeat(24)
  expect(peel(`FAILED                  User: arn:1\n${blanks}2:user/ana\n${blanks}may not`).at(1)?.plain).toBe(
    'FAILED User: arn:12:user/ana may not',
  )
})

test('of a long text the end is read', () => {
  expect(peel('a'.repeat(maxTextLength + 5)).at(0)?.plain).toHaveLength(maxTextLength)
})

const one: Explainer = {
  id: 'one',
  rules: [
    {category: 'db_auth', confidence: 0.9, match: 'no entry for {principal}'},
    {category: 'unknown_denial', confidence: 0.6, match: 'denied'},
    {category: 'network_denied', confidence: 0.9, match: 'no way', unless: ['but']},
  ],
  readings: [{match: 'at {resource}'}],
}

test('the surest form explains a text, and of equals the one that stands first', () => {
  expect(explain('denied: no entry for ana', [one])).toMatchObject({category: 'db_auth', principal: 'ana', confidence: 0.9})
  expect(explain('no way. no entry for ana', [one])).toMatchObject({category: 'network_denied', principal: null})
  expect(explain('no way but no entry for ana', [one])).toMatchObject({category: 'db_auth'})
})

test('a field is read where it stands nearest to the reason', () => {
  expect(explain('at far. it goes on and on and on. at near denied', [one]).resource).toBe('near')
})

test('what stands for a name and is none is null', () => {
  for (const word of ['the', '<your name>', '***', '...', 'null', '%s'])
    expect(explain(`no entry for ${word}`, [one]).principal, word).toBeNull()
})

test('a text without any known form is no denial, or a denial without a reason', () => {
  expect(explain('all is well', [one])).toMatchObject({category: 'not_a_denial', evidence: null, next: []})
  expect(explain('it is forbidden', [one])).toMatchObject({category: 'unknown_denial', evidence: null})
})

test('every category has its next commands, and they say why', () => {
  expect(Object.keys(templates).sort()).toEqual([...categories].sort())
  for (const {command, why} of Object.values(templates).flat()) expect([command, why].flat().every(text => text.length > 4)).toBe(true)
})
