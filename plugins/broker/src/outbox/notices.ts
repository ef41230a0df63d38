import type {Notice} from '@prod/sdk'
import type {Parts} from '../parts.ts'
import type {RequestRecord} from '../requests/state.ts'

type NoticeParts = Pick<Parts, 'newId' | 'store'>

/** Somebody waits for an approval. Header fields come from the store; the reason is last and inert. */
export function approveNotice(parts: NoticeParts, record: RequestRecord): Notice {
  return {
    id: parts.newId('ntc'),
    type: 'request.created',
    at: parts.store.now().toISOString(),
    urgency: record.breakGlass ? 'alert' : 'info',
    title: 'a request waits for approval',
    principal: record.principal.name,
    target: record.environment,
    risk: record.class,
    digest: record.digest,
    subject: record.id,
    reason: record.draft.reason,
    next: `prod request approve ${record.id}`,
  }
}

/** A request was denied. */
export function deniedNotice(parts: NoticeParts, record: RequestRecord, by: string): Notice {
  return {...approveNotice(parts, record), type: 'request.denied', title: `a request was denied by ${by}`, next: `prod request show ${record.id}`}
}
