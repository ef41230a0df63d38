/** A role of the broker by breaking glass: the person's end of it. */
import type {Grant} from '@prod/sdk'
import {confirmTyped} from '@prod/sdk/cli/ask'
import {clientInfo} from '@prod/sdk/cli/client-info'
import {newKey} from '@prod/sdk/cli/key'
import {say} from '@prod/sdk/cli/output'
import {takeReason} from '@prod/sdk/cli/reason'
import {startSpinner} from '@prod/sdk/cli/spinner'
import {ProdError} from '@prod/sdk/errors'
import {LinkLost, openStream, type StreamConnection} from '@prod/sdk/stream-client'
import {showLine} from '@prod/sdk/text'
import type {FirstMessage, ServerMessage} from '@prod/sdk/wire'
import type {Connected, Wish} from './grant.ts'

const usualSeconds = 3600

/**
 * The grant, at once, or `pending`: the request that a second person must approve and nobody waits for. The role's name is typed at the
 * terminal. Throws what the broker refuses, CONFIRMATION_FAILED, NO_TERMINAL.
 */
export async function breakGlass(client: Connected, role: string, wish: Wish): Promise<Grant | {pending: string}> {
  const {reason, reused} = await takeReason(wish.reason)
  if (reused) throw new ProdError('REASON_INVALID', 'break-glass takes a reason of its own', '--reason "why, in your words"')
  const asked: FirstMessage & {type: 'assume'} = {
    type: 'assume',
    key: newKey(),
    role,
    durationSeconds: wish.duration ?? usualSeconds,
    reason,
    ...(wish.incident === undefined ? {} : {incident: wish.incident}),
    breakGlass: {confirmed: null},
    wait: !wish.nowait,
    client: clientInfo(),
  }
  const spinner = startSpinner(`asking for ${role}`)
  let stream: StreamConnection | undefined
  let typed: string | null = null
  wish.onInterrupt(times => {
    if (times > 1) process.exit(130)
    stream?.send({type: 'cancel'})
  })
  const answer = async (message: ServerMessage): Promise<Grant | {pending: string} | undefined> => {
    if (message.type === 'granted') return message.grant
    if (message.type === 'pending') return {pending: message.request}
    if (message.type === 'notice') say(showLine(message.text))
    if (message.type === 'waiting')
      spinner.update(`${message.request} waits for one of: ${message.approvers.map(showLine).join(', ') || 'nobody known'}`)
    if (message.type === 'confirm') {
      spinner.stop()
      say(message.banner.map(showLine))
      typed ??= await confirmTyped(message.text)
      stream?.send({type: 'confirmed', text: typed})
    }
    return undefined
  }
  try {
    for (;;) {
      try {
        stream = await openStream({
          broker: client.broker,
          session: await client.session(),
          first: {...asked, breakGlass: {confirmed: typed}},
        })
        for await (const event of stream) {
          const found = event.type === 'message' ? await answer(event.message) : undefined
          if (found) return found
        }
        throw new ProdError('LINK_LOST', 'the broker ended the stream', 'prod grant ls')
      } catch (error) {
        // the same key is the same request, and the same grant
        if (!(error instanceof LinkLost)) throw error
        await new Promise(resolve => setTimeout(resolve, 1000))
      }
    }
  } finally {
    spinner.stop()
    wish.onInterrupt(undefined)
    stream?.close()
  }
}
