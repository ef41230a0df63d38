import {appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {packageIntegrity} from '@prod/sdk/package-integrity'
import {expect, type TestContext, test} from 'vitest'
import {loadPlugins} from '../src/plugins.ts'

/** A package that is installed for as long as the test lasts. */
function install(onTestFinished: TestContext['onTestFinished']): {name: string; folder: string; file: string} {
  const folder = mkdtempSync(join(tmpdir(), 'prod-plugin-'))
  const name = `prod-test-${process.pid}-${Math.random().toString(36).slice(2)}`
  const link = join(dirname(fileURLToPath(import.meta.resolve('vitest/package.json'))), '..', name)
  const file = join(folder, 'index.js')
  writeFileSync(join(folder, 'package.json'), JSON.stringify({name, version: '1.2.3', type: 'module', exports: './index.js'}))
  writeFileSync(file, `globalThis['${name}'] = true\nexport const notifier = {id: 'n', summary: '', channel: () => ({})}\n`)
  mkdirSync(dirname(link), {recursive: true})
  symlinkSync(folder, link)
  onTestFinished(() => {
    rmSync(link)
    rmSync(folder, {recursive: true})
  })
  return {name, folder, file}
}

test('TM-S1: a plugin that is pinned by version and integrity loads', async ({onTestFinished}) => {
  const {name, folder} = install(onTestFinished)
  const [plugin] = await loadPlugins([{name, version: '1.2.3', integrity: packageIntegrity(folder)}], {development: false})
  expect(plugin?.notifier?.id).toBe('n')
})

test('TM-S1: files edited after the install, another version, no pin, an unknown name: nothing of it runs', async ({onTestFinished}) => {
  const {name, folder, file} = install(onTestFinished)
  const integrity = packageIntegrity(folder)
  const load = (choice: Parameters<typeof loadPlugins>[0][number]) => loadPlugins([choice], {development: false})

  await expect(load({name, version: '1.2.4', integrity})).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('version 1.2.3'),
  })
  await expect(load(name)).rejects.toMatchObject({code: 'CONFIG_INVALID', message: expect.stringContaining('version and integrity')})
  await expect(load(`${name}s`)).rejects.toMatchObject({code: 'CONFIG_INVALID', message: expect.stringContaining('not installed')})
  appendFileSync(file, '\n')
  await expect(load({name, version: '1.2.3', integrity})).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('not the one that was pinned'),
  })
  expect(name in globalThis).toBe(false)
})
