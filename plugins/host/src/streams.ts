/** The broker's end of a byte stream to or from a tool. */
import {createConnection, type Socket} from 'node:net'
import {Lent} from './lent.ts'

/** A tool's stdin: a connection that begins with its token. What comes back is dropped. */
export function openInput(path: string, token: string): Socket {
  const socket = createConnection({path, allowHalfOpen: true})
  socket.on('error', () => {})
  socket.write(token, 'latin1')
  return socket.resume()
}

/** A tool's stdout or stderr. */
export function openOutput(path: string, token: string): Lent {
  const output = new Lent(onread => createConnection({path, allowHalfOpen: true, onread}))
  output.socket.once('error', error => output.destroy(error))
  // nothing goes the other way: what a tool reads from its output ends
  output.socket.end(token, 'latin1')
  return output
}
