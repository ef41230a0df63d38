/**
 * The message gateway: it knows tokens and addresses of data channels, brings a client and the agent of a target together, passes
 * frames on as the faults let them through, and adds the few of its own (sections 2, 4, 8 and 16).
 */
import {randomBytes, randomUUID} from 'node:crypto'
import type {Duplex} from 'node:stream'
import type {WebSocket} from 'ws'
import {type Agent, type AgentSettings, type Kind, startAgent} from './agent.ts'
import {type Faults, rubbish, troubled} from './faults.ts'
import {encode, frame, payload} from './frame.ts'
import {chance} from './random.ts'
import type {Identity} from './world.ts'

/** What happens to a channel besides what its two ends do. Times are milliseconds of the stand-in's clock. */
export interface Trouble {
  seed?: number
  /** frames from client to agent */
  up?: Faults
  /** frames from agent to client */
  down?: Faults
  /** the client's socket is cut so often, without a word */
  cutClientEveryMs?: number
  /** the client's socket is closed so often, with 1000 and "Bye" */
  byeEveryMs?: number
  /** the agent's socket is cut so often, and comes back after `agentAwayMs` */
  cutAgentEveryMs?: number
  agentAwayMs?: number
  /** pause_publication is sent so often, and start_publication after `pauseMs`, or never where that is 0 */
  pauseEveryMs?: number
  pauseMs?: number
  /** so many first upgrades of each address are answered 403: the address is stale before its time */
  staleUpgrades?: number
  /** the client's socket is kept open and nothing is read or answered any more, not even pings, from so many milliseconds on */
  deafAfterMs?: number
  /** `channel_closed` never comes */
  losesClosing?: boolean
}

/** How long things last, in milliseconds of the stand-in's clock; 0 for without end. */
export interface Limits {
  idleMs: number
  maxMs: number
  /** how long a token may be used after it was given out */
  tokenMs: number
}

/** One session, as the service knows it. */
export interface Session {
  readonly id: string
  readonly region: string
  readonly owner: Identity
  readonly ownerUserId: string
  readonly target: string
  readonly documentName: string
  readonly reason: string
  readonly startedAt: number
  state: 'Connected' | 'Connecting' | 'Disconnected' | 'Terminated' | 'Terminating' | 'Failed'
  endedAt: number | undefined
  output: string
  readonly agent: Agent
  /** how often a client connected, and frames that passed */
  readonly counts: {connections: number; resumed: number; up: number; down: number}
  /** cuts a socket now */
  cut(side: 'client' | 'agent'): void
  pause(side: 'client' | 'agent'): void
  start(side: 'client' | 'agent'): void
  /** sends these bytes to the client, as they are */
  inject(bytes: Buffer): void
  end(output?: string): void
}

interface Held extends Session {
  token: string
  tokenFrom: number
  cell: string
  stale: number
  connect(socket: WebSocket, wire: Duplex): void
}

export interface GatewayOptions {
  trouble: Trouble
  limits: Limits
  timeScale: number
  now(): number
  webSocketUrl(): string
  /** what the marks of all that agents start begin with */
  mark: string
}

export interface NewSession {
  region: string
  owner: Identity
  target: string
  documentName: string
  reason: string
  idPrefix?: string
  kind: Kind
  settings: AgentSettings
  folder: string
  limits?: Partial<Limits>
  encryption: {keyId: string; targetId: string; open(ciphertext: Buffer, context: Record<string, string>): Buffer} | undefined
}

export interface Gateway {
  readonly sessions: Map<string, Session>
  open(it: NewSession): Session
  /** A fresh address and token; undefined when the session is over. */
  renew(id: string): {streamUrl: string; token: string} | undefined
  /** Whether an address is one that a client may connect to now. */
  admits(id: string, cell: string): boolean
  /** A client's socket, which has yet to show its token. */
  accept(id: string, socket: WebSocket, wire: Duplex): void
  stop(): void
}

/** So many frames may wait for the agent before the client's socket is no longer read. */
const backlogLimit = 1024

/** Makes a gateway. */
export function startGateway({trouble, limits, timeScale, now, webSocketUrl, mark}: GatewayOptions): Gateway {
  const sessions = new Map<string, Held>()
  let made = 0
  const scaled = (ms: number): number => ms / timeScale
  const cellNumber = (): string =>
    `AAEAA${randomBytes(34).toString('base64').slice(0, 24)}+/${randomBytes(15).toString('base64').slice(0, 20)}==`

  const open = (wanted: NewSession): Session => {
    const id = `${wanted.idPrefix ?? `${wanted.owner.name}-`}${randomBytes(9).toString('hex').slice(1)}`
    const seed = (trouble.seed ?? 1) * 1000 + made++ * 10
    const own = {...limits, ...wanted.limits}
    let client: WebSocket | undefined
    let wire: Duplex | undefined
    let corked = false
    let agentThere = false
    let clientPaused = false
    let activeAt = now()
    const timers = new Set<NodeJS.Timeout>()
    const draw = chance(seed + 7)

    const toClientRaw = (bytes: Buffer): void => {
      if (client?.readyState !== 1) return
      // what is sent in one turn leaves in one write
      if (!corked && wire) {
        const mine = wire
        corked = true
        mine.cork()
        process.nextTick(() => {
          corked = false
          mine.uncork()
        })
      }
      client.send(bytes)
    }
    const own_ = (messageType: string, body: Buffer | object = Buffer.alloc(0)): Buffer => encode(frame(messageType, payload.none, body))
    const down = troubled(trouble.down ?? {}, seed + 1, 'client', bytes => {
      it.counts.down += 1
      toClientRaw(bytes)
    })
    const up = troubled(trouble.up ?? {}, seed + 2, 'agent', bytes => {
      if (!agentThere) return
      it.counts.up += 1
      agent.receive(bytes)
      if (agent.backlog > backlogLimit) client?.pause()
    })
    const every = (ms: number | undefined, what: () => void): void => {
      if (ms) timers.add(setInterval(what, scaled(ms)))
    }
    const after = (ms: number, what: () => void): void => {
      const timer = setTimeout(() => {
        timers.delete(timer)
        what()
      }, ms)
      timers.add(timer)
    }

    /** What passes counts as use when it is data of either end. */
    const isData = (bytes: Buffer): boolean => bytes[4] === 0x69 || bytes[4] === 0x6f
    const fromAgent = (bytes: Buffer): void => {
      if (bytes.toString('latin1', 4, 23) === 'agent_session_state') {
        if (bytes.includes('Terminating')) {
          it.state = 'Terminating'
          toClientRaw(own_('pause_publication'))
        }
        return
      }
      if (!agentThere) return
      if (isData(bytes)) activeAt = now()
      down.pass(bytes)
    }
    const fromClient = (bytes: Buffer): void => {
      if (isData(bytes)) activeAt = now()
      up.pass(bytes)
    }

    const agent = startAgent({
      sessionId: id,
      kind: wanted.kind,
      settings: wanted.settings,
      folder: wanted.folder,
      mark: `${mark}/${id}`,
      timeScale,
      encryption: wanted.encryption,
      out: fromAgent,
      onRead: () => client?.resume(),
      onEnd: output => finish(output),
    })

    const closing = (): Buffer =>
      own_('channel_closed', {
        MessageId: randomUUID(),
        CreatedDate: new Date(now()).toISOString().replace(/\.\d+/, ''),
        DestinationId: wanted.target,
        SessionId: id,
        MessageType: 'channel_closed',
        SchemaVersion: 1,
        Output: it.output,
      })
    const finish = (output: string): void => {
      if (it.endedAt !== undefined) return
      it.state = 'Terminated'
      it.endedAt = now()
      it.output = output && `\n----------ERROR-------\n${output}`
      for (const timer of timers) clearTimeout(timer)
      down.stop()
      up.stop()
      agent.stop()
      if (client && !trouble.losesClosing) sayClosed(client)
    }
    const sayClosed = (socket: WebSocket): void => {
      socket.resume()
      socket.send(closing(), () => setTimeout(() => socket.close(1000), 1000).unref())
    }

    const wakeAgent = (): void => {
      if (it.endedAt !== undefined) return
      agentThere = true
      if (it.state === 'Connecting') {
        it.state = 'Connected'
        if (client) toClientRaw(own_('start_publication'))
        agent.start()
      } else {
        agent.pause(client === undefined)
        toClientRaw(own_('start_publication'))
      }
    }
    const loseAgent = (): void => {
      if (!agentThere || it.endedAt !== undefined) return
      agentThere = false
      agent.pause(true)
      toClientRaw(own_('pause_publication'))
      after(scaled(trouble.agentAwayMs ?? 100), wakeAgent)
    }
    const loseClient = (socket: WebSocket): void => {
      if (client !== socket) return
      client = undefined
      if (it.endedAt === undefined) agent.pause(true)
    }

    const it: Held = {
      id,
      region: wanted.region,
      owner: wanted.owner,
      ownerUserId: wanted.owner.userId,
      target: wanted.target,
      documentName: wanted.documentName,
      reason: wanted.reason,
      startedAt: now(),
      state: 'Connecting',
      endedAt: undefined,
      output: '',
      agent,
      counts: {connections: 0, resumed: 0, up: 0, down: 0},
      token: randomBytes(48).toString('base64'),
      tokenFrom: now(),
      cell: cellNumber(),
      stale: trouble.staleUpgrades ?? 0,
      cut(side) {
        if (side === 'agent') loseAgent()
        else client?.terminate()
      },
      pause(side) {
        if (side === 'agent') agent.pause(true)
        else {
          clientPaused = true
          toClientRaw(own_('pause_publication'))
        }
      },
      start(side) {
        if (side === 'agent') agent.pause(false)
        else {
          clientPaused = false
          toClientRaw(own_('start_publication'))
        }
      },
      inject: toClientRaw,
      end: output => agent.end(output ?? ''),
      connect(socket, wire_) {
        client?.terminate()
        client = socket
        wire = wire_
        it.counts.connections += 1
        socket.on('message', (data: Buffer) => {
          if (client === socket) fromClient(data)
        })
        socket.on('close', () => loseClient(socket))
        socket.on('error', () => {})
        if (it.endedAt !== undefined) return sayClosed(socket)
        activeAt = now()
        if (it.state === 'Connecting') wakeAgent()
        else if (agentThere) {
          toClientRaw(own_('start_publication'))
          agent.pause(false)
        }
        if (trouble.deafAfterMs !== undefined && it.counts.connections === 1)
          after(scaled(trouble.deafAfterMs), () => {
            if (client !== socket) return
            loseClient(socket)
            socket.pause()
          })
      },
    }

    every(trouble.cutClientEveryMs, () => client?.terminate())
    every(trouble.byeEveryMs, () => client?.close(1000, 'Bye'))
    every(trouble.cutAgentEveryMs, loseAgent)
    every(trouble.pauseEveryMs, () => {
      it.pause('client')
      if (trouble.pauseMs) after(scaled(trouble.pauseMs), () => clientPaused && it.start('client'))
    })
    if (own.idleMs > 0)
      every(Math.max(own.idleMs / 20, 50 * timeScale), () => {
        if (now() - activeAt >= own.idleMs) agent.end('the session was idle for too long')
      })
    if (own.maxMs > 0) after(scaled(own.maxMs), () => agent.end('the session has reached its longest duration'))
    if ((trouble.down?.malformed ?? 0) > 0)
      every(1000, () => toClientRaw(rubbish(own_('output_stream_data', Buffer.from('x')), draw, 'client')))
    sessions.set(id, it)
    return it
  }

  const address = (it: Held): string => `${webSocketUrl()}/v1/data-channel/${it.id}?role=publish_subscribe&cell-number=${it.cell}`

  return {
    sessions,
    open,
    renew(id) {
      const it = sessions.get(id)
      if (!it || it.endedAt !== undefined) return undefined
      if (it.counts.connections > 0) {
        it.cell = cellNumber()
        it.counts.resumed += 1
        it.stale = trouble.staleUpgrades ?? 0
      }
      it.token = randomBytes(48).toString('base64')
      it.tokenFrom = now()
      return {streamUrl: address(it), token: it.token}
    },
    admits(id, cell) {
      const it = sessions.get(id)
      if (!it || it.cell.replaceAll('+', ' ') !== cell.replaceAll('+', ' ')) return false
      it.stale -= 1
      return it.stale < 0
    },
    accept(id, socket, wire) {
      const it = sessions.get(id) as Held
      const late = setTimeout(() => socket.close(1008, 'no token'), 10_000)
      socket.on('error', () => {})
      socket.once('close', () => clearTimeout(late))
      socket.once('message', (data: Buffer, isBinary) => {
        clearTimeout(late)
        const fault = isBinary ? 'the token message is text' : tokenFault(data.toString(), it, now(), limits.tokenMs)
        if (fault) socket.close(1008, fault)
        else it.connect(socket, wire)
      })
    },
    stop() {
      for (const it of sessions.values()) {
        it.agent.stop()
        it.cut('client')
      }
    },
  }
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** What is wrong with a token message (section 2.4); the token may be used once. */
function tokenFault(text: string, it: {token: string; tokenFrom: number}, now: number, tokenMs: number): string | undefined {
  let message: Record<string, unknown>
  try {
    message = JSON.parse(text) as Record<string, unknown>
  } catch {
    return 'the token message is not JSON'
  }
  if (message.MessageSchemaVersion !== '1.0') return 'MessageSchemaVersion is not 1.0'
  for (const name of ['RequestId', 'ClientId']) if (!uuid.test(String(message[name]))) return `${name} is not a UUID`
  if (!/^\d+(\.\d+)+$/.test(String(message.ClientVersion))) return 'ClientVersion is missing'
  if (it.token === '' || message.TokenValue !== it.token) return 'the token is not valid'
  if (tokenMs > 0 && now - it.tokenFrom > tokenMs) return 'the token has expired'
  it.token = ''
  return undefined
}
