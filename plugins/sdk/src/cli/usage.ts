/**
 * The CLI's own usage events: which command, how long, how it ended. Never an argument. Kept in a bounded file of the state folder and
 * sent in one call by a later command that talks to the broker anyhow. `prod config set telemetry off` ends it.
 */
import {renameSync, statSync} from 'node:fs'
import {join} from 'node:path'
import {api} from '../api.ts'
import type {BrokerClient} from '../client.ts'
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
  /** of `exec` */
  tool?: string
}

const maxSpoolBytes = 128 * 1024
const maxEventsInOneCall = 500
/** A call is worth its time once there is something to say. */
const sendFromBytes = 2048
const sendAfterMs = 3_600_000

function spoolPath(): string {
  return join(places().state, 'usage.jsonl')
}

/** Keeps one event. Never throws: an event lost is no reason to fail. */
export function spoolUsage(event: UsageEvent): void {
  try {
    if (readConfig().telemetry !== 'off') appendPrivate(spoolPath(), JSON.stringify(event), {maxBytes: maxSpoolBytes})
  } catch {
    // a full disk or a folder that is not ours: `prod doctor` says so
  }
}

/** Takes what is kept, so that no other process sends it too. What is not sent goes back by {@link spoolUsage}. */
export function takeSpool(): UsageEvent[] {
  const taken = `${spoolPath()}.${process.pid}`
  try {
    renameSync(spoolPath(), taken)
    const text = readPrivate(taken) ?? ''
    return text.split('\n').slice(0, maxEventsInOneCall).flatMap(parseEvent)
  } catch {
    return []
  } finally {
    try {
      removePrivate(taken)
    } catch {
      // nothing was taken
    }
  }
}

function parseEvent(line: string): UsageEvent[] {
  try {
    return line === '' ? [] : [JSON.parse(line) as UsageEvent]
  } catch {
    return []
  }
}

/** Sends what is kept when there is enough of it, or it is an hour old. Never throws; what could not be sent stays. */
export async function sendUsage(client: Pick<BrokerClient, 'call'>): Promise<void> {
  try {
    const {size, birthtimeMs} = statSync(spoolPath())
    if (size < sendFromBytes && Date.now() - birthtimeMs < sendAfterMs) return
  } catch {
    return
  }
  const events = takeSpool()
  if (events.length === 0) return
  try {
    await client.call(api.usage, {events})
  } catch {
    for (const event of events) spoolUsage(event)
  }
}
