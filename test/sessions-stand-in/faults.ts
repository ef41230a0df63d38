/** What a network does to frames on their way, drawn from a seed: they are lost, doubled, late, out of order, and there is rubbish among them. */
import {encode, frame} from './frame.ts'
import {chance} from './random.ts'

/** What happens to the frames of one direction; shares from 0 to 1. */
export interface Faults {
  loss?: number
  duplicates?: number
  reordering?: number
  /** every frame is so late; frames keep their order */
  delayMs?: number
  /** so often something that is no frame, or a broken one, comes besides */
  malformed?: number
}

/** Lets frames through as the faults say. The same seed makes the same choices in the same order. */
export function troubled(
  faults: Faults,
  seed: number,
  towards: 'client' | 'agent',
  on: (bytes: Buffer) => void,
): {pass(bytes: Buffer): void; stop(): void} {
  const draw = chance(seed)
  const {loss = 0, duplicates = 0, reordering = 0, delayMs = 0, malformed = 0} = faults
  if (loss + duplicates + reordering + delayMs + malformed === 0) return {pass: on, stop() {}}
  const timers = new Set<NodeJS.Timeout>()
  let held: {bytes: Buffer; after: number; timer: NodeJS.Timeout}[] = []
  let stopped = false
  const later = (ms: number, what: () => void): NodeJS.Timeout => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      if (!stopped) what()
    }, ms)
    timers.add(timer)
    return timer
  }
  const send = (bytes: Buffer): void => {
    if (delayMs > 0) later(delayMs, () => on(bytes))
    else on(bytes)
  }
  const release = (which: (typeof held)[number]): void => {
    if (!held.includes(which)) return
    held = held.filter(one => one !== which)
    clearTimeout(which.timer)
    timers.delete(which.timer)
    send(which.bytes)
  }
  return {
    pass(bytes) {
      if (malformed > 0 && draw() < malformed) send(rubbish(bytes, draw, towards))
      if (loss > 0 && draw() < loss) return
      const twice = duplicates > 0 && draw() < duplicates
      if (reordering > 0 && draw() < reordering) {
        const one: (typeof held)[number] = {bytes, after: 1 + Math.floor(draw() * 5), timer: later(30, () => release(one))}
        held.push(one)
      } else {
        send(bytes)
        for (const one of held) {
          one.after -= 1
          if (one.after <= 0) release(one)
        }
      }
      if (twice) send(bytes)
    },
    stop() {
      stopped = true
      for (const timer of timers) clearTimeout(timer)
    },
  }
}

/**
 * Something that a reader must throw away: made from a frame that passes by, or from nothing. An agent does not look at the digest, so
 * what goes to it with a wrong one has the right payload.
 */
export function rubbish(bytes: Buffer, draw: () => number, towards: 'client' | 'agent'): Buffer {
  const at = (below: number): number => Math.floor(draw() * below)
  const copy = Buffer.from(bytes)
  switch (at(8)) {
    case 0:
      return Buffer.alloc(0)
    case 1:
      return copy.subarray(0, at(Math.min(120, copy.length)))
    case 2:
      copy.writeUInt32BE(0xffff, 0)
      return copy
    case 3:
      copy.writeUInt32BE(0, 0)
      return copy
    case 4:
      copy.fill(at(2) === 0 ? 0x20 : 0, 4, 36)
      return copy
    case 5: {
      // the payload is another than the digest is of
      if (copy.length <= 120) return copy.subarray(0, 119)
      const where = towards === 'agent' ? 80 + at(32) : 120 + at(copy.length - 120)
      copy[where] = (copy[where] as number) ^ (1 + at(255))
      return copy
    }
    case 6:
      return encode(frame('a_message_of_tomorrow', at(50), Buffer.from('{}')))
    default:
      return Buffer.from(Array.from({length: 1 + at(300)}, () => at(256)))
  }
}
