/** The standard stream: one connection, from the session's start to its end, §13.1. As an SSH ProxyCommand uses it. */
import type {Exit} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {Form, Way} from './form.ts'
import {createInput, createOutput, emptyOutput} from './streams.ts'

/** The end of stdin ends the session: the protocol has no half of an end here. */
export function openStandard({wake, hold, end}: Way): Form {
  let isTaken = false
  const ended = Promise.withResolvers<Exit>()
  const input = createInput(wake, () => void end('its input has ended'))
  const output = createOutput(
    () => hold(output.isFull),
    () => void end('its reader has gone'),
  )
  return {
    take: input.take,
    output: output.push,
    async connect() {
      if (isTaken) throw new ProdError('TARGET_UNREACHABLE', 'this session carries one connection alone', 'prod doctor')
      isTaken = true
      return {
        stdin: input.stream,
        stdout: output.stream,
        stderr: emptyOutput(),
        resize: () => {},
        signal: () => {},
        end,
        ended: ended.promise,
      }
    },
    refused: () => void end('the target refused the connection to the port'),
    over(exit) {
      input.drop()
      output.end()
      ended.resolve(exit)
    },
  }
}
