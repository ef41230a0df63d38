const last = new Map<string, Promise<unknown>>()

/** Does one thing after another of those with the same key, in this process. */
export function inTurn<T>(key: string, act: () => Promise<T>): Promise<T> {
  const before = last.get(key) ?? Promise.resolve()
  const now = before.then(act, act)
  last.set(
    key,
    now.catch(() => undefined),
  )
  return now
}
