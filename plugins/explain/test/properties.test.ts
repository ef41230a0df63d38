import {explain} from '@prod/sdk/explain/explain'
import {maxTextLength, peel} from '@prod/sdk/explain/message'
import {pattern} from '@prod/sdk/explain/pattern'
import {categories, type Explanation} from '@prod/sdk/explainer'
import fc from 'fast-check'
import {expect, test} from 'vitest'
import {explainers} from '../src/index.ts'
import {messages} from './messages.ts'

const sentences = [...new Set(explainers.flatMap(({rules}) => rules.flatMap(({match}) => match)))]
/** Texts that are like messages: pieces of the tables' own words, of hostile characters, of anything. */
const hostile = fc.constantFrom(
  '\x1b]52;c;AAAA\x07',
  '\x1b[2J',
  '\u202e',
  '$(id)',
  '`id`',
  '; rm -rf /',
  '&&',
  '"',
  "'",
  '\\',
  '{',
  '}',
  '<',
  '>',
  '|',
  '\n',
)
const words = fc.array(
  fc.oneof(
    fc.constantFrom(...sentences),
    hostile,
    fc.string({unit: 'binary', maxLength: 12}),
    fc.constantFrom('arn:aws:iam::1:role/x', 'ana'),
  ),
  {maxLength: 14},
)
const text = words.map(parts => parts.join(' '))

test('every pattern of every table can be read, and every rule is sane', () => {
  for (const {rules, readings = []} of explainers) {
    for (const {match, confidence, category} of rules) {
      for (const source of [match].flat()) pattern(source)
      expect(categories).toContain(category)
      expect(confidence).toBeGreaterThan(0.3)
      expect(confidence).toBeLessThanOrEqual(1)
    }
    for (const {match} of readings) pattern(match)
  }
})

test('every category but the fallbacks has a form, and a message in the table of tests', () => {
  const known = new Set(explainers.flatMap(({rules}) => rules.map(({category}) => category)))
  const tried = new Set(messages.map(([, category]) => category))
  for (const category of categories) expect([category, known.has(category), tried.has(category)]).toEqual([category, true, true])
})

const squeezed = (words: string): string => words.replace(/\s/g, '')

test('TM-R1: whatever the text, there is an answer, and each field of it stands in the text', () => {
  fc.assert(
    fc.property(text, given => {
      const answer = explain(given, explainers)
      expect(categories).toContain(answer.category)
      const all = peel(given).map(({plain}) => squeezed(plain))
      const holds = (part: string | null): boolean => part === null || all.some(plain => plain.includes(squeezed(part)))
      expect([answer.principal, answer.resource, answer.role].filter(field => !holds(field))).toEqual([])
      // `verb resource/subresource` is put together
      expect((answer.action ?? '').split(/[ /:]/).filter(part => !holds(part))).toEqual([])
    }),
    {numRuns: 3000},
  )
})

test('TM-R1: no command to paste holds more than plain words, whatever the text', () => {
  fc.assert(
    fc.property(text, given => {
      for (const {command} of explain(given, explainers).next) expect(command).toMatch(/^[a-z][a-z0-9-]*(?: [A-Za-z0-9_.:/@+=,"-]+)*$/)
    }),
    {numRuns: 3000},
  )
})

test('text cannot pass a command or an option off as a name', () => {
  const next = (user: string): Explanation['next'] =>
    explain(
      `Error from server (Forbidden): pods is forbidden: User "x" cannot ${user} resource "pods" in API group "" in the namespace "n"`,
      explainers,
    ).next
  expect(next('list')[0]?.command).toBe('kubectl auth can-i list pods --namespace n')
  for (const bad of ['--as=root', '$(id)', 'a;b', "a'b", '-x']) expect(next(bad)[0]?.command).toBe('kubectl auth can-i --list')
})

test('each denial has a command to type next', () => {
  const without = messages.filter(
    ([given, category]) => !['not_a_denial', 'throttled'].includes(category) && explain(given, explainers).next.length === 0,
  )
  expect(without).toEqual([])
})

test('a message reads the same in the wrapping of every tool', () => {
  const plain =
    'User: arn:aws:iam::111122223333:user/ana is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::reports/a.csv'
  const {evidence: _, ...expected} = explain(plain, explainers)
  const wrapped = [
    `2026-03-01T10:15:00Z ERROR [web] ${plain}`,
    `\x1b[31m${plain}\x1b[0m`,
    JSON.stringify({error: JSON.stringify({message: plain})}),
    `<Error><Message>${plain}</Message></Error>`,
    plain.replaceAll(' ', '\n'),
    `╷\n${plain.replaceAll(' on', '\n on').replace(/^/gm, '│ ')}\n╵`,
    `$ aws s3 cp s3://x .\n${plain}`,
  ]
  for (const one of wrapped) {
    const {evidence: __, ...answer} = explain(one, explainers)
    expect(answer, one).toEqual(expected)
  }
})

test('a mebibyte of anything is read in linear time', () => {
  const size = maxTextLength
  const units = [
    'a',
    ' ',
    '\n',
    '\\',
    '&',
    '\x1b[',
    '"',
    ')',
    '<',
    '[',
    'user: ',
    'é',
    ...sentences.filter((_, index) => index % 193 === 0),
  ]
  const milliseconds = (given: string): number => {
    const from = performance.now()
    explain(given, explainers)
    return performance.now() - from
  }
  for (const unit of units) {
    const full = unit.repeat(Math.ceil(size / unit.length)).slice(0, size)
    milliseconds(full.slice(0, size / 64))
    const small = milliseconds(full.slice(0, size / 8))
    const large = milliseconds(full)
    // eight times the text: a square would be sixty-four times the time
    expect(large, JSON.stringify(unit.slice(0, 40))).toBeLessThan(Math.max(32 * small, 1500))
  }
}, 240_000)
