/** Pieces of so little that come so many in a row are worth a rest; one of so much ends it. */
const littleBytes = 8 * 1024
const manyPieces = 8
const muchBytes = 64 * 1024

/**
 * Whether a program that writes piece by piece is read too eagerly: then each read wakes program and broker for a few bytes, which costs both
 * more than the bytes do. It is to be read once in a while instead, and what it wrote meanwhile is there at once.
 */
export class Pace {
  readonly #restMilliseconds: number
  #small = 0
  #rests = false
  #at = 0

  /** `restMilliseconds`: how long whoever asks rests. */
  constructor(restMilliseconds: number) {
    this.#restMilliseconds = restMilliseconds
  }

  /** Whether to rest after a piece of this size. */
  take(bytes: number): boolean {
    const now = performance.now()
    const soon = now - this.#at < 2 * this.#restMilliseconds
    this.#at = now
    if (!soon || bytes >= muchBytes) this.#rests = false
    this.#small = soon && bytes <= littleBytes ? this.#small + 1 : 0
    if (this.#small >= manyPieces) this.#rests = true
    return this.#rests
  }
}
