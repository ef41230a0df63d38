/** Input that went out before the agent said anything: one that greets late has answered it and thrown it away, §9.2. */
import {bounds} from './timings.ts'

/** What may have to be sent again. */
export interface Replay {
  keep(plain: Uint8Array): void
  /** It was taken: nothing needs to be kept any more. */
  forget(): void
  /** All of it, or undefined where it was too much to keep. */
  takeAll(): Uint8Array[] | undefined
}

export function createReplay(): Replay {
  let kept: Uint8Array[] | undefined = []
  let bytes = 0
  return {
    keep(plain) {
      bytes += plain.length
      if (bytes > bounds.replayBytes) kept = undefined
      kept?.push(Uint8Array.from(plain))
    },
    forget() {
      kept = []
      bytes = 0
    },
    takeAll() {
      const all = kept
      kept = []
      bytes = 0
      return all
    },
  }
}
