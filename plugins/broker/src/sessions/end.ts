import type {Exit, Traffic} from '@prod/sdk'
import type {Parts} from '../parts.ts'
import {putRequest} from '../requests/create.ts'
import type {RequestRecord} from '../requests/state.ts'
import type {Put} from '../stores/store.ts'
import {loudly} from './breaking.ts'
import {listChunks, putSession, type SessionRecord} from './record.ts'

/** Writes that a session is over, with its event and notices: one change, tried until it holds. Safe to repeat. `stdoutBytes`, `traffic`: where they are known. */
export async function endSession(
  parts: Parts,
  {id}: Pick<SessionRecord, 'id'>,
  {exit, endedBy, stdoutBytes = 0, traffic}: {exit: Exit; endedBy: string | null; stdoutBytes?: number; traffic?: Traffic},
): Promise<void> {
  for (;;) {
    const stored = await parts.store.find<SessionRecord>('session', id)
    if (!stored || stored.value.state === 'closed') return
    const now = parts.store.now()
    const chunks = await listChunks(parts, id)
    const closed: SessionRecord = {
      ...stored.value,
      state: 'closed',
      closedAt: now.toISOString(),
      exit,
      endedBy,
      stdoutBytes,
      chunks: chunks.length,
      ...(traffic ? {traffic} : {}),
    }
    const put: Put[] = [putSession(closed, stored.version)]
    const request = await parts.store.find<RequestRecord>('request', closed.request)
    if (request?.value.state === 'started') put.push(putRequest({...request.value, state: 'done'}, request.version))
    const saved = await parts.store.commit({
      put,
      events: [
        {
          type: 'session.closed',
          by: 'broker',
          subject: id,
          correlation: closed.correlation,
          data: {
            request: closed.request,
            target: closed.target.name,
            environment: closed.target.environment,
            breakGlass: closed.breakGlass,
            exit,
            endedBy,
            ...(closed.kind === 'forward'
              ? {kind: 'forward', traffic: traffic ?? null}
              : {chunks: chunks.length, lastChunk: chunks.at(-1) ?? null}),
            durationMs: Math.max(0, now.getTime() - Date.parse(closed.openedAt)),
          },
          personal: {person: closed.principal.person, name: closed.principal.name},
        },
      ],
      notices: closed.breakGlass ? [loudly(parts, closed, 'break-glass.ended')] : [],
    })
    if (saved.ok) return
  }
}
