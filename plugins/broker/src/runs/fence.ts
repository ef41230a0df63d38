/**
 * A broker that stood still (a paused machine, a stopped process) may find that another has taken over its store (TM-N7). The
 * store refuses all that it would write from then on; what it still runs is ended, for somebody else may run there now.
 */
import {ProdError} from '@prod/sdk/errors'
import type {Parts} from '../parts.ts'
import type {LiveSet} from '../streams/live-set.ts'

const beatMilliseconds = 1000

/** Asks the store each second whether it is still ours. `onLost`: it is not, and all that ran here has been ended. */
export function watchHold(parts: Parts, set: LiveSet, onLost: () => void): () => void {
  let asking = false
  const timer = setInterval(async () => {
    if (asking) return
    asking = true
    try {
      // writes nothing: the store checks who holds it, and that is all
      await parts.store.commit({events: []})
    } catch (error) {
      if (!(error instanceof ProdError) || error.code !== 'STORE_IN_USE') return
      clearInterval(timer)
      parts.alarm('another broker has taken over the store: all that ran here is ended, and this one stops', {runs: set.all().length})
      await Promise.allSettled(set.all().map(({live}) => live.end('another broker took over')))
      onLost()
    } finally {
      asking = false
    }
  }, beatMilliseconds)
  return () => clearInterval(timer)
}
