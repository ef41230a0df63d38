/** `prod assume --break-glass`: a role without an approval, as loud as a shell, and reviewed after. */
import {ProdError} from '@prod/sdk/errors'
import type {FirstMessage} from '@prod/sdk/wire'
import type {Parts} from '../parts.ts'
import {asRefused, createRequest, person, putRequest} from '../requests/create.ts'
import {planFor} from '../requests/known.ts'
import type {Draft, RequestRecord} from '../requests/state.ts'
import {clearForUse} from '../requests/use.ts'
import {takeUpGlass} from '../runs/break-glass.ts'
import {runOrLeave, runRequest} from '../runs/serve.ts'
import type {Loud} from '../sessions/break-glass.ts'
import {alertFirst, checkAgain, keepReminding, loudly, newReview, sayBeyond} from '../sessions/breaking.ts'
import {putReview} from '../sessions/record.ts'
import type {Stored} from '../stores/store.ts'
import type {Serving} from '../streams/serving.ts'
import {loudGrant} from './loud.ts'
import {type GrantRecord, isOver, newGrant, putGrant, showGrant} from './state.ts'

const nothing = {stdin: undefined, have: {stdout: 0, stderr: 0}}

/** Takes a role by breaking glass; where policy allows it as it is, none is broken. Answers the grant. */
export async function serveAssume(serving: Serving, first: FirstMessage & {type: 'assume'}): Promise<void> {
  const {parts, caller} = serving
  const draft: Draft = {
    kind: 'role',
    role: first.role,
    durationSeconds: Math.min(first.durationSeconds, parts.config.breakGlass.maxSeconds),
    reason: first.reason,
    incident: first.incident ?? null,
    startAt: null,
  }
  const plan = await asRefused(parts, draft, () => planFor(parts, caller(), draft))
  await serving.challenge()
  const glass = await takeUpGlass(serving, plan, first.breakGlass.confirmed)
  const record = await createRequest(parts, caller(), {draft, key: first.key}, glass)
  return runOrLeave(serving, record, first.wait)
}

/** The grant of an approved request for a role. One by break-glass begins here: alerts first, then grant and review in one change. */
export async function openRole(serving: Serving, stored: Stored<RequestRecord>): Promise<void> {
  const {parts, set, link} = serving
  const caller = serving.caller()
  const {value: request, id} = stored
  const {draft} = request
  if (draft.kind !== 'role') throw new Error('not a role')
  if (request.result !== null) return tellGrant(serving, request.result)
  const {plan} = await clearForUse(parts, caller, stored)
  await checkAgain(parts, caller, plan, request)
  const grantId = parts.newId('grant')
  const loud: Loud = loudGrant({id: grantId, principal: caller.principal, role: draft.role}, draft, plan.class)
  const told = await alertFirst(serving, plan, request, loud)
  if ('again' in told) return runRequest(serving, told.again.id, nothing)
  // alerting took its time: what holds now is what the commit leans on (TM-N4)
  const {expect, frozen} = await clearForUse(parts, caller, stored)
  sayBeyond(text => link.send({type: 'notice', text}), frozen, [])
  const grant: GrantRecord = {...newGrant(parts, request, draft), id: grantId, breakGlass: true}
  const review = parts.newId('rev')
  const saved = await parts.store.commit({
    expect,
    put: [putRequest({...request, result: grant.id}, stored.version), putGrant(grant, 0), putReview(newReview(parts, review, loud), 0)],
    notices: told.alerted.length === 0 ? [loudly(parts, loud, 'break-glass.started')] : [],
    events: [
      {
        type: 'break-glass.granted',
        by: person(caller),
        subject: grant.id,
        correlation: caller.correlation,
        data: {
          request: id,
          role: grant.role,
          class: plan.class,
          provider: grant.provider,
          breakGlass: true,
          incident: draft.incident,
          alerted: told.alerted,
          frozen: frozen !== null,
          review,
          expiresAt: grant.expiresAt,
          digest: request.digest,
        },
        personal: {name: caller.principal.name, reason: draft.reason, address: caller.address},
      },
    ],
  })
  // another terminal was faster with the same request: whatever it became
  if (!saved.ok) return runRequest(serving, id, nothing)
  remindUntilOver(parts, loud, set.stopping)
  return tellGrant(serving, grant.id)
}

async function tellGrant({parts, link}: Serving, id: string): Promise<void> {
  const stored = await parts.store.find<GrantRecord>('grant', id)
  if (!stored) throw new ProdError('GRANT_NOT_FOUND', `there is no grant ${id}`, 'prod grant ls')
  link.send({type: 'granted', grant: showGrant(stored.value)})
  link.close()
}

/** Tells it again and again while the grant lives. */
function remindUntilOver(parts: Parts, loud: Loud, stopping: AbortSignal): void {
  const stopReminding = keepReminding(parts, loud)
  const stop = (): void => {
    stopReminding()
    unsubscribe()
    stopping.removeEventListener('abort', stop)
  }
  const unsubscribe = parts.store.subscribe(changed => {
    if (!changed.some(({kind, id}) => kind === 'grant' && id === loud.id)) return
    void parts.store
      .find<GrantRecord>('grant', loud.id)
      .then(stored => (!stored || isOver(stored.value) ? stop() : undefined))
      .catch(() => {})
  })
  stopping.addEventListener('abort', stop)
}
