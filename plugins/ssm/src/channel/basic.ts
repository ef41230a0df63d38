/** One connection after another, for agents before multiplexing, §13.2. */
import {setTimeout as wait} from 'node:timers/promises'
import type {Channel, Exit} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {Form, Way} from './form.ts'
import {flags} from './frame.ts'
import {createInput, createOutput, emptyOutput, type Input, type Output} from './streams.ts'

/**
 * The agent dials when the session starts, and again on the first byte after a disconnect; it never tells that the target closed. What
 * comes while no connection is open here is dropped, but for what the target said before the first one: never given to the next.
 */
export function openBasic({wake, hold, sendFlag, settleMs}: Way): Form {
  let current: {input: Input; output: Output; leave(exit: Exit): void} | undefined
  let early: Buffer[] | undefined = []
  /** ends when the one before has ended, at the agent too */
  let turn: Promise<void> = Promise.resolve()
  let overBy: Exit | undefined

  const open = (): {channel: Channel; gone: Promise<void>} => {
    const ended = Promise.withResolvers<Exit>()
    const gone = Promise.withResolvers<void>()
    const leave = (exit: Exit) => {
      if (current !== own) return
      current = undefined
      hold(false)
      input.drop()
      output.end()
      ended.resolve(exit)
      // what is under way of this one comes before the agent's answer, or little later
      if (overBy) gone.resolve()
      else
        void sendFlag(flags.disconnectToPort)
          .then(() => wait(settleMs))
          .then(gone.resolve)
    }
    // the end of stdin alone is held back: a disconnect ends both directions
    const input = createInput(wake, () => {})
    const output = createOutput(
      () => hold(output.isFull),
      () => leave({status: 0}),
    )
    const own = {input, output, leave}
    current = own
    for (const bytes of early ?? []) output.push(bytes)
    early = undefined
    const channel: Channel = {
      stdin: input.stream,
      stdout: output.stream,
      stderr: emptyOutput(),
      resize: () => {},
      signal: () => {},
      end() {
        leave({status: 0})
        return ended.promise
      },
      ended: ended.promise,
    }
    return {channel, gone: gone.promise}
  }

  return {
    take: (into, at, length) => current?.input.take(into, at, length) ?? 0,
    output(bytes) {
      if (current) current.output.push(bytes)
      else early?.push(Buffer.from(bytes))
    },
    async connect() {
      const before = turn
      const mine = Promise.withResolvers<void>()
      turn = mine.promise
      await before
      if (overBy) {
        mine.resolve()
        throw new ProdError('TARGET_UNREACHABLE', 'the session has ended', 'prod doctor')
      }
      const {channel, gone} = open()
      void gone.then(mine.resolve)
      return channel
    },
    refused: () => current?.leave({unknown: 'the target refused the connection to the port'}),
    over(exit) {
      overBy = exit
      current?.leave(exit)
    },
  }
}
