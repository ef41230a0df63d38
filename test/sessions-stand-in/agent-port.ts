/** Port sessions of the agent, to real sockets: the standard stream, one connection at a time, and many through smux (section 13). */
import {connect, isIP, type Socket} from 'node:net'
import type {Service, Voice} from './agent-parts.ts'
import {flag, payload} from './frame.ts'
import {type Stream, serveSmux} from './smux.ts'
import {keepAlive} from './words.ts'

const forbidden = /^(169\.254\.|fe80:|fd00:ec2:)/i

/** Serves one port of the target, or of a host that the target reaches. */
export function servePort(voice: Voice, properties: Record<string, string>, form: 'standard' | 'basic' | 'mux'): Service {
  const {portNumber = '22', host = ''} = properties
  if (host && forbidden.test(host)) throw new Error(`Forwarding to IP address ${host} is forbidden.`)
  const dial = (): Socket => {
    const {ports} = voice.settings
    const port = ports[host ? `${host}:${portNumber}` : portNumber]
    if (port !== undefined) return connect({port, host: '127.0.0.1', noDelay: true})
    const local = host === '' || host === 'localhost' || (isIP(host) > 0 && (host.startsWith('127.') || host === '::1'))
    // no name of another machine is looked up from here: such a connection fails as one to a name that is not known
    return connect({port: Number(portNumber), host: local ? host || '127.0.0.1' : '127.0.0.1', noDelay: true, ...(!local && {port: 1})})
  }
  if (form === 'mux') return serveMany(voice, dial)
  return serveOne(voice, dial, form)
}

/** What a socket gives, said in pieces, for as long as it is the one that counts. */
async function pump(socket: Socket, say: (piece: Buffer) => Promise<void>): Promise<void> {
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>)
      for (let at = 0; at < chunk.length; at += 1024) await say(chunk.subarray(at, at + 1024))
  } catch {}
}

function serveOne(voice: Voice, dial: () => Socket, form: 'standard' | 'basic'): Service {
  let socket: Socket | undefined
  let open = false
  let first = true
  let full = false

  const start = (): void => {
    const mine = dial()
    socket = mine
    open = false
    mine.on('connect', () => {
      open = true
      first = false
      voice.ready()
      voice.unblock()
    })
    mine.on('drain', () => {
      full = false
      voice.unblock()
    })
    mine.on('error', error => {
      if (first && socket === mine) voice.end(`Unable to connect to port: ${error.message}`)
    })
    const pumped = pump(mine, piece => (socket === mine ? voice.say(payload.output, piece) : Promise.resolve()))
    mine.on('close', async () => {
      if (socket === mine) open = false
      // the last of it may still be on its way
      await pumped
      if (socket !== mine) return
      socket = undefined
      open = full = false
      if (form === 'standard') voice.end()
      else voice.unblock()
    })
  }
  start()

  return {
    input(bytes) {
      if (!socket && form === 'basic') start()
      // the port is not ready: not acknowledged, so that it comes again
      if (!open || !socket) return false
      if (!socket.write(bytes)) full = true
      return true
    },
    flag(which) {
      if (which !== flag.disconnectToPort || form !== 'basic') return
      const mine = socket
      socket = undefined
      open = full = false
      mine?.destroy()
    },
    get full() {
      return full
    },
    stop() {
      const mine = socket
      socket = undefined
      mine?.destroy()
    },
  }
}

function serveMany(voice: Voice, dial: () => Socket): Service {
  const sockets = new Set<Socket>()
  /** The bytes of all streams are one stream, and leave one after the other. */
  let last = Promise.resolve()
  const out = (bytes: Buffer): Promise<void> => {
    const mine = last.then(async () => {
      for (let at = 0; at < bytes.length; at += 1024) await voice.say(payload.output, bytes.subarray(at, at + 1024))
    })
    last = mine
    return mine
  }
  const accept = (stream: Stream): void => {
    const socket = dial()
    sockets.add(socket)
    let connected = false
    socket.on('connect', () => {
      connected = true
    })
    socket.on('error', () => {
      if (!connected) voice.sendFlag(flag.connectToPortError)
    })
    // its end goes out after the last of its bytes, below
    socket.on('close', () => sockets.delete(socket))
    stream.onData = bytes => void socket.write(bytes, () => stream.used(bytes.length))
    // FIN ends both directions: what was to come back is lost
    stream.onClose = () => {
      socket.destroySoon()
      stream.close()
    }
    void (async () => {
      try {
        for await (const chunk of socket as AsyncIterable<Buffer>) await stream.write(chunk)
      } catch {}
      stream.close()
    })()
  }
  const smux = serveSmux({
    versions: voice.settings.smuxVersions,
    keepAlive: keepAlive(voice.settings.version, voice.clientVersion),
    timeScale: voice.timeScale,
    out,
    accept,
    onRoom: () => voice.unblock(),
    onDead: () => voice.end(),
  })
  return {
    input: bytes => {
      smux.take(bytes)
      return true
    },
    get full() {
      return smux.full
    },
    stop() {
      smux.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
