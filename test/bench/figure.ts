import {spawnSync} from 'node:child_process'

/** One line of the table: a figure beside what it is compared with, measured in the same run. */
export interface Row {
  what: string
  value: number
  unit: string
  /** the same work done by the simplest thing that can do it */
  floor: {what: string; value: number}
  /** value against floor, as the budget counts it: a time divides by the floor, a rate is divided by it */
  ratio: number
  budget?: {ratio: number; kind: 'at most' | 'at least'}
}

/** One figure of `npm run bench`: a file in figures/, which exports it as `figure`. */
export interface Figure {
  name: string
  /** Returns why it cannot be measured here, instead of rows. */
  measure(): Promise<Row[] | string>
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** Milliseconds of one run; throws when the program fails, since a failure is fast. */
function milliseconds(command: readonly string[], env: NodeJS.ProcessEnv): number {
  const [program = '', ...args] = command
  const from = process.hrtime.bigint()
  const {status, stderr} = spawnSync(program, args, {env, stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8'})
  const took = Number(process.hrtime.bigint() - from) / 1e6
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}: ${stderr}`)
  return took
}

/** Runs two programs in turns, order reversed each time; medians in milliseconds, and the median of the pairs' ratios. */
export function inTurns(
  ours: readonly string[],
  floor: readonly string[],
  env: NodeJS.ProcessEnv,
  pairs = 21,
): {ours: number; floor: number; ratio: number} {
  const times: {ours: number; floor: number}[] = []
  for (let pair = -2; pair < pairs; pair++) {
    const first = pair % 2 === 0
    const a = milliseconds(first ? ours : floor, env)
    const b = milliseconds(first ? floor : ours, env)
    // the first two warm the caches
    if (pair >= 0) times.push(first ? {ours: a, floor: b} : {ours: b, floor: a})
  }
  return {
    ours: median(times.map(({ours}) => ours)),
    floor: median(times.map(({floor}) => floor)),
    ratio: median(times.map(({ours, floor}) => ours / floor)),
  }
}
