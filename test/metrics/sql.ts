import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'

const page = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8')
const blocks = [...page.matchAll(/^```sql\n(.+?)^```$/gms)].map(([, text]) => text as string)

/** The statements of docs/metrics.md that make something. */
export const making = blocks.filter(text => /^CREATE /m.test(text)).join('\n')

/** Its other statements, by the name above each. */
export const counting: ReadonlyMap<string, string> = new Map(
  blocks
    .filter(text => !/^CREATE /m.test(text))
    .flatMap(text => text.split(/^-- /m).slice(1))
    .map(part => {
      const end = part.indexOf('\n')
      return [part.slice(0, end), part.slice(end + 1)]
    }),
)

/** What is asked of the tables. */
export interface AskedOfSql {
  since: number
  until: number
  team?: string | null
  service?: string | null
}

/** An export in SQLite as docs/metrics.md says, with its tables and views. `file`: where; in memory if left out. */
export function loadExport(lines: Iterable<string>, file = ':memory:') {
  const db = new DatabaseSync(file)
  db.exec('CREATE TABLE export (line TEXT); BEGIN')
  const insert = db.prepare('INSERT INTO export VALUES (?)')
  for (const line of lines) insert.run(line)
  db.exec('COMMIT')
  db.exec(making)
  const set = db.prepare('UPDATE asked SET since = ?, until = ?, team = ?, service = ?')
  return {
    ask({since, until, team = null, service = null}: AskedOfSql): void {
      set.run(since, until, team, service)
    },
    /** the one value of a statement */
    value(name: string): number | null {
      const [row] = db.prepare(counting.get(name) ?? '').all()
      const [value] = Object.values(row ?? {})
      return value === null || value === undefined ? null : Number(value)
    },
    rows: (name: string): Record<string, unknown>[] => db.prepare(counting.get(name) ?? '').all(),
    close: () => db.close(),
  }
}
