/**
 * The agent of a target, for one session: the handshake, the encryption, what is run or reached, and the end (sections 9 to 15).
 * What it runs it really runs, on this machine.
 */
import {createCipheriv, createDecipheriv, randomBytes} from 'node:crypto'
import {serveCommand} from './agent-command.ts'
import type {AgentSettings, Kind, Service, Voice} from './agent-parts.ts'
import {servePort} from './agent-port.ts'
import {serveTerminal} from './agent-terminal.ts'
import {decode, encode, type Frame, flag, frame, payload} from './frame.ts'
import {numbered} from './numbered.ts'
import {gates, isNewer, isOlder} from './words.ts'

/** The parts an agent needs. */
export interface AgentParts {
  sessionId: string
  kind: Kind
  settings: AgentSettings
  folder: string
  mark: string
  timeScale: number
  encryption: {keyId: string; targetId: string; open(ciphertext: Buffer, context: Record<string, string>): Buffer} | undefined
  /** towards the gateway */
  out(bytes: Buffer): void
  /** what waited unread has been read */
  onRead(): void
  /** the session is over, with a text for `channel_closed` */
  onEnd(output: string): void
}

/** The agent's side of one session. */
export interface Agent {
  start(): void
  receive(bytes: Buffer): void
  /** its link to the gateway, or the client's, is there or not */
  pause(paused: boolean): void
  readonly backlog: number
  /** ends from outside: TerminateSession, a limit */
  end(output: string): void
  stop(): void
  /** for looking at it */
  readonly seen: {clientVersion: string; form: string; resumed: number; paused: boolean}
}

/** So many messages may lie unacknowledged before it stops reading its program. The real one has room for 100 000. */
const outstanding = 4096

/** Makes the agent's side of one session. */
export function startAgent(it: AgentParts): Agent {
  const {settings, kind} = it
  const seen = {clientVersion: '', form: '', resumed: 0, paused: false}
  let service: Service | undefined
  let state: 'new' | 'handshake' | 'challenge' | 'open' | 'over' = 'new'
  let keys: {seal: Buffer; open: Buffer} | undefined
  let challenge: Buffer | undefined
  let randomChallenge = ''
  let late: NodeJS.Timeout | undefined
  let asked = 0
  const inbox: Buffer[] = []
  const room = new Set<() => void>()

  const line = numbered(
    bytes => it.out(bytes),
    message => deliver(message),
    () => {
      if (line.waiting < outstanding) for (const wake of room) wake()
    },
    settings.timesFaster,
  )
  /** No timer is as short as a rest of a faster clock: it rests for several pieces at once. */
  let rests = 0
  const rest = async (): Promise<void> => {
    rests += settings.pieceDelayMs / settings.timesFaster
    if (rests < Math.min(1, settings.pieceDelayMs)) return
    const ms = rests
    rests = 0
    await new Promise(resolve => setTimeout(resolve, ms))
  }

  const seal = (bytes: Buffer): Buffer => {
    if (!keys) return bytes
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', keys.seal, nonce)
    return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
  }
  const unseal = (bytes: Buffer): Buffer => {
    if (!keys) return bytes
    const decipher = createDecipheriv('aes-256-gcm', keys.open, bytes.subarray(0, 12)).setAuthTag(bytes.subarray(-16))
    return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()])
  }

  const isOver = (): boolean => state === 'over'

  const voice: Voice = {
    settings,
    folder: it.folder,
    mark: it.mark,
    timeScale: it.timeScale,
    clientVersion: '',
    async say(payloadType, bytes) {
      if (state === 'over' || bytes.length === 0) return
      line.send(payloadType, seal(bytes))
      if (settings.pieceDelayMs > 0) await rest()
      while (line.waiting >= outstanding && !isOver())
        await new Promise<void>(resolve => {
          const wake = (): void => {
            room.delete(wake)
            resolve()
          }
          room.add(wake)
        })
    },
    sendFlag(which) {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32BE(which)
      line.send(payload.flag, bytes)
    },
    end: (output = '') => void end(output),
    ready: () => line.ready(),
    unblock: () => drain(),
  }

  const say = (state_: string): void =>
    it.out(
      encode(frame('agent_session_state', payload.none, {SchemaVersion: 1, SessionState: state_, SessionId: it.sessionId}, {flags: 3})),
    )

  const end = async (output: string): Promise<void> => {
    if (state === 'over') return
    state = 'over'
    clearTimeout(late)
    service?.stop()
    for (const wake of room) wake()
    await line.drained(2000)
    say('Terminating')
    line.close()
    it.onEnd(output)
  }

  const serve = (): void => {
    state = 'open'
    clearTimeout(late)
    try {
      if (kind.type === 'Port') {
        const form = portForm()
        seen.form = form
        service = servePort(voice, kind.properties, form)
      } else if (kind.type === 'NonInteractiveCommands')
        service = serveCommand(voice, {...kind, separate: kind.separate && settings.knowsStatus})
      else service = serveTerminal(voice, kind)
    } catch (error) {
      void end((error as Error).message)
    }
  }

  const portForm = (): 'standard' | 'basic' | 'mux' => {
    if (kind.type !== 'Port' || kind.properties.type !== 'LocalPortForwarding') return 'standard'
    return gates(settings.version).multiplexing && !isOlder(voice.clientVersion, [1, 1, 70]) ? 'mux' : 'basic'
  }

  const requestHandshake = (): void => {
    state = 'handshake'
    asked = performance.now()
    const actions: object[] = [
      {
        ActionType: 'SessionType',
        ActionParameters: {SessionType: kind.type, Properties: kind.type === 'Port' ? kind.properties : null},
      },
    ]
    if (it.encryption) {
      if (settings.challenge !== 'none') randomChallenge = randomBytes(16).toString('base64')
      const parameters = {KMSKeyId: it.encryption.keyId, ...(randomChallenge && {Challenge: randomChallenge})}
      actions.push({ActionType: 'KMSEncryption', ActionParameters: parameters})
    }
    line.send(payload.handshakeRequest, {AgentVersion: settings.version, RequestedClientActions: actions})
    late = setTimeout(() => void end('the handshake was not answered in time'), settings.handshakeTimeoutMs)
  }

  const complete = (): void => {
    line.send(payload.handshakeComplete, {
      HandshakeTimeToComplete: Math.round((performance.now() - asked) * 1e6),
      CustomerMessage:
        settings.customerMessage ||
        (kind.type === 'NonInteractiveCommands' &&
          kind.separate &&
          !isNewer(voice.clientVersion, '1.2.295.0') &&
          'Please update session-manager-plugin to see both streams.') ||
        (it.encryption ? 'This session is encrypted using AWS KMS.' : ''),
    })
    serve()
  }

  const handshakeAnswer = (body: Buffer): void => {
    const answer = JSON.parse(body.toString()) as {
      ClientVersion: string
      ProcessedClientActions: {ActionType: string; ActionStatus: number; ActionResult: Record<string, unknown> | null; Error?: string}[]
    }
    seen.clientVersion = voice.clientVersion = answer.ClientVersion
    const wanted = it.encryption ? ['SessionType', 'KMSEncryption'] : ['SessionType']
    for (const type of wanted) {
      const action = answer.ProcessedClientActions.find(one => one.ActionType === type)
      if (action?.ActionStatus !== 1)
        return void end(`${type} failed on client with status ${action?.ActionStatus ?? 'none'} error: ${action?.Error ?? 'no answer'}`)
    }
    if (!it.encryption) {
      complete()
      return
    }
    const result = answer.ProcessedClientActions.find(one => one.ActionType === 'KMSEncryption')?.ActionResult ?? {}
    const acknowledged = result.ChallengeAcknowledgement === true
    if (settings.challenge === 'required' && !acknowledged)
      return void end('client does not support required encryption context random challenge')
    const context = {
      'aws:ssm:SessionId': it.sessionId,
      'aws:ssm:TargetId': it.encryption.targetId,
      ...(acknowledged && {'aws:ssm:RandomChallenge': randomChallenge}),
    }
    const plain = it.encryption.open(Buffer.from(String(result.KMSCipherTextKey), 'base64'), context)
    keys = {seal: plain.subarray(0, 32), open: plain.subarray(32, 64)}
    challenge = randomBytes(64)
    state = 'challenge'
    line.send(payload.challengeRequest, {Challenge: seal(challenge).toString('base64')})
  }

  const challengeAnswer = (body: Buffer): void => {
    const {Challenge} = JSON.parse(body.toString()) as {Challenge: string}
    if (!challenge || !unseal(Buffer.from(Challenge, 'base64')).equals(challenge)) throw new Error('the challenge was not met')
    complete()
  }

  const fail = (error: unknown): void => void end(`the agent could not go on: ${(error as Error).message}`)
  /** What is answered is acknowledged before it is answered. */
  const afterwards = (what: () => unknown): void =>
    queueMicrotask(() => {
      try {
        if (!isOver()) what()
      } catch (error) {
        fail(error)
      }
    })

  const deliver = (message: Frame): boolean => {
    try {
      switch (message.payloadType) {
        case payload.handshakeResponse:
          afterwards(() => state === 'handshake' && handshakeAnswer(message.payload))
          return true
        case payload.challengeResponse:
          afterwards(() => state === 'challenge' && challengeAnswer(message.payload))
          return true
        case payload.size:
          service?.size?.(JSON.parse(message.payload.toString()) as {cols: number; rows: number})
          return true
        case payload.flag: {
          const which = message.payload.length === 4 ? message.payload.readUInt32BE() : 0
          if (which === flag.terminateSession) {
            if (gates(settings.version).terminateSessionFlag) void end('')
          } else service?.flag?.(which)
          return true
        }
        case payload.output:
          // before the handshake is complete it is acknowledged and thrown away
          if (state !== 'open' || !service) return true
          return service.input(unseal(message.payload))
        default:
          return true
      }
    } catch (error) {
      fail(error)
      return true
    }
  }

  const receive = (bytes: Buffer): void => {
    const message = decode(bytes, false)
    if (typeof message !== 'string' && state !== 'over') line.take(message)
    else if (typeof message !== 'string' && message.messageType === 'acknowledge') line.take(message)
  }
  const drain = (): void => {
    while (inbox.length > 0 && !service?.full) receive(inbox.shift() as Buffer)
    if (inbox.length === 0) it.onRead()
  }

  return {
    start() {
      say('Connected')
      const needed = kind.type === 'Port' || kind.type === 'NonInteractiveCommands' || it.encryption !== undefined
      if (!needed) return serve()
      if (settings.handshakeDelayMs === 0) requestHandshake()
      else late = setTimeout(requestHandshake, settings.handshakeDelayMs)
    },
    receive(bytes) {
      if (inbox.length > 0 || service?.full) inbox.push(bytes)
      else receive(bytes)
    },
    pause(paused) {
      if (!paused) seen.resumed += 1
      seen.paused = paused
      line.pause(paused)
    },
    get backlog() {
      return inbox.length
    },
    end: output => void end(output),
    stop() {
      if (state === 'over') return line.close()
      state = 'over'
      clearTimeout(late)
      service?.stop()
      for (const wake of room) wake()
      line.close()
    },
    seen,
  }
}
