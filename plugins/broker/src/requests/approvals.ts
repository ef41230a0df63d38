/** Whether approvals count, now: signature, key, person, scope (TM-W3, W4, W8, N5, P4). Asked again by whoever starts a run. */
import type {Approval, Principal} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {thumbprint} from '@prod/sdk/login-binding'
import {compactVerify, importJWK, type JWK} from 'jose'
import {findLogin, groupsOf, type LoginRecord} from '../identity/logins.ts'
import type {Parts} from '../parts.ts'
import type {Bundle} from '../policy/policy.ts'
import {mayApprovePlan} from './decide-plan.ts'
import type {Plan} from './plan.ts'
import {canonicalPerson, type RequestRecord, samePerson} from './state.ts'

/** What an approver signs. `assurance` is how the key was unlocked: `login-key` here. */
export interface ApprovalPayload {
  digest: string
  request: string
  decision: 'approve' | 'deny'
  assurance: string
  iat: number
}

/** Checks the approver's own signature and that the provider bound this key to this person. Throws SIGNATURE_INVALID. */
export async function verifySignature(parts: Parts, login: LoginRecord, jws: string): Promise<ApprovalPayload> {
  try {
    const binding = await parts.identity.verifyBinding(login.idToken, login.thumbprint, login.salt)
    if (binding.iss !== login.principal.iss || binding.sub !== login.principal.sub || binding.person !== login.principal.person) {
      throw new Error('the key was bound to somebody else')
    }
    if (thumbprint(login.jwk) !== login.thumbprint) throw new Error('another key than the one that was bound')
    const key = await importJWK(login.jwk as JWK, 'ES256')
    const {payload, protectedHeader} = await compactVerify(jws, key, {algorithms: ['ES256']})
    if (protectedHeader.typ !== 'prod-approval+jws') throw new Error('not an approval')
    const said = JSON.parse(new TextDecoder().decode(payload)) as ApprovalPayload
    if (typeof said.digest !== 'string' || typeof said.request !== 'string' || typeof said.iat !== 'number')
      throw new Error('not an approval')
    return said
  } catch (cause) {
    throw new ProdError('SIGNATURE_INVALID', 'the approval is not signed by the approver’s login key', 'prod login, then approve again', {
      cause,
    })
  }
}

/** Why this person may not approve this request now; undefined where they may. */
export function refusalOf(
  bundle: Bundle,
  plan: Plan,
  requester: Principal,
  approver: {principal: Principal; groups: string[]},
): ProdError | undefined {
  if (approver.principal.person === '') {
    return new ProdError(
      'NOT_AN_APPROVER',
      'your identity provider gives no person id, so you cannot approve',
      'ask whoever runs the broker',
    )
  }
  if (samePerson(requester, approver.principal))
    return new ProdError('SELF_APPROVAL', 'nobody approves their own request', 'prod request ls --mine')
  if (!mayApprovePlan(bundle, plan, approver)) {
    return new ProdError('NOT_AN_APPROVER', 'policy does not let you approve this', 'prod request show ID')
  }
  return undefined
}

/** When the newest of these was signed, by the signer's own word: no row can make it younger. */
export function signedAt(approvals: Approval[]): number {
  return Math.max(
    ...approvals.map(({jws}) => (JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()) as ApprovalPayload).iat * 1000),
  )
}

/**
 * The approvals of a record that count at this moment. Each is verified from its bytes, never from the row's word; each
 * person counts once; who has lost the right, or the key, no longer counts.
 */
export async function countingApprovals(parts: Parts, bundle: Bundle, plan: Plan, record: RequestRecord): Promise<Approval[]> {
  const counting = new Map<string, Approval>()
  if (record.approvals.filter(one => one.decision === 'approve').length < record.approvalsNeeded) {
    parts.alarm('a request is approved in the store without its approvals', {request: record.id})
  }
  for (const approval of record.approvals) {
    if (approval.decision !== 'approve') continue
    const login = await findLogin(parts, approval.login)
    // The key may be past its login's end; it must not have been revoked before the approval was given.
    if (!login || (login.revokedAt !== null && login.revokedAt <= approval.at)) continue
    try {
      const said = await verifySignature(parts, login, approval.jws)
      if (said.digest !== record.digest || said.request !== record.id || said.decision !== 'approve')
        throw new Error('signed something else')
    } catch {
      parts.alarm('an approval in the store does not verify', {request: record.id, by: approval.by.person})
      continue
    }
    const groups = await groupsOf(parts, login)
    if (refusalOf(bundle, plan, record.principal, {principal: login.principal, groups})) continue
    counting.set(canonicalPerson(login.principal.person), approval)
  }
  return [...counting.values()]
}
