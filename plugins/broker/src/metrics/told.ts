/**
 * What an event tells the figures, and nothing else of it: no reason, no argv, no name. Many of them are kept as columns of numbers with one table
 * of texts, which is read some twenty times faster than the log itself. Pure.
 */
import type {OpenedEntry} from '@prod/sdk/log/envelope'

/** One event. What its type does not tell is empty, 0, or false. */
export interface Told {
  type: string
  /** milliseconds since 1970 */
  at: number
  subject: string
  /** id of the request that it belongs to */
  request: string
  /** whom it is about */
  person: string
  groups: readonly string[]
  service: string | null
  kind: string
  class: string
  /** incident, review, team or verdict, by its type */
  name: string | null
  production: boolean
  allowed: boolean
  loud: boolean
  complete: boolean
  recorded: boolean
  opened: boolean
  byGroup: boolean
  /** from when on; of what is repeated, how often; of what was handed in later, when it was begun */
  from: number
  /** Infinity while it goes on; of what was handed in later, when it was over */
  to: number
  usage: ToldUsage | null
}

/** What a CLI told of itself. */
export interface ToldUsage {
  events: number
  failed: number
  denied: number
  answers: number
  sum: number
  /** how often each command was given */
  commands: [command: string, count: number][]
}

type Data = Record<string, unknown>
type Tell = (data: Data, event: OpenedEntry) => Partial<Told>

const name = (value: unknown): string | null => (typeof value === 'string' ? value : null)
const word = (value: unknown): string => (typeof value === 'string' ? value : '')

/** Whether an environment is production, by its name: it begins with `prod`. A role has none, and counts as production. Pure. */
export function isProduction(environment: unknown, kind: unknown): boolean {
  return kind === 'role' || (typeof environment === 'string' && /^prod/i.test(environment))
}

/** When something was that was handed in later: what was done without the broker counts when it was done. 0: it is no such. */
function handedIn({offline}: Data, at: unknown): number {
  return (offline === true && typeof at === 'string' && Date.parse(at)) || 0
}

const nothing: Tell = () => ({})
const imported: Tell = ({from, to, team, service}, {personal}) => ({
  from: Date.parse(String(from)),
  to: typeof to === 'string' ? Date.parse(to) : Infinity,
  name: name(team),
  service: name(service),
  person: word(personal.person),
})
const used: Tell = ({request, review, class: kind, breakGlass}) => ({
  request: String(request),
  name: name(review),
  class: String(kind),
  loud: breakGlass === true,
})

const tells: Readonly<Record<string, Tell>> = {
  'request.created': (data, event) => ({
    kind: word(data.kind),
    class: word(data.class),
    person: word(event.by),
    service: name(data.service),
    name: name(data.incidentId),
    production: isProduction(data.environment, word(data.kind)),
    allowed: data.decision === 'allow',
    loud: data.breakGlass === true,
    from: typeof data.startAt === 'string' ? Date.parse(data.startAt) : handedIn(data, data.openedAt),
  }),
  'request.approved': ({complete}) => ({complete: complete === true}),
  'request.denied': nothing,
  'request.cancelled': nothing,
  'request.expired': nothing,
  'request.voided': nothing,
  'request.refused': ({count, service}) => ({from: whole(count ?? 1), service: name(service)}),
  'run.started': used,
  'session.opened': (data, event) => ({
    ...used(data, event),
    kind: data.kind === undefined || data.kind === null ? '' : String(data.kind),
    from: handedIn(data, data.openedAt),
  }),
  'session.closed': ({request, endedBy, chunks, ...data}) => ({
    request: String(request),
    to: handedIn(data, data.closedAt),
    opened: endedBy !== 'not opened',
    recorded: Number(chunks) > 0,
  }),
  'grant.activated': ({request, provider}) => ({request: String(request), byGroup: provider === 'group'}),
  'grant.credential': ({class: kind}) => ({class: String(kind)}),
  'grant.expired': nothing,
  'grant.revoked': nothing,
  'grant.handed-back': nothing,
  'review.done': ({verdict}) => ({name: String(verdict)}),
  'usage.reported': data => ({usage: usageOf(data)}),
  'incident.imported': imported,
  'outside-shell.imported': imported,
  'entitlement.imported': imported,
  'notice.dead': nothing,
}

function usageOf(data: Data): ToldUsage {
  const commands = Object.entries((data.commands ?? {}) as Record<string, {count?: unknown; exits?: Record<string, unknown>}>)
  let failed = 0
  for (const [, {exits}] of commands)
    for (const [exit, count] of Object.entries(exits ?? {})) if (Number(exit) >= 240 && Number(exit) <= 249) failed += whole(count)
  const denied = ((data.denials ?? []) as {count?: unknown}[]).reduce((all, {count}) => all + whole(count), 0)
  let [answers, sum] = [0, 0]
  for (const [answer, count] of Object.entries((data.answers ?? {}) as object)) {
    answers += whole(count)
    sum += Number(answer) * whole(count)
  }
  return {
    events: whole(data.events),
    failed,
    denied,
    answers,
    sum,
    commands: commands.map(([command, {count}]) => [command, Number(count) || 0]),
  }
}

/** Whether events of a type tell anything. */
export function tellsOf(type: string): boolean {
  return Object.hasOwn(tells, type)
}

const none: readonly string[] = []

/** What an event tells; undefined: nothing. */
export function toldOf(event: OpenedEntry): Told | undefined {
  const tell = tellsOf(event.type) ? tells[event.type] : undefined
  if (!tell) return undefined
  const {groups} = event.personal
  return {
    type: event.type,
    at: Date.parse(event.time),
    subject: event.subject,
    request: '',
    person: '',
    groups: Array.isArray(groups) ? (groups as string[]) : none,
    service: null,
    kind: '',
    class: '',
    name: null,
    production: false,
    allowed: false,
    loud: false,
    complete: false,
    recorded: false,
    opened: false,
    byGroup: false,
    from: 0,
    to: 0,
    usage: null,
    ...tell(event.data ?? {}, event),
  }
}

/** A whole number of one or more; else 0. */
function whole(value: unknown): number {
  const number = Number(value)
  return Number.isSafeInteger(number) && number > 0 ? number : 0
}

const texts = ['type', 'subject', 'request', 'person', 'service', 'kind', 'class', 'name'] as const
const flags = ['production', 'allowed', 'loud', 'complete', 'recorded', 'opened', 'byGroup'] as const

/** Many as columns. Words are places in `words`, -1 where there is none; moments are differences, in milliseconds. */
export interface Columns {
  words: string[]
  groups: number[][]
  rows: Record<(typeof texts)[number] | 'at' | 'groups' | 'flags', number[]>
  /** by the place of the row: what few of them have */
  spans: Record<string, [from: number | null, to: number | null]>
  usage: Record<string, [events: number, failed: number, denied: number, answers: number, sum: number, ...commands: number[]]>
}

/** Puts them into columns. */
export function pack(all: readonly Told[]): Columns {
  const words: string[] = []
  const places = new Map<string, number>()
  const placeOf = (text: string | null): number => {
    if (text === null) return -1
    const known = places.get(text)
    if (known !== undefined) return known
    places.set(text, words.length)
    return words.push(text) - 1
  }
  const groups: number[][] = []
  const sets = new Map<string, number>()
  const setOf = (names: readonly string[]): number => {
    const key = names.join('\0')
    const known = sets.get(key)
    if (known !== undefined) return known
    sets.set(key, groups.length)
    return groups.push(names.map(placeOf)) - 1
  }
  const rows = Object.fromEntries([...texts, 'at', 'groups', 'flags'].map(column => [column, []])) as unknown as Columns['rows']
  const [spans, usage]: [Columns['spans'], Columns['usage']] = [{}, {}]
  let last = 0
  for (const [row, told] of all.entries()) {
    for (const column of texts) rows[column].push(placeOf(told[column]))
    rows.at.push(told.at - last)
    last = told.at
    rows.groups.push(setOf(told.groups))
    rows.flags.push(flags.reduce((sum, flag, bit) => sum + (told[flag] ? 1 << bit : 0), 0))
    if (told.from !== 0 || told.to !== 0) spans[row] = [told.from, told.to === Infinity ? null : told.to]
    if (told.usage) {
      const {events, failed, denied, answers, sum, commands} = told.usage
      usage[row] = [events, failed, denied, answers, sum, ...commands.flatMap(([command, count]) => [placeOf(command), count])]
    }
  }
  return {words, groups, rows, spans, usage}
}

/** Takes them out again, one by one. Equal sets of groups are one object. */
export function* unpack({words: kept, groups, rows, spans, usage}: Columns): Generator<Told> {
  const sets = groups.map(names => names.map(place => kept[place] as string))
  const wordOf = (place: number): string => kept[place] ?? ''
  let at = 0
  for (let row = 0; row < rows.at.length; row++) {
    at += rows.at[row] as number
    const [from, to] = spans[row] ?? [0, 0]
    const bits = rows.flags[row] as number
    const told = usage[row]
    yield {
      type: wordOf(rows.type[row] as number),
      at,
      subject: wordOf(rows.subject[row] as number),
      request: wordOf(rows.request[row] as number),
      person: wordOf(rows.person[row] as number),
      groups: sets[rows.groups[row] as number] as string[],
      service: kept[rows.service[row] as number] ?? null,
      kind: wordOf(rows.kind[row] as number),
      class: wordOf(rows.class[row] as number),
      name: kept[rows.name[row] as number] ?? null,
      production: (bits & 1) !== 0,
      allowed: (bits & 2) !== 0,
      loud: (bits & 4) !== 0,
      complete: (bits & 8) !== 0,
      recorded: (bits & 16) !== 0,
      opened: (bits & 32) !== 0,
      byGroup: (bits & 64) !== 0,
      from: from ?? Number.NaN,
      to: to ?? Infinity,
      usage: told ? unpackUsage(told, kept) : null,
    }
  }
}

function unpackUsage([events, failed, denied, answers, sum, ...pairs]: Columns['usage'][string], words: readonly string[]): ToldUsage {
  const commands: ToldUsage['commands'] = []
  for (let at = 0; at < pairs.length; at += 2) commands.push([words[pairs[at] as number] as string, pairs[at + 1] as number])
  return {events, failed, denied, answers, sum, commands}
}
