/** What we send and have no answer for: numbered, bounded, sent again when it is lost, never dropped. §6 to §8, §24. */
import {headerBytes, writeHeader} from './frame.ts'
import {longestTimeoutMs, type RoundTrip, unknownRoundTrip, withSample} from './round-trip.ts'
import {bounds, type Timings} from './timings.ts'

interface Message {
  frame: Buffer
  /** when it was last given to the socket; 0: never */
  at: number
  again: boolean
}

/** Where frames go. */
export interface Wire {
  /** false: there is no connection; the frame stays here */
  send(frame: Buffer): boolean
  /** bytes that the socket has not taken yet */
  backlog(): number
}

/** Our direction of a session. */
export interface Outgoing {
  /** How many pieces of data may be added now. Handshakes, sizes and flags are few and need no room. */
  room(): number
  /** Numbers a frame whose payload lies in it already behind the header, and sends it as soon as it may go. */
  add(frame: Buffer, payloadType: number): number
  /** As `add`, for a payload of its own. */
  addPayload(payloadType: number, payload: Uint8Array): number
  /** Whether this number is still unanswered. */
  has(number: number): boolean
  acknowledge(number: number): void
  /** The service says whether the agent is there: a hint. */
  pause(): void
  resume(): void
  /** A new connection stands: all that is unanswered goes out again. */
  connected(): void
  disconnected(): void
  /** Sends again what is late. Answers the number of the oldest message that was sent and is unanswered. */
  tick(): number | undefined
  readonly unanswered: number
  readonly resent: number
}

export function createOutgoing(wire: Wire, now: () => number, {probeMs}: Pick<Timings, 'probeMs'>): Outgoing {
  // in the order of their numbers: a Map keeps it
  const messages = new Map<number, Message>()
  let next = 0
  let window = bounds.firstWindow
  let roundTrip: RoundTrip = unknownRoundTrip
  let shortest = Number.POSITIVE_INFINITY
  /** Karn: while no sample can be had, the wait doubles */
  let backoff = 1
  /** when the youngest message of those answered was sent: what was sent before it, and is not answered, is lost */
  let answeredSentAt = 0
  let halvedAt = 0
  let isUp = false
  let isPaused = false
  let probedAt = 0
  let resent = 0

  const transmit = (message: Message) => {
    if (!wire.send(message.frame)) return
    message.at = now()
  }
  const again = (message: Message) => {
    message.again = true
    resent++
    transmit(message)
  }
  const sendUnsent = () => {
    if (isUp && !isPaused) for (const message of messages.values()) if (message.at === 0) transmit(message)
  }

  const outgoing: Outgoing = {
    room() {
      const oldest = messages.keys().next().value ?? next
      return Math.max(0, Math.min(window - messages.size, oldest + bounds.span - next))
    },
    add(frame, payloadType) {
      const number = next++
      writeHeader(frame, {messageType: 'input_stream_data', createdDate: Date.now(), sequenceNumber: number, flags: 0, payloadType})
      const message: Message = {frame, at: 0, again: false}
      messages.set(number, message)
      if (isUp && !isPaused) transmit(message)
      return number
    },
    addPayload(payloadType, payload) {
      const frame = Buffer.allocUnsafe(headerBytes + payload.length)
      frame.set(payload, headerBytes)
      return outgoing.add(frame, payloadType)
    },
    has: number => messages.has(number),
    acknowledge(number) {
      const message = messages.get(number)
      if (!message) return
      messages.delete(number)
      if (message.again || message.at === 0) return
      const sample = now() - message.at
      roundTrip = withSample(roundTrip, sample)
      shortest = Math.min(shortest, sample)
      backoff = 1
      if (message.at > answeredSentAt) answeredSentAt = message.at
      // it grows while answers come as fast as they did, so that no queue builds up on the way
      if (window < bounds.largestWindow && roundTrip.smoothed < 2 * shortest + 50) window++
    },
    pause() {
      isPaused = true
      probedAt = now()
    },
    resume() {
      if (!isPaused) return
      isPaused = false
      sendUnsent()
    },
    connected() {
      isUp = true
      isPaused = false
      shortest = Number.POSITIVE_INFINITY
      for (const message of messages.values()) message.at === 0 ? transmit(message) : again(message)
    },
    disconnected() {
      isUp = false
    },
    tick() {
      const [first] = messages
      if (!first) return undefined
      const [number, oldest] = first
      const time = now()
      if (!isUp || wire.backlog() > bounds.backlogBytes) return undefined
      if (isPaused) {
        if (time - probedAt >= probeMs) {
          probedAt = time
          oldest.at === 0 ? transmit(oldest) : again(oldest)
        }
        return number
      }
      const wait = Math.min(longestTimeoutMs, roundTrip.timeout * backoff)
      let lost = false
      for (const message of messages.values()) {
        if (time - message.at <= wait) continue
        // the oldest by its time alone, §7; the others only where a later one has been answered
        const isOvertaken = message.at < answeredSentAt
        if (message !== oldest && !isOvertaken) continue
        if (!isOvertaken) backoff = Math.min(8, backoff * 2)
        lost = true
        again(message)
      }
      if (lost && time - halvedAt > roundTrip.smoothed) {
        halvedAt = time
        window = Math.max(bounds.smallestWindow, window >> 1)
      }
      return number
    },
    get unanswered() {
      return messages.size
    },
    get resent() {
      return resent
    },
  }
  return outgoing
}

/** A frame with room for a payload of so many bytes, to be filled and given to {@link Outgoing.add}. */
export function emptyFrame(payloadBytes: number): Buffer {
  return Buffer.allocUnsafe(headerBytes + payloadBytes)
}
