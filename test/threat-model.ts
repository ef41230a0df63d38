import {globSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

/**
 * Says which requirements of the threat model that are due have a test citing them (`TM-H12` in a test file's title), and
 * which have none. Exit status 1 for a missing one only once threat-model.json is strict.
 */
const root = join(import.meta.dirname, '..')
const {strict, due, excused} = JSON.parse(readFileSync(join(import.meta.dirname, 'threat-model.json'), 'utf8')) as {
  strict: boolean
  /** MUST ids due now, blank-separated, a line for each chapter */
  due: string[]
  /** ids that have no test, each with the ADR or note that says why */
  excused: Record<string, string>
}

const ids = due.flatMap(line => line.split(' '))
const cited = new Set<string>()
for (const file of globSync(['test/**/*.test.ts', 'plugins/*/test/**/*.test.ts'], {cwd: root, exclude: ['**/node_modules/**']})) {
  for (const [, list = ''] of readFileSync(join(root, file), 'utf8').matchAll(/TM-([A-Z]\d+(?:(?:, ?| |\/)(?:TM-)?[A-Z]\d+)*)/g)) {
    for (const [id] of list.matchAll(/[A-Z]\d+/g)) cited.add(id)
  }
}
const uncovered = ids.filter(id => !cited.has(id) && !(id in excused))
console.log(`threat model: ${ids.length - uncovered.length} of ${ids.length} due requirements have a test that cites them`)
for (const [id, why] of Object.entries(excused)) console.log(`  TM-${id}: no test, ${why}`)
if (uncovered.length > 0) console.log(`  without one: ${uncovered.map(id => `TM-${id}`).join(' ')}`)
const beyond = [...cited].filter(id => !ids.includes(id)).sort()
if (beyond.length > 0) console.log(`  cited, not due yet: ${beyond.map(id => `TM-${id}`).join(' ')}`)
process.exitCode = strict && uncovered.length > 0 ? 1 : 0
