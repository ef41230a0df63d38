import type {Kind, Store} from '../stores/store.ts'

/** Wakes whoever waits when a record may have changed, here or on another broker. Never misses one that came after it was made. */
export function watchRecord(
  store: Store,
  kind: Kind,
  id: string,
): {changed(milliseconds: number): Promise<void>; stop(): void; wake(): void} {
  let fresh = false
  let wake: () => void = () => {}
  const stop = store.subscribe(records => {
    if (!records.some(one => one.kind === kind && one.id === id)) return
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
