/** The least that a client of a port session can be: it answers each message as it comes, and does nothing with it. What it gets is what the agent sends. */
import {randomUUID} from 'node:crypto'
import {once} from 'node:events'
import {WebSocket} from 'ws'
import {acknowledgement, decode, encode, type Frame, frame, payload} from '../sessions-stand-in/frame.ts'
import {openDirectly} from './far-side.ts'

const clientVersion = '1.2.764.0'
/** smux: opens stream 3, the first */
const openStream = Buffer.from([1, 0, 0, 0, 3, 0, 0, 0])

/** One forwarded connection to this port, whose messages are answered at once: `got` counts its bytes. */
export async function openPlain(env: Record<string, string>, portNumber: string): Promise<{readonly got: number; close(): Promise<void>}> {
  const {streamUrl, token, sign, terminate} = await openDirectly(env, 'AWS-StartPortForwardingSession', {portNumber})
  const socket = new WebSocket(streamUrl, {headers: await sign(streamUrl), perMessageDeflate: false})
  await once(socket, 'open')
  const ids = {RequestId: randomUUID(), ClientId: randomUUID()}
  socket.send(JSON.stringify({MessageSchemaVersion: '1.0', ...ids, TokenValue: token, ClientVersion: clientVersion}))
  let next = 0
  let got = 0
  const send = (payloadType: number, body: Buffer | object) =>
    socket.send(encode(frame('input_stream_data', payloadType, body, {sequenceNumber: next++})))
  const take: Record<number, (it: Frame) => void> = {
    [payload.handshakeRequest]: () =>
      send(payload.handshakeResponse, {
        ClientVersion: clientVersion,
        ProcessedClientActions: [{ActionType: 'SessionType', ActionStatus: 1, ActionResult: null, Error: ''}],
        Errors: null,
      }),
    [payload.handshakeComplete]: () => send(payload.output, openStream),
    [payload.output]: it => {
      got += it.payload.length
    },
  }
  socket.on('message', (data: Buffer) => {
    const it = decode(data)
    if (typeof it === 'string' || it.messageType !== 'output_stream_data') return
    socket.send(encode(acknowledgement(it)))
    take[it.payloadType]?.(it)
  })
  return {
    get got() {
      return got
    },
    async close() {
      socket.close()
      await terminate(AbortSignal.timeout(2000))
    },
  }
}
