/** One WebSocket as messages and frames (wire.ts), strictly read. Knows nothing of runs or sessions. */
import {describeError, ProdError} from '@prod/sdk/errors'
import {
  type ClientMessage,
  type FirstMessage,
  firstMessageTimeoutSeconds,
  frame,
  maxOutputFrameBytes,
  type ServerMessage,
  windowBytes,
} from '@prod/sdk/wire'
import {Ajv, type ValidateFunction} from 'ajv'
import type {RawData, WebSocket} from 'ws'
import {describeFinding} from '../http/handle.ts'
import {parseStrictJson} from '../http/strict-json.ts'
import {clientMessageSchema, firstMessageSchema} from './schemas.ts'

// the schemas are ours, and tested to be schemas: to compile the schema of schemas takes longer than most of them
const ajv = new Ajv({meta: false, validateSchema: false, strict: false, allErrors: false, discriminator: true})
const isFirst: ValidateFunction<FirstMessage> = ajv.compile(firstMessageSchema)
const isClientMessage: ValidateFunction<ClientMessage> = ajv.compile(clientMessageSchema)

/** The far end of a stream. Callbacks are set by whoever serves it now. */
export interface Link {
  send(message: ServerMessage): void
  /** Binary frame of a kind; split to {@link maxOutputFrameBytes}. */
  sendFrame(kind: number, bytes: Uint8Array): void
  /** A frame as it is, its kind first. It is read later too: it must not change before the far end has it. */
  sendWhole(frame: Uint8Array): void
  onMessage: (message: ClientMessage) => void
  /** Binary frames, and `stdin-end` as a `close` frame, in order. Kept (at most twice the window) while nobody listens: null. */
  onFrame: ((kind: number, bytes: Uint8Array) => void) | null
  /** resolves when the socket is gone, for whatever reason */
  readonly closed: Promise<void>
  readonly isClosed: () => boolean
  /** bytes not yet taken by the kernel */
  readonly buffered: () => number
  /** Tells the failure and closes. */
  fail(error: unknown, correlation: string): void
  close(): void
}

/** Waits for the first message; then the link. Throws BAD_REQUEST, after 10 s too. */
export function openLink(socket: WebSocket): {link: Link; first: Promise<FirstMessage>} {
  let gone = false
  let started = false
  let listener: Link['onFrame'] = null
  const kept: {kind: number; bytes: Uint8Array}[] = []
  let keptBytes = 0
  const deliver = (kind: number, bytes: Uint8Array) => {
    if (listener) {
      listener(kind, bytes)
      return
    }
    keptBytes += bytes.byteLength + 64
    if (keptBytes > 2 * windowBytes) throw new ProdError('BAD_REQUEST', 'stdin came without credit')
    kept.push({kind, bytes})
  }
  let resolveClosed: () => void = () => {}
  const closed = new Promise<void>(resolve => {
    resolveClosed = resolve
  })
  const link: Link = {
    send(message) {
      if (!gone) socket.send(JSON.stringify(message))
    },
    sendFrame(kind, bytes) {
      for (let offset = 0; offset < bytes.byteLength || offset === 0; offset += maxOutputFrameBytes) {
        if (gone) return
        const part = bytes.subarray(offset, offset + maxOutputFrameBytes)
        const out = Buffer.allocUnsafe(part.byteLength + 1)
        out[0] = kind
        out.set(part, 1)
        socket.send(out)
      }
    },
    sendWhole(whole) {
      if (!gone) socket.send(whole)
    },
    onMessage: () => {},
    get onFrame() {
      return listener
    },
    set onFrame(next) {
      listener = next
      while (listener && kept.length > 0) {
        const {kind, bytes} = kept.shift() as (typeof kept)[number]
        listener(kind, bytes)
      }
      if (kept.length === 0) keptBytes = 0
    },
    closed,
    isClosed: () => gone,
    buffered: () => socket.bufferedAmount,
    fail(error, correlation) {
      link.send({type: 'error', error: {...describeError(error), correlation}})
      socket.close(1000)
    },
    close() {
      socket.close(1000)
    },
  }
  const first = new Promise<FirstMessage>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new ProdError('BAD_REQUEST', 'no request came within 10 seconds')),
      firstMessageTimeoutSeconds * 1000,
    )
    socket.on('message', (data: RawData, binary: boolean) => {
      try {
        if (!started) {
          if (binary) throw new ProdError('BAD_REQUEST', 'the first message is the request, as text')
          const message = parseStrictJson(toBuffer(data))
          if (!isFirst(message)) throw new ProdError('BAD_REQUEST', `the request is malformed: ${describeFinding(isFirst.errors?.[0])}`)
          started = true
          clearTimeout(timer)
          resolve(message)
          return
        }
        if (binary) {
          const bytes = toBuffer(data)
          if (bytes.byteLength === 0) throw new ProdError('BAD_REQUEST', 'an empty frame')
          const kind = bytes[0] as number
          if (kind !== frame.stdin && kind !== frame.resize && kind !== frame.close)
            throw new ProdError('BAD_REQUEST', `frame kind ${kind} is not for clients`)
          deliver(kind, bytes.subarray(1))
          return
        }
        const message = parseStrictJson(toBuffer(data))
        if (!isClientMessage(message)) throw new ProdError('BAD_REQUEST', 'a malformed message')
        if (message.type === 'stdin-end') deliver(frame.close, Uint8Array.of(frame.stdin))
        else link.onMessage(message)
      } catch (error) {
        if (started) link.fail(error, '')
        else reject(error)
      }
    })
    socket.on('error', () => socket.terminate())
    socket.on('close', () => {
      gone = true
      clearTimeout(timer)
      resolveClosed()
      reject(new ProdError('LINK_LOST', 'the link was cut'))
    })
  })
  return {link, first}
}

function toBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data)
}
