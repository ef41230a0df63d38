/** How long to wait for an acknowledgement, §7. All in milliseconds. Pure. */

/** What is known of the way there and back. */
export interface RoundTrip {
  smoothed: number
  variation: number
  /** after so long without an answer a message is sent again */
  timeout: number
}

export const unknownRoundTrip: RoundTrip = {smoothed: 100, variation: 0, timeout: 200}
export const longestTimeoutMs = 1000

/** With one more sample; none may come from a message that was sent twice (Karn). */
export function withSample({smoothed, variation}: RoundTrip, sample: number): RoundTrip {
  const nextVariation = 0.75 * variation + 0.25 * Math.abs(smoothed - sample)
  const nextSmoothed = 0.875 * smoothed + 0.125 * sample
  return {
    smoothed: nextSmoothed,
    variation: nextVariation,
    timeout: Math.min(longestTimeoutMs, nextSmoothed + Math.max(10, 4 * nextVariation)),
  }
}
