/** Commands without a terminal (section 12): no shell, no stdin, and an exit status where the document asks for streams apart. */
import {type ChildProcess, spawn} from 'node:child_process'
import {closeSync, createReadStream, mkdtempSync, openSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Readable} from 'node:stream'
import type {Kind, Service, Voice} from './agent-parts.ts'
import {endTree, mark} from './end-tree.ts'
import {payload} from './frame.ts'
import {words} from './words.ts'

/** Runs the command, and says what it puts out and how it ended. */
export function serveCommand(voice: Voice, kind: Extract<Kind, {type: 'NonInteractiveCommands'}>): Service {
  const [program = '', ...argv] = words(kind.command) ?? []
  const held = kind.separate ? undefined : mkdtempSync(join(tmpdir(), 'prod-agent-'))
  const file = held && join(held, 'output')
  const both = file ? openSync(file, 'w') : undefined
  let child: ChildProcess | undefined
  let over = false

  const say = async (type: number, source: Readable, prefix = ''): Promise<void> => {
    let fresh = true
    for await (const chunk of source as AsyncIterable<Buffer>)
      for (let at = 0; at < chunk.length; at += 1024) {
        const piece = chunk.subarray(at, at + 1024)
        await voice.say(type, fresh && prefix ? Buffer.concat([Buffer.from(prefix), piece]) : piece)
        fresh = piece.at(-1) === 0x0a
      }
  }
  const finish = async (status: number, failure: string): Promise<void> => {
    if (file) await say(payload.output, createReadStream(file))
    if (kind.separate) await voice.say(payload.exitCode, Buffer.from(`EXIT_CODE: ${status}`))
    if (failure) {
      await new Promise(resolve => setTimeout(resolve, voice.settings.errorDelayMs))
      await voice.say(payload.stdErr, Buffer.from(failure))
    }
    if (held) rmSync(held, {recursive: true, force: true})
    voice.end()
  }
  const run = async (): Promise<void> => {
    const status = await new Promise<number | Error>(resolve => {
      child = spawn(program, argv, {
        cwd: voice.folder,
        env: {...voice.settings.environment, HOME: voice.folder, [mark]: voice.mark},
        stdio: ['ignore', both ?? 'pipe', both ?? 'pipe'],
        detached: true,
      })
      child.once('error', resolve)
      const ended = new Promise<number>(done => child?.once('exit', (code, signal) => done(signal ? -1 : (code ?? -1))))
      const spoken = kind.separate
        ? [
            say(payload.output, child.stdout as Readable, kind.stdoutPrefix),
            say(payload.stdErr, child.stderr as Readable, kind.stderrPrefix),
          ]
        : []
      void Promise.all([ended, ...spoken]).then(([code]) => resolve(code))
    })
    over = true
    if (both !== undefined) closeSync(both)
    await (typeof status === 'number' ? finish(status, '') : finish(1, `${status.message}\n`))
  }
  const kill = (signal: NodeJS.Signals): void => {
    if (over || !child?.pid) return
    try {
      process.kill(-child.pid, signal)
    } catch {}
  }
  void run()

  return {
    input(bytes) {
      if (bytes.includes(0x03)) kill('SIGINT')
      if (bytes.includes(0x1c)) kill('SIGQUIT')
      return true
    },
    stop() {
      if (!over && child?.pid) endTree(child.pid, voice.mark)
      if (held) rmSync(held, {recursive: true, force: true})
    },
  }
}
