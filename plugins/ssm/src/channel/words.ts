/** What a session has to say to people: a lost connection, and that it is back; what the service says of it. */

/** The words of one session, on their way to whoever hears them. */
export interface Words {
  /** as {@link ChannelOptions.tell} */
  tell(text: string): void
  /** Hears what is said: once, by one of those who listen. What was said before anybody did comes first. Answers what ends it. */
  listen(hear: (text: string) => void): () => void
}

/** what is kept for the first who listens */
const mostEarly = 10

/** `also` hears everything. */
export function createWords(also: (text: string) => void = () => {}): Words {
  const hearers = new Set<(text: string) => void>()
  let early: string[] | undefined = []
  return {
    tell(text) {
      also(text)
      const [first] = hearers
      if (first) first(text)
      else if (early && early.length < mostEarly) early.push(text)
    },
    listen(hear) {
      hearers.add(hear)
      for (const text of early ?? []) hear(text)
      early = undefined
      return () => void hearers.delete(hear)
    },
  }
}
