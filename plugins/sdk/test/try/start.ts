/** Runs the command of try.ts: in a plain process, or at a terminal whose screen can be read. */
import {spawn} from 'node:child_process'
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {spawn as spawnAtTerminal} from '@lydell/node-pty'
import xterm from '@xterm/headless'
import {keptSources} from '../../src/testing/kept-code.ts'

const file = fileURLToPath(import.meta.resolve('./try.ts'))
const flags = ['--conditions=source', '--no-warnings', file]

/** What a started thing needs of the test that starts it: `onTestFinished`. */
export type AtEnd = (end: () => void) => void

/** A folder of its own, removed with the test. */
export function makeHome(atEnd: AtEnd): string {
  const home = mkdtempSync(join(tmpdir(), 'prod-try-'))
  atEnd(() => rmSync(home, {recursive: true, force: true}))
  return home
}

function environment(home: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {PATH: process.env.PATH, HOME: home, TERM: 'xterm-256color', ...keptSources, ...env}
}

export interface Ended {
  status: number | null
  stdout: string
  stderr: string
}

/** Runs it without a terminal to its end. `onStderr` sees what it says, and may signal it. */
export function run(
  args: string[],
  {
    home,
    env = {},
    onStderr,
  }: {home: string; env?: NodeJS.ProcessEnv; onStderr?: (text: string, kill: (signal: NodeJS.Signals) => void) => void},
): Promise<Ended> {
  const child = spawn(process.execPath, [...flags, ...args], {env: environment(home, env), stdio: ['ignore', 'pipe', 'pipe']})
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', bytes => {
    stdout += bytes
  })
  child.stderr.on('data', bytes => {
    stderr += bytes
    onStderr?.(String(bytes), signal => child.kill(signal))
  })
  return new Promise(resolve => child.on('close', status => resolve({status, stdout, stderr})))
}

/** Runs it through a shell: `prod` stands for it in the line. */
export function runInShell(line: string, home: string): Promise<Ended> {
  const script = `prod() { '${process.execPath}' ${flags.map(flag => `'${flag}'`).join(' ')} "$@"; }; ${line}`
  const child = spawn('bash', ['-c', script], {env: environment(home, {}), stdio: ['ignore', 'pipe', 'pipe']})
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', bytes => {
    stdout += bytes
  })
  child.stderr.on('data', bytes => {
    stderr += bytes
  })
  return new Promise(resolve => child.on('close', status => resolve({status, stdout, stderr})))
}

export interface Terminal {
  /** the lines that can be seen, without blanks at their ends */
  screen(): string[]
  /** resolves when the screen shows it */
  sees(what: RegExp): Promise<void>
  type(text: string): void
  signal(name: NodeJS.Signals): void
  ended: Promise<number>
}

/** Runs it at a terminal of 80 columns. */
export function runAtTerminal(
  args: string[],
  {home, env = {}, atEnd, columns = 80}: {home: string; env?: NodeJS.ProcessEnv; atEnd: AtEnd; columns?: number},
): Terminal {
  const pty = spawnAtTerminal(process.execPath, [...flags, ...args], {
    name: env.TERM ?? 'xterm-256color',
    cols: columns,
    rows: 24,
    env: environment(home, {...env, TRY_HOLD: '1'}) as Record<string, string>,
  })
  const terminal = new xterm.Terminal({cols: columns, rows: 24, allowProposedApi: true})
  const waiting = new Set<() => void>()
  const look = (): void => {
    for (const check of waiting) check()
  }
  pty.onData(text => terminal.write(text, look))
  terminal.parser.registerOscHandler(9, () => {
    pty.kill('SIGUSR2')
    return true
  })
  terminal.onData(text => pty.write(text)) // answers to queries
  const ended = new Promise<number>(resolve => pty.onExit(({exitCode}) => terminal.write('', () => resolve(exitCode))))
  atEnd(() => {
    try {
      pty.kill('SIGKILL')
    } catch {
      // it has ended
    }
    terminal.dispose()
  })
  const screen = (): string[] => {
    const {active} = terminal.buffer
    return Array.from({length: terminal.rows}, (_, row) => active.getLine(active.viewportY + row)?.translateToString(true) ?? '')
  }
  return {
    screen,
    sees: what =>
      new Promise((resolve, reject) => {
        const giveUp = setTimeout(() => reject(new Error(`never saw ${what} on\n${screen().join('\n').trimEnd()}`)), 60_000)
        const check = (): void => {
          if (!what.test(screen().join('\n'))) return
          clearTimeout(giveUp)
          waiting.delete(check)
          resolve()
        }
        waiting.add(check)
        check()
      }),
    type: text => pty.write(text),
    signal: name => pty.kill(name),
    ended,
  }
}
