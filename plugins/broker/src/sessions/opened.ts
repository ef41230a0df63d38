/** What opening a session writes, whatever it is of: alerts first where glass is broken, then request, session, review and event in one change. */
import {showHostPort} from '@prod/sdk/forward'
import {person, putRequest} from '../requests/create.ts'
import type {Plan} from '../requests/plan.ts'
import type {RequestRecord} from '../requests/state.ts'
import {clearForUse} from '../requests/use.ts'
import {countStart} from '../runs/limits.ts'
import type {Stored} from '../stores/store.ts'
import type {Serving} from '../streams/serving.ts'
import {alertFirst, loudly, newReview, sayBeyond} from './breaking.ts'
import {putReview, putSession, type SessionRecord} from './record.ts'

/**
 * Makes the session durable and announces it; `arrived` takes the announcement back, and is for the caller to call. `instead`: the request
 * to go on with, because alerting made a new one, or another terminal was faster with this one. Throws what clearing for use throws.
 */
export async function recordOpened(
  serving: Serving,
  stored: Stored<RequestRecord>,
  plan: Plan,
  session: SessionRecord,
): Promise<{arrived: () => void} | {instead: string}> {
  const {parts, set, link} = serving
  const caller = serving.caller()
  const request = stored.value
  let alerted: string[] = []
  if (request.breakGlass) {
    const told = await alertFirst(serving, plan, request, session)
    if ('again' in told) return {instead: told.again.id}
    alerted = told.alerted
  }
  session.alerted = alerted.length > 0
  // alerting took its time: what holds now is what the commit leans on (TM-N4)
  const {expect, frozen} = await clearForUse(parts, caller, stored)
  // counted as any start is; a break-glass goes beyond, and says so
  const {put: counted, beyond} = await countStart(parts, plan, caller.principal, request.breakGlass)
  sayBeyond(text => link.send({type: 'notice', text}), frozen, beyond)
  const arrived = set.announce(session.id)
  const saved = await parts.store
    .commit({
      expect,
      put: [
        putRequest({...request, state: 'started', result: session.id}, stored.version),
        putSession(session, 0),
        ...(session.review === null ? [] : [putReview(newReview(parts, session.review, session), 0)]),
        ...counted,
      ],
      notices: session.breakGlass && alerted.length === 0 ? [loudly(parts, session, 'break-glass.started')] : [],
      events: [
        {
          type: 'session.opened',
          by: person(caller),
          subject: session.id,
          correlation: caller.correlation,
          data: {
            request: stored.id,
            target: session.target.name,
            environment: session.target.environment,
            ...(session.kind === undefined ? {} : {kind: session.kind, to: session.to?.map(showHostPort)}),
            breakGlass: session.breakGlass,
            incident: session.incident,
            alerted,
            frozen: frozen !== null,
            beyondLimits: beyond,
            review: session.review,
            expiresAt: session.expiresAt,
            digest: request.digest,
          },
          personal: {name: caller.principal.name, reason: session.reason, address: caller.address},
        },
      ],
    })
    .catch(error => {
      arrived()
      throw error
    })
  if (saved.ok) return {arrived}
  arrived()
  return {instead: stored.id}
}
