import fc from 'fast-check'
import {expect, test} from 'vitest'
import {cedarAttributes, cedarValues} from '../src/grammar/cedar.ts'
import {checkGrammar} from '../src/grammar/check.ts'
import {completions} from '../src/grammar/complete.ts'
import {describeCommand} from '../src/grammar/describe.ts'
import type {Grammar} from '../src/grammar/grammar.ts'
import {redactArgv} from '../src/grammar/operands.ts'
import {checkArgv, parse} from '../src/grammar/parse.ts'
import {matchesPattern} from '../src/grammar/pattern.ts'
import {print} from '../src/grammar/print.ts'
import {grammars} from './data/grammars.ts'
import {grammar, steered, words} from './random-grammar.ts'

test('TM-M1: what parse takes, print gives again, to the byte, and a structure survives JSON; all else is refused with a position inside', () => {
  let taken = 0
  fc.assert(
    fc.property(grammar, fc.array(words, {minLength: 6, maxLength: 6}), (made, lines) => {
      for (const line of lines.flatMap(words => [['tool', ...words], steered(made, words)])) {
        const parsed = parse(made, line)
        if (!parsed.ok) {
          expect(parsed.refusal.position).toBeGreaterThanOrEqual(0)
          expect(parsed.refusal.position).toBeLessThanOrEqual(line.length)
          expect(parsed.refusal.message).not.toBe('the argument cannot be read exactly')
          expect(parsed.refusal.allowed.length).toBeLessThanOrEqual(24)
          continue
        }
        taken++
        expect(print(parsed.structure)).toEqual(line)
        expect(print(JSON.parse(JSON.stringify(parsed.structure)))).toEqual(line)
        expect(parse(made, print(parsed.structure))).toEqual(parsed)
        expect(redactArgv(parsed.structure, made)).toHaveLength(line.length)
        const values = cedarValues(parsed.structure, made)
        const attributes = cedarAttributes(made, parsed.structure.command)
        for (const [name, {type, required}] of Object.entries(attributes)) {
          const seen = values[name]
          expect(
            seen === undefined
              ? !required
              : type === 'Set<String>'
                ? Array.isArray(seen)
                : typeof seen === {String: 'string', Long: 'number', Bool: 'boolean'}[type],
          ).toBe(true)
        }
        expect(Object.keys(values).filter(name => !Object.hasOwn(attributes, name))).toEqual([])
      }
    }),
    {numRuns: 800},
  )
  expect(taken).toBeGreaterThan(1000)
})

test('TM-H2: a word that spells an option is offered as that option alone', () => {
  const operands = [{name: 'one', type: {type: 'enum', values: ['on', 'dev']}, min: 0}]
  const made = checkGrammar({commands: [{path: [], class: 'read', options: {dev: 'flag'}, operands}]}, 'tool')
  expect(completions(made, ['tool', 'dev', ''])).toEqual(['on'])
})

test('TM-H2: what completion offers is taken, or becomes so with more words: it is never a wrong word', () => {
  fc.assert(
    fc.property(grammar, words, (made, words) => {
      const line = steered(made, words)
      for (const offered of completions(made, [...line, ''])) {
        const parsed = parse(made, [...line, offered])
        if (!parsed.ok && !offered.endsWith('='))
          expect(parsed.refusal.position, JSON.stringify([line, offered, parsed.refusal])).toBeGreaterThan(line.length)
      }
    }),
    {numRuns: 800},
  )
})

test('every grammar that passes can be described', () => {
  fc.assert(
    fc.property(grammar, made => {
      for (const index of made.commands.keys()) expect(describeCommand(made, index)[0]).toMatch(/^tool/)
    }),
    {numRuns: 300},
  )
})

test('TM-M3 TM-H2: of a line that is allowed, no mutation passes as anything but what it prints', () => {
  const lines: [string, string[]][] = [
    ['curl', ['curl', '-sSI', '-H', 'Accept: application/json', 'https://status.internal.example/health']],
    ['tar', ['tar', '-tzf', '/backup/db.tar.gz', '--wildcards', '--', '-x']],
    ['kubectl', ['kubectl', '-n', 'payments', 'get', 'deploy,svc', '-ojson']],
    ['git', ['git', 'diff', '--stat', 'HEAD~1', '--', 'src/app.ts']],
  ]
  const checked = new Map(lines.map(([tool]) => [tool, checkGrammar(grammars[tool]?.data, tool)]))
  const noise = fc.oneof(
    fc.constantFrom('--', '-', '--output=/tmp/x', '-o/tmp/x', '@/etc/shadow', 'file:///etc/shadow', '--outpu', '-sK', '/etc/shadow'),
    fc.string({unit: 'binary', maxLength: 4}),
  )
  fc.assert(
    fc.property(
      fc.constantFrom(...lines),
      fc.nat(8),
      noise,
      fc.constantFrom('insert', 'replace', 'append', 'cut'),
      ([tool, line], at, text, how) => {
        const mutated = [...line]
        const position = Math.min(at, line.length - 1)
        if (how === 'append') mutated[position] += text
        else mutated.splice(position, how === 'insert' ? 0 : 1, ...(how === 'cut' ? [] : [text]))
        const parsed = parse(checked.get(tool) as Grammar, mutated)
        if (!parsed.ok) return
        expect(print(parsed.structure)).toEqual(mutated)
        // nothing outside the rule, whatever the order: paths and hosts stay where they are allowed
        expect(mutated.filter(word => /^@?\/(?:etc|tmp)|^-.*\/tmp|^file:/.test(word) && !mutated.includes('--'))).toEqual([])
      },
    ),
    {numRuns: 4000},
  )
})

test('TM-M2: a pattern matches exactly what the same regular expression matches, anchored', () => {
  const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '[a-c]', '\\d', '\\w', '\\.', '(?:a|bc)', '(ab?|c)')
  const pattern = fc
    .array(fc.tuple(atom, fc.constantFrom('', '', '*', '+', '?', '{2}', '{1,3}', '{2,}')), {minLength: 1, maxLength: 5})
    .map(items => items.map(item => item.join('')).join(''))
  fc.assert(
    fc.property(pattern, fc.string({unit: fc.constantFrom('a', 'b', 'c', '1', '.', '\n', '😀'), maxLength: 8}), (source, text) => {
      // ours: a set that leaves out never takes a line break
      if (source.includes('[^') && text.includes('\n')) return
      expect(matchesPattern(source, text)).toBe(new RegExp(`^(?:${source})$`, 'u').test(text))
    }),
    {numRuns: 4000},
  )
})

test('TM-H5: checkArgv never changes argv and never throws anything but ARGV_INVALID', () => {
  fc.assert(
    fc.property(fc.array(fc.string({unit: 'binary', maxLength: 8}), {maxLength: 6}), words => {
      const before = JSON.stringify(words)
      try {
        checkArgv(words)
      } catch (error) {
        expect(error).toMatchObject({code: 'ARGV_INVALID', position: expect.any(Number)})
      }
      expect(JSON.stringify(words)).toBe(before)
    }),
    {numRuns: 3000},
  )
})
