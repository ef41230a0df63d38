/** How a run ends in the store: tried until it holds. */
import type {Exit} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {Parts} from '../parts.ts'
import {putRequest} from '../requests/create.ts'
import type {RequestRecord} from '../requests/state.ts'
import {loudly} from '../sessions/breaking.ts'
import type {Put} from '../stores/store.ts'
import {releasing} from './locks.ts'
import {settleOutput} from './output-budget.ts'
import {putRun, type RunRecord} from './record.ts'

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
    put.push(...(await releasing(parts, run.locks ?? [], run.id)))
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
              breakGlass: run.breakGlass === true,
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
        notices: run.breakGlass ? [loudly(parts, run, 'break-glass.ended')] : [],
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
      if (!(error instanceof ProdError) || error.code !== 'STORE_UNAVAILABLE' || parts.stopping()) throw error
      await new Promise(resolve => setTimeout(resolve, pause))
    }
  }
}
