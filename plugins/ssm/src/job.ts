/** What runs somewhere else and is asked after, as a channel: its outputs on stdout, how it gets on on stderr. */
import {once} from 'node:events'
import {PassThrough, Writable} from 'node:stream'
import {setTimeout as wait} from 'node:timers/promises'
import type {Channel, Exit} from '@prod/sdk'

/** Where a job tells what it has to tell; each waits for its reader. */
export interface Voice {
  out(text: string): Promise<void>
  err(text: string): Promise<void>
}

/** Something that AWS runs for us. */
export interface Job {
  /** Follows it to its end. Rejects when `signal` does: nobody waits any more. */
  follow(voice: Voice, signal: AbortSignal): Promise<Exit>
  /** Asks AWS to stop it. */
  cancel(): Promise<void>
}

/** how long a cancelled job may take to be over */
const graceMs = 30_000

/** The channel of one job. */
export function channelOf(job: Job): Channel {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const stdin = new Writable({write: (_chunk, _encoding, done) => done()})
  const abandoned = new AbortController()
  const write = async (to: PassThrough, text: string): Promise<void> => {
    if (text === '' || to.destroyed || to.write(text)) return
    await Promise.race([once(to, 'drain', {signal: abandoned.signal}), once(to, 'close')]).catch(() => {})
  }
  const say = {out: (text: string) => write(stdout, text), err: (text: string) => write(stderr, text)}
  for (const one of [stdin, stdout, stderr]) one.on('error', () => {})

  const ended = job
    .follow(say, abandoned.signal)
    .catch(async (error: unknown): Promise<Exit> => {
      const why = error instanceof Error ? error.message : String(error)
      if (!abandoned.signal.aborted) void say.err(`prod: ${why}\n`)
      return {unknown: abandoned.signal.aborted ? String(abandoned.signal.reason) : why}
    })
    .finally(() => {
      stdout.end()
      stderr.end()
    })
  let cancelling: Promise<void> | undefined
  const cancel = (): Promise<void> => {
    cancelling ??= job.cancel().catch(async error => {
      cancelling = undefined
      await say.err(`prod: it could not be cancelled: ${error instanceof Error ? error.message : ''}\n`)
    })
    return cancelling
  }
  // whose reader has gone has nobody left to tell
  for (const one of [stdout, stderr]) one.on('close', () => void (one.readableEnded || cancel()))
  let ending: Promise<Exit> | undefined
  return {
    stdin,
    stdout,
    stderr,
    resize() {},
    signal: () => void cancel(),
    end(why) {
      ending ??= (async () => {
        const over = new AbortController()
        await Promise.race([cancel(), ended])
        const late = wait(graceMs, undefined, {signal: over.signal}).then(
          () => abandoned.abort(`ended (${why}), and AWS has not said that it stopped`),
          () => {},
        )
        const exit = await ended
        over.abort()
        await late
        return exit
      })()
      return ending
    },
    ended,
  }
}

/** Pauses between two questions: short at first, so that what is quick is told quickly. */
export async function* rounds(signal: AbortSignal): AsyncGenerator<void> {
  for (let pauseMs = 250; ; pauseMs = Math.min(pauseMs * 1.3, 3000)) {
    yield
    await wait(pauseMs, undefined, {signal})
  }
}
