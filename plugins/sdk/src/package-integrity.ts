/** What a plugin package is, as one digest: so that an operator pins what was looked at, and an edited file is noticed (TM-S1). */
import {createHash} from 'node:crypto'
import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

const left = new Set(['node_modules', '.git', '.tsbuildinfo'])

/**
 * `sha256-…` (base64) over the name and bytes of every file of a package's folder, in order of their names; what it
 * depends on is not in it (the lockfile pins that). Links are refused: throws Error. Reads all files.
 */
export function packageIntegrity(folder: string): string {
  const total = createHash('sha256')
  const walk = (path: string): void => {
    const entries = readdirSync(join(folder, path), {withFileTypes: true}).filter(({name}) => !left.has(name))
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = path === '' ? entry.name : `${path}/${entry.name}`
      if (entry.isDirectory()) walk(name)
      else if (!entry.isFile()) throw new Error(`${name} is no plain file`)
      else
        total.update(
          `${JSON.stringify(name)} ${createHash('sha256')
            .update(readFileSync(join(folder, name)))
            .digest('hex')}\n`,
        )
    }
  }
  walk('')
  return `sha256-${total.digest('base64')}`
}
