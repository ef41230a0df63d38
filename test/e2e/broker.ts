/** A real development broker as a process of its own, and people who use the built CLI against it. Needs `npm run build`. */
import {type ChildProcessByStdio, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Readable, Writable} from 'node:stream'
import {briefly, keepCode, lendCode} from '@prod/sdk/testing/kept-code'

/** The CLI as it is shipped. */
export const cli = join(import.meta.dirname, '../../bin/run.js')

/** How a command ended, and all it wrote. */
export interface Ended {
  /** 128+n where a signal ended it, as a shell shows it */
  status: number
  stdout: string
  stderr: string
}

/** What a command is started with, beside its arguments. */
export interface RunOptions {
  /** what it reads; nothing if left out */
  stdin?: string | Uint8Array
  env?: Record<string, string>
}

/** One person: a HOME of their own. */
export interface RealPerson {
  readonly name: string
  readonly home: string
  /** the whole environment of their commands; nothing of ours is in it but PATH, and where compiled code is kept */
  readonly env: Record<string, string>
  /** Runs a command to its end. The first one logs the person in before. */
  run(args: readonly string[], options?: RunOptions): Promise<Ended>
  /** Starts a command, logged in too. The caller sees to its end. */
  start(args: readonly string[], options?: Pick<RunOptions, 'env'>): Promise<ChildProcessByStdio<Writable, Readable, Readable>>
  /** Logs in, once: what `run` and `start` do by themselves. */
  login(): Promise<void>
}

/** A broker that serves. */
export interface RealBroker {
  readonly url: string
  /** its data folder: `catalog/`, `policy/`, `alerts/`, `recording-key.txt` and the store */
  readonly dir: string
  readonly metricsUrl: string
  /** the one line it wrote when it could serve */
  readonly readyLine: string
  /** process id of the broker */
  readonly pid: number
  /** the same person each time; `login: false`: nobody logs them in */
  as(name: string, options?: {login?: boolean}): RealPerson
  /** Ends the broker in order and waits for it; its folder stays until the test is over. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

/** What to start it with. */
export interface RealBrokerOptions {
  /** beside alice, bob and carol: what `people.json` of the broker's folder holds */
  people?: Record<string, {groups: string[]; person?: string; sub?: string} | null>
  /** beside PATH and HOME: what the broker's own environment has */
  env?: Record<string, string>
  /** gets what the broker writes to stderr */
  onAlarm?: (text: string) => void
}

/** Starts a broker on a free port with a temporary folder. `onTestFinished` gets what ends it and removes everything. */
export async function startRealBroker(
  onTestFinished: (finish: () => Promise<void>) => void,
  {people, env = {}, onAlarm}: RealBrokerOptions = {},
): Promise<RealBroker> {
  const base = mkdtempSync(join(tmpdir(), 'prod-'))
  const dir = join(base, 'broker')
  mkdirSync(dir, {mode: 0o700})
  if (people) writeFileSync(join(dir, 'people.json'), JSON.stringify(people))
  const brokerHome = join(base, 'home')
  const known = new Map<string, RealPerson>()
  const child = spawn(process.execPath, [...briefly, cli, 'broker', 'start', '--dev', '--dir', dir, '--json'], {
    env: {...environment(brokerHome), ...env},
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'close')
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
    onAlarm?.(text)
  })
  const stop = async (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    const last = setTimeout(() => child.kill('SIGKILL'), 20_000)
    await ended
    clearTimeout(last)
  }
  onTestFinished(async () => {
    await stop()
    for (const home of [brokerHome, ...[...known.values()].map(person => person.home)]) keepCode(home)
    rmSync(base, {recursive: true, force: true})
  })

  const readyLine = await firstLine(child.stdout, ended, () => said)
  const {url, metricsUrl} = JSON.parse(readyLine) as {url: string; metricsUrl: string}
  return {
    url,
    dir,
    metricsUrl,
    readyLine,
    pid: child.pid as number,
    as(name, {login = true} = {}) {
      const person = known.get(name) ?? openPerson(name, join(base, 'people', name), login ? url : undefined)
      known.set(name, person)
      return person
    },
    stop,
  }
}

async function firstLine(stdout: Readable, ended: Promise<unknown>, said: () => string): Promise<string> {
  let text = ''
  const line = new Promise<string>(resolve => {
    stdout.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
      if (text.includes('\n')) resolve(text)
    })
  })
  const first = await Promise.race([line, ended.then(() => undefined)])
  if (first === undefined) throw new Error(`the broker did not start: ${said()}`)
  return first.slice(0, first.indexOf('\n'))
}

/** A person's commands run with this environment alone. */
function environment(home: string): Record<string, string> {
  mkdirSync(home, {recursive: true, mode: 0o700})
  return {PATH: process.env.PATH ?? '', HOME: home, PROD_CREDENTIAL_STORE: 'file', LANG: 'C.UTF-8', ...lendCode(home)}
}

/** Somebody with a HOME of their own, whom the first command logs in at this broker. */
export function openPerson(name: string, home: string, broker: string | undefined): RealPerson {
  const env = environment(home)
  let loggedIn: Promise<void> | undefined
  const login = async () => {
    if (broker === undefined) return
    // a test that wants the question after a shell turns it on again
    mkdirSync(join(home, '.config/prod'), {recursive: true, mode: 0o700})
    writeFileSync(join(home, '.config/prod/config.json'), '{"askAfterSession":"off"}', {mode: 0o600, flag: 'wx'})
    const {status, stderr} = await collect(spawnCli(['login', '--broker', broker, '--as', name], env))
    if (status !== 0) throw new Error(`${name} cannot log in: ${stderr}`)
  }
  const person: RealPerson = {
    name,
    home,
    env,
    login() {
      loggedIn ??= login()
      return loggedIn
    },
    async start(args, {env: more = {}} = {}) {
      await person.login()
      return spawnCli(args, {...env, ...more})
    },
    async run(args, {stdin, env: more = {}} = {}) {
      const child = await person.start(args, {env: more})
      child.stdin.on('error', () => {}) // a command may end without having read it
      child.stdin.end(stdin)
      return collect(child)
    },
  }
  return person
}

function spawnCli(args: readonly string[], env: Record<string, string>): ChildProcessByStdio<Writable, Readable, Readable> {
  return spawn(process.execPath, [cli, ...args], {env, stdio: ['pipe', 'pipe', 'pipe']})
}

const signalNumbers: Record<string, number> = {SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGPIPE: 13, SIGTERM: 15}

/** All that a started command writes, until it ends. */
export async function collect(child: ChildProcessByStdio<Writable | null, Readable, Readable>): Promise<Ended> {
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [status, signal] = (await once(child, 'close')) as [number | null, string | null]
  return {status: status ?? 128 + (signalNumbers[signal ?? ''] ?? 0), stdout, stderr}
}
