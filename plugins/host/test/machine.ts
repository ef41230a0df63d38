import {mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import type {Access, Channel, Limits, Use} from '@prod/sdk'
import type {Isolation} from '../src/messages.ts'
import {type Runner, type RunnerOptions, startRunner} from '../src/open.ts'

/** Limits that no test meets by chance. */
export const limits: Limits = {
  wallSeconds: 60,
  cpuSeconds: 60,
  memoryBytes: 512 * 1024 ** 2,
  processes: 200,
  fileBytes: 1024 ** 3,
  outputBytes: 1024 ** 3,
}

/** `sh` of this machine, by its real path. */
export const sh = realpathSync('/bin/sh')

export const access: Access = {id: 'run_test', principal: 'https://idp.example#alice', credential: {}}

type Exec = Extract<Use, {kind: 'exec'}>

/** A use that runs a script of `sh`. */
export function script(text: string, more: Partial<Exec> = {}): Exec {
  return {kind: 'exec', program: {path: sh}, argv: ['sh', '-c', text], env: {}, limits, stdin: false, ...more}
}

/** Every way of keeping a tree together that works on this machine, best first. */
export async function waysHere(): Promise<Isolation[]> {
  const found: Isolation[] = []
  for (const isolation of ['namespaces', 'bubblewrap'] as const) {
    const runner = await startRunner({development: true, hide: [], isolation})
    if (runner.platform.isolation === isolation) found.push(isolation)
    await runner.stop()
  }
  return [...found, 'processes']
}

/** A runner for one test. */
export async function startHere(onTestFinished: (fn: () => Promise<void>) => void, options: Partial<RunnerOptions> = {}): Promise<Runner> {
  const runner = await startRunner({development: true, hide: [], ...options})
  onTestFinished(() => runner.stop())
  return runner
}

/** Opens, with nobody who could go away. */
export function open(runner: Runner, use: Use, given?: Access): Promise<Channel> {
  return runner.open(use, new AbortController().signal, given)
}

/** Runs a program to its end. */
export async function run(runner: Runner, use: Use, given?: Access) {
  const channel = await open(runner, use, given)
  const [stdout, stderr, exit] = await Promise.all([text(channel.stdout), text(channel.stderr), channel.ended])
  return {stdout, stderr, exit, limit: channel.limit}
}

/** Command lines of this machine's processes that hold `mark`. */
export function processesWith(mark: string): string[] {
  return readdirSync('/proc').flatMap(name => {
    try {
      const line = /^\d+$/.test(name) ? readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ') : ''
      return line.includes(mark) ? [line] : []
    } catch {
      return []
    }
  })
}

let marks = 0
/** A number of seconds to sleep that no other process on this machine sleeps. */
export function newMark(): string {
  marks += 1
  return `${process.pid}${Date.now() % 1e9}.${String(marks).padStart(4, '0')}`
}

/** Waits until `holds`, or fails after `seconds`. */
export async function until(holds: () => boolean, seconds = 5): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (!holds()) {
    if (performance.now() > end) throw new Error(`it did not come true in ${seconds} s: ${holds}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

/** A new folder, 0700, removed with the test. */
export function newFolder(onTestFinished: (fn: () => void) => void): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'prod-host-test-')))
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}))
  return folder
}
