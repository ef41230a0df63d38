import {readFileSync, writeFileSync} from 'node:fs'
import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {passBytes} from '@prod/sdk/cli/output'
import {ProdError} from '@prod/sdk/errors'
import {createStreamSanitiser} from '@prod/sdk/text'
import {openRecording, toAsciicastText} from '../../channel/recording.ts'

/** Replays a recording. It is opened on this machine, with the reader's own key. */
export default class SessionsPlay extends ProdCommand {
  static override summary = 'replay a recording'
  static override description = 'The recording is sealed to security’s key; it is opened on this machine alone. --cast writes an asciicast v2 file.'
  static override args = {session: Args.string({required: true, description: 'id of the session'})}
  static override flags = {
    identity: Flags.string({description: 'file with the age identity that opens it; else PROD_RECORDING_IDENTITY', helpValue: 'FILE', env: 'PROD_RECORDING_IDENTITY'}),
    speed: Flags.string({description: 'how many times as fast; 0: at once', default: '1', helpValue: 'N'}),
    cast: Flags.string({description: 'write an asciicast v2 file instead', helpValue: 'FILE'}),
    input: Flags.boolean({description: 'show what was typed as well'}),
    raw: Flags.boolean({description: 'let control sequences act on this terminal, as they did then'}),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> ses_01k9x7h2d6b5x1v0m3q8r4t6wz --identity ~/security.age --raw']

  async run(): Promise<{session: string; chunks: number; cast?: string}> {
    const {args, flags} = await this.parse(SessionsPlay)
    if (flags.identity === undefined) throw new ProdError('USAGE', 'a recording is opened with an age identity', `prod sessions play ${args.session} --identity FILE`)
    const speed = Number(flags.speed)
    if (!(speed >= 0)) throw new ProdError('USAGE', `${flags.speed} is no speed`, '--speed 4')
    const {session, chunks} = await this.broker().call(api.recording, {id: args.session})
    const opened = await openRecording(chunks, readIdentity(flags.identity))
    if (flags.cast !== undefined) {
      writeFileSync(flags.cast, toAsciicastText(opened), {mode: 0o600})
      this.log(`wrote ${flags.cast}`)
      return {session: session.id, chunks: chunks.length, cast: flags.cast}
    }
    const sanitiser = flags.raw ? undefined : createStreamSanitiser()
    let at = 0
    let stopped = false
    let wake = () => {}
    this.onInterrupt(() => {
      stopped = true
      wake()
    })
    for (const record of opened.flat()) {
      if (stopped) break
      if (record.stream !== 1 && !(flags.input && record.stream === 0)) continue
      const pause = speed === 0 || !process.stdout.isTTY ? 0 : Math.min(2000, (record.at - at) / 1000 / speed)
      at = record.at
      if (pause > 1) {
        await new Promise<void>(resolve => {
          wake = resolve
          setTimeout(resolve, pause)
        })
      }
      if (!this.jsonEnabled()) await passBytes('stdout', sanitiser ? sanitiser.push(record.bytes) : record.bytes)
    }
    if (sanitiser && !this.jsonEnabled()) await passBytes('stdout', sanitiser.end())
    return {session: session.id, chunks: chunks.length}
  }
}

function readIdentity(path: string): string {
  try {
    const line = readFileSync(path, 'utf8').split('\n').find(one => one.startsWith('AGE-SECRET-KEY-'))
    if (line) return line.trim()
  } catch (cause) {
    throw new ProdError('USAGE', `${path} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, '--identity FILE', {cause})
  }
  throw new ProdError('USAGE', `${path} holds no age identity`, '--identity FILE')
}
