import type {Kind, Store} from '../stores/store.ts'

/** Wakes whoever waits when a record may have changed, or one of several, here or on another broker. Never misses one that came after it was made. */
export function watchRecord(
  store: Store,
  kind: Kind,
  id: string | ReadonlySet<string>,
): {changed(milliseconds: number): Promise<void>; stop(): void; wake(): void} {
  let fresh = false
  let wake: () => void = () => {}
  const isWatched = (one: string): boolean => (typeof id === 'string' ? one === id : id.has(one))
  const stop = store.subscribe(records => {
    if (!records.some(one => one.kind === kind && isWatched(one.id))) return
    fresh = true
    wake()
  })
  return {
    async changed(milliseconds) {
      if (!fresh) {
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, Math.max(0, Math.min(milliseconds, 2_000_000_000)))
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      fresh = false
    },
    wake() {
      fresh = true
      wake()
    },
    stop,
  }
}
