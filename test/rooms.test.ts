import {existsSync, globSync, readFileSync} from 'node:fs'
import {dirname, join, relative} from 'node:path'
import {parseAst} from 'rolldown/parseAst'
import {expect, test} from 'vitest'

const sdk = 'plugins/sdk/src'
const cli = 'plugins/sdk/src/cli'
const broker = (path: string): string => `plugins/broker/src/${path}`
/** What the broker's features know of whoever stores, decides, identifies: the ports, and the list of the parts. */
const ports = [
  'parts',
  'config',
  'keys',
  'ids',
  'stores/store',
  'policy/policy',
  'catalog/catalog',
  'catalog/members',
  'identity-providers/identity-provider',
].map(broker)
/** The life of a request; between these folders the direction is held file by file: there is no circle. */
const features = ['requests', 'grants', 'runs', 'sessions', 'streams', 'freeze'].map(broker)

/**
 * Who may import whom, types counted too. A room is the longest line that a file's path begins with; it may import itself
 * and what its line names, nothing else. Any other plugin may import sdk, and a plugin that its package.json names, by
 * one of that one's entries. Change the table first, in the open.
 */
const table: Record<string, string[]> = {
  // the ground
  [sdk]: [],
  [cli]: [sdk],
  'plugins/sdk/src/testing': [sdk],
  // the CLI
  src: [sdk, cli],
  'src/commands': ['src', sdk, cli],
  // a plugin with commands of its own, which run on a person's machine
  'plugins/aws/src': [sdk, cli],
  // the broker: ports
  ...Object.fromEntries(ports.map(port => [port, [sdk, ...ports]])),
  // what implements them
  [broker('stores')]: [sdk, ...ports],
  [broker('catalog')]: [sdk, ...ports, broker('http'), broker('policy')],
  [broker('policy')]: [sdk, ...ports, broker('catalog')],
  [broker('identity-providers')]: [sdk, ...ports, broker('http')],
  // the door
  [broker('http')]: [sdk, ...ports, broker('identity'), broker('audit')],
  [broker('identity')]: [sdk, ...ports, broker('http'), broker('grants'), broker('freeze')],
  // the record, and who is told
  [broker('audit')]: [sdk, ...ports, broker('http'), broker('requests')],
  [broker('outbox')]: [sdk, ...ports, broker('requests')],
  [broker('metrics')]: [sdk, ...ports, ...['http', 'requests', 'runs', 'freeze', 'audit'].map(broker)],
  // the work
  ...Object.fromEntries(
    features.map(name => [name, [sdk, ...ports, ...features, ...['http', 'identity', 'policy', 'outbox', 'audit'].map(broker)]]),
  ),
  // an erasure reaches what the figures keep of the log, too
  [broker('erasure')]: [sdk, ...ports, ...features, ...['http', 'identity', 'policy', 'outbox', 'audit', 'metrics'].map(broker)],
  // what starts it: main alone loads implementations
  [broker('index')]: [broker('config')],
  [broker('dev')]: [sdk, ...ports, broker('http'), broker('policy')],
  [broker('main')]: [
    sdk,
    ...ports,
    ...features,
    ...[
      'erasure',
      'stores',
      'catalog',
      'policy',
      'identity-providers',
      'http',
      'identity',
      'audit',
      'outbox',
      'metrics',
      'dev',
      'plugins',
      'clock',
    ].map(broker),
  ],
  // the time that it goes by
  [broker('clock')]: [broker('parts')],
  // what loads packages that an operator pinned
  [broker('plugins')]: [sdk, ...ports],
  // a tool for the store's tables, while no broker runs: it loads a store and nothing of the server
  [broker('migrate')]: [sdk, ...ports, broker('stores')],
  [broker('rotate-key')]: [sdk, ...ports, broker('stores'), broker('audit')],
  [broker('commands')]: [sdk, cli, ...['main', 'migrate', 'rotate-key', 'catalog', 'policy'].map(broker)],
}

/** Packages whose loading is dear or that carry a right: who may import them at all, besides tests. */
const packages: Record<string, string[]> = {
  got: ['plugins/sdk/src/client'],
  '@aws-sdk/credential-providers': ['plugins/aws/src/credentials/resolve', 'plugins/aws/src/providers/own-keys'],
  'openid-client': ['src/login', 'plugins/broker/src/identity-providers'],
  '@napi-rs/keyring': ['src/login', 'src/doctor', 'plugins/sdk/src/cli'],
  '@cedar-policy/cedar-wasm': ['plugins/broker/src/policy'],
  ssh2: ['plugins/ec2-instance-connect/src'],
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
  type: boolean
}

const root = join(import.meta.dirname, '..')
const sources = globSync(['src/**/*.ts', 'plugins/*/src/**/*.ts'], {cwd: root}).sort()
const tests = globSync(['test/**/*.ts', 'plugins/*/test/**/*.ts'], {cwd: root, exclude: ['**/node_modules/**']}).sort()
const imports = [...sources, ...tests].flatMap(importsOf)
const inSources = (path: string) => !/(^|\/)test\//.test(path)

function importsOf(from: string): Import[] {
  const found: Import[] = []
  visit(parseAst(readFileSync(join(root, from), 'utf8'), {lang: 'ts'}), (specifier, kind) => {
    found.push({from, specifier, to: target(from, specifier), lazy: kind === 'lazy', type: kind === 'type'})
  })
  return found
}

/** Calls `see` for every import, re-export, import() and import type of a syntax tree. */
function visit(node: unknown, see: (specifier: string, kind: 'eager' | 'lazy' | 'type') => void): void {
  if (Array.isArray(node)) for (const one of node) visit(one, see)
  if (typeof node !== 'object' || node === null || Array.isArray(node)) return
  const {type, source, argument, importKind, exportKind, specifiers} = node as {
    type?: string
    source?: {value?: unknown}
    argument?: {value?: unknown; literal?: {value?: unknown}}
    importKind?: string
    exportKind?: string
    specifiers?: {importKind?: string; exportKind?: string}[]
  }
  if (/^(Import|ExportNamed|ExportAll)(Declaration|Expression)$/.test(type ?? '') && typeof source?.value === 'string') {
    const isType = [node as {importKind?: string; exportKind?: string}, ...(specifiers ?? [])].map(
      one => (one.importKind ?? one.exportKind) === 'type',
    )
    const onlyTypes = importKind === 'type' || exportKind === 'type' || (isType.length > 1 && isType.slice(1).every(Boolean))
    see(source.value, type === 'ImportExpression' ? 'lazy' : onlyTypes ? 'type' : 'eager')
  }
  const ofType = type === 'TSImportType' ? ((source ?? argument?.literal ?? argument) as {value?: unknown} | undefined)?.value : undefined
  if (typeof ofType === 'string') see(ofType, 'type')
  for (const value of Object.values(node)) visit(value, see)
}

function target(from: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return relative(root, join(root, dirname(from), specifier))
  const [, plugin, path] = /^@prod\/([^/]+)(?:\/(.+))?$/.exec(specifier) ?? []
  if (!plugin) return undefined
  const {exports} = JSON.parse(readFileSync(join(root, 'plugins', plugin, 'package.json'), 'utf8')) as {
    exports: Record<string, {source: string}>
  }
  const exact = exports[path ? `./${path}` : '.']
  const source = exact?.source ?? exports['./*']?.source.replace('*', path ?? '')
  return source && relative(root, join(root, 'plugins', plugin, source))
}

function roomOf(path: string): string {
  const rooms = Object.keys(table).filter(room => path.startsWith(`${room}/`) || path === `${room}.ts`)
  return rooms.sort((a, b) => b.length - a.length)[0] ?? (/^plugins\/(?!broker\/)[^/]+\/src/.exec(path)?.[0] || '')
}

function mayImport(from: string, to: string): boolean {
  const [room, other] = [roomOf(from), roomOf(to)]
  if (room === other) return true
  if (table[room]) return table[room].includes(other)
  if (other === sdk) return true
  const {name, exports = {}} = packageOf(to)
  const entries = Object.values(exports).map(({source}) => join(workspaceOf(to), source))
  return entries.includes(to) && name in (packageOf(from).dependencies ?? {})
}

function packageOf(path: string): {
  name: string
  exports?: Record<string, {source: string}>
  dependencies?: Record<string, string>
  devDependencies?: Record<string, string>
} {
  return JSON.parse(readFileSync(join(root, workspaceOf(path), 'package.json'), 'utf8'))
}

function workspaceOf(path: string): string {
  return /^plugins\/[^/]+/.exec(path)?.[0] ?? ''
}

test('every source file belongs to a room of the table', () => {
  expect(sources.filter(path => !roomOf(path))).toEqual([])
})

test('a room imports only what the table says', () => {
  const strangers = imports
    .filter(({from, to}) => inSources(from) && to !== undefined && !mayImport(from, to))
    .map(({from, specifier}) => `${from} imports ${specifier}`)
  expect(strangers).toEqual([])
})

test('every import between our files leads to a file, by its name with .ts', () => {
  const lost = imports.filter(
    ({specifier, to}) =>
      (specifier.startsWith('.') || specifier.startsWith('@prod/')) && !(to && /\.(ts|json)$/.test(to) && existsSync(join(root, to))),
  )
  expect(lost.map(({from, specifier}) => `${from} imports ${specifier}`)).toEqual([])
})

test('no file of a workspace reaches into another but through its package', () => {
  const reaching = imports.filter(
    ({from, specifier, to}) =>
      to &&
      specifier.startsWith('.') &&
      workspaceOf(from) &&
      workspaceOf(from) !== workspaceOf(to) &&
      // what stands in for AWS belongs to no plugin, and is written apart from each
      !(to.startsWith('test/sessions-stand-in/') && !inSources(from)),
  )
  expect(reaching.map(({from, specifier}) => `${from} imports ${specifier}`)).toEqual([])
})

test('a command reaches its plugin only by name and lazily, so that no start loads a server', () => {
  const eager = imports.filter(
    ({from, to, lazy, type}) =>
      /^plugins\/(?!sdk\/)[^/]+\/src\/commands\//.test(from) &&
      to &&
      !lazy &&
      !type &&
      !to.includes('/commands/') &&
      !to.startsWith('plugins/sdk/'),
  )
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
    // a suite that others run brings no test runner of its own
    const homes = inSources(from) && !from.includes('/testing/') ? [from] : [from, '.']
    return !homes.some(home => {
      const {name: self, dependencies = {}, devDependencies = {}} = packageOf(home)
      return name === self || name in dependencies || name in devDependencies
    })
  })
  expect([...new Set(missing.map(({from, specifier}) => `${from} imports ${specifier}`))]).toEqual([])
})

test('there is no circle', () => {
  const next = Map.groupBy(
    imports.filter(({from, to}) => to && inSources(from)),
    ({from}) => from,
  )
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
