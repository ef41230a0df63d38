/** Stored output and recordings have their time (TM-E8): what is past it is deleted, and a record in the log says so. */
import {rm} from 'node:fs/promises'
import {join} from 'node:path'
import type {ToolClass} from '@prod/sdk'
import type {Config} from '../config.ts'
import type {Parts} from '../parts.ts'
import {putSession, type SessionRecord} from '../sessions/record.ts'
import type {AuditEvent, Put} from '../stores/store.ts'
import {keptUntil, putRun, type RunRecord} from './record.ts'

const dayMilliseconds = 86_400_000

/** Days that the stored output of a run is kept: what the broker says for its class, or for all, and no longer than its tool says. Pure. */
export function keepDays(config: Config['retentionDays'], tool: number | null, toolClass: ToolClass): number {
  return Math.min(config[toolClass] ?? config.output, tool ?? Number.POSITIVE_INFINITY)
}

/** Deletes what is too old. The tombstone is written first: a broker that dies in between deletes at its next pass. */
export async function sweepOutputs(parts: Parts): Promise<void> {
  const {dir, retentionDays} = parts.config
  const now = parts.store.now()
  for (const {id, value, version} of await parts.store.list<RunRecord>({kind: 'run', dueBefore: now.toISOString(), limit: 500})) {
    const days = value.keepDays ?? retentionDays.output
    const kept = {...value, keepDays: days}
    if (keptUntil(kept) > now.toISOString()) {
      // of a broker that did not yet write how long: it says so from now on
      await parts.store.commit({put: [putRun(kept, version)], events: []})
      continue
    }
    await forget(
      parts,
      putRun({...kept, outputChunks: 0, erased: true}, version),
      {type: 'output.erased', by: 'broker', subject: id, data: {chunks: value.outputChunks, days}},
      join(dir, 'outputs', id),
    )
  }
  for (const {id, value, version} of await parts.store.list<SessionRecord>({
    kind: 'session',
    state: 'closed',
    dueBefore: new Date(now.getTime() - retentionDays.recordings * dayMilliseconds).toISOString(),
    limit: 500,
  })) {
    await forget(
      parts,
      putSession({...value, erased: true}, version),
      {type: 'recording.erased', by: 'broker', subject: id, data: {chunks: value.chunks, days: retentionDays.recordings}},
      join(dir, 'recordings', id),
    )
  }
}

async function forget(parts: Parts, put: Put, event: AuditEvent, folder: string): Promise<void> {
  const saved = await parts.store.commit({put: [put], events: [event]})
  if (saved.ok) await rm(folder, {recursive: true, force: true})
}
