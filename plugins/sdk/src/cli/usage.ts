/**
 * The CLI's own usage events: which command, how long, how it ended. Never an argument. Kept in a bounded file of the state folder and
 * sent in one call beside a later command's own (usage-send.ts). `prod config set telemetry off` ends it.
 */
import {readdirSync, renameSync, statSync} from 'node:fs'
import {join} from 'node:path'
import {readConfig} from './config.ts'
import {appendPrivate, places, readPrivate, removePrivate} from './places.ts'

/** One event, as `POST /v1/usage` takes it. */
export interface UsageEvent {
  /** `request create` */
  command: string
  durationMs: number
  /** exit status, 0-255 */
  exit: number
  /** ISO 8601, UTC */
  at: string
  version?: string
  platform?: string
  /** of `exec`; of `assume` the command's first word */
  tool?: string
  /** of `assume`: which role */
  role?: string
  /** why access was refused, where a refusal was recognised: a category of explainer.ts */
  denied?: string
  /** the action of IAM that was refused, `s3:DeleteObject` */
  action?: string
  /** of `shell`: how it went, 1 to 5, where the person said so */
  answer?: number
}

/** What collects, and as much again while it is being sent. */
const maxSpoolBytes = 64 * 1024
const maxEvents = 1000
/** A call is worth its time once there is something to say. */
const sendFromBytes = 512
const sendAfterMs = 600_000
const batchName = /^usage-([0-9a-f]{16})\.jsonl$/

function spoolPath(): string {
  return join(places().state, 'usage.jsonl')
}

/** Whether this machine tells anything at all. */
export function tellsUsage(): boolean {
  try {
    return readConfig().telemetry !== 'off'
  } catch {
    return false
  }
}

/** Keeps one event; `at` in milliseconds, since writing a date out costs a start of the fast way. Never throws: an event lost is no reason to fail. */
export function spoolUsage(event: Omit<UsageEvent, 'at'> & {at: number}): void {
  try {
    if (tellsUsage()) appendPrivate(spoolPath(), JSON.stringify(event), {maxBytes: maxSpoolBytes})
  } catch {
    // a full disk or a folder that is not ours: `prod doctor` says so
  }
}

/** Events on their way. Under the same `id` they count once, however often they arrive. */
export interface UsageBatch {
  id: string
  events: UsageEvent[]
  /** they have arrived, or never will */
  done(): void
}

/**
 * What is due: a batch that was sent and not heard of, else what has collected, once it is enough or ten minutes old. It stays on disk under its id until
 * `done`. Throws where the folder is not ours.
 */
export function takeUsage(now: number = Date.now()): UsageBatch | undefined {
  const folder = places().state
  const waiting = readdirSync(folder).find(name => batchName.test(name))
  if (!tellsUsage()) {
    removePrivate(spoolPath())
    if (waiting !== undefined) removePrivate(join(folder, waiting))
    return undefined
  }
  let name = waiting
  if (name === undefined) {
    const collected = statSync(spoolPath(), {throwIfNoEntry: false})
    if (!collected) return undefined
    const {size, birthtimeMs} = collected
    if (size < sendFromBytes && now - birthtimeMs < sendAfterMs) return undefined
    // the fast way keeps events too, and a start would pay for it
    const {randomBytes} = process.getBuiltinModule('node:crypto')
    name = `usage-${randomBytes(8).toString('hex')}.jsonl`
    renameSync(spoolPath(), join(folder, name))
  }
  const path = join(folder, name)
  const events = (readPrivate(path) ?? '').split('\n').flatMap(readEvent).slice(0, maxEvents)
  if (events.length > 0) return {id: batchName.exec(name)?.[1] ?? '', events, done: () => removePrivate(path)}
  removePrivate(path)
  return undefined
}

const forms: Record<keyof UsageEvent, (value: unknown) => boolean> = {
  command: value => typeof value === 'string' && value.length <= 64,
  durationMs: value => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 1_000_000_000,
  exit: value => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 255,
  at: value => typeof value === 'string' && value.length <= 40,
  version: value => typeof value === 'string' && value.length <= 32,
  platform: value => typeof value === 'string' && value.length <= 32,
  tool: value => typeof value === 'string' && value.length <= 64,
  role: value => typeof value === 'string' && value.length <= 128,
  denied: value => typeof value === 'string' && value.length <= 32,
  action: value => typeof value === 'string' && value.length <= 128,
  answer: value => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 5,
}

/** A line that a broker would refuse is none: it would keep all others from being heard. */
function readEvent(line: string): UsageEvent[] {
  try {
    const spooled = JSON.parse(line) as UsageEvent & {at: number | string}
    const event: UsageEvent = {...spooled, at: new Date(spooled.at).toISOString()}
    const known = Object.entries(event).every(([name, value]) => Object.hasOwn(forms, name) && forms[name as keyof UsageEvent](value))
    const whole = (['command', 'durationMs', 'exit', 'at'] as const).every(name => Object.hasOwn(event, name))
    return known && whole ? [event] : []
  } catch {
    return []
  }
}
