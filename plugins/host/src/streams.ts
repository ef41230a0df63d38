/** The broker's end of a byte stream to or from a tool. */
import {createConnection, type Socket} from 'node:net'
import {Readable} from 'node:stream'
import type {Lender} from '@prod/sdk'

/** as much as a socket of this kind holds by default, at most */
const bufferBytes = 128 * 1024

/** A tool's stdin: a connection that begins with its token. What comes back is dropped. */
export function openInput(path: string, token: string): Socket {
  const socket = createConnection({path, allowHalfOpen: true})
  socket.on('error', () => {})
  socket.write(token, 'latin1')
  return socket.resume()
}

/** A tool's stdout or stderr. It is read into one piece of memory, from which bytes are lent, or copied for who reads them as usual. */
export class Output extends Readable implements Lender {
  readonly #socket: Socket
  #take: ((bytes: Uint8Array) => Promise<void> | undefined) | undefined

  constructor(path: string, token: string) {
    super()
    const buffer = Buffer.allocUnsafeSlow(bufferBytes)
    this.#socket = createConnection({
      path,
      allowHalfOpen: true,
      onread: {buffer, callback: count => this.#got(buffer.subarray(0, count))},
    })
    this.#socket.pause()
    let ended = false
    this.#socket.once('end', () => {
      ended = true
      this.push(null)
    })
    this.#socket.once('error', error => this.destroy(error))
    // cut short; after its end, what is not read yet is still to be read
    this.#socket.once('close', () => ended || this.destroy())
    // nothing goes the other way: what a tool reads from its output ends
    this.#socket.end(token, 'latin1')
  }

  async lend(take: (bytes: Uint8Array) => Promise<void> | undefined): Promise<void> {
    this.#take = take
    const over = new Promise<void>((resolve, reject) => this.once('close', resolve).once('error', reject))
    this.resume()
    return over
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }

  /** Whether more may be read into the same memory now. */
  #got(bytes: Buffer): boolean {
    if (!this.#take) return this.push(Buffer.from(bytes))
    try {
      const busy = this.#take(bytes)
      busy?.then(
        () => this.#socket.resume(),
        error => this.destroy(error),
      )
      return !busy
    } catch (error) {
      this.destroy(error as Error)
      return false
    }
  }
}
