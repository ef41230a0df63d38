/** Memory that a socket reads into, again and again: fresh memory for each read would cost more than all else that is done with the bytes. */

const slabBytes = 256 * 1024
/** less room than this is not worth a read */
const leastBytes = 128 * 1024

/** One piece of memory. `holders`: pieces of what was read into it that are still used. */
export interface Slab {
  readonly bytes: Buffer
  used: number
  holders: number
}

/** What was read stays as it is until whoever holds it gives it back. Of who never does, the memory is simply not used again. */
export class ReadMemory {
  readonly #spare: Slab[] = []
  #slab = newSlab()

  /** Where the next read goes. */
  room(): Buffer {
    if (this.#slab.holders === 0) this.#slab.used = 0
    if (slabBytes - this.#slab.used < leastBytes) this.#slab = this.#spare.pop() ?? newSlab()
    return this.#slab.bytes.subarray(this.#slab.used)
  }

  /** What was just read, so many bytes of the room. */
  take(count: number): Buffer {
    const {bytes, used} = this.#slab
    this.#slab.used += count
    return bytes.subarray(used, used + count)
  }

  /** Keeps what was read last as it is, until the slab is given back. */
  hold(): Slab {
    this.#slab.holders++
    return this.#slab
  }

  giveBack(slab: Slab): void {
    slab.holders--
    if (slab.holders > 0 || slab === this.#slab) return
    slab.used = 0
    this.#spare.push(slab)
  }
}

function newSlab(): Slab {
  return {bytes: Buffer.allocUnsafeSlow(slabBytes), used: 0, holders: 0}
}
