/**
 * Compares decisions over the shipped definitions with those of a second judge: `node --conditions=source test/fuzz/decisions.ts [COUNT] [SEED]`, a
 * million lines if not said. Ends with 1 and the lines on which the two differ, at the first ten.
 */
import {join} from 'node:path'
import {loadBundle} from '@prod/broker/policy'
import {readAllowed} from '../security/library.ts'
import {compareDecisions} from './decide.ts'

const [count = 1_000_000, seed = 1] = process.argv.slice(2).map(Number)
const library = join(import.meta.dirname, '../../plugins/broker/library')
const bundle = await loadBundle({catalogDir: join(library, 'catalog'), policyDir: join(library, 'policy'), development: true})
const from = performance.now()
const {lines, allowed, differences} = compareDecisions(bundle, readAllowed(library), count, seed)
const seconds = (performance.now() - from) / 1000
for (const difference of differences) process.stdout.write(`${JSON.stringify(difference)}\n`)
process.stdout.write(
  `${lines} decisions, ${allowed} of them allow, ${differences.length} differ; ${Math.round(lines / seconds)} a second\n`,
)
process.exitCode = differences.length > 0 ? 1 : 0
