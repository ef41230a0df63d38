/** Set by one person, lifted by two (TM-F5): one conditional write each, with its event and its alarm. */
import type {Freeze, Notice} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {checkReason} from '@prod/sdk/reason'
import {bounded, showLine, showName} from '@prod/sdk/text'
import {about} from '../audit/refusals.ts'
import type {Caller, Parts} from '../parts.ts'
import {person} from '../requests/create.ts'
import {samePerson} from '../requests/state.ts'
import type {AuditEvent} from '../stores/store.ts'
import {type FreezeRecord, putFreeze, showFreeze, storedFreeze} from './state.ts'

/** how long the first of the two waits for the second */
const liftSeconds = 900
const reasonColumns = 2000

/**
 * Freezes; a freeze that is on already is widened by `all`, never narrowed, and a lift that was begun is over. `again`: it was on, and nothing of
 * it changed; this is recorded and alarms nobody. Throws DENIED, REASON_INVALID.
 */
export async function freeze(
  parts: Parts,
  caller: Caller,
  input: {reason: string; all?: boolean},
): Promise<{freeze: Freeze; again: boolean}> {
  refuseStranger(parts, caller, 'freeze')
  const reason = checkReason(input.reason)
  for (;;) {
    const stored = await storedFreeze(parts)
    const before = stored?.value.on ? stored.value : undefined
    const now = parts.store.now()
    const record: FreezeRecord = {
      on: true,
      all: input.all === true || before?.all === true,
      by: before?.by ?? caller.principal,
      since: before?.since ?? now.toISOString(),
      reason: before?.reason ?? reason,
      lift: null,
    }
    const again = before !== undefined && before.all === record.all && (before.lift === null || before.lift.until <= now.toISOString())
    const title = record.all ? 'production is frozen, reads too' : 'production is frozen'
    const saved = await parts.store.commit({
      put: [putFreeze(record, stored?.version ?? 0)],
      events: [eventOf(caller, 'freeze.set', reason, {all: record.all, again: before !== undefined})],
      ...(again ? {} : {notices: [noticeOf(parts, caller, 'freeze.set', title, reason)]}),
    })
    if (!saved.ok) continue
    if (!again) parts.alarm('production is frozen', {by: person(caller), all: record.all})
    return {freeze: showFreeze(record, now) as Freeze, again}
  }
}

/** The first says that it may go, a second person lifts it within 15 minutes. Null: it is lifted. Throws DENIED, ALREADY_DECIDED. */
export async function lift(parts: Parts, caller: Caller, input: {reason: string}): Promise<{freeze: Freeze | null}> {
  refuseStranger(parts, caller, 'unfreeze')
  const reason = checkReason(input.reason)
  for (;;) {
    const stored = await storedFreeze(parts)
    if (!stored?.value.on) throw new ProdError('ALREADY_DECIDED', 'nothing is frozen', 'prod freeze --show')
    const record = stored.value
    const now = parts.store.now()
    const first = record.lift && record.lift.until > now.toISOString() ? record.lift : null
    if (first && samePerson(first.by, caller.principal))
      throw new ProdError('ALREADY_DECIDED', 'you have said so already; a second person lifts it', 'prod freeze --show')
    const until = new Date(now.getTime() + liftSeconds * 1000).toISOString()
    const next: FreezeRecord = first
      ? {...record, on: false, lift: null}
      : {...record, lift: {by: caller.principal, at: now.toISOString(), until, reason}}
    const type = first ? 'freeze.lifted' : 'freeze.lift-asked'
    const title = first ? 'production is no longer frozen' : 'somebody wants to lift the freeze: a second person must agree'
    const saved = await parts.store.commit({
      put: [putFreeze(next, stored.version)],
      events: [eventOf(caller, type, reason, first ? {since: record.since} : {until}, first ? {with: first.by.person} : {})],
      notices: [noticeOf(parts, caller, type, title, reason)],
    })
    if (!saved.ok) continue
    if (first) parts.alarm('production is no longer frozen', {by: [first.by.person, person(caller)]})
    return {freeze: showFreeze(next, now)}
  }
}

/** Whom policy does not let do it, or whom nobody can tell from another person. */
function refuseStranger(parts: Parts, {principal, groups, address}: Caller, action: 'freeze' | 'unfreeze'): void {
  const refusal = (message: string): ProdError =>
    about(new ProdError('DENIED', message, 'prod freeze --show'), {type: 'freeze.refused', subject: 'freeze', data: {action}})
  if (action === 'unfreeze' && principal.person === '')
    throw refusal('your identity provider gives no person id, so you cannot be one of the two who lift a freeze')
  const answer = parts.bundle().ask({principal, groups, action, resource: {kind: 'fleet'}, context: {address}})
  if (answer.errors.length > 0) parts.alarm('policy evaluation failed', {errors: answer.errors})
  if (answer.decision !== 'allow')
    throw refusal(`you may not ${action} production: ${answer.rules[0] ? `rule ${answer.rules[0]} forbids it` : 'no rule permits it'}`)
}

function eventOf(
  caller: Caller,
  type: string,
  reason: string,
  data: Record<string, unknown>,
  personal: Record<string, unknown> = {},
): AuditEvent {
  return {
    type,
    by: person(caller),
    subject: 'freeze',
    correlation: caller.correlation,
    data,
    personal: {name: caller.principal.name, reason, address: caller.address, ...personal},
  }
}

function noticeOf(parts: Parts, caller: Caller, type: string, title: string, reason: string): {channels: string[]; notice: Notice} {
  return {
    channels: [...parts.channels.keys()],
    notice: {
      id: parts.newId('ntc'),
      type,
      at: parts.store.now().toISOString(),
      urgency: 'alert',
      title,
      principal: showName(caller.principal.name),
      target: 'all of production',
      risk: 'admin',
      digest: null,
      subject: 'freeze',
      reason: bounded(showLine(reason), {columns: reasonColumns}),
      next: type === 'freeze.lifted' ? 'prod freeze --show' : 'prod freeze --lift --reason …',
    },
  }
}
