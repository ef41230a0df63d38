/** Spans and moments as people type and read them. All pure: now is passed in. */
import {ProdError} from '../errors.ts'
import {showDuration} from '../grammar/duration.ts'

const unitSeconds: Record<string, number> = {s: 1, m: 60, h: 3600, d: 86_400}

/** `90s`, `30m`, `1h30m`, `2d` in seconds; a bare number is minutes. Throws DURATION_INVALID. */
export function parseDuration(text: string): number {
  const invalid = (): never => {
    throw new ProdError('DURATION_INVALID', `${text} is not a duration`, 'write it as 90s, 30m or 1h30m')
  }
  if (/^\d{1,6}$/.test(text)) return Number(text) * 60 || invalid()
  if (!/^(?:\d{1,6}[dhms])+$/.test(text)) return invalid()
  let seconds = 0
  let last = Number.POSITIVE_INFINITY
  for (const [, amount, unit] of text.matchAll(/(\d+)([dhms])/g)) {
    const size = unitSeconds[unit as string] as number
    if (size >= last) return invalid()
    last = size
    seconds += Number(amount) * size
  }
  return seconds || invalid()
}

/** `in 5m`, `3h ago`, `now`: where a moment (ISO 8601) lies seen from `now`. */
export function showWhen(moment: string, now: Date): string {
  const seconds = (Date.parse(moment) - now.getTime()) / 1000
  if (Number.isNaN(seconds)) return moment
  if (Math.abs(seconds) < 1) return 'now'
  return seconds > 0 ? `in ${showDuration(seconds)}` : `${showDuration(-seconds)} ago`
}

/** `14:30:00`, with the day before it where that is another one than `now`'s. Local time; what is no moment stays as it is. */
export function showClock(moment: string, now: Date): string {
  const at = new Date(moment)
  if (Number.isNaN(at.getTime())) return moment
  const pad = (value: number): string => String(value).padStart(2, '0')
  const day = at.toDateString() === now.toDateString() ? '' : `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} `
  return `${day}${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`
}

/** `--at`: ISO 8601 with a zone, `14:30` (the next one, local time) or `+2h`, as ISO 8601 UTC. Throws USAGE. */
export function parseMoment(text: string, now: Date): string {
  const clock = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text)
  if (clock) {
    const at = new Date(now)
    at.setHours(Number(clock[1]), Number(clock[2]), 0, 0)
    if (at <= now) at.setDate(at.getDate() + 1)
    return at.toISOString()
  }
  if (text.startsWith('+')) return new Date(now.getTime() + parseDuration(text.slice(1)) * 1000).toISOString()
  const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(iso)) throw new ProdError('USAGE', `${text} is not a moment`, 'write it as 14:30, +2h or 2026-11-22T14:30:00Z')
  return new Date(iso).toISOString()
}

/** `--since`: a span that ends now (`7d`, `2h`), `14:30` (the last one, local time) or ISO 8601 with a zone, as ISO 8601 UTC. Throws USAGE. Pure. */
export function parseSince(text: string, now: Date): string {
  if (/^[\dsmhd]+$/.test(text)) return new Date(now.getTime() - parseDuration(text) * 1000).toISOString()
  const at = new Date(parseMoment(text, now))
  if (/^\d?\d:\d\d$/.test(text) && at > now) at.setDate(at.getDate() - 1)
  if (at > now) throw new ProdError('USAGE', `${text} lies ahead`, 'write it as 7d, 2h or 2026-11-22T14:30:00Z')
  return at.toISOString()
}
