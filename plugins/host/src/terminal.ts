/** The keeper of one terminal: it moves the bytes between the broker's sockets and a shell, and ends with them. */
import {spawn} from 'node:child_process'
import {closeSync, constants, fchownSync, openSync} from 'node:fs'
import {createRequire} from 'node:module'
import {Socket} from 'node:net'
import {ReadStream} from 'node:tty'
import type {FromTerminal, ToTerminal} from './messages.ts'

/** What the compiled part of node-pty gives: a pair of descriptors, and their size. */
interface Pty {
  open(columns: number, rows: number): {master: number; slave: number; pty: string}
  resize(master: number, columns: number, rows: number): void
}

const endOfInput = '\x04'
const say = (message: FromTerminal) => {
  if (process.connected) process.send?.(message, () => {})
}
let resize: (columns: number, rows: number) => void = () => {}

process.on('SIGINT', () => {})
process.on('SIGHUP', () => {})
process.on('message', (message: ToTerminal) => {
  const bounded = (value: number) => Math.min(Math.max(Math.trunc(value) || 1, 1), 10_000)
  if (message.type === 'resize') return resize(bounded(message.size.columns), bounded(message.size.rows))
  start({...message, size: {columns: bounded(message.size.columns), rows: bounded(message.size.rows)}}).catch((error: Error) => {
    say({type: 'failed', message: error.message})
    process.disconnect()
  })
})

async function start({bash, command, size, owner, identity}: Extract<ToTerminal, {type: 'start'}>): Promise<void> {
  const {requireBinary} = createRequire(import.meta.url)('@lydell/node-pty/requireBinary.js') as {requireBinary: (file: string) => Pty}
  const pty = requireBinary('pty.node')
  // the runner gave us the broker's ends as our own: what is typed, what is shown
  const [input, output] = [4, 5].map(fd => new Socket({fd, allowHalfOpen: true}).on('error', () => {})) as [Socket, Socket]
  const {master, slave, pty: name} = pty.open(size.columns, size.rows)
  if (owner) fchownSync(slave, owner.uid, owner.gid)
  // the shell gets its three descriptors and no more: ours of its side closes on execution, the other one must be closed
  const shellSide = openSync(name, constants.O_RDWR | constants.O_NOCTTY)
  closeSync(slave)
  const child = spawn(bash, ['-p', '-c', `exec ${master}>&-; exec "$@"`, 'bash', command.file, ...command.args], {
    ...(identity ?? {}),
    env: command.env,
    cwd: command.cwd,
    stdio: [shellSide, shellSide, shellSide],
  })
  closeSync(shellSide)
  child.once('error', error => say({type: 'failed', message: error.message}))
  const told = new Promise<void>(resolve => {
    child.once('exit', (status, signal) => {
      if (!process.send) return resolve()
      process.send({type: 'exit', status, signal} satisfies FromTerminal, () => resolve())
    })
  })
  // the runner is gone: nobody else would end this one where there are no namespaces
  process.once('disconnect', () => child.kill('SIGKILL'))
  if (child.pid === undefined) return
  resize = (columns, rows) => {
    try {
      pty.resize(master, columns, rows)
    } catch {
      // the shell is gone
    }
  }

  const terminal = new ReadStream(master)
  terminal.pipe(output)
  input.pipe(terminal, {end: false})
  input.once('end', () => terminal.write(endOfInput))
  // the last one on the other side is gone (EIO, or the end): all there was has been read
  terminal.on('error', () => {})
  const drained = new Promise<void>(resolve => terminal.once('close', () => output.end(() => resolve())))
  // nobody listens any more: the shell is hung up on
  output.once('close', () => terminal.destroy())
  say({type: 'started', pid: child.pid})
  await Promise.all([told, drained])
  process.exit(0)
}
