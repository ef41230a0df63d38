/** The last question before anything starts: everything recomputed, the current bundle decides afresh (TM-W2, W5, W7). */
import type {Approval, ApprovalDocument} from '@prod/sdk'
import {canonical} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import type {Caller, Parts} from '../parts.ts'
import {decideUse, explainDenial} from '../policy/decide.ts'
import {breakGlassAnswer} from '../sessions/break-glass.ts'
import type {Stored} from '../stores/store.ts'
import {countingApprovals} from './approvals.ts'
import {person, putRequest} from './create.ts'
import {makeDocument, makePlan, type Plan, question} from './plan.ts'
import {type RequestRecord, refuseEnded} from './state.ts'

/** What may start now: the plan, its document, and the approvals that count. */
export interface Cleared {
  plan: Plan
  document: ApprovalDocument
  approvals: Approval[]
}

/**
 * Checks an approved request at the moment of use. A difference in the document (but for the bundle's digest), a decision
 * that has changed, or approvals that no longer count make it void: APPROVAL_VOID, DENIED, REQUEST_EXPIRED.
 */
export async function clearForUse(parts: Parts, caller: Caller, stored: Stored<RequestRecord>): Promise<Cleared> {
  const record = stored.value
  refuseEnded(record, parts.store.now())
  if (`${record.principal.iss}#${record.principal.sub}` !== `${caller.principal.iss}#${caller.principal.sub}`) {
    throw new ProdError('REQUEST_NOT_FOUND', `there is no request ${record.id}`, 'prod request ls')
  }
  if (record.state !== 'approved') throw new ProdError('ALREADY_DECIDED', `request ${record.id} is ${record.state}`, `prod request show ${record.id}`)
  const bundle = parts.bundle()
  const voided = async (why: string, data: Record<string, unknown> = {}): Promise<ProdError> => {
    await parts.store.commit({
      put: [putRequest({...record, state: 'void', note: why}, stored.version)],
      events: [{type: 'request.voided', by: 'broker', subject: record.id, correlation: caller.correlation, data: {...data, digest: record.digest, bundle: bundle.digest}, personal: {person: person(caller), why}}],
    })
    return new ProdError('APPROVAL_VOID', `request ${record.id} is void: ${why}`, 'ask again with the same command')
  }

  let plan: Plan
  try {
    plan = makePlan(bundle, record.draft)
  } catch (error) {
    if (!(error instanceof ProdError)) throw error
    throw await voided(error.message)
  }
  const {document} = await makeDocument(parts, bundle, plan, {
    id: record.id,
    createdAt: record.createdAt,
    principal: record.principal,
    approvalsNeeded: record.approvalsNeeded,
    breakGlass: record.breakGlass,
    maxSeconds: parts.config.breakGlass.maxSeconds,
  })
  const approved = JSON.parse(record.document) as ApprovalDocument
  if (canonical({...document, bundle: ''}) !== canonical({...approved, bundle: ''})) {
    throw await voided(`${differences(document, approved).join(', ')} changed since it was asked for`, {changed: differences(document, approved)})
  }

  const asked = question(plan, caller)
  let needed = record.approvalsNeeded
  if (record.breakGlass) {
    const answer = breakGlassAnswer(bundle, plan, caller)
    if (answer.decision !== 'allow') throw await voided('policy no longer allows break-glass here', {rules: answer.rules})
  } else {
    const decided = decideUse(bundle, asked, plan.action)
    if (decided.decision === 'deny') {
      await voided('policy denies it now', {rules: decided.rules, errors: decided.errors})
      const {message, hint} = explainDenial(bundle, asked, plan.action)
      throw new ProdError('DENIED', message, hint)
    }
    if (decided.decision === 'request' && decided.approvals > needed) throw await voided('policy asks for more approvals now', {needed: decided.approvals})
    if (decided.decision === 'allow') needed = Math.min(needed, record.approvalsNeeded)
  }
  if (needed === 0) return {plan, document: approved, approvals: []}
  const approvals = await countingApprovals(parts, bundle, plan, record)
  if (approvals.length < needed) throw await voided('its approvals no longer count', {needed, counting: approvals.length})
  return {plan, document: approved, approvals}
}

function differences(now: ApprovalDocument, then: ApprovalDocument): string[] {
  const keys = [...new Set([...Object.keys(now), ...Object.keys(then)])] as (keyof ApprovalDocument)[]
  return keys.filter(key => key !== 'bundle' && canonical(now[key] ?? null) !== canonical(then[key] ?? null))
}
