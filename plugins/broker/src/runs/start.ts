/** From an approved request to a running program: start record first, durable; then the child (TM-E4, E5, N2). */
import {rm} from 'node:fs/promises'
import {join} from 'node:path'
import type {Channel, Exit, Receipt, TargetRef, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {openRecorder, type RecorderOptions, type SealedChunk} from '@prod/sdk/recorder'
import {accessFor, type UseAccess} from '../grants/access.ts'
import type {Caller, Parts} from '../parts.ts'
import {person, putRequest, refuseDraining} from '../requests/create.ts'
import type {Plan} from '../requests/plan.ts'
import {ofResolved} from '../requests/resolve.ts'
import type {RequestRecord} from '../requests/state.ts'
import {type Cleared, clearForUse} from '../requests/use.ts'
import {checkAgain, keepReminding, loudly, newReview, sayBeyond} from '../sessions/breaking.ts'
import {putReview} from '../sessions/record.ts'
import type {Put, Stored} from '../stores/store.ts'
import {goLive, type Live} from '../streams/live.ts'
import type {LiveSet} from '../streams/live-set.ts'
import {endRun} from './end.ts'
import {countStart, inLine, isCounted} from './limits.ts'
import {reserveOutput} from './output-budget.ts'
import {namedPaths, reach} from './program.ts'
import {endFrame, makeReceipt} from './receipt.ts'
import {putRun, type RunRecord} from './record.ts'
import {type RedactedChannel, redacted} from './redact.ts'
import {keepDays} from './retention.ts'

/** most of a run's output that is kept, whatever it may put out */
const maxStoredBytes = 10 * 1024 * 1024
const unrecordedSeconds = 20
/** how long after its wall time a run has been ended for certain */
const graceSeconds = 60

/** What is started: the record and the live channel. `ended` resolves when the end record is durable. */
export interface Started {
  run: RunRecord
  live: Live
  ended: Promise<{run: RunRecord; receipt: Receipt | null}>
}

/**
 * Consumes the request and starts its run. `lock` is what takes the locks on what it touches; `glass`: it is break-glass, and
 * its alerts have been raised. Undefined: somebody else changed the request meanwhile, read it again. Throws what use, limits
 * and the primitive refuse.
 */
export async function startRun(
  parts: Parts,
  set: LiveSet,
  caller: Caller,
  stored: Stored<RequestRecord>,
  lock: ((run: string) => Put[]) | null,
  glass?: Glass,
): Promise<Started | undefined> {
  const cleared = await clearForUse(parts, caller, stored)
  if (stored.value.breakGlass !== (glass !== undefined)) throw new Error('glass is broken with its alerts, and not without')
  if (glass) await checkAgain(parts, caller, cleared.plan, stored.value)
  return beginRun(parts, set, {
    ...cleared,
    caller,
    request: stored.value,
    lock,
    ...(glass ? {glass} : {}),
    put: run => [putRequest({...stored.value, state: 'started', result: run}, stored.version)],
  })
}

/** What a break-glass run has before it starts. */
export interface Glass {
  /** its id, for the alerts name it */
  run: string
  /** the channels that accepted; none where a second person stands in for them */
  alerted: string[]
  /** tells the person */
  say(text: string): void
}

/** What a run begins with: all that was checked, on one target. */
export interface Beginning extends Pick<Cleared, 'plan' | 'document' | 'approvals' | 'expect' | 'frozen'> {
  caller: Caller
  /** the request as far as it is about this target */
  request: RequestRecord
  lock: ((run: string) => Put[]) | null
  /** what else the commit of the start writes */
  put: (run: string) => Put[]
  /** how long it waits at least for somebody who takes its output */
  leastDetachSeconds?: number
  glass?: Glass
}

/** Writes the start of a run, counted by every limit on it, then starts it. Undefined: something it leans on has changed, look again. */
export async function beginRun(parts: Parts, set: LiveSet, beginning: Beginning): Promise<Started | undefined> {
  const {plan, document, approvals, expect, frozen, caller, request, lock, glass} = beginning
  const {tool, target} = plan
  if (plan.draft.kind !== 'exec' || !tool || !target || !document.argv || !document.program) throw new Error('not a run')
  refuseDraining(parts)

  const id = glass?.run ?? parts.newId('run')
  const ref: TargetRef = {name: target.name, address: target.address, environment: target.environment}
  const run: RunRecord = {
    id,
    state: 'started',
    request: request.id,
    principal: caller.principal,
    tool: tool.name,
    argv: document.argv,
    target: ref,
    class: plan.class,
    reason: plan.draft.reason,
    incident: plan.draft.incident,
    breakGlass: glass !== undefined,
    review: glass ? parts.newId('rev') : null,
    alerted: glass !== undefined && glass.alerted.length > 0,
    startedAt: parts.store.now().toISOString(),
    endedAt: null,
    exit: null,
    endedBy: null,
    stdout: null,
    stderr: null,
    instance: set.instance,
    locks: lock ? plan.locks : [],
    approvals,
    environment: plan.environment,
    correlation: caller.correlation,
    outputChunks: 0,
    truncated: false,
    limit: null,
    keepDays: glass ? parts.config.retentionDays.recordings : keepDays(parts.config.retentionDays, tool.retentionDays, plan.class),
  }
  let maxOutputBytes = tool.limits.outputBytes
  const folder = join(parts.config.dir, 'outputs', id)
  const kept = document.retention !== 'none'
  const open = (how: Pick<RecorderOptions, 'maxBytes' | 'sealed'>) =>
    openRecorder({id, folder, recipients: parts.config.recordingRecipients, startedAt: new Date(run.startedAt), ...how}).catch(
      () => undefined,
    )
  // opened while the start is written; of a break-glass each chunk is in the log, after the start
  const recording = kept && !glass ? open({maxBytes: maxStoredBytes}) : undefined
  // whoever attaches from now on waits for what is being opened
  const withdraw = set.announce(id)
  const withdrawUnstarted = async (): Promise<void> => {
    withdraw()
    await (await recording)?.close().catch(() => {})
    await rm(folder, {recursive: true, force: true})
  }
  let beyond: string[] = []
  const write = async () => {
    const counted = await countStart(parts, plan, caller.principal, run.breakGlass)
    const {put: reserved, maxBytes, reservations, ...output} = await reserveOutput(parts, plan, caller.principal, id, run.breakGlass)
    run.reservations = reservations
    maxOutputBytes = maxBytes
    beyond = [...counted.beyond, ...output.beyond]
    return parts.store.commit({
      expect,
      put: [
        ...beginning.put(id),
        putRun(run, 0),
        ...(lock?.(id) ?? []),
        ...counted.put,
        ...reserved,
        ...(run.review === null ? [] : [putReview(newReview(parts, run.review, run), 0)]),
      ],
      notices: run.breakGlass && !run.alerted ? [loudly(parts, run, 'break-glass.started')] : [],
      events: [
        {
          type: 'run.started',
          by: person(caller),
          subject: id,
          correlation: caller.correlation,
          data: {
            request: request.id,
            tool: tool.name,
            class: plan.class,
            target: target.name,
            environment: plan.environment,
            digest: request.digest,
            bundle: parts.bundle().digest,
            program: document.program,
            approvals: approvals.length,
            breakGlass: run.breakGlass,
            ...(glass
              ? {incident: run.incident, alerted: glass.alerted, frozen: frozen !== null, beyondLimits: beyond, review: run.review}
              : {}),
          },
          personal: {name: caller.principal.name, argv: document.argv, reason: plan.draft.reason, address: caller.address},
        },
      ],
    })
  }
  const counts = isCounted(parts, plan)
  const saved = await (counts ? inLine(parts.store, write) : write()).catch(async (error: unknown) => {
    await withdrawUnstarted()
    throw error
  })
  if (!saved.ok) {
    await withdrawUnstarted()
    return undefined
  }

  if (glass) sayBeyond(glass.say, frozen, beyond)

  let channel: Channel
  let redactions: RedactedChannel | undefined
  let given: UseAccess | undefined
  const recorder = await (glass ? open({sealed: chunk => tellSealed(parts, id, chunk)}) : recording)
  try {
    if (glass && !recorder) parts.alarm('a break-glass run could not be recorded, so it was not started', {run: id})
    if (kept && !recorder) throw new ProdError('STORE_UNAVAILABLE', 'the output cannot be stored, so nothing was started', 'prod doctor')
    const {primitive, where} = reach(parts, target)
    const use: Use = {
      kind: 'exec',
      program: {path: document.program.path, ...(document.program.sha256 === null ? {} : {sha256: document.program.sha256})},
      argv: document.argv,
      env: document.env,
      limits: document.limits ?? tool.limits,
      stdin: takesStdin(plan),
      ...(tool.runAs === null ? {} : {runAs: tool.runAs}),
      ...(tool.needs === null ? {} : {needs: tool.needs}),
      ...(tool.workdir === null ? {} : {cwd: tool.workdir}),
      paths: plan.resource.kind === 'command' ? namedPaths(parts.bundle().catalog, tool, plan.resource.structure) : [],
    }
    const until = new Date(Date.parse(run.startedAt) + (use.limits.wallSeconds + graceSeconds) * 1000).toISOString()
    given = await accessFor(parts, plan, use, {
      id,
      request: request.id,
      principal: caller.principal,
      correlation: caller.correlation,
      until,
    })
    channel = await primitive.open(where, use, given.access, set.stopping)
    if (tool.retention === 'redacted' || tool.redact !== null) channel = redactions = redacted(channel, tool.redact)
  } catch (error) {
    await recorder?.close().catch(() => {})
    await endRun(
      parts,
      run,
      {unknown: 'it did not start'},
      {endedBy: 'not started', stdout: empty, stderr: empty, chunks: [], truncated: false, limit: null},
    ).finally(withdraw)
    await given?.end()
    throw error instanceof ProdError
      ? ofResolved(error, plan)
      : new ProdError('TARGET_UNREACHABLE', `${target.name} cannot be reached`, 'prod doctor', {cause: error})
  }

  const live = goLive(id, caller.principal, channel, {
    stdin: takesStdin(plan),
    detachSeconds: Math.max(tool.detachSeconds, beginning.leastDetachSeconds ?? 0),
    maxOutputBytes,
    ...(tool.limits.outputLines === undefined ? {} : {maxOutputLines: tool.limits.outputLines}),
    ...(recorder ? {output: (stream, bytes) => recorder.write(stream, bytes)} : {}),
    ...(recorder && glass ? {input: bytes => recorder.write('stdin', bytes)} : {}),
  })
  // what of a break-glass cannot be recorded does not happen (TM-O4)
  if (glass) recorder?.lost.catch(() => void live.end('recording lost').catch(() => {}))
  const stopReminding = glass ? keepReminding(parts, run) : () => {}
  const ended = (async () => {
    const [exit, {stdout, stderr, endedBy: why}] = await Promise.all([channel.ended, live.read])
    stopReminding()
    let lost = false
    const chunks =
      (await recorder?.close().catch(() => {
        lost = true
        parts.alarm('the stored output of a run was lost', {run: id})
        return []
      })) ?? []
    const endedBy = lost && glass ? 'recording lost' : why
    const limit = channel.limit ?? (endedBy?.startsWith('limit: ') ? endedBy.slice(7) : null)
    const frameOf = (how: Exit) =>
      endFrame(parts.keys, {
        id,
        exit: how,
        endedBy,
        stdoutBytes: stdout.bytes,
        stderrBytes: stderr.bytes,
        iat: Math.floor(parts.store.now().getTime() / 1000),
      })
    // while the store is away nobody is told of an end that is not recorded, and nobody waits for ever
    const patience = setTimeout(() => {
      parts.alarm('the end of a run cannot be recorded', {run: id})
      void frameOf({unknown: 'its end could not be recorded yet'}).then(frame => live.finish(frame, null))
    }, unrecordedSeconds * 1000)
    const {run: done, at} = await endRun(parts, run, exit, {
      endedBy,
      stdout,
      stderr,
      chunks,
      truncated: lost || (recorder?.truncated() ?? false),
      limit,
      redactions: redactions?.count() ?? 0,
    }).finally(() => clearTimeout(patience))
    const receipt = await makeReceipt(parts, done, at)
    live.finish(await frameOf(exit), receipt)
    return {run: done, receipt}
  })().finally(() => given?.end())
  ended.catch(error =>
    parts.alarm('a run could not be closed in the store', {run: id, code: error instanceof ProdError ? error.code : 'INTERNAL'}),
  )
  set.add({live, request, kind: 'run', address: caller.address, ended})
  return {run, live, ended}
}

/** Whether the grammar of this command lets stdin in. */
export function takesStdin(plan: Plan): boolean {
  if (plan.resource.kind !== 'command') return false
  const stdin = plan.resource.tool.grammar.commands[plan.resource.structure.command]?.stdin
  return stdin !== undefined && stdin !== false
}

/** One sealed chunk of what a break-glass run takes and puts out, told to the log. */
async function tellSealed(parts: Parts, id: string, chunk: SealedChunk): Promise<void> {
  await parts.store.commit({events: [{type: 'run.recorded', by: 'broker', subject: id, data: {...chunk}}]})
}

const empty = {bytes: 0, sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'}
