/** Many connections through one session, by smux: §13.3, §14. */
import type {Channel, Exit} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {commands, createSmuxReader, encodeSmuxHeader, encodeWindow, firstWindowBytes, type SmuxVersion, smuxDataBytes} from './smux.ts'
import {createInput, createOutput, emptyOutput, type Input, type Output} from './streams.ts'
import {bounds} from './timings.ts'

/** All connections of one session. */
export interface Mux {
  /** Throws TARGET_UNREACHABLE once the session is over. */
  open(): Channel
  /** as a View's */
  take(into: Buffer, at: number, length: number): number
  /** Bytes of the session; a text says why it cannot go on. */
  receive(bytes: Buffer): string | undefined
  /** The agent could not reach the port for the connection that it closes next. */
  refused(): void
  /** For agents that want to hear something; nothing while there is more to say. */
  keepAlive(): void
  over(exit: Exit): void
  /** connections that are open at either side */
  readonly size: number
}

interface Connection {
  id: number
  input: Input
  output: Output
  end(exit: Exit): void
  /** the local program writes no more; to the agent our end would be the end of both directions, so it is held back, §14.2 */
  isHalfClosed: boolean
  /** we have sent our end, the agent has sent its own */
  isFinished: boolean
  isClosed: boolean
  received: number
  /** version 2: bytes sent, and how far they may go; bytes read here that the agent was told of */
  sent: number
  allowed: number
  told: number
}

const largestId = 2 ** 32 - 1
/** what may lie unread here, version 2 */
const windowBytes = 2 ** 20

/** `hold` makes the whole session wait: for the only connection there is, never for one of several, §14.4. */
export function createMux(version: SmuxVersion, wake: () => void, hold: (on: boolean) => void): Mux {
  const connections = new Map<number, Connection>()
  /** frames without data */
  const words: Buffer[] = []
  /** who has something to send, in turns */
  const ready = new Set<Connection>()
  let part: Buffer | undefined
  let partAt = 0
  /** what follows `part` before anything else may, and whose bytes they are */
  let data: Buffer | undefined
  let lender: Connection | undefined
  let next = 3
  let refusals = 0
  let isHeld = false
  let overBy: Exit | undefined

  const say = (frame: Buffer) => {
    words.push(frame)
    wake()
  }
  const makeReady = (connection: Connection) => {
    ready.add(connection)
    wake()
  }
  const finish = (connection: Connection) => {
    if (!connection.isFinished) {
      connection.isFinished = true
      if (!overBy) say(encodeSmuxHeader(version, commands.close, connection.id))
    }
    if (connection.isClosed) connections.delete(connection.id)
    balance()
  }
  /** The local side is done with it. */
  const leave = (connection: Connection, exit: Exit) => {
    connection.input.drop()
    finish(connection)
    connection.end(exit)
    connection.output.end()
  }
  const balance = () => {
    const open = [...connections.values()].filter(({isClosed, isFinished}) => !isClosed && !isFinished)
    const shouldHold = version === 1 && open.length === 1 && open[0]?.output.isFull === true
    if (shouldHold === isHeld) return
    isHeld = shouldHold
    hold(isHeld)
  }
  const tellWindow = (connection: Connection) => {
    const consumed = connection.received - connection.output.unreadBytes
    if (version === 1 || connection.isClosed || consumed - connection.told < (connection.told === 0 ? 1 : windowBytes / 4)) return
    connection.told = consumed
    say(encodeWindow(connection.id, consumed, windowBytes))
  }

  const read = createSmuxReader(version, {
    // the agent never opens
    open: () => {},
    close(id) {
      const connection = connections.get(id)
      if (!connection || connection.isClosed) return
      connection.isClosed = true
      const isRefused = refusals > 0 && connection.received === 0 && !connection.isFinished
      if (isRefused) refusals--
      // the agent takes nothing after its own end
      connection.input.drop()
      connection.end(isRefused ? {unknown: 'the target refused the connection to the port'} : {status: 0})
      connection.output.end()
      if (connection.isFinished || connection.isHalfClosed || isRefused) finish(connection)
      balance()
    },
    data(id, bytes) {
      const connection = connections.get(id)
      if (!connection || connection.isClosed || connection.isFinished) return
      connection.received += bytes.length
      connection.output.push(bytes)
      if (!isHeld && connection.output.unreadBytes > bounds.stuckBytes) {
        leave(connection, {unknown: 'its reader fell too far behind the others'})
        connection.output.stream.destroy()
      }
    },
    window(id, consumed, window) {
      const connection = connections.get(id)
      if (!connection) return
      // the count has 32 bits, and goes on
      const underWay = (connection.sent - consumed) >>> 0
      connection.allowed = connection.sent + Math.max(0, window - underWay)
      makeReady(connection)
    },
  })

  /** The next bytes to send, as `part`. */
  const nextPart = (): boolean => {
    partAt = 0
    if (data) {
      part = data
      data = undefined
      return true
    }
    part = words.shift()
    if (part) return true
    for (const connection of ready) {
      ready.delete(connection)
      if (connection.isFinished || connection.isClosed) continue
      const most = version === 2 ? Math.min(smuxDataBytes, connection.allowed - connection.sent) : smuxDataBytes
      data = connection.input.lend(most)
      if (!data) continue
      connection.sent += data.length
      lender = connection
      part = encodeSmuxHeader(version, commands.data, connection.id, data.length)
      return true
    }
    return false
  }

  return {
    open() {
      if (overBy) throw new ProdError('TARGET_UNREACHABLE', 'the session has ended', 'prod doctor')
      if (next > largestId)
        throw new ProdError('TARGET_UNREACHABLE', 'the session has no number left for another connection', 'prod doctor')
      const ended = Promise.withResolvers<Exit>()
      const connection: Connection = {
        id: next,
        input: createInput(
          () => makeReady(connection),
          () => {
            connection.isHalfClosed = true
            if (connection.isClosed) finish(connection)
          },
        ),
        output: createOutput(
          () => {
            balance()
            tellWindow(connection)
          },
          () => leave(connection, {status: 0}),
        ),
        end: ended.resolve,
        isHalfClosed: false,
        isFinished: false,
        isClosed: false,
        received: 0,
        sent: 0,
        allowed: firstWindowBytes,
        told: 0,
      }
      next += 2
      connections.set(connection.id, connection)
      say(encodeSmuxHeader(version, commands.open, connection.id))
      balance()
      return {
        stdin: connection.input.stream,
        stdout: connection.output.stream,
        stderr: emptyOutput(),
        resize: () => {},
        signal: () => {},
        end() {
          leave(connection, {status: 0})
          return ended.promise
        },
        ended: ended.promise,
      }
    },
    take(into, at, length) {
      let count = 0
      while (count < length) {
        if (!part && !nextPart()) break
        const bytes = part as Buffer
        const copied = bytes.copy(into, at + count, partAt, Math.min(bytes.length, partAt + length - count))
        count += copied
        partAt += copied
        if (partAt < bytes.length) break
        part = undefined
        if (data || !lender) continue
        const connection = lender
        lender = undefined
        connection.input.giveBack()
        // more of it waits for its next turn
        ready.add(connection)
      }
      return count
    },
    receive: read,
    refused() {
      refusals++
    },
    keepAlive() {
      if (words.length === 0) say(encodeSmuxHeader(version, commands.nothing, 0))
    },
    over(exit) {
      overBy = exit
      for (const connection of [...connections.values()]) leave(connection, exit)
      connections.clear()
      isHeld = false
    },
    get size() {
      return connections.size
    },
  }
}
