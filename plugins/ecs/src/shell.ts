/** A shell of a container, with the status that the session itself does not tell: see `script.ts`. */
import {Readable} from 'node:stream'
import type {Channel, Exit} from '@prod/sdk'
import type {Mark} from '@prod/ssm/carried'

const leaveMs = 10_000

/** What a shell's channel needs besides its terminal. */
export interface ShellOptions {
  readonly mark: Mark
  readonly wallSeconds: number
  /** ends what bears the mark from another session; whether all is gone for certain */
  finish(): Promise<boolean>
}

/** The shell's own bytes, and its status. */
export function runShell(terminal: Channel, {mark, wallSeconds, finish}: ShellOptions): Channel {
  const tail = findTail(mark)
  let status: number | undefined
  let wall: NodeJS.Timeout | undefined
  let limit: string | undefined
  let ending: Promise<Exit> | undefined
  const stdout = new Readable({
    read: () => void terminal.stdout.resume(),
    destroy(error, done) {
      void end('its reader has gone')
      done(error)
    },
  })
  terminal.stdout.on('data', (chunk: Buffer) => {
    const bytes = tail.take(chunk)
    if (bytes.length > 0 && !stdout.destroyed && !stdout.push(bytes)) terminal.stdout.pause()
  })
  terminal.stdout.pause()
  terminal.stdout.once('end', () => {
    const {rest, status: said} = tail.end()
    status = said
    if (stdout.destroyed) return
    if (rest.length > 0) stdout.push(rest)
    stdout.push(null)
  })
  const drained = new Promise<void>(resolve => {
    terminal.stdout.once('close', resolve)
    terminal.stdout.once('end', resolve)
  })
  const ended = (async (): Promise<Exit> => {
    const exit = await terminal.ended
    clearTimeout(wall)
    // the last of it may still wait for its reader
    await drained
    if (status !== undefined) return {status}
    return 'unknown' in exit ? exit : {unknown: 'the session ended before the shell said how it ended'}
  })()
  const end = (why: string): Promise<Exit> => {
    ending ??= (async () => {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>(resolve => {
        timer = setTimeout(resolve, leaveMs)
      })
      await finish()
      terminal.stdout.resume()
      await Promise.race([terminal.ended, late])
      clearTimeout(timer)
      await terminal.end(why)
      return ended
    })()
    return ending
  }
  wall = setTimeout(() => {
    limit = 'wall'
    void end('its time is over')
  }, wallSeconds * 1000)
  return {
    stdin: terminal.stdin,
    stdout,
    stderr: Readable.from([]),
    ended,
    resize: size => terminal.resize(size),
    ...(terminal.listen ? {listen: terminal.listen} : {}),
    signal: name => {
      if (name === 'SIGTERM' || name === 'SIGHUP' || name === 'SIGKILL') void end(name)
      else terminal.signal(name)
    },
    end,
    get limit() {
      return limit
    },
  }
}

/** Takes the mark and the status out of the end of the output. What only begins like it, or is not at the end, is output. */
export function findTail({left, right}: Mark): {take(chunk: Buffer): Buffer; end(): {rest: Buffer; status?: number}} {
  const whole = Buffer.from(`${left}${right} `, 'latin1')
  const form = new RegExp(`^${left}${right} (\\d{1,3})\\r?\\n$`)
  /** the mark, its status and the end of the line */
  const most = whole.length + 5
  let held = Buffer.alloc(0)
  const begins = (bytes: Buffer): boolean => {
    const length = Math.min(bytes.length, whole.length)
    return bytes.subarray(0, length).equals(whole.subarray(0, length)) && bytes.length <= most
  }
  return {
    take(chunk) {
      const all: Buffer = held.length > 0 ? Buffer.concat([held, chunk]) : chunk
      for (let at = Math.max(0, all.length - most); at < all.length; at++) {
        if (all[at] === whole[0] && begins(all.subarray(at))) {
          held = Buffer.from(all.subarray(at))
          return all.subarray(0, at)
        }
      }
      held = Buffer.alloc(0)
      return all
    },
    end() {
      const [, status] = form.exec(held.toString('latin1')) ?? []
      return status === undefined ? {rest: held} : {rest: Buffer.alloc(0), status: Number(status) & 0xff}
    },
  }
}
