/** What a client sees of a session when its terminal begins and ends, and how another terminal takes it up. */
import {ProdError} from '@prod/sdk/errors'
import {type EndPayload, frame, type ServerMessage} from '@prod/sdk/wire'
import type {Parts} from '../parts.ts'
import {endFrame} from '../runs/receipt.ts'
import type {Serving} from '../streams/serving.ts'
import {banner, refuseOtherPlace} from './breaking.ts'
import type {SessionRecord} from './record.ts'

/** Tells the client that its terminal begins. */
export function startedMessage(session: SessionRecord, offsets: {stdout: number; stderr: number}): ServerMessage {
  return {
    type: 'started',
    id: session.id,
    request: session.request,
    target: session.target.name,
    environment: session.target.environment,
    correlation: session.correlation,
    ...offsets,
    banner: session.breakGlass ? banner(session.target, session.kind ?? 'shell') : [],
    expiresAt: session.expiresAt,
  }
}

/** The end frame of a session. */
export function signedEnd(
  parts: Parts,
  {id, exit, endedBy, stdoutBytes}: Pick<EndPayload, 'id' | 'exit' | 'endedBy' | 'stdoutBytes'>,
): Promise<string> {
  return endFrame(parts.keys, {id, exit, endedBy, stdoutBytes, stderrBytes: 0, iat: Math.floor(parts.store.now().getTime() / 1000)})
}

/** Takes up a live session again, within its 15 seconds or in place of another terminal; from a listed place, as it was opened. */
export async function attachSession(serving: Serving, id: string, have: {stdout: number; stderr: number}): Promise<void> {
  const {parts, set, link, caller} = serving
  const stored = await parts.store.find<SessionRecord>('session', id)
  const {iss, sub} = caller().principal
  if (!stored || stored.value.principal.iss !== iss || stored.value.principal.sub !== sub)
    throw new ProdError('SESSION_NOT_FOUND', `there is no session ${id}`, 'prod sessions ls')
  const session = stored.value
  const entry = await set.findSoon(id)
  if (entry) {
    refuseOtherPlace(serving, session, entry)
    entry.live.attach(link, have, offsets => startedMessage(session, offsets))
    return
  }
  if (session.state !== 'closed') throw new ProdError('OUTCOME_UNKNOWN', `session ${id} is not on this broker`, `prod attach ${id}`)
  link.send(startedMessage(session, {stdout: have.stdout, stderr: 0}))
  const exit = session.exit ?? {unknown: 'no end record'}
  link.sendFrame(
    frame.end,
    Buffer.from(await signedEnd(parts, {id, exit, endedBy: session.endedBy, stdoutBytes: session.stdoutBytes ?? have.stdout})),
  )
}
