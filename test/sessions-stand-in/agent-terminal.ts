/** Shells and interactive commands of the agent: a real program in a real pseudo-terminal (section 11). */
import {Readable} from 'node:stream'
import {spawn} from '@lydell/node-pty'
import type {Kind, Service, Voice} from './agent-parts.ts'
import {endTree, mark} from './end-tree.ts'
import {payload} from './frame.ts'
import {words} from './words.ts'

/** Starts the program, and says what it prints. */
export function serveTerminal(voice: Voice, kind: Extract<Kind, {type: 'Standard_Stream' | 'InteractiveCommands'}>): Service {
  const argv =
    kind.type === 'Standard_Stream'
      ? voice.settings.shell
      : kind.container
        ? (words(kind.command) ?? [])
        : [voice.settings.shell[0] as string, '-c', kind.command]
  const [program, ...rest] = argv
  if (!program) throw new Error('there is no command to run')
  const terminal = spawn(program, rest, {
    name: 'xterm-256color',
    cols: 80,
    rows: 24,
    cwd: voice.folder,
    env: {...voice.settings.environment, HOME: voice.folder, TERM: 'xterm-256color', [mark]: voice.mark},
    encoding: null,
  })
  let over = false
  let paused = false
  let letGo: (() => void) | undefined
  const output = new Readable({
    read() {
      paused = false
      terminal.resume()
      if (letGo) setTimeout(letGo, 200)
    },
  })
  terminal.onData(data => {
    if (over || output.push(Buffer.from(data as unknown as Uint8Array))) return
    paused = true
    terminal.pause()
  })
  // node-pty throws away what nobody has read 200 ms after the program's end: what waits here for a slow reader is kept
  const master = (terminal as unknown as {_socket: {destroy(error?: Error): unknown}})._socket
  const destroy = master.destroy.bind(master)
  master.destroy = error => {
    if (!paused || over) return destroy(error)
    letGo = () => void master.destroy(error)
    return master
  }
  terminal.onExit(() => {
    over = true
    output.push(null)
  })
  if (kind.type === 'Standard_Stream' && kind.profile) terminal.write(`${kind.profile}\n`)

  const pump = async (): Promise<void> => {
    if (voice.settings.outputDelayMs > 0) await new Promise(resolve => setTimeout(resolve, voice.settings.outputDelayMs))
    let held: Buffer = Buffer.alloc(0)
    for await (const chunk of output as AsyncIterable<Buffer>) {
      let bytes = held.length > 0 ? Buffer.concat([held, chunk]) : chunk
      while (bytes.length > 0) {
        const piece = bytes.subarray(0, wholeCharacters(bytes, 1024))
        if (piece.length === 0) break
        await voice.say(payload.output, piece)
        bytes = bytes.subarray(piece.length)
      }
      held = bytes
    }
    await voice.say(payload.output, held)
    voice.end()
  }
  void pump()

  return {
    input(bytes) {
      if (!over) terminal.write(bytes as unknown as string)
      return true
    },
    size({cols, rows}) {
      if (!over && (cols & 0xffff) > 0 && (rows & 0xffff) > 0) terminal.resize(cols & 0xffff, rows & 0xffff)
    },
    stop() {
      if (over) return
      over = true
      output.push(null)
      endTree(terminal.pid, voice.mark)
    },
  }
}

/** How many bytes of a text, at most so many, do not end inside a character. Bytes that are no UTF-8 pass. */
export function wholeCharacters(bytes: Buffer, most: number): number {
  const end = Math.min(bytes.length, most)
  for (let back = 1; back <= Math.min(3, end); back++) {
    const byte = bytes[end - back] as number
    if ((byte & 0xc0) === 0x80) continue
    const needs = byte >= 0xf0 && byte < 0xf8 ? 4 : byte >= 0xe0 && byte < 0xf0 ? 3 : byte >= 0xc2 && byte < 0xe0 ? 2 : 1
    return needs > back ? end - back : end
  }
  return end
}
