import {readFileSync} from 'node:fs'
import {explain} from '@prod/sdk/explain/explain'
import {explainers} from '../../plugins/explain/src/index.ts'

/**
 * Scores the explainers on labelled messages: `node --conditions=source test/explain/score.ts FILE [--wrong]`. FILE has one
 * `{"id","text","label":{"category","principal","action","resource","role","encoded","also"}}` a line. Strict: the category itself; lenient:
 * or one that `also` names. `--wrong` lists what is not as labelled.
 */
interface Labelled {
  id: string
  text: string
  label: Record<'principal' | 'action' | 'resource' | 'role', string | null> & {category: string; encoded: boolean; also: string[]}
}

const fields = ['principal', 'action', 'resource', 'role', 'encoded'] as const
const [file = '', ...options] = process.argv.slice(2)
const rows = readFileSync(file, 'utf8')
  .split('\n')
  .filter(line => line !== '')
  .map(line => JSON.parse(line) as Labelled)

let strict = 0
let lenient = 0
const right = Object.fromEntries(fields.map(field => [field, 0])) as Record<(typeof fields)[number], number>
const byCategory = new Map<string, {all: number; right: number}>()
for (const {id, text, label} of rows) {
  const found = explain(text, explainers)
  const count = byCategory.get(label.category) ?? {all: 0, right: 0}
  byCategory.set(label.category, count)
  count.all += 1
  if (found.category === label.category) {
    strict += 1
    count.right += 1
  } else if (options.includes('--wrong'))
    console.log(`${id} category: ${found.category}, not ${label.category}; by ${JSON.stringify(found.evidence)}`)
  if (found.category === label.category || label.also.includes(found.category)) lenient += 1
  for (const field of fields) {
    if (found[field] === label[field]) right[field] += 1
    else if (options.includes('--wrong'))
      console.log(`${id} ${field}: ${JSON.stringify(found[field])}, not ${JSON.stringify(label[field])}`)
  }
}
const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} % (${part} of ${whole})`
for (const [category, count] of [...byCategory].sort(([a], [b]) => (a < b ? -1 : 1)))
  console.log(`${category.padEnd(24)} ${percent(count.right, count.all)}`)
console.log(`categories, strict        ${percent(strict, rows.length)}`)
console.log(`categories, lenient       ${percent(lenient, rows.length)}`)
for (const field of fields) console.log(`${field.padEnd(24)}  ${percent(right[field], rows.length)}`)
console.log(
  `all fields                ${percent(
    Object.values(right).reduce((sum, one) => sum + one),
    rows.length * fields.length,
  )}`,
)
