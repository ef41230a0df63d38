/** One session over its link: the beginning, the order of messages, encryption, the end. What the bytes mean is a view's business. */
import type {TerminalSize} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {acknowledgedNumber, decodeFrame, encodeAcknowledgement, flags, headerBytes, parseObject, payloadTypes, pieceBytes} from './frame.ts'
import {answerChallenge, answerHandshake, type Greeting} from './handshake.ts'
import {createIncoming} from './incoming.ts'
import {createLink} from './link.ts'
import {createOutgoing, emptyFrame} from './outgoing.ts'
import {createReplay} from './replay.ts'
import type {Seal} from './seal.ts'
import {createSilence} from './silence.ts'
import {bounds, timings as defaults, type Timings} from './timings.ts'
import {type ChannelOptions, clientVersion, type Session, type SessionEnd, type View} from './view.ts'

/** Starts a session on its stream. Resolves when the first connection stands. Throws TARGET_UNREACHABLE. */
export async function startSession(options: ChannelOptions, view: View): Promise<Session> {
  const timings: Timings = {...defaults, ...options.timings}
  const {signal, tell = () => {}} = options
  const closing = new AbortController()
  const mustGreet = view.greets || options.kms?.required === true
  const counts = {refused: 0, unknown: 0}
  let phase: 'opening' | 'greeting' | 'running' | 'over' = 'opening'
  let seal: Seal | undefined
  /** what the agent sent before its greeting was done */
  const early: {payloadType: number; payload: Buffer}[] = []
  let earlyBytes = 0
  /** whether the agent has said anything; until then, what we send may be thrown away by an agent that greets late */
  let hasSpoken = false
  const replay = createReplay()
  let size: TerminalSize | undefined
  let isSizeSent = true
  let spare: Buffer | undefined
  let hasGreeted = false
  let hasMetChallenge = false
  let isWaking = false
  let isHeld = false
  let isThere = false
  let ticker: NodeJS.Timeout | undefined
  const silence = createSilence(timings, tell)
  const unflagged = new Map<number, () => void>()

  const link = createLink({
    ...options,
    clientVersion: options.clientVersion ?? clientVersion,
    timings,
    tell,
    onFrame: bytes => onFrame(bytes),
    onUp() {
      incoming.connected()
      outgoing.connected()
      if (phase === 'running' && !isSizeSent) sendSize()
      watch()
      pump()
    },
    onDown: () => outgoing.disconnected(),
    onOver: error => fail(error.message),
  })
  const outgoing = createOutgoing(link, () => performance.now(), timings)
  const incoming = createIncoming(deliver, frame => {
    link.send(encodeAcknowledgement(frame, Date.now()))
  })

  function onFrame(bytes: Buffer): void {
    if (phase === 'over') return
    const frame = decodeFrame(bytes)
    if (typeof frame === 'string') {
      counts.refused++
      return
    }
    switch (frame.messageType) {
      case 'output_stream_data':
        outgoing.resume()
        incoming.accept(frame)
        break
      case 'acknowledge': {
        const number = acknowledgedNumber(frame.payload)
        if (number === undefined) {
          counts.refused++
          return
        }
        outgoing.resume()
        outgoing.acknowledge(number)
        unflagged.get(number)?.()
        silence.broken()
        pump()
        break
      }
      case 'start_publication':
        outgoing.resume()
        // the agent is there: one that greets does so at once
        if (phase === 'opening' && !mustGreet && !isThere) giveTime(timings.presentMs)
        isThere = true
        pump()
        break
      case 'pause_publication':
        outgoing.pause()
        break
      case 'channel_closed': {
        const closed = parseObject(frame.payload)
        if (!closed) counts.refused++
        else finish({kind: 'closed', output: shortOf(closed.Output).trim(), whole: incoming.early === 0})
        return
      }
      default:
        counts.unknown++
    }
  }

  /** One message of the agent, in order. */
  function deliver(payloadType: number, payload: Buffer): void {
    const isFirst = !hasSpoken
    hasSpoken = true
    switch (payloadType) {
      // the answer goes after the acknowledgement, §6
      case payloadTypes.handshakeRequest:
        // once: a second one could undo the encryption
        if (hasGreeted) counts.unknown++
        else greet(payload)
        break
      case payloadTypes.challengeRequest:
        queueMicrotask(() => meetChallenge(payload))
        break
      case payloadTypes.handshakeComplete:
        complete(payload)
        break
      case payloadTypes.output:
      case payloadTypes.stderr:
      case payloadTypes.exitCode:
      case payloadTypes.flag:
        if (phase === 'opening' && !view.greets) {
          if (options.kms?.required) fail('the session is not encrypted, and must be')
          else begin()
        }
        if (isFirst || phase === 'running') replay.forget()
        if (phase === 'running') show(payloadType, payload)
        else keepEarly(payloadType, payload)
        break
      default:
        counts.unknown++
    }
  }

  let greeting: Greeting | undefined

  /** Once, and before anything else is sealed: what the agent sealed later could be had sealed by us, and be sent back as our keys. */
  function meetChallenge(payload: Buffer): void {
    if (phase !== 'greeting' || hasMetChallenge) {
      counts.unknown++
      return
    }
    hasMetChallenge = true
    const answer = seal && answerChallenge(payload, seal)
    if (answer === undefined) fail("the agent's challenge was not sealed with the session's key")
    else outgoing.addPayload(payloadTypes.challengeResponse, Buffer.from(answer))
  }

  function keepEarly(payloadType: number, payload: Buffer): void {
    earlyBytes += payload.length
    if (earlyBytes > bounds.earlyBytes) fail('the agent sent more than its share before the session was ready')
    else early.push({payloadType, payload: Buffer.from(payload)})
  }

  function greet(payload: Buffer): void {
    hasGreeted = true
    phase = 'greeting'
    giveTime(timings.greetingMs)
    void answerGreeting(payload)
  }

  async function answerGreeting(payload: Buffer): Promise<void> {
    const answer = await answerHandshake(payload, {
      clientVersion: options.clientVersion ?? clientVersion,
      sessionId: options.sessionId,
      targetId: options.targetId,
      expected: view.expected,
      ...(options.kms ? {kms: options.kms} : {}),
      signal: closing.signal,
    })
    if (phase === 'over') return
    outgoing.addPayload(payloadTypes.handshakeResponse, Buffer.from(answer.response))
    greeting = answer.greeting
    seal = answer.seal
    // the agent is told why, and ends the session with a text of its own: ours says more
    if (answer.failed !== undefined) {
      const why = answer.failed
      const wait = setTimeout(() => fail(why), timings.endMs / 4)
      closing.signal.addEventListener('abort', () => clearTimeout(wait))
      refusal = why
    }
  }
  let refusal: string | undefined

  /** The agent takes data from now on; what it took before it has thrown away, §9.2. Its words to the customer are told once, as its own (TM-R6). */
  function complete(payload: Buffer): void {
    if (refusal !== undefined || phase !== 'greeting') return
    const message = shortOf(parseObject(payload)?.CustomerMessage)
    if (message !== '') tell(`the agent says ${JSON.stringify(message)}`)
    const again = replay.takeAll()
    if (again) begin(greeting, again)
    else fail('the agent greeted after it had been sent input, which is lost')
    for (const {payloadType, payload} of early.splice(0)) show(payloadType, payload)
  }

  /** A session that has not begun by then will not, or, where it may be one that never greets, begins. */
  function giveTime(ms: number): void {
    clearTimeout(greetingTimer)
    greetingTimer = setTimeout(() => {
      if (phase === 'opening' && !mustGreet) begin()
      else if (phase !== 'running') fail('the agent did not begin the session in time')
    }, ms)
  }
  let greetingTimer: NodeJS.Timeout | undefined

  function begin(by?: Greeting, first: Uint8Array[] = []): void {
    phase = 'running'
    clearTimeout(greetingTimer)
    // one that greets has thrown away what came before
    if (by || !isSizeSent) sendSize()
    for (const plain of first) sendData(plain)
    view.ready(by)
    pump()
  }

  function show(payloadType: number, payload: Buffer): void {
    if (phase === 'over') return
    if (payloadType === payloadTypes.flag) {
      if (payload.length === 4) view.flag(payload.readUInt32BE(0))
      else counts.refused++
      return
    }
    const plain = seal ? seal.open(payload) : payload
    if (!plain) fail("a message was not sealed with the session's key")
    else if (payloadType === payloadTypes.output) view.output(plain)
    else if (payloadType === payloadTypes.stderr) view.stderr(plain)
    else view.exitCode(plain.toString())
  }

  /** Sends pieces while there are any, and room for them. */
  function pump(): void {
    if (phase !== 'running') return
    for (let room = outgoing.room(); room > 0; room--) {
      const frame = spare ?? emptyFrame(pieceBytes)
      const length = view.take(frame, headerBytes, pieceBytes)
      spare = length === 0 || seal ? frame : undefined
      if (length === 0) break
      const whole = length === pieceBytes ? frame : frame.subarray(0, headerBytes + length)
      if (!hasSpoken && !view.greets) replay.keep(whole.subarray(headerBytes))
      if (seal) sendData(whole.subarray(headerBytes))
      else outgoing.add(whole, payloadTypes.output)
    }
    watch()
  }

  function sendData(plain: Uint8Array): void {
    outgoing.addPayload(payloadTypes.output, seal ? seal.seal(plain) : plain)
  }

  function sendSize(): void {
    if (!size || phase === 'over') return
    const {columns: cols, rows} = size
    outgoing.addPayload(payloadTypes.size, Buffer.from(JSON.stringify({cols, rows})))
    isSizeSent = true
    watch()
  }

  /** Looks at what is unanswered, as long as there is any: one timer for all of it. */
  function watch(): void {
    if (ticker || outgoing.unanswered === 0 || phase === 'over') return
    ticker = setTimeout(() => {
      ticker = undefined
      // answers cannot be seen while nothing is read
      if (link.isUp && !isHeld && silence.isTooLong(outgoing.tick())) fail('the agent answers no more')
      else watch()
    }, timings.tickMs)
  }

  function finish(end: SessionEnd): void {
    if (phase === 'over') return
    phase = 'over'
    clearTimeout(ticker)
    clearTimeout(greetingTimer)
    signal?.removeEventListener('abort', onAbort)
    closing.abort()
    link.close()
    for (const done of [...unflagged.values()]) done()
    view.over(refusal !== undefined && end.kind !== 'ended' ? {kind: 'lost', why: refusal} : end)
    doneResolve()
  }
  let doneResolve = () => {}
  const done = new Promise<void>(resolve => {
    doneResolve = resolve
  })

  /** Tells AWS that it is over, since the agent may not know. */
  async function terminate(): Promise<void> {
    const bound = AbortSignal.timeout(timings.endMs)
    const late = new Promise<void>(resolve => bound.addEventListener('abort', () => resolve(), {once: true}))
    await Promise.race([Promise.resolve(options.terminate(bound)).catch(() => {}), late])
  }

  function fail(why: string): void {
    if (phase === 'over') return
    void terminate()
    finish({kind: 'lost', why})
  }

  const session: Session = {
    timings,
    get isUp() {
      return link.isUp
    },
    get counts() {
      return {connections: link.connections, resent: outgoing.resent, duplicates: incoming.duplicates, ...counts}
    },
    wake() {
      if (isWaking) return
      if (!view.joins) {
        pump()
        return
      }
      isWaking = true
      setImmediate(() => {
        isWaking = false
        pump()
      })
    },
    resize(next) {
      size = next
      isSizeSent = false
      if (link.isUp && (phase === 'running' || (phase === 'opening' && !mustGreet))) sendSize()
    },
    sendFlag(number) {
      if (phase !== 'running') return Promise.resolve()
      // what was written before goes before
      pump()
      const payload = Buffer.alloc(4)
      payload.writeUInt32BE(number)
      const at = outgoing.addPayload(payloadTypes.flag, payload)
      watch()
      return new Promise(resolve => {
        unflagged.set(at, () => {
          unflagged.delete(at)
          resolve()
        })
      })
    },
    hold(on) {
      isHeld = on
      link.hold(on)
    },
    async end(why, byFlag = false) {
      if (phase === 'over') return
      // what was asked to end must be able to say so
      session.hold(false)
      const bound = new Promise<void>(resolve => setTimeout(resolve, timings.endMs).unref())
      const isTold = byFlag && phase === 'running' && link.isUp
      if (isTold) await Promise.race([session.sendFlag(flags.terminateSession), done, bound])
      else await Promise.race([terminate(), done])
      await Promise.race([done, bound])
      // the agent has not said that it ended: AWS is told
      if (isTold && (phase as string) !== 'over') await terminate()
      finish({kind: 'ended', why})
    },
    fail,
    tell,
  }
  const onAbort = () => void session.end('it was aborted')

  signal?.throwIfAborted()
  signal?.addEventListener('abort', onAbort, {once: true})
  try {
    await link.open()
  } catch (error) {
    void terminate()
    phase = 'over'
    clearTimeout(greetingTimer)
    signal?.removeEventListener('abort', onAbort)
    throw error instanceof ProdError ? error : new ProdError('TARGET_UNREACHABLE', 'the session was not opened', 'prod doctor')
  }
  if (phase === 'opening') {
    if (!greetingTimer) giveTime(mustGreet ? timings.greetingMs : timings.graceMs)
  }
  return session
}

/** Words of the far side for a person, bounded: they go into records and receipts too (TM-R5). */
function shortOf(words: unknown): string {
  return typeof words === 'string' ? words.slice(0, bounds.wordSigns).toWellFormed() : ''
}
