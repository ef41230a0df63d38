import type {Exit, Notice} from '@prod/sdk'
import type {Parts} from '../parts.ts'
import {putRequest} from '../requests/create.ts'
import type {RequestRecord} from '../requests/state.ts'
import type {Put} from '../stores/store.ts'
import {putSession, type SessionRecord} from './record.ts'
import type {SealedChunk} from './recorder.ts'

/** Writes that a session is over, with its event and notices: one change, tried until it holds. Safe to repeat. */
export async function endSession(
  parts: Parts,
  session: Pick<SessionRecord, 'id'>,
  exit: Exit,
  endedBy: string | null,
  chunks: SealedChunk[],
  notices: {channels: string[]; notice: Notice}[] = [],
): Promise<void> {
  for (;;) {
    const stored = await parts.store.find<SessionRecord>('session', session.id)
    if (!stored || stored.value.state === 'closed') return
    const now = parts.store.now()
    const closed: SessionRecord = {...stored.value, state: 'closed', closedAt: now.toISOString(), exit, endedBy, chunks: Math.max(chunks.length, stored.value.chunks)}
    const put: Put[] = [putSession(closed, stored.version)]
    const request = await parts.store.find<RequestRecord>('request', closed.request)
    if (request?.value.state === 'started') put.push(putRequest({...request.value, state: 'done'}, request.version))
    const saved = await parts.store.commit({
      put,
      events: [
        {
          type: 'session.closed',
          by: 'broker',
          subject: closed.id,
          correlation: closed.correlation,
          data: {
            request: closed.request,
            target: closed.target.name,
            environment: closed.target.environment,
            breakGlass: closed.breakGlass,
            exit,
            endedBy,
            chunks: chunks.length,
            lastChunk: chunks.at(-1)?.sha256 ?? null,
            durationMs: Math.max(0, now.getTime() - Date.parse(closed.openedAt)),
          },
          personal: {person: closed.principal.person, name: closed.principal.name},
        },
      ],
      notices,
    })
    if (saved.ok) return
  }
}
