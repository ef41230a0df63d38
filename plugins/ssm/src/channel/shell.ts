/** Shells, and commands at a terminal: Standard_Stream and InteractiveCommands, §11. */
import type {Channel, Exit, TerminalSize} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {startSession} from './session.ts'
import {createInput, createOutput, emptyOutput} from './streams.ts'
import type {ChannelOptions, Session, SessionEnd, View} from './view.ts'
import {createWords} from './words.ts'

/** What keys make of signals at the remote terminal. */
const signalKeys: Record<string, number> = {SIGINT: 0x03, SIGQUIT: 0x1c}
const endOfInput = Buffer.from([0x04])

/**
 * Opens a shell's channel. Keys are taken at once, though the program may never have put out a byte. The end of stdin is sent as
 * Ctrl-D, once, and the session goes on until it ends at the far side. It ends with status 0 when the service says so without a word
 * of why: no status is transmitted. Throws TARGET_UNREACHABLE where the session ended before it began.
 */
export async function openShell(options: ChannelOptions, size: TerminalSize): Promise<Channel> {
  let session: Session | undefined
  let isReady = false
  const began = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<Exit>()
  const words = createWords(options.tell)
  let control: Buffer[] = []
  const input = createInput(
    () => session?.wake(),
    () => {
      control.push(endOfInput)
      session?.wake()
    },
  )
  const output = createOutput(
    () => session?.hold(output.isFull),
    () => void session?.end('its reader has gone'),
  )
  const view: View = {
    expected: ['Standard_Stream', 'InteractiveCommands'],
    greets: false,
    joins: false,
    take(into, at, length) {
      const count = input.take(into, at, length)
      if (count > 0) return count
      const [key] = control
      if (!key) return 0
      control = control.slice(1)
      return key.copy(into, at)
    },
    output: bytes => output.push(bytes),
    stderr: bytes => output.push(bytes),
    exitCode: () => {},
    flag: () => {},
    ready() {
      isReady = true
      began.resolve()
    },
    over(end) {
      if (!isReady) began.reject(notBegun(end))
      input.drop()
      output.end()
      ended.resolve(exitOf(end))
    },
  }
  began.promise.catch(() => {})
  session = await startSession({...options, tell: words.tell}, view)
  const {resize, wake} = session
  resize(size)
  await began.promise
  const end = async (why: string): Promise<Exit> => {
    await session.end(why)
    return ended.promise
  }
  return {
    stdin: input.stream,
    stdout: output.stream,
    stderr: emptyOutput(),
    resize,
    signal(name) {
      const key = signalKeys[name]
      if (key !== undefined) {
        control.push(Buffer.from([key]))
        wake()
      } else if (name === 'SIGTERM' || name === 'SIGHUP' || name === 'SIGKILL') void end(name)
    },
    end,
    ended: ended.promise,
    listen: words.listen,
  }
}

/** The failure of a session that was over before it began. */
export function notBegun(end: SessionEnd): ProdError {
  const why = end.kind === 'closed' ? end.output || 'the service closed it' : end.why
  return new ProdError('TARGET_UNREACHABLE', `the session did not begin: ${why}`, 'prod doctor')
}

function exitOf(end: SessionEnd): Exit {
  if (end.kind === 'ended') return {unknown: `it was ended: ${end.why}`}
  if (end.kind === 'lost') return {unknown: end.why}
  if (end.output !== '') return {unknown: end.output}
  return end.whole ? {status: 0} : {unknown: 'the session ended before all of its output had come'}
}
