/** A person with a HOME of their own, who types the built CLI. Needs `npm run build`. */
import {type ChildProcessByStdio, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Readable, Writable} from 'node:stream'
import {keepCode, lendCode} from '@prod/sdk/testing/kept-code'

/** The CLI as it is shipped. */
export const cli = join(import.meta.dirname, '../../../bin/run.js')

/** How a command ended, and all it wrote. */
export interface Ended {
  status: number | null
  signal: string | null
  stdout: string
  stderr: string
}

/** One person. */
export interface Person {
  home: string
  env: Record<string, string>
  /** writes a file below HOME */
  write(path: string, text: string): void
  run(...args: string[]): Promise<Ended>
  start(...args: string[]): ChildProcessByStdio<Writable, Readable, Readable>
  /** the text of all files below HOME, by path */
  files(): Map<string, string>
}

/** Makes one; their HOME goes with the test. Logins are kept in a file. */
export function makePerson(onTestFinished: (finish: () => void) => void, env: Record<string, string> = {}): Person {
  const home = mkdtempSync(join(tmpdir(), 'prod-aws-'))
  onTestFinished(() => {
    keepCode(home)
    rmSync(home, {recursive: true, force: true})
  })
  const person: Person = {
    home,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: home,
      PROD_CREDENTIAL_STORE: 'file',
      LANG: 'C.UTF-8',
      AWS_EC2_METADATA_DISABLED: 'true',
      ...lendCode(home),
      ...env,
    },
    write(path, text) {
      mkdirSync(join(home, path, '..'), {recursive: true, mode: 0o700})
      writeFileSync(join(home, path), text, {mode: 0o600})
    },
    start: (...args) => spawn(process.execPath, [cli, ...args], {env: person.env, cwd: home, stdio: ['pipe', 'pipe', 'pipe']}),
    run: (...args) => collect(person.start(...args)),
    files: () =>
      new Map(
        readdirSync(home, {recursive: true, encoding: 'utf8'})
          .map(name => join(home, name))
          .filter(path => statSync(path, {throwIfNoEntry: false})?.isFile())
          .map(path => [path, readFileSync(path, 'latin1')]),
      ),
  }
  return person
}

/** All that a command writes, until it ends. */
export async function collect(child: ChildProcessByStdio<Writable, Readable, Readable>): Promise<Ended> {
  child.stdin.on('error', () => {}).end()
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [status, signal] = (await once(child, 'close')) as [number | null, string | null]
  return {status, signal, stdout, stderr}
}
