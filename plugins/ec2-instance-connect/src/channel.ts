/** Programs and shells on an SSH connection, as channels. */
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {Readable, Writable} from 'node:stream'
import type {Channel, Exit, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {ClientChannel} from 'ssh2'
import {checkEnvironment, keeperText, programText, shellText} from './command.ts'
import type {Connection} from './connect.ts'
import {shareWindow} from './flow.ts'

/** how long the keeper may take until all is ended */
const sweepMs = 20_000
const lateMs = 10_000

type Started = Extract<Use, {kind: 'exec' | 'shell'}>

/** Starts a program or a shell; what it started ends with it. The connection is its own, and closes with it. */
export async function openProgram(connection: Connection, use: Started): Promise<Channel> {
  checkEnvironment(use.env)
  if (use.kind === 'exec' && use.program.path.includes('='))
    throw new ProdError('TOOL_UNAVAILABLE', `${use.program.path} cannot be started over ssh: its path holds =`, 'prod tools')
  if (use.kind === 'exec' && use.program.sha256 !== undefined)
    throw new ProdError('TOOL_UNAVAILABLE', 'over ssh nobody can say which program it is, so no digest of it can be demanded', 'prod tools')
  const mark = randomBytes(16).toString('hex')
  const keeper = await startKeeper(connection, mark)
  const {TERM, ...env} = use.env
  const stream =
    use.kind === 'exec'
      ? await run(
          connection,
          programText(mark, {path: use.program.path, args: use.argv.slice(1), env: use.env, cpuSeconds: use.limits.cpuSeconds}),
        )
      : await run(connection, shellText(mark, env), {term: TERM ?? 'xterm-256color', cols: use.size.columns, rows: use.size.rows})

  let limit: string | undefined
  let finished = false
  let exit: Exit | undefined
  const wall = setTimeout(() => {
    limit = 'wall'
    void end()
  }, use.limits.wallSeconds * 1000)
  const closed = once(stream, 'close')
  const exited = new Promise<void>(resolve => {
    stream.on('exit', (status: number | null, signal?: string) => {
      exit = status === null ? {signal: signal ?? 'SIGKILL'} : {status}
      resolve()
    })
    void closed.then(() => resolve())
  })

  const ended = (async (): Promise<Exit> => {
    await Promise.race([exited, connection.gone])
    clearTimeout(wall)
    // what it left behind goes, and with it whoever still holds its output
    const swept = await keeper.sweep()
    await Promise.race([closed, connection.gone])
    finished = true
    if (!swept) exit = {unknown: exit ? 'it ended, and nobody could see whether all of it did' : await lost(connection)}
    connection.close()
    return exit ?? {unknown: 'the far side did not say how it ended'}
  })()

  const end = (): Promise<Exit> => {
    keeper.finish()
    return ended
  }
  const stdout = pass(stream, () => void (finished || end()))
  const stderr = use.kind === 'shell' ? Readable.from([]) : pass(stream.stderr as Readable, () => {})
  if (use.kind === 'shell') (stream.stderr as Readable).resume()
  const stdin = takeInput(stream, ended, use.kind === 'shell')
  if (use.kind === 'exec' && !use.stdin) stream.end()
  return {
    stdin,
    stdout,
    stderr,
    ended,
    resize: ({columns, rows}) => {
      if (use.kind === 'shell' && !finished) stream.setWindow(rows, columns, 0, 0)
    },
    signal: name => keeper.tell(name),
    end,
    get limit() {
      return limit
    },
  }
}

async function lost({gone}: Connection): Promise<string> {
  return Promise.race([gone, new Promise<string>(resolve => setTimeout(resolve, 0, 'the far side could not be asked'))])
}

/** Runs one text on a channel of its own. */
function run({client}: Connection, text: string, terminal?: {term: string; cols: number; rows: number}): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    client.exec(text, terminal ? {pty: {...terminal, width: 0, height: 0, modes: {}}} : {}, (cause, stream) => {
      if (!cause) {
        shareWindow(stream)
        stream.on('error', () => {})
        resolve(stream)
      } else
        reject(
          new ProdError(
            'TARGET_UNREACHABLE',
            `the far side starts no program: ${cause.message}`,
            'its sshd must allow two sessions: MaxSessions',
            {cause},
          ),
        )
    })
  })
}

interface Keeper {
  tell(name: string): void
  /** ends all that bears the mark */
  finish(): void
  /** the same, and whether all is gone for certain */
  sweep(): Promise<boolean>
}

/** What ends a use on the far side, whatever becomes of this side: see `keeperText`. */
async function startKeeper(connection: Connection, mark: string): Promise<Keeper> {
  const stream = await run(connection, keeperText(mark))
  let said = ''
  let isReady = (_ready: boolean): void => {}
  const ready = new Promise<boolean>(resolve => {
    isReady = resolve
  })
  const gone = new Promise<boolean>(resolve => {
    stream.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString('latin1')).slice(-200)
      if (/ready\n/.test(said)) isReady(true)
      if (/gone\n$/.test(said)) resolve(true)
    })
    stream.once('close', () => {
      isReady(false)
      resolve(false)
    })
  })
  stream.stderr.resume()
  const late = setTimeout(() => isReady(false), lateMs)
  const isThere = await ready
  clearTimeout(late)
  if (!isThere)
    throw new ProdError(
      'TARGET_UNREACHABLE',
      'the far side has no way to end what is started there',
      'it needs /bin/sh, grep and /proc; and no forced command for this account',
    )
  let finishing = false
  const finish = (): void => {
    if (!finishing) stream.end()
    finishing = true
  }
  return {
    tell: name => {
      if (!finishing && stream.writable) stream.write(`${name.replace(/^SIG/, '')}\n`)
    },
    finish,
    sweep: async () => {
      finish()
      let timer: NodeJS.Timeout | undefined
      const patience = new Promise<boolean>(resolve => {
        timer = setTimeout(resolve, sweepMs, false)
      })
      return Promise.race([gone, patience]).finally(() => clearTimeout(timer))
    },
  }
}

/** Output as a stream that pushes back, ends with the channel, and says when its reader has gone. */
function pass(from: Readable, onGone: () => void): Readable {
  let over = false
  const to = new Readable({
    read: () => void from.resume(),
    destroy(error, done) {
      if (!over) onGone()
      from.resume()
      done(error)
    },
  })
  const finish = (): void => {
    if (over) return
    over = true
    if (!to.destroyed) to.push(null)
  }
  from.on('data', (chunk: Buffer) => {
    if (!to.destroyed && !to.push(chunk)) from.pause()
  })
  from.pause()
  from.once('end', finish)
  from.once('close', () => (from.readableLength === 0 ? finish() : from.once('end', finish)))
  return to
}

/** Input that hurts nobody who does not want it. */
function takeInput(stream: ClientChannel, ended: Promise<unknown>, isTerminal: boolean): Writable {
  let over = false
  let waiting: (() => void) | undefined
  const stdin = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (over || !stream.writable) return done()
      waiting = done
      stream.write(chunk, () => {
        waiting = undefined
        done()
      })
    },
    final(done) {
      if (!over && stream.writable) isTerminal ? stream.write('\u0004') : stream.end()
      done()
    },
  })
  void ended.then(() => {
    over = true
    waiting?.()
    stdin.destroy()
  })
  return stdin
}
