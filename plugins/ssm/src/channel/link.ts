/** The way to the agent over many connections: a cut is not the end of a session, §16. */
import {randomUUID} from 'node:crypto'
import type {Agent} from 'node:http'
import {setTimeout as wait} from 'node:timers/promises'
import {type ErrorCode, ProdError} from '@prod/sdk/errors'
import {type Connection, connect, NoConnection} from './connection.ts'
import {type AllowedHosts, checkStreamUrl} from './stream-url.ts'
import type {Timings} from './timings.ts'

/** What opens a session's stream: both are credentials, and live for minutes. */
export interface StreamAccess {
  streamUrl: string
  token: string
}

/** What a link needs. */
export interface LinkOptions extends StreamAccess {
  sessionId: string
  /** the headers of one upgrade, by the credential as it is now: see signUpgrade */
  sign(streamUrl: string): Promise<Record<string, string>> | Record<string, string>
  /**
   * ResumeSession, by the credential as it is now, at the endpoint of Systems Manager. No token: the session is over. What it rejects
   * with ends the session where it is a definite no (DoesNotExistException; REVOKED, DENIED and their like; AccessDenied twice).
   */
  renew(signal: AbortSignal): Promise<{streamUrl?: string | undefined; token?: string | undefined} | undefined>
  allowed?: AllowedHosts
  clientVersion: string
  agent?: Agent
  timings: Timings
  onFrame(bytes: Buffer): void
  onUp(): void
  onDown(): void
  /** it will not come back */
  onOver(why: ProdError): void
  /** words for a person */
  tell(text: string): void
}

/** The way to the agent. */
export interface Link {
  /** Resolves when the first connection stands. Throws TARGET_UNREACHABLE. */
  open(): Promise<void>
  send(frame: Buffer): boolean
  backlog(): number
  hold(on: boolean): void
  close(): void
  readonly isUp: boolean
  readonly connections: number
}

/** A no that another try will not change. */
class Definite extends Error {
  readonly error: ProdError
  constructor(error: ProdError) {
    super(error.message)
    this.error = error
  }
}

const hint = 'prod doctor'
const final: readonly ErrorCode[] = [
  'REVOKED',
  'DENIED',
  'ENDED_BY_LIMIT',
  'NOT_LOGGED_IN',
  'LOGIN_EXPIRED',
  'TOKEN_INVALID',
  'CONFIG_INVALID',
]

export function createLink(options: LinkOptions): Link {
  const {timings, sessionId, tell} = options
  const closing = new AbortController()
  const clientId = randomUUID()
  let access: StreamAccess | undefined = {streamUrl: options.streamUrl, token: options.token}
  let lastUrl = options.streamUrl
  let connection: Connection | undefined
  let isHeld = false
  let connections = 0
  /** consecutive answers that the caller may not */
  let refusals = 0
  let isUseful = false

  /** Connects once: with what StartSession gave, then with what ResumeSession gives. */
  const connectOnce = async (): Promise<Connection> => {
    const {streamUrl, token} = access ?? (await renew())
    // a refused upgrade spends nothing: what it was made with is tried once more, signed anew, before it is replaced
    access = refusals % 2 === 0 ? {streamUrl, token} : undefined
    let url: URL
    try {
      url = checkStreamUrl(streamUrl, options.allowed ?? {})
    } catch (error) {
      throw new Definite(error as ProdError)
    }
    lastUrl = streamUrl
    const headers = await within(timings.upgradeMs, closing.signal, () => options.sign(streamUrl)).catch((error: unknown) => {
      if (connections > 0) throw error
      throw new Definite(
        error instanceof ProdError ? error : new ProdError('TARGET_UNREACHABLE', "the session's stream could not be signed for", hint),
      )
    })
    return connect({
      url,
      streamUrl,
      headers,
      token,
      clientId,
      clientVersion: options.clientVersion,
      ...(options.agent ? {agent: options.agent} : {}),
      timings,
      signal: closing.signal,
      onFrame: bytes => {
        isUseful = true
        options.onFrame(bytes)
      },
      onOpen(next) {
        connection = next
        connections++
        access = undefined
        isUseful = false
        refusals = 0
        if (isHeld) next.hold(true)
        options.onUp()
      },
    })
  }

  const renew = async (): Promise<StreamAccess> => {
    const next = await within(timings.upgradeMs, closing.signal, signal => options.renew(signal))
    if (!next?.token) throw new Definite(new ProdError('LINK_LOST', `session ${sessionId} is over: it timed out, or was ended`, hint))
    // its cell-number is new, and the old one runs out
    return {streamUrl: next.streamUrl || lastUrl, token: next.token}
  }

  /** Throws where no other try is worth it. */
  const judge = (error: unknown) => {
    if (error instanceof Definite) throw error.error
    const {name, code, status} = error as {name?: unknown; code?: unknown; status?: unknown}
    if (error instanceof ProdError && final.includes(error.code)) throw error
    if (/DoesNotExist/.test(`${name} ${code}`)) throw new ProdError('LINK_LOST', `session ${sessionId} does not exist any more`, hint)
    const isUpgrade = error instanceof NoConnection
    const isRefused = (isUpgrade && (status === 401 || status === 403)) || /AccessDenied|NotAuthorized/.test(`${name} ${code}`)
    refusals = isRefused ? refusals + 1 : 0
    if (!isRefused) access = undefined
    // the credential may have been renewed meanwhile, or the URL be stale
    if (refusals > (isUpgrade ? 3 : 1)) {
      const action = isUpgrade ? 'ssmmessages:OpenDataChannel' : 'ssm:ResumeSession'
      throw new ProdError('TARGET_UNREACHABLE', `AWS refused ${action} on session/${sessionId}`, hint)
    }
  }

  /** Tries until a connection stands, or the patience is at its end. */
  const connectPatiently = async (patienceMs: number): Promise<Connection> => {
    const from = Date.now()
    for (let attempt = 0; ; attempt++) {
      try {
        return await connectOnce()
      } catch (error) {
        closing.signal.throwIfAborted()
        judge(error)
        const pauseMs = Math.min(timings.lastPauseMs, timings.firstPauseMs * 2 ** Math.min(attempt, 30)) * (0.5 + Math.random() / 2)
        if (Date.now() - from + pauseMs > patienceMs) {
          const why = error instanceof NoConnection || error instanceof ProdError ? error.message : 'the session cannot be resumed'
          throw new ProdError(connections === 0 ? 'TARGET_UNREACHABLE' : 'LINK_LOST', why, hint)
        }
        await wait(pauseMs, undefined, {signal: closing.signal})
      }
    }
  }

  const keep = async (first: Connection) => {
    let current = first
    let spentMs = 0
    for (;;) {
      const upAt = Date.now()
      await current.gone
      connection = undefined
      if (closing.signal.aborted) return
      options.onDown()
      const downAt = Date.now()
      if (downAt - upAt >= timings.standingMs) spentMs = 0
      let isTold = false
      const told = setTimeout(() => {
        isTold = true
        tell('connection lost, resuming…')
      }, timings.tellMs)
      try {
        // a service that cuts at once, and again and again, is not asked without a pause
        if (!isUseful) await wait(timings.firstPauseMs, undefined, {signal: closing.signal})
        current = await connectPatiently(timings.patienceMs - spentMs)
      } finally {
        clearTimeout(told)
      }
      spentMs += Date.now() - downAt
      if (isTold) tell('connection resumed')
    }
  }

  return {
    async open() {
      const first = await connectPatiently(timings.openMs)
      keep(first).catch((error: unknown) => {
        if (closing.signal.aborted) return
        options.onOver(error instanceof ProdError ? error : new ProdError('LINK_LOST', "the session's stream is lost", hint))
      })
    },
    send: frame => connection?.send(frame) ?? false,
    backlog: () => connection?.backlog() ?? 0,
    hold(on) {
      if (isHeld === on) return
      isHeld = on
      connection?.hold(on)
    },
    close() {
      closing.abort()
      connection?.close()
    },
    get isUp() {
      return connection !== undefined
    },
    get connections() {
      return connections
    },
  }
}

/** What `ask` gives, or a failure when it takes longer, or is not wanted any more. */
async function within<T>(ms: number, signal: AbortSignal, ask: (signal: AbortSignal) => Promise<T> | T): Promise<T> {
  const bound = AbortSignal.any([signal, AbortSignal.timeout(ms)])
  const over = new Promise<never>((_, reject) =>
    bound.addEventListener('abort', () => reject(new NoConnection('AWS did not answer in time')), {once: true}),
  )
  return Promise.race([ask(bound), over])
}
