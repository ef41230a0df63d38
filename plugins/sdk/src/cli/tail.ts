/** The end of what went through a stream, for an explanation of why it failed. Light: the fast path loads it. */

/** What is remembered of a failure's stderr. */
export const tailBytes = 64 * 1024

/** Remembers the last bytes: whole chunks are dropped from the front while enough is left. */
export function openTail(): {push(bytes: Uint8Array): void; text(): string} {
  let chunks: Buffer[] = []
  let size = 0
  return {
    push(bytes) {
      const last = Buffer.from(bytes.subarray(Math.max(0, bytes.byteLength - tailBytes)))
      chunks.push(last)
      size += last.length
      // now and then, so that many small writes stay cheap
      if (size > 2 * tailBytes || chunks.length > 4096) {
        chunks = [Buffer.concat(chunks).subarray(-tailBytes)]
        size = chunks[0]?.length ?? 0
      }
    },
    text: () => Buffer.concat(chunks).subarray(-tailBytes).toString('utf8'),
  }
}
