/** The person's end of a run on many targets: what the broker tells of each, and a stream of its own for each that runs. */
import type {Exit} from '@prod/sdk'
import {say} from '@prod/sdk/cli/output'
import {codes, describeError, type ErrorDescription} from '@prod/sdk/errors'
import type {RolloutTarget, ServerMessage} from '@prod/sdk/wire'
import {openProgress, type Progress} from './progress.ts'

/** One target, once all is over. `outcome`: what its own stream brought, its end checked; `error`: why there is none. */
export interface TargetOutcome<O> {
  target: string
  environment: string
  state: RolloutTarget['state']
  outcome: O | null
  error: ErrorDescription | null
}

/** What came of all of them. */
export interface ManyOutcome<O> {
  status: number
  request: string
  /** why it ended before its last target, else null */
  endedBy: string | null
  targets: TargetOutcome<O>[]
}

/** One run on many targets. `follow` serves the run of one target to its end. */
export class Many<O extends {status: number; exit: Exit; endedBy: string | null}> {
  readonly #follow: (target: string, run: string, progress: Progress) => Promise<O>
  readonly #states = new Map<string, RolloutTarget>()
  readonly #followed = new Map<string, Promise<O | ErrorDescription>>()
  readonly #progress: Progress
  #request = ''
  #endedBy: string | null = null

  constructor(follow: (target: string, run: string, progress: Progress) => Promise<O>, {quiet}: {quiet: boolean}) {
    this.#follow = follow
    this.#progress = openProgress({quiet})
  }

  /** Takes what the broker tells: at first all targets, then those that changed. */
  take(message: ServerMessage & {type: 'rollout'}): void {
    if (this.#states.size === 0) {
      const {batch, pauseSeconds, stopOnError, targets} = message
      const one = targets.length === 1 ? 'target' : 'targets'
      this.#progress.say(
        `${targets.length} ${one}, ${batch} at a time${pauseSeconds > 0 ? `, ${pauseSeconds} s between` : ''}${stopOnError ? ', until one fails' : ''}`,
      )
    }
    this.#request = message.request
    this.#endedBy = message.over?.endedBy ?? this.#endedBy
    for (const one of message.targets) {
      this.#states.set(one.target, one)
      this.#progress.show(one)
      if (one.run !== null && !this.#followed.has(one.target)) {
        const run = this.#follow(one.target, one.run, this.#progress).catch((error: unknown) => {
          const described = describeError(error)
          say(`${one.target}: ${described.message}`)
          return described
        })
        this.#followed.set(one.target, run)
      }
    }
  }

  /** Waits for what runs, and gives what came of all. */
  async finish(): Promise<ManyOutcome<O>> {
    const targets: TargetOutcome<O>[] = []
    for (const {target, environment, state, error} of this.#states.values()) {
      const came = await this.#followed.get(target)
      if (came === undefined) targets.push({target, environment, state, outcome: null, error})
      else if ('exit' in came) targets.push({target, environment, state, outcome: came, error: null})
      else targets.push({target, environment, state, outcome: null, error: came})
    }
    this.#progress.close()
    const outcome = {status: statusOfMany(targets), request: this.#request, endedBy: this.#endedBy, targets}
    say(inWords(outcome))
    return outcome
  }

  /** Takes the table away. */
  close(): void {
    this.#progress.close()
  }
}

/** 0 when all have ended with 0; else the highest status that a target has; 249 where none failed and some never began. Pure. */
export function statusOfMany(targets: readonly TargetOutcome<{status: number}>[]): number {
  const statuses = targets.map(({outcome, error}) => outcome?.status ?? (error ? codes[error.code].exit : 0))
  const highest = Math.max(0, ...statuses)
  return highest === 0 && targets.some(({outcome}) => outcome === null) ? codes.ENDED_BY_LIMIT.exit : highest
}

function inWords<O extends {status: number}>({request, endedBy, targets}: ManyOutcome<O>): string {
  const counts = new Map<string, number>()
  for (const {outcome, error} of targets) {
    const how = outcome ? `ended with ${outcome.status}` : error ? `refused (${error.code})` : 'not begun'
    counts.set(how, (counts.get(how) ?? 0) + 1)
  }
  const words = [...counts].map(([how, count]) => `${count} ${how}`).join(', ')
  return `${request}: of ${targets.length} targets ${words}${endedBy === null ? '' : `; it stopped: ${endedBy}`}`
}
