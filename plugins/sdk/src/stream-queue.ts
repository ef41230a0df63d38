/** A queue between callbacks and one `for await`. What was pushed before a failure is read before it is thrown. */
export class EventQueue<T> implements AsyncIterableIterator<T> {
  #events: T[] = []
  #at = 0
  #waiting: {resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void} | undefined
  #over: {error?: unknown} | undefined

  push(event: T): void {
    if (this.#over) return
    if (this.#waiting) {
      this.#waiting.resolve({value: event, done: false})
      this.#waiting = undefined
    } else {
      this.#events.push(event)
    }
  }

  end(): void {
    this.#finish({})
  }

  fail(error: unknown): void {
    this.#finish({error})
  }

  #finish(over: {error?: unknown}): void {
    if (this.#over) return
    this.#over = over
    if (!this.#waiting) return
    const {resolve, reject} = this.#waiting
    if ('error' in over) reject(over.error)
    else resolve({value: undefined, done: true})
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#at < this.#events.length) {
      const value = this.#events[this.#at++] as T
      if (this.#at === this.#events.length) {
        this.#events = []
        this.#at = 0
      }
      return Promise.resolve({value, done: false})
    }
    if (this.#over) return 'error' in this.#over ? Promise.reject(this.#over.error) : Promise.resolve({value: undefined, done: true})
    const {promise, resolve, reject} = Promise.withResolvers<IteratorResult<T>>()
    this.#waiting = {resolve, reject}
    return promise
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
