/** What `prod whoami` answers without asking the broker: a file that the fast path reads. Nothing in it is secret. */
import {join} from 'node:path'
import type {WhoAmI} from '../api.ts'
import {showLine} from '../text.ts'
import {chooseBroker, readConfig} from './config.ts'
import {showWhen} from './durations.ts'
import {places, readPrivate, removePrivate, writePrivate} from './places.ts'

/** A revoked login or grant may be shown for this long, no longer (TM-Q7). */
const holdsMs = 60_000

function path(): string {
  return join(places().state, 'whoami.json')
}

/** `prod whoami` for people: name, person, groups, age and end of the login, active grants. Pure. */
export function whoamiText({principal, groups, loggedInAt, expiresAt, grants, freeze}: WhoAmI, broker: string, now: Date): string[] {
  const active = grants.filter(grant => grant.state === 'active')
  return [
    `${showLine(principal.name)} (${groups.map(showLine).join(', ') || 'in no group'}) at ${broker}`,
    `person: ${showLine(principal.person)}`,
    `logged in: ${showLine(showWhen(loggedInAt, now))}, until ${showLine(expiresAt)}`,
    `grants: ${active.map(grant => `${showLine(grant.role)} until ${showLine(grant.expiresAt)} (${showLine(grant.id)})`).join(', ') || 'none'}`,
    ...(freeze ? [`FROZEN: by ${showLine(freeze.by)} since ${showLine(freeze.since)}: ${showLine(freeze.reason)}`] : []),
  ]
}

/**
 * Keeps an answer for a minute, or until the login or one of the grants ends, whichever is first. Only of the broker that is meant where
 * none is named: the fast path cannot tell.
 */
export function keepWhoami(who: WhoAmI, broker: string, now: Date = new Date()): void {
  if (!isDefault(broker)) return
  const ends = [now.getTime() + holdsMs, Date.parse(who.expiresAt), ...who.grants.map(grant => Date.parse(grant.expiresAt))]
  const expiresAt = new Date(Math.min(...ends.filter(end => end > now.getTime()))).toISOString()
  writePrivate(path(), `${JSON.stringify({broker, text: whoamiText(who, broker, now).join('\n'), json: {...who, broker}, expiresAt})}\n`)
}

function isDefault(broker: string): boolean {
  try {
    return chooseBroker(readConfig(), undefined, {}).url === broker
  } catch {
    return false
  }
}

/** What was kept for this broker, were it only a little while ago: to fill in what the answer to a renewal lacks. */
export function keptWhoami(broker: string): WhoAmI | undefined {
  try {
    const kept = JSON.parse(readPrivate(path()) ?? '') as {broker?: string; json?: WhoAmI}
    return kept.broker === broker ? kept.json : undefined
  } catch {
    return undefined
  }
}

/** Forgets what was kept: after a logout, or where another broker is meant from now on. */
export function dropWhoami(): void {
  removePrivate(path())
}
