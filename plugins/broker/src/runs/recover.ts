/** After a broker died: what it ran is over and nobody saw how. It is said so, never run again (kill points 4 to 6). */
import {createHash} from 'node:crypto'
import {readdir, readFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {Parts} from '../parts.ts'
import {endSession} from '../sessions/end.ts'
import type {SessionRecord} from '../sessions/record.ts'
import {endRun} from './end.ts'
import {type LockRecord, putLock} from './locks.ts'
import type {RunRecord} from './record.ts'
import {recoverRollouts} from './rollout.ts'

/** Ends in the store what this instance left open. Called once, before anything is served. */
export async function recover(parts: Parts, instance: string): Promise<{runs: number; sessions: number}> {
  const runs = (await parts.store.list<RunRecord>({kind: 'run', state: 'started'})).filter(one => one.value.instance === instance)
  for (const {value} of runs) {
    await endRun(
      parts,
      value,
      {unknown: 'the broker was lost before the end was recorded'},
      {
        endedBy: 'broker loss',
        stdout: null,
        stderr: null,
        chunks: await keptChunks(join(parts.config.dir, 'outputs', value.id)),
        truncated: true,
        limit: null,
      },
    )
  }
  await recoverRollouts(parts, instance)
  const sessions = (await parts.store.list<SessionRecord>({kind: 'session', state: ['opening', 'open']})).filter(
    one => one.value.instance === instance,
  )
  for (const {value} of sessions)
    await endSession(parts, value, {exit: {unknown: 'the broker was lost before the end was recorded'}, endedBy: 'broker loss'})
  for (const {value, version} of await parts.store.list<LockRecord>({kind: 'lock'})) {
    const run = value.holder === null ? undefined : await parts.store.find<RunRecord>('run', value.holder)
    const holder = run?.value.state === 'started' ? value.holder : null
    const queue = value.queue.filter(place => place.instance !== instance)
    if (holder === value.holder && queue.length === value.queue.length) continue
    await parts.store.commit({put: [putLock({...value, holder, queue}, version)], events: []})
  }
  return {runs: runs.length, sessions: sessions.length}
}

/** The sealed chunks that a lost broker had written whole: their hashes, in order. */
async function keptChunks(folder: string): Promise<{sha256: string}[]> {
  const names = (await readdir(folder).catch(() => [])).filter(name => name.endsWith('.age')).sort()
  return Promise.all(
    names.map(async name => ({
      sha256: createHash('sha256')
        .update(await readFile(join(folder, name)))
        .digest('hex'),
    })),
  )
}
