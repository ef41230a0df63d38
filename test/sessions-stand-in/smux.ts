/**
 * The accepting side of smux, as the agent has it: version 1, and version 2 where it is asked for (section 14). Written from the
 * specification, apart from the client's.
 */

const command = {open: 0, close: 1, data: 2, nothing: 3, window: 4} as const
const largest = 32_768
const firstWindow = 262_144
/** The reference stops reading everything when so much lies unread. */
const unreadLimit = 4 * 1024 * 1024

/** One stream, as whoever serves it has it. */
export interface Stream {
  readonly id: number
  /** Bytes towards the client; resolves when there is room for more. */
  write(bytes: Buffer): Promise<void>
  /** FIN, once. */
  close(): void
  /** Tells how many bytes that came have been used. */
  used(bytes: number): void
  onData: (bytes: Buffer) => void
  onClose: () => void
}

export interface Smux {
  /** Bytes from the client; false when the session must end, for what came is not smux. */
  take(bytes: Buffer): boolean
  /** Whether more may come now. */
  readonly full: boolean
  readonly streams: number
  close(): void
}

export interface SmuxOptions {
  versions: readonly number[]
  keepAlive: boolean
  /** how much faster the clock runs */
  timeScale: number
  out(bytes: Buffer): Promise<void>
  accept(stream: Stream): void
  onRoom(): void
  onDead(why: string): void
}

/** Serves one session. */
export function serveSmux(it: SmuxOptions): Smux {
  let version: number | undefined = it.versions.length === 1 ? it.versions[0] : undefined
  let rest: Buffer[] = []
  let length = 0
  let unread = 0
  let heard = true
  let dead = false
  const streams = new Map<number, Stream & {window: number; consumed: number; sent: number; told: number; wake: (() => void) | undefined}>()
  const timers: NodeJS.Timeout[] = []

  const header = (what: number, stream: number, size: number): Buffer => {
    const bytes = Buffer.alloc(8)
    bytes[0] = version ?? 1
    bytes[1] = what
    bytes.writeUInt16LE(size, 2)
    bytes.writeUInt32LE(stream, 4)
    return bytes
  }
  const die = (why: string): false => {
    close()
    it.onDead(why)
    return false
  }
  const close = (): void => {
    if (dead) return
    dead = true
    for (const timer of timers) clearInterval(timer)
    for (const stream of streams.values()) {
      stream.wake?.()
      stream.onClose()
    }
    streams.clear()
  }

  if (it.keepAlive) {
    timers.push(setInterval(() => void it.out(header(command.nothing, 0, 0)), 10_000 / it.timeScale))
    timers.push(
      setInterval(() => {
        if (!heard) die('nothing was heard for a whole tick of the keep-alive')
        heard = false
      }, 30_000 / it.timeScale),
    )
  }

  const open = (id: number): void => {
    let closed = false
    const stream = {
      id,
      window: firstWindow,
      consumed: 0,
      sent: 0,
      told: 0,
      wake: undefined as (() => void) | undefined,
      onData: (_: Buffer) => {},
      onClose: () => {},
      async write(bytes: Buffer) {
        for (let at = 0; at < bytes.length && !closed && !dead; ) {
          if (version === 2) {
            while (this.sent >= this.window && streams.has(id))
              await new Promise<void>(resolve => {
                this.wake = resolve
              })
            if (!streams.has(id)) return
          }
          const room = version === 2 ? this.window - this.sent : largest
          const piece = bytes.subarray(at, at + Math.min(largest, room))
          at += piece.length
          this.sent += piece.length
          await it.out(Buffer.concat([header(command.data, id, piece.length), piece]))
        }
      },
      close() {
        if (closed || dead) return
        closed = true
        streams.delete(id)
        this.wake?.()
        void it.out(header(command.close, id, 0))
      },
      used(bytes: number) {
        const wasFull = unread >= unreadLimit
        unread -= bytes
        this.consumed += bytes
        if (version === 2 && streams.has(id) && this.consumed - this.told >= firstWindow / 2) {
          this.told = this.consumed
          const update = Buffer.alloc(8)
          update.writeUInt32LE(this.consumed >>> 0, 0)
          update.writeUInt32LE(firstWindow, 4)
          void it.out(Buffer.concat([header(command.window, id, 8), update]))
        }
        if (wasFull && unread < unreadLimit) it.onRoom()
      },
    }
    streams.set(id, stream)
    it.accept(stream)
  }

  const one = (what: number, id: number, body: Buffer): boolean => {
    switch (what) {
      case command.open:
        if (!streams.has(id)) open(id)
        return true
      case command.close: {
        const stream = streams.get(id)
        stream?.onClose()
        return true
      }
      case command.data: {
        const stream = streams.get(id)
        if (!stream || body.length === 0) return true
        unread += body.length
        stream.onData(body)
        return true
      }
      case command.nothing:
        return true
      case command.window: {
        if (version !== 2 || body.length !== 8) return false
        const stream = streams.get(id)
        if (!stream) return true
        stream.window = body.readUInt32LE(0) + body.readUInt32LE(4)
        stream.wake?.()
        return true
      }
      default:
        return false
    }
  }

  return {
    take(bytes) {
      if (dead) return false
      heard = true
      rest.push(bytes)
      length += bytes.length
      while (length >= 8) {
        if ((rest[0] as Buffer).length < 8) rest = [Buffer.concat(rest)]
        const first = rest[0] as Buffer
        const [sent, what, size] = [first[0] as number, first[1] as number, first.readUInt16LE(2)]
        if (version === undefined && it.versions.includes(sent)) version = sent
        if (sent !== version) return die(`version ${sent} of smux is not spoken here`)
        if (what > command.window) return die(`command ${what} is not known`)
        if (length < 8 + size) break
        const all = rest.length === 1 ? first : Buffer.concat(rest)
        length -= 8 + size
        rest = length > 0 ? [all.subarray(8 + size)] : []
        if (!one(what, all.readUInt32LE(4), all.subarray(8, 8 + size))) return die(`command ${what} is not known in version ${version}`)
      }
      return true
    },
    get full() {
      return unread >= unreadLimit
    },
    get streams() {
      return streams.size
    },
    close,
  }
}
