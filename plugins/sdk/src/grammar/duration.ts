import {ProdError} from '../errors.ts'

const units: Readonly<Record<string, number>> = {s: 1, m: 60, h: 3600, d: 86_400}

/** `90s`, `10m`, `1h30m`, `2d` in seconds; undefined for anything else. */
export function findDurationSeconds(text: string): number | undefined {
  if (text.length > 32 || !/^(?:[0-9]+[smhd])+$/.test(text)) return undefined
  const seconds = [...text.matchAll(/([0-9]+)([smhd])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (units[unit as string] as number),
    0,
  )
  return Number.isSafeInteger(seconds) ? seconds : undefined
}

/** `90s`, `10m`, `1h30m`, `2d` in seconds. Throws DURATION_INVALID. */
export function parseDuration(text: string): number {
  const seconds = findDurationSeconds(text)
  if (seconds === undefined)
    throw new ProdError('DURATION_INVALID', `${JSON.stringify(text)} is no duration`, 'write it as 90s, 10m, 1h30m or 2d')
  return seconds
}

/** Seconds as `45s`, `30m`, `1h30m`, `2d`: the two largest units, rounded down. */
export function showDuration(seconds: number): string {
  let left = Math.max(0, Math.floor(seconds))
  const parts: string[] = []
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = units[unit] as number
    const amount = Math.floor(left / size)
    left -= amount * size
    if (amount > 0) parts.push(`${amount}${unit}`)
    else if (parts.length > 0) break
    if (parts.length === 2) break
  }
  return parts.join('') || '0s'
}
