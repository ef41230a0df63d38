/** What a spool says, as the store and the log have it: a session with its review, its recording, and all that is wrong with it. */
import type {Exit, TargetRef} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {findKitTarget, type KitClaims} from '@prod/sdk/kit'
import {checkReason} from '@prod/sdk/reason'
import type {SpoolEntry} from '@prod/sdk/spool'
import {findTarget} from '../catalog/members.ts'
import {actorOf, findLogin, type LoginRecord, readGroups, refusedByProvider} from '../identity/logins.ts'
import type {Caller, Parts} from '../parts.ts'
import {person} from '../requests/create.ts'
import type {AuditEvent, Change, Put} from '../stores/store.ts'
import {loudly, newReview} from './breaking.ts'
import {putReview, putSession, type SessionRecord} from './record.ts'

/** clocks differ, and an end takes its time */
const toleranceMs = 60_000

/** How far one spool was taken over. */
export interface HandInRecord {
  session: string
  /** id of the kit */
  kit: string
  next: number
  /** hash of the entry before `next` */
  head: string | null
  began: SpoolEntry | null
  last: SpoolEntry | null
  chunks: number
  bytes: number
  review: string | null
  faults: string[]
  /** once it was taken over whole */
  receipt: string | null
}

/** Whether a spool that begins so is an exercise. */
export function isDrill({event}: SpoolEntry): boolean {
  return event.type === 'began' && event.drill
}

/** Where a spool began, and who reached what by which kit. */
interface Told {
  parts: Parts
  caller: Caller
  kit: KitClaims
  events: AuditEvent[]
}

/** What some entries change. `record.head` is the caller's. */
export async function takeEntries(
  parts: Parts,
  caller: Caller,
  kit: KitClaims,
  before: HandInRecord,
  entries: SpoolEntry[],
  last: boolean,
): Promise<{record: HandInRecord; put: Put[]; events: AuditEvent[]; notices: NonNullable<Change['notices']>}> {
  const told: Told = {parts, caller, kit, events: []}
  const record: HandInRecord = {...before, faults: [...before.faults]}
  const put: Put[] = []
  const stored = await parts.store.find<SessionRecord>('session', before.session)
  let session = stored?.value
  for (const entry of entries) {
    const {event} = entry
    record.next = entry.n + 1
    record.last = entry
    if (event.type === 'began') {
      record.began = entry
      record.faults.push(...(await faultsOf(parts, kit, entry)))
    }
    const began = record.began as SpoolEntry
    if (event.type === 'recorded') {
      record.chunks += 1
      record.bytes += event.bytes
    }
    if (event.type === 'alerted') {
      if (!kit.channels.every(({name}) => event.channels.includes(name))) record.faults.push('its alerts were not all accepted')
      if (!isDrill(began)) {
        record.review = parts.newId('rev')
        session = sessionOf(told, record, began)
        put.push(putReview(newReview(parts, record.review, session), 0))
        tellOpened(told, record, session, event.channels)
      }
    }
    if (!isDrill(began)) tellEntry(told, record, entry)
  }
  if (last) findEnd(record, kit)
  if (session) {
    session = closedAs(session, record, last)
    put.push(putSession(session, stored?.version ?? 0))
  }
  if (last && record.began) tellEnd(told, record, session)
  return {record, put, events: told.events, notices: last && session ? [loudly(parts, session, 'break-glass.ended')] : []}
}

/** What the kit did not allow, or its end had come: it is kept all the same, for it happened. */
async function faultsOf(parts: Parts, kit: KitClaims, {at, event}: SpoolEntry): Promise<string[]> {
  if (event.type !== 'began') return []
  const faults: string[] = []
  const began = Date.parse(at)
  if (began < Date.parse(kit.issuedAt) - toleranceMs) faults.push('it began before its kit was issued')
  if (began > Date.parse(kit.expiresAt)) faults.push('its kit was past its end')
  if (began > parts.store.now().getTime() + toleranceMs) faults.push('it is said to have begun in time to come')
  const login = await findLogin(parts, kit.login)
  if (!login) faults.push('the login of its kit is not known any more')
  else if (login.revokedAt && Date.parse(login.revokedAt) < began) faults.push('the login of its kit had been ended')
  else if (await isGone(parts, login)) faults.push('the identity provider no longer lets in whose kit it is')
  if (event.target !== null && !targetOf(kit, event.target)) faults.push('its target is not in the kit')
  if (event.drill) return faults
  try {
    checkReason(event.reason)
  } catch (error) {
    if (!(error instanceof ProdError)) throw error
    faults.push('it has no reason')
  }
  if (!new RegExp(`^(?:${kit.incidentPattern})$`, 'u').test(event.incident)) faults.push('it has no incident')
  return faults
}

/** Whether the provider refuses the person of a login, now or since: that they had left when it was done may have been told to no broker that was down. */
async function isGone(parts: Parts, login: LoginRecord): Promise<boolean> {
  if (login.revokedAt === null) return (await readGroups(parts, login)).fault === 'gone'
  const [ended] = await parts.store.entries({from: 0, limit: 1, type: 'login.ended', subject: login.id})
  const data = ended && (JSON.parse(ended.envelope) as {data: {why?: string}}).data
  return data?.why === refusedByProvider
}

/** The end of what was handed in, and whether it is the end of what happened. */
function findEnd(record: HandInRecord, {maxSeconds}: KitClaims): void {
  const {began, last} = record
  if (last?.event.type !== 'closed') record.faults.push('it is cut short')
  if (began && last && Date.parse(last.at) - Date.parse(began.at) > maxSeconds * 1000 + 5 * toleranceMs)
    record.faults.push('it lasted longer than a break-glass may')
}

/** As the person's own prod finds it, which another program in its place need not have done. */
function targetOf(kit: KitClaims, name: string): TargetRef | undefined {
  const found = findKitTarget(kit, name)
  return found && {name: found.name, address: found.address, environment: found.environment}
}

function sessionOf({parts, caller, kit}: Told, record: HandInRecord, {at, event}: SpoolEntry): SessionRecord {
  if (event.type !== 'began') throw new TypeError('not the beginning')
  const name = event.target ?? ''
  return {
    id: record.session,
    state: 'closed',
    request: parts.newId('req'),
    principal: kit.principal,
    target: targetOf(kit, name) ?? {name, address: '', environment: 'production'},
    reason: event.reason,
    incident: event.incident,
    breakGlass: true,
    openedAt: at,
    closedAt: at,
    expiresAt: new Date(Date.parse(at) + kit.maxSeconds * 1000).toISOString(),
    exit: null,
    endedBy: null,
    chunks: 0,
    review: record.review,
    alerted: true,
    offline: {handedInAt: parts.store.now().toISOString()},
    instance: '',
    correlation: caller.correlation,
    columns: event.columns,
    rows: event.rows,
  }
}

/** As it stands after a page: until the last one came, nobody here knows how it ended. */
function closedAs(session: SessionRecord, {last, chunks}: HandInRecord, whole: boolean): SessionRecord {
  const end: {exit: Exit; endedBy: string | null} =
    last?.event.type === 'closed'
      ? {exit: last.event.exit, endedBy: last.event.endedBy}
      : {exit: {unknown: 'its end was not handed in'}, endedBy: whole ? 'cut short' : 'not handed in to its end'}
  return {...session, ...end, chunks, closedAt: last?.at ?? session.openedAt}
}

const subjectOf = (told: Told, record: HandInRecord, event: Omit<AuditEvent, 'subject'>): void =>
  void told.events.push({subject: record.session, correlation: told.caller.correlation, ...event})

/** As the log tells of any break-glass: a request that was allowed, and a session. The times are those of the spool. */
function tellOpened(told: Told, record: HandInRecord, session: SessionRecord, alerted: string[]): void {
  const {parts, caller, kit, events} = told
  const {principal, target, reason, incident, openedAt} = session
  const by = actorOf(principal)
  const service = findTarget(parts.bundle().catalog, target.name)?.service ?? null
  const of = {target: target.name, environment: target.environment, breakGlass: true, offline: true}
  const personal = {name: principal.name, reason}
  events.push({
    type: 'request.created',
    by,
    subject: session.request,
    correlation: caller.correlation,
    data: {
      ...of,
      openedAt,
      kind: 'shell',
      class: 'shell',
      tool: null,
      service,
      incident: true,
      incidentId: incident,
      decision: 'allow',
      approvalsNeeded: 0,
    },
    personal,
  })
  const {id, login} = kit
  const handedIn = {kit: id, login, handedInBy: person(caller), faults: record.faults}
  subjectOf(told, record, {
    type: 'session.opened',
    by,
    data: {...of, request: session.request, incident, alerted, review: record.review, openedAt, expiresAt: session.expiresAt, ...handedIn},
    personal: {...personal, address: caller.address},
  })
}

function tellEntry(told: Told, record: HandInRecord, {at, event}: SpoolEntry): void {
  if (event.type === 'recorded') {
    const {chunk, sha256, bytes} = event
    subjectOf(told, record, {type: 'session.recorded', by: 'broker', data: {chunk, sha256, bytes, offline: true, at}})
  }
  if (event.type === 'reminded')
    subjectOf(told, record, {type: 'break-glass.goes-on', by: 'broker', data: {offline: true, at, channels: event.channels}})
}

function tellEnd(told: Told, record: HandInRecord, session: SessionRecord | undefined): void {
  const {kit} = told
  const {began, last, chunks, faults} = record
  const target = began?.event.type === 'began' ? began.event.target : null
  const by = actorOf(kit.principal)
  const personal = {name: kit.principal.name}
  if (session) {
    const {request, exit, endedBy, openedAt, closedAt} = session
    const durationMs = Math.max(0, Date.parse(closedAt ?? openedAt) - Date.parse(openedAt))
    const of = {target: session.target.name, environment: session.target.environment, breakGlass: true, offline: true}
    subjectOf(told, record, {
      type: 'session.closed',
      by: 'broker',
      data: {...of, request, exit, endedBy, chunks, openedAt, closedAt, durationMs, faults},
      personal: {...personal, person: kit.principal.person},
    })
  } else if (began && isDrill(began)) {
    const passed = faults.length === 0 && last?.event.type === 'closed' && last.event.endedBy === null
    subjectOf(told, record, {
      type: passed ? 'break-glass.drill' : 'break-glass.drill-failed',
      by,
      data: {target, chunks, faults, at: began.at},
      personal,
    })
  } else {
    subjectOf(told, record, {type: 'break-glass.unalerted', by, data: {target, offline: true, faults, at: began?.at ?? null}, personal})
  }
}
