/** `prod forward` at the broker's end of the stream: decided as a run is, then open as long as its own stream, or until its right ends. */
import {Readable, Writable} from 'node:stream'
import type {Channel, Exit, TargetRef, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {FirstMessage} from '@prod/sdk/wire'
import {refuseFrozen, storedFreeze} from '../freeze/state.ts'
import {accessFor} from '../grants/access.ts'
import type {Caller, Parts} from '../parts.ts'
import {asRefused, createRequest} from '../requests/create.ts'
import {planFor} from '../requests/known.ts'
import {forwardSeconds, type Plan} from '../requests/plan.ts'
import {ofResolved} from '../requests/resolve.ts'
import type {Draft, RequestRecord} from '../requests/state.ts'
import {clearForUse} from '../requests/use.ts'
import {takeUpGlass} from '../runs/break-glass.ts'
import {reach} from '../runs/program.ts'
import {runOrLeave, runRequest} from '../runs/serve.ts'
import type {Stored} from '../stores/store.ts'
import {goLive} from '../streams/live.ts'
import type {Serving} from '../streams/serving.ts'
import {signedEnd, startedMessage} from './attach.ts'
import {checkAgain, keepReminding, refuseOtherPlace} from './breaking.ts'
import {Forward, forwardDetachSeconds} from './connections.ts'
import {endSession} from './end.ts'
import {recordOpened} from './opened.ts'
import type {SessionRecord} from './record.ts'

const nothing = {stdin: undefined, have: {stdout: 0, stderr: 0}}

/** Opens a forward: by policy, after an approval, or by breaking glass where that was asked for. */
export async function serveForward(serving: Serving, first: FirstMessage & {type: 'forward'}): Promise<void> {
  const {parts, caller} = serving
  const draft: Draft = {kind: 'forward', target: first.target, to: first.to, reason: first.reason, incident: first.incident ?? null}
  const plan = await asRefused(parts, draft, () => planFor(parts, caller(), draft))
  await serving.challenge()
  const glass = first.breakGlass ? await takeUpGlass(serving, plan, first.breakGlass.confirmed) : undefined
  const record = await createRequest(parts, caller(), {draft, key: first.key}, glass)
  return runOrLeave(serving, record, first.wait)
}

/** Opens the forward of an approved request: alerts first, where glass is broken; then session and review in one change. */
export async function openForward(serving: Serving, stored: Stored<RequestRecord>): Promise<void> {
  const {parts, set} = serving
  const caller = serving.caller()
  const request = stored.value
  const {plan} = await clearForUse(parts, caller, stored)
  if (request.breakGlass) await checkAgain(parts, caller, plan, request)
  const session = newSession(parts, caller, plan, stored, set.instance)
  const opened = await recordOpened(serving, stored, plan, session)
  if ('instead' in opened) return runRequest(serving, opened.instead, nothing)
  try {
    await goOn(serving, session, plan, request)
  } finally {
    opened.arrived()
  }
  // the right to it may have gone while it was being opened
  await set.endLost(caller.principal)
}

function newSession(parts: Parts, caller: Caller, plan: Plan, stored: Stored<RequestRecord>, instance: string): SessionRecord {
  const {target, draft} = plan
  if (!target || draft.kind !== 'forward') throw new Error('not a forward')
  const {breakGlass} = stored.value
  const now = parts.store.now()
  const ref: TargetRef = {name: target.name, address: target.address, environment: target.environment}
  return {
    id: parts.newId('ses'),
    kind: 'forward',
    to: draft.to,
    state: 'open',
    request: stored.id,
    principal: caller.principal,
    target: ref,
    reason: draft.reason,
    incident: draft.incident,
    breakGlass,
    openedAt: now.toISOString(),
    closedAt: null,
    expiresAt: new Date(now.getTime() + forwardSeconds(parts, plan, breakGlass) * 1000).toISOString(),
    exit: null,
    endedBy: null,
    chunks: 0,
    review: breakGlass ? parts.newId('rev') : null,
    alerted: breakGlass,
    instance,
    correlation: caller.correlation,
  }
}

/** The session is written: from here on it ends by its own end alone. */
async function goOn(serving: Serving, session: SessionRecord, plan: Plan, request: RequestRecord): Promise<void> {
  const {parts, set, link} = serving
  const {id, principal} = session
  const target = plan.target as NonNullable<Plan['target']>
  const uses = (session.to ?? []).map((to): Use => ({kind: 'forward', to}))
  const {primitive, where, given} = await (async () => {
    const {primitive, where} = reach(parts, target)
    if (!primitive.uses.includes('forward')) throw new ProdError('TARGET_INVALID', `${target.address} forwards no ports`, 'prod targets')
    const started = {id, request: session.request, principal, correlation: session.correlation, until: session.expiresAt}
    return {primitive, where, given: await accessFor(parts, plan, uses, started)}
  })().catch(async error => {
    await endSession(parts, session, {exit: {unknown: 'it did not open'}, endedBy: 'not opened'})
    throw error
  })

  const forward = new Forward(parts, session, (to, signal) =>
    primitive.open(where, {kind: 'forward', to}, given.access, AbortSignal.any([signal, set.stopping])).catch((error: unknown) => {
      throw ofResolved(error, plan)
    }),
  )
  const channel = heldOpen(forward)
  const live = goLive(id, principal, channel, {stdin: true, detachSeconds: forwardDetachSeconds})
  const endLater = (why: string): void => void live.end(why).catch(() => {})
  const limit = setTimeout(() => endLater('limit: time'), Date.parse(session.expiresAt) - Date.parse(session.openedAt))
  const stopFreezing = endWhenFrozen(parts, session, endLater)
  const stopReminding = request.breakGlass ? keepReminding(parts, session) : () => {}
  const ended = (async () => {
    const [exit, {endedBy}] = await Promise.all([channel.ended, live.read])
    clearTimeout(limit)
    stopFreezing()
    stopReminding()
    await given.end()
    await endSession(parts, session, {exit, endedBy, traffic: forward.traffic})
    live.finish(await signedEnd(parts, {id, exit, endedBy, stdoutBytes: 0}), null)
  })()
  ended.catch(error => parts.alarm('a session could not be closed in the store', {session: id, error: String(error)}))
  set.add({kind: 'session', live, request, address: serving.caller().address, ended, forward})
  live.attach(link, {stdout: 0, stderr: 0}, offsets => startedMessage(session, offsets))
}

/** The channel of a forward itself, through which nothing goes: it is over when its input ends, or when it is ended, with all connections. */
function heldOpen(forward: Forward): Channel {
  const {promise: ended, resolve} = Promise.withResolvers<Exit>()
  const stdout = new Readable({read() {}})
  let closing: Promise<Exit> | undefined
  const end = (why: string): Promise<Exit> => {
    closing ??= forward.end(why).then(() => {
      stdout.push(null)
      resolve({status: 0})
      return ended
    })
    return closing
  }
  return {
    stdin: new Writable({
      write: (_bytes, _encoding, done) => done(),
      final: done => {
        void end('closed')
        done()
      },
    }),
    stdout,
    stderr: Readable.from([]),
    resize() {},
    signal() {},
    end,
    ended,
    listen(hear) {
      forward.hear = hear
    },
  }
}

/** A freeze ends what is not break-glass: a way into production is no read (TM-F5). Returns what stops looking. */
function endWhenFrozen(parts: Parts, {breakGlass}: SessionRecord, end: (why: string) => void): () => void {
  if (breakGlass) return () => {}
  const look = async (): Promise<void> => {
    if (!(await storedFreeze(parts))?.value.on) return
    await refuseFrozen(parts, 'change').catch(() => end('frozen'))
  }
  const stop = parts.store.subscribe(changed => {
    if (changed.some(({kind, id}) => kind === 'meta' && id === 'freeze')) void look().catch(() => {})
  })
  // one that came between the start and now
  void look().catch(() => {})
  return stop
}

/** One more connection through an open forward of one's own, by the login that opened it, from where it was opened. */
export async function serveConnect(serving: Serving, first: FirstMessage & {type: 'connect'}): Promise<void> {
  const caller = serving.caller()
  const entry = await serving.set.findSoon(first.session)
  if (!entry?.forward || entry.request.login !== caller.login)
    throw new ProdError('SESSION_NOT_FOUND', `there is no open forward ${first.session}`, 'prod sessions ls')
  refuseOtherPlace(serving, entry.request, entry)
  // of all forwards of one person: each connection may hold a few windows of memory
  const {iss, sub} = caller.principal
  const mine = serving.set.all().filter(({live}) => live.principal.iss === iss && live.principal.sub === sub)
  const most = serving.parts.config.forward.connections
  if (mine.reduce((sum, {forward}) => sum + (forward?.size ?? 0), 0) >= most)
    throw new ProdError('LIMIT_REACHED', `${most} connections go through your forwards already`, 'end some, then try again')
  serving.countedElsewhere()
  await entry.forward.connect(serving.link, caller, first.to)
}

/** Takes up a connection whose link was cut. Throws SESSION_NOT_FOUND where it is over. */
export function attachConnection(serving: Serving, id: string, have: {stdout: number; stderr: number}): void {
  const {login} = serving.caller()
  for (const {forward, request, address} of serving.set.all()) {
    if (!forward || request.login !== login) continue
    refuseOtherPlace(serving, request, {address})
    if (!forward.reattach(serving.link, id, have)) continue
    serving.countedElsewhere()
    return
  }
  throw new ProdError('SESSION_NOT_FOUND', `the connection ${id} is over`, 'prod sessions ls')
}
