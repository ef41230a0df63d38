/** Holds a channel of ssh2 to what is read of it. */
import type {Readable} from 'node:stream'
import type {ClientChannel} from 'ssh2'

const mostBytes = 256 * 1024

/** What of node's streams is used here besides their public side: ssh2 asks `push` and `_read` whether the far side may send more. */
interface Inner {
  _readableState: {highWaterMark: number}
  _read(size: number): void
  push(chunk: unknown): boolean
}

/**
 * Output and errors of a channel share one window. ssh2 opens it whenever either of them is read, so that a program which writes errors
 * now and then fills the memory with the output that nobody reads. From here on it is opened only while both have room.
 */
export function shareWindow(channel: ClientChannel): void {
  const [output, errors] = [channel, channel.stderr as Readable]
  limit(output, errors)
  limit(errors, output)
}

function limit(stream: Readable, other: Readable): void {
  const inner = stream as unknown as Inner
  const {_read, push} = inner
  const otherHasRoom = (): boolean => other.readableLength < mostBytes
  inner._readableState.highWaterMark = mostBytes
  inner.push = chunk => push.call(stream, chunk) && otherHasRoom()
  // node asks this of a stream that has room itself; of two, whichever has it last asks again
  inner._read = size => {
    if (otherHasRoom()) _read.call(stream, size)
  }
}
