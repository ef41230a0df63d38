import {realpathSync} from 'node:fs'
import type {Access, Channel, Limits, Use} from '@prod/sdk'
import {text} from 'node:stream/consumers'
import {type Runner, type RunnerOptions, startRunner} from '../src/open.ts'
import type {Isolation} from '../src/messages.ts'

/** Limits that no test meets by chance. */
export const limits: Limits = {wallSeconds: 60, cpuSeconds: 60, memoryBytes: 512 * 1024 ** 2, processes: 200, fileBytes: 1024 ** 3, outputBytes: 1024 ** 3}

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
export function open(runner: Runner, use: Use): Promise<Channel> {
  return runner.open(use, new AbortController().signal)
}

/** Runs a program to its end. */
export async function run(runner: Runner, use: Use) {
  const channel = await open(runner, use)
  const [stdout, stderr, exit] = await Promise.all([text(channel.stdout), text(channel.stderr), channel.ended])
  return {stdout, stderr, exit, limit: channel.limit}
}
