/** One connection to a port, as a channel. */
import {type Duplex, Readable, Writable} from 'node:stream'
import type {Channel, Exit} from '@prod/sdk'

/**
 * Two directions, each of which may end while the other goes on. Where the way has no half-close, the end of the input waits until the
 * far side has ended too.
 */
export function portChannel(from: Duplex, {halfClose}: {halfClose: boolean}): Channel {
  let isOver = false
  let broken: string | undefined
  let inputEnded = false
  let outputEnded = false
  let held = false
  let waiting: (() => void) | undefined
  let finish: (exit: Exit) => void = () => {}
  const ended = new Promise<Exit>(resolve => {
    finish = resolve
  })

  const settle = (): void => {
    if (isOver) return
    isOver = true
    if (!(inputEnded && outputEnded)) broken ??= 'the far side broke off'
    if (!outputEnded && !stdout.destroyed) stdout.push(null)
    waiting?.()
    stdin.destroy()
    finish(broken === undefined ? {status: 0} : {unknown: broken})
  }
  const breakOff = (why: string): void => {
    if (isOver) return
    broken ??= why
    from.destroy()
    settle()
  }

  const stdout = new Readable({
    read: () => void from.resume(),
    destroy(error, done) {
      if (!outputEnded) breakOff('its reader has gone')
      done(error)
    },
  })
  const stdin = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (isOver) return done()
      waiting = done
      from.write(chunk, () => {
        if (waiting === done) waiting = undefined
        done()
      })
    },
    final(done) {
      inputEnded = true
      held = !halfClose && !outputEnded
      if (!held) from.end()
      done()
    },
  })
  from.on('data', (chunk: Buffer) => {
    if (!isOver && !stdout.push(chunk)) from.pause()
  })
  from.pause()
  from.once('end', () => {
    outputEnded = true
    if (!isOver) stdout.push(null)
    if (held) from.end()
  })
  from.on('error', error => {
    broken ??= error.message
  })
  from.once('close', settle)
  return {
    stdin,
    stdout,
    stderr: Readable.from([]),
    ended,
    resize: () => {},
    signal: () => {},
    end: why => {
      breakOff(why)
      return ended
    },
  }
}
