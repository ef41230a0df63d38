/** What a receiver gets to read. */
import type {Notice} from '@prod/sdk'
import {forInlineJson} from '@prod/sdk/surfaces'
import {bounded, showLine, showName} from '@prod/sdk/text'

const maxTitleColumns = 200
const maxReasonColumns = 2000

/**
 * The notice as one line of JSON (TM-B8): first what the store says, last the words of whoever asked. In no text is there anything that
 * acts, hides, breaks the line or closes a tag, and each has an end. Pure.
 */
export function noticeBody({id, type, at, urgency, risk, target, principal, digest, subject, title, next, reason}: Notice): string {
  const name = (text: string): string => bounded(showName(text), {columns: maxTitleColumns})
  const line = (text: string, columns = maxTitleColumns): string => bounded(showLine(text), {columns})
  return forInlineJson({
    id: line(id),
    type: line(type),
    at: line(at),
    urgency,
    risk: name(risk),
    target: name(target),
    principal: name(principal),
    digest: digest === null ? null : line(digest),
    subject: line(subject),
    title: line(title),
    next: next === null ? null : line(next),
    reason: line(reason, maxReasonColumns),
  })
}
