/**
 * What the figures are made of: few and small facts, taken from the log's events in their order, once. Pure but for what is added.
 * Who it was is kept to count people, and never leaves.
 */
import type {OpenedEntry} from '@prod/sdk/log/envelope'

/** Whose it was: the person's teams at that moment, and the service that was reached. */
export interface Of {
  readonly teams: readonly string[]
  readonly service: string | null
}

/** One request. Moments are milliseconds since 1970. */
export interface RequestFact extends Of {
  at: number
  /** from when on it could be used, if it was approved at once: for a role that shall begin later, then */
  from: number
  person: string
  kind: string
  class: string
  production: boolean
  /** policy allowed it at once */
  allowed: boolean
  loud: boolean
  incident: string | null
  /** the last approval that it needed */
  approvedAt: number | null
  /** first use, or the role was held */
  usableAt: number | null
  /** of a shell in production, once it may be opened */
  held: SpanFact | null
}

/** What a person did. `assume`: a role that does more than read. */
export type UseKind = 'exec' | 'terminal' | 'forward' | 'assume'

export interface UseFact {
  at: number
  kind: UseKind
  of: RequestFact
  loud: boolean
}

/** A right, or its use, from one moment to another; Infinity while it goes on. */
export interface SpanFact {
  person: string
  of: Of
  from: number
  to: number
}

export interface ReviewFact {
  of: RequestFact
  openedAt: number
  doneAt: number
}

export interface IncidentFact {
  id: string
  of: Of
  startedAt: number
  /** Infinity while it is open */
  resolvedAt: number
}

/** All of it. What is imported again under one id takes the place of what was there. */
export interface Facts {
  requests: RequestFact[]
  /** by id */
  known: Map<string, RequestFact>
  uses: UseFact[]
  held: SpanFact[]
  used: SpanFact[]
  approved: RequestFact[]
  usable: RequestFact[]
  denied: {at: number; of: RequestFact}[]
  refused: {at: number; of: Of; count: number}[]
  closed: {at: number; of: RequestFact; recorded: boolean}[]
  reviews: Map<string, ReviewFact>
  reported: {at: number; of: Of; events: number; failed: number; denied: number; answers: number; sum: number}[]
  incidents: Map<string, IncidentFact>
  outside: Map<string, SpanFact>
  entitled: Map<string, SpanFact>
  /** by session, and by grant: what goes on */
  open: Map<string, SpanFact>
  grants: Map<string, {of: RequestFact; held: SpanFact | null; assumed: SpanFact | null}>
  texts: Map<string, string>
  groups: Map<string, readonly string[]>
}

/** None yet. */
export function newFacts(): Facts {
  return {
    requests: [],
    known: new Map(),
    uses: [],
    held: [],
    used: [],
    approved: [],
    usable: [],
    denied: [],
    refused: [],
    closed: [],
    reviews: new Map(),
    reported: [],
    incidents: new Map(),
    outside: new Map(),
    entitled: new Map(),
    open: new Map(),
    grants: new Map(),
    texts: new Map(),
    groups: new Map(),
  }
}

/** Whether an environment is production, by its name: it begins with `prod`. A role has none, and counts as production. Pure. */
export function isProduction(environment: unknown, kind: unknown): boolean {
  return kind === 'role' || (typeof environment === 'string' && /^prod/i.test(environment))
}

type Take = (facts: Facts, event: OpenedEntry, at: number) => void

const takers: Record<string, Take> = {
  'request.created': takeRequest,
  'request.approved': (facts, {subject, data}, at) => {
    const request = data?.complete === true ? facts.known.get(subject) : undefined
    if (!request || request.approvedAt !== null) return
    request.approvedAt = at
    facts.approved.push(request)
    holdShell(facts, request, at)
  },
  'request.denied': (facts, {subject}, at) => {
    const of = facts.known.get(subject)
    if (of) facts.denied.push({at, of})
  },
  'request.cancelled': endShellRight,
  'request.expired': endShellRight,
  'request.voided': endShellRight,
  'request.refused': (facts, event, at) => {
    const {data} = event
    facts.refused.push({at, of: {teams: groupsOf(facts, event), service: serviceOf(facts, data)}, count: whole(data?.count ?? 1)})
  },
  'run.started': (facts, event, at) => takeUse(facts, event, at, 'exec'),
  'session.opened': takeSession,
  'session.closed': (facts, {subject, data}, at) => {
    const span = facts.open.get(subject)
    if (span) span.to = at
    facts.open.delete(subject)
    const request = facts.known.get(String(data?.request))
    if (!request) return
    if (request.held) request.held.to = Math.min(request.held.to, at)
    if (data?.endedBy !== 'not opened' && request.kind !== 'forward')
      facts.closed.push({at, of: request, recorded: Number(data?.chunks) > 0})
  },
  'grant.activated': (facts, {subject, data}, at) => {
    const request = facts.known.get(String(data?.request))
    if (!request) return
    makeUsable(facts, request, at)
    const held =
      request.class === 'read' || data?.provider === 'group' ? null : {person: request.person, of: request, from: at, to: Infinity}
    if (held) facts.held.push(held)
    facts.grants.set(subject, {of: request, held, assumed: null})
  },
  'grant.credential': (facts, {subject, data}, at) => {
    const grant = facts.grants.get(subject)
    if (!grant || grant.assumed || data?.class === 'read') return
    grant.assumed = {person: grant.of.person, of: grant.of, from: at, to: Infinity}
    facts.used.push(grant.assumed)
    facts.uses.push({at, kind: 'assume', of: grant.of, loud: grant.of.loud})
  },
  'grant.expired': endGrant,
  'grant.revoked': endGrant,
  'grant.handed-back': endGrant,
  'review.done': (facts, {subject}, at) => {
    const review = facts.reviews.get(subject)
    if (review) review.doneAt = at
  },
  'usage.reported': (facts, event, at) => {
    const data = event.data as
      | {events?: unknown; commands?: Record<string, {exits?: Record<string, unknown>}>; answers?: object; denials?: {count?: unknown}[]}
      | undefined
    let failed = 0
    for (const {exits} of Object.values(data?.commands ?? {}))
      for (const [exit, count] of Object.entries(exits ?? {})) if (Number(exit) >= 240 && Number(exit) <= 249) failed += whole(count)
    const denied = (data?.denials ?? []).reduce((all, {count}) => all + whole(count), 0)
    let [answers, sum] = [0, 0]
    for (const [answer, count] of Object.entries(data?.answers ?? {})) {
      answers += whole(count)
      sum += Number(answer) * whole(count)
    }
    facts.reported.push({at, of: {teams: groupsOf(facts, event), service: null}, events: whole(data?.events), failed, denied, answers, sum})
  },
  'incident.imported': (facts, {subject, data}) => {
    const {from, to} = momentsOf(data)
    facts.incidents.set(subject, {id: subject, of: importedOf(facts, data), startedAt: from, resolvedAt: to})
  },
  'outside-shell.imported': (facts, event) => void facts.outside.set(event.subject, importedSpan(facts, event)),
  'entitlement.imported': (facts, event) => void facts.entitled.set(event.subject, importedSpan(facts, event)),
}

/** Types of events that {@link addEvent} looks at. */
export const metricTypes: ReadonlySet<string> = new Set(Object.keys(takers))

/** Takes one event, after all before it in the log. */
export function addEvent(facts: Facts, event: OpenedEntry): void {
  if (Object.hasOwn(takers, event.type)) takers[event.type]?.(facts, event, Date.parse(event.time))
}

function takeRequest(facts: Facts, event: OpenedEntry, at: number): void {
  const {data = {}, subject} = event
  const kind = text(facts, data.kind)
  const startAt = typeof data.startAt === 'string' ? Date.parse(data.startAt) : 0
  const request: RequestFact = {
    at,
    from: Math.max(at, startAt),
    person: text(facts, event.by ?? ''),
    teams: groupsOf(facts, event),
    service: serviceOf(facts, data),
    kind,
    class: text(facts, data.class),
    production: isProduction(data.environment, kind),
    allowed: data.decision === 'allow',
    loud: data.breakGlass === true,
    incident: typeof data.incidentId === 'string' ? text(facts, data.incidentId) : null,
    approvedAt: null,
    usableAt: null,
    held: null,
  }
  facts.requests.push(request)
  facts.known.set(subject, request)
  if (request.allowed) holdShell(facts, request, at)
}

function holdShell(facts: Facts, request: RequestFact, from: number): void {
  if (request.kind !== 'shell' || !request.production) return
  request.held = {person: request.person, of: request, from, to: Infinity}
  facts.held.push(request.held)
}

function endShellRight(facts: Facts, {subject}: OpenedEntry, at: number): void {
  const held = facts.known.get(subject)?.held
  if (held) held.to = Math.min(held.to, at)
}

function endGrant(facts: Facts, {subject}: OpenedEntry, at: number): void {
  const grant = facts.grants.get(subject)
  if (grant?.held) grant.held.to = at
  if (grant?.assumed) grant.assumed.to = at
  facts.grants.delete(subject)
}

function makeUsable(facts: Facts, request: RequestFact, at: number): void {
  if (request.usableAt !== null) return
  request.usableAt = at
  facts.usable.push(request)
}

function takeUse(facts: Facts, {data}: OpenedEntry, at: number, kind: UseKind): RequestFact | undefined {
  const of = facts.known.get(String(data?.request))
  if (!of) return undefined
  makeUsable(facts, of, at)
  facts.uses.push({at, kind, of, loud: data?.breakGlass === true})
  if (typeof data?.review === 'string' && !facts.reviews.has(data.review))
    facts.reviews.set(data.review, {of, openedAt: at, doneAt: Infinity})
  return of
}

function takeSession(facts: Facts, event: OpenedEntry, at: number): void {
  const forward = (event.data?.kind ?? facts.known.get(String(event.data?.request))?.kind) === 'forward'
  const of = takeUse(facts, event, at, forward ? 'forward' : 'terminal')
  if (!of || forward || !of.production) return
  const span = {person: of.person, of, from: at, to: Infinity}
  facts.used.push(span)
  facts.open.set(event.subject, span)
}

function importedSpan(facts: Facts, {data, personal}: OpenedEntry): SpanFact {
  return {person: text(facts, personal.person), of: importedOf(facts, data), ...momentsOf(data)}
}

function importedOf(facts: Facts, data: OpenedEntry['data']): Of {
  return {teams: typeof data?.team === 'string' ? internGroups(facts, [data.team]) : [], service: serviceOf(facts, data)}
}

function momentsOf(data: OpenedEntry['data']): {from: number; to: number} {
  return {from: Date.parse(String(data?.from)), to: typeof data?.to === 'string' ? Date.parse(data.to) : Infinity}
}

function groupsOf(facts: Facts, {personal}: OpenedEntry): readonly string[] {
  return Array.isArray(personal.groups) ? internGroups(facts, personal.groups as string[]) : []
}

/** People have few sets of groups between them: each is kept once. */
function internGroups(facts: Facts, groups: readonly string[]): readonly string[] {
  const key = groups.join('\0')
  const known = facts.groups.get(key)
  if (known) return known
  const kept = [...new Set(groups)].map(group => text(facts, group))
  facts.groups.set(key, kept)
  return kept
}

function serviceOf(facts: Facts, data: OpenedEntry['data']): string | null {
  return typeof data?.service === 'string' ? text(facts, data.service) : null
}

function text(facts: Facts, value: unknown): string {
  const given = typeof value === 'string' ? value : ''
  const known = facts.texts.get(given)
  if (known !== undefined) return known
  facts.texts.set(given, given)
  return given
}

function whole(value: unknown): number {
  const number = Number(value)
  return Number.isSafeInteger(number) && number > 0 ? number : 0
}
