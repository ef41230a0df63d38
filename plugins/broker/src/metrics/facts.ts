/**
 * What the figures are made of: few and small facts, taken from the log's events in their order, once. Pure but for what is added.
 * Who it was is kept to count people, and never leaves.
 */
import type {OpenedEntry} from '@prod/sdk/log/envelope'
import {type Told, toldOf} from './told.ts'

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
  /** the kept set of one that was met as this very object */
  same: WeakMap<readonly string[], readonly string[]>
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
    same: new WeakMap(),
  }
}

type Take = (facts: Facts, told: Told) => void

const takers: Record<string, Take> = {
  'request.created': takeRequest,
  'request.approved': (facts, {subject, complete, at}) => {
    const request = complete ? facts.known.get(subject) : undefined
    if (!request || request.approvedAt !== null) return
    request.approvedAt = at
    facts.approved.push(request)
    holdShell(facts, request, at)
  },
  'request.denied': (facts, {subject, at}) => {
    const of = facts.known.get(subject)
    if (of) facts.denied.push({at, of})
  },
  'request.cancelled': endShellRight,
  'request.expired': endShellRight,
  'request.voided': endShellRight,
  'request.refused': (facts, {at, groups, service, from}) => {
    facts.refused.push({at, of: {teams: groupsOf(facts, groups), service: serviceOf(facts, service)}, count: from})
  },
  'run.started': (facts, told) => void takeUse(facts, told, 'exec'),
  'session.opened': takeSession,
  'session.closed': (facts, {subject, request: id, opened, recorded, at, to}) => {
    const span = facts.open.get(subject)
    const over = to === 0 ? at : Math.min(to, at)
    if (span) span.to = over
    facts.open.delete(subject)
    const request = facts.known.get(id)
    if (!request) return
    if (request.held) request.held.to = Math.min(request.held.to, over)
    if (opened && request.kind !== 'forward') facts.closed.push({at, of: request, recorded})
  },
  'grant.activated': (facts, {subject, request: id, byGroup, at}) => {
    const request = facts.known.get(id)
    if (!request) return
    makeUsable(facts, request, at)
    const held = request.class === 'read' || byGroup ? null : {person: request.person, of: request, from: at, to: Infinity}
    if (held) facts.held.push(held)
    facts.grants.set(subject, {of: request, held, assumed: null})
  },
  'grant.credential': (facts, {subject, class: kind, at}) => {
    const grant = facts.grants.get(subject)
    if (!grant || grant.assumed || kind === 'read') return
    grant.assumed = {person: grant.of.person, of: grant.of, from: at, to: Infinity}
    facts.used.push(grant.assumed)
    facts.uses.push({at, kind: 'assume', of: grant.of, loud: grant.of.loud})
  },
  'grant.expired': endGrant,
  'grant.revoked': endGrant,
  'grant.handed-back': endGrant,
  'review.done': (facts, {subject, at}) => {
    const review = facts.reviews.get(subject)
    if (review) review.doneAt = at
  },
  'usage.reported': (facts, {groups, usage, at}) => {
    if (!usage) return
    const {commands: _, ...counts} = usage
    facts.reported.push({at, of: {teams: groupsOf(facts, groups), service: null}, ...counts})
  },
  'incident.imported': (facts, told) => {
    const {subject, from, to} = told
    facts.incidents.set(subject, {id: subject, of: importedOf(facts, told), startedAt: from, resolvedAt: to})
  },
  'outside-shell.imported': (facts, told) => void facts.outside.set(told.subject, importedSpan(facts, told)),
  'entitlement.imported': (facts, told) => void facts.entitled.set(told.subject, importedSpan(facts, told)),
}

/** Takes one event, after all before it in the log. */
export function addEvent(facts: Facts, event: OpenedEntry): void {
  const told = toldOf(event)
  if (told) addTold(facts, told)
}

/** Takes what one event told, after all before it in the log. */
export function addTold(facts: Facts, told: Told): void {
  takers[told.type]?.(facts, told)
}

function takeRequest(facts: Facts, told: Told): void {
  const {subject, at, from, groups} = told
  const request: RequestFact = {
    at,
    from: Math.max(at, from),
    person: text(facts, told.person),
    teams: groupsOf(facts, groups),
    service: serviceOf(facts, told.service),
    kind: text(facts, told.kind),
    class: text(facts, told.class),
    production: told.production,
    allowed: told.allowed,
    loud: told.loud,
    incident: told.name === null ? null : text(facts, told.name),
    approvedAt: null,
    usableAt: null,
    held: null,
  }
  facts.requests.push(request)
  facts.known.set(subject, request)
  if (request.allowed) holdShell(facts, request, begunAt(told))
}

function holdShell(facts: Facts, request: RequestFact, from: number): void {
  if (request.kind !== 'shell' || !request.production) return
  request.held = {person: request.person, of: request, from, to: Infinity}
  facts.held.push(request.held)
}

/** When it was: what was done without the broker is told of later. */
function begunAt({at, from}: Told): number {
  return from === 0 ? at : Math.min(from, at)
}

function endShellRight(facts: Facts, {subject, at}: Told): void {
  const held = facts.known.get(subject)?.held
  if (held) held.to = Math.min(held.to, at)
}

function endGrant(facts: Facts, {subject, at}: Told): void {
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

function takeUse(facts: Facts, told: Told, kind: UseKind): RequestFact | undefined {
  const {request: id, name: review, loud, at} = told
  const of = facts.known.get(id)
  if (!of) return undefined
  makeUsable(facts, of, at)
  facts.uses.push({at: begunAt(told), kind, of, loud})
  if (review !== null && !facts.reviews.has(review)) facts.reviews.set(review, {of, openedAt: at, doneAt: Infinity})
  return of
}

function takeSession(facts: Facts, told: Told): void {
  const forward = isForward(facts, told)
  const of = takeUse(facts, told, forward ? 'forward' : 'terminal')
  if (!of || forward || !of.production) return
  const span = {person: of.person, of, from: begunAt(told), to: Infinity}
  facts.used.push(span)
  facts.open.set(told.subject, span)
}

/** Whether a session that was opened is a forward: it says so, or what was asked for was one. */
export function isForward(facts: Facts, {kind, request}: Told): boolean {
  return (kind || facts.known.get(request)?.kind) === 'forward'
}

function importedSpan(facts: Facts, told: Told): SpanFact {
  return {person: text(facts, told.person), of: importedOf(facts, told), from: told.from, to: told.to}
}

function importedOf(facts: Facts, {name: team, service}: Told): Of {
  return {teams: team === null ? [] : groupsOf(facts, [team]), service: serviceOf(facts, service)}
}

/** People have few sets of groups between them: each is kept once. */
function groupsOf(facts: Facts, groups: readonly string[]): readonly string[] {
  if (groups.length === 0) return groups
  const same = facts.same.get(groups)
  if (same) return same
  const key = groups.join('\0')
  const known = facts.groups.get(key) ?? [...new Set(groups)].map(group => text(facts, group))
  facts.groups.set(key, known)
  facts.same.set(groups, known)
  return known
}

function serviceOf(facts: Facts, service: string | null): string | null {
  return service === null ? null : text(facts, service)
}

function text(facts: Facts, given: string): string {
  const known = facts.texts.get(given)
  if (known !== undefined) return known
  facts.texts.set(given, given)
  return given
}
