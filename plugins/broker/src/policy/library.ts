/** The shipped definitions of tools, and how they come into a folder of one's own: with their tests, so that they work at once. */
import {mkdir, readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {ProdError} from '@prod/sdk/errors'
import {type Document, isMap, isSeq, parseDocument} from 'yaml'

/** The shipped definitions with their tests, and the rule that lets engineers look: a folder as any other. */
export const shipped = fileURLToPath(new URL('../../library/', import.meta.url))
/** Who may look, in the library's own rule and tests. */
const everyone = 'engineers'

/** What is taken from the library. */
export interface LibraryChoice {
  /** by their names or those of their files; `all` */
  tools: readonly string[]
  /** the group that may run every command of class read; absent: nobody, and only tests of what is denied are taken */
  look?: string | undefined
  /** the OS account they run under; absent: none is written */
  account?: string | undefined
}

/**
 * Copies definitions, and those that they stand in front of, with their tests into `DIR/catalog/tools` and `DIR/policy`. Returns the
 * tools' names. Without DIR it only looks. Throws USAGE for a name that the library lacks.
 */
export async function copyLibrary(dir: string | undefined, {tools, look, account}: LibraryChoice): Promise<string[]> {
  const library = await readLibrary()
  const chosen = choose(library, tools)
  if (dir === undefined) return [...chosen.keys()].sort()
  const write = async (folder: string, name: string, text: string): Promise<void> => {
    await mkdir(join(dir, folder), {recursive: true})
    await writeFile(join(dir, folder, name), text, {mode: 0o644})
  }
  for (const {file, document} of chosen.values()) {
    if (account !== undefined && !document.hasIn(['run', 'as'])) document.setIn(['run', 'as'], account)
    await write('catalog/tools', file, print(document))
  }
  const tests = join(shipped, 'policy/tests')
  for (const file of (await readdir(tests)).filter(name => name.endsWith('.yaml')).sort()) {
    const document = parseDocument(await readFile(join(tests, file), 'utf8'))
    if (!isSeq(document.contents)) continue
    document.contents.items = document.contents.items.filter(item => {
      if (!isMap(item)) return false
      const {argv, expect} = item.toJSON() as {argv?: string[]; expect: string}
      return chosen.has(argv?.[0] ?? '') && (look !== undefined || expect === 'deny')
    })
    for (const item of document.contents.items) {
      const groups = isMap(item) ? item.get('groups') : undefined
      if (isSeq(groups) && look !== undefined && look !== everyone)
        for (const [at, group] of (groups.toJSON() as string[]).entries()) if (group === everyone) groups.set(at, look as never)
    }
    if (document.contents.items.length > 0) await write('policy/tests', file, print(document))
  }
  if (look !== undefined) {
    const rule = await readFile(join(shipped, 'policy/global/look.cedar'), 'utf8')
    await write(
      'policy/global',
      'look.cedar',
      rule.replaceAll(`Group::${JSON.stringify(everyone)}`, () => `Group::${JSON.stringify(look)}`),
    )
  }
  return [...chosen.keys()].sort()
}

interface Definition {
  file: string
  document: Document.Parsed
  /** tools whose commands may stand behind it */
  behind: string[]
}

async function readLibrary(): Promise<Map<string, Definition>> {
  const folder = join(shipped, 'catalog/tools')
  const found = new Map<string, Definition>()
  for (const file of (await readdir(folder)).filter(name => name.endsWith('.yaml')).sort()) {
    const document = parseDocument(await readFile(join(folder, file), 'utf8'))
    const data = document.toJS() as {name: string}
    found.set(data.name, {file, document, behind: namesBehind(data)})
  }
  return found
}

function choose(library: ReadonlyMap<string, Definition>, tools: readonly string[]): Map<string, Definition> {
  const chosen = new Map<string, Definition>()
  const take = (asked: string): void => {
    const [name, definition] = [...library].find(([name, {file}]) => name === asked || file === `${asked}.yaml`) ?? []
    if (name === undefined || definition === undefined)
      throw new ProdError(
        'USAGE',
        `the library has no tool ${asked}: it has ${[...library.keys()].sort().join(', ')}`,
        'prod policy init DIR --tools all',
      )
    if (chosen.has(name)) return
    chosen.set(name, definition)
    for (const other of definition.behind) take(other)
  }
  for (const one of tools.includes('all') ? library.keys() : tools) take(one)
  return chosen
}

/** `{type: command, tools: […]}`, wherever it stands in a definition. */
function namesBehind(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  const {type, tools} = value as {type?: unknown; tools?: unknown}
  if (type === 'command' && Array.isArray(tools)) return tools.filter(one => typeof one === 'string')
  return Object.values(value).flatMap(namesBehind)
}

function print(document: Document): string {
  return document.toString({lineWidth: 0})
}
