/**
 * One end of the data channel as the agent has it: numbers what it sends, sends again what nobody acknowledged, puts in order what
 * comes, and acknowledges again what it has had (sections 6 to 8).
 */
import {acknowledgement, encode, type Frame, frame} from './frame.ts'

/** What a message's receiver says: it was taken, or come again later. */
export type Taken = boolean

export interface Numbered {
  /** Queues one stream message. Nothing is sent for an empty payload. */
  send(payloadType: number, body: Buffer | object): void
  /** A frame from the other side. */
  take(it: Frame): void
  /** Stops sending, or goes on: `pause_publication` and `start_publication`. */
  pause(paused: boolean): void
  /** Takes up again what was refused. */
  ready(): void
  /** Messages that are sent and not acknowledged. */
  readonly waiting: number
  /** When all is acknowledged, or the time is over. */
  drained(withinMs: number): Promise<void>
  close(): void
}

interface Sent {
  bytes: Buffer
  sequenceNumber: number
  firstAt: number
  lastAt: number
  again: number
}

/** The timeout of section 7, in milliseconds. */
export function newTimeout(): {ms: number; smoothed: number; variation: number; sample(ms: number): void} {
  return {
    ms: 200,
    smoothed: 100,
    variation: 0,
    sample(ms) {
      this.variation = 0.75 * this.variation + 0.25 * Math.abs(this.smoothed - ms)
      this.smoothed = 0.875 * this.smoothed + 0.125 * ms
      this.ms = Math.min(1000, this.smoothed + Math.max(10, 4 * this.variation))
    },
  }
}

const roomForEarly = 100_000

/** An end that writes to `out` and gives what comes in order to `deliver`. Its clock runs `timesFaster` than the wall's. */
export function numbered(
  out: (bytes: Buffer) => void,
  deliver: (it: Frame) => Taken,
  onAcknowledged: () => void,
  timesFaster = 1,
): Numbered {
  const clock = (): number => Date.now() * timesFaster
  const unacknowledged = new Map<number, Sent>()
  const early = new Map<number, Frame>()
  const timeout = newTimeout()
  let next = 0
  let expected = 0
  let paused = false
  const waiters = new Set<() => void>()

  const timer = setInterval(() => {
    if (paused) return
    const [oldest] = unacknowledged.values()
    const now = clock()
    if (!oldest || now - oldest.lastAt <= timeout.ms) return
    oldest.lastAt = now
    oldest.again += 1
    out(oldest.bytes)
  }, 100 / timesFaster)

  const acknowledged = (sequenceNumber: number): void => {
    const sent = unacknowledged.get(sequenceNumber)
    if (!sent) return
    unacknowledged.delete(sequenceNumber)
    if (sent.again === 0 && sent.lastAt > 0) timeout.sample(clock() - sent.firstAt)
    onAcknowledged()
    if (unacknowledged.size === 0) for (const wake of waiters) wake()
  }

  const deliverEarly = (): void => {
    for (let it = early.get(expected); it && deliver(it); it = early.get(expected)) {
      early.delete(expected)
      expected += 1
    }
  }

  const sendNow = (sent: Sent): void => {
    sent.firstAt = sent.lastAt = clock()
    out(sent.bytes)
  }

  return {
    send(payloadType, body) {
      if (Buffer.isBuffer(body) && body.length === 0) return
      const it = frame('output_stream_data', payloadType, body, {sequenceNumber: next, flags: next === 0 ? 1 : 0})
      const sent: Sent = {bytes: encode(it), sequenceNumber: next++, firstAt: 0, lastAt: 0, again: 0}
      unacknowledged.set(sent.sequenceNumber, sent)
      if (!paused) sendNow(sent)
    },
    take(it) {
      if (it.messageType === 'acknowledge') {
        this.pause(false)
        try {
          const {AcknowledgedMessageSequenceNumber: number} = JSON.parse(it.payload.toString()) as Record<string, unknown>
          if (typeof number === 'number') acknowledged(number)
        } catch {}
        return
      }
      if (it.messageType !== 'input_stream_data') return
      this.pause(false)
      if (it.sequenceNumber < expected) return out(encode(acknowledgement(it)))
      if (it.sequenceNumber > expected) {
        if (early.size >= roomForEarly) return
        early.set(it.sequenceNumber, it)
        return out(encode(acknowledgement(it)))
      }
      if (early.has(expected)) {
        out(encode(acknowledgement(it)))
        deliverEarly()
      } else if (deliver(it)) {
        expected += 1
        out(encode(acknowledgement(it)))
        deliverEarly()
      }
    },
    pause(wanted) {
      if (paused === wanted) return
      paused = wanted
      if (!paused) for (const sent of unacknowledged.values()) if (sent.lastAt === 0) sendNow(sent)
    },
    ready: deliverEarly,
    get waiting() {
      return unacknowledged.size
    },
    drained(withinMs) {
      if (unacknowledged.size === 0) return Promise.resolve()
      return new Promise(resolve => {
        const done = (): void => {
          clearTimeout(late)
          waiters.delete(done)
          resolve()
        }
        const late = setTimeout(done, withinMs)
        waiters.add(done)
      })
    },
    close() {
      clearInterval(timer)
      unacknowledged.clear()
      early.clear()
      for (const wake of waiters) wake()
    },
  }
}
