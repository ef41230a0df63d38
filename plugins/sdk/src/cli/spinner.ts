import {columns, showLine} from '../text.ts'
import {cut, hasColour, say, stand, terminalWidth} from './output.ts'

/** Something that takes time, told to the person while it lasts. */
export interface Spinner {
  /** Says what is waited for now; the same text twice is said once. */
  update(text: string): void
  /** Ends it; the line goes away. Stopping twice is fine. */
  stop(): void
}

/**
 * Shows that something takes time: a spinner at a terminal (ora, loaded now), and otherwise a plain line at the start and at each change.
 * On stderr alone; what is written meanwhile stands above it.
 */
export function startSpinner(text: string): Spinner {
  return process.stderr.isTTY && process.env.TERM !== 'dumb' ? turning(text) : plain(text)
}

function plain(text: string): Spinner {
  let said = ''
  const update = (next: string): void => {
    if (next !== said) say(next)
    said = next
  }
  update(text)
  return {update, stop() {}}
}

function turning(text: string): Spinner {
  let current = text
  let stopped = false
  let stop: (() => void) | undefined
  let show: (() => void) | undefined
  const line = (): string => {
    const safe = showLine(`prod: ${current}`)
    const room = terminalWidth('stderr') - 3
    return columns(safe) <= room ? safe : cut(safe, room)
  }
  void import('ora').then(({default: ora}) => {
    if (stopped) return
    const spinner = ora({
      text: line(),
      stream: process.stderr,
      color: hasColour('stderr') ? 'cyan' : false,
      discardStdin: false,
      isEnabled: true,
    }).start()
    stand({clear: () => spinner.clear(), draw: () => spinner.render()})
    show = () => {
      spinner.text = line()
    }
    stop = () => {
      stand(undefined)
      spinner.stop()
    }
  })
  return {
    update(next) {
      current = next
      show?.()
    },
    stop() {
      stopped = true
      stop?.()
      stop = undefined
      show = undefined
    },
  }
}
