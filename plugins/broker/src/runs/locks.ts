/** One run at a time on what a change names (TM-N1): a lock record with a queue; its version is the fencing token. */
import {sha256} from '@prod/sdk/document'
import type {Parts} from '../parts.ts'
import type {Put, Stored} from '../stores/store.ts'
import {watchRecord} from '../streams/wait.ts'

/** Seconds a place in the queue lasts unless it is renewed: whoever waits renews, whoever died does not. */
const placeSeconds = 30

export interface LockRecord {
  key: string
  holder: string | null
  /** `instance`: the broker that waits there; places of one that died are cleared when it is back */
  queue: {request: string; until: string; instance: string}[]
}

/** Id of the lock record for a key. */
export function lockId(key: string): string {
  return sha256(key).slice(0, 32)
}

/** A lock as the store writes it. */
export function putLock(value: LockRecord, version: number): Put {
  return {kind: 'lock', id: lockId(value.key), version, value, index: {state: value.holder === null ? 'free' : 'held'}}
}

/**
 * Waits in line for a key. `ready` gives the write that takes it, to stand in the commit of the start record; null while
 * somebody else is first. `behind` is told how many are before us.
 */
export async function takeTurn(
  parts: Parts,
  key: string,
  request: string,
  options: {instance: string; cancelled: () => boolean; behind: (count: number) => void; wakeOn: Promise<unknown>},
): Promise<((run: string) => Put) | null> {
  const watch = watchRecord(parts.store, 'lock', lockId(key))
  void options.wakeOn.then(() => watch.wake())
  let told = -1
  try {
    for (;;) {
      if (options.cancelled()) {
        await leave(parts, key, request)
        return null
      }
      const now = parts.store.now()
      const stored = await parts.store.find<LockRecord>('lock', lockId(key))
      const lock = stored?.value ?? {key, holder: null, queue: []}
      const queue = lock.queue.filter(place => place.until > now.toISOString())
      const at = queue.findIndex(place => place.request === request)
      if (lock.holder === null && (at === 0 || queue.length === 0)) {
        const rest = queue.filter(place => place.request !== request)
        return run => putLock({key, holder: run, queue: rest}, stored?.version ?? 0)
      }
      const ahead = (at === -1 ? queue.length : at) + (lock.holder === null ? 0 : 1)
      // a place is renewed when a third of its time is over, not at each change: every write wakes all who wait
      const renewAt = new Date(now.getTime() + (placeSeconds * 1000 * 2) / 3).toISOString()
      if (at === -1 || (queue[at]?.until ?? '') < renewAt) {
        const mine = {request, instance: options.instance, until: new Date(now.getTime() + placeSeconds * 1000).toISOString()}
        const next = at === -1 ? [...queue, mine] : queue.map(place => (place.request === request ? mine : place))
        const saved = await parts.store.commit({put: [putLock({...lock, queue: next}, stored?.version ?? 0)], events: []})
        if (!saved.ok) continue
      }
      if (ahead !== told) options.behind(ahead)
      told = ahead
      await watch.changed((placeSeconds * 1000) / 3)
    }
  } finally {
    watch.stop()
  }
}

/** Leaves the line. Safe to repeat. */
export async function leave(parts: Parts, key: string, request: string): Promise<void> {
  for (;;) {
    const stored = await parts.store.find<LockRecord>('lock', lockId(key))
    if (!stored?.value.queue.some(place => place.request === request)) return
    const next = {...stored.value, queue: stored.value.queue.filter(place => place.request !== request)}
    if ((await parts.store.commit({put: [putLock(next, stored.version)], events: []})).ok) return
  }
}

/** The write that gives a lock back, if this run still holds it (TM-N7: a fenced holder writes nothing). */
export async function releasing(
  parts: Parts,
  key: string | null,
  run: string,
): Promise<{put: Put | null; stored: Stored<LockRecord> | undefined}> {
  if (key === null) return {put: null, stored: undefined}
  const stored = await parts.store.find<LockRecord>('lock', lockId(key))
  if (stored?.value.holder !== run) return {put: null, stored}
  return {put: putLock({...stored.value, holder: null}, stored.version), stored}
}
