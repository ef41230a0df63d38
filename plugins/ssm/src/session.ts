/** Sessions as the API of Systems Manager knows them: started, resumed, ended. URL and token stay in memory (TM-X3). */
import {setTimeout as wait} from 'node:timers/promises'
import type {Access} from '@prod/sdk'
import {AwsRefused, endpointOf, json, type Way} from './aws/call.ts'
import {signUpgrade} from './channel/sign.ts'
import type {ChannelOptions} from './channel/view.ts'

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

/** What one session is started with. */
export interface SessionOptions {
  way: Way
  region: string
  instanceId: string
  /** undefined: the account's preferences */
  document: string | undefined
  parameters?: Record<string, string[]>
  access: Access
  signal: AbortSignal
}

/** how long ending a session is tried, where nobody waits for it any more (TM-X4) */
const endingMs = 60_000

/** Starts a session, and gives what its data channel is opened with. Throws {@link AwsRefused}. */
export async function openSession({
  way,
  region,
  instanceId,
  document,
  parameters,
  access,
  signal,
}: SessionOptions): Promise<ChannelOptions> {
  const session = await startSession(way, {instanceId, document, ...(parameters ? {parameters} : {}), access})
  return channelOf(session, {way, region, targetId: instanceId, signal})
}

/** What the data channel of a session is opened with, whoever started that. */
export function channelOf(
  session: Session,
  {way, region, targetId, signal}: {way: Way; region: string; targetId: string; signal: AbortSignal},
): ChannelOptions {
  const {id} = session
  return {
    streamUrl: session.streamUrl,
    token: session.token,
    sessionId: id,
    targetId,
    sign: async streamUrl => signUpgrade(streamUrl, region, await way.keys(), new Date()),
    renew: async () => resumeSession(way, id),
    terminate: async bound => {
      const over = AbortSignal.timeout(endingMs)
      const tried = terminateSession(way, id).catch(() => terminateLater(way, id, over))
      noteEnding(way.use, tried)
      await Promise.race([tried, new Promise<void>(resolve => bound.addEventListener('abort', () => resolve(), {once: true}))])
    },
    allowed: {region, hosts: configuredHosts(region, session.streamUrl)},
    kms: {
      generate: async ({keyId, context, signal: until}) => {
        const [, , , keyRegion = region] = keyId.split(':')
        const {Plaintext = '', CiphertextBlob = ''} = await json<{Plaintext?: string; CiphertextBlob?: string}>(
          'kms',
          {...way, region: /^[a-z]{2}(?:-[a-z]+)+-\d$/.test(keyRegion) ? keyRegion : region, signal: until},
          'GenerateDataKey',
          {KeyId: keyId, NumberOfBytes: 64, EncryptionContext: context},
        )
        return {plaintext: Buffer.from(Plaintext, 'base64'), ciphertext: Buffer.from(CiphertextBlob, 'base64')}
      },
    },
    signal,
  }
}

/** sessions that are being ended, by the use whose credential does it */
const endings = new Map<string, Set<Promise<void>>>()

function noteEnding(use: string, tried: Promise<void>): void {
  const all = endings.get(use) ?? new Set()
  endings.set(use, all.add(tried))
  void tried.finally(() => {
    all.delete(tried)
    if (all.size === 0 && endings.get(use) === all) endings.delete(use)
  })
}

/** Resolves once no session of a use is being ended any more: so long its credential is needed (TM-X4). */
export async function sessionsEnded(use: string): Promise<void> {
  await Promise.all([...(endings.get(use) ?? [])])
}

/** The far side did not hear it: again, until it does or the time is over. */
async function terminateLater(way: Way, id: string, over: AbortSignal): Promise<void> {
  for (let pauseMs = 500; !over.aborted; pauseMs = Math.min(pauseMs * 2, 8000)) {
    const isOver = await terminateSession(way, id).then(
      () => true,
      (error: unknown) => error instanceof AwsRefused && (error.denied || error.expired),
    )
    if (isOver) return
    await wait(pauseMs, undefined, {ref: false})
  }
}

/** Hosts of streams that an operator named; where Systems Manager itself was moved to this machine, its streams may be there too. */
function configuredHosts(region: string, streamUrl: string): string[] {
  const named = process.env.AWS_ENDPOINT_URL_SSMMESSAGES
  const isHere = (url: string | undefined): boolean => ['127.0.0.1', '[::1]', 'localhost'].includes(URL.parse(url ?? '')?.hostname ?? '')
  return [
    ...(named ? [new URL(named).host] : []),
    ...(isHere(endpointOf('ssm', region)) && isHere(streamUrl) ? [new URL(streamUrl).host] : []),
  ]
}
