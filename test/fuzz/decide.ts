/** Lines made by chance from a library of definitions, right and wrong ones, decided by the policy engine and by a second judge. */

import {checkArgv, parse} from '@prod/sdk/grammar/parse'
import {print} from '@prod/sdk/grammar/print'
import {explainArgv} from '../../plugins/broker/src/policy/explain.ts'
import type {Bundle} from '../../plugins/broker/src/policy/policy.ts'
import {generateArgv, knownValues, seeded} from '../../plugins/sdk/test/generate-argv.ts'
import {judgeArgv} from './second-judge.ts'

/** What came of a run. `differences`: lines on which the two judges do not agree, at most ten. */
export interface Compared {
  lines: number
  allowed: number
  differences: {argv: string[]; ours: string; second: string}[]
}

const evil = [
  '--',
  '-',
  '-o',
  '-f/etc/shadow',
  '--output=/tmp/x',
  '--config',
  '@/etc/shadow',
  'file:///etc/shadow',
  '/etc/shadow',
  '../../etc/shadow',
  '-exec',
  ';',
  '|',
  '$(id)',
  '+x',
  '',
  ' ',
  '-5',
  '--no-pager',
  '--all=false',
  'a\nb',
  '\u202e',
  '\0',
  '\ud800',
  '-vvv',
  '--help',
  '-h',
  'secrets',
]

/**
 * Compares `count` decisions of the bundle, under the profile that lets `engineers` run every command of class `read`, with what the second
 * judge says. Half of the lines are allowed ones, the others have up to three words changed. The same lines for the same seed.
 */
export function compareDecisions(bundle: Bundle, allowed: readonly (readonly string[])[], count: number, seed = 1): Compared {
  const random = seeded(seed)
  const pick = (below: number): number => Math.floor(random() * below)
  const find = (name: string) => bundle.catalog.tools.get(name)?.grammar
  const tools = [...bundle.catalog.tools.values()].map(({name, grammar}) => ({
    name,
    grammar,
    known: knownValues(
      grammar,
      allowed.filter(([tool]) => tool === name),
      find,
    ),
    spoilt: [...new Set([...evil, ...allowed.filter(([tool]) => tool === name).flat()])],
  }))
  const compared: Compared = {lines: 0, allowed: 0, differences: []}
  while (compared.lines < count) {
    const tool = tools[pick(tools.length)] as (typeof tools)[number]
    const made = generateArgv(tool.grammar, random, {tools: find, known: tool.known})
    if (!made) continue
    const argv = [...made]
    for (let changes = random() < 0.5 ? 0 : 1 + pick(3); changes > 0; changes--) spoil(argv, tool.spoilt, pick)
    const ours = explainArgv(bundle, {principal: 'alice', groups: ['engineers'], argv}).decision
    const second = judge(bundle, argv)
    compared.lines++
    if (ours === 'allow') compared.allowed++
    const printed = ours === 'allow' ? reprint(bundle, argv) : argv
    if (ours !== second || printed.join('\0') !== argv.join('\0')) compared.differences.push({argv, ours, second})
    if (compared.differences.length >= 10) break
  }
  return compared
}

function judge(bundle: Bundle, argv: string[]): string {
  try {
    checkArgv(argv)
  } catch {
    return 'deny'
  }
  const find = (name: string) => bundle.catalog.tools.get(name)?.grammar
  const grammar = find(argv[0] as string)
  const classes = grammar ? judgeArgv(grammar, argv, find) : []
  return classes.length > 0 && classes.every(one => one === 'read') ? 'allow' : 'deny'
}

function reprint(bundle: Bundle, argv: string[]): string[] {
  const find = (name: string) => bundle.catalog.tools.get(name)?.grammar
  const grammar = find(argv[0] as string)
  const parsed = grammar && parse(grammar, argv, find)
  return parsed?.ok ? print(parsed.structure) : []
}

/** One word put in, left out, doubled, moved, lengthened or replaced. */
function spoil(argv: string[], words: readonly string[], pick: (below: number) => number): void {
  const at = 1 + pick(Math.max(1, argv.length - 1))
  const word = words[pick(words.length)] as string
  const changes = [
    () => argv.splice(at, 0, word),
    () => argv.splice(at, 1),
    () => argv.splice(at, 0, argv[at] ?? word),
    () => argv.push(...argv.splice(at, 1)),
    () => argv.splice(at, 1, `${argv[at] ?? ''}${word}`),
    () => argv.splice(at, 1, word),
  ]
  changes[pick(changes.length)]?.()
}
