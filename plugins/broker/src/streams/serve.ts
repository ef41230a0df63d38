/** One stream, from its first message on: to the feature that serves it. */
import {ProdError} from '@prod/sdk/errors'
import type {FirstMessage} from '@prod/sdk/wire'
import type {WebSocket} from 'ws'
import {tellRefusal} from '../audit/refusals.ts'
import {openRole, serveAssume} from '../grants/break-glass.ts'
import type {StreamHello} from '../http/server.ts'
import type {Parts} from '../parts.ts'
import {refuseDraining} from '../requests/create.ts'
import {serveFollow} from '../requests/follow.ts'
import {serveAttach, serveExec} from '../runs/serve.ts'
import {attachSession} from '../sessions/attach.ts'
import {attachConnection, openForward, serveConnect, serveForward} from '../sessions/forward.ts'
import {openShell, serveShell} from '../sessions/serve.ts'
import {serveWatch} from '../sessions/watch.ts'
import {type Link, openLink} from './link.ts'
import type {LiveSet} from './live-set.ts'
import type {Serving} from './serving.ts'

/** Serves one WebSocket until it is closed. Never rejects. */
export async function serveStream(parts: Parts, set: LiveSet, socket: WebSocket, hello: StreamHello): Promise<void> {
  const {link, first} = openLink(socket)
  let caller = hello.caller
  const serving: Serving = {
    parts,
    set,
    link: withRenewal(link, async (token, proof) => {
      caller = await hello.refreshCaller(token, proof)
      arm()
    }),
    caller: () => caller,
    challenge: () => hello.challenge(),
    countedElsewhere: () => hello.countedElsewhere(),
    openShell: stored => openShell(serving, stored),
    openForward: stored => openForward(serving, stored),
    openRole: stored => openRole(serving, stored),
    attachSession: async (id, have) => (id.startsWith('con_') ? attachConnection(serving, id, have) : attachSession(serving, id, have)),
  }
  let expiry: NodeJS.Timeout | undefined
  const arm = () => {
    clearTimeout(expiry)
    const left = Date.parse(caller.tokenExpiresAt) - parts.store.now().getTime()
    expiry = setTimeout(
      () =>
        link.fail(
          new ProdError('LOGIN_EXPIRED', 'the login of this stream has expired', 'prod login, then prod attach'),
          caller.correlation,
        ),
      Math.max(0, left),
    )
  }
  arm()
  void link.closed.then(() => clearTimeout(expiry))
  let where = 'stream'
  try {
    const message = await first
    where = `stream ${message.type}`
    await dispatch(serving, message)
  } catch (error) {
    await tellRefusal(parts, caller, error, where)
    if (!(error instanceof ProdError))
      parts.alarm('a stream failed', {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        correlation: caller.correlation,
      })
    link.fail(error, caller.correlation)
  }
}

/** A link whose `auth` messages are taken here, all others by whoever serves it. */
function withRenewal(link: Link, renew: (token: string, proof: string) => Promise<void>): Link {
  let onMessage: Link['onMessage'] = () => {}
  link.onMessage = message => {
    if (message.type === 'auth') renew(message.token, message.proof).catch(error => link.fail(error, ''))
    else onMessage(message)
  }
  return Object.defineProperty(Object.create(link) as Link, 'onMessage', {
    get: () => onMessage,
    set: (next: Link['onMessage']) => {
      onMessage = next
    },
  })
}

function dispatch(serving: Serving, first: FirstMessage): Promise<void> {
  if (first.type !== 'attach') refuseDraining(serving.parts)
  switch (first.type) {
    case 'exec':
      return serveExec(serving, first)
    case 'attach':
      return serveAttach(serving, first)
    case 'shell':
      return serveShell(serving, first)
    case 'forward':
      return serveForward(serving, first)
    case 'assume':
      return serveAssume(serving, first)
    case 'connect':
      return serveConnect(serving, first)
    case 'watch':
      return serveWatch(serving, first)
    case 'follow':
      return serveFollow(serving, first)
  }
}
