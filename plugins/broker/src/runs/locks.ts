/** One run at a time on what a change names (TM-N1): a lock record with a queue; its version is the fencing token. */
import {sha256} from '@prod/sdk/document'
import type {Parts} from '../parts.ts'
import type {Put} from '../stores/store.ts'
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

/** What a key locks, in words: the machine, and what of it a command names. Pure. */
export function showLock(key: string): string {
  return (JSON.parse(key) as string[]).join(' ')
}

/** A lock as the store writes it. */
export function putLock(value: LockRecord, version: number): Put {
  return {kind: 'lock', id: lockId(value.key), version, value, index: {state: value.holder === null ? 'free' : 'held'}}
}

/** Who is before somebody in line: how many at most, and whoever holds a lock that they wait for. */
export interface Ahead {
  count: number
  /** a run, and the key of what it holds; undefined: all are free, and others are first */
  holder?: {run: string; key: string}
}

/**
 * Waits in line for keys, all of them or none: a place in each line is written by one commit, so that two who want some of the same stand in
 * the same order everywhere, and nobody holds one lock while waiting for another. `ready` gives the writes that take them, to stand in the
 * commit of the start record; null while somebody else is first. `behind` is told who is before us.
 */
export async function takeTurn(
  parts: Parts,
  keys: readonly string[],
  request: string,
  options: {instance: string; cancelled: () => boolean; behind: (ahead: Ahead) => void; wakeOn: Promise<unknown>},
): Promise<((run: string) => Put[]) | null> {
  const watch = watchRecord(parts.store, 'lock', new Set(keys.map(lockId)))
  void options.wakeOn.then(() => watch.wake())
  let told = ''
  try {
    for (;;) {
      if (options.cancelled()) {
        await leave(parts, keys, request)
        return null
      }
      const now = parts.store.now()
      const locks = await Promise.all(keys.map(key => read(parts, key, request, now.toISOString())))
      if (locks.every(({lock, ahead}) => lock.holder === null && ahead === 0))
        return run =>
          locks.map(({lock, version, queue}) =>
            putLock({...lock, holder: run, queue: queue.filter(place => place.request !== request)}, version),
          )
      // a place is renewed when a third of its time is over, not at each change: every write wakes all who wait
      const renewAt = new Date(now.getTime() + (placeSeconds * 1000 * 2) / 3).toISOString()
      if (locks.some(({mine}) => mine === undefined || mine.until < renewAt)) {
        const place = {request, instance: options.instance, until: new Date(now.getTime() + placeSeconds * 1000).toISOString()}
        const put = locks.map(({lock, version, queue, mine}) =>
          putLock({...lock, queue: mine ? queue.map(one => (one === mine ? place : one)) : [...queue, place]}, version),
        )
        const saved = await parts.store.commit({put, events: []})
        if (!saved.ok) continue
      }
      const held = locks.find(({lock}) => lock.holder !== null)?.lock
      const count = Math.max(...locks.map(({lock, ahead}) => ahead + (lock.holder === null ? 0 : 1)))
      const saying = `${count} ${held?.holder}`
      if (saying !== told) options.behind({count, ...(held?.holder ? {holder: {run: held.holder, key: held.key}} : {})})
      told = saying
      await watch.changed((placeSeconds * 1000) / 3)
    }
  } finally {
    watch.stop()
  }
}

/** One lock as somebody in its line sees it: the line without places that were not renewed, their own place, how many are before it. */
async function read({store}: Parts, key: string, request: string, now: string) {
  const stored = await store.find<LockRecord>('lock', lockId(key))
  const lock = stored?.value ?? {key, holder: null, queue: []}
  const queue = lock.queue.filter(place => place.until > now)
  const at = queue.findIndex(place => place.request === request)
  return {lock, version: stored?.version ?? 0, queue, mine: queue[at], ahead: at === -1 ? queue.length : at}
}

/** Leaves the lines. Safe to repeat. */
export async function leave(parts: Parts, keys: readonly string[], request: string): Promise<void> {
  for (;;) {
    const found = await Promise.all(keys.map(key => parts.store.find<LockRecord>('lock', lockId(key))))
    const put = found.flatMap(stored => {
      if (!stored?.value.queue.some(place => place.request === request)) return []
      return [putLock({...stored.value, queue: stored.value.queue.filter(place => place.request !== request)}, stored.version)]
    })
    if (put.length === 0 || (await parts.store.commit({put, events: []})).ok) return
  }
}

/** The writes that give locks back, as far as this run still holds them (TM-N7: a fenced holder writes nothing). */
export async function releasing(parts: Parts, keys: readonly string[], run: string): Promise<Put[]> {
  const found = await Promise.all(keys.map(key => parts.store.find<LockRecord>('lock', lockId(key))))
  return found.flatMap(stored => (stored?.value.holder === run ? [putLock({...stored.value, holder: null}, stored.version)] : []))
}
