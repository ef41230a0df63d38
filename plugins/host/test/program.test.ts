import {createHash} from 'node:crypto'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import {join} from 'node:path'
import {Worker} from 'node:worker_threads'
import type {ProdError} from '@prod/sdk/errors'
import {expect, test} from 'vitest'
import {holdProgram} from '../src/program.ts'
import {newFolder, run, script, startHere} from './machine.ts'

const own = process.getuid?.() ?? 0
const cat = realpathSync('/usr/bin/cat')
const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')
const asRoot = own === 0

async function refusal(path: string, pin?: string, owner: number | null = own): Promise<ProdError> {
  return holdProgram({path, ...(pin === undefined ? {} : {sha256: pin})}, {own: owner}).then(
    async held => {
      await held.file.close()
      throw new Error('it was not refused')
    },
    error => error,
  )
}

test.for(['namespaces', 'bubblewrap', 'processes'] as const)(
  'TM-H5: arguments reach the program byte for byte, argv[0] too (%s)',
  async (isolation, {onTestFinished}) => {
    const runner = await startHere(onTestFinished, {isolation})
    const argv = [
      'not cat; $(id)',
      '/proc/self/cmdline',
      '/a b',
      '/*',
      '/~',
      '/$HOME',
      '/`id`',
      '/$(touch x)',
      '/{a,b}',
      "/'",
      '/"',
      '/\\',
      '/!!',
      '/#',
      '/\n',
      '/\t',
      '/é',
      '/e\u0301',
      '/日本',
      '/😀',
      '/',
      '-',
      '--',
    ]
    const {stdout} = await run(runner, {...script(''), program: {path: cat}, argv})
    const expected = argv.map(each => `${each}\0`).join('')
    expect(stdout.slice(0, expected.length)).toBe(expected)
  },
)

test('TM-H5: an empty argument stays one, and 4,096 of them fit', async ({onTestFinished}) => {
  const runner = await startHere(onTestFinished)
  const argv = ['sh', '-c', 'echo $#', 'sh', '', ...Array.from({length: 4091}, (_, index) => `argument ${index}`)]
  expect(await run(runner, {...script(''), argv})).toMatchObject({stdout: '4092\n', exit: {status: 0}})
})

test.each([
  'cat',
  './cat',
  '../usr/bin/cat',
  '/usr/bin/../bin/cat',
  '/usr//bin/cat',
  '/usr/bin/cat/',
  '/usr/bin',
  '/nowhere/cat',
  '/usr/bin/cat\0x',
  '',
])('TM-H7: %j names no program', async path => {
  expect(await refusal(path)).toMatchObject({code: 'TOOL_UNAVAILABLE'})
})

test('TM-H7: a link in the path is refused, and the error says what to write', async ({onTestFinished}) => {
  const folder = newFolder(onTestFinished)
  mkdirSync(join(folder, 'real'))
  copyFileSync(cat, join(folder, 'real', 'tool'))
  symlinkSync('real', join(folder, 'link'))
  symlinkSync('real/tool', join(folder, 'tool'))
  for (const path of [join(folder, 'link', 'tool'), join(folder, 'tool')]) {
    const error = await refusal(path)
    expect(error.code).toBe('TOOL_UNAVAILABLE')
    expect(error.message).toContain(join(folder, 'real', 'tool'))
  }
})

test('TM-H7: a program that others can change is refused, and so is one in such a folder', async ({onTestFinished}) => {
  const folder = newFolder(onTestFinished)
  const tool = join(folder, 'tool')
  copyFileSync(cat, tool)
  for (const mode of [0o775, 0o757]) {
    chmodSync(tool, mode)
    expect((await refusal(tool)).message).toContain('can be changed by others')
  }
  chmodSync(tool, 0o755)
  chmodSync(folder, 0o777)
  expect((await refusal(tool)).message).toContain(`${folder} can be changed by others`)
  chmodSync(folder, 0o700)
  chmodSync(tool, 0o600)
  expect((await refusal(tool)).message).toContain('may not be executed')
})

test("TM-H7: outside development only root's programs count, and a sticky folder is not enough", async ({onTestFinished}) => {
  const folder = newFolder(onTestFinished)
  copyFileSync(cat, join(folder, 'tool'))
  chmodSync(join(folder, 'tool'), 0o755)
  // in /tmp, which everybody may write to
  expect(await refusal(join(folder, 'tool'), undefined, null)).toMatchObject({code: 'TOOL_UNAVAILABLE'})
  const held = await holdProgram({path: cat}, {own: null})
  await held.file.close()
})

test.skipIf(!asRoot)("TM-H7: another user's program is refused (needs root to make one)", async ({onTestFinished}) => {
  const folder = newFolder(onTestFinished)
  copyFileSync(cat, join(folder, 'tool'))
  chmodSync(join(folder, 'tool'), 0o755)
  chownSync(join(folder, 'tool'), 65534, 65534)
  expect((await refusal(join(folder, 'tool'))).message).toContain('does not belong to root')
})

test('TM-H7: a program with another digest than the pinned one does not run, also when it changed a moment ago', async ({
  onTestFinished,
}) => {
  const folder = newFolder(onTestFinished)
  const tool = join(folder, 'tool')
  const runner = await startHere(onTestFinished)
  writeFileSync(tool, '#!/bin/sh\necho good\n', {mode: 0o755})
  const use = {...script(''), program: {path: tool, sha256: sha256(tool)}, argv: ['tool']}
  expect(await run(runner, use)).toMatchObject({stdout: 'good\n', exit: {status: 0}})
  expect(await runner.inspect({path: tool})).toEqual(use.program)
  writeFileSync(tool, '#!/bin/sh\necho evil\n', {mode: 0o755})
  await expect(run(runner, use)).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE', message: expect.stringContaining('digest')})
})

test.for(['binary', 'script'] as const)(
  'TM-H7: a program swapped between check and execution (%s): the pinned file runs, or nothing',
  {timeout: 120_000},
  async (kind, {onTestFinished}) => {
    const folder = newFolder(onTestFinished)
    const at = (name: string) => join(folder, name)
    if (kind === 'binary') {
      copyFileSync(realpathSync('/usr/bin/true'), at('good'))
      copyFileSync(realpathSync('/usr/bin/false'), at('evil'))
    } else {
      writeFileSync(at('good'), '#!/bin/sh\nexit 0\n')
      writeFileSync(at('evil'), '#!/bin/sh\nexit 1\n')
    }
    for (const name of ['good', 'evil']) chmodSync(at(name), 0o755)
    linkSync(at('good'), at('first'))
    renameSync(at('first'), at('tool'))
    const runner = await startHere(onTestFinished)
    const swapper = new Worker(
      `const {linkSync, renameSync} = require('node:fs'); const {workerData: folder, parentPort} = require('node:worker_threads'); let on = true
     const swap = () => { for (let i = 0; i < 50; i++) for (const name of ['evil', 'good']) { linkSync(folder + '/' + name, folder + '/next'); renameSync(folder + '/next', folder + '/tool') } if (on) setImmediate(swap) }
     parentPort.on('message', () => { on = false; parentPort.close() }); swap()`,
      {eval: true, workerData: folder},
    )
    onTestFinished(async () => void (await swapper.terminate()))
    const use = {...script(''), program: {path: at('tool'), sha256: sha256(at('good'))}, argv: ['tool']}
    const outcomes = new Map<string, number>()
    for (let round = 0; round < 60; round += 1) {
      const outcome = await run(runner, use).then(
        ({exit}) => JSON.stringify(exit),
        error => (error as ProdError).code,
      )
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
    for (const outcome of outcomes.keys()) expect(['{"status":0}', 'TOOL_UNAVAILABLE']).toContain(outcome)
    swapper.postMessage('stop')
  },
)

test('TM-H7: a digest of what is no program is not given', async ({onTestFinished}) => {
  const runner = await startHere(onTestFinished)
  await expect(runner.inspect({path: '/etc/passwd'})).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE'})
  await expect(runner.inspect({path: '/nowhere'})).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE'})
})
