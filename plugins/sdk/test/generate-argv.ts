/** Lines made by chance from a grammar: each is allowed by it. For property tests, and for runs of the real tools under watch. */
import type {FindGrammar, Grammar} from '../src/grammar/grammar.ts'
import {layersOf} from '../src/grammar/operands.ts'
import {parse} from '../src/grammar/parse.ts'
import {sampleArgv} from '../src/grammar/sample.ts'

/** What helps to make lines: see {@link knownValues}. */
export interface Helps {
  tools?: FindGrammar
  known?: (command: number, name: string) => readonly string[]
}

/** A number from 0 up to but not including 1, the same row of them for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A line that the grammar allows; undefined where a hundred attempts made none. */
export function generateArgv(grammar: Grammar, random: () => number, {tools, known}: Helps = {}): string[] | undefined {
  const pick = (count: number): number => Math.floor(random() * count)
  for (let attempt = 0; attempt < 100; attempt++) {
    const argv = sampleArgv(grammar, pick(grammar.commands.length), {pick, tools, known})
    if (argv) return argv
  }
  return undefined
}

/** The values of lines that are known to be allowed, by command and name: what no type can make up, such as a query. */
export function knownValues(grammar: Grammar, lines: readonly (readonly string[])[], tools?: FindGrammar): NonNullable<Helps['known']> {
  const found = new Map<string, string[]>()
  for (const argv of lines) {
    const parsed = parse(grammar, argv, tools)
    if (!parsed.ok) continue
    const [structure] = layersOf(parsed.structure)
    for (const part of structure?.parts ?? []) {
      if (!('value' in part) || part.value === null) continue
      const key = `${structure?.command} ${part.name}`
      found.set(key, [...(found.get(key) ?? []), part.value])
    }
  }
  return (command, name) => found.get(`${command} ${name}`) ?? []
}
