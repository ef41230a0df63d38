/**
 * The message gateway: it knows tokens and addresses of data channels, brings a client and the agent of a target together, passes
 * frames on as the faults let them through, and adds the few of its own (sections 2, 4, 8 and 16).
 */
import {randomBytes, randomUUID} from 'node:crypto'
import type {Duplex} from 'node:stream'
import type {WebSocket} from 'ws'
import {type Agent, startAgent} from './agent.ts'
import type {AgentSettings, Kind} from './agent-parts.ts'
import {rubbish, troubled} from './faults.ts'
import {encode, frame, payload} from './frame.ts'
import {chance} from './random.ts'
import {tokenFault} from './token.ts'
import type {Limits, Trouble} from './trouble.ts'
import type {Identity} from './world.ts'

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
  /** every token and every secret part of an address that was given out */
  readonly given: string[]
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
  const given: string[] = []
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

    let sinceCut = 0
    /** What passes counts as use when it is data of either end. */
    const isData = (bytes: Buffer): boolean => bytes[4] === 0x69 || bytes[4] === 0x6f
    const passed = (bytes: Buffer): void => {
      if (!isData(bytes)) return
      activeAt = now()
      sinceCut += bytes.length
      if (!trouble.cutClientEveryBytes || sinceCut < trouble.cutClientEveryBytes) return
      sinceCut = 0
      client?.terminate()
    }
    const fromAgent = (bytes: Buffer): void => {
      if (bytes.toString('latin1', 4, 23) === 'agent_session_state') {
        if (bytes.includes('Terminating')) {
          it.state = 'Terminating'
          toClientRaw(own_('pause_publication'))
        }
        return
      }
      if (!agentThere) return
      passed(bytes)
      down.pass(bytes)
    }
    const fromClient = (bytes: Buffer): void => {
      passed(bytes)
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
    given,
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
      given.push(it.token, it.cell)
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
