import type {PersonId} from '@prod/sdk'
import {canonical, sha256} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import {showHostPort} from '@prod/sdk/forward'
import {takesSecrets} from '@prod/sdk/grammar/operands'
import {checkReason, maxReasonCharacters} from '@prod/sdk/reason'
import {about, detailOf} from '../audit/refusals.ts'
import {refuseFrozen} from '../freeze/state.ts'
import {newGrant, putGrant} from '../grants/state.ts'
import {approveNotice} from '../outbox/notices.ts'
import type {Caller, Parts} from '../parts.ts'
import type {Bundle, UseDecision} from '../policy/policy.ts'
import type {Put} from '../stores/store.ts'
import {decidePlan, explainPlan} from './decide-plan.ts'
import {planFor} from './known.ts'
import {makeDocument, makePlan, type Plan} from './plan.ts'
import {resolveOpen} from './resolve.ts'
import type {Draft, RequestRecord} from './state.ts'

/** How a draft came in. */
export interface Submission {
  draft: Draft
  /** client-made idempotency key (TM-N3) */
  key: string
  reasonReused?: boolean
}

/** Where a break-glass stands: what demands a second person, if anything does. */
export interface BreakGlass {
  secondPerson: string | null
}

/** Throws DRAINING while nothing new starts here. */
export function refuseDraining({draining}: Pick<Parts, 'draining'>): void {
  const why = draining()
  if (why !== null) throw new ProdError('DRAINING', why, 'try again in a moment')
}

const idempotencyHours = 24
const maxOpenRequests = 50

/** Checks the words of a draft: the reason (TM-I1), the incident's form. Pure but for the parts' configuration. */
export function checkDraft(parts: Parts, {draft, reasonReused}: Submission, plan: Plan): Draft {
  const reason = checkReason(draft.reason)
  if (reasonReused && plan.class !== 'read') {
    throw new ProdError('REASON_INVALID', `a reason is not reused for a command of class ${plan.class}`, 'give --reason with its own words')
  }
  if (draft.incident !== null && !new RegExp(`^(?:${parts.config.breakGlass.incidentPattern})$`, 'u').test(draft.incident)) {
    throw new ProdError(
      'INCIDENT_INVALID',
      `the incident must look like ${parts.config.breakGlass.incidentPattern}`,
      'prod exec --incident INC-1234 …',
    )
  }
  return {...draft, reason}
}

/** What policy says of a plan. A refusal is thrown with its rule and what to ask for instead. */
export function judge(parts: Parts, caller: Caller, bundle: Bundle, plan: Plan): Exclude<UseDecision, {decision: 'deny'}> {
  const decided = decidePlan(bundle, plan, caller)
  if (decided.decision !== 'deny') return decided
  if (decided.errors.length > 0) parts.alarm('policy evaluation failed', {errors: decided.errors, bundle: bundle.digest})
  const {message, hint} = explainPlan(bundle, plan, caller)
  throw about(new ProdError('DENIED', message, hint), {
    type: 'request.refused',
    subject: plan.tool?.name ?? plan.target?.name ?? plan.draft.kind,
    personal: {summary: plan.summary, reason: plan.draft.reason},
    data: {rules: decided.rules, errors: decided.errors, why: decided.why, bundle: bundle.digest, service: serviceOf(plan)},
  })
}

/** What the log says of a draft that was refused: the same for every way in (TM-K1). */
export async function asRefused<T>(parts: Pick<Parts, 'bundle'>, draft: Draft, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ProdError)) throw error
    const named = draft.kind === 'exec' ? (draft.argv[0] ?? '') : draft.kind === 'role' ? draft.role : draft.target
    const detail = detailOf(error)
    throw about(error, {
      type: 'request.refused',
      subject: named.slice(0, 64).replace(/[^\w.-]/g, '?') || draft.kind,
      data: {
        kind: draft.kind,
        service: serviceNamed(parts.bundle(), draft),
        position: error.position ?? null,
        ...(draft.incident === null ? {} : {incident: true}),
        ...(draft.kind === 'exec' ? {arguments: draft.argv.length, ...(draft.many ? {targets: draft.many.targets} : {})} : {}),
        ...detail?.data,
      },
      personal: {
        ...(draft.kind === 'exec' ? {argv: withoutSecrets(parts.bundle(), draft.argv)} : {}),
        ...(draft.kind === 'role' ? {role: draft.role.toWellFormed()} : {target: draft.target?.toWellFormed() ?? null}),
        ...(draft.kind === 'forward' ? {to: draft.to.map(place => showHostPort(place).toWellFormed())} : {}),
        reason: draft.reason.slice(0, maxReasonCharacters).toWellFormed(),
        ...detail?.personal,
      },
    })
  }
}

/** The service of what was asked for, where the catalog has it; what policy refused names the one that would have been reached. */
function serviceNamed({catalog}: Bundle, draft: Draft): string | null {
  if (draft.kind === 'exec') return catalog.tools.get(draft.argv[0] ?? '')?.service ?? null
  return (draft.kind === 'role' ? catalog.roles.get(draft.role) : catalog.targets.get(draft.target))?.service ?? null
}

/** argv that was refused, for the log: nothing of it that may be a secret (TM-E7). Of a tool that nobody knows, or that takes secrets, the name alone. */
function withoutSecrets(bundle: Bundle, argv: string[]): string[] {
  const grammar = bundle.catalog.tools.get(argv[0] ?? '')?.grammar
  const open = grammar !== undefined && !takesSecrets(grammar)
  return (open ? argv : argv.slice(0, 1)).map(word => word.toWellFormed().replace(/(:\/\/)[^/\s@]*@/g, '$1[secret]@'))
}

/**
 * Makes a request, or gives the one that this key already made. `approved` at once where policy allows the use as it is.
 * Throws what a plan or policy refuses, IDEMPOTENCY_CONFLICT for another body under one key.
 */
export function createRequest(parts: Parts, caller: Caller, submission: Submission, breakGlass?: BreakGlass): Promise<RequestRecord> {
  return asRefused(parts, submission.draft, () => create(parts, caller, submission, breakGlass))
}

async function create(parts: Parts, caller: Caller, submission: Submission, breakGlass?: BreakGlass): Promise<RequestRecord> {
  refuseDraining(parts)
  const bundle = parts.bundle()
  // the streams have asked by now whether the caller may know of it
  const draftedPlan = submission.draft.kind === 'role' ? planFor(parts, caller, submission.draft) : makePlan(bundle, submission.draft)
  const asked = checkDraft(parts, {...submission, draft: draftedPlan.draft}, draftedPlan)
  const owner = `${caller.principal.iss}#${caller.principal.sub}`
  const keyId = sha256(canonical([owner, asked.kind, submission.key]))
  // what a break-glass and a plain request of the same words become differs: they are no repeat of one another
  const body = sha256(canonical(asked.kind !== 'shell' && breakGlass ? {...asked, breakGlass: true} : asked))
  const known = await findByKey(parts, keyId, body)
  if (known.request) return known.request

  const decided = breakGlass ? null : judge(parts, caller, bundle, {...draftedPlan, draft: asked})
  await refuseFrozen(parts, draftedPlan.class, breakGlass !== undefined)
  const approvalsNeeded = breakGlass ? (breakGlass.secondPerson ? 1 : 0) : decided?.decision === 'request' ? decided.approvals : 0
  if (approvalsNeeded > 0) await refuseFlood(parts, owner)
  const resolved = await resolveOpen(parts, caller, draftedPlan, approvalsNeeded)
  const draft: Draft = resolved && asked.kind !== 'role' ? {...asked, resolved} : asked
  const plan = {...(resolved ? makePlan(bundle, draft) : draftedPlan), draft}

  const now = parts.store.now()
  const id = parts.newId('req')
  const keptUntil = new Date(now.getTime() + idempotencyHours * 3_600_000).toISOString()
  const startAt = 'startAt' in draft ? draft.startAt : null
  const base = Math.max(now.getTime(), startAt ? Date.parse(startAt) : 0)
  const until = (seconds: number) => new Date(base + seconds * 1000).toISOString()
  const createdAt = now.toISOString()
  const {text, digest} = await makeDocument(parts, bundle, plan, {
    id,
    createdAt,
    principal: caller.principal,
    approvalsNeeded,
    breakGlass: breakGlass !== undefined,
    secondPerson: breakGlass?.secondPerson ?? null,
    maxSeconds: parts.config.breakGlass.maxSeconds,
  })
  const record: RequestRecord = {
    id,
    state: approvalsNeeded === 0 ? 'approved' : 'pending',
    draft,
    principal: caller.principal,
    login: caller.login,
    address: caller.address,
    document: text,
    digest,
    summary: breakGlass?.secondPerson ? `${plan.summary}; ${breakGlass.secondPerson}` : plan.summary,
    class: plan.class,
    environment: plan.environment,
    approvalsNeeded,
    approvals: [],
    breakGlass: breakGlass !== undefined,
    secondPerson: breakGlass?.secondPerson ?? null,
    createdAt,
    expiresAt: until(approvalsNeeded === 0 ? parts.config.approvalSeconds : parts.config.requestSeconds),
    startAt,
    result: null,
    note: null,
  }
  const put: Put[] = []
  // one by break-glass begins once its alerts are out
  if (record.state === 'approved' && draft.kind === 'role' && !record.breakGlass) {
    const grant = newGrant(parts, record, draft)
    record.result = grant.id
    put.push(putGrant(grant, 0))
  }
  const notices = record.state === 'pending' ? [{channels: [...parts.channels.keys()], notice: approveNotice(parts, record)}] : []
  const saved = await parts.store.commit({
    put: [
      putRequest(record, 0),
      ...put,
      {
        kind: 'idempotency',
        id: keyId,
        version: known.version,
        value: {request: id, body, until: keptUntil},
        index: {dueAt: keptUntil},
      },
    ],
    events: [
      {
        type: 'request.created',
        by: person(caller),
        subject: id,
        correlation: caller.correlation,
        data: {
          kind: draft.kind,
          class: plan.class,
          environment: plan.environment,
          tool: plan.tool?.name ?? null,
          target: plan.target?.name ?? null,
          service: serviceOf(plan),
          ...(draft.incident === null ? {} : {incident: true, incidentId: draft.incident}),
          ...(startAt === null ? {} : {startAt}),
          ...(draft.kind === 'forward' ? {to: draft.to.map(showHostPort)} : {}),
          ...(plan.each ? {targets: plan.each.map(({target}) => target?.name), rollout: plan.rollout} : {}),
          digest,
          bundle: bundle.digest,
          rules: decided?.rules ?? [],
          decision: record.state === 'approved' ? 'allow' : 'request',
          approvalsNeeded,
          breakGlass: record.breakGlass,
        },
        personal: {
          name: caller.principal.name,
          reason: draft.reason,
          summary: plan.summary,
          address: caller.address,
          groups: caller.groups,
          ...(draft.kind === 'exec' ? {argv: draft.argv} : {}),
          ...(draft.kind === 'role' ? {role: draft.role} : {target: plan.target?.name ?? null}),
        },
      },
    ],
    notices,
  })
  if (saved.ok) return record
  const raced = await findByKey(parts, keyId, body)
  if (raced.request) return raced.request
  throw new ProdError('IDEMPOTENCY_CONFLICT', 'this request was made twice at once', 'the same command again')
}

/** What a key made, within its time; `version` is of the key's record, for the one that takes its place. */
async function findByKey(parts: Parts, keyId: string, body: string): Promise<{request?: RequestRecord | undefined; version: number}> {
  const known = await parts.store.find<{request: string; body: string; until: string}>('idempotency', keyId)
  if (!known || known.value.until <= parts.store.now().toISOString()) return {version: known?.version ?? 0}
  if (known.value.body !== body)
    throw new ProdError('IDEMPOTENCY_CONFLICT', 'this idempotency key was used for another request', 'use a new key')
  return {request: (await parts.store.find<RequestRecord>('request', known.value.request))?.value, version: known.version}
}

/** The service that is reached: of the target, else of the tool or the role; of many targets, where it is the same for all. Pure. */
function serviceOf({target, tool, resource, each}: Plan): string | null {
  const [first, ...others] = each ?? []
  if (first) return others.every(one => serviceOf(one) === serviceOf(first)) ? serviceOf(first) : null
  return target?.service ?? tool?.service ?? (resource.kind === 'role' ? resource.role.service : null)
}

/** Approvers are not flooded: open requests of one person are bounded (TM-B9). */
async function refuseFlood(parts: Parts, owner: string): Promise<void> {
  const open = await parts.store.list<RequestRecord>({kind: 'request', state: 'pending', owner, limit: maxOpenRequests})
  if (open.length >= maxOpenRequests)
    throw new ProdError('LIMIT_REACHED', `${maxOpenRequests} of your requests are waiting already`, 'prod request ls')
}

/** Whose act it is in the log: the person id, or issuer and subject where there is none. */
export function person(caller: Pick<Caller, 'principal'>): PersonId {
  return caller.principal.person || `${caller.principal.iss}#${caller.principal.sub}`
}

/** A request as the store writes it. */
export function putRequest(record: RequestRecord, version: number): Put {
  const waits = record.state === 'pending' || record.state === 'approved'
  return {
    kind: 'request',
    id: record.id,
    version,
    value: record,
    index: {state: record.state, owner: `${record.principal.iss}#${record.principal.sub}`, ...(waits ? {dueAt: record.expiresAt} : {})},
  }
}
