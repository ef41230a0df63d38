/** How often something may be tried (TM-F4): counted in the store before it is tried, by what is tried and by who tries, whatever address it comes from. */
import {canonical, sha256} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import type {Parts} from '../parts.ts'

/** One counter. `key` names it, `what` says what has been tried too often. */
export interface Tries {
  key: readonly string[]
  most: number
  seconds: number
  what: string
}

interface TriesRecord {
  count: number
  until: string
}

/** Counts one try on each. Throws LIMIT_REACHED once one of them is used up, until its time is over: then nothing is tried. */
export async function countTry(parts: Pick<Parts, 'store'>, all: readonly Tries[]): Promise<void> {
  for (;;) {
    const now = parts.store.now()
    const put = []
    for (const {key, most, seconds, what} of all) {
      const id = sha256(canonical(['tries', ...key])).slice(0, 32)
      const stored = await parts.store.find<TriesRecord>('budget', id)
      const open = stored && stored.value.until > now.toISOString() ? stored.value : undefined
      const left = open ? Math.max(1, Math.ceil((Date.parse(open.until) - now.getTime()) / 1000)) : seconds
      if (open && open.count >= most)
        throw new ProdError('LIMIT_REACHED', `${what} was tried ${most} times`, `try again in ${left} s`, {retryAfterSeconds: left})
      const until = open?.until ?? new Date(now.getTime() + seconds * 1000).toISOString()
      put.push({
        kind: 'budget' as const,
        id,
        version: stored?.version ?? 0,
        value: {count: (open?.count ?? 0) + 1, until},
        index: {dueAt: until},
      })
    }
    if ((await parts.store.commit({put, events: []})).ok) return
  }
}
