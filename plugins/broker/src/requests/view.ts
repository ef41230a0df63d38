/** Who sees which request (TM-A6): the requester, those who may decide it, those who read the audit log. */
import type {Principal, Request} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {Caller, Parts} from '../parts.ts'
import type {Stored} from '../stores/store.ts'
import {person} from './create.ts'
import {approverGroupsOf, mayApprovePlan} from './decide-plan.ts'
import {makePlan, type Plan} from './plan.ts'
import {type RequestRecord, samePerson, showRequest} from './state.ts'

const seenDays = 30
const maxPeople = 200

/** A person as they were last seen: for "who can approve". */
export interface PersonRecord {
  iss: string
  sub: string
  person: string
  name: string
  groups: string[]
  lastSeenAt: string
}

/** The request, if the caller may see it. Unknown and forbidden look alike: REQUEST_NOT_FOUND. */
export async function findVisible(parts: Parts, caller: Caller, id: string): Promise<Stored<RequestRecord>> {
  const stored = await parts.store.find<RequestRecord>('request', id)
  if (!stored || !visible(parts, caller, stored.value))
    throw new ProdError('REQUEST_NOT_FOUND', `there is no request ${id}`, 'prod request ls')
  return stored
}

/** Whether the caller may see it. */
export function visible(parts: Parts, caller: Caller, record: RequestRecord): boolean {
  if (samePerson(caller.principal, record.principal)) return true
  return mayDecide(parts, caller, record) || mayReadAudit(parts, caller)
}

/** Whether the caller reads the log. */
export function mayReadAudit(parts: Parts, caller: Caller): boolean {
  return (
    parts.bundle().ask({principal: caller.principal, groups: caller.groups, action: 'readAudit', resource: {kind: 'log'}, context: {}})
      .decision === 'allow'
  )
}

function mayDecide(parts: Parts, caller: Caller, record: RequestRecord): boolean {
  const plan = tryPlan(parts, record)
  return plan !== undefined && mayApprovePlan(parts.bundle(), plan, caller)
}

function tryPlan(parts: Parts, record: RequestRecord): Plan | undefined {
  try {
    return makePlan(parts.bundle(), record.draft)
  } catch {
    return undefined // the tool, target or role is gone from the catalog
  }
}

/** Names of people seen in the last 30 days whom policy lets approve, else the groups' names. */
export async function approversOf(parts: Parts, record: RequestRecord): Promise<string[]> {
  const plan = tryPlan(parts, record)
  return plan ? approversOfPlan(parts, plan, record.principal) : []
}

/** The same for what nobody has asked for yet; `asker` approves nothing of their own. */
export async function approversOfPlan(parts: Parts, plan: Plan, asker: Principal): Promise<string[]> {
  const bundle = parts.bundle()
  const since = new Date(parts.store.now().getTime() - seenDays * 86_400_000).toISOString()
  const people = await parts.store.list<PersonRecord>({kind: 'person', newest: true, limit: maxPeople})
  const names = people
    .map(one => one.value)
    .filter(one => one.lastSeenAt >= since && one.person !== '' && !samePerson(one, asker))
    .filter(one => mayApprovePlan(bundle, plan, {principal: one, groups: one.groups}))
    .map(one => one.name)
  return names.length > 0 ? [...new Set(names)].sort() : approverGroupsOf(bundle, plan)
}

/** The request as people see it. */
export async function shown(parts: Parts, record: RequestRecord): Promise<Request> {
  return showRequest(record, record.state === 'pending' ? await approversOf(parts, record) : [])
}

/** The document's exact text; that somebody looked is recorded. */
export async function readDocument(parts: Parts, caller: Caller, id: string): Promise<{document: string; digest: string}> {
  const {value} = await findVisible(parts, caller, id)
  await parts.store.commit({
    events: [
      {
        type: 'request.viewed',
        by: person(caller),
        subject: id,
        correlation: caller.correlation,
        data: {digest: value.digest},
        personal: {name: caller.principal.name},
      },
    ],
  })
  return {document: value.document, digest: value.digest}
}

/** Requests the caller may see, newest first. `mine`: the caller's own alone. */
export async function listRequests(
  parts: Parts,
  caller: Caller,
  {state, mine}: {state?: string; mine?: string},
): Promise<{requests: Request[]}> {
  const owner = `${caller.principal.iss}#${caller.principal.sub}`
  const found = await parts.store.list<RequestRecord>({
    kind: 'request',
    newest: true,
    limit: 200,
    ...(state === undefined ? {} : {state}),
    ...(mine === 'true' ? {owner} : {}),
  })
  const seen = found.map(one => one.value).filter(record => visible(parts, caller, record))
  return {requests: await Promise.all(seen.map(record => shown(parts, record)))}
}
