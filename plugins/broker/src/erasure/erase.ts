/** Two people erase what is kept of a person, or of single runs and sessions (TM-E12): one asks, another agrees. The log tells of both. */
import type {Erasure, Principal} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {openEntry} from '@prod/sdk/log/envelope'
import {checkReason} from '@prod/sdk/reason'
import {bounded, showLine, showName} from '@prod/sdk/text'
import {about} from '../audit/refusals.ts'
import type {Caller, Parts} from '../parts.ts'
import {person} from '../requests/create.ts'
import {canonicalPerson, samePerson} from '../requests/state.ts'
import {mayReadAudit, type PersonRecord} from '../requests/view.ts'
import type {RunRecord} from '../runs/record.ts'
import type {SessionRecord} from '../sessions/record.ts'
import type {AuditEvent, Change} from '../stores/store.ts'
import {openOf} from './open.ts'
import {naming, perform} from './perform.ts'
import {type ErasureRecord, putErasure, showErasure} from './record.ts'
import {isTheirs, isThem, type Whom} from './whom.ts'

const agreeSeconds = 86_400
const reasonColumns = 2000
const shownErasures = 200

/** The first of the two. Throws DENIED, SELF_ERASURE, NOT_FOUND, STILL_OPEN, REASON_INVALID. */
export async function askErasure(
  parts: Parts,
  caller: Caller,
  input: {person?: string; things?: string[]; reason: string},
): Promise<Erasure> {
  refuseStranger(parts, caller)
  if ((input.person === undefined) === (input.things === undefined))
    throw new ProdError('BAD_REQUEST', 'either a person or runs and sessions are erased', 'prod audit erase --help')
  const reason = checkReason(input.reason)
  const whom = input.person === undefined ? null : await findWhom(parts, input.person)
  await refuseWhat(parts, caller, whom, input.things ?? [])
  if (whom) refuseNaming(whom, reason)
  const now = parts.store.now()
  const record: ErasureRecord = {
    id: parts.newId('era'),
    state: 'asked',
    about: whom ? 'person' : 'things',
    person: input.person ?? null,
    things: [...new Set(input.things)].sort(),
    by: caller.principal,
    reason,
    askedAt: now.toISOString(),
    until: new Date(now.getTime() + agreeSeconds * 1000).toISOString(),
    agreed: null,
    whom: null,
    doneAt: null,
    erased: {texts: 0, outputs: 0, recordings: 0, records: 0},
  }
  await parts.store.commit({
    put: [putErasure(record, 0)],
    events: [eventOf(caller, 'erasure.asked', record, reason)],
    notices: [noticeOf(parts, caller, record, 'somebody wants to erase what is kept: a second person must agree', reason)],
  })
  parts.alarm('somebody wants to erase what is kept', {erasure: record.id, by: person(caller), about: record.about})
  return showErasure(record, now)
}

/** The second of the two, who is somebody else; it is erased then. Throws DENIED, SELF_ERASURE, NOT_FOUND, STILL_OPEN, ALREADY_DECIDED, REASON_INVALID. */
export async function agreeErasure(parts: Parts, caller: Caller, input: {id: string; reason: string}): Promise<Erasure> {
  refuseStranger(parts, caller)
  const reason = checkReason(input.reason)
  const stored = await parts.store.find<ErasureRecord>('erasure', input.id)
  if (!stored) throw new ProdError('NOT_FOUND', `there is no erasure ${input.id}`, 'prod audit erase --show')
  const {value: record, version} = stored
  const now = parts.store.now()
  const {state} = showErasure(record, now)
  if (state !== 'asked')
    throw new ProdError(
      'ALREADY_DECIDED',
      state === 'lapsed' ? `nobody agreed to ${record.id} in time` : `${record.id} has been agreed to already`,
      'prod audit erase --show',
    )
  if (samePerson(record.by, caller.principal)) throw refusal('SELF_ERASURE', 'you asked for it; a second person must agree', record.id)
  const whom = record.person === null ? null : await findWhom(parts, record.person)
  await refuseWhat(parts, caller, whom, record.things)
  if (whom) refuseNaming(whom, reason)
  const agreed: ErasureRecord = {...record, state: 'agreed', whom, agreed: {by: caller.principal, at: now.toISOString()}}
  const saved = await parts.store.commit({
    put: [putErasure(agreed, version)],
    events: [eventOf(caller, 'erasure.agreed', record, reason, {with: record.by.person})],
    notices: [noticeOf(parts, caller, record, 'what is kept is being erased: two people agreed', reason)],
  })
  if (!saved.ok) throw new ProdError('ALREADY_DECIDED', `${record.id} was decided just now`, 'prod audit erase --show')
  parts.alarm('two people erase what is kept', {erasure: record.id, by: [record.by.person, person(caller)], about: record.about})
  await perform(parts, record.id)
  return showErasure((await parts.store.find<ErasureRecord>('erasure', record.id))?.value ?? agreed, parts.store.now())
}

/** The latest, newest first, for those who may erase or read the log. Throws DENIED. */
export async function listErasures(parts: Parts, caller: Caller): Promise<{erasures: Erasure[]}> {
  if (!mayReadAudit(parts, caller)) refuseStranger(parts, caller)
  const now = parts.store.now()
  const found = await parts.store.list<ErasureRecord>({kind: 'erasure', newest: true, limit: shownErasures})
  return {erasures: found.map(({value}) => showErasure(value, now))}
}

/** Whom policy does not let erase, and whom nobody can tell from another person. */
function refuseStranger(parts: Parts, {principal, groups, address}: Caller): void {
  if (principal.person === '')
    throw refusal('DENIED', 'your identity provider gives no person id, so you cannot be one of the two who erase', 'log', 'prod whoami')
  const answer = parts.bundle().ask({principal, groups, action: 'erase', resource: {kind: 'log'}, context: {address}})
  if (answer.errors.length > 0) parts.alarm('policy evaluation failed', {errors: answer.errors})
  if (answer.decision !== 'allow')
    throw refusal(
      'DENIED',
      `you may not erase: ${answer.rules[0] ? `rule ${answer.rules[0]} forbids it` : 'no rule permits it'}`,
      'log',
      'prod whoami',
    )
}

/** Nobody erases what tells of themselves, nor what is still open: its end, and the review of a break-glass, come first. */
async function refuseWhat(parts: Parts, caller: Caller, whom: Whom | null, things: readonly string[]): Promise<void> {
  const owners: Pick<Principal, 'iss' | 'sub' | 'person'>[] = []
  for (const id of things) {
    const kind = id.startsWith('run_') ? 'run' : 'session'
    const found = (await parts.store.find<RunRecord | SessionRecord>(kind, id))?.value
    if (!found)
      throw new ProdError(kind === 'run' ? 'RUN_NOT_FOUND' : 'SESSION_NOT_FOUND', `there is no ${kind} ${id}`, 'prod audit search')
    owners.push(found.principal)
  }
  const {principal} = caller
  const isOwn = whom
    ? whom.owners.includes(`${principal.iss}#${principal.sub}`) || whom.persons.includes(canonicalPerson(principal.person))
    : owners.some(owner => samePerson(owner as Principal, principal))
  if (isOwn) throw refusal('SELF_ERASURE', 'nobody erases what tells of themselves: ask two others', 'log')
  const open = await openOf(parts, whom, things)
  if (open !== undefined) throw new ProdError('STILL_OPEN', `${open.what} is still open, so what tells of it stays for now`, open.next)
}

/** The log keeps the reason: it must not bring back what is erased. */
function refuseNaming({persons, owners, subs, names}: Whom, reason: string): void {
  const text = reason.normalize('NFC').toLowerCase()
  const isNamed = [...persons, ...owners, ...subs, ...names].some(one => one.length > 1 && text.includes(one.toLowerCase()))
  if (isNamed)
    throw new ProdError('REASON_INVALID', 'the log keeps this reason, so it must not name the person', 'say it by the number of a ticket')
}

/** All that the person is known by. Throws NOT_FOUND where neither the store nor the log knows them. */
async function findWhom(parts: Parts, given: string): Promise<Whom> {
  const known = (await parts.store.list<PersonRecord>({kind: 'person'}))
    .map(({value}) => value)
    .filter(one => `${one.iss}#${one.sub}` === given || (one.person !== '' && canonicalPerson(one.person) === canonicalPerson(given)))
  const strange = new ProdError('NOT_FOUND', `nothing tells of what ${given} did`, 'prod audit search --by PERSON')
  const distinct = (values: string[]) => [...new Set(values.filter(value => value !== ''))]
  if (known.length === 0) {
    // forgotten as a person; the log may still tell of what they did: another word of it is nobody
    const whom: Whom = {persons: [canonicalPerson(given)], owners: given.includes('#') ? [given] : [], subs: [], names: []}
    const names: unknown[] = []
    for await (const entry of naming(parts, whom)) {
      const {personal} = openEntry(entry)
      if (isTheirs(whom, entry)) names.push(personal.name ?? '')
      else if (isThem(whom, personal.person)) names.push('')
    }
    if (names.length === 0 || isNobody(whom)) throw strange
    return {...whom, names: distinct(names.filter(name => typeof name === 'string'))}
  }
  const whom: Whom = {
    persons: distinct(known.map(one => canonicalPerson(one.person))),
    owners: distinct(known.map(one => `${one.iss}#${one.sub}`)),
    subs: distinct(known.map(one => one.sub)),
    names: distinct(known.map(one => one.name)),
  }
  if (isNobody(whom)) throw strange
  return whom
}

/** What the log says for who is no person. */
const isNobody = ({persons}: Whom): boolean => persons.includes('broker') || persons.includes('nobody')

function refusal(code: 'DENIED' | 'SELF_ERASURE', message: string, subject: string, next = 'prod audit erase --show'): ProdError {
  return about(new ProdError(code, message, next), {type: 'erasure.refused', subject})
}

function eventOf(
  caller: Caller,
  type: string,
  {id, about: what, things, person: whom}: ErasureRecord,
  reason: string,
  personal: Record<string, unknown> = {},
): AuditEvent {
  return {
    type,
    by: person(caller),
    subject: id,
    correlation: caller.correlation,
    data: {about: what, things},
    personal: {name: caller.principal.name, reason, address: caller.address, ...(whom === null ? {} : {person: whom}), ...personal},
  }
}

function noticeOf(
  parts: Parts,
  caller: Caller,
  {id, things}: ErasureRecord,
  title: string,
  reason: string,
): NonNullable<Change['notices']>[number] {
  return {
    channels: [...parts.channels.keys()],
    notice: {
      id: parts.newId('ntc'),
      type: 'erasure.asked',
      at: parts.store.now().toISOString(),
      urgency: 'alert',
      title,
      principal: showName(caller.principal.name),
      target: things.length === 0 ? 'all that is kept of a person' : things.join(' '),
      risk: 'admin',
      digest: null,
      subject: id,
      reason: bounded(showLine(reason), {columns: reasonColumns}),
      next: `prod audit erase ${id} --reason …`,
    },
  }
}
