/** Approve, deny, cancel: one conditional write each, with its event. */
import type {Approval, Request} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {about} from '../audit/refusals.ts'
import {newGrant, putGrant} from '../grants/state.ts'
import {findLogin} from '../identity/logins.ts'
import {countTry} from '../identity/tries.ts'
import {deniedNotice} from '../outbox/notices.ts'
import type {Caller, Parts} from '../parts.ts'
import type {Put, Stored} from '../stores/store.ts'
import {refusalOf, verifySignature} from './approvals.ts'
import {person, putRequest} from './create.ts'
import {makePlan} from './plan.ts'
import {afterApproval, type RequestRecord, refuseEnded, samePerson} from './state.ts'
import {findVisible, shown} from './view.ts'

const maxSkewSeconds = 60

/**
 * Takes one signed yes. Throws SELF_APPROVAL, NOT_AN_APPROVER, DIGEST_MISMATCH, SIGNATURE_INVALID, ALREADY_DECIDED.
 * The last needed one moves the request to `approved`; a role's grant is made in the same write.
 */
export async function approveRequest(parts: Parts, caller: Caller, input: {id: string; digest: string; jws: string}): Promise<Request> {
  await countDecision(parts, caller, input.id)
  for (;;) {
    const {stored, approval} = await check(parts, caller, input)
    const record = stored.value
    const now = parts.store.now()
    const base = Math.max(now.getTime(), record.startAt ? Date.parse(record.startAt) : 0)
    const next = afterApproval(record, approval, new Date(base + parts.config.approvalSeconds * 1000).toISOString())
    const put: Put[] = []
    if (next.state === 'approved' && next.draft.kind === 'role' && !next.breakGlass) {
      const grant = newGrant(parts, next, next.draft)
      next.result = grant.id
      put.push(putGrant(grant, 0))
    }
    const saved = await parts.store.commit({
      put: [putRequest(next, stored.version), ...put],
      events: [
        {
          type: 'request.approved',
          by: person(caller),
          subject: record.id,
          correlation: caller.correlation,
          data: {
            digest: record.digest,
            complete: next.state === 'approved',
            grant: next.result,
            login: caller.login,
            assurance: 'login-key',
          },
          personal: {name: caller.principal.name, address: caller.address, jws: input.jws},
        },
      ],
    })
    if (saved.ok) return shown(parts, next)
  }
}

/** Nobody tries decisions in a loop: neither on one request nor on many (TM-F4). */
function countDecision(parts: Parts, caller: Caller, request: string): Promise<void> {
  const who = person(caller)
  return countTry(parts, [
    {key: ['decision', who, request], most: 40, seconds: 600, what: `your decision on ${request}`},
    {key: ['decisions', who], most: 120, seconds: 60, what: 'deciding requests'},
  ])
}

async function check(
  parts: Parts,
  caller: Caller,
  input: {id: string; digest: string; jws: string},
): Promise<{stored: Stored<RequestRecord>; approval: Approval}> {
  const stored = await findVisible(parts, caller, input.id)
  const record = stored.value
  const bundle = parts.bundle()
  const plan = makePlan(bundle, record.draft)
  const refusal = refusalOf(bundle, plan, record.principal, caller)
  if (refusal)
    throw about(refusal, {
      type: refusal.code === 'SELF_APPROVAL' ? 'request.self-approval-refused' : 'request.approval-refused',
      subject: record.id,
    })
  refuseEnded(record, parts.store.now())
  if (record.state !== 'pending')
    throw new ProdError('ALREADY_DECIDED', `request ${record.id} is ${record.state} already`, `prod request show ${record.id}`)
  if (record.approvals.some(one => samePerson(one.by, caller.principal))) {
    throw new ProdError(
      'ALREADY_DECIDED',
      `you have approved ${record.id} already; it needs somebody else too`,
      `prod request show ${record.id}`,
    )
  }
  if (input.digest !== record.digest) {
    throw new ProdError('DIGEST_MISMATCH', 'what you saw is not what waits', `prod request approve ${record.id}`)
  }
  const login = await findLogin(parts, caller.login)
  if (!login) throw new ProdError('NOT_LOGGED_IN', 'this login has ended', 'prod login')
  const said = await verifySignature(parts, login, input.jws)
  const now = parts.store.now()
  if (
    said.digest !== record.digest ||
    said.request !== record.id ||
    said.decision !== 'approve' ||
    Math.abs(said.iat * 1000 - now.getTime()) > maxSkewSeconds * 1000
  ) {
    throw new ProdError('SIGNATURE_INVALID', 'the signature is over something else', `prod request approve ${record.id}`)
  }
  return {
    stored,
    approval: {
      by: caller.principal,
      decision: 'approve',
      digest: record.digest,
      jws: input.jws,
      at: now.toISOString(),
      login: caller.login,
    },
  }
}

/** Denies a pending request; one no of somebody who may approve is enough. Throws REQUEST_NOT_FOUND, ALREADY_DECIDED. */
export async function denyRequest(parts: Parts, caller: Caller, {id, note}: {id: string; note: string}): Promise<Request> {
  await countDecision(parts, caller, id)
  const stored = await findVisible(parts, caller, id)
  const record = stored.value
  const bundle = parts.bundle()
  const refusal = refusalOf(bundle, makePlan(bundle, record.draft), record.principal, caller)
  if (refusal)
    throw about(refusal, {
      type: refusal.code === 'SELF_APPROVAL' ? 'request.self-approval-refused' : 'request.approval-refused',
      subject: record.id,
    })
  refuseEnded(record, parts.store.now())
  const now = parts.store.now().toISOString()
  const no: Approval = {by: caller.principal, decision: 'deny', digest: record.digest, jws: '', at: now, login: caller.login}
  const denied: RequestRecord = {...record, state: 'denied', note, approvals: [...record.approvals, no]}
  return settle(parts, caller, stored, denied, 'request.denied', note)
}

/** Cancels one's own request while nothing has started. Throws REQUEST_NOT_FOUND, ALREADY_DECIDED. */
export async function cancelRequest(parts: Parts, caller: Caller, {id}: {id: string}): Promise<Request> {
  const stored = await findVisible(parts, caller, id)
  const record = stored.value
  if (`${record.principal.iss}#${record.principal.sub}` !== `${caller.principal.iss}#${caller.principal.sub}`) {
    throw new ProdError('DENIED', 'only the requester cancels a request', `prod request deny ${id} --note …`)
  }
  refuseEnded(record, parts.store.now())
  if (record.draft.kind === 'role' && record.state !== 'pending') {
    throw new ProdError(
      'ALREADY_DECIDED',
      `request ${id} is ${record.state}: its right is handed back, not cancelled`,
      `prod grant revoke ${record.result ?? 'ID'}`,
    )
  }
  return settle(parts, caller, stored, {...record, state: 'cancelled'}, 'request.cancelled', null)
}

async function settle(
  parts: Parts,
  caller: Caller,
  stored: Stored<RequestRecord>,
  next: RequestRecord,
  type: string,
  note: string | null,
): Promise<Request> {
  const open = stored.value.state === 'pending' || (type === 'request.cancelled' && stored.value.state === 'approved')
  const saved =
    open &&
    (
      await parts.store.commit({
        put: [putRequest(next, stored.version)],
        events: [
          {
            type,
            by: person(caller),
            subject: next.id,
            correlation: caller.correlation,
            data: {digest: next.digest},
            personal: {name: caller.principal.name, ...(note === null ? {} : {note})},
          },
        ],
        notices:
          type === 'request.denied'
            ? [{channels: [...parts.channels.keys()], notice: deniedNotice(parts, next, caller.principal.name)}]
            : [],
      })
    ).ok
  if (!saved) throw new ProdError('ALREADY_DECIDED', `request ${next.id} is no longer pending`, `prod request show ${next.id}`)
  return shown(parts, next)
}
