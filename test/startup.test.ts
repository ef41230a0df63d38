import {spawnSync} from 'node:child_process'
import {globSync, mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join, relative} from 'node:path'
import {fileURLToPath} from 'node:url'
import {expect, onTestFinished, test} from 'vitest'

// What a start loads decides how long it takes, and unlike time it is the same on every machine. The times: npm run bench.

const root = join(import.meta.dirname, '..')
const probe = join(import.meta.dirname, 'startup-probe.cjs')

/** Packages that only the moment of their use may load. */
const dear =
  /^(got|ws|ora|@inquirer|openid-client|jose|@napi-rs|@aws-sdk|@cedar-policy|age-encryption|fastify|oidc-provider|ajv|yaml|@lydell)(\/|$)/
/** Built-in modules that cost milliseconds each (net is what a piped stdout is made of). */
const dearBuiltins = [
  'http',
  'https',
  'http2',
  'tls',
  'dgram',
  'crypto',
  'child_process',
  'worker_threads',
  'inspector',
  'sqlite',
  'internal/deps/undici/undici',
]

interface Loaded {
  stdout: string
  /** our built files, from the root */
  files: string[]
  /** packages from outside whose code was in them, or was imported beside them */
  packages: string[]
  builtins: string[]
}

function start(args: string[], program = [join(root, 'bin/run.js')]): Loaded {
  const home = mkdtempSync(join(tmpdir(), 'prod-start-'))
  onTestFinished(() => rmSync(home, {recursive: true, force: true}))
  const record = join(home, 'loaded.json')
  const {stdout, stderr, status} = spawnSync(process.execPath, ['--require', probe, ...program, ...args], {
    encoding: 'utf8',
    env: {HOME: home, PATH: process.env.PATH, PROBE: record},
  })
  expect(stderr).toBe('')
  expect(status).toBe(0)

  const {imported, files, builtins} = JSON.parse(readFileSync(record, 'utf8')) as {imported: string[]; files: string[]; builtins: string[]}
  const bundled = JSON.parse(readFileSync(join(root, 'dist/modules.json'), 'utf8')) as Record<string, string[]>
  const paths = [...new Set([...files, ...imported.filter(url => url.startsWith('file:')).map(url => fileURLToPath(url))])]
    .map(path => relative(root, path))
    .filter(path => path !== relative(root, probe))
  const modules = paths.flatMap(path => bundled[path] ?? [path])
  return {
    stdout,
    files: paths.filter(path => /(^|\/)dist\//.test(path)),
    packages: [...new Set(modules.flatMap(path => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []))],
    builtins: builtins.filter(name => dearBuiltins.includes(name)),
  }
}

test('--version loads the fast path and nothing else', () => {
  const {stdout, files, packages, builtins} = start(['--version'])
  expect(stdout).toMatch(/^prod\/\d+\.\d+\.\d+ \S+ node-v\d+\.\d+\.\d+\n$/)
  expect(files.filter(path => !/^dist\/chunks\/rolldown-runtime-/.test(path))).toEqual(['dist/fast.js'])
  expect(packages).toEqual([])
  expect(builtins).toEqual([])
})

test('completion loads no package and no dear module', () => {
  const {stdout, packages, builtins} = start(['--complete', 'bash', 'prod autocompl'])
  expect(stdout).toBe('autocomplete\n')
  expect(packages).toEqual([])
  expect(builtins).toEqual([])
})

test('a role that was not kept is looked for by one small file, before anything of the framework', () => {
  const {files} = start(['--input-type=commonjs', '-e', `require(${JSON.stringify(join(root, 'plugins/aws/dist/bundle/fast.js'))})`], [])
  expect(files).toEqual(['plugins/aws/dist/bundle/fast.js'])
})

test('--help loads oclif alone, and no command', () => {
  const {stdout, files, packages, builtins} = start(['--help'])
  expect(stdout).toContain('autocomplete')
  expect(files.filter(path => path.includes('/commands/'))).toEqual([])
  expect(packages.filter(name => dear.test(name))).toEqual([])
  expect(builtins).toEqual([])
})

test.for([
  ['autocomplete', 'bash'],
  ['config', 'ls'],
  ['explain', 'denied'],
])('a light command loads itself and nothing dear: %s', args => {
  const {files, packages, builtins} = start(args)
  expect(files.filter(path => path.includes('/commands/'))).toHaveLength(1)
  expect(packages.filter(name => dear.test(name))).toEqual([])
  expect(builtins).toEqual([])
})

test('no command loads a dear package before it runs, nor the server', () => {
  const commands = globSync(['dist/commands/**/*.js', 'plugins/*/dist/bundle/commands/**/*.js'], {cwd: root})
  const {files, packages} = start(
    [JSON.stringify(commands.map(path => join(root, path)))],
    ['-e', 'JSON.parse(process.argv[1]).forEach(require)'],
  )
  expect(files).toEqual(expect.arrayContaining(commands))
  // ws is what exec, attach and shell are made of: their first message is the request
  expect(packages.filter(name => dear.test(name) && name !== 'ws')).toEqual([])
  expect(files.filter(path => /^plugins\/[^/]+\/dist\/(?!bundle\/)/.test(path))).toEqual([])
})
