import {mebibyte, mostBytes, startInstances, wanted} from '../far-side.ts'
import type {Figure, Row} from '../figure.ts'
import {getThrough, sendThrough} from '../forwards.ts'

const faults = {loss: 0.01, duplicates: 0.01, reordering: 0.02}
/** The clock of the far side: what it does in a minute comes in a quarter of one. */
const timesFaster = 4

/**
 * 64 MiB each way through `prod forward` and a broker to an agent behind a bad network, whose connection is cut every 5 s of the far side's
 * clock and after each 4 MiB. Whatever comes is what was sent, or it throws. The far side's clock is four times as fast as the wall's in
 * all it does: the agent rests a quarter of a millisecond after each 1024 bytes, and sends its oldest lost message again 40 times a second
 * instead of 10.
 */
export const figure: Figure = {
  name: 'sessions-faults',
  async measure() {
    if (process.platform !== 'linux') return 'the memory of a process is read from /proc'
    const {broker, alice, farSide, stop} = await startInstances({
      agent: {outputDelayMs: 0, pieceDelayMs: 1, timesFaster},
      trouble: {seed: 1, up: faults, down: faults, cutClientEveryMs: 5000 / timesFaster, cutClientEveryBytes: 4 * mebibyte},
    })
    let most = 0
    /** Its rate, how often it was cut and resumed, and what the broker, which has the data channel, took beyond all that it had before. */
    const through = async (way: 'up' | 'down', send: () => Promise<number>): Promise<Row[]> => {
      const before = await farSide.counts()
      let rate = 0
      const now = await mostBytes(broker.pid, async () => {
        rate = await send()
      })
      const {connections} = await farSide.counts()
      const more = Math.max(0, now - most) / mebibyte
      most = Math.max(most, now)
      return [
        wanted(`64 MiB ${way}, 1 % loss, cuts; clock x ${timesFaster}`, rate / 1e6, 'MB/s', way === 'up' ? 1 : 0.5, 'at least'),
        wanted(`64 MiB ${way}: cut and resumed`, connections - before.connections - 1, 'times', 10, 'at least'),
        wanted(`64 MiB ${way}: memory of the broker, beyond before`, more, 'MiB', 32, 'at most'),
      ]
    }
    try {
      // so much at once takes what is kept from then on
      await through('up', () => sendThrough(alice, 64 * mebibyte))
      return [
        ...(await through('up', () => sendThrough(alice, 64 * mebibyte))),
        ...(await through('down', () => getThrough(alice, 64 * mebibyte))),
      ]
    } finally {
      await stop()
    }
  },
}
