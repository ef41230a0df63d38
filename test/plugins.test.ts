import {spawnSync} from 'node:child_process'
import {cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {beforeAll, expect, onTestFinished, test} from 'vitest'
import {newPlugin} from '../src/plugins.ts'

const root = join(import.meta.dirname, '..')

/** A clone with the sources of the ground and of the host, linked as npm would link them. */
function clone(): string {
  const folder = mkdtempSync(join(tmpdir(), 'prod-plugins-'))
  for (const plugin of ['sdk', 'host']) {
    cpSync(join(root, 'plugins', plugin), join(folder, 'plugins', plugin), {
      recursive: true,
      filter: path => !/\/(node_modules|dist|test)$/.test(path),
    })
  }
  cpSync(join(root, 'tsconfig.json'), join(folder, 'tsconfig.json'))
  for (const file of ['vitest.config.ts', 'reporter.ts', 'setup.ts']) cpSync(join(root, 'test', file), join(folder, 'test', file))
  mkdirSync(join(folder, 'node_modules/@prod'), {recursive: true})
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name !== '@prod') symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name))
  }
  const own = join(root, 'plugins/sdk/node_modules')
  if (existsSync(own)) symlinkSync(own, join(folder, 'plugins/sdk/node_modules'))
  return folder
}

function link(folder: string, name: string): void {
  symlinkSync(join(folder, 'plugins', name), join(folder, 'node_modules/@prod', name))
}

/** What the type checker finds in a plugin of the clone, and the last line of its tests. */
function tryOut(folder: string, name: string): {findings: string[]; said: string; last: string | undefined} {
  const types = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b', join(folder, 'plugins', name)], {
    encoding: 'utf8',
    cwd: folder,
  })
  const vitest = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--config', 'test/vitest.config.ts', `plugins/${name}`]
  const {NODE_ENV, VITEST, ...env} = process.env
  const {stdout, stderr} = spawnSync(process.execPath, vitest, {encoding: 'utf8', cwd: folder, env})
  const findings = types.stdout.split('\n').filter(line => line.startsWith(`plugins/${name}`))
  return {findings, said: stdout + stderr, last: stdout.trimEnd().split('\n').at(-1)}
}

/** Where plugins are tried out: what they build on is compiled there once. */
let tried: string
beforeAll(() => {
  tried = clone()
  for (const name of ['sdk', 'host']) link(tried, name)
  return () => rmSync(tried, {recursive: true, force: true})
})

test('a new plugin passes the type checker and its contract as it is', {timeout: 240_000}, () => {
  const folder = tried
  const {files} = newPlugin(folder, 'my-way', '0.1.0')
  expect(files).toContain('src/open.ts')
  link(folder, 'my-way')
  const {findings, said, last} = tryOut(folder, 'my-way')
  expect(findings).toEqual([])
  expect(last, said).toMatch(/^\d{2,} passed, 0 failed$/)
})

test('the primitive of docs/plugins.md, typed as the page says, passes its contract', {timeout: 240_000}, () => {
  const page = readFileSync(join(root, 'docs/plugins.md'), 'utf8')
  const written = [...page.matchAll(/^```ts\n\/\/ (plugins\/site\/\S+)\n(.+?)^```$/gms)].map(([, file, text]) => ({
    file: file as string,
    text: text as string,
  }))
  expect(written.length).toBe(4)
  const folder = tried
  newPlugin(folder, 'site', '0.1.0')
  link(folder, 'site')
  for (const {file, text} of written) writeFileSync(join(folder, file), text)
  const {findings, said, last} = tryOut(folder, 'site')
  expect(findings).toEqual([])
  expect(last, said).toMatch(/^\d{2,} passed, 0 failed$/)
  expect(page).toContain(`says \`${last}\``)
})

test('nothing is overwritten, and a name is checked before anything is written', () => {
  const folder = clone()
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}))
  newPlugin(folder, 'one', '0.1.0')
  const before = readFileSync(join(folder, 'plugins/one/src/open.ts'), 'utf8')
  expect(() => newPlugin(folder, 'one', '0.2.0')).toThrow('plugins/one is there already')
  expect(() => newPlugin(folder, 'sdk', '0.1.0')).toThrow('plugins/sdk is there already')
  expect(readFileSync(join(folder, 'plugins/one/src/open.ts'), 'utf8')).toBe(before)
  for (const name of ['', '../up', 'A', 'a b', 'a--b', '-a', 'a/b', '.', 'a\n', 'é', 'x'.repeat(41)]) {
    expect(() => newPlugin(folder, name, '0.1.0'), name).toThrow('is no name for a plugin')
  }
  expect(existsSync(join(folder, 'up'))).toBe(false)
})

test('an installed prod, which has no workspaces, says where a plugin is written', () => {
  const folder = mkdtempSync(join(tmpdir(), 'prod-plugins-'))
  onTestFinished(() => rmSync(folder, {recursive: true}))
  expect(() => newPlugin(folder, 'one', '0.1.0')).toThrow('a clone of the repository')
})

test('the list names each plugin and what it brings', () => {
  const {stdout, status} = spawnSync(process.execPath, [join(root, 'bin/run.js'), 'plugins', '--json'], {
    encoding: 'utf8',
    env: {HOME: tmpdir(), PATH: process.env.PATH, XDG_CACHE_HOME: '/nonexistent', XDG_STATE_HOME: '/nonexistent'},
  })
  expect(status).toBe(0)
  const plugins = JSON.parse(stdout) as {name: string; brings: string[]}[]
  expect(plugins).toEqual(
    expect.arrayContaining([
      expect.objectContaining({name: '@prod/host', brings: ['primitive host (exec, shell, forward)']}),
      expect.objectContaining({name: '@prod/broker', brings: expect.arrayContaining(['command broker start'])}),
    ]),
  )
})
