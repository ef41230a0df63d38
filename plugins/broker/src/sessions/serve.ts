/** `prod shell` at the broker's end of the stream: asked, confirmed, alerted, recorded, then opened. */
import {join} from 'node:path'
import type {Channel, Limits, Review, TargetRef} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {type FirstMessage, frame, type ServerMessage} from '@prod/sdk/wire'
import type {Parts} from '../parts.ts'
import {decideUse} from '../policy/decide.ts'
import {createRequest, judge, person, putRequest} from '../requests/create.ts'
import {makePlan, type Plan, question} from '../requests/plan.ts'
import type {Draft, RequestRecord} from '../requests/state.ts'
import {clearForUse} from '../requests/use.ts'
import {reach} from '../runs/program.ts'
import {endFrame} from '../runs/receipt.ts'
import {runRequest} from '../runs/serve.ts'
import type {Stored} from '../stores/store.ts'
import {goLive} from '../streams/live.ts'
import type {Serving} from '../streams/serve.ts'
import {breakGlassAnswer, breakGlassNotice, checkBreakGlass, raiseAlerts} from './break-glass.ts'
import {endSession} from './end.ts'
import {putReview, putSession, type SessionRecord} from './record.ts'
import {openRecorder} from './recorder.ts'

const shellDetachSeconds = 15
const reminderMinutes = 15
const terminals = new WeakMap<object, {size: {columns: number; rows: number}; term: string}>()

/** Opens a shell: by policy or an approval where it says so, else break-glass. */
export async function serveShell(serving: Serving, first: FirstMessage & {type: 'shell'}): Promise<void> {
  const {parts, link, caller} = serving
  const draft: Draft = {kind: 'shell', target: first.target, reason: first.reason, incident: first.incident ?? null}
  const plan = makePlan(parts.bundle(), draft)
  await serving.challenge()
  terminals.set(link, {size: first.size, term: first.term})
  const decided = decideUse(parts.bundle(), question(plan, caller()), 'shell')
  const forbidden = decided.decision === 'deny' && decided.why === 'forbidden'
  let record: RequestRecord
  if (decided.decision !== 'deny' || forbidden || breakGlassAnswer(parts.bundle(), plan, caller()).decision !== 'allow') {
    if (decided.decision === 'deny') await judge(parts, caller(), parts.bundle(), plan) // records the refusal and throws
    record = await createRequest(parts, caller(), {draft, key: first.key})
  } else {
    const secondPerson = await checkBreakGlass(parts, caller(), plan)
    await confirm(serving, plan, first.confirmed)
    record = await createRequest(parts, caller(), {draft, key: first.key}, {secondPerson})
  }
  if (record.state === 'pending' && !first.wait) {
    link.send({type: 'pending', request: record.id})
    link.close()
    return
  }
  return runRequest(serving, record.id, {stdin: undefined, have: {stdout: 0, stderr: 0}})
}

/** The lines that stand above a break-glass shell for as long as it lasts. */
export function banner(plan: Plan): string[] {
  return [
    `BREAK-GLASS on ${plan.target?.name} (${plan.environment})`,
    'Everything you type and see is recorded, security is told, and somebody else will review it.',
  ]
}

async function confirm({parts, link, caller}: Serving, plan: Plan, given: string | null): Promise<void> {
  const wanted = plan.target?.name ?? ''
  const typed =
    given ??
    (await new Promise<string>((resolve, reject) => {
      link.onMessage = message => {
        if (message.type === 'confirmed') resolve(message.text)
        else if (message.type === 'cancel') reject(new ProdError('REQUEST_CANCELLED', 'cancelled before it was opened'))
      }
      void link.closed.then(() => reject(new ProdError('LINK_LOST', 'the link was cut')))
      link.send({type: 'confirm', text: wanted, banner: banner(plan)})
    }))
  const ok = typed === wanted
  await parts.store.commit({
    events: [
      {
        type: ok ? 'break-glass.confirmed' : 'break-glass.refused',
        by: person(caller()),
        subject: wanted,
        correlation: caller().correlation,
        data: {why: ok ? null : 'confirmation', incident: plan.draft.incident},
        personal: {name: caller().principal.name, reason: plan.draft.reason, address: caller().address},
      },
    ],
  })
  if (!ok) throw new ProdError('CONFIRMATION_FAILED', `what was typed is not ${wanted}`, `prod shell ${wanted} …`)
}

/** Opens the shell of an approved request: alerts first, then session and review in one change, then the recording, then the terminal. */
export async function openShell(serving: Serving, stored: Stored<RequestRecord>): Promise<void> {
  const {parts, set, link} = serving
  const caller = serving.caller()
  const terminal = terminals.get(link) ?? {size: {columns: 80, rows: 24}, term: 'xterm-256color'}
  const {plan} = await clearForUse(parts, caller, stored)
  const target = plan.target
  if (!target) throw new Error('not a shell')
  if (stored.value.breakGlass) await checkBreakGlass(parts, caller, plan)

  const id = parts.newId('ses')
  let alerted: string[] = []
  if (stored.value.breakGlass) {
    link.send({type: 'notice', text: `alerting ${parts.config.alertChannels.join(' and ')}`})
    const gone = new AbortController()
    void link.closed.then(() => gone.abort())
    alerted = await raiseAlerts(parts, breakGlassNotice(parts, plan, caller, id, 'break-glass.started'), gone.signal)
  }

  const now = parts.store.now()
  const expiresAt = new Date(now.getTime() + parts.config.breakGlass.maxSeconds * 1000).toISOString()
  const ref: TargetRef = {name: target.name, address: target.address, environment: target.environment}
  const review: Review | null = stored.value.breakGlass
    ? {
        id: parts.newId('rev'),
        state: 'open',
        session: id,
        principal: caller.principal,
        target: ref,
        createdAt: now.toISOString(),
        dueAt: new Date(now.getTime() + parts.config.breakGlass.reviewDueHours * 3_600_000).toISOString(),
        doneAt: null,
        by: null,
        verdict: null,
        note: null,
      }
    : null
  const session: SessionRecord = {
    id,
    state: 'open',
    request: stored.id,
    principal: caller.principal,
    target: ref,
    reason: plan.draft.reason,
    incident: plan.draft.incident,
    breakGlass: stored.value.breakGlass,
    openedAt: now.toISOString(),
    closedAt: null,
    expiresAt,
    exit: null,
    endedBy: null,
    chunks: 0,
    review: review?.id ?? null,
    alerted: alerted.length > 0,
    instance: set.instance,
    correlation: caller.correlation,
    ...terminal.size,
  }
  const saved = await parts.store.commit({
    put: [putRequest({...stored.value, state: 'started', result: id}, stored.version), putSession(session, 0), ...(review ? [putReview(review, 0)] : [])],
    events: [
      {
        type: 'session.opened',
        by: person(caller),
        subject: id,
        correlation: caller.correlation,
        data: {request: stored.id, target: target.name, environment: target.environment, breakGlass: session.breakGlass, incident: session.incident, alerted, review: review?.id ?? null, expiresAt, digest: stored.value.digest},
        personal: {name: caller.principal.name, reason: session.reason, address: caller.address},
      },
    ],
  })
  if (!saved.ok) return runRequest(serving, stored.id, {stdin: undefined, have: {stdout: 0, stderr: 0}})

  let channel: Channel
  let recorder: Awaited<ReturnType<typeof openRecorder>> | undefined
  try {
    recorder = await openRecorder({
      id,
      folder: join(parts.config.dir, 'recordings', id),
      recipients: parts.config.recordingRecipients,
      startedAt: now,
      ...terminal.size,
      title: `${target.name} by ${caller.principal.name}`,
      sealed: async chunk => {
        await parts.store.commit({events: [{type: 'session.recorded', by: 'broker', subject: id, data: {...chunk}}]})
      },
    })
    const {primitive, where} = reach(parts, target)
    channel = await primitive.open(
      where,
      {
        kind: 'shell',
        size: terminal.size,
        env: {TERM: terminal.term, PROD_SESSION: id},
        limits: shellLimits(parts),
        ...(target.shellAs === null ? {} : {runAs: target.shellAs}),
      },
      {id, principal: person(caller), credential: {}},
      set.stopping,
    )
  } catch (error) {
    await recorder?.close().catch(() => {})
    await endSession(parts, session, {unknown: 'it did not open'}, 'not opened', [])
    throw error instanceof ProdError ? error : new ProdError('STORE_UNAVAILABLE', 'it cannot be recorded, so nothing was opened', 'prod doctor', {cause: error})
  }

  const recording = recorder
  const live = goLive(id, caller.principal, channel, {
    stdin: true,
    detachSeconds: shellDetachSeconds,
    output: (_stream, bytes) => recording.write('stdout', bytes),
    input: bytes => recording.write('stdin', bytes),
    resized: size => {
      const bytes = Buffer.from(JSON.stringify(size))
      for (const look of live.onlookers) look('resize', bytes)
      return recording.write('resize', bytes)
    },
  })
  recording.lost.catch(() => void live.end('recording lost').catch(() => {}))
  const timer = setTimeout(() => void live.end('limit: time').catch(() => {}), parts.config.breakGlass.maxSeconds * 1000)
  const reminder = setInterval(() => remind(parts, plan, caller, id), reminderMinutes * 60_000)
  const ended = (async () => {
    const [exit, {stdout, endedBy}] = await Promise.all([channel.ended, live.read])
    clearTimeout(timer)
    clearInterval(reminder)
    const chunks = await recording.close().catch(() => [])
    const notices = session.breakGlass ? [{channels: parts.config.alertChannels, notice: breakGlassNotice(parts, plan, caller, id, 'break-glass.ended')}] : []
    await endSession(parts, session, exit, endedBy, chunks, notices)
    live.finish(await endFrame(parts.keys, {id, exit, endedBy, stdoutBytes: stdout.bytes, stderrBytes: 0, iat: Math.floor(parts.store.now().getTime() / 1000)}), null)
  })()
  ended.catch(error => parts.alarm('a session could not be closed in the store', {session: id, error: String(error)}))
  set.add({kind: 'session', live, request: stored.value, address: caller.address, ended})
  live.attach(link, {stdout: 0, stderr: 0}, offsets => startedMessage(session, offsets, session.breakGlass ? banner(plan) : []))
}

function remind(parts: Parts, plan: Plan, caller: {principal: SessionRecord['principal']}, id: string): void {
  void parts.store
    .commit({
      events: [{type: 'break-glass.goes-on', by: 'broker', subject: id}],
      notices: [{channels: parts.config.alertChannels, notice: breakGlassNotice(parts, plan, caller, id, 'break-glass.goes-on')}],
    })
    .catch(() => {})
}

/** A person works here, not a program: wide bounds that still keep one shell from taking the machine down. */
function shellLimits(parts: Parts): Limits {
  return {
    wallSeconds: parts.config.breakGlass.maxSeconds,
    cpuSeconds: parts.config.breakGlass.maxSeconds,
    memoryBytes: 8 * 1024 ** 3,
    processes: 1024,
    fileBytes: 64 * 1024 ** 3,
    outputBytes: Number.MAX_SAFE_INTEGER,
  }
}

function startedMessage(session: SessionRecord, offsets: {stdout: number; stderr: number}, lines: string[]): ServerMessage {
  return {
    type: 'started',
    id: session.id,
    request: session.request,
    target: session.target.name,
    environment: session.target.environment,
    correlation: session.correlation,
    ...offsets,
    banner: lines,
    expiresAt: session.expiresAt,
  }
}

/** Takes up a live session again, within its 15 seconds. */
export async function attachSession({parts, set, link, caller}: Serving, id: string, have: {stdout: number; stderr: number}): Promise<void> {
  const stored = await parts.store.find<SessionRecord>('session', id)
  const {iss, sub} = caller().principal
  if (!stored || stored.value.principal.iss !== iss || stored.value.principal.sub !== sub) throw new ProdError('SESSION_NOT_FOUND', `there is no session ${id}`, 'prod sessions ls')
  const session = stored.value
  const entry = set.find(id)
  if (entry) {
    entry.live.attach(link, have, offsets => startedMessage(session, offsets, []))
    return
  }
  if (session.state !== 'closed') throw new ProdError('OUTCOME_UNKNOWN', `session ${id} is not on this broker`, `prod attach ${id}`)
  link.send(startedMessage(session, {stdout: have.stdout, stderr: 0}, []))
  link.sendFrame(
    frame.end,
    Buffer.from(await endFrame(parts.keys, {id, exit: session.exit ?? {unknown: 'no end record'}, endedBy: session.endedBy, stdoutBytes: have.stdout, stderrBytes: 0, iat: Math.floor(parts.store.now().getTime() / 1000)})),
  )
}
