/**
 * A running channel and whoever watches it: bytes are counted, hashed and kept until the client has acknowledged them, so
 * that a cut link loses none and a slow client slows the tool, not the broker's memory (TM-H18).
 */
import {createHash, type Hash} from 'node:crypto'
import type {Readable} from 'node:stream'
import type {Channel, Digest, Receipt, TerminalSize} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {frame, type ServerMessage, windowBytes} from '@prod/sdk/wire'
import {parseStrictJson} from '../http/strict-json.ts'
import type {Link} from './link.ts'

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
  /** Seconds that a cut link keeps the channel. */
  detachSeconds: number
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

interface Outlet {
  kind: number
  source: Readable
  hash: Hash
  total: number
  acked: number
  sent: number
  /** bytes [acked, total) */
  pending: Uint8Array[]
  room: () => void
}

/** Starts reading a channel. Nothing is sent before `attach`. */
export function goLive(id: string, principal: {iss: string; sub: string}, channel: Channel, hooks: LiveHooks): Live {
  let link: Link | undefined
  let endedBy: string | null = null
  let exited = false
  let abandoned = false
  let settled = false
  let detach: NodeJS.Timeout | undefined
  let finished: {endFrame: string; receipt: Receipt | null} | undefined
  let stdinTotal = 0
  let stdinWork: Promise<void> = Promise.resolve()
  let stdinQueued = 0
  let announceOver: () => void = () => {}
  const over = new Promise<void>(resolve => {
    announceOver = resolve
  })
  const onlookers: Live['onlookers'] = new Set()
  const outlets = {stdout: outlet(frame.stdout, channel.stdout), stderr: outlet(frame.stderr, channel.stderr)}

  const end = async (why: string): Promise<void> => {
    if (!exited) endedBy ??= why
    await channel.end(why)
    await read
  }
  const endLater = (why: string): void => {
    void end(why).catch(() => {})
  }

  const flush = (one: Outlet): void => {
    if (!link) return
    let at = one.acked
    for (const bytes of one.pending) {
      const from = Math.max(0, one.sent - at)
      at += bytes.byteLength
      if (from >= bytes.byteLength) continue
      link.sendFrame(one.kind, from === 0 ? bytes : bytes.subarray(from))
      one.sent = at
    }
  }
  const acknowledge = (one: Outlet, count: number): void => {
    if (count < one.acked || count > one.sent) throw new ProdError('BAD_REQUEST', 'an acknowledgement of bytes that were not sent')
    let rest = count - one.acked
    one.acked = count
    while (rest > 0) {
      const first = one.pending[0] as Uint8Array
      if (first.byteLength > rest) {
        one.pending[0] = first.subarray(rest)
        break
      }
      rest -= first.byteLength
      one.pending.shift()
    }
    one.room()
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
  const sayEnd = (): void => {
    if (!link || !finished) return
    link.sendFrame(frame.end, Buffer.from(finished.endFrame))
    if (finished.receipt) link.send({type: 'receipt', receipt: finished.receipt})
  }

  const pump = async (name: 'stdout' | 'stderr'): Promise<void> => {
    const one = outlets[name]
    try {
      for await (const chunk of one.source) {
        const bytes = chunk as Uint8Array
        one.hash.update(bytes)
        one.total += bytes.byteLength
        await hooks.output?.(name, bytes)
        if (hooks.maxOutputBytes !== undefined && outlets.stdout.total + outlets.stderr.total > hooks.maxOutputBytes)
          endLater('limit: output')
        if (name === 'stdout') for (const look of onlookers) look('stdout', bytes)
        if (abandoned) {
          one.acked = one.sent = one.total
          continue
        }
        one.pending.push(bytes)
        flush(one)
        while (one.total - one.acked >= windowBytes && !exited && !abandoned) await new Promise<void>(resolve => (one.room = resolve))
      }
    } catch {
      endLater('recording lost')
    }
  }
  const letGo = (): void => {
    for (const one of Object.values(outlets)) one.room()
  }
  void channel.ended.then(() => {
    exited = true
    letGo()
  })
  const read = (async () => {
    await Promise.all([pump('stdout'), pump('stderr')])
    await channel.ended
    if (endedBy === null && channel.limit) endedBy = `limit: ${channel.limit}`
    return {stdout: digestOf(outlets.stdout), stderr: digestOf(outlets.stderr), endedBy}
  })()

  const abandon = (): void => {
    abandoned = true
    for (const one of Object.values(outlets)) {
      one.pending = []
      one.acked = one.sent = one.total
    }
    letGo()
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

  const takeInput = (bytes: Uint8Array): void => {
    if (!hooks.stdin) throw new ProdError('STDIN_REFUSED', 'this command takes no stdin')
    stdinQueued += bytes.byteLength
    if (stdinQueued > 2 * windowBytes) throw new ProdError('BAD_REQUEST', 'stdin came without credit')
    stdinWork = stdinWork.then(async () => {
      await hooks.input?.(bytes)
      if (channel.stdin.writable) await new Promise<void>(resolve => channel.stdin.write(bytes, () => resolve()))
      stdinTotal += bytes.byteLength
      stdinQueued -= bytes.byteLength
      link?.send({type: 'window', stdin: stdinTotal})
    })
    stdinWork.catch(() => endLater('recording lost'))
  }
  channel.stdin.on('error', () => {})

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
      outlets.stdout.sent = Math.max(outlets.stdout.acked, have.stdout)
      outlets.stderr.sent = Math.max(outlets.stderr.acked, have.stderr)
      next.send(started({stdout: outlets.stdout.sent, stderr: outlets.stderr.sent}))
      if (hooks.stdin) next.send({type: 'window', stdin: stdinTotal + stdinQueued})
      for (const one of Object.values(outlets)) {
        if (one.sent > one.acked) acknowledge(one, one.sent)
        flush(one)
      }
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

  function outlet(kind: number, source: Readable): Outlet {
    return {kind, source, hash: createHash('sha256'), total: 0, acked: 0, sent: 0, pending: [], room: () => {}}
  }
}

function digestOf({total, hash}: Outlet): Digest {
  return {bytes: total, sha256: hash.copy().digest('hex')}
}

function readSize(bytes: Uint8Array): TerminalSize {
  const {columns, rows} = parseStrictJson(Buffer.from(bytes)) as Partial<TerminalSize>
  const good = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 10_000
  if (!good(columns) || !good(rows)) throw new ProdError('BAD_REQUEST', 'a terminal has 1 to 10000 columns and rows')
  return {columns, rows}
}
