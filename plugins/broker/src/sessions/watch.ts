import {ProdError} from '@prod/sdk/errors'
import {type FirstMessage, frame} from '@prod/sdk/wire'
import {about} from '../audit/refusals.ts'
import {reauthenticate} from '../identity/authenticate.ts'
import {person} from '../requests/create.ts'
import type {Serving} from '../streams/serving.ts'
import type {SessionRecord} from './record.ts'
import {maySee} from './view.ts'

/** bytes not taken by a watcher at which it is let go: a watcher never slows the session */
const laggingBytes = 4 * 1024 * 1024

/** Shows a live session to somebody whom policy lets watch it, from now on. Watching is recorded and told to nobody else. */
export async function serveWatch({parts, set, link, caller}: Serving, first: FirstMessage & {type: 'watch'}): Promise<void> {
  const {correlation} = caller()
  const stored = await parts.store.find<SessionRecord>('session', first.session)
  if (!stored || !maySee(parts, caller(), stored.value, 'watch')) {
    throw about(new ProdError('SESSION_NOT_FOUND', `there is no session ${first.session}`, 'prod sessions ls'), {
      type: 'session.watch-refused',
      subject: first.session,
    })
  }
  const session = stored.value
  if (session.kind === 'forward')
    throw new ProdError('BAD_REQUEST', `${session.id} is a forward: there is nothing to see`, `prod sessions end ${session.id}`)
  const entry = set.find(session.id)
  if (!entry) throw new ProdError('SESSION_NOT_FOUND', `session ${session.id} is over`, `prod sessions play ${session.id}`)
  await parts.store.commit({
    events: [{type: 'session.watched', by: person(caller()), subject: session.id, correlation, personal: {name: caller().principal.name}}],
  })
  link.send({
    type: 'started',
    id: session.id,
    request: session.request,
    target: session.target.name,
    environment: session.target.environment,
    correlation,
    stdout: 0,
    stderr: 0,
    expiresAt: session.expiresAt,
    banner: [`watching ${session.principal.name} on ${session.target.name}, ${session.columns}x${session.rows}`],
  })

  const {onlookers} = entry.live
  const letGo = (error: unknown) => {
    onlookers.delete(look)
    link.fail(error, correlation)
  }
  const look = (stream: 'stdout' | 'resize', bytes: Uint8Array) => {
    if (link.buffered() > laggingBytes) letGo(new ProdError('LINK_LOST', 'this watcher is too slow', `prod sessions watch ${session.id}`))
    else link.sendFrame(stream === 'stdout' ? frame.stdout : frame.resize, bytes)
  }
  onlookers.add(look)
  /** As of now: a login that has ended or a group that was lost ends what is seen (TM-Q7, TM-G3). */
  const judge = async () => {
    const now = await reauthenticate(parts, caller())
    if (!maySee(parts, now, session, 'watch')) throw new ProdError('DENIED', `the right to watch ${session.id} has ended`, 'prod whoami')
  }
  const unsubscribe = set.onJudge(() => void judge().catch(letGo))
  await Promise.race([link.closed, entry.live.read])
  unsubscribe()
  onlookers.delete(look)
  if (link.isClosed()) return
  link.send({type: 'notice', text: 'the session has ended'})
  link.close()
}
