/** What the agent sends, put in order, and answered: what came before is answered again, or a lost answer would hang the session. §6 */
import type {Frame} from './frame.ts'
import {bounds} from './timings.ts'

type Answered = Pick<Frame, 'messageType' | 'messageId' | 'sequenceNumber'>

/** The agent's direction of a session. */
export interface Incoming {
  accept(frame: Frame): void
  /**
   * A new connection stands: answers to the last messages may have been lost with the old one, and are given again. The agent would send
   * each of these messages once more, one in a tenth of a second, before anything else.
   */
  connected(): void
  /** messages that came before one which is still missing */
  readonly early: number
  readonly duplicates: number
  /** not taken, for the buffer was full: they come again */
  readonly dropped: number
}

export function createIncoming(deliver: (payloadType: number, payload: Buffer) => void, acknowledge: (about: Answered) => void): Incoming {
  const early = new Map<number, {payloadType: number; payload: Buffer}>()
  let earlyBytes = 0
  let expected = 0
  let duplicates = 0
  let dropped = 0
  /** the last answers, in a ring */
  const answered: Answered[] = []
  let answers = 0
  const answer = ({messageType, messageId, sequenceNumber}: Answered) => {
    const about = {messageType, messageId, sequenceNumber}
    answered[answers++ % bounds.answers] = about
    acknowledge(about)
  }
  return {
    accept(frame) {
      const {sequenceNumber: number, payloadType, payload} = frame
      if (number < expected || early.has(number)) {
        duplicates++
        answer(frame)
      } else if (number > expected) {
        if (early.size >= bounds.reorderMessages || earlyBytes + payload.length > bounds.reorderBytes) dropped++
        else {
          // a copy: the view would keep a whole read of the socket
          early.set(number, {payloadType, payload: Buffer.from(payload)})
          earlyBytes += payload.length
          answer(frame)
        }
      } else {
        expected++
        deliver(payloadType, payload)
        answer(frame)
        for (let next = early.get(expected); next; next = early.get(expected)) {
          early.delete(expected++)
          earlyBytes -= next.payload.length
          deliver(next.payloadType, next.payload)
        }
      }
    },
    connected() {
      for (const about of answered) acknowledge(about)
    },
    get early() {
      return early.size
    },
    get duplicates() {
      return duplicates
    },
    get dropped() {
      return dropped
    },
  }
}
