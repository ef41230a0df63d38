/** Waits with the person until a request of theirs is decided. */
import type {Request} from '../domain.ts'
import {ProdError} from '../errors.ts'
import type {Broker, Session} from '../session.ts'
import {LinkLost, openStream, type StreamConnection} from '../stream-client.ts'
import {clientInfo} from './client-info.ts'
import {Interrupted, interruptedStatus} from './failure.ts'
import {say} from './output.ts'
import {startSpinner} from './spinner.ts'

interface Following {
  broker: Broker
  session: Session
  request: Request
  onInterrupt(act: ((times: number) => void) | undefined): void
  cancel(): Promise<unknown>
}

/**
 * The request once it is approved. Throws REQUEST_DENIED, REQUEST_EXPIRED, REQUEST_CANCELLED. Ctrl-C cancels it, and nothing follows even where
 * it was approved at that moment; a second one waits for no answer.
 */
export async function followRequest({broker, session, request, onInterrupt, cancel}: Following): Promise<Request> {
  const since = new Date(request.createdAt).toTimeString().slice(0, 8)
  const words = (now: Request) => {
    const yes = now.approvals.map(one => one.by)
    return `${request.id} waits since ${since} for one of: ${now.approvers.join(', ') || 'nobody known'}${yes.length > 0 ? `; approved by ${yes.join(', ')}` : ''}`
  }
  const spinner = startSpinner(words(request))
  let connection: StreamConnection | undefined
  let cancelling: Promise<void> | undefined
  onInterrupt(times => {
    if (times > 1) process.exit(interruptedStatus)
    cancelling = cancelled(request, cancel).finally(() => connection?.close())
  })
  const stopped = async (): Promise<never> => {
    await cancelling
    throw new Interrupted()
  }
  try {
    for (;;) {
      if (cancelling) return await stopped()
      try {
        connection = await openStream({broker, session, first: {type: 'follow', request: request.id, client: clientInfo()}})
        for await (const event of connection) {
          if (event.type !== 'message' || event.message.type !== 'request') continue
          const now = event.message.request
          if (cancelling) break
          if (now.state === 'approved' || now.state === 'started' || now.state === 'done') return now
          if (now.state !== 'pending') throw refusalOf(now)
          spinner.update(words(now))
        }
      } catch (error) {
        const again =
          error instanceof LinkLost || (connection !== undefined && error instanceof ProdError && error.code === 'BROKER_UNREACHABLE')
        if (!again && !cancelling) throw error
        if (!cancelling) await new Promise(resolve => setTimeout(resolve, 1000))
      }
    }
  } finally {
    spinner.stop()
    onInterrupt(undefined)
    connection?.close()
  }
}

/** Cancels, and says so where that did not go as it should: the request may still be approved. */
async function cancelled({id}: Request, cancel: () => Promise<unknown>): Promise<void> {
  try {
    await cancel()
  } catch (error) {
    if (error instanceof ProdError && error.code === 'ALREADY_DECIDED') say(`${id} had been decided already: prod request show ${id}`)
    else say(`${id} could not be cancelled, and may still be approved: prod request cancel ${id}`)
  }
}

function refusalOf(request: Request): Error {
  const show = `prod request show ${request.id}`
  if (request.state === 'denied')
    return new ProdError('REQUEST_DENIED', `request ${request.id} was denied${request.note ? `: ${request.note}` : ''}`, show)
  if (request.state === 'cancelled') return new ProdError('REQUEST_CANCELLED', `request ${request.id} was cancelled`, show)
  if (request.state === 'expired') return new ProdError('REQUEST_EXPIRED', `request ${request.id} has expired`, 'ask again')
  return new ProdError('APPROVAL_VOID', `request ${request.id} is void${request.note ? `: ${request.note}` : ''}`, 'ask again')
}
