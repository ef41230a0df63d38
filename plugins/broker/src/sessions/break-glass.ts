/** What break-glass demands (TM-O1 to O5): incident, fresh login, place, no overdue review, two accepted alerts. */
import type {Notice, NoticeChannel, Principal, Review, TargetRef, ToolClass} from '@prod/sdk'
import {canonical} from '@prod/sdk/document'
import {type ErrorCode, ProdError} from '@prod/sdk/errors'
import {bounded, showLine, showName} from '@prod/sdk/text'
import ipaddr from 'ipaddr.js'
import {about} from '../audit/refusals.ts'
import type {Caller, Parts} from '../parts.ts'
import type {Answer, Bundle} from '../policy/policy.ts'
import {decidePlan} from '../requests/decide-plan.ts'
import {type Plan, question} from '../requests/plan.ts'
import {samePerson} from '../requests/state.ts'

/** Whether policy lets this person break glass here: never for what it forbids outright. */
export function breakGlassAnswer(bundle: Bundle, plan: Plan, caller: Pick<Caller, 'principal' | 'groups' | 'address'>): Answer {
  const decided = decidePlan(bundle, plan, caller)
  if (decided.decision === 'deny' && decided.why === 'forbidden') {
    const {rules, errors} = decided
    return {decision: 'forbidden', rules, errors}
  }
  const asked = question(plan, caller)
  return bundle.ask({...asked, action: 'breakGlass', context: {...asked.context, use: plan.action}})
}

/** Why somebody does not break glass alone. */
export interface Hindrance {
  code: 'PLACE_REFUSED' | 'REVIEW_OVERDUE'
  why: string
}

/** Throws INCIDENT_INVALID and FRESH_LOGIN_REQUIRED; then says why a second person is needed, or null. */
export async function checkBreakGlass(parts: Parts, caller: Caller, plan: Plan): Promise<Hindrance | null> {
  const {freshLoginSeconds, incidentPattern} = parts.config.breakGlass
  const refusal = (code: ErrorCode, message: string, hint: string) => aboutBreakGlass(plan, new ProdError(code, message, hint))
  const {incident} = plan.draft
  if (incident === null)
    throw refusal('INCIDENT_INVALID', 'break-glass needs an incident', `${commandFor(plan)} --incident INC-1234 --reason "…"`)
  if (!new RegExp(`^(?:${incidentPattern})$`, 'u').test(incident))
    throw refusal('INCIDENT_INVALID', `the incident must look like ${incidentPattern}`, '--incident INC-1234')
  const age = parts.store.now().getTime() - Date.parse(caller.loggedInAt)
  if (!(age <= freshLoginSeconds * 1000)) {
    throw refusal(
      'FRESH_LOGIN_REQUIRED',
      `break-glass needs a login younger than ${Math.ceil(freshLoginSeconds / 60)} minutes`,
      parts.config.development ? `prod login --fresh --as ${caller.principal.name}` : 'prod login --fresh',
    )
  }
  if (!fromPlace(parts.config.places, caller.address)) return {code: 'PLACE_REFUSED', why: 'it does not come from a listed place'}
  if (await hasOverdueReview(parts, caller))
    return {code: 'REVIEW_OVERDUE', why: 'an earlier break-glass of yours still waits for its review'}
  return null
}

/** What to type for it again. Pure. */
export function commandFor({action, target, resource}: Plan): string {
  if (resource.kind === 'role') return `prod assume ${resource.role.name} --break-glass`
  if (action === 'forward') return `prod forward ${target?.name ?? 'TARGET'} --break-glass`
  return action === 'shell' ? `prod shell ${target?.name ?? 'TARGET'}` : 'prod exec --break-glass'
}

/** What the log says of a break-glass that was refused. */
export function aboutBreakGlass(plan: Plan, error: ProdError): ProdError {
  const {incident, reason} = plan.draft
  return about(error, {type: 'break-glass.refused', subject: plan.target?.name ?? plan.draft.kind, data: {incident}, personal: {reason}})
}

/** Whether an address lies in one of the CIDR ranges; an IPv4 address written as IPv6 is the IPv4 address. Pure. */
export function fromPlace(places: string[], address: string): boolean {
  // `::10.1.2.3` is an address of its own, which the parser would take for the other
  if (!ipaddr.isValid(address) || /^::[\d.]+$/.test(address)) return false
  const peer = ipaddr.process(address)
  return places.some(place => {
    const [range, bits] = ipaddr.parseCIDR(place)
    return range.kind() === peer.kind() && peer.match(range as never, bits as never)
  })
}

/** Whether a break-glass of this person, by whichever account, waits for its review past its time. */
export async function hasOverdueReview(parts: Parts, caller: Caller): Promise<boolean> {
  const now = parts.store.now().toISOString()
  // of the person, whichever account they came with
  const open = await parts.store.list<Review>({kind: 'review', state: 'open'})
  return open.some(({value}) => value.dueAt < now && samePerson(value.principal, caller.principal))
}

/** One break-glass, as alerts tell of it: a session, or a run of a tool. */
export interface Loud {
  id: string
  principal: Principal
  target: TargetRef
  reason: string
  incident: string | null
  /** of a session, or of a grant; absent: a shell */
  kind?: 'shell' | 'forward' | 'role'
  /** of a run */
  tool?: string
  class?: ToolClass
}

const inWords = ({kind}: Loud): string => (kind === 'role' ? 'a role' : kind === 'forward' ? 'a forward' : 'a shell')
const opened = ({kind}: Loud): string => (kind === 'role' ? 'taken' : 'opened')
const open = ({kind}: Loud): string => (kind === 'role' ? 'held' : 'open')
const titles = {
  'break-glass.started': (loud: Loud) =>
    `BREAK-GLASS: ${loud.tool === undefined ? `${inWords(loud)} is being ${opened(loud)}` : `${showName(loud.tool)} is being run`}`,
  'break-glass.goes-on': (loud: Loud) =>
    `BREAK-GLASS: ${loud.tool === undefined ? `${inWords(loud)} is still ${open(loud)}` : `${showName(loud.tool)} still runs`}`,
  'break-glass.ended': () => 'break-glass ended; its review waits',
}
const reasonColumns = 2000

/** What is sent to the alert channels. People's words are inert before they leave (TM-B8). */
export function breakGlassNotice(parts: Pick<Parts, 'newId' | 'store'>, loud: Loud, type: keyof typeof titles): Notice {
  const {id, principal, target, reason, incident} = loud
  return {
    id: parts.newId('ntc'),
    type,
    at: parts.store.now().toISOString(),
    urgency: 'alert',
    title: titles[type](loud),
    principal: showName(principal.name),
    target: target.environment === '' ? target.name : `${target.name} (${target.environment})`,
    risk: loud.class ?? (loud.kind === 'forward' ? 'change' : 'shell'),
    digest: null,
    subject: id,
    reason: bounded(showLine(`${incident ?? ''}: ${reason}`), {columns: reasonColumns}),
    next:
      type === 'break-glass.ended'
        ? 'prod review ls'
        : loud.kind === 'role'
          ? `prod grant revoke ${id}`
          : loud.tool === undefined && loud.kind !== 'forward'
            ? `prod sessions watch ${id}`
            : `prod sessions end ${id}`,
  }
}

/** between two tries, and for one: a receiver that hangs is asked again */
const pauseMilliseconds = 1000
const tryMilliseconds = 10_000

/**
 * Sends one alert to both channels until each has accepted it, for the configured time at most (60 s). Throws
 * ALERTS_NOT_ACCEPTED and names the channel that did not: nothing opens then. Throws the signal's reason when it is aborted.
 */
export async function raiseAlerts(
  parts: Pick<Parts, 'config' | 'channels' | 'alarm'>,
  notice: Notice,
  signal: AbortSignal,
): Promise<string[]> {
  const names = parts.config.alertChannels
  const channels = twoAlertChannels(parts)
  if (!channels) {
    parts.alarm('break-glass has no two alert channels that differ', {channels: names, subject: notice.subject})
    throw new ProdError('ALERTS_NOT_ACCEPTED', 'break-glass needs two alert channels that differ, so nothing was opened', 'prod doctor')
  }
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(parts.config.breakGlass.alertSeconds * 1000)])
  const results = await Promise.allSettled(channels.map(channel => untilAccepted(channel, notice, deadline)))
  const failed = names.filter((_, at) => results[at]?.status === 'rejected')
  if (failed.length === 0) return names
  signal.throwIfAborted()
  parts.alarm('a break-glass alert was not accepted', {channels: failed, subject: notice.subject})
  throw new ProdError('ALERTS_NOT_ACCEPTED', `the alert was not accepted by ${failed.join(' and ')}, so nothing was opened`, 'prod doctor')
}

/** The alert channels, if there are two that differ. */
export function twoAlertChannels({config, channels}: Pick<Parts, 'config' | 'channels'>): NoticeChannel[] | undefined {
  const found = config.alertChannels.map(name => channels.get(name)).filter(channel => channel !== undefined)
  const ways = new Set(config.alertChannels.map(name => wayOf(config.channels.find(one => one.name === name))))
  return found.length === config.alertChannels.length && ways.size >= 2 ? found : undefined
}

/** Where a channel leads: two names of one receiver are one channel. */
function wayOf(channel: {notifier: string; config: Record<string, unknown>} | undefined): string {
  return channel === undefined ? '' : canonical([channel.notifier, channel.config.url ?? channel.config])
}

async function untilAccepted(channel: NoticeChannel, notice: Notice, deadline: AbortSignal): Promise<void> {
  for (;;) {
    try {
      const attempt = AbortSignal.any([deadline, AbortSignal.timeout(tryMilliseconds)])
      // a channel that heeds no signal is not waited for either
      await Promise.race([channel.send(notice, attempt), aborted(attempt)])
      return
    } catch (error) {
      await Promise.race([new Promise(resolve => setTimeout(resolve, pauseMilliseconds)), aborted(deadline).catch(() => {})])
      if (deadline.aborted) throw error
    }
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), {once: true})
  })
}
