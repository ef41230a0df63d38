/** A program behind a terminal, as a channel with input, output, errors and a status: the near side of what `script.ts` starts. */
import {randomBytes} from 'node:crypto'
import {Readable, Writable} from 'node:stream'
import type {Channel, Exit} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {Mark} from './script.ts'

const readyMs = 30_000
/** how long the far side may take until all that was started is ended */
const sweepMs = 10_000
const leaveMs = 5_000
/** bytes of input in one line */
const lineBytes = 24 * 1024
/** the longest line that the far side writes, and some */
const mostLine = 1024

/** What a program's channel needs besides its terminal. */
export interface ProgramOptions {
  /** where it runs, in a word, and what is to be done where that lacks what carries it */
  readonly place: string
  readonly mend: string
  readonly mark: Mark
  readonly stdin: boolean
  readonly wallSeconds: number
  /** ends what bears the mark from another session, where this one does not answer; whether all is gone for certain */
  finish(): Promise<boolean>
}

/** Waits until the far side is ready. Throws TARGET_UNREACHABLE, TOOL_UNAVAILABLE; the session is over then. */
export async function runProgram(terminal: Channel, options: ProgramOptions): Promise<Channel> {
  const {stdin: takesInput, wallSeconds, finish} = options
  const key = randomBytes(16).toString('hex')
  const lines = readLines(terminal.stdout)
  terminal.stderr.resume()
  terminal.stdin.on('error', () => {})
  await becomeReady(terminal, lines, options)
  const tell = (line: string, done: () => void = () => {}): void => {
    terminal.stdin.write(`${line}\n`, () => done())
  }
  tell(key)

  let isOver = false
  let wall: NodeJS.Timeout | undefined
  let limit: string | undefined
  let ending: Promise<Exit> | undefined
  let wake: (() => void) | undefined
  let acknowledged: (() => void) | undefined
  const roomy = (): void => {
    wake?.()
    wake = undefined
  }
  const output = (onGone: () => void): Readable =>
    new Readable({
      read: roomy,
      destroy(error, done) {
        roomy()
        if (!isOver) onGone()
        done(error)
      },
    })
  const stdout = output(() => void end())
  const stderr = output(() => {})

  const stdin = new Writable({
    write(chunk: Buffer, _encoding, done) {
      let at = 0
      const next = (): void => {
        acknowledged = undefined
        if (isOver || at >= chunk.length) {
          done()
          return
        }
        const piece = chunk.subarray(at, at + lineBytes)
        at += piece.length
        acknowledged = next
        tell(`i${piece.toString('base64')}`)
      }
      next()
    },
    final(done) {
      if (!isOver) tell('.')
      done()
    },
  })
  if (!takesInput) tell('.')

  /** The status that the far side said, or why nobody knows. */
  const read = async (): Promise<Exit> => {
    const status = new RegExp(`^x ${key} (\\d{1,3})$`)
    let strange = false
    for (;;) {
      const line = await lines.next()
      if (line === undefined) return {unknown: await whyLost(terminal)}
      const [, number] = status.exec(line) ?? []
      if (number !== undefined)
        return strange
          ? {unknown: 'something else wrote to the terminal of the session, so what came of it may not be whole'}
          : {status: Number(number) & 0xff}
      if (line === 'n' && acknowledged) acknowledged()
      else if (/^[oe](?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(line)) {
        const to = line.startsWith('o') ? stdout : stderr
        if (!to.destroyed && !to.push(Buffer.from(line.slice(1), 'base64')))
          await new Promise<void>(resolve => {
            wake = resolve
          })
      } else if (line !== '' && line !== 'n') strange = true
    }
  }
  const ended = (async (): Promise<Exit> => {
    const exit = await read()
    isOver = true
    clearTimeout(wall)
    for (const stream of [stdout, stderr]) if (!stream.destroyed) stream.push(null)
    acknowledged?.()
    stdin.destroy()
    tell('q')
    if (!(await within(terminal.ended, leaveMs))) void terminal.end('it has ended')
    return exit
  })()

  const end = (): Promise<Exit> => {
    ending ??= (async () => {
      roomy()
      // whoever ends it reads no more
      for (const stream of [stdout, stderr]) stream.on('data', () => {})
      tell('k')
      if (await within(ended, sweepMs)) return ended
      await finish()
      if (!(await within(ended, leaveMs))) await terminal.end('it does not answer')
      return ended
    })()
    return ending
  }
  wall = setTimeout(() => {
    limit = 'wall'
    void end()
  }, wallSeconds * 1000)
  return {
    stdin,
    stdout,
    stderr,
    ended,
    resize: () => {},
    ...(terminal.listen ? {listen: terminal.listen} : {}),
    signal: name => {
      if (!isOver) tell(`s${name.replace(/^SIG/, '')}`)
    },
    end,
    get limit() {
      return limit
    },
  }
}

async function becomeReady(terminal: Channel, lines: Lines, {mark: {left, right}, place, mend}: ProgramOptions): Promise<void> {
  const late = setTimeout(() => void terminal.end(`the ${place} does not answer`), readyMs)
  const said: string[] = []
  for (;;) {
    const line = await lines.next()
    const [, word, missing = ''] = new RegExp(`^${left}${right} (ready|lacks)(.*)$`).exec(line ?? '') ?? []
    if (word === 'ready') {
      clearTimeout(late)
      return
    }
    if (line !== undefined && word === undefined) {
      if (said.length < 5) said.push(line)
      continue
    }
    clearTimeout(late)
    if (word === 'lacks') {
      void terminal.end(`the ${place} lacks tools`)
      throw new ProdError(
        'TOOL_UNAVAILABLE',
        `the ${place} has no${missing.replaceAll(' ', ', ').slice(1)}, which a program's output is carried with`,
        mend,
      )
    }
    const words = said
      .join(' ')
      .replace(/[\u0000-\u001f\u007f-\u009f\s]+/g, ' ')
      .trim()
      .slice(0, 300)
    throw new ProdError('TARGET_UNREACHABLE', `the ${place} starts no program${words ? `: ${words}` : ''}`, mend)
  }
}

async function whyLost({ended}: Channel): Promise<string> {
  const exit = await ended
  return 'unknown' in exit ? exit.unknown : 'the session ended before the program said how it ended'
}

/** Whether something comes within a time. */
async function within(what: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>(resolve => {
    timer = setTimeout(resolve, ms, false)
  })
  return Promise.race([what.then(() => true), late]).finally(() => clearTimeout(timer))
}

interface Lines {
  /** undefined at the end */
  next(): Promise<string | undefined>
}

/** The lines of a terminal, one for each call; nothing more is read than is asked for. What is too long to be a line of ours is cut. */
function readLines(stream: Readable): Lines {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let rest = ''
  let at = 0
  return {
    async next() {
      for (;;) {
        const newline = rest.indexOf('\n', at)
        if (newline >= 0) {
          const line = rest.slice(at, newline)
          at = newline + 1
          return line.endsWith('\r') ? line.slice(0, -1) : line
        }
        rest = rest.slice(at)
        at = 0
        if (rest.length > mostLine) rest = `\u0000${rest.slice(-mostLine)}`.slice(0, mostLine)
        const {value, done} = await chunks.next().catch(() => ({value: undefined, done: true as const}))
        if (done) return undefined
        rest += (value as Buffer).toString('latin1')
      }
    },
  }
}
