/**
 * Bytes out until the client has acknowledged them. Each is copied once, to where it will be sent from: into memory that is used again,
 * already in frames. Fresh memory for each piece would cost more in garbage collection than all else together.
 */
import {createHash} from 'node:crypto'
import type {Digest} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {maxOutputFrameBytes} from '@prod/sdk/wire'

const slabBytes = 512 * 1024

interface Slab {
  readonly bytes: Buffer
  used: number
  /** frames that are not yet acknowledged */
  frames: number
}

/** One frame as it is sent: its kind, then bytes `[from, from + length)` of the output. */
interface Frame {
  readonly slab: Slab
  readonly at: number
  readonly from: number
  length: number
}

/** One output of a channel. `sent`, `acked` and what is hashed count from its start, as `total` does. */
export class Outlet {
  readonly #kind: number
  readonly #hash = createHash('sha256')
  #frames: Frame[] = []
  /** of this output alone: a client that acknowledges what it has not taken may read later bytes, but never those of another run */
  readonly #spare: Slab[] = []
  #slab: Slab | undefined
  #kept = 0
  #hashed = 0
  total = 0
  acked = 0
  sent = 0

  constructor(kind: number) {
    this.#kind = kind
  }

  /** Counts bytes: each is then kept, or passed over. */
  see(bytes: Uint8Array): void {
    this.total += bytes.byteLength
  }

  /** Hashes bytes that nobody wants to have. */
  passOver(bytes: Uint8Array): void {
    this.#hashKept()
    this.#hash.update(bytes)
  }

  /** Keeps bytes for the client; they may be gone when this returns. They are hashed when they are sent, many at a time. */
  keep(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength; ) {
      const frame = this.#openFrame()
      const {slab} = frame
      const count = Math.min(bytes.byteLength - at, maxOutputFrameBytes - frame.length, slabBytes - slab.used)
      slab.bytes.set(bytes.subarray(at, at + count), slab.used)
      slab.used += count
      frame.length += count
      this.#kept += count
      at += count
    }
  }

  /** Gives every frame that was not sent; of one that was sent in part, `rest` what is missing. */
  send(whole: (frame: Uint8Array) => void, rest: (bytes: Uint8Array) => void): void {
    for (let index = this.#after(this.sent); index < this.#frames.length; index++) {
      const {slab, at, from, length} = this.#frames[index] as Frame
      if (this.sent <= from) whole(slab.bytes.subarray(at, at + 1 + length))
      else rest(slab.bytes.subarray(at + 1 + this.sent - from, at + 1 + length))
      this.sent = from + length
    }
    // the client has them already
    this.#hashKept()
  }

  get unsent(): number {
    return this.#kept - this.sent
  }

  /** The client has all up to `count`. Throws BAD_REQUEST for what it was not sent. */
  acknowledge(count: number): void {
    if (count < this.acked || count > this.sent) throw new ProdError('BAD_REQUEST', 'an acknowledgement of bytes that were not sent')
    // its memory is used again
    if (count > this.#hashed) this.#hashKept()
    this.acked = count
    const done = this.#frames.findIndex(({from, length}) => from + length > count)
    this.#release(this.#frames.splice(0, done === -1 ? this.#frames.length : done))
  }

  /** Another client takes over, which has all up to `count`. What an old link has not sent yet may still be read by it. */
  restart(count: number): void {
    for (const {slab} of this.#frames) slab.frames = Number.POSITIVE_INFINITY
    this.#slab = undefined
    this.sent = Math.max(this.acked, count)
  }

  /** Nobody wants the rest. */
  drop(): void {
    this.#hashKept()
    this.acked = this.sent = this.#kept = this.#hashed = this.total
    this.#release(this.#frames.splice(0))
  }

  digest(): Digest {
    this.#hashKept()
    return {bytes: this.total, sha256: this.#hash.copy().digest('hex')}
  }

  #hashKept(): void {
    for (let index = this.#after(this.#hashed); index < this.#frames.length; index++) {
      const {slab, at, from, length} = this.#frames[index] as Frame
      this.#hash.update(slab.bytes.subarray(at + 1 + this.#hashed - from, at + 1 + length))
      this.#hashed = from + length
    }
  }

  /** The first frame that holds bytes beyond `count`. */
  #after(count: number): number {
    let index = this.#frames.length
    while (index > 0) {
      const {from, length} = this.#frames[index - 1] as Frame
      if (from + length <= count) break
      index--
    }
    return index
  }

  /** The last frame while it has room and was not sent, or a new one. */
  #openFrame(): Frame {
    const last = this.#frames.at(-1)
    if (last && last.from >= this.sent && last.slab === this.#slab && last.length < maxOutputFrameBytes && last.slab.used < slabBytes)
      return last
    if (!this.#slab || this.#slab.used + 2 > slabBytes)
      this.#slab = this.#spare.pop() ?? {bytes: Buffer.allocUnsafeSlow(slabBytes), used: 0, frames: 0}
    const frame: Frame = {slab: this.#slab, at: this.#slab.used, from: this.#kept, length: 0}
    this.#slab.bytes[this.#slab.used++] = this.#kind
    this.#slab.frames++
    this.#frames.push(frame)
    return frame
  }

  #release(frames: Frame[]): void {
    for (const {slab} of frames) {
      slab.frames--
      if (slab.frames > 0) continue
      slab.used = 0
      if (slab !== this.#slab) this.#spare.push(slab)
    }
  }
}
