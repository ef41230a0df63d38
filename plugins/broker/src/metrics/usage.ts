/** The CLI's own usage events: one audit event for each call, with counts alone. */
import {canonical, sha256} from '@prod/sdk/document'
import {categories} from '@prod/sdk/explainer'
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
  role?: string
  /** a category of a refusal that was recognised, and the action of IAM that was refused */
  denied?: string
  action?: string
  /** how a session went, 1 to 5, where the person said so */
  answer?: number
}

interface Count {
  count: number
  /** by exit status */
  exits: Record<string, number>
  durationMs: number
}

/** Refusals of one kind that CLIs recognised. What the text did not name is missing. */
interface Denied {
  category: string
  action?: string
  role?: string
  tool?: string
  count: number
}

/** What one call's events come to. */
export interface UsageCounts {
  events: number
  commands: Record<string, Count>
  tools: Record<string, Count>
  versions: Record<string, number>
  platforms: Record<string, number>
  /** how often each answer was given to the question after a session */
  answers: Record<string, number>
  /** how often each role was assumed; missing where none was */
  roles?: Record<string, number>
  /** missing where there was none */
  denials?: Denied[]
}

const maxNames = 50
const forms = {
  tool: /^[a-z0-9][a-z0-9._-]{0,62}$/i,
  role: /^[a-z0-9][\w .@+=,/-]{0,127}$/i,
  action: /^[a-z0-9-]{1,40}:[A-Za-z0-9]{1,80}$/,
}

/** Counts by command, tool, role, version, platform, answer and refusal. What is no name of one counts as `other`: no argument gets into the log. Pure. */
export function countUsage(events: readonly UsageEvent[]): UsageCounts {
  const commands = new Map<string, Count>()
  const tools = new Map<string, Count>()
  const versions = new Map<string, Count>()
  const platforms = new Map<string, Count>()
  const answers = new Map<string, Count>()
  const roles = new Map<string, Count>()
  const denials = new Map<string, Denied>()
  for (const event of events) {
    add(commands, event, /^[a-z]{1,20}(?: [a-z][a-z-]{0,20}){0,2}$/, event.command)
    if (event.tool !== undefined) add(tools, event, forms.tool, event.tool)
    if (event.role !== undefined) add(roles, event, forms.role, event.role)
    if (event.denied !== undefined) addDenial(denials, event.denied, event)
    if (event.version !== undefined) add(versions, event, /^\d{1,4}\.\d{1,4}\.\d{1,4}$/, event.version)
    if (event.platform !== undefined) add(platforms, event, /^[a-z][a-z0-9]{1,15}$/, event.platform)
    if (event.answer !== undefined) add(answers, event, /^[1-5]$/, String(event.answer))
  }
  const counts = (of: Map<string, Count>): Record<string, number> => Object.fromEntries([...of].map(([name, {count}]) => [name, count]))
  return {
    events: events.length,
    commands: Object.fromEntries(commands),
    tools: Object.fromEntries(tools),
    versions: counts(versions),
    platforms: counts(platforms),
    answers: counts(answers),
    ...(roles.size === 0 ? {} : {roles: counts(roles)}),
    ...(denials.size === 0 ? {} : {denials: [...denials.values()]}),
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

const known: ReadonlySet<string> = new Set(categories)

function addDenial(denials: Map<string, Denied>, category: string, event: UsageEvent): void {
  const named = Object.entries(forms).flatMap(([name, form]) => {
    const value = event[name as keyof typeof forms]
    return value !== undefined && form.test(value) ? [[name, value]] : []
  })
  const one = {category: known.has(category) ? category : 'other', ...(Object.fromEntries(named) as Pick<UsageEvent, keyof typeof forms>)}
  const kind = denials.has(canonical(one)) || denials.size < maxNames ? one : {category: 'other'}
  const denial = denials.get(canonical(kind)) ?? {...kind, count: 0}
  denial.count += 1
  denials.set(canonical(kind), denial)
}

const batchHours = 48

/**
 * Takes the events of one person's CLI into the log. `batch` names them: a CLI that did not hear the answer sends them once more, and they count
 * once.
 */
export async function acceptUsage(
  parts: Pick<Parts, 'store'>,
  caller: Caller,
  events: readonly UsageEvent[],
  batch?: string,
): Promise<{accepted: number}> {
  if (events.length === 0) return {accepted: 0}
  const dueAt = new Date(parts.store.now().getTime() + batchHours * 3_600_000).toISOString()
  const id = batch === undefined ? undefined : `usage:${sha256(canonical([caller.principal.iss, caller.principal.sub, batch]))}`
  // what was written under this name before is not written again: either way it is here
  await parts.store.commit({
    put: id === undefined ? [] : [{kind: 'seen', id, version: 0, value: {}, index: {dueAt}}],
    events: [
      {
        type: 'usage.reported',
        by: person(caller),
        subject: 'cli',
        correlation: caller.correlation,
        data: {...countUsage(events)},
        personal: {groups: caller.groups},
      },
    ],
  })
  return {accepted: events.length}
}
