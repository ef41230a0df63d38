import {createHash, randomBytes} from 'node:crypto'
import {PassThrough, Readable, Writable} from 'node:stream'
import type {Channel, Exit, Lender} from '@prod/sdk'
import {frame, type ServerMessage, windowBytes} from '@prod/sdk/wire'
import {expect, test} from 'vitest'
import type {Link} from '../src/streams/link.ts'
import {goLive} from '../src/streams/live.ts'

/** A program whose stdout gives pieces as fast as they are taken; what it was asked to wait for is counted. */
class Pieces extends Readable implements Lender {
  readonly pieces: readonly Buffer[]
  waits = 0
  constructor(pieces: readonly Buffer[]) {
    super({read() {}})
    this.pieces = pieces
  }
  async lend(take: (bytes: Uint8Array) => Promise<void> | undefined): Promise<void> {
    const memory = Buffer.alloc(1_000_000)
    for (const piece of this.pieces) {
      memory.set(piece)
      const busy = take(memory.subarray(0, piece.length))
      if (busy) {
        this.waits++
        await busy
      }
      // as a socket's memory, it is used again
      memory.fill(0, 0, piece.length)
    }
  }
}

function follow(stdout: Pieces): {live: ReturnType<typeof goLive>; got: Buffer[]; frames: () => number; exit(): void} {
  const {promise: ended, resolve} = Promise.withResolvers<Exit>()
  const channel: Channel = {
    stdin: new Writable({write: (_chunk, _encoding, done) => done()}),
    stdout,
    stderr: new PassThrough().end(),
    resize() {},
    signal() {},
    end: () => ended,
    ended,
  }
  const live = goLive('run_0000000000001', {iss: 'i', sub: 's'}, channel, {stdin: false, detachSeconds: 60})
  const got: Buffer[] = []
  let count = 0
  const take = (bytes: Uint8Array): void => {
    got.push(Buffer.from(bytes))
    count++
    const stdoutBytes = got.reduce((sum, one) => sum + one.length, 0)
    // a client that takes at once what it gets
    setImmediate(() => link.onMessage({type: 'ack', stdout: stdoutBytes, stderr: 0}))
  }
  const link: Link = {
    send() {},
    sendFrame: (kind, bytes) => void (kind === frame.stdout && take(bytes)),
    sendWhole: whole => take(whole.subarray(1)),
    onMessage() {},
    onFrame: null,
    closed: new Promise(() => {}),
    isClosed: () => false,
    buffered: () => 0,
    fail() {},
    close() {},
  }
  live.attach(link, {stdout: 0, stderr: 0}, () => ({type: 'notice', text: ''}) satisfies ServerMessage)
  return {live, got, frames: () => count, exit: () => resolve({status: 0})}
}

test('a program that writes in small pieces is read once in a while: no byte is lost, and few frames go out', async () => {
  const pieces = Array.from({length: 200}, (_, at) => randomBytes(1 + (at % 50)))
  const stdout = new Pieces(pieces)
  const {live, got, frames, exit} = follow(stdout)
  exit()
  const {stdout: digest} = await live.read
  live.finish('', null)
  const all = Buffer.concat(pieces)
  expect(stdout.waits).toBeGreaterThan(0)
  expect(frames()).toBeLessThan(pieces.length)
  expect(Buffer.concat(got).equals(all)).toBe(true)
  expect(digest).toEqual({bytes: all.length, sha256: createHash('sha256').update(all).digest('hex')})
})

test('one that writes much is read on at once, until the window is full', async () => {
  const pieces = Array.from({length: 40}, () => randomBytes(windowBytes / 10))
  const stdout = new Pieces(pieces)
  const {live, got, exit} = follow(stdout)
  exit()
  await live.read
  live.finish('', null)
  expect(stdout.waits).toBeLessThanOrEqual(4)
  expect(Buffer.concat(got).equals(Buffer.concat(pieces))).toBe(true)
})
