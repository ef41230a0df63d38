/** The person's end of a shell: banner, typed confirmation, raw terminal, resizing; also of a watched one. */
import type {Exit} from '@prod/sdk'
import {confirmTyped} from '@prod/sdk/cli/ask'
import {paint, passBytes, say} from '@prod/sdk/cli/output'
import {type Spinner, startSpinner} from '@prod/sdk/cli/spinner'
import {ProdError} from '@prod/sdk/errors'
import type {Broker, Session} from '@prod/sdk/session'
import {LinkLost, openStream, type StreamConnection} from '@prod/sdk/stream-client'
import type {EndPayload, FirstMessage, ServerMessage} from '@prod/sdk/wire'
import {clientInfo} from './client-info.ts'
import {statusOf} from './exec.ts'
import {openEnd, type Pins} from './proof.ts'

/** A cut link keeps a shell for 15 seconds at the broker. */
const comeBackMilliseconds = 15_000

export interface ShellOptions {
  broker: Broker
  session: Session
  pins: Pins
  first: FirstMessage & {type: 'shell' | 'attach' | 'watch'}
  onInterrupt(act: ((times: number) => void) | undefined): void
}

/** How a shell ended. */
export interface ShellOutcome {
  status: number
  session: string
  exit: Exit | null
  endedBy: string | null
}

/** Serves one shell to its end. The terminal is given back as it was, whatever happens. */
export async function followShell(options: ShellOptions): Promise<ShellOutcome> {
  const {broker, session, pins, onInterrupt} = options
  const watching = options.first.type === 'watch'
  let first = options.first
  let started: (ServerMessage & {type: 'started'}) | undefined
  let request: string | undefined
  let end: EndPayload | undefined
  let connection: StreamConnection | undefined
  let spinner: Spinner | undefined
  let givenBack = () => {}
  onInterrupt(times => {
    if (times >= 2 || !connection) process.exit(130)
    if (watching) connection.close()
    else connection.send({type: 'cancel'})
  })
  const lostAt = {time: 0}
  try {
    for (;;) {
      try {
        connection = await openStream({broker, session, first})
        for await (const event of connection) {
          if (event.type === 'output') {
            if (event.stream !== 'stdout') continue
            await passBytes('stdout', event.bytes)
            connection.wrote('stdout', event.bytes.byteLength)
          } else if (event.type === 'end') {
            end = openEnd(pins, event.jws)
            break
          } else if (event.type === 'message') {
            const {message} = event
            if (message.type === 'confirm') {
              say(message.banner.map(line => paint('red', line)))
              connection.send({type: 'confirmed', text: await confirmTyped(message.text)})
            } else if (message.type === 'waiting') {
              request = message.request
              const text = `${message.summary} waits for one of: ${message.approvers.join(', ')}; prod request approve ${message.request}`
              if (spinner) spinner.update(text)
              else spinner = startSpinner(text)
            } else if (message.type === 'notice') say(message.text)
            else if (message.type === 'pending') return {status: 245, session: message.request, exit: null, endedBy: null}
            else if (message.type === 'started') {
              spinner?.stop()
              if (!started) {
                for (const line of message.banner ?? []) say(paint('red', line))
                if (message.expiresAt && !watching) say(`${message.id} on ${message.target} (${message.environment}); it ends at ${new Date(message.expiresAt).toTimeString().slice(0, 8)} at the latest`)
                if (!watching) givenBack = takeTerminal(() => connection, message)
              }
              started = message
              lostAt.time = 0
            }
          }
        }
        if (end || watching) break
        throw new LinkLost({...connection.written}, {read: 0, pending: [], ended: false}, 'closed before the end')
      } catch (error) {
        const again = error instanceof LinkLost || (lostAt.time > 0 && error instanceof ProdError && error.code === 'BROKER_UNREACHABLE')
        if (!again || watching) throw error
        const id = started?.id ?? request
        if (id === undefined) throw error
        if (lostAt.time === 0) lostAt.time = Date.now()
        if (Date.now() - lostAt.time > comeBackMilliseconds) {
          throw new ProdError('OUTCOME_UNKNOWN', `the connection was lost while ${id} was open; the broker ends it`, `prod attach ${id}`, {cause: error})
        }
        const have = error instanceof LinkLost ? error.have : first.type === 'attach' ? first.have : {stdout: 0, stderr: 0}
        first = {type: 'attach', id, have, client: clientInfo()}
        await new Promise(resolve => setTimeout(resolve, 250))
      }
    }
  } finally {
    givenBack()
    spinner?.stop()
    onInterrupt(undefined)
    connection?.close()
  }
  if (!end) return {status: 0, session: started?.id ?? '', exit: null, endedBy: null}
  return {status: statusOf(end), session: end.id, exit: end.exit, endedBy: end.endedBy}
}

/** Puts the terminal into raw mode and joins it to the shell. The answer gives it back. */
function takeTerminal(connection: () => StreamConnection | undefined, {target, environment}: {target: string; environment: string}): () => void {
  const {stdin, stdout} = process
  if (!stdin.isTTY) return () => {}
  stdin.setRawMode(true)
  stdin.resume()
  stdout.write(`\u001b]0;BREAK-GLASS ${target} (${environment})\u0007`)
  const typed = (bytes: Uint8Array) => void connection()?.sendStdin(Buffer.from(bytes))
  const resized = () => connection()?.resize({columns: stdout.columns ?? 80, rows: stdout.rows ?? 24})
  stdin.on('data', typed)
  stdout.on('resize', resized)
  resized()
  return () => {
    stdin.off('data', typed)
    stdout.off('resize', resized)
    stdin.setRawMode(false)
    stdin.pause()
    // what a program may have left on: alternate screen, hidden cursor, mouse, bracketed paste, colours
    stdout.write('\u001b[?1049l\u001b[?25h\u001b[?1000l\u001b[?1002l\u001b[?1006l\u001b[?2004l\u001b[0m\u001b]0;\u0007\r\n')
  }
}
