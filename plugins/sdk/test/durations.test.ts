import {parseSince} from '@prod/sdk/cli/durations'
import {expect, test} from 'vitest'

const now = new Date('2026-11-22T12:00:00Z')

test('since is a span that ends now, a clock time that was, or a moment', () => {
  expect(parseSince('7d', now)).toBe('2026-11-15T12:00:00.000Z')
  expect(parseSince('1h30m', now)).toBe('2026-11-22T10:30:00.000Z')
  expect(parseSince('2026-11-22T13:00:00+02:00', now)).toBe('2026-11-22T11:00:00.000Z')
  for (const clock of ['00:00', '9:30', '23:59']) {
    const at = Date.parse(parseSince(clock, now))
    expect(at).toBeLessThanOrEqual(now.getTime())
    expect(at).toBeGreaterThan(now.getTime() - 86_400_000)
  }
  for (const bad of ['soon', '', '+2h', '2026-11-23T12:00:00Z', '2026-11-22'])
    expect(() => parseSince(bad, now)).toThrow(expect.objectContaining({code: 'USAGE'}))
})
