/**
 * Fuzzes the canonical form that approvers sign: `node --conditions=source test/fuzz/canonical.ts [COUNT]`, two hundred thousand values if not said.
 * One text for one value, whatever the order of its fields; another text for another value. Ends with 1 at the first that breaks it.
 */
import {isDeepStrictEqual} from 'node:util'
import {canonical} from '@prod/sdk/document'
import fc from 'fast-check'

const numRuns = Number(process.argv[2] ?? 200_000)

/** The same value, the fields of every mapping in another order. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, one]) => [key, turned(one)]),
  )
}

const value = fc.jsonValue({maxDepth: 4, stringUnit: 'grapheme'}).map(one => JSON.parse(JSON.stringify(one)) as unknown)
fc.assert(
  fc.property(value, value, (one, other) => {
    const text = canonical(one)
    if (canonical(JSON.parse(text)) !== text) throw new Error('is not its own canonical form')
    if (canonical(turned(one)) !== text) throw new Error('depends on the order of fields')
    if ((canonical(other) === text) !== isDeepStrictEqual(JSON.parse(canonical(other)), JSON.parse(text)))
      throw new Error('two values have one text')
  }),
  {numRuns, seed: 1},
)
process.stdout.write(`${numRuns} values, one text for each\n`)
