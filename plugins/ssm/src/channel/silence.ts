/** An agent that answers no more: told to the person, and at last the end, §17. */
import type {Timings} from './timings.ts'

/** Watches over the oldest message that has no answer. */
export interface Silence {
  /** Called each tick in which its answer could come. Answers whether it has been too long. */
  isTooLong(oldest: number | undefined): boolean
  /** Some answer came. */
  broken(): void
}

export function createSilence({tickMs, silentMs, unansweredMs}: Timings, tell: (text: string) => void): Silence {
  let since: number | undefined
  let lastedMs = 0
  let isTold = false
  return {
    isTooLong(oldest) {
      if (oldest === undefined) return false
      lastedMs = oldest === since ? lastedMs + tickMs : 0
      since = oldest
      if (lastedMs > silentMs && !isTold) {
        isTold = true
        tell(`the agent has not answered for ${Math.round(silentMs / 1000)} s`)
      }
      return lastedMs > unansweredMs
    },
    broken() {
      isTold = false
    },
  }
}
