import {open} from 'node:fs/promises'
import {setTimeout} from 'node:timers/promises'
import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {ProdCommand} from '@prod/sdk/cli/command'
import {passBytes} from '@prod/sdk/cli/output'
import {ProdError} from '@prod/sdk/errors'
import {createAsciicast, type RecordingRecord, recordStream} from '@prod/sdk/recording'
import {takeSession} from '../../channel/ids.ts'
import {createPlain} from '../../channel/plain.ts'
import {fetchRecording, openRecording, readIdentity} from '../../channel/recording.ts'
import {giveBack} from '../../channel/terminal.ts'

/** Replays a recording. It is opened on this machine, with the reader's own key. */
export default class SessionsPlay extends ProdCommand {
  static override summary = 'replay a recording, or the output that is kept of a run'
  static override description =
    'What is kept is sealed to security’s key; it is opened on this machine alone. --cast writes an asciicast v2 file.'
  static override args = {session: Args.string({description: 'id of the session, or of the run'})}
  static override flags = {
    identity: Flags.string({
      description: 'file with the age identity that opens it; else PROD_RECORDING_IDENTITY',
      helpValue: 'FILE',
      env: 'PROD_RECORDING_IDENTITY',
    }),
    speed: Flags.string({description: 'how many times as fast; 0: at once', default: '1', helpValue: 'N'}),
    cast: Flags.string({description: 'write an asciicast v2 file instead', helpValue: 'FILE'}),
    input: Flags.boolean({description: 'show what was typed as well'}),
    raw: Flags.boolean({description: 'let control sequences act on this terminal, as they did then'}),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> ses_01k9x7h2d6b5x1v0m3q8r4t6wz --identity ~/security.age --raw']

  async run(): Promise<{session: string; chunks: number; cast?: string}> {
    const {args, flags} = await this.parse(SessionsPlay)
    const session = await takeSession(this.broker(), args.session, {command: 'sessions play', orRun: true})
    if (flags.identity === undefined)
      throw new ProdError('USAGE', 'a recording is opened with an age identity', `prod sessions play ${session} --identity FILE`)
    const speed = Number(flags.speed)
    if (!(speed >= 0)) throw new ProdError('USAGE', `${flags.speed} is no speed`, '--speed 4')
    const chunks = openRecording(fetchRecording(this.broker(), session), readIdentity(flags.identity))
    if (flags.cast !== undefined) {
      const count = await writeCast(flags.cast, chunks)
      this.log(`wrote ${flags.cast}`)
      return {session, chunks: count, cast: flags.cast}
    }
    const shown = createPlain()
    const typed = createPlain()
    const complained = createPlain()
    let [at, count] = [0, 0]
    const stop = new AbortController()
    this.onInterrupt(() => stop.abort())
    const show = async (bytes: Uint8Array | string, to: 'stdout' | 'stderr' = 'stdout') => {
      if (!this.jsonEnabled() && !(await passBytes(to, bytes))) stop.abort()
    }
    for await (const chunk of chunks) {
      count += 1
      for (const record of chunk) {
        if (stop.signal.aborted) return {session, chunks: count}
        const input = record.stream === recordStream.stdin
        const errors = record.stream === recordStream.stderr
        if (record.stream !== recordStream.stdout && !errors && !(input && flags.input)) continue
        const pause = speed === 0 || !process.stdout.isTTY ? 0 : Math.min(longestPause, (record.at - at) / 1000 / speed)
        at = record.at
        if (pause > 1) await setTimeout(pause, undefined, {signal: stop.signal}).catch(() => {})
        if (errors) await show(flags.raw ? record.bytes : complained.push(record.bytes), 'stderr')
        else await show(input ? typed.push(record.bytes) : flags.raw ? record.bytes : shown.push(record.bytes))
      }
    }
    if (!flags.raw) await show(complained.end(), 'stderr')
    await show(flags.raw ? giveBack : shown.end() + typed.end())
    return {session, chunks: count}
  }
}

/** milliseconds: a person who sat still is not sat through */
const longestPause = 2000

/** The asciicast file, written while the recording comes. */
async function writeCast(path: string, chunks: AsyncIterable<RecordingRecord[]>): Promise<number> {
  const file = await open(path, 'w', 0o600)
  const cast = createAsciicast()
  let count = 0
  try {
    for await (const chunk of chunks) {
      count += 1
      for (const line of cast.push(chunk)) await file.write(`${line}\n`)
    }
    for (const line of cast.end()) await file.write(`${line}\n`)
  } finally {
    await file.close()
  }
  return count
}
