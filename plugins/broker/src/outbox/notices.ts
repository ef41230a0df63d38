/** What is told to channels about requests. Fields of the head come from the store; people's words are inert before they are kept (TM-B8). */
import type {ApprovalDocument, Notice} from '@prod/sdk'
import {bounded, showLine, showName} from '@prod/sdk/text'
import type {Parts} from '../parts.ts'
import type {RequestRecord} from '../requests/state.ts'

type NoticeParts = Pick<Parts, 'newId' | 'store'>

const maxReasonColumns = 2000
const namedTargets = 20

/** Somebody waits for an approval. */
export function approveNotice(parts: NoticeParts, record: RequestRecord): Notice {
  return {
    id: parts.newId('ntc'),
    type: 'request.created',
    at: parts.store.now().toISOString(),
    urgency: record.breakGlass ? 'alert' : 'info',
    title: 'a request waits for approval',
    principal: showName(record.principal.name),
    target: whereTo(record),
    risk: record.class,
    digest: record.digest,
    subject: record.id,
    reason: bounded(showLine(record.draft.reason), {columns: maxReasonColumns}),
    next: `prod request approve ${record.id}`,
  }
}

/** A request was denied. */
export function deniedNotice(parts: NoticeParts, record: RequestRecord, by: string): Notice {
  return {
    ...approveNotice(parts, record),
    type: 'request.denied',
    title: `a request was denied by ${showName(by)}`,
    next: `prod request show ${record.id}`,
  }
}

/** The targets or the role of the approval document: what would be signed, not what was asked for. */
function whereTo({document, environment}: RequestRecord): string {
  const {targets, role} = JSON.parse(document) as Pick<ApprovalDocument, 'targets' | 'role'>
  if (role) return `role ${role.name}`
  const names = targets.slice(0, namedTargets).map(target => `${target.name} (${target.environment})`)
  const count = targets.length > 1 ? `${targets.length} targets: ` : ''
  return `${count}${names.join(', ')}${targets.length > names.length ? ', …' : ''}` || environment
}
