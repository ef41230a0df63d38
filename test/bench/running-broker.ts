import {type ChildProcess, execFileSync, spawn} from 'node:child_process'
import {mkdirSync, mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'

export const run = join(import.meta.dirname, '../../bin/run.js')

/** A development broker of its own, with alice logged in. */
export interface RunningBroker {
  dir: string
  process: ChildProcess
  env: NodeJS.ProcessEnv
  stop(): Promise<void>
}

/** Starts one with the built CLI; resolves when it serves and alice's login is warm. */
export async function startRunningBroker(): Promise<RunningBroker> {
  const base = mkdtempSync(join(tmpdir(), 'prod-bench-'))
  const dir = join(base, 'broker')
  mkdirSync(join(base, 'home'))
  const env = {HOME: join(base, 'home'), PATH: process.env.PATH, LANG: 'C.UTF-8', PROD_CREDENTIAL_STORE: 'file'}
  const broker = spawn(process.execPath, [run, 'broker', 'start', '--dev', '--dir', dir, '--json'], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const ended = new Promise<void>(resolve => broker.once('exit', () => resolve()))
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({input: broker.stdout}).once('line', resolve)
    broker.once('exit', status => reject(new Error(`the broker ended with ${status}`)))
  })
  const {url} = JSON.parse(line) as {url: string}
  execFileSync(process.execPath, [run, 'login', '--broker', url, '--as', 'alice'], {env, stdio: 'ignore'})
  return {
    dir,
    process: broker,
    env,
    async stop() {
      broker.kill('SIGTERM')
      await ended
      rmSync(base, {recursive: true, force: true})
    },
  }
}
