/** What `prod whoami` answers without asking the broker: a file that the fast path reads. Nothing in it is secret. */
import {join} from 'node:path'
import type {WhoAmI} from '../api.ts'
import {showLine} from '../text.ts'
import {chooseBroker, readConfig} from './config.ts'
import {showClock, showWhen} from './durations.ts'
import {places, removePrivate, writePrivate} from './places.ts'

/** A revoked login or grant may be shown for this long, no longer (TM-Q7). */
const holdsMs = 60_000

function path(): string {
  return join(places().state, 'whoami.json')
}

/** `prod whoami` for people: name, person, groups, age and end of the login, active grants. Pure. */
export function whoamiText({principal, groups, loggedInAt, expiresAt, grants, freeze}: WhoAmI, broker: string, now: Date): string[] {
  const active = grants.filter(grant => grant.state === 'active')
  const clock = (moment: string): string => showLine(showClock(moment, now))
  return [
    `${showLine(principal.name)} (${groups.map(showLine).join(', ') || 'in no group'}) at ${broker}`,
    `person: ${showLine(principal.person)}`,
    `logged in: ${showLine(showWhen(loggedInAt, now))}, until ${clock(expiresAt)}`,
    `grants: ${active.map(grant => `${showLine(grant.role)} until ${clock(grant.expiresAt)} (${showLine(grant.id)})`).join(', ') || 'none'}`,
    ...(freeze ? [`FROZEN: by ${showLine(freeze.by)} since ${clock(freeze.since)}: ${showLine(freeze.reason)}`] : []),
  ]
}

/**
 * Keeps an answer for a minute, or until the login ends or one of the grants begins or ends, whichever is first; it says of when it is.
 * While production is frozen none is kept: a lifted freeze is never shown as one. Only of the broker that is meant where none is named: the
 * fast path cannot tell.
 */
export function keepWhoami(who: WhoAmI, broker: string, now: Date = new Date()): void {
  if (!isDefault(broker)) return
  if (who.freeze) {
    dropWhoami()
    return
  }
  const turns = who.grants.flatMap(grant => [Date.parse(grant.startsAt), Date.parse(grant.expiresAt)])
  const ends = [now.getTime() + holdsMs, Date.parse(who.expiresAt), ...turns]
  const expiresAt = new Date(Math.min(...ends.filter(end => end > now.getTime()))).toISOString()
  const text = [...whoamiText(who, broker, now), `as of ${now.toTimeString().slice(0, 8)}`].join('\n')
  writePrivate(path(), `${JSON.stringify({broker, text, json: {...who, broker, asOf: now.toISOString()}, expiresAt})}\n`)
}

function isDefault(broker: string): boolean {
  try {
    return chooseBroker(readConfig(), undefined, {}).url === broker
  } catch {
    return false
  }
}

/** Forgets what was kept: after a logout or a renewal, before whatever may change it, or where another broker is meant from now on. */
export function dropWhoami(): void {
  removePrivate(path())
}
