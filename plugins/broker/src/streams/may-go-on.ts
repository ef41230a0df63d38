/** Whether what runs now may go on: asked when a right may have gone (a grant's end, a group's loss, a login's end). */
import {findLogin, groupsOf} from '../identity/logins.ts'
import type {Parts} from '../parts.ts'
import {decidePlan} from '../requests/decide-plan.ts'
import {makePlan} from '../requests/plan.ts'
import {breakGlassAnswer} from '../sessions/break-glass.ts'
import type {LiveEntry} from './live-set.ts'

/** Judges with the rights of this moment. What others approved goes on unless policy forbids it now. */
export async function mayGoOn(parts: Parts, {request, address}: LiveEntry): Promise<{ok: true} | {ok: false; why: string}> {
  const login = await findLogin(parts, request.login)
  if (!login || login.revokedAt !== null) return {ok: false, why: 'revoked: the login was ended'}
  const bundle = parts.bundle()
  const groups = await groupsOf(parts, login)
  const caller = {principal: login.principal, groups, address}
  try {
    const plan = makePlan(bundle, request.draft)
    if (request.breakGlass)
      return breakGlassAnswer(bundle, plan, caller).decision === 'allow'
        ? {ok: true}
        : {ok: false, why: 'revoked: policy no longer allows it'}
    const decided = decidePlan(bundle, plan, caller)
    if (decided.decision === 'allow') return {ok: true}
    if (decided.decision === 'request' && request.approvalsNeeded > 0) return {ok: true}
    return {ok: false, why: 'revoked: the right to it has ended'}
  } catch {
    return {ok: false, why: 'revoked: it is no longer in the catalog'}
  }
}
