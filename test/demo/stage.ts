/** What the demo plays on: commands shown as a person types them, their real output as it comes, and a check after each. */
import type {ChildProcessByStdio} from 'node:child_process'
import {once} from 'node:events'
import type {Readable, Writable} from 'node:stream'
import {setTimeout as pause} from 'node:timers/promises'
import {styleText} from 'node:util'
import {type IPty, spawn as spawnTerminal} from '@lydell/node-pty'
import {cli, type Ended, type RealPerson} from '../e2e/broker.ts'

/** Something was not as the story says. */
export class StoryBroke extends Error {
  override readonly name = 'StoryBroke'
}

/** Nothing of the demo takes longer: a machine slower than this is told so. */
const patienceMilliseconds = 20_000

const atTerminal = process.stdout.isTTY === true
/** How long what was written stands before the next comes, for who watches at a terminal. */
const standsMilliseconds = {part: 500, words: 500, command: 250, output: 250}

/** What is on the screen now; a command that waits in another terminal is silent until it is looked at again. */
let shown: Transcript | undefined
const started = new Set<Job>()

const style = (look: Parameters<typeof styleText>[0], text: string): string => styleText(look, text, {stream: process.stdout})
let lineOpen = false
function write(text: string): void {
  if (text === '') return
  process.stdout.write(text)
  lineOpen = !text.endsWith('\n')
}

/** Begins a line of its own: a prompt may stand there still. */
function freshLine(): void {
  if (lineOpen) write('\n')
}

/** Heading of a part. */
export async function part(title: string): Promise<void> {
  freshLine()
  write(`\n${style(['bold', 'underline'], title)}\n`)
  await read('part')
}

/** A line of the one who tells the story. */
export async function tell(text: string): Promise<void> {
  freshLine()
  write(`\n${style('italic', `# ${text}`)}\n`)
  await read('words')
}

async function read(what: keyof typeof standsMilliseconds): Promise<void> {
  if (atTerminal) await pause(standsMilliseconds[what])
}

/** One word of a command line, as a person would type it. */
function typed(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `"${word.replaceAll(/["\\$`]/g, '\\$&')}"`
}

/** A command line, shown before it runs. */
export async function showCommand(who: string, words: readonly string[]): Promise<void> {
  freshLine()
  write(`${style('cyan', `${who}$`)} ${style('bold', ['prod', ...words].map(typed).join(' '))}\n`)
  await read('command')
}

/** A started command. */
export interface Job {
  readonly line: string
  /** all it wrote until now, both streams as they came */
  text(): string
  ended: Promise<Ended>
  /** Waits until it has written this. Throws StoryBroke when it ends before, or takes too long. */
  until(pattern: RegExp): Promise<RegExpExecArray>
  /** Keys pressed at its terminal. */
  press(keys: string): void
  /** Its output goes to the screen from now on, first what came meanwhile. */
  look(): void
  kill(): void
}

/** Runs a command to its end and shows it. */
export async function run(person: RealPerson, words: readonly string[]): Promise<Ended> {
  const job = await begin(person, words)
  return finish(job)
}

/** Runs a command that nobody is shown: for the story's own checks. */
export async function askJson<T>(person: RealPerson, words: readonly string[]): Promise<T> {
  const {status, stdout, stderr} = await person.run([...words, '--json'])
  if (status !== 0) throw new StoryBroke(`prod ${words.join(' ')} --json ended with ${status}: ${stdout}${stderr}`)
  return JSON.parse(stdout) as T
}

/** Starts a command in a terminal of its own and shows its output until another command is shown. */
export async function begin(person: RealPerson, words: readonly string[]): Promise<Job> {
  await showCommand(person.name, words)
  return keep(new PipedJob(lineOf(person, words), await person.start(words)))
}

/** Starts a command at a real terminal, a plain one. */
export async function beginAtTerminal(person: RealPerson, words: readonly string[]): Promise<Job> {
  await showCommand(person.name, words)
  await person.login()
  const terminal = spawnTerminal(process.execPath, [cli, ...words], {
    name: 'dumb',
    cols: Math.max(80, process.stdout.columns ?? 100),
    rows: 30,
    cwd: person.home,
    env: {...person.env, TERM: 'dumb'},
  })
  return keep(new TerminalJob(lineOf(person, words), terminal))
}

function lineOf({name}: RealPerson, words: readonly string[]): string {
  return `${name}$ prod ${words.join(' ')}`
}

function keep(job: Job): Job {
  started.add(job)
  void job.ended.then(() => started.delete(job))
  job.look()
  return job
}

/** Shows a command until it ends. */
export async function finish(job: Job): Promise<Ended> {
  job.look()
  const ended = await inTime(job.ended, () => `${job.line} does not end`)
  await read('output')
  return ended
}

/** Ends what still runs. */
export function killAll(): void {
  for (const job of started) job.kill()
}

async function inTime<T>(what: Promise<T>, otherwise: () => string): Promise<T> {
  const late = new AbortController()
  const tooLate = pause(patienceMilliseconds, undefined, {signal: late.signal}).then(() => {
    throw new StoryBroke(otherwise())
  })
  tooLate.catch(() => {})
  try {
    return await Promise.race([what, tooLate])
  } finally {
    late.abort()
  }
}

/** Asks again and again until there is an answer: for what no command waits for. */
export async function until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  for (const last = Date.now() + patienceMilliseconds; Date.now() < last; ) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await pause(100)
  }
  throw new StoryBroke(`${what} does not come`)
}

/** The part that both kinds of job share: text kept, shown while it is looked at, waited for. */
class Transcript {
  readonly line: string
  readonly ended: Promise<Ended>
  #all = ''
  #shownTo = 0
  #over = false
  #lookers: (() => void)[] = []

  constructor(line: string, ended: Promise<Ended>) {
    this.line = line
    this.ended = ended
    void ended.then(() => {
      this.#over = true
      this.#wake()
    })
  }

  text(): string {
    return this.#all
  }

  add(text: string): void {
    this.#all += text
    if (shown === this) this.#show()
    this.#wake()
  }

  look(): void {
    shown = this
    this.#show()
  }

  async until(pattern: RegExp): Promise<RegExpExecArray> {
    const look = async () => {
      for (;;) {
        const found = pattern.exec(this.#all)
        if (found) return found
        if (this.#over) throw new StoryBroke(`${this.line} ended without ${pattern}`)
        await new Promise<void>(resolve => this.#lookers.push(resolve))
      }
    }
    return inTime(look(), () => `${this.line} does not write ${pattern}`)
  }

  #show(): void {
    write(this.#all.slice(this.#shownTo))
    this.#shownTo = this.#all.length
  }

  #wake(): void {
    for (const look of this.#lookers.splice(0)) look()
  }
}

class PipedJob extends Transcript implements Job {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>

  constructor(line: string, child: ChildProcessByStdio<Writable, Readable, Readable>) {
    const said = {stdout: '', stderr: ''}
    const ended = once(child, 'close').then(([status]) => ({status: (status as number | null) ?? 128, ...said}))
    super(line, ended)
    this.#child = child
    child.stdin.end()
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        said[name] += text
        this.add(text)
      })
    }
  }

  press(): void {
    throw new Error('there is no terminal')
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

class TerminalJob extends Transcript implements Job {
  readonly #terminal: IPty

  constructor(line: string, terminal: IPty) {
    const ended = new Promise<Ended>(resolve => {
      terminal.onExit(({exitCode}) => resolve({status: exitCode, stdout: this.text(), stderr: ''}))
    })
    super(line, ended)
    this.#terminal = terminal
    const plain = createPlain()
    terminal.onData(bytes => this.add(plain(bytes)))
  }

  press(keys: string): void {
    this.#terminal.write(keys)
  }

  kill(): void {
    this.#terminal.kill('SIGKILL')
  }
}

/** Takes out what acts on a terminal: the story is text, wherever it is read. A sequence may come in two pieces. */
function createPlain(): (text: string) => string {
  let rest = ''
  return text => {
    const [, whole = '', open = ''] = /^(.*?)(\x1b(?:\[[0-?]*|\][^\x07]*|[ -/]*))?$/s.exec(rest + text) ?? []
    rest = open
    return whole.replaceAll(/\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[ -/]*[0-~])|\r/g, '')
  }
}
