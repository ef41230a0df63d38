/** The reason that every use of production takes: given, asked for, or the last one again. */
import {join} from 'node:path'
import {ProdError} from '../errors.ts'
import {checkReason} from '../reason.ts'
import {askReason, canAsk} from './ask.ts'
import {places, readPrivate, writePrivate} from './places.ts'

const reusableMilliseconds = 20 * 60_000

/**
 * The reason to send; `reused` for `-`. Remembers it for the next `--reason -`. `before` runs before somebody is asked to type one: nobody thinks of
 * a reason in vain. Throws REASON_INVALID, NO_TERMINAL, and what `before` throws.
 */
export async function takeReason(
  flag: string | undefined,
  before: () => Promise<unknown> = async () => {},
): Promise<{reason: string; reused: boolean}> {
  const path = join(places().state, 'last-reason.json')
  if (flag === '-') {
    const kept = readPrivate(path)
    const {reason, at} = kept === undefined ? {reason: '', at: 0} : (JSON.parse(kept) as {reason: string; at: number})
    if (reason === '' || Date.now() - at > reusableMilliseconds)
      throw new ProdError('REASON_INVALID', 'there is no reason of the last 20 minutes to use again', '--reason "why, in your words"')
    return {reason, reused: true}
  }
  if (flag === undefined && canAsk()) await before()
  const reason = checkReason(flag ?? (await askReason()))
  writePrivate(path, JSON.stringify({reason, at: Date.now()}))
  return {reason, reused: false}
}
