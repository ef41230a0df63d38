import {existsSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {checkBundle} from '../../../plugins/broker/src/policy/bundle.ts'
import {explainArgv} from '../../../plugins/broker/src/policy/explain.ts'
import {readCases} from '../../security/library.ts'
import {type Figure, median, type Row} from '../figure.ts'

const library = join(import.meta.dirname, '../../../plugins/broker/library')
const rounds = 5

/** `argv` of each line of a file of JSON lines. */
function readCorpus(file: string): string[][] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => (JSON.parse(line) as {argv: string[]}).argv)
}

export const figure: Figure = {
  name: 'library',
  async measure() {
    const {bundle, findings} = await checkBundle({
      catalogDir: join(library, 'catalog'),
      policyDir: join(library, 'policy'),
      development: true,
    })
    if (!bundle) return `the library does not load: ${findings[0]?.message}`
    const percentile = (times: number[], share: number): number =>
      times.sort((a, b) => a - b)[Math.floor(times.length * share)] ?? Number.NaN
    const measure = (what: string, lines: readonly string[][]): Row[] => {
      const rows = lines.map(argv => ({argv, times: [] as number[]}))
      for (let round = -1; round < rounds; round++) {
        for (const {argv, times} of rows) {
          const from = performance.now()
          explainArgv(bundle, {principal: 'alice', groups: ['engineers'], argv})
          // the first round warms it up
          if (round >= 0) times.push(performance.now() - from)
        }
      }
      // of each line the median of its rounds: what else the machine does is not the line's
      const times = rows.map(row => median(row.times))
      return [0.5, 0.99].map((share): Row => {
        const value = percentile(times, share)
        const budget = share === 0.5 ? 1 : 5
        return {
          what: `parse and decide, ${what}, p${share * 100}`,
          value,
          unit: 'ms',
          floor: {what: `the budget, ${budget} ms:`, value: budget},
          ratio: value / budget,
          budget: {ratio: 1, kind: 'at most'},
        }
      })
    }
    const tests = readCases(library).flatMap(({argv}) => (argv ? [argv] : []))
    const corpus = process.env.PROD_CORPUS
    return [
      ...measure(`${tests.length} lines of the library's tests`, tests),
      ...(corpus && existsSync(corpus) ? measure('PROD_CORPUS', readCorpus(corpus)) : []),
    ]
  },
}
