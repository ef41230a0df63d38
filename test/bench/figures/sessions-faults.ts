import {mebibyte, startInstances, wanted} from '../far-side.ts'
import type {Figure} from '../figure.ts'
import {getThrough, sendThrough} from '../forwards.ts'

const faults = {loss: 0.01, duplicates: 0.01, reordering: 0.02}

/**
 * 64 MiB up and 16 MiB down through `prod forward` and a broker to an agent behind a bad network. Whatever comes is what was sent, or it
 * throws. Down, the agent is what sets the pace: of all that was lost it sends the oldest again, and that every 100 ms at most.
 */
export const figure: Figure = {
  name: 'sessions-faults',
  async measure() {
    const {alice, stop} = await startInstances({
      agent: {outputDelayMs: 0, pieceDelayMs: 1},
      trouble: {seed: 1, up: faults, down: faults, cutClientEveryMs: 5000},
    })
    try {
      const up = await sendThrough(alice, 64 * mebibyte)
      const down = await getThrough(alice, 16 * mebibyte)
      return [
        wanted('prod forward, 64 MiB up, 1 % loss, cuts', up / 1e6, 'MB/s', 1, 'at least'),
        {
          what: 'prod forward, 16 MiB down, 1 % loss, cuts',
          value: down / 1e6,
          unit: 'MB/s',
          floor: {what: '1024 bytes a millisecond, MB/s:', value: 1.024},
          ratio: down / 1.024e6,
        },
      ]
    } finally {
      await stop()
    }
  },
}
