/** `prod shell` at the broker's end of the stream: asked, confirmed, alerted, recorded, then opened. */
import {join} from 'node:path'
import type {Channel, Limits, TargetRef, TerminalSize, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {openRecorder, type Recorder} from '@prod/sdk/recorder'
import type {FirstMessage} from '@prod/sdk/wire'
import {showFreeze, storedFreeze} from '../freeze/state.ts'
import {accessFor, type UseAccess} from '../grants/access.ts'
import type {Parts} from '../parts.ts'
import {decideUse} from '../policy/decide.ts'
import {asRefused, createRequest, judge} from '../requests/create.ts'
import {planFor} from '../requests/known.ts'
import {type Plan, question} from '../requests/plan.ts'
import {ofResolved} from '../requests/resolve.ts'
import type {Draft, RequestRecord} from '../requests/state.ts'
import {clearForUse} from '../requests/use.ts'
import {reach} from '../runs/program.ts'
import {runOrLeave, runRequest} from '../runs/serve.ts'
import type {Stored} from '../stores/store.ts'
import {goLive} from '../streams/live.ts'
import type {Serving} from '../streams/serving.ts'
import {signedEnd, startedMessage} from './attach.ts'
import {breakGlassAnswer, checkBreakGlass} from './break-glass.ts'
import {checkAgain, confirmTarget, keepReminding} from './breaking.ts'
import {endSession} from './end.ts'
import {recordOpened} from './opened.ts'
import type {SessionRecord} from './record.ts'

const shellDetachSeconds = 15
/** what a link said of its terminal, until the shell opens */
const terminals = new WeakMap<object, {size: TerminalSize; term: string}>()

/** Opens a shell: by policy or an approval where it says so, else break-glass. */
export async function serveShell(serving: Serving, first: FirstMessage & {type: 'shell'}): Promise<void> {
  const {parts, link, caller} = serving
  const draft: Draft = {kind: 'shell', target: first.target, reason: first.reason, incident: first.incident ?? null}
  const plan = await asRefused(parts, draft, () => planFor(parts, caller(), draft))
  await serving.challenge()
  terminals.set(link, {size: first.size, term: first.term})
  const decided = decideUse(parts.bundle(), question(plan, caller()), 'shell')
  // through a freeze leads break-glass alone
  const frozen = showFreeze((await storedFreeze(parts))?.value, parts.store.now()) !== null
  let record: RequestRecord
  if ((decided.decision !== 'deny' && !frozen) || breakGlassAnswer(parts.bundle(), plan, caller()).decision !== 'allow') {
    if (decided.decision === 'deny') judge(parts, caller(), parts.bundle(), plan) // throws
    record = await createRequest(parts, caller(), {draft, key: first.key})
  } else {
    const hindrance = await checkBreakGlass(parts, caller(), plan)
    await confirmTarget(serving, plan, first.confirmed)
    record = await createRequest(parts, caller(), {draft, key: first.key}, {secondPerson: hindrance?.why ?? null})
  }
  return runOrLeave(serving, record, first.wait)
}

/** Opens the shell of an approved request: alerts first, then session and review in one change, then the recording, then the terminal. */
export async function openShell(serving: Serving, stored: Stored<RequestRecord>): Promise<void> {
  const {parts, set, link} = serving
  const caller = serving.caller()
  const request = stored.value
  const terminal = terminals.get(link) ?? {size: {columns: 80, rows: 24}, term: 'xterm-256color'}
  const {plan} = await clearForUse(parts, caller, stored)
  const target = plan.target
  if (!target) throw new Error('not a shell')
  if (request.breakGlass) await checkAgain(parts, caller, plan, request)

  const now = parts.store.now()
  const {maxSeconds} = parts.config.breakGlass
  const ref: TargetRef = {name: target.name, address: target.address, environment: target.environment}
  const session: SessionRecord = {
    id: parts.newId('ses'),
    state: 'open',
    request: stored.id,
    principal: caller.principal,
    target: ref,
    reason: plan.draft.reason,
    incident: plan.draft.incident,
    breakGlass: request.breakGlass,
    openedAt: now.toISOString(),
    closedAt: null,
    expiresAt: new Date(now.getTime() + maxSeconds * 1000).toISOString(),
    exit: null,
    endedBy: null,
    chunks: 0,
    review: request.breakGlass ? parts.newId('rev') : null,
    alerted: request.breakGlass,
    instance: set.instance,
    correlation: caller.correlation,
    ...terminal.size,
  }
  const opened = await recordOpened(serving, stored, plan, session)
  if ('instead' in opened) return runRequest(serving, opened.instead, {stdin: undefined, have: {stdout: 0, stderr: 0}})
  const {arrived} = opened

  const {channel, recorder, given} = await openRecorded(serving, session, plan, terminal).catch(error => {
    arrived()
    throw error
  })
  const live = goLive(session.id, caller.principal, channel, {
    stdin: true,
    detachSeconds: shellDetachSeconds,
    output: (_stream, bytes) => recorder.write('stdout', bytes),
    input: bytes => recorder.write('stdin', bytes),
    resized: size => {
      const bytes = Buffer.from(JSON.stringify(size))
      for (const look of live.onlookers) look('resize', bytes)
      return recorder.write('resize', bytes)
    },
  })
  recorder.lost.catch(error => {
    parts.alarm('the recording of a session was lost, so it was ended', {session: session.id, error: String(error)})
    void live.end('recording lost').catch(() => {})
  })
  const limit = setTimeout(() => void live.end('limit: time').catch(() => {}), maxSeconds * 1000)
  const stopReminding = request.breakGlass ? keepReminding(parts, session) : () => {}
  const ended = (async () => {
    const [exit, {stdout, endedBy}] = await Promise.all([channel.ended, live.read])
    clearTimeout(limit)
    stopReminding()
    const why = await recorder.close().then(
      () => endedBy,
      () => 'recording lost',
    )
    await endSession(parts, session, {exit, endedBy: why, stdoutBytes: stdout.bytes})
    live.finish(await signedEnd(parts, {id: session.id, exit, endedBy: why, stdoutBytes: stdout.bytes}), null)
  })().finally(() => given.end())
  ended.catch(error => parts.alarm('a session could not be closed in the store', {session: session.id, error: String(error)}))
  set.add({kind: 'session', live, request, address: caller.address, ended})
  live.attach(link, {stdout: 0, stderr: 0}, offsets => startedMessage(session, offsets))
  // the right to it may have gone while it was being opened
  await set.endLost(caller.principal)
}

/** Recording first, then the terminal. Where either fails nothing stays open, and the session is closed. */
async function openRecorded(
  {parts, set}: Serving,
  session: SessionRecord,
  plan: Plan,
  terminal: {size: TerminalSize; term: string},
): Promise<{channel: Channel; recorder: Recorder; given: UseAccess}> {
  const {id, principal} = session
  const target = plan.target as NonNullable<Plan['target']>
  let recorder: Recorder | undefined
  let given: UseAccess | undefined
  try {
    recorder = await openRecorder({
      id,
      folder: join(parts.config.dir, 'recordings', id),
      recipients: parts.config.recordingRecipients,
      startedAt: new Date(session.openedAt),
      ...terminal.size,
      title: `${target.name} by ${principal.name}`,
      sealed: async chunk => {
        await parts.store.commit({events: [{type: 'session.recorded', by: 'broker', subject: id, data: {...chunk}}]})
      },
    })
    const {primitive, where} = reach(parts, target)
    const mark = session.breakGlass ? `[BREAK-GLASS ${target.name}]` : `[prod ${target.name}]`
    const use: Use = {
      kind: 'shell',
      size: terminal.size,
      env: {TERM: terminal.term, PS1: `${mark} \\u@\\h:\\w\\$ `},
      limits: shellLimits(parts),
      ...(target.shellAs === null ? {} : {runAs: target.shellAs}),
    }
    const {request, correlation, expiresAt: until} = session
    given = await accessFor(parts, plan, use, {id, request, principal, correlation, until})
    return {channel: await primitive.open(where, use, given.access, set.stopping), recorder, given}
  } catch (error) {
    const recorded =
      recorder &&
      (await recorder.close().then(
        () => true,
        () => false,
      ))
    if (!recorded) parts.alarm('a session could not be recorded, so it was not opened', {session: id, error: String(error)})
    await endSession(parts, session, {exit: {unknown: 'it did not open'}, endedBy: recorded ? 'not opened' : 'recording lost'})
    await given?.end()
    if (error instanceof ProdError) throw ofResolved(error, plan)
    if (!recorded) throw new ProdError('STORE_UNAVAILABLE', 'it cannot be recorded, so nothing was opened', 'prod doctor', {cause: error})
    throw new ProdError('TARGET_UNREACHABLE', `${target.name} cannot be reached`, 'prod doctor', {cause: error})
  }
}

/** A person works here, not a program: wide bounds that still keep one shell from taking the machine down. */
function shellLimits(parts: Parts): Limits {
  return {
    // the session's own end comes first and says why; this one is for a broker that is no more
    wallSeconds: parts.config.breakGlass.maxSeconds + 5,
    cpuSeconds: parts.config.breakGlass.maxSeconds,
    memoryBytes: 8 * 1024 ** 3,
    processes: 1024,
    fileBytes: 64 * 1024 ** 3,
    outputBytes: Number.MAX_SAFE_INTEGER,
  }
}
