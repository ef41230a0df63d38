import {existsSync, globSync, readFileSync} from 'node:fs'
import {dirname, join, relative} from 'node:path'
import {parseAst} from 'rolldown/parseAst'
import {expect, test} from 'vitest'

/**
 * Who may import whom, types counted too. A room is the longest prefix that a file's path has; it may import itself and
 * what its line names, and nothing else. Change the table first, in the open.
 */
const table: Record<string, string[]> = {
  // the ground
  'plugins/sdk/src': [],
  'plugins/sdk/src/cli': ['plugins/sdk/src'],
  'plugins/sdk/src/testing': ['plugins/sdk/src'],
  // the CLI
  src: ['plugins/sdk/src', 'plugins/sdk/src/cli'],
  'src/commands': ['src', 'plugins/sdk/src', 'plugins/sdk/src/cli'],
  // plugins
  'plugins/host/src': ['plugins/sdk/src'],
  'plugins/webhook/src': ['plugins/sdk/src'],
  // the broker, from the bottom: ports, record, rules, features, routes, main, commands
  'plugins/broker/src': ['plugins/sdk/src'],
}

/** Packages whose loading is dear or that carry a right: who may import them at all, besides tests. */
const packages: Record<string, string[]> = {
  got: ['plugins/sdk/src/client'],
  'openid-client': ['src/login', 'plugins/broker/src/identity-providers'],
  '@napi-rs/keyring': ['src/login', 'src/credentials', 'plugins/sdk/src/cli'],
  '@cedar-policy/cedar-wasm': ['plugins/broker/src/policy'],
  '@lydell/node-pty': ['plugins/host/src'],
  '@inquirer/prompts': ['plugins/sdk/src/cli'],
  ora: ['plugins/sdk/src/cli'],
  fastify: ['plugins/broker/src'],
}

interface Import {
  from: string
  /** as written */
  specifier: string
  /** the file it leads to, or undefined for a package from outside */
  to: string | undefined
  lazy: boolean
}

const root = join(import.meta.dirname, '..')
const sources = globSync(['src/**/*.ts', 'plugins/*/src/**/*.ts'], {cwd: root}).sort()
const tests = globSync(['test/**/*.ts', 'plugins/*/test/**/*.ts'], {cwd: root, exclude: ['**/node_modules/**']}).sort()
const imports = [...sources, ...tests].flatMap(importsOf)
const inSources = (path: string) => !/(^|\/)test\//.test(path)

function importsOf(from: string): Import[] {
  const found: Import[] = []
  visit(parseAst(readFileSync(join(root, from), 'utf8'), {lang: 'ts'}), (specifier, lazy) => {
    found.push({from, specifier, to: target(from, specifier), lazy})
  })
  return found
}

/** Calls `see` for every import, re-export, import() and import type of a syntax tree. */
function visit(node: unknown, see: (specifier: string, lazy: boolean) => void): void {
  if (Array.isArray(node)) for (const one of node) visit(one, see)
  if (typeof node !== 'object' || node === null || Array.isArray(node)) return
  const {type, source, argument} = node as {type?: string; source?: {value?: unknown}; argument?: {value?: unknown; literal?: {value?: unknown}}}
  if (/^(Import|ExportNamed|ExportAll)(Declaration|Expression)$/.test(type ?? '') && typeof source?.value === 'string') {
    see(source.value, type === 'ImportExpression')
  }
  const ofType = type === 'TSImportType' ? ((source ?? argument?.literal ?? argument) as {value?: unknown} | undefined)?.value : undefined
  if (typeof ofType === 'string') see(ofType, false)
  for (const value of Object.values(node)) visit(value, see)
}

function target(from: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return relative(root, join(root, dirname(from), specifier))
  const [, plugin, path] = /^@prod\/([^/]+)(?:\/(.+))?$/.exec(specifier) ?? []
  if (!plugin) return undefined
  const {exports} = JSON.parse(readFileSync(join(root, 'plugins', plugin, 'package.json'), 'utf8')) as {exports: Record<string, {source: string}>}
  const exact = exports[path ? `./${path}` : '.']
  const source = exact?.source ?? exports['./*']?.source.replace('*', path ?? '')
  return source && relative(root, join(root, 'plugins', plugin, source))
}

function roomOf(path: string): string {
  return Object.keys(table).filter(room => path === room || path.startsWith(`${room}/`) || path.startsWith(`${room}.`)).sort((a, b) => b.length - a.length)[0] ?? ''
}

function workspaceOf(path: string): string {
  return /^plugins\/[^/]+/.exec(path)?.[0] ?? ''
}

test('every source file belongs to a room of the table', () => {
  expect(sources.filter(path => !roomOf(path))).toEqual([])
})

test('a room imports only what the table says', () => {
  const strangers = imports
    .filter(({from, to}) => inSources(from) && to !== undefined)
    .filter(({from, to}) => roomOf(from) !== roomOf(to ?? '') && !table[roomOf(from)]?.includes(roomOf(to ?? '')))
    .map(({from, specifier}) => `${from} imports ${specifier}`)
  expect(strangers).toEqual([])
})

test('every import between our files leads to a file, by its name with .ts', () => {
  const lost = imports.filter(({specifier, to}) => (specifier.startsWith('.') || specifier.startsWith('@prod/')) && !(to && /\.(ts|json)$/.test(to) && existsSync(join(root, to))))
  expect(lost.map(({from, specifier}) => `${from} imports ${specifier}`)).toEqual([])
})

test('no file of a workspace reaches into another but through its package', () => {
  const reaching = imports.filter(({from, specifier, to}) => to && specifier.startsWith('.') && workspaceOf(from) && workspaceOf(from) !== workspaceOf(to))
  expect(reaching.map(({from, specifier}) => `${from} imports ${specifier}`)).toEqual([])
})

test('a command reaches its plugin only by name and lazily, so that no start loads a server', () => {
  const eager = imports.filter(({from, to, lazy}) => /^plugins\/(?!sdk\/)[^/]+\/src\/commands\//.test(from) && to && !lazy && !to.includes('/commands/') && !to.startsWith('plugins/sdk/'))
  expect(eager.map(({from, specifier}) => `${from} imports ${specifier}`)).toEqual([])
})

test('a dear package is imported only where the table allows', () => {
  const dear = imports.filter(({from, specifier}) => {
    const name = Object.keys(packages).find(name => specifier === name || specifier.startsWith(`${name}/`))
    return name && inSources(from) && !packages[name]?.some(path => from.startsWith(path))
  })
  expect(dear.map(({from, specifier}) => `${from} imports ${specifier}`)).toEqual([])
})

test('every package that is imported is named in the package.json of its workspace', () => {
  const missing = imports.filter(({from, specifier}) => {
    const name = /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? ''
    if (/^(\.|node:)/.test(specifier)) return false
    const homes = [...new Set(inSources(from) ? [workspaceOf(from)] : [workspaceOf(from), ''])]
    return !homes.some(home => {
      const {name: self, dependencies = {}, devDependencies = {}} = JSON.parse(readFileSync(join(root, home, 'package.json'), 'utf8'))
      return name === self || name in dependencies || name in devDependencies
    })
  })
  expect([...new Set(missing.map(({from, specifier}) => `${from} imports ${specifier}`))]).toEqual([])
})

test('there is no circle', () => {
  const next = Map.groupBy(imports.filter(({from, to}) => to && inSources(from)), ({from}) => from)
  const state = new Map<string, 'open' | 'done'>()
  const circles: string[] = []
  const walk = (path: string, trail: string[]): void => {
    if (state.get(path) === 'open') circles.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
    if (state.has(path)) return
    state.set(path, 'open')
    for (const {to} of next.get(path) ?? []) walk(to ?? '', [...trail, path])
    state.set(path, 'done')
  }
  for (const path of sources) walk(path, [])
  expect(circles).toEqual([])
})
