/** The life of a request, pure: what is kept of it, and which moves are lawful. Time comes in from the store. */
import type {Approval, Digest, HostPort, PersonId, Principal, Request, RequestState} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'

/**
 * Where addresses that leave open which one is touched led when it was asked for (TM-X2): from the address of the catalog to the whole one.
 * Absent: nothing was open, or nobody had to approve it.
 */
export type Resolved = Readonly<Record<string, string>>

/** What somebody wants, in canonical form: all that a document is made from besides catalog, policy and person. */
export type Draft =
  | {
      kind: 'exec'
      argv: string[]
      target: string | null
      /** a run on many targets: what was written after `--on`, and the targets that it chose when it was asked for, sorted */
      many?: {on: string[]; targets: string[]}
      reason: string
      incident: string | null
      startAt: string | null
      stdin: Digest | null
      resolved?: Resolved
    }
  | {kind: 'shell'; target: string; reason: string; incident: string | null; resolved?: Resolved}
  | {kind: 'forward'; target: string; to: HostPort[]; reason: string; incident: string | null; resolved?: Resolved}
  | {kind: 'role'; role: string; durationSeconds: number; reason: string; incident: string | null; startAt: string | null}

/** A request as the store keeps it. */
export interface RequestRecord {
  id: string
  state: RequestState
  draft: Draft
  principal: Principal
  /** login (token family) of the requester, and where they asked from */
  login: string
  address: string
  /** RFC 8785 text of the approval document, and its SHA-256 */
  document: string
  digest: string
  summary: string
  class: Request['class']
  environment: string
  approvalsNeeded: number
  approvals: Approval[]
  breakGlass: boolean
  /** why a break-glass needs a second person: place or overdue review; else null */
  secondPerson: string | null
  createdAt: string
  expiresAt: string
  startAt: string | null
  result: string | null
  note: string | null
}

/** The state a pending request has after one more yes; distinct people count (TM-N5). */
export function afterApproval(record: RequestRecord, approval: Approval, approvedUntil: string): RequestRecord {
  const approvals = [...record.approvals.filter(one => !samePerson(one.by, approval.by)), approval]
  const people = new Set(approvals.filter(one => one.decision === 'approve').map(one => canonicalPerson(one.by.person)))
  const complete = people.size >= record.approvalsNeeded
  return {...record, approvals, state: complete ? 'approved' : 'pending', expiresAt: complete ? approvedUntil : record.expiresAt}
}

/** Throws what a person sees who wants to use or decide a request that is over. */
export function refuseEnded(record: RequestRecord, now: Date): void {
  const show = `prod request show ${record.id}`
  if (record.state === 'denied') {
    const by = record.approvals.find(one => one.decision === 'deny')?.by.name
    throw new ProdError(
      'REQUEST_DENIED',
      `request ${record.id} was denied${by ? ` by ${by}` : ''}${record.note ? `: ${record.note}` : ''}`,
      show,
    )
  }
  if (record.state === 'cancelled') throw new ProdError('REQUEST_CANCELLED', `request ${record.id} was cancelled`, show)
  if (record.state === 'void')
    throw new ProdError(
      'APPROVAL_VOID',
      `request ${record.id} is void${record.note ? `: ${record.note}` : ''}`,
      'ask again with the same command',
    )
  const open = record.state === 'pending' || record.state === 'approved'
  if (record.state === 'expired' || (open && now.toISOString() >= record.expiresAt)) {
    throw new ProdError('REQUEST_EXPIRED', `request ${record.id} has expired`, 'ask again with the same command')
  }
}

/** What people see of a request. */
export function showRequest(record: RequestRecord, approvers: string[]): Request {
  const {id, state, principal, summary, environment, digest, approvalsNeeded, createdAt, expiresAt, startAt, result, note, breakGlass} =
    record
  return {
    id,
    state,
    kind: record.draft.kind,
    principal,
    reason: record.draft.reason,
    summary,
    class: record.class,
    environment,
    digest,
    approvalsNeeded,
    approvals: record.approvals
      .filter(one => one.decision === 'approve')
      .map(one => ({by: one.by.name, person: one.by.person, at: one.at})),
    approvers,
    createdAt,
    expiresAt,
    startAt,
    result,
    note,
    breakGlass,
  }
}

/** Whether two principals are one person. People without a person id are told apart by issuer and subject, and never approve. */
export function samePerson(a: Principal, b: Principal): boolean {
  if (a.iss === b.iss && a.sub === b.sub) return true
  return a.person !== '' && samePersonId(a.person, b.person)
}

/** Person ids are compared without case: a directory that writes them differently means the same human. */
export function samePersonId(a: PersonId, b: PersonId): boolean {
  return canonicalPerson(a) === canonicalPerson(b)
}

/** The one spelling of a person id. */
export function canonicalPerson(person: PersonId): string {
  return person.normalize('NFC').toLowerCase()
}

/** The one spelling of what a command names, for locks and limits: neither case nor Unicode form, a dot at its end or `.service` make it another thing. */
export function canonicalName(name: string): string {
  return name
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\.+$/, '')
    .replace(/\.service$/, '')
}
