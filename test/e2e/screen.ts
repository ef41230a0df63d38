/** A person at a real terminal: the built CLI on a pseudo-terminal, seen through a terminal emulator. */
import {spawn} from '@lydell/node-pty'
import headless from '@xterm/headless'
import {cli, type RealPerson} from './broker.ts'

/** How a screen is opened. */
export interface ScreenOptions {
  columns?: number
  rows?: number
  term?: string
  env?: Record<string, string>
}

/** One command at a terminal. */
export interface Screen {
  /** what stands on the screen and above it, lines without trailing blanks */
  text(): string
  /** every byte that came, as text */
  raw(): string
  /** every window title that was set */
  titles: string[]
  type(keys: string): void
  resize(columns: number, rows: number): void
  /** Waits until the text fits. Throws with what stood there when it took too long or the command ended. */
  until(pattern: RegExp): Promise<RegExpExecArray>
  /** Ends it at once, as a kill -9 does, or by another signal, and waits for that. */
  kill(signal?: string): Promise<void>
  /** exit status */
  ended: Promise<number>
}

const patienceMilliseconds = 60_000

/** Starts a command at a terminal of its own, the person logged in. It ends with the test. */
export async function openScreen(
  onTestFinished: (finish: () => void) => void,
  person: RealPerson,
  args: readonly string[],
  {columns = 100, rows = 30, term = 'xterm-256color', env = {}}: ScreenOptions = {},
): Promise<Screen> {
  await person.login()
  const emulator = new headless.Terminal({cols: columns, rows, scrollback: 2000, allowProposedApi: true})
  const child = spawn(process.execPath, [cli, ...args], {
    name: term,
    cols: columns,
    rows,
    cwd: person.home,
    env: {...person.env, ...env},
  })
  let bytes = ''
  let over = false
  const lookers: (() => void)[] = []
  const wake = () => {
    for (const look of lookers.splice(0)) look()
  }
  const titles: string[] = []
  emulator.onTitleChange(title => titles.push(title))
  child.onData(text => {
    bytes += text
    emulator.write(text, wake)
  })
  emulator.onData(answer => child.write(answer)) // what a terminal answers by itself
  const ended = new Promise<number>(resolve => {
    child.onExit(({exitCode, signal}) => {
      // the emulator reads in its own time: it is over when all that was written is on the screen
      emulator.write('', () => {
        over = true
        wake()
        resolve(signal ? 128 + signal : exitCode)
      })
    })
  })
  onTestFinished(() => {
    if (!over) child.kill('SIGKILL')
    emulator.dispose()
  })
  const text = () => {
    const {active} = emulator.buffer
    const lines = Array.from({length: active.length}, (_, index) => active.getLine(index)?.translateToString(true) ?? '')
    return lines.join('\n').trimEnd()
  }
  return {
    text,
    raw: () => bytes,
    titles,
    type: keys => child.write(keys),
    resize(nextColumns, nextRows) {
      emulator.resize(nextColumns, nextRows)
      child.resize(nextColumns, nextRows)
    },
    async until(pattern) {
      const late = AbortSignal.timeout(patienceMilliseconds)
      late.addEventListener('abort', wake)
      for (;;) {
        const found = pattern.exec(text())
        if (found) return found
        if (over || late.aborted) throw new Error(`no ${pattern} on the screen:\n${text()}`)
        await new Promise<void>(resolve => lookers.push(resolve))
      }
    },
    async kill(signal = 'SIGKILL') {
      child.kill(signal)
      await ended
    },
    ended,
  }
}
