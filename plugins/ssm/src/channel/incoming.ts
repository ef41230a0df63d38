/** What the agent sends, put in order, and answered: what came before is answered again, or a lost answer would hang the session. §6 */
import type {Frame} from './frame.ts'
import {bounds} from './timings.ts'

/** The agent's direction of a session. */
export interface Incoming {
  accept(frame: Frame): void
  /** messages that came before one which is still missing */
  readonly early: number
  readonly duplicates: number
  /** not taken, for the buffer was full: they come again */
  readonly dropped: number
}

export function createIncoming(
  deliver: (payloadType: number, payload: Buffer) => void,
  acknowledge: (frame: Pick<Frame, 'messageType' | 'messageId' | 'sequenceNumber'>) => void,
): Incoming {
  const early = new Map<number, {payloadType: number; payload: Buffer}>()
  let earlyBytes = 0
  let expected = 0
  let duplicates = 0
  let dropped = 0
  return {
    accept(frame) {
      const {sequenceNumber: number, payloadType, payload} = frame
      if (number < expected || early.has(number)) {
        duplicates++
        acknowledge(frame)
      } else if (number > expected) {
        if (early.size >= bounds.reorderMessages || earlyBytes + payload.length > bounds.reorderBytes) dropped++
        else {
          // a copy: the view would keep a whole read of the socket
          early.set(number, {payloadType, payload: Buffer.from(payload)})
          earlyBytes += payload.length
          acknowledge(frame)
        }
      } else {
        expected++
        deliver(payloadType, payload)
        acknowledge(frame)
        for (let next = early.get(expected); next; next = early.get(expected)) {
          early.delete(expected++)
          earlyBytes -= next.payload.length
          deliver(next.payloadType, next.payload)
        }
      }
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
