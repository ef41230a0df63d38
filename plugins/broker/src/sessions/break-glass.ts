/** What break-glass demands (TM-O1 to O5): incident, fresh login, place, no overdue review, two accepted alerts. */
import type {Notice, NoticeChannel, Review} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import ipaddr from 'ipaddr.js'
import type {Caller, Parts} from '../parts.ts'
import type {Answer, Bundle} from '../policy/policy.ts'
import {type Plan, question} from '../requests/plan.ts'

/** Whether policy lets this person break glass here. */
export function breakGlassAnswer(bundle: Bundle, plan: Plan, caller: Pick<Caller, 'principal' | 'groups' | 'address'>): Answer {
  const asked = question(plan, caller)
  return bundle.ask({...asked, action: 'breakGlass', context: {...asked.context, use: plan.action}})
}

/** Throws INCIDENT_INVALID and FRESH_LOGIN_REQUIRED; then says why a second person is needed, or null. */
export async function checkBreakGlass(parts: Parts, caller: Caller, plan: Plan): Promise<string | null> {
  const {freshLoginSeconds, incidentPattern} = parts.config.breakGlass
  if (plan.draft.incident === null) {
    throw new ProdError('INCIDENT_INVALID', 'break-glass needs an incident', `prod shell ${plan.target?.name ?? 'TARGET'} --incident INC-1234 --reason "…"`)
  }
  if (!new RegExp(`^(?:${incidentPattern})$`, 'u').test(plan.draft.incident)) {
    throw new ProdError('INCIDENT_INVALID', `the incident must look like ${incidentPattern}`, '--incident INC-1234')
  }
  const age = parts.store.now().getTime() - Date.parse(caller.loggedInAt)
  if (!(age <= freshLoginSeconds * 1000)) {
    throw new ProdError('FRESH_LOGIN_REQUIRED', `break-glass needs a login younger than ${Math.round(freshLoginSeconds / 60)} minutes`, 'prod login --fresh')
  }
  if (!fromPlace(parts.config.places, caller.address)) return 'it does not come from a listed place'
  if (await overdueReview(parts, caller)) return 'an earlier break-glass of yours still waits for its review'
  return null
}

/** Whether an address lies in one of the CIDR ranges; an IPv4 address written as IPv6 is the IPv4 address. Pure. */
export function fromPlace(places: string[], address: string): boolean {
  if (!ipaddr.isValid(address)) return false
  const peer = ipaddr.process(address)
  return places.some(place => {
    const [range, bits] = ipaddr.parseCIDR(place)
    return range.kind() === peer.kind() && peer.match(range as never, bits as never)
  })
}

async function overdueReview(parts: Parts, caller: Caller): Promise<boolean> {
  const owner = `${caller.principal.iss}#${caller.principal.sub}`
  const now = parts.store.now().toISOString()
  const open = await parts.store.list<Review>({kind: 'review', state: 'open', owner})
  return open.some(({value}) => value.dueAt < now)
}

/** What is sent to the alert channels. */
export function breakGlassNotice(parts: Pick<Parts, 'newId' | 'store'>, plan: Plan, caller: Pick<Caller, 'principal'>, subject: string, type: 'break-glass.started' | 'break-glass.goes-on' | 'break-glass.ended'): Notice {
  const titles = {'break-glass.started': 'BREAK-GLASS: a shell is being opened', 'break-glass.goes-on': 'BREAK-GLASS: a shell is still open', 'break-glass.ended': 'break-glass ended; its review waits'}
  return {
    id: parts.newId('ntc'),
    type,
    at: parts.store.now().toISOString(),
    urgency: 'alert',
    title: titles[type],
    principal: caller.principal.name,
    target: plan.target ? `${plan.target.name} (${plan.target.environment})` : plan.environment,
    risk: plan.class,
    digest: null,
    subject,
    reason: `${plan.draft.incident ?? ''}: ${plan.draft.reason}`,
    next: type === 'break-glass.ended' ? 'prod review ls' : `prod sessions watch ${subject}`,
  }
}

const alertSeconds = 60
const tryMilliseconds = 1_000

/**
 * Sends one alert to both channels until each has accepted it, for 60 s at most. Throws ALERTS_NOT_ACCEPTED and names the
 * channel that did not: nothing opens then.
 */
export async function raiseAlerts(parts: Parts, notice: Notice, signal: AbortSignal): Promise<string[]> {
  const names = parts.config.alertChannels
  const channels = names.map(name => parts.channels.get(name)).filter(channel => channel !== undefined)
  if (new Set(names).size < 2 || channels.length !== names.length) {
    throw new ProdError('ALERTS_NOT_ACCEPTED', 'break-glass needs two alert channels in the broker’s configuration', 'prod doctor')
  }
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(alertSeconds * 1000)])
  const results = await Promise.allSettled(channels.map(channel => untilAccepted(channel, notice, deadline)))
  const failed = channels.filter((_, at) => results[at]?.status === 'rejected').map(channel => channel.name)
  if (failed.length > 0) {
    parts.alarm('a break-glass alert was not accepted', {channels: failed, subject: notice.subject})
    throw new ProdError('ALERTS_NOT_ACCEPTED', `the alert was not accepted by ${failed.join(' and ')}, so nothing was opened`, 'prod doctor')
  }
  return names
}

async function untilAccepted(channel: NoticeChannel, notice: Notice, deadline: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await channel.send(notice, deadline)
      return
    } catch (error) {
      if (deadline.aborted) throw error
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, tryMilliseconds)
        deadline.addEventListener('abort', () => (clearTimeout(timer), resolve()), {once: true})
      })
      if (deadline.aborted) throw error
    }
  }
}
