/**
 * The time that a broker goes by (TM-N6): the wall clock as it was at the start, and what has really passed since. Whoever sets the machine's
 * clock moves no expiry. Sleep counts: a machine that was suspended wakes up later.
 */
import {uptime} from 'node:os'
import type {Parts} from './parts.ts'

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

const clockMilliseconds = 1000

/** Why nothing new starts while the machine's clock is off; null while it is right. */
export function whyOff(clock: SteadyClock): string | null {
  const off = clock.secondsOff()
  return off === 0 ? null : `the clock of the broker's machine was set: it is ${off} seconds from the time that the broker goes by`
}

/** Tells once when the machine's clock is off, so that nothing new starts here, and once when it is right again (TM-N6). */
export function watchClock(parts: Pick<Parts, 'alarm' | 'store'>, clock: SteadyClock): () => void {
  let wasOff = 0
  const timer = setInterval(() => {
    const off = clock.secondsOff()
    if ((off === 0) === (wasOff === 0)) return
    wasOff = off
    if (off !== 0)
      parts.alarm('the clock of this machine was set, so nothing new starts here; set it right, or start the broker again', {seconds: off})
    const event = {
      type: off === 0 ? 'broker.clock-right' : 'broker.clock-off',
      by: 'broker',
      subject: 'broker',
      data: {seconds: off},
    } as const
    parts.store.commit({events: [event]}).catch(() => {})
  }, clockMilliseconds)
  return () => clearInterval(timer)
}
