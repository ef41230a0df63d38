/** Sessions, recordings and reviews as people see them: each object asked for itself (TM-A6, E10). */
import {createHash} from 'node:crypto'
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {Review, Session} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {checkNote} from '@prod/sdk/reason'
import {chunkName} from '@prod/sdk/recorder'
import {about} from '../audit/refusals.ts'
import type {RoleEntry} from '../catalog/catalog.ts'
import {findTarget} from '../catalog/members.ts'
import {type GrantRecord, isOver} from '../grants/state.ts'
import type {Caller, Parts} from '../parts.ts'
import {person} from '../requests/create.ts'
import {ofRole} from '../requests/plan.ts'
import {samePerson} from '../requests/state.ts'
import {erasedWords, type RunRecord} from '../runs/record.ts'
import type {LiveSet} from '../streams/live-set.ts'
import {listChunks, putReview, type SessionRecord, showSession} from './record.ts'

/** Whether policy lets the caller do this to the session's target. One that left the catalog is still judged: its reviews and recordings stay. */
export function maySee(
  parts: Parts,
  caller: Caller,
  session: Pick<SessionRecord, 'target'>,
  action: 'watch' | 'review' | 'readRecording',
): boolean {
  const bundle = parts.bundle()
  const asked = {principal: caller.principal, groups: caller.groups, action, context: {}}
  if (session.target.address === ofRole(session.target.name).address) {
    const {name} = session.target
    const role = bundle.catalog.roles.get(name) ?? {...gone, name}
    return action === 'review' && bundle.ask({...asked, resource: {kind: 'role', role}}).decision === 'allow'
  }
  const target = findTarget(bundle.catalog, session.target.name) ?? {
    ...session.target,
    service: null,
    summary: '',
    labels: {},
    data: null,
    shellAs: null,
    forwards: [],
    role: null,
    offline: null,
  }
  return bundle.ask({...asked, resource: {kind: 'target', target}}).decision === 'allow'
}

/** what is left of a role that the catalog no longer has */
const gone: Omit<RoleEntry, 'name'> = {
  summary: '',
  provider: '',
  parameters: {},
  class: 'admin',
  service: null,
  maxSeconds: 0,
  approvals: 1,
  allows: [],
  reach: {},
}

function visible(parts: Parts, caller: Caller, session: SessionRecord): boolean {
  return (
    samePerson(caller.principal, session.principal) || maySee(parts, caller, session, 'watch') || maySee(parts, caller, session, 'review')
  )
}

async function findSession(parts: Parts, caller: Caller, id: string): Promise<SessionRecord> {
  const stored = await parts.store.find<SessionRecord>('session', id)
  if (!stored || !visible(parts, caller, stored.value))
    throw new ProdError('SESSION_NOT_FOUND', `there is no session ${id}`, 'prod sessions ls')
  return stored.value
}

/** The sessions that the caller may see, newest first: all their own of late, and others'. */
export async function listSessions(parts: Parts, caller: Caller): Promise<{sessions: Session[]}> {
  const asked = {kind: 'session', newest: true, limit: 200} as const
  const {iss, sub} = caller.principal
  const own = await parts.store.list<SessionRecord>({...asked, owner: `${iss}#${sub}`})
  const others = (await parts.store.list<SessionRecord>(asked)).filter(({id}) => !own.some(one => one.id === id))
  const found = [...own, ...others].map(one => one.value).filter(session => visible(parts, caller, session))
  return {sessions: found.sort((a, b) => (a.openedAt < b.openedAt ? 1 : -1)).map(showSession)}
}

/** One session. */
export async function oneSession(parts: Parts, caller: Caller, id: string): Promise<Session> {
  return showSession(await findSession(parts, caller, id))
}

const pageBytes = 4 * 1024 * 1024

/** Sealed chunks from a number on, each checked against its hash in the log; that they were read, or that it was tried, is recorded. */
export async function readRecording(
  parts: Parts,
  caller: Caller,
  {id, from = '0'}: {id: string; from?: string},
): Promise<{session: Session; chunks: string[]; next: number | null}> {
  const stored = await parts.store.find<SessionRecord>('session', id)
  if (!stored || !maySee(parts, caller, stored.value, 'readRecording')) {
    throw about(new ProdError('SESSION_NOT_FOUND', `there is no session ${id}`, 'prod sessions ls'), {
      type: 'recording.refused',
      subject: id,
    })
  }
  if (stored.value.kind === 'forward')
    throw new ProdError(
      'NOT_FOUND',
      `of the forward ${id} its connections are written down, and nothing is recorded`,
      `prod audit search ${id}`,
    )
  if (stored.value.erased)
    throw new ProdError('NOT_FOUND', `the recording of ${id} ${erasedWords(stored.value.erased)}`, `prod audit search --subject ${id}`)
  const first = Number(from)
  const {chunks, next} = await readSealed(parts, join('recordings', id), id, await listChunks(parts, id), first)
  await parts.store.commit({
    events: [
      {
        type: 'recording.read',
        by: person(caller),
        subject: id,
        correlation: caller.correlation,
        data: {from: first, chunks: chunks.length},
        personal: {name: caller.principal.name},
      },
    ],
  })
  return {session: showSession(stored.value), chunks, next}
}

/** Some sealed chunks from a number on, each checked against its hash in the log. */
export async function readSealed(
  parts: Parts,
  folder: string,
  id: string,
  hashes: readonly string[],
  first: number,
): Promise<{chunks: string[]; next: number | null}> {
  const chunks: string[] = []
  let bytes = 0
  let number = first
  for (; number < hashes.length && bytes < pageBytes; number++) {
    const file = await readFile(join(parts.config.dir, folder, chunkName(number))).catch(() => undefined)
    if (!file || createHash('sha256').update(file).digest('hex') !== hashes[number]) {
      parts.alarm('a recording is missing or was altered', {session: id, chunk: number})
      throw new ProdError(
        'NOT_FOUND',
        `chunk ${number} of the recording of ${id} is missing or was altered`,
        'tell whoever runs the broker',
      )
    }
    bytes += file.byteLength
    chunks.push(file.toString('base64'))
  }
  return {chunks, next: number < hashes.length ? number : null}
}

/** Ends a live session: its owner, or whoever may watch it. */
export async function endLiveSession(
  parts: Parts,
  set: LiveSet,
  caller: Caller,
  {id, note}: {id: string; note?: string},
): Promise<Session> {
  const session = await findSession(parts, caller, id)
  const entry = set.find(id)
  if (!entry) throw new ProdError('ALREADY_DECIDED', `session ${id} is over`, `prod sessions play ${id}`)
  if (!samePerson(caller.principal, session.principal) && !maySee(parts, caller, session, 'watch'))
    throw new ProdError('DENIED', 'policy does not let you end this session', 'prod sessions ls')
  await parts.store.commit({
    events: [
      {
        type: 'session.end-asked',
        by: person(caller),
        subject: id,
        correlation: caller.correlation,
        personal: {name: caller.principal.name, ...(note === undefined ? {} : {note})},
      },
    ],
  })
  await entry.live.end(`ended by ${caller.principal.name}`)
  await entry.ended
  return oneSession(parts, caller, id)
}

/** Reviews: one's own, and those one may file. Open ones first. */
export async function listReviews(parts: Parts, caller: Caller): Promise<{reviews: Review[]}> {
  const found = [
    ...(await parts.store.list<Review>({kind: 'review', state: 'open', limit: 200})),
    ...(await parts.store.list<Review>({kind: 'review', state: 'done', newest: true, limit: 100})),
  ]
  return {
    reviews: found
      .map(one => one.value)
      .filter(review => samePerson(caller.principal, review.principal) || maySee(parts, caller, review, 'review')),
  }
}

/** Files a review: by somebody else than who broke glass, once, in words, and of a session or run that is over. Throws SELF_REVIEW, REVIEW_NOT_FOUND, ALREADY_DECIDED. */
export async function doneReview(
  parts: Parts,
  caller: Caller,
  {id, verdict, note}: {id: string; verdict: 'ok' | 'follow-up' | 'violation'; note: string},
): Promise<Review> {
  const stored = await parts.store.find<Review>('review', id)
  const own = stored !== undefined && samePerson(caller.principal, stored.value.principal)
  if (!stored || !(own || maySee(parts, caller, stored.value, 'review')))
    throw new ProdError('REVIEW_NOT_FOUND', `there is no review ${id}`, 'prod review ls')
  if (own)
    throw about(new ProdError('SELF_REVIEW', 'nobody reviews their own break-glass', 'ask security'), {type: 'review.refused', subject: id})
  if (caller.principal.person === '')
    throw new ProdError('SELF_REVIEW', 'your login has no person id, so nobody can tell whether it is your own', 'ask security')
  checkNote(note)
  const {session: of} = stored.value
  if (of.startsWith('run_')) {
    if ((await parts.store.find<RunRecord>('run', of))?.value.state === 'started')
      throw new ProdError('BAD_REQUEST', `${of} still runs`, `prod sessions end ${of}`)
  } else if (of.startsWith('grant_')) {
    const grant = (await parts.store.find<GrantRecord>('grant', of))?.value
    if (grant && !isOver(grant)) throw new ProdError('BAD_REQUEST', `grant ${of} still lives`, `prod grant revoke ${of}`)
  } else if ((await parts.store.find<SessionRecord>('session', of))?.value.state === 'open')
    throw new ProdError('BAD_REQUEST', `session ${of} is still open`, `prod sessions watch ${of}`)
  const done: Review = {...stored.value, state: 'done', doneAt: parts.store.now().toISOString(), by: caller.principal, verdict, note}
  const saved =
    stored.value.state === 'open' &&
    (
      await parts.store.commit({
        put: [putReview(done, stored.version)],
        events: [
          {
            type: 'review.done',
            by: person(caller),
            subject: id,
            correlation: caller.correlation,
            data: {session: done.session, verdict},
            personal: {name: caller.principal.name, note},
          },
        ],
      })
    ).ok
  if (!saved) throw new ProdError('ALREADY_DECIDED', `review ${id} is done already`, 'prod review ls')
  return done
}
