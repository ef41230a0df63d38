/**
 * A running channel and whoever watches it: bytes are counted, hashed and kept until the client has acknowledged them, so
 * that a cut link loses none and a slow client slows the tool, not the broker's memory (TM-H18).
 */
import type {Readable} from 'node:stream'
import type {Channel, Digest, Lender, Receipt, TerminalSize} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {frame, maxFrameBytes, type ServerMessage, windowBytes} from '@prod/sdk/wire'
import {parseStrictJson} from '../http/strict-json.ts'
import type {Link} from './link.ts'
import {Outlet} from './outlet.ts'
import {Pace} from './pace.ts'

/** What a feature hangs on a live channel. */
export interface LiveHooks {
  /** Sees every byte out before the client does; may make it wait. A rejection ends the channel. */
  output?(stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> | void
  /** Sees every byte in before the channel does. */
  input?(bytes: Uint8Array): Promise<void> | void
  resized?(size: TerminalSize): Promise<void> | void
  /** Whether bytes in are taken at all. */
  stdin: boolean
  /** The most bytes out before the channel is ended; tells which limit. */
  maxOutputBytes?: number
  /** The most line breaks in them. */
  maxOutputLines?: number
  /** Seconds that a cut link keeps the channel. */
  detachSeconds: number
  /** Whether the client is told of the end of stdout while stdin may go on. */
  halfCloses?: boolean
  /** Whether each piece of output goes out at once, however soon after another: two machines talk here. */
  prompt?: boolean
  /** Hears what the channel says of the way there; absent: the client does. */
  hear?(text: string): void
  /** Why it is ended where its output breaks off; absent: the recording was lost. */
  broken?: string
}

export interface Live {
  readonly id: string
  readonly principal: {iss: string; sub: string}
  /** Takes a client on (again). Bytes it has are not sent twice. A client that was on is told and let go. */
  attach(link: Link, have: {stdout: number; stderr: number}, started: (offsets: {stdout: number; stderr: number}) => ServerMessage): void
  /** Gives the channel all of a stdin that was read before: then its end. */
  feed(bytes: Uint8Array): void
  /** Ends the whole tree and notes why. Resolves when the end is recorded. */
  end(why: string): Promise<void>
  /** The channel is over and all its bytes are read. */
  readonly read: Promise<{stdout: Digest; stderr: Digest; endedBy: string | null}>
  /** Says how it ended; kept for a client that comes back, until it has all or the detach time is over. */
  finish(endFrame: string, receipt: Receipt | null): void
  /** All is delivered, or nobody came for it. */
  readonly over: Promise<void>
  /** Gives bytes out to onlookers as well. */
  readonly onlookers: Set<(stream: 'stdout' | 'resize', bytes: Uint8Array) => void>
}

/** How long output may wait for more of it, so that many small writes of a program become few frames. */
const gatherMilliseconds = 1

/** When the client is told of stdin that was read, where it is little: until then it keeps a copy. */
const tellMilliseconds = 100

/** Starts reading a channel. Nothing is sent before `attach`. */
export function goLive(id: string, principal: {iss: string; sub: string}, channel: Channel, hooks: LiveHooks): Live {
  let link: Link | undefined
  let endedBy: string | null = null
  let exited = false
  let abandoned = false
  let settled = false
  let detach: NodeJS.Timeout | undefined
  let finished: {endFrame: string; receipt: Receipt | null} | undefined
  let lines = 0
  let stdinTotal = 0
  let stdinTold = 0
  let stdinWork: Promise<void> = Promise.resolve()
  let stdinQueued = 0
  let outputOver = false
  let announceOver: () => void = () => {}
  const over = new Promise<void>(resolve => {
    announceOver = resolve
  })
  const onlookers: Live['onlookers'] = new Set()
  const outlets = {stdout: new Outlet(frame.stdout), stderr: new Outlet(frame.stderr)}
  const pace = {stdout: new Pace(gatherMilliseconds), stderr: new Pace(gatherMilliseconds)}
  let room = Promise.withResolvers<void>()
  const makeRoom = (): void => {
    room.resolve()
    room = Promise.withResolvers()
  }
  let flushedAt = 0
  let gathering: NodeJS.Timeout | undefined
  let flushing: NodeJS.Immediate | undefined

  const end = async (why: string): Promise<void> => {
    if (!exited) endedBy ??= why
    await channel.end(why)
    await read
  }
  const endLater = (why: string): void => {
    void end(why).catch(() => {})
  }
  /** A limit is exceeded by a program that has ended meanwhile too. */
  const exceed = (limit: string): void => {
    endedBy ??= limit
    endLater(limit)
  }

  const flush = (): void => {
    clearTimeout(gathering)
    clearImmediate(flushing)
    gathering = flushing = undefined
    flushedAt = performance.now()
    if (!link) return
    const {sendFrame, sendWhole} = link
    outlets.stdout.send(sendWhole, rest => sendFrame(frame.stdout, rest))
    outlets.stderr.send(sendWhole, rest => sendFrame(frame.stderr, rest))
  }
  /** At once what comes alone or is much; what comes soon after something else may wait a moment. */
  const flushSoon = (one: Outlet): void => {
    if (hooks.prompt || performance.now() - flushedAt >= gatherMilliseconds) flush()
    else if (one.unsent >= maxFrameBytes) flushing ??= setImmediate(flush)
    else gathering ??= setTimeout(flush, gatherMilliseconds)
  }
  const acknowledge = (one: Outlet, count: number): void => {
    one.acknowledge(count)
    makeRoom()
  }
  /** What still waits in our socket cannot have been taken: who says so would have us keep all that a tool puts out (TM-H18). */
  const refuseUntaken = (from: Link): void => {
    const open = outlets.stdout.sent - outlets.stdout.acked + outlets.stderr.sent - outlets.stderr.acked
    if (from.buffered() > open + windowBytes) throw new ProdError('BAD_REQUEST', 'an acknowledgement of bytes that were not taken')
  }
  const settle = (): void => {
    const allTaken = outlets.stdout.acked === outlets.stdout.total && outlets.stderr.acked === outlets.stderr.total
    if (!finished || !(allTaken || abandoned)) return
    settled = true
    clearTimeout(detach)
    // all is said and taken
    link?.close()
    announceOver()
  }
  const sayOutputOver = (): void => {
    outputOver = true
    flush()
    link?.sendFrame(frame.close, Uint8Array.of(frame.stdout))
  }
  const sayEnd = (): void => {
    if (!link || !finished) return
    flush()
    link.sendFrame(frame.end, Buffer.from(finished.endFrame))
    if (finished.receipt) link.send({type: 'receipt', receipt: finished.receipt})
  }

  /** Takes one piece of output, which may be gone when this has returned, or when what it returns has resolved. */
  const take = (name: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> | undefined => {
    const one = outlets[name]
    one.see(bytes)
    const seen = hooks.output?.(name, bytes)
    if (!seen) return pass(name, bytes)
    return seen.then(
      () => pass(name, bytes),
      error => {
        one.passOver(bytes)
        throw error
      },
    )
  }
  const pass = (name: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> | undefined => {
    const one = outlets[name]
    if (hooks.maxOutputBytes !== undefined && outlets.stdout.total + outlets.stderr.total > hooks.maxOutputBytes) exceed('limit: output')
    if (hooks.maxOutputLines !== undefined) {
      lines += countLines(bytes)
      if (lines > hooks.maxOutputLines) exceed('limit: lines')
    }
    if (name === 'stdout') for (const look of onlookers) look('stdout', bytes)
    if (abandoned) {
      one.passOver(bytes)
      one.drop()
      return undefined
    }
    one.keep(bytes)
    const rests = !hooks.prompt && pace[name].take(bytes.byteLength)
    if (rests) flush()
    else flushSoon(one)
    if (isFull(one)) return untilRoom(one)
    return rests ? new Promise(resolve => setTimeout(resolve, gatherMilliseconds)) : undefined
  }
  const isFull = (one: Outlet): boolean => one.total - one.acked >= windowBytes && !exited && !abandoned
  const untilRoom = async (one: Outlet): Promise<void> => {
    while (isFull(one)) await room.promise
  }

  const pump = async (name: 'stdout' | 'stderr'): Promise<void> => {
    const source: Readable & Partial<Lender> = channel[name]
    try {
      if (source.lend) await source.lend(bytes => take(name, bytes))
      else for await (const chunk of source) await take(name, chunk as Uint8Array)
      if (name === 'stdout' && hooks.halfCloses) sayOutputOver()
    } catch {
      endLater(hooks.broken ?? 'recording lost')
    }
  }
  void channel.ended.then(() => {
    exited = true
    makeRoom()
  })
  const read = (async () => {
    await Promise.all([pump('stdout'), pump('stderr')])
    await channel.ended
    if (endedBy === null && channel.limit) endedBy = `limit: ${channel.limit}`
    return {stdout: outlets.stdout.digest(), stderr: outlets.stderr.digest(), endedBy}
  })()

  const abandon = (): void => {
    abandoned = true
    for (const one of Object.values(outlets)) one.drop()
    makeRoom()
    settle()
  }
  const left = (): void => {
    link = undefined
    if (settled) return
    clearTimeout(detach)
    detach = setTimeout(() => {
      abandon()
      endLater('detached')
    }, hooks.detachSeconds * 1000)
  }
  left()

  let telling: NodeJS.Timeout | undefined
  /** A quarter of the window at a time is soon enough: a word for each key would be on its echo's way. */
  const tellRead = (): void => {
    clearTimeout(telling)
    telling = undefined
    stdinTold = stdinTotal
    link?.send({type: 'window', stdin: stdinTotal})
  }
  const takeInput = (bytes: Uint8Array): void => {
    if (!hooks.stdin) throw new ProdError('STDIN_REFUSED', 'this command takes no stdin')
    stdinQueued += bytes.byteLength
    if (stdinQueued > 2 * windowBytes) throw new ProdError('BAD_REQUEST', 'stdin came without credit')
    stdinWork = stdinWork.then(async () => {
      await hooks.input?.(bytes)
      if (channel.stdin.writable) await new Promise<void>(resolve => channel.stdin.write(bytes, () => resolve()))
      stdinTotal += bytes.byteLength
      stdinQueued -= bytes.byteLength
      if (stdinTotal - stdinTold >= windowBytes / 4) tellRead()
      else telling ??= setTimeout(tellRead, tellMilliseconds)
    })
    stdinWork.catch(() => endLater('recording lost'))
  }
  channel.stdin.on('error', () => {})

  // what is said before anybody is on is said to the first
  const unsaid: string[] = []
  const say = (text: string): void => {
    if (link) link.send({type: 'notice', text})
    else if (unsaid.length < 10) unsaid.push(text)
  }
  channel.listen?.(text => (hooks.hear ? hooks.hear(text) : say(text)))
  return {
    id,
    principal,
    onlookers,
    read,
    over,
    end,
    attach(next, have, started) {
      if (have.stdout > outlets.stdout.total || have.stderr > outlets.stderr.total)
        throw new ProdError('BAD_REQUEST', 'more bytes than there were')
      if (link) {
        link.onMessage = () => {}
        link.onFrame = () => {}
        link.fail(new ProdError('LINK_LOST', 'another terminal took this over', `prod attach ${id}`), '')
      }
      clearTimeout(detach)
      link = next
      outlets.stdout.restart(have.stdout)
      outlets.stderr.restart(have.stderr)
      next.send(started({stdout: outlets.stdout.sent, stderr: outlets.stderr.sent}))
      for (const text of unsaid.splice(0)) next.send({type: 'notice', text})
      if (hooks.stdin) next.send({type: 'window', stdin: stdinTotal + stdinQueued})
      for (const one of Object.values(outlets)) {
        if (one.sent > one.acked) acknowledge(one, one.sent)
      }
      flush()
      if (outputOver) sayOutputOver()
      sayEnd()
      settle()
      next.onFrame = (kind, bytes) => {
        if (kind === frame.stdin) takeInput(bytes)
        else if (kind === frame.close) void stdinWork.then(() => channel.stdin.end()).catch(() => {})
        else if (kind === frame.resize) {
          const size = readSize(bytes)
          channel.resize(size)
          void Promise.resolve(hooks.resized?.(size)).catch(() => endLater('recording lost'))
        }
      }
      next.onMessage = message => {
        if (message.type === 'ack') {
          acknowledge(outlets.stdout, message.stdout)
          acknowledge(outlets.stderr, message.stderr)
          refuseUntaken(next)
          settle()
        } else if (message.type === 'signal') channel.signal(message.name)
        else if (message.type === 'cancel') endLater('cancelled')
      }
      void next.closed.then(() => {
        if (link === next) left()
      })
    },
    feed(bytes) {
      void Promise.resolve(hooks.input?.(bytes))
        .then(() => channel.stdin.end(bytes))
        .catch(() => endLater('recording lost'))
    },
    finish(endFrame, receipt) {
      if (finished) return
      finished = {endFrame, receipt}
      sayEnd()
      settle()
    },
  }
}

function countLines(bytes: Uint8Array): number {
  let count = 0
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) count++
  return count
}

function readSize(bytes: Uint8Array): TerminalSize {
  const {columns, rows} = parseStrictJson(Buffer.from(bytes)) as Partial<TerminalSize>
  const good = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 10_000
  if (!good(columns) || !good(rows)) throw new ProdError('BAD_REQUEST', 'a terminal has 1 to 10000 columns and rows')
  return {columns, rows}
}
