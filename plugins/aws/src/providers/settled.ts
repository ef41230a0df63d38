import {setTimeout as wait} from 'node:timers/promises'
import {ProdError} from '@prod/sdk/errors'

/** How far a change of IAM Identity Center has come. */
export interface Status {
  Status: 'IN_PROGRESS' | 'SUCCEEDED' | 'FAILED'
  RequestId?: string
}

const patienceMs = 60_000
const [firstPauseMs, longestPauseMs] = [100, 2000]

/** Asks until AWS says how a change ended. Throws TARGET_UNREACHABLE where it failed, or where AWS does not say for a minute. */
export async function settled(first: Status | undefined, ask: (request: string) => Promise<Status | undefined>): Promise<void> {
  const until = Date.now() + patienceMs
  let status = first
  for (let pause = firstPauseMs; status?.Status === 'IN_PROGRESS' && Date.now() < until; pause = Math.min(longestPauseMs, pause * 2)) {
    await wait(pause)
    const now: Status | undefined = await ask(status.RequestId ?? '')
    status = now && {RequestId: status.RequestId ?? '', ...now}
  }
  if (status?.Status === 'SUCCEEDED') return
  const how = status?.Status === 'FAILED' ? 'it failed' : 'it takes longer than a minute'
  throw new ProdError('TARGET_UNREACHABLE', `IAM Identity Center was asked for a change, and ${how}`, 'try again in a minute')
}
