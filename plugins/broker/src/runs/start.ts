/** From an approved request to a running program: start record first, durable; then the child (TM-E4, E5, N2). */
import {rm} from 'node:fs/promises'
import {join} from 'node:path'
import type {Channel, Exit, Receipt, TargetRef} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {Caller, Parts} from '../parts.ts'
import {person, putRequest, refuseDraining} from '../requests/create.ts'
import type {Plan} from '../requests/plan.ts'
import type {RequestRecord} from '../requests/state.ts'
import {type Cleared, clearForUse} from '../requests/use.ts'
import {openRecorder} from '../sessions/recorder.ts'
import type {Put, Stored} from '../stores/store.ts'
import {goLive, type Live} from '../streams/live.ts'
import type {LiveSet} from '../streams/live-set.ts'
import {countStart, inLine, isCounted} from './limits.ts'
import {releasing} from './locks.ts'
import {reserveOutput, settleOutput} from './output-budget.ts'
import {namedPaths, reach} from './program.ts'
import {endFrame, makeReceipt} from './receipt.ts'
import {putRun, type RunRecord} from './record.ts'
import {type RedactedChannel, redacted} from './redact.ts'
import {keepDays} from './retention.ts'

/** most of a run's output that is kept, whatever it may put out */
const maxStoredBytes = 10 * 1024 * 1024
const unrecordedSeconds = 20

/** What is started: the record and the live channel. `ended` resolves when the end record is durable. */
export interface Started {
  run: RunRecord
  live: Live
  ended: Promise<{run: RunRecord; receipt: Receipt | null}>
}

/**
 * Consumes the request and starts its run. `lock` is the write that takes the target's lock. Undefined: somebody else
 * changed the request meanwhile, read it again. Throws what use, limits and the primitive refuse.
 */
export async function startRun(
  parts: Parts,
  set: LiveSet,
  caller: Caller,
  stored: Stored<RequestRecord>,
  lock: ((run: string) => Put) | null,
): Promise<Started | undefined> {
  const cleared = await clearForUse(parts, caller, stored)
  return beginRun(parts, set, {
    ...cleared,
    caller,
    request: stored.value,
    lock,
    put: run => [putRequest({...stored.value, state: 'started', result: run}, stored.version)],
  })
}

/** What a run begins with: all that was checked, on one target. */
export interface Beginning extends Pick<Cleared, 'plan' | 'document' | 'approvals' | 'expect'> {
  caller: Caller
  /** the request as far as it is about this target */
  request: RequestRecord
  lock: ((run: string) => Put) | null
  /** what else the commit of the start writes */
  put: (run: string) => Put[]
  /** how long it waits at least for somebody who takes its output */
  leastDetachSeconds?: number
}

/** Writes the start of a run, counted by every limit on it, then starts it. Undefined: something it leans on has changed, look again. */
export async function beginRun(parts: Parts, set: LiveSet, beginning: Beginning): Promise<Started | undefined> {
  const {plan, document, approvals, expect, caller, request, lock} = beginning
  const {tool, target} = plan
  if (plan.draft.kind !== 'exec' || !tool || !target || !document.argv || !document.program) throw new Error('not a run')
  refuseDraining(parts)

  const id = parts.newId('run')
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
    startedAt: parts.store.now().toISOString(),
    endedAt: null,
    exit: null,
    endedBy: null,
    stdout: null,
    stderr: null,
    instance: set.instance,
    lock: lock ? plan.lock : null,
    approvals,
    environment: plan.environment,
    correlation: caller.correlation,
    outputChunks: 0,
    truncated: false,
    limit: null,
    keepDays: keepDays(parts.config.retentionDays, tool.retentionDays, plan.class),
  }
  let maxOutputBytes = tool.limits.outputBytes
  // opened while the start is written
  const folder = join(parts.config.dir, 'outputs', id)
  const recording =
    tool.retention === 'none'
      ? undefined
      : openRecorder({
          id,
          folder,
          recipients: parts.config.recordingRecipients,
          startedAt: new Date(run.startedAt),
          maxBytes: maxStoredBytes,
        }).catch(() => undefined)
  // whoever attaches from now on waits for what is being opened
  const withdraw = set.announce(id)
  const withdrawUnstarted = async (): Promise<void> => {
    withdraw()
    await (await recording)?.close().catch(() => {})
    await rm(folder, {recursive: true, force: true})
  }
  const write = async () => {
    const counted = await countStart(parts, plan, caller.principal)
    const {put: reserved, maxBytes, reservations} = await reserveOutput(parts, plan, caller.principal, id)
    run.reservations = reservations
    maxOutputBytes = maxBytes
    return parts.store.commit({
      expect,
      put: [...beginning.put(id), putRun(run, 0), ...(lock ? [lock(id)] : []), ...counted.put, ...reserved],
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

  let channel: Channel
  let redactions: RedactedChannel | undefined
  const recorder = await recording
  try {
    if (tool.retention !== 'none' && !recorder)
      throw new ProdError('STORE_UNAVAILABLE', 'the output cannot be stored, so nothing was started', 'prod doctor')
    const {primitive, where} = reach(parts, target)
    channel = await primitive.open(
      where,
      {
        kind: 'exec',
        program: {path: document.program.path, ...(document.program.sha256 === null ? {} : {sha256: document.program.sha256})},
        argv: document.argv,
        env: document.env,
        limits: tool.limits,
        stdin: takesStdin(plan),
        ...(tool.runAs === null ? {} : {runAs: tool.runAs}),
        ...(tool.needs === null ? {} : {needs: tool.needs}),
        ...(tool.workdir === null ? {} : {cwd: tool.workdir}),
        paths: plan.resource.kind === 'command' ? namedPaths(parts.bundle().catalog, tool, plan.resource.structure) : [],
      },
      {id, principal: person(caller), credential: {}},
      set.stopping,
    )
    if (tool.retention === 'redacted' || tool.redact !== null) channel = redactions = redacted(channel, tool.redact)
  } catch (error) {
    await recorder?.close().catch(() => {})
    await endRun(
      parts,
      run,
      {unknown: 'it did not start'},
      {endedBy: 'not started', stdout: empty, stderr: empty, chunks: [], truncated: false, limit: null},
    ).finally(withdraw)
    throw error instanceof ProdError
      ? error
      : new ProdError('TARGET_UNREACHABLE', `${target.name} cannot be reached`, 'prod doctor', {cause: error})
  }

  const live = goLive(id, caller.principal, channel, {
    stdin: takesStdin(plan),
    detachSeconds: Math.max(tool.detachSeconds, beginning.leastDetachSeconds ?? 0),
    maxOutputBytes,
    ...(tool.limits.outputLines === undefined ? {} : {maxOutputLines: tool.limits.outputLines}),
    ...(recorder ? {output: (stream, bytes) => recorder.write(stream, bytes)} : {}),
  })
  const ended = (async () => {
    const [exit, {stdout, stderr, endedBy}] = await Promise.all([channel.ended, live.read])
    let lost = false
    const chunks =
      (await recorder?.close().catch(() => {
        lost = true
        parts.alarm('the stored output of a run was lost', {run: id})
        return []
      })) ?? []
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
  })()
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

const empty = {bytes: 0, sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'}

/** What is known when a run is over. */
export interface Ending {
  endedBy: string | null
  stdout: RunRecord['stdout']
  stderr: RunRecord['stderr']
  chunks: {sha256: string}[]
  truncated: boolean
  limit: string | null
  /** how often something was taken out of the output */
  redactions?: number
}

/** Writes the end record, gives the lock back, settles the request: one change, tried until it holds. */
export async function endRun(
  parts: Parts,
  started: RunRecord,
  exit: Exit,
  ending: Ending,
): Promise<{run: RunRecord; at: {index: number; checkpoint: string} | undefined}> {
  for (;;) {
    const stored = await parts.store.find<RunRecord>('run', started.id)
    if (stored?.value.state !== 'started') return {run: stored?.value ?? started, at: undefined}
    const now = parts.store.now()
    const run: RunRecord = {
      ...stored.value,
      state: 'unknown' in exit ? 'unknown' : 'ended',
      endedAt: now.toISOString(),
      exit,
      endedBy: ending.endedBy,
      stdout: ending.stdout,
      stderr: ending.stderr,
      outputChunks: ending.chunks.length,
      truncated: ending.truncated,
      limit: ending.limit,
      ...(ending.redactions ? {redactions: ending.redactions} : {}),
    }
    const put: Put[] = [putRun(run, stored.version)]
    const request = await parts.store.find<RequestRecord>('request', run.request)
    // of a run on many targets the request is done when all are
    if (request?.value.state === 'started' && request.value.result === run.id)
      put.push(putRequest({...request.value, state: 'done'}, request.version))
    const {put: release} = await releasing(parts, run.lock, run.id)
    if (release) put.push(release)
    const bytes = ending.stdout && ending.stderr ? ending.stdout.bytes + ending.stderr.bytes : null
    const by = run.principal.person || `${run.principal.iss}#${run.principal.sub}`
    const settled = await settleOutput(parts, {run: run.id, by, reservations: run.reservations ?? []}, bytes)
    put.push(...settled.put)
    const saved = await retried(parts, () =>
      parts.store.commit({
        put,
        events: [
          {
            type: 'run.ended',
            by: 'broker',
            subject: run.id,
            correlation: run.correlation,
            data: {
              outcome: run.state,
              request: run.request,
              tool: run.tool,
              class: run.class,
              target: run.target.name,
              exit,
              endedBy: run.endedBy,
              limit: run.limit,
              stdout: run.stdout,
              stderr: run.stderr,
              truncated: run.truncated,
              ...(ending.redactions ? {redactions: ending.redactions} : {}),
              // each chunk holds the hash of the one before it: the last stands for all
              output: {chunks: ending.chunks.length, last: ending.chunks.at(-1)?.sha256 ?? null},
              durationMs: Math.max(0, now.getTime() - Date.parse(run.startedAt)),
            },
            personal: {person: by, name: run.principal.name},
          },
          ...settled.near,
        ],
      }),
    )
    if (saved.ok) for (const {data} of settled.near) parts.alarm('four fifths of a daily limit on output are used', {...data, run: run.id})
    if (saved.ok) return {run, at: {index: saved.indices[0] as number, checkpoint: saved.checkpoint}}
  }
}

const longestPause = 5000

/** An end record is tried until the store is back, for what ran has run; a broker that stops first finds it open at its next start. */
async function retried<T>(parts: Parts, write: () => Promise<T>): Promise<T> {
  for (let pause = 100; ; pause = Math.min(longestPause, pause * 2)) {
    try {
      return await write()
    } catch (error) {
      if (!(error instanceof ProdError) || error.code !== 'STORE_UNAVAILABLE' || parts.draining()) throw error
      await new Promise(resolve => setTimeout(resolve, pause))
    }
  }
}
