/** Commands without a terminal: NonInteractiveCommands, §12. */
import {Writable} from 'node:stream'
import type {Channel, Exit} from '@prod/sdk'
import {startSession} from './session.ts'
import {notBegun} from './shell.ts'
import {createOutput} from './streams.ts'
import type {ChannelOptions, Session, SessionEnd, View} from './view.ts'
import {createWords} from './words.ts'

/** What is said where the far side cannot tell how a command ended. */
export const noStatus =
  'the session document gives no exit status; use one of session type NonInteractiveCommands with separateOutputStream: true'

/**
 * Opens a command's channel. Its stdin takes nothing: the agent gives a command none, and would take two bytes of it for signals.
 * SIGINT and SIGQUIT reach the program, any other signal that ends programs ends the session. The status is the one the agent
 * sent, which it does with `separateOutputStream` alone; else `unknown`. Throws TARGET_UNREACHABLE where it ended before it began.
 */
export async function openCommand(options: ChannelOptions): Promise<Channel> {
  let session: Session | undefined
  let isReady = false
  let status: number | undefined
  /** why it is being ended from here: the service may close it before it has answered */
  let asked: string | undefined
  let lastOutput: NodeJS.Timeout | undefined
  const keys: number[] = []
  const words = createWords(options.tell)
  const began = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<Exit>()
  const balance = () => session?.hold(stdout.isFull || stderr.isFull)
  const stdout = createOutput(balance, () => void session?.end('its reader has gone'))
  const stderr = createOutput(balance, () => {})
  /** Error text may come after the status: the session's end is waited for, or silence. */
  const wait = () => {
    if (status === undefined) return
    clearTimeout(lastOutput)
    // while its reader waits, nothing can come
    lastOutput = setTimeout(
      () => (stdout.isFull || stderr.isFull ? wait() : void session?.end('it has ended')),
      session?.timings.afterExitMs,
    )
  }
  const view: View = {
    expected: ['NonInteractiveCommands'],
    greets: true,
    joins: false,
    take(into, at) {
      const key = keys.shift()
      if (key === undefined) return 0
      into[at] = key
      return 1
    },
    output(bytes) {
      stdout.push(bytes)
      wait()
    },
    stderr(bytes) {
      stderr.push(bytes)
      wait()
    },
    exitCode(text) {
      status ??= statusOf(text)
      wait()
    },
    flag: () => {},
    ready() {
      isReady = true
      began.resolve()
    },
    over(end) {
      clearTimeout(lastOutput)
      if (!isReady) began.reject(notBegun(end))
      stdout.end()
      stderr.end()
      ended.resolve(exitOf(end.kind === 'closed' && !end.output && asked !== undefined ? {kind: 'ended', why: asked} : end, status))
    },
  }
  began.promise.catch(() => {})
  session = await startSession({...options, tell: words.tell}, view)
  await began.promise
  const {wake} = session
  const end = async (why: string): Promise<Exit> => {
    asked ??= why
    await session.end(why)
    return ended.promise
  }
  return {
    stdin: new Writable({write: (_chunk, _encoding, done) => done()}),
    stdout: stdout.stream,
    stderr: stderr.stream,
    resize: () => {},
    signal(name) {
      if (name === 'SIGINT' || name === 'SIGQUIT') {
        keys.push(name === 'SIGINT' ? 0x03 : 0x1c)
        wake()
      } else if (name === 'SIGTERM' || name === 'SIGHUP' || name === 'SIGKILL')
        void end(`${name} does not reach a program by this document, so its session was ended`)
    },
    end,
    ended: ended.promise,
    listen: words.listen,
  }
}

/**
 * The status in an ExitCode message, 0 to 255, or undefined where it is none. A program that a signal ended gives -1, without
 * the signal's name: 255. Statuses of Windows have 32 bits: the low 8 of them, and 255 where those would say success.
 */
export function statusOf(text: string): number | undefined {
  const [, digits] = /^EXIT_CODE: (-?\d{1,10})$/.exec(text) ?? []
  if (digits === undefined) return undefined
  const code = Number(digits)
  if (code === 0) return 0
  return code & 0xff || 255
}

function exitOf(end: SessionEnd, status: number | undefined): Exit {
  const isWhole = end.kind !== 'closed' || end.whole
  if (status !== undefined && isWhole) return {status}
  if (!isWhole) return {unknown: 'the session ended before all of its output had come'}
  if (end.kind === 'closed') return {unknown: end.output || noStatus}
  return {unknown: end.kind === 'ended' ? `it was ended: ${end.why}` : end.why}
}
