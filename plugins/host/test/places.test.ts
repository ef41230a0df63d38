/** Folders that a definition names, where somebody else can exchange a name on the way to them. */
import {chmodSync, chownSync, lchownSync, mkdirSync, renameSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {Needs} from '@prod/sdk'
import {expect, test} from 'vitest'
import {newFolder, run, script, startHere, waysHere} from './machine.ts'

const ways = (await waysHere()).filter(way => way !== 'processes')
const asRoot = process.getuid?.() === 0
const nobody = 65534
const nothing: Needs = {network: false, processes: false, reads: [], writes: []}

test.skipIf(!asRoot).for(ways)(
  'TM-H14, TM-H9: a link that the owner of a folder planted opens no closed place: to read, to write or to start in (needs root; %s)',
  async (isolation, {onTestFinished}) => {
    const [theirs, closed] = [newFolder(onTestFinished), newFolder(onTestFinished)]
    chmodSync(theirs, 0o755)
    mkdirSync(join(closed, 'home'))
    chmodSync(join(closed, 'home'), 0o755)
    writeFileSync(join(closed, 'home/notes'), 'canary', {mode: 0o644})
    symlinkSync(join(closed, 'home'), join(theirs, 'logs'))
    mkdirSync(join(theirs, 'way'))
    symlinkSync(closed, join(theirs, 'way/in'))
    for (const name of ['', 'logs', 'way', 'way/in']) lchownSync(join(theirs, name), nobody, nobody)
    const runner = await startHere(onTestFinished, {isolation, development: false})
    if (!runner.platform.confines) return
    const look = (folder: string, more: object) => run(runner, script(`cat ${folder}/notes`, {runAs: 'daemon', needs: nothing, ...more}))
    for (const folder of [join(theirs, 'logs'), join(theirs, 'way/in/home')])
      for (const more of [{needs: {...nothing, reads: [folder]}}, {needs: {...nothing, writes: [folder]}}, {cwd: folder}])
        await expect(look(folder, more), JSON.stringify(more)).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE'})
    // a folder of theirs that is one is what was named
    mkdirSync(join(theirs, 'real'))
    chmodSync(join(theirs, 'real'), 0o755)
    chownSync(join(theirs, 'real'), nobody, nobody)
    writeFileSync(join(theirs, 'real/notes'), 'theirs', {mode: 0o644})
    const needs = {...nothing, reads: [join(theirs, 'real')]}
    expect((await look(join(theirs, 'real'), {needs})).stdout).toBe('theirs')
    // another one in its place, while a cage waits that saw the first
    renameSync(join(theirs, 'real'), join(theirs, 'old'))
    mkdirSync(join(theirs, 'real'))
    chmodSync(join(theirs, 'real'), 0o755)
    writeFileSync(join(theirs, 'real/notes'), 'newer', {mode: 0o644})
    expect((await look(join(theirs, 'real'), {needs})).stdout).toBe('newer')
  },
)

test.for(ways)('a link that nobody else can exchange leads to what a definition names (%s)', async (isolation, {onTestFinished}) => {
  const folder = newFolder(onTestFinished)
  mkdirSync(join(folder, 'v2'))
  writeFileSync(join(folder, 'v2/notes'), 'ours')
  symlinkSync('v2', join(folder, 'current'))
  const runner = await startHere(onTestFinished, {isolation})
  if (!runner.platform.confines) return
  const reads = [join(folder, 'current')]
  expect((await run(runner, script(`cat ${folder}/current/notes`, {needs: {...nothing, reads}}))).stdout).toBe('ours')
})
