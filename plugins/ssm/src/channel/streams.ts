/** The two ends of a byte stream: what waits to be sent, and what was received and not read. */
import {Readable, Writable} from 'node:stream'
import {bounds} from './timings.ts'

/** What somebody writes, in the order it was written. A write is done when its last byte was taken. */
export interface Input {
  readonly stream: Writable
  /** Copies at most `length` bytes into `into`; answers how many. */
  take(into: Buffer, at: number, length: number): number
  /** At most `most` bytes without a copy, or undefined; they stay as they are until {@link Input.giveBack}. */
  lend(most: number): Buffer | undefined
  giveBack(): void
  /** Nobody is there to read it: what was written, and will be, goes nowhere. */
  drop(): void
}

/** `wake` tells that there is something to take; `ended` that nothing follows. */
export function createInput(wake: () => void, ended: () => void): Input {
  let chunks: Buffer[] = []
  let position = 0
  let written: (() => void) | undefined
  let isLent = false
  let isDropped = false
  /** Not within the call that took the last byte: the next write may come from there. */
  const settle = () => {
    if (chunks.length > 0 || isLent || !written) return
    queueMicrotask(written)
    written = undefined
  }
  const skip = (count: number) => {
    position += count
    while (chunks[0] && position >= chunks[0].length) position -= (chunks.shift() as Buffer).length
  }
  const drop = () => {
    isDropped = true
    chunks = []
    position = 0
    settle()
  }
  const stream = new Writable({
    highWaterMark: 64 * 1024,
    writev(items, done) {
      if (isDropped) return done()
      chunks = items.map(({chunk}) => chunk as Buffer).filter(({length}) => length > 0)
      written = done
      if (chunks.length > 0) wake()
      else settle()
    },
    final(done) {
      if (!isDropped) ended()
      done()
    },
    destroy(error, done) {
      if (!isDropped && !stream.writableFinished) ended()
      drop()
      done(error)
    },
  })
  stream.on('error', () => {})
  return {
    stream,
    take(into, at, length) {
      let count = 0
      for (let first = chunks[0]; first && count < length; first = chunks[0]) {
        const copied = first.copy(into, at + count, position, Math.min(first.length, position + length - count))
        count += copied
        skip(copied)
      }
      settle()
      return count
    },
    lend(most) {
      const [first, second] = chunks
      if (!first || most <= 0) return undefined
      isLent = true
      // many small writes in one, a large one as it is
      const bytes =
        second && first.length - position < 1024
          ? Buffer.concat([first.subarray(position), ...chunks.slice(1, 65)]).subarray(0, most)
          : first.subarray(position, position + most)
      skip(bytes.length)
      return bytes
    },
    giveBack() {
      isLent = false
      settle()
    },
    drop,
  }
}

/** What was received, paused until it is read. */
export interface Output {
  readonly stream: Readable
  push(bytes: Buffer): void
  end(): void
  readonly unreadBytes: number
  /** more lies unread than should */
  readonly isFull: boolean
}

/** `settled` is told whenever {@link Output.isFull} changed or something was read; `left` that the reader has gone before the end. */
export function createOutput(settled: () => void, left: () => void): Output {
  let isFull = false
  let isEnded = false
  const stream = new Readable({
    highWaterMark: 64 * 1024,
    read() {
      isFull = false
      settled()
    },
    destroy(error, done) {
      isFull = false
      settled()
      if (!isEnded) left()
      done(error)
    },
  })
  stream.on('error', () => {})
  return {
    stream,
    push(bytes) {
      if (isEnded || stream.destroyed) return
      stream.push(bytes)
      if (isFull || stream.readableLength < bounds.unreadBytes) return
      isFull = true
      settled()
    },
    end() {
      if (isEnded) return
      isEnded = true
      isFull = false
      if (!stream.destroyed) stream.push(null)
    },
    get unreadBytes() {
      return stream.readableLength
    },
    get isFull() {
      return isFull
    },
  }
}

/** A stream that has ended before it began. */
export function emptyOutput(): Readable {
  return new Readable({
    read() {
      this.push(null)
    },
  })
}
