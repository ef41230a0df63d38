/**
 * The time that a broker goes by (TM-N6): the wall clock as it was at the start, and what has really passed since. Whoever sets the machine's
 * clock moves no expiry. Sleep counts: a machine that was suspended wakes up later.
 */
import {uptime} from 'node:os'

/** seconds between the broker's time and the machine's clock at which a broker takes itself out */
const toleranceSeconds = 5

/** The clocks of a machine, in milliseconds. `running` stands still while it sleeps, `sinceBoot` does not; either may begin anywhere. */
export interface MachineClocks {
  wall(): number
  running(): number
  sinceBoot(): number
}

const ours: MachineClocks = {wall: Date.now, running: () => performance.now(), sinceBoot: () => uptime() * 1000}

export interface SteadyClock {
  now(): Date
  /** How far the machine's clock is from {@link now}, in seconds, where that is too much to go on; else 0. Also takes note of sleep: call it often. */
  secondsOff(): number
}

/** A clock that nobody sets. */
export function steadyClock(machine: MachineClocks = ours): SteadyClock {
  const start = {wall: machine.wall(), running: machine.running(), sinceBoot: machine.sinceBoot()}
  let asleep = 0
  const now = (): number => start.wall + machine.running() - start.running + asleep
  return {
    now: () => new Date(now()),
    secondsOff() {
      // what is less than a second is the grain of these clocks
      const missed = machine.sinceBoot() - start.sinceBoot - (machine.running() - start.running)
      if (missed - asleep > 1000) asleep = missed
      const off = Math.round((machine.wall() - now()) / 1000)
      return Math.abs(off) > toleranceSeconds ? off : 0
    },
  }
}
