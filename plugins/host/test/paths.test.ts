import {execFileSync} from 'node:child_process'
import {chmodSync, chownSync, mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {NamedPath} from '@prod/sdk'
import type {ProdError} from '@prod/sdk/errors'
import {expect, test} from 'vitest'
import {newFolder, open, run, script, startHere, waysHere} from './machine.ts'

const ways = await waysHere()
const asRoot = process.getuid?.() === 0
const file = (path: string): NamedPath => ({path, folder: false})

/** What a program reads at a path, or why it is not given it. */
const outcome = (result: Promise<{stdout: string}>) =>
  result.then(
    ({stdout}) => stdout,
    (error: ProdError) => error.code,
  )

test.for(ways)('TM-H14: files are given, links, FIFOs, folders and what is no data are not (%s)', async (isolation, {onTestFinished}) => {
  const runner = await startHere(onTestFinished, {isolation})
  const folder = newFolder(onTestFinished)
  mkdirSync(join(folder, 'real'))
  writeFileSync(join(folder, 'real', 'log'), 'line')
  writeFileSync(join(folder, 'real', 'a b $(id)'), 'odd')
  symlinkSync('real', join(folder, 'link'))
  symlinkSync('/etc/shadow', join(folder, 'real', 'shadow'))
  symlinkSync('log', join(folder, 'real', 'self'))
  execFileSync('mkfifo', [join(folder, 'real', 'fifo')])
  const read = (path: string, named = file(path)) =>
    outcome(run(runner, script('cat -- "$0"', {argv: ['sh', '-c', 'cat -- "$0"', path], paths: [named]})))
  expect(await read(join(folder, 'real', 'log'))).toBe('line')
  expect(await read(join(folder, 'real', 'a b $(id)'))).toBe('odd')
  for (const path of ['link/log', 'real/shadow', 'real/self', 'real/fifo', 'real', 'real/../real/log'])
    expect(await read(`${folder}/${path}`), path).toBe('ARGV_REFUSED')
  for (const path of ['/proc/self/environ', '/proc/1/environ', '/sys/kernel/uevent_helper', '/dev/null', '/dev/stdin', '/'])
    expect(await read(path), path).toBe('ARGV_REFUSED')
  // a folder where the definition says so, and what is not there is for the program to say
  expect(await read(join(folder, 'real'), {path: join(folder, 'real'), folder: true})).toBe('')
  expect(await read(join(folder, 'real', 'none'))).toBe('')
})

test.skipIf(!asRoot)(
  'TM-H14: where others can exchange a name, the program gets what was looked at, or nothing (needs root)',
  async ({onTestFinished}) => {
    for (const isolation of ways) {
      const runner = await startHere(onTestFinished, {isolation, development: false})
      const folder = newFolder(onTestFinished)
      chmodSync(folder, 0o755)
      const logs = join(folder, 'logs')
      mkdirSync(logs, {mode: 0o755})
      chmodSync(logs, 0o755)
      writeFileSync(join(logs, 'app'), 'mine\n')
      writeFileSync(join(logs, 'other'), 'not asked for\n')
      chmodSync(join(logs, 'app'), 0o644)
      chownSync(logs, 65534, 65534)
      const use = script(`cat ${logs}/app; ls ${logs}; read line; cat ${logs}/app; echo x > ${logs}/app`, {
        runAs: 'nobody',
        stdin: true,
        paths: [file(join(logs, 'app')), file(join(logs, 'gone'))],
      })
      if (isolation !== 'namespaces') {
        expect(await outcome(run(runner, use)), isolation).toBe('ARGV_REFUSED')
        continue
      }
      const channel = await open(runner, use)
      const first = await new Promise<string>(resolve => channel.stdout.once('data', chunk => resolve(String(chunk))))
      // the owner of the folder plants a link while the program runs
      renameSync(join(logs, 'app'), join(logs, 'away'))
      symlinkSync('/etc/passwd', join(logs, 'app'))
      channel.stdin.end('\n')
      const rest = (await channel.stdout.toArray()).map(String).join('')
      // the file itself, alone in its folder, read-only
      expect(first + rest).toBe('mine\napp\nmine\n')
      await channel.ended
      unlinkSync(join(logs, 'app'))
    }
  },
)

test.skipIf(!asRoot)('TM-H14: a folder that others can write to is given as it was looked at (needs root)', async ({onTestFinished}) => {
  const runner = await startHere(onTestFinished, {development: false, isolation: 'namespaces'})
  if (runner.platform.isolation !== 'namespaces') return
  const folder = newFolder(onTestFinished)
  chmodSync(folder, 0o777)
  mkdirSync(join(folder, 'deep', 'er'), {recursive: true})
  writeFileSync(join(folder, 'deep', 'er', 'log'), 'line\n')
  for (const path of [join(folder, 'deep'), join(folder, 'deep', 'er')]) chmodSync(path, 0o755)
  chmodSync(join(folder, 'deep', 'er', 'log'), 0o644)
  const whole = {path: join(folder, 'deep'), folder: true}
  const {stdout} = await run(runner, script(`cat ${folder}/deep/er/log; ls ${folder}`, {runAs: 'nobody', paths: [whole]}))
  expect(stdout).toBe('line\ndeep\n')
  // a path in another one that others can exchange meanwhile
  const inner = file(join(folder, 'deep', 'er', 'log'))
  expect(await outcome(run(runner, script('true', {runAs: 'nobody', paths: [whole, inner]})))).toBe('ARGV_REFUSED')
})

test.skipIf(!asRoot)(
  'TM-H14: swapping names between look and start never yields another file (needs root)',
  {timeout: 120_000},
  async ({onTestFinished}) => {
    const runner = await startHere(onTestFinished, {development: false})
    if (runner.platform.isolation !== 'namespaces') return
    const folder = newFolder(onTestFinished)
    const logs = join(folder, 'logs')
    mkdirSync(logs)
    chmodSync(folder, 0o755)
    writeFileSync(join(folder, 'secret'), 'canary\n', {mode: 0o644})
    writeFileSync(join(logs, 'good'), 'mine\n', {mode: 0o644})
    chmodSync(join(folder, 'secret'), 0o644)
    chmodSync(join(logs, 'good'), 0o644)
    chownSync(logs, 65534, 65534)
    chmodSync(logs, 0o755)
    let on = true
    const swap = () => {
      if (!on) return
      for (const make of [
        () => symlinkSync(join(folder, 'secret'), join(logs, 'next')),
        () => writeFileSync(join(logs, 'next'), 'mine\n', {mode: 0o644}),
      ]) {
        make()
        renameSync(join(logs, 'next'), join(logs, 'app'))
      }
      setImmediate(swap)
    }
    swap()
    const seen = new Set<string>()
    for (let round = 0; round < 25; round += 1)
      seen.add(await outcome(run(runner, script(`cat ${logs}/app`, {runAs: 'nobody', paths: [file(join(logs, 'app'))]}))))
    on = false
    for (const one of seen) expect(['mine\n', 'ARGV_REFUSED', '']).toContain(one)
  },
)
