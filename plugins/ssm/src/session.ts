/** Sessions as the API of Systems Manager knows them: started, resumed, ended. URL and token stay in memory (TM-X3). */
import type {Access} from '@prod/sdk'
import {AwsRefused, json, type Way} from './aws/call.ts'

/** Where one session is reached. `token` is a secret, and good for a moment. */
export interface Session {
  id: string
  streamUrl: string
  token: string
}

interface Answer {
  SessionId?: string
  StreamUrl?: string
  TokenValue?: string
}

/** Starts a session; the reason names the run or session of prod. */
export async function startSession(
  way: Way,
  {
    instanceId,
    document,
    parameters,
    access,
  }: {instanceId: string; document: string | undefined; parameters?: Record<string, string[]>; access: Access},
): Promise<Session> {
  const answer = await json<Answer>(
    'ssm',
    way,
    'StartSession',
    {
      Target: instanceId,
      ...(document === undefined ? {} : {DocumentName: document}),
      ...(parameters ? {Parameters: parameters} : {}),
      Reason: `prod ${access.id}`.slice(0, 256),
    },
    {once: true},
  )
  const {SessionId = '', StreamUrl = '', TokenValue = ''} = answer
  if (!SessionId || !StreamUrl || !TokenValue) throw new AwsRefused('ssm:StartSession', 200, 'NoSession', 'the answer holds no session')
  return {id: SessionId, streamUrl: StreamUrl, token: TokenValue}
}

/** A fresh URL and token. Undefined: the session is over. */
export async function resumeSession(way: Way, id: string): Promise<{streamUrl: string; token: string} | undefined> {
  const {StreamUrl = '', TokenValue = ''} = await json<Answer>('ssm', way, 'ResumeSession', {SessionId: id}).catch((error: unknown) => {
    if (error instanceof AwsRefused && /DoesNotExist/.test(error.code)) return {} as Answer
    throw error
  })
  return TokenValue ? {streamUrl: StreamUrl, token: TokenValue} : undefined
}

/** Ends a session for good; one that has ended is none. */
export async function terminateSession(way: Way, id: string): Promise<void> {
  await json('ssm', way, 'TerminateSession', {SessionId: id}).catch((error: unknown) => {
    if (!(error instanceof AwsRefused && /DoesNotExist/.test(error.code))) throw error
  })
}
