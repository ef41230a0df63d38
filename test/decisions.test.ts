import {join} from 'node:path'
import {completions} from '@prod/sdk/grammar/complete'
import {describeCommand} from '@prod/sdk/grammar/describe'
import {checkArgv, parse} from '@prod/sdk/grammar/parse'
import {print} from '@prod/sdk/grammar/print'
import fc from 'fast-check'
import {beforeAll, expect, test} from 'vitest'
import {checkBundle} from '../plugins/broker/src/policy/bundle.ts'
import type {Bundle} from '../plugins/broker/src/policy/policy.ts'
import {generateArgv, knownValues, seeded} from '../plugins/sdk/test/generate-argv.ts'
import {grammar, steered, words} from '../plugins/sdk/test/random-grammar.ts'
import {compareDecisions} from './fuzz/decide.ts'
import {judgeArgv} from './fuzz/second-judge.ts'
import {readAllowed} from './security/library.ts'

const library = join(import.meta.dirname, '../plugins/broker/library')
const allowed = readAllowed(library)
let bundle: Bundle

beforeAll(async () => {
  const checked = await checkBundle({catalogDir: join(library, 'catalog'), policyDir: join(library, 'policy'), development: true})
  if (!checked.bundle) throw new Error(checked.findings.map(({file, path, message}) => `${file} ${path ?? ''} ${message}`).join('\n'))
  bundle = checked.bundle
}, 240_000)

const find = (name: string) => bundle.catalog.tools.get(name)?.grammar

test('TM-H1 TM-H2 TM-M3: over the shipped definitions the grammar decides as a second, simple judge does', () => {
  const {lines, allowed: fine, differences} = compareDecisions(bundle, allowed, 1500, 7)
  expect(differences).toEqual([])
  expect([lines, fine > 500, fine < 1400]).toEqual([1500, true, true])
}, 240_000)

test('TM-H1 TM-H2 TM-M3: over definitions made by chance, too, the grammar reads what a second judge reads, and nothing else', () => {
  let taken = 0
  fc.assert(
    fc.property(grammar, fc.array(words, {minLength: 4, maxLength: 4}), (made, lines) => {
      for (const line of lines.flatMap(one => [['tool', ...one], steered(made, one)])) {
        const ours = parse(made, line).ok
        if (ours) taken++
        expect([line, judgeArgv(made, line, () => undefined).length > 0]).toEqual([line, ours])
      }
    }),
    {numRuns: 1000},
  )
  expect(taken).toBeGreaterThan(500)
}, 240_000)

test('TM-M1 TM-H5: of every shipped tool, lines made by chance are read and printed again to the byte', () => {
  const random = seeded(11)
  for (const {name, grammar} of bundle.catalog.tools.values()) {
    const known = knownValues(
      grammar,
      allowed.filter(([tool]) => tool === name),
      find,
    )
    for (let times = 0; times < 20; times++) {
      const argv = generateArgv(grammar, random, {tools: find, known})
      expect(argv, `${name}: no line could be made`).toBeDefined()
      checkArgv(argv)
      const parsed = parse(grammar, argv as string[], find)
      expect(parsed.ok && print(parsed.structure), name).toEqual(argv)
    }
  }
}, 240_000)

test('TM-H2: completion offers no word that the definition refuses, anywhere in the lines of the shipped tests', () => {
  for (const argv of allowed) {
    const grammar = find(argv[0] as string)
    if (!grammar) continue
    for (let at = 1; at <= argv.length; at++) {
      const line = argv.slice(0, at)
      // a time that is too long ago may still get its other end
      const before = parse(grammar, line, find)
      if (!before.ok && before.refusal.position < at) continue
      for (const offered of completions(grammar, [...line, ''], find).filter(word => !word.endsWith('='))) {
        const parsed = parse(grammar, [...line, offered], find)
        // a word may still lack what follows it; it is never the wrong one
        if (!parsed.ok) expect(parsed.refusal.position, JSON.stringify([line, offered, parsed.refusal])).toBeGreaterThan(at)
      }
    }
  }
}, 240_000)

test('every command of the library is described in words, with an example that it allows', () => {
  for (const {name, grammar} of bundle.catalog.tools.values())
    for (const index of grammar.commands.keys()) {
      const lines = describeCommand(grammar, index, find)
      expect(lines[0]).toMatch(name)
      expect(
        lines.some(line => line.startsWith('  for example: ')),
        `${name} ${index}`,
      ).toBe(true)
    }
})
