import {maxFrameBytes, windowBytes} from './wire.ts'

/** Stdin across a cut link: how much the broker had read, what was sent beyond that, whether its end was reached. */
export interface StdinState {
  /** total bytes the broker had read */
  read: number
  /** bytes after `read` that were handed in */
  pending: Uint8Array[]
  ended: boolean
}

/**
 * Sends stdin within the broker's window ({@link windowBytes}), and keeps what it has not read yet, so that a cut link
 * loses none. After an attach nothing is sent before the broker's first `window` says where it stands.
 */
export class StdinSender {
  readonly #sendChunk: (chunk: Uint8Array) => void
  readonly #sendEnd: () => void
  #kept: Uint8Array[]
  /** total bytes: read by the broker, sent to it, handed in to us */
  #read: number
  #sent: number
  #taken: number
  #ended: boolean
  #endSent = false
  #stopped = false
  #synchronising: boolean
  #joining: boolean
  #room = Promise.withResolvers<void>()

  /** `joining`: what another process began is taken up, so that the broker's first `window` counts bytes that were never ours. */
  constructor(sendChunk: (chunk: Uint8Array) => void, sendEnd: () => void, resumed?: StdinState, joining = false) {
    this.#sendChunk = sendChunk
    this.#sendEnd = sendEnd
    this.#kept = [...(resumed?.pending ?? [])]
    this.#read = resumed?.read ?? 0
    this.#sent = this.#read
    this.#taken = this.#read + this.#kept.reduce((sum, chunk) => sum + chunk.length, 0)
    this.#ended = resumed?.ended ?? false
    this.#synchronising = resumed !== undefined
    this.#joining = joining && resumed === undefined
  }

  /** `bytes` belong to the sender from now on. Resolves when there is room for more; on a stopped link at once: what is kept goes over the next one. */
  async send(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return
    this.#kept.push(bytes)
    this.#taken += bytes.length
    this.#flush()
    while (this.#sent < this.#taken && !this.#stopped) await this.#room.promise
  }

  async end(): Promise<void> {
    this.#ended = true
    this.#flush()
    while (!this.#endSent && !this.#stopped) await this.#room.promise
  }

  /** The broker has read this many bytes in all. */
  read(total: number): void {
    if (this.#joining) {
      this.#joining = false
      this.#read += total
      this.#sent += total
      this.#taken += total
    }
    if (total < this.#read || total > (this.#synchronising ? this.#taken : this.#sent)) return
    let drop = total - this.#read
    while (drop > 0) {
      const first = this.#kept[0] as Uint8Array
      if (first.length <= drop) this.#kept.shift()
      else this.#kept[0] = first.subarray(drop)
      drop -= Math.min(first.length, drop)
    }
    this.#read = total
    if (this.#synchronising) this.#sent = total
    this.#synchronising = false
    this.#flush()
  }

  stop(): void {
    this.#stopped = true
    this.#wake()
  }

  state(): StdinState {
    return {read: this.#read, pending: [...this.#kept], ended: this.#ended}
  }

  #flush(): void {
    if (this.#synchronising || this.#stopped) return
    let at = this.#read
    for (const chunk of this.#kept) {
      const end = at + chunk.length
      while (this.#sent < end) {
        const room = Math.min(this.#read + windowBytes - this.#sent, maxFrameBytes, end - this.#sent)
        if (room <= 0) return
        this.#sendChunk(chunk.subarray(this.#sent - at, this.#sent - at + room))
        this.#sent += room
      }
      at = end
    }
    if (this.#ended && !this.#endSent) {
      this.#endSent = true
      this.#sendEnd()
    }
    this.#wake()
  }

  #wake(): void {
    this.#room.resolve()
    this.#room = Promise.withResolvers()
  }
}
