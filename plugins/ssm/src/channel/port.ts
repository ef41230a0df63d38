/** Port sessions in their three forms, §13. */
import type {Channel, Exit} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {isNewer, whatAgentCan} from './agent-version.ts'
import {openBasic} from './basic.ts'
import type {Form, Way} from './form.ts'
import type {Greeting} from './handshake.ts'
import {createMux} from './mux.ts'
import {startSession} from './session.ts'
import {notBegun} from './shell.ts'
import type {SmuxVersion} from './smux.ts'
import {openStandard} from './standard.ts'
import {type ChannelOptions, clientVersion as ourVersion, type Session, type SessionEnd, type View} from './view.ts'
import {createWords} from './words.ts'

export type PortForm = 'multiplexed' | 'basic' | 'standard'

/** A session to one port. */
export interface PortSession {
  /** what the agent speaks: many connections, one after another, or one alone */
  readonly form: PortForm
  readonly greeting: Greeting
  /**
   * One connection to the port. In the basic form it waits until the one before has ended; in the standard form there is only one.
   * Its `stdin` may end before its `stdout`: the end is held back until the local side ends altogether (`end()`), since the agent
   * would take it for the end of both directions. `ended` is `{status: 0}` at an orderly close. Of the connections that are open, one
   * hears what the session says. Throws TARGET_UNREACHABLE.
   */
  connect(): Promise<Channel>
  /** Ends the session and all its connections. */
  end(why: string): Promise<Exit>
  /** `{status: 0}` by us, or by a word of the service without a cause */
  readonly ended: Promise<Exit>
  readonly counts: Session['counts']
}

/** Options of a port session. */
export interface PortOptions extends ChannelOptions {
  /** 1, unless the agent is known to speak 2: it is not negotiated, §14.1 */
  smuxVersion?: SmuxVersion
}

/** Opens a port session. Resolves when the agent is ready for connections. Throws TARGET_UNREACHABLE where it ended before it began. */
export async function openPort(options: PortOptions): Promise<PortSession> {
  const {clientVersion = ourVersion, smuxVersion = 1} = options
  let session: Session | undefined
  let form: Form | undefined
  let beats: NodeJS.Timeout | undefined
  const began = Promise.withResolvers<Greeting>()
  const ended = Promise.withResolvers<Exit>()
  began.promise.catch(() => {})
  const words = createWords(options.tell)
  const can = (greeting: Greeting) => whatAgentCan(greeting.agentVersion)
  let hasTerminateFlag = false
  const end = async (why: string): Promise<Exit> => {
    await session?.end(why, hasTerminateFlag)
    return ended.promise
  }
  let kind: PortForm = 'standard'
  const view: View = {
    expected: ['Port'],
    greets: true,
    joins: true,
    take: (into, at, length) => form?.take(into, at, length) ?? 0,
    output: bytes => form?.output(bytes),
    stderr: () => {},
    exitCode: () => {},
    flag(number) {
      if (number !== 3) return
      session?.tell('the target refused the connection to the port')
      form?.refused()
    },
    ready(greeting) {
      if (!greeting) return
      hasTerminateFlag = can(greeting).terminateFlag
      kind = formOf(greeting, clientVersion)
      const way: Way = {
        wake: () => session?.wake(),
        hold: (on: boolean) => session?.hold(on),
        sendFlag: async (number: number) => session?.sendFlag(number),
        end,
        get settleMs() {
          return session?.timings.settleMs ?? 0
        },
      }
      if (kind === 'standard') form = openStandard(way)
      else if (kind === 'basic') form = openBasic(way)
      else {
        const mux = createMux(smuxVersion, way.wake, way.hold)
        form = {
          take: mux.take,
          output(bytes) {
            const broken = mux.receive(bytes)
            if (broken !== undefined) session?.fail(`the agent's connections cannot be read: ${broken}`)
          },
          connect: async () => mux.open(),
          refused: mux.refused,
          over: mux.over,
          keepAlive: mux.keepAlive,
        }
      }
      // both sides must agree on it, and each decides by the other's version, §14.3
      const agentBeats = !can(greeting).quietSmux || !isNewer(`${clientVersion}`, '1.2.331.0')
      if (kind === 'multiplexed' && agentBeats)
        beats = setInterval(() => session?.isUp && form?.keepAlive?.(), session?.timings.smuxKeepAliveMs ?? 10_000)
      began.resolve(greeting)
    },
    over(by) {
      clearInterval(beats)
      began.reject(notBegun(by))
      const exit = exitOf(by)
      form?.over(exit)
      ended.resolve(exit)
    },
  }
  session = await startSession({...options, tell: words.tell}, view)
  const opened = session
  const greeting = await began.promise
  return {
    form: kind,
    greeting,
    async connect() {
      if (!form) throw new ProdError('TARGET_UNREACHABLE', 'the session has ended', 'prod doctor')
      const channel = await form.connect()
      return Object.assign(channel, {
        listen(hear: (text: string) => void) {
          void channel.ended.then(words.listen(hear))
        },
      })
    },
    end,
    ended: ended.promise,
    get counts() {
      return opened.counts
    },
  }
}

/** Which form both sides take, each by itself, §9.3 and §13. Pure. */
export function formOf({properties, agentVersion}: Greeting, clientVersion: string): PortForm {
  if (properties.type !== 'LocalPortForwarding') return 'standard'
  return whatAgentCan(agentVersion).multiplexing && !isNewer('1.1.70', clientVersion.split('.').slice(0, 3).join('.'))
    ? 'multiplexed'
    : 'basic'
}

function exitOf(end: SessionEnd): Exit {
  if (end.kind === 'lost') return {unknown: end.why}
  return end.kind === 'ended' || end.output === '' ? {status: 0} : {unknown: end.output}
}
