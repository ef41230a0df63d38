/** Stored output and recordings have their time (TM-E8): what is past it is deleted, and a record in the log says so. */
import {rm} from 'node:fs/promises'
import {join} from 'node:path'
import type {Parts} from '../parts.ts'
import {putSession, type SessionRecord} from '../sessions/record.ts'
import type {AuditEvent, Put} from '../stores/store.ts'
import {putRun, type RunRecord} from './record.ts'

const dayMilliseconds = 86_400_000

/** Deletes what is too old. The tombstone is written first: a broker that dies in between deletes at its next pass. */
export async function sweepOutputs(parts: Parts): Promise<void> {
  const {dir, retentionDays} = parts.config
  const before = (days: number) => new Date(parts.store.now().getTime() - days * dayMilliseconds).toISOString()
  for (const {id, value, version} of await parts.store.list<RunRecord>({
    kind: 'run',
    dueBefore: before(retentionDays.output),
    limit: 500,
  })) {
    await forget(
      parts,
      putRun({...value, outputChunks: 0, erased: true}, version),
      {type: 'output.erased', by: 'broker', subject: id, data: {chunks: value.outputChunks, days: retentionDays.output}},
      join(dir, 'outputs', id),
    )
  }
  for (const {id, value, version} of await parts.store.list<SessionRecord>({
    kind: 'session',
    state: 'closed',
    dueBefore: before(retentionDays.recordings),
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
