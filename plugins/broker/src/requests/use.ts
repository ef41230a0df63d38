/** The last question before anything starts: everything recomputed, the current bundle decides afresh (TM-W2, W5, W7). */
import type {Approval, ApprovalDocument} from '@prod/sdk'
import {canonical, sha256} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import {recorded} from '../audit/refusals.ts'
import {refuseFrozen} from '../freeze/state.ts'
import {findLogin, groupsOf} from '../identity/logins.ts'
import type {Caller, Parts} from '../parts.ts'
import type {Bundle} from '../policy/policy.ts'
import {breakGlassAnswer} from '../sessions/break-glass.ts'
import type {Expect, Stored} from '../stores/store.ts'
import {countingApprovals, signedAt} from './approvals.ts'
import {person, putRequest, refuseDraining} from './create.ts'
import {approvalsForPlan, decidePlan, explainPlan} from './decide-plan.ts'
import {makeDocument, makePlan, type Plan, rolesOf} from './plan.ts'
import {rightsNow} from './rights.ts'
import {type RequestRecord, refuseEnded} from './state.ts'

/** how far an approver's clock may be from the store's (decide.ts) */
const maxSkewSeconds = 60

/** What may start now: the plan, its document, and the approvals that count. */
export interface Cleared {
  plan: Plan
  document: ApprovalDocument
  approvals: Approval[]
  /** what must still hold when the use is written: belongs into its commit */
  expect: Expect[]
  /** the freeze that a break-glass goes through */
  frozen: string | null
}

/**
 * Checks an approved request at the moment of use. A difference in the document (but for the bundle's digest), a decision
 * that has changed, or approvals that no longer count make it void: APPROVAL_VOID, DENIED, REQUEST_EXPIRED. DRAINING: not now, not here.
 */
export async function clearForUse(parts: Parts, asking: Caller, stored: Stored<RequestRecord>): Promise<Cleared> {
  const record = stored.value
  refuseDraining(parts)
  const {caller, expect} = await rightsNow(parts, asking)
  refuseEnded(record, parts.store.now())
  if (`${record.principal.iss}#${record.principal.sub}` !== `${caller.principal.iss}#${caller.principal.sub}`) {
    throw new ProdError('REQUEST_NOT_FOUND', `there is no request ${record.id}`, 'prod request ls')
  }
  if (record.state !== 'approved')
    throw new ProdError('ALREADY_DECIDED', `request ${record.id} is ${record.state}`, `prod request show ${record.id}`)
  const bundle = parts.bundle()
  const voided = async (why: string, data: Record<string, unknown> = {}): Promise<ProdError> => {
    await parts.store.commit({
      put: [putRequest({...record, state: 'void', note: why}, stored.version)],
      events: [
        {
          type: 'request.voided',
          by: 'broker',
          subject: record.id,
          correlation: caller.correlation,
          data: {...data, digest: record.digest, bundle: bundle.digest},
          personal: {person: person(caller), why},
        },
      ],
    })
    return recorded(new ProdError('APPROVAL_VOID', `request ${record.id} is void: ${why}`, 'ask again with the same command'))
  }

  let plan: Plan
  try {
    plan = makePlan(bundle, record.draft)
  } catch (error) {
    if (!(error instanceof ProdError)) throw error
    throw await voided(error.message)
  }
  const {expect: unfrozen, through} = await refuseFrozen(parts, plan.class, record.breakGlass)
  const changed = await changedSince(parts, bundle, plan, record)
  if (changed.length > 0) throw await voided(`${changed.join(', ')} changed since it was asked for`, {changed})
  const document = JSON.parse(record.document) as ApprovalDocument

  const needed = record.approvalsNeeded
  if (record.breakGlass) {
    if (!(await wasAsked(parts, record))) throw await voided('the log does not know it as a break-glass')
    const answer = breakGlassAnswer(bundle, plan, caller)
    if (answer.decision !== 'allow') throw await voided('policy no longer allows break-glass here', {rules: answer.rules})
  } else {
    const decided = decidePlan(bundle, plan, caller)
    if (decided.decision === 'deny') {
      await voided('policy denies it now', {rules: decided.rules, errors: decided.errors})
      const {message, hint} = explainPlan(bundle, plan, caller)
      throw recorded(new ProdError('DENIED', message, hint))
    }
    if (decided.decision === 'request' && decided.approvals > needed)
      throw await voided('policy asks for more approvals now', {needed: decided.approvals})
  }
  const approvals = needed === 0 ? [] : await countingApprovals(parts, bundle, plan, record)
  if (approvals.length < needed) throw await voided('its approvals no longer count', {needed, counting: approvals.length})
  if (needed > 0 && isStale(parts, record, approvals)) throw await voided('its approvals are too old')
  return {plan, document, approvals, expect: [...expect, ...unfrozen], frozen: through}
}

/**
 * Checks one target of a run on many that goes on: everything again, but for the time within which it had to begin. Nothing is
 * voided: what has started has started. Throws APPROVAL_VOID, DENIED, FROZEN, LOGIN_EXPIRED.
 */
export async function clearTarget(parts: Parts, asking: Caller, record: RequestRecord, name: string): Promise<Cleared> {
  if (record.draft.kind !== 'exec') throw new Error('not a run')
  const {caller, expect} = await rightsNow(parts, asking)
  const bundle = parts.bundle()
  const {many: _, ...draft} = record.draft
  const lost = (why: string) => new ProdError('APPROVAL_VOID', `${name}: ${why} since it was asked for`, 'ask again with the same command')
  const plan = makePlan(bundle, {...draft, target: name})
  const {expect: unfrozen} = await refuseFrozen(parts, plan.class)
  const {document: now} = await makeDocument(parts, bundle, plan, fixedOf(parts, record))
  if (sha256(record.document) !== record.digest) {
    parts.alarm('a request in the store was altered', {request: record.id})
    throw lost('its text changed')
  }
  const document = JSON.parse(record.document) as ApprovalDocument
  const known =
    document.targets.some(one => canonical(one) === canonical(now.targets[0] ?? null)) &&
    rolesOf(now).every(role => rolesOf(document).some(one => canonical(one) === canonical(role)))
  const changed = differences({...now, targets: []}, {...document, targets: []}).filter(key => !ofOneTarget.has(key))
  if (!known || changed.length > 0) throw lost(`${[...(known ? [] : ['target']), ...changed].join(', ')} changed`)
  const decided = decidePlan(bundle, plan, caller)
  if (decided.decision === 'deny') {
    const {message, hint} = explainPlan(bundle, plan, caller)
    throw new ProdError('DENIED', message, hint)
  }
  const needed = record.approvalsNeeded
  if (decided.decision === 'request' && decided.approvals > needed) throw lost('policy asks for more approvals')
  const approvals = needed === 0 ? [] : await countingApprovals(parts, bundle, plan, record)
  if (approvals.length < needed) throw lost('approvals no longer count')
  return {plan, document, approvals, expect: [...expect, ...unfrozen], frozen: null}
}

/** what a document of many targets says of all, and one of one target otherwise */
const ofOneTarget: ReadonlySet<string> = new Set(['rollout', 'role', 'roles'])

/** Whether the time to use what was approved is over by the signatures alone (TM-W5): a row may say otherwise. */
function isStale(parts: Parts, {startAt}: RequestRecord, approvals: Approval[]): boolean {
  const from = Math.max(signedAt(approvals), startAt === null ? 0 : Date.parse(startAt))
  return parts.store.now().getTime() > from + (parts.config.approvalSeconds + maxSkewSeconds) * 1000
}

/** Why an approved request for a role is void at the moment its grant begins; undefined where it is good. */
export async function whyVoid(parts: Parts, record: RequestRecord): Promise<string | undefined> {
  const bundle = parts.bundle()
  let plan: Plan
  try {
    plan = makePlan(bundle, record.draft)
  } catch (error) {
    if (error instanceof ProdError) return error.message
    throw error
  }
  const changed = await changedSince(parts, bundle, plan, record)
  if (changed.length > 0) return `${changed.join(', ')} changed since it was asked for`
  // groups are known while the login lives; past its end a forbid alone decides, and the approvals
  const login = await findLogin(parts, record.login)
  if (login && login.revokedAt !== null) return 'the login that asked was ended'
  const alive = login !== undefined && login.expiresAt > parts.store.now().toISOString()
  const caller = {principal: record.principal, groups: alive ? await groupsOf(parts, login) : [], address: record.address}
  if (record.breakGlass) {
    if (!(await wasAsked(parts, record))) return 'the log does not know it as a break-glass'
    const {decision} = breakGlassAnswer(bundle, plan, caller)
    if (decision !== 'allow' && (alive || decision === 'forbidden')) return 'policy no longer allows break-glass here'
    const agreed = record.approvalsNeeded === 0 ? [] : await countingApprovals(parts, bundle, plan, record)
    return agreed.length < record.approvalsNeeded ? 'its approvals no longer count' : undefined
  }
  const decided = decidePlan(bundle, plan, caller)
  if (decided.decision === 'deny' && (alive || decided.why === 'forbidden')) return 'policy denies it now'
  // only who is allowed it at once needs nobody: that a row asks for no approval is no right
  const asked = decided.decision === 'allow' ? 0 : approvalsForPlan(bundle, plan)
  const needed = Math.max(asked, record.approvalsNeeded)
  const counting = needed === 0 ? [] : await countingApprovals(parts, bundle, plan, record)
  return counting.length < needed ? 'its approvals no longer count' : undefined
}

/** The fields of its document that would be others now; what was kept must be what was approved. */
async function changedSince(parts: Parts, bundle: Bundle, plan: Plan, record: RequestRecord): Promise<string[]> {
  const {document} = await makeDocument(parts, bundle, plan, fixedOf(parts, record))
  if (sha256(record.document) !== record.digest) {
    parts.alarm('a request in the store was altered', {request: record.id})
    return ['its text']
  }
  return differences(document, JSON.parse(record.document) as ApprovalDocument)
}

/** A break-glass waits for nobody's signature: what it was asked for stands in the log, with its digest. */
async function wasAsked(parts: Parts, {id, digest}: RequestRecord): Promise<boolean> {
  const [created] = await parts.store.entries({from: 0, limit: 1, type: 'request.created', subject: id})
  const data = created && (JSON.parse(created.envelope) as {data: {breakGlass: boolean; digest: string}}).data
  if (data?.breakGlass === true && data.digest === digest) return true
  parts.alarm('a request in the store was altered', {request: id})
  return false
}

function differences(now: ApprovalDocument, then: ApprovalDocument): string[] {
  const keys = [...new Set([...Object.keys(now), ...Object.keys(then)])] as (keyof ApprovalDocument)[]
  return keys.filter(key => key !== 'bundle' && canonical(now[key] ?? null) !== canonical(then[key] ?? null))
}

function fixedOf(parts: Parts, record: RequestRecord): Parameters<typeof makeDocument>[3] {
  return {
    id: record.id,
    createdAt: record.createdAt,
    principal: record.principal,
    approvalsNeeded: record.approvalsNeeded,
    breakGlass: record.breakGlass,
    secondPerson: record.secondPerson,
    maxSeconds: parts.config.breakGlass.maxSeconds,
  }
}
