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

/**
 * The agent sends again its oldest message alone, ten times a second, whatever else is missing (§7). So nothing that it could know is left
 * for that: where a message comes again, an answer may have been lost, and all answers since the last such time are given once more, but those that
 * may still be on their way. And beyond half of the room for what comes early, that is answered only when its turn has come: an agent that counts what is unanswered
 * slows down, and what it sends meanwhile is kept, instead of being thrown away to come again, one by one.
 */
export function createIncoming(
  deliver: (payloadType: number, payload: Buffer) => void,
  acknowledge: (about: Answered) => void,
  now: () => number = () => performance.now(),
): Incoming {
  const early = new Map<number, {payloadType: number; payload: Buffer; unanswered: Answered | undefined}>()
  let earlyBytes = 0
  let expected = 0
  let duplicates = 0
  let dropped = 0
  /** the last answers, in a ring, and how many there were when they were last repeated */
  const answered: (Answered & {at: number})[] = []
  let answers = 0
  let repeated = 0
  const answer = ({messageType, messageId, sequenceNumber}: Answered) => {
    const about = {messageType, messageId, sequenceNumber, at: now()}
    answered[answers++ % bounds.answers] = about
    acknowledge(about)
  }
  const repeat = () => {
    const old = now() - bounds.underWayMs
    for (repeated = Math.max(repeated, answers - bounds.answers); repeated < answers; repeated++) {
      const about = answered[repeated % bounds.answers]
      if (!about || about.at > old) return
      acknowledge(about)
    }
  }
  return {
    accept(frame) {
      const {sequenceNumber: number, payloadType, payload, messageType, messageId} = frame
      const kept = early.get(number)
      if (number < expected || kept) {
        duplicates++
        if (kept?.unanswered) return
        acknowledge({messageType, messageId, sequenceNumber: number})
        repeat()
      } else if (number > expected) {
        if (early.size >= bounds.reorderMessages || earlyBytes + payload.length > bounds.reorderBytes) dropped++
        else {
          const isMuch = early.size >= bounds.reorderMessages / 2 || earlyBytes >= bounds.reorderBytes / 2
          // a copy: the view would keep a whole read of the socket
          early.set(number, {
            payloadType,
            payload: Buffer.from(payload),
            unanswered: isMuch ? {messageType, messageId, sequenceNumber: number} : undefined,
          })
          earlyBytes += payload.length
          if (!isMuch) answer(frame)
        }
      } else {
        expected++
        deliver(payloadType, payload)
        answer(frame)
        for (let next = early.get(expected); next; next = early.get(expected)) {
          early.delete(expected++)
          earlyBytes -= next.payload.length
          deliver(next.payloadType, next.payload)
          if (next.unanswered) answer(next.unanswered)
        }
      }
    },
    connected() {
      for (const about of answered) acknowledge(about)
      repeated = answers
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
