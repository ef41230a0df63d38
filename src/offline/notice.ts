import {randomBytes} from 'node:crypto'
import type {KitClaims} from '@prod/sdk/kit'
import type {Notice} from '@prod/sdk/notifier'
import {bounded, showLine, showName} from '@prod/sdk/text'

const titles = {
  'break-glass.started': 'BREAK-GLASS WITHOUT THE BROKER: a shell is being opened',
  'break-glass.goes-on': 'BREAK-GLASS WITHOUT THE BROKER: a shell is still open',
  'break-glass.ended': 'break-glass without the broker ended; it waits to be handed in',
  'break-glass.drill': 'DRILL: break-glass without the broker is being practised; nobody has to act',
} as const

/**
 * What the channels are told. `head`: hash of the spool's newest entry, so that whoever keeps the alert can tell whether the row was written anew.
 * People's words are inert before they leave (TM-B8).
 */
export function offlineNotice(
  {principal}: Pick<KitClaims, 'principal'>,
  type: keyof typeof titles,
  {session, target, reason, incident, head}: {session: string; target: string; reason: string; incident: string; head: string | null},
): Notice {
  return {
    id: `ntc_${randomBytes(12).toString('hex')}`,
    type,
    at: new Date().toISOString(),
    urgency: type === 'break-glass.drill' ? 'info' : 'alert',
    title: titles[type],
    principal: showName(principal.name),
    target,
    risk: 'shell',
    digest: head,
    subject: session,
    reason: bounded(showLine(`${incident}: ${reason}`), {columns: 2000}),
    next: type === 'break-glass.ended' ? 'prod break-glass hand-in' : null,
  }
}
