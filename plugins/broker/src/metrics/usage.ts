/** The CLI's own usage events: one audit event for each call, with counts alone. */
import type {Caller, Parts} from '../parts.ts'
import {person} from '../requests/create.ts'

/** One event of a CLI: which command, how long, how it ended. */
export interface UsageEvent {
  command: string
  durationMs: number
  exit: number
  at: string
  version?: string
  platform?: string
  tool?: string
}

interface Count {
  count: number
  /** by exit status */
  exits: Record<string, number>
  durationMs: number
}

/** What one call's events come to. */
export interface UsageCounts {
  events: number
  commands: Record<string, Count>
  tools: Record<string, Count>
  versions: Record<string, number>
}

const maxNames = 50

/** Counts by command, tool and version. What is no name of one counts as `other`: no argument gets into the log. Pure. */
export function countUsage(events: readonly UsageEvent[]): UsageCounts {
  const commands = new Map<string, Count>()
  const tools = new Map<string, Count>()
  const versions = new Map<string, Count>()
  for (const event of events) {
    add(commands, event, /^[a-z]{1,20}(?: [a-z][a-z-]{0,20}){0,2}$/, event.command)
    if (event.tool !== undefined) add(tools, event, /^[a-z0-9][a-z0-9._-]{0,62}$/i, event.tool)
    if (event.version !== undefined) add(versions, event, /^\d{1,4}\.\d{1,4}\.\d{1,4}$/, event.version)
  }
  return {
    events: events.length,
    commands: Object.fromEntries(commands),
    tools: Object.fromEntries(tools),
    versions: Object.fromEntries([...versions].map(([name, {count}]) => [name, count])),
  }
}

function add(counts: Map<string, Count>, {exit, durationMs}: UsageEvent, form: RegExp, name: string): void {
  const known = form.test(name) && (counts.has(name) || counts.size < maxNames) ? name : 'other'
  const count = counts.get(known) ?? {count: 0, exits: {}, durationMs: 0}
  count.count += 1
  count.durationMs += durationMs
  count.exits[exit] = (count.exits[exit] ?? 0) + 1
  counts.set(known, count)
}

/** Takes the events of one person's CLI into the log. */
export async function acceptUsage(parts: Pick<Parts, 'store'>, caller: Caller, events: readonly UsageEvent[]): Promise<{accepted: number}> {
  if (events.length > 0) {
    await parts.store.commit({
      events: [
        {type: 'usage.reported', by: person(caller), subject: 'cli', correlation: caller.correlation, data: {...countUsage(events)}},
      ],
    })
  }
  return {accepted: events.length}
}
