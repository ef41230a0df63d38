/** What may go wrong with a channel on request, and how long things last. */
import type {Faults} from './faults.ts'

/** What happens to a channel besides what its two ends do. Times are milliseconds of the stand-in's clock. */
export interface Trouble {
  seed?: number
  /** frames from client to agent */
  up?: Faults
  /** frames from agent to client */
  down?: Faults
  /** the client's socket is cut so often, without a word */
  cutClientEveryMs?: number
  /** and each time that so many bytes of data went either way */
  cutClientEveryBytes?: number
  /** the client's socket is closed so often, with 1000 and "Bye" */
  byeEveryMs?: number
  /** the agent's socket is cut so often, and comes back after `agentAwayMs` */
  cutAgentEveryMs?: number
  agentAwayMs?: number
  /** pause_publication is sent so often, and start_publication after `pauseMs`, or never where that is 0 */
  pauseEveryMs?: number
  pauseMs?: number
  /** so many first upgrades of each address are answered 403: the address is stale before its time */
  staleUpgrades?: number
  /** the client's socket is kept open and nothing is read or answered any more, not even pings, from so many milliseconds on */
  deafAfterMs?: number
  /** `channel_closed` never comes */
  losesClosing?: boolean
}

/** How long things last, in milliseconds of the stand-in's clock; 0 for without end. */
export interface Limits {
  idleMs: number
  maxMs: number
  /** how long a token may be used after it was given out */
  tokenMs: number
}
