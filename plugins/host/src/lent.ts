/** What a socket brings: read into one piece of memory, from which bytes are lent, or copied for who reads them as usual. */
import type {OnReadOpts, Socket} from 'node:net'
import {Readable} from 'node:stream'
import type {Lender} from '@prod/sdk'

/** as much as a socket holds by default, at most */
const bufferBytes = 128 * 1024

/** The reading half of a socket. */
export class Lent extends Readable implements Lender {
  readonly socket: Socket
  readonly #leavesOpen: boolean
  #take: ((bytes: Uint8Array) => Promise<void> | undefined) | undefined

  /** `leavesOpen`: its end leaves the other half of the socket as it is. `cut`: the words where the socket closes before that end; none: no failure. */
  constructor(open: (onread: OnReadOpts) => Socket, {leavesOpen = false, cut}: {leavesOpen?: boolean; cut?: string} = {}) {
    super()
    this.#leavesOpen = leavesOpen
    const buffer = Buffer.allocUnsafeSlow(bufferBytes)
    this.socket = open({buffer, callback: count => this.#got(buffer.subarray(0, count))})
    this.socket.pause()
    let over = false
    this.socket.once('end', () => {
      over = true
      this.push(null)
    })
    // after its end, what is not read yet is still to be read
    this.socket.once('close', () => over || this.destroy(cut === undefined ? undefined : new Error(cut)))
  }

  async lend(take: (bytes: Uint8Array) => Promise<void> | undefined): Promise<void> {
    this.#take = take
    const over = new Promise<void>((resolve, reject) => this.once('close', resolve).once('error', reject))
    this.resume()
    return over
  }

  override _read(): void {
    this.socket.resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#leavesOpen || !this.readableEnded) this.socket.destroy()
    done(error)
  }

  /** Whether more may be read into the same memory now. */
  #got(bytes: Buffer): boolean {
    if (!this.#take) return this.push(Buffer.from(bytes))
    try {
      const busy = this.#take(bytes)
      busy?.then(
        () => this.socket.resume(),
        error => this.destroy(error),
      )
      return !busy
    } catch (error) {
      this.destroy(error as Error)
      return false
    }
  }
}
