/** Sessions, recordings and reviews as people see them: each object asked for itself (TM-A6, E10). */
import {createHash} from 'node:crypto'
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {Review, Session} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {about} from '../audit/refusals.ts'
import type {Caller, Parts} from '../parts.ts'
import {person} from '../requests/create.ts'
import {samePerson} from '../requests/state.ts'
import type {LiveSet} from '../streams/live-set.ts'
import {putReview, type SessionRecord, showSession} from './record.ts'
import {chunkName} from './recorder.ts'

/** Whether policy lets the caller do this to the session's target. */
export function maySee(parts: Parts, caller: Caller, session: Pick<SessionRecord, 'target'>, action: 'watch' | 'review' | 'readRecording'): boolean {
  const bundle = parts.bundle()
  const target = bundle.catalog.targets.get(session.target.name)
  if (!target) return false
  return bundle.ask({principal: caller.principal, groups: caller.groups, action, resource: {kind: 'target', target}, context: {}}).decision === 'allow'
}

function visible(parts: Parts, caller: Caller, session: SessionRecord): boolean {
  return samePerson(caller.principal, session.principal) || maySee(parts, caller, session, 'watch') || maySee(parts, caller, session, 'review')
}

async function findSession(parts: Parts, caller: Caller, id: string): Promise<SessionRecord> {
  const stored = await parts.store.find<SessionRecord>('session', id)
  if (!stored || !visible(parts, caller, stored.value)) throw new ProdError('SESSION_NOT_FOUND', `there is no session ${id}`, 'prod sessions ls')
  return stored.value
}

/** The sessions that the caller may see, newest first. */
export async function listSessions(parts: Parts, caller: Caller): Promise<{sessions: Session[]}> {
  const found = await parts.store.list<SessionRecord>({kind: 'session', newest: true, limit: 200})
  return {sessions: found.map(one => one.value).filter(session => visible(parts, caller, session)).map(showSession)}
}

/** One session. */
export async function oneSession(parts: Parts, caller: Caller, id: string): Promise<Session> {
  return showSession(await findSession(parts, caller, id))
}

/** The sealed chunks, each checked against the hash in the log; that they were read is recorded. */
export async function readRecording(parts: Parts, caller: Caller, id: string): Promise<{session: Session; chunks: string[]}> {
  const stored = await parts.store.find<SessionRecord>('session', id)
  if (!stored || !maySee(parts, caller, stored.value, 'readRecording')) {
    throw about(new ProdError('SESSION_NOT_FOUND', `there is no session ${id}`, 'prod sessions ls'), {type: 'recording.refused', subject: id})
  }
  const hashes = (await parts.store.entries({from: 0, limit: 1_000_000, type: 'session.recorded', subject: id})).map(({envelope}) => (JSON.parse(envelope) as {data: {sha256: string}}).data.sha256)
  const chunks: string[] = []
  for (const [number, sha256] of hashes.entries()) {
    const bytes = await readFile(join(parts.config.dir, 'recordings', id, chunkName(number))).catch(() => undefined)
    if (!bytes || createHash('sha256').update(bytes).digest('hex') !== sha256) {
      parts.alarm('a recording is missing or was altered', {session: id, chunk: number})
      throw new ProdError('NOT_FOUND', `chunk ${number} of the recording of ${id} is missing or was altered`, 'tell whoever runs the broker')
    }
    chunks.push(bytes.toString('base64'))
  }
  await parts.store.commit({events: [{type: 'recording.read', by: person(caller), subject: id, correlation: caller.correlation, data: {chunks: chunks.length}, personal: {name: caller.principal.name}}]})
  return {session: showSession(stored.value), chunks}
}

/** Ends a live session: its owner, or whoever may watch it. */
export async function endLiveSession(parts: Parts, set: LiveSet, caller: Caller, {id, note}: {id: string; note?: string}): Promise<Session> {
  const session = await findSession(parts, caller, id)
  const entry = set.find(id)
  if (!entry) throw new ProdError('ALREADY_DECIDED', `session ${id} is over`, `prod sessions play ${id}`)
  if (!samePerson(caller.principal, session.principal) && !maySee(parts, caller, session, 'watch')) throw new ProdError('DENIED', 'policy does not let you end this session', 'prod sessions ls')
  await parts.store.commit({
    events: [{type: 'session.end-asked', by: person(caller), subject: id, correlation: caller.correlation, personal: {name: caller.principal.name, ...(note === undefined ? {} : {note})}}],
  })
  await entry.live.end(`revoked by ${caller.principal.name}`)
  await entry.ended
  return oneSession(parts, caller, id)
}

/** Reviews: one's own, and those one may file. Open ones first. */
export async function listReviews(parts: Parts, caller: Caller): Promise<{reviews: Review[]}> {
  const found = [...(await parts.store.list<Review>({kind: 'review', state: 'open', limit: 200})), ...(await parts.store.list<Review>({kind: 'review', state: 'done', newest: true, limit: 100}))]
  return {reviews: found.map(one => one.value).filter(review => samePerson(caller.principal, review.principal) || maySee(parts, caller, review, 'review'))}
}

/** Files a review: by somebody else than who broke glass, once, in words. Throws SELF_REVIEW, REVIEW_NOT_FOUND, ALREADY_DECIDED. */
export async function doneReview(parts: Parts, caller: Caller, {id, verdict, note}: {id: string; verdict: 'ok' | 'follow-up' | 'violation'; note: string}): Promise<Review> {
  const stored = await parts.store.find<Review>('review', id)
  const own = stored !== undefined && samePerson(caller.principal, stored.value.principal)
  if (!stored || !(own || maySee(parts, caller, stored.value, 'review'))) throw new ProdError('REVIEW_NOT_FOUND', `there is no review ${id}`, 'prod review ls')
  if (own) {
    await parts.store.commit({events: [{type: 'review.self-refused', by: person(caller), subject: id, correlation: caller.correlation, personal: {name: caller.principal.name}}]})
    throw new ProdError('SELF_REVIEW', 'nobody reviews their own break-glass', 'ask security')
  }
  if (note.trim().length < 10) throw new ProdError('REASON_INVALID', 'a review says in at least 10 characters what was found', `prod review done ${id} --note "…"`)
  const done: Review = {...stored.value, state: 'done', doneAt: parts.store.now().toISOString(), by: caller.principal, verdict, note}
  const saved =
    stored.value.state === 'open' &&
    (
      await parts.store.commit({
        put: [putReview(done, stored.version)],
        events: [{type: 'review.done', by: person(caller), subject: id, correlation: caller.correlation, data: {session: done.session, verdict}, personal: {name: caller.principal.name, note}}],
      })
    ).ok
  if (!saved) throw new ProdError('ALREADY_DECIDED', `review ${id} is done already`, 'prod review ls')
  return done
}
