import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type {Run, Session} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {takeSession} from '../../channel/ids.ts'

/** Ends a live session, or a break-glass that runs. */
export default class SessionsEnd extends ProdCommand {
  static override summary = 'end a live session, or a break-glass that runs'
  static override args = {session: Args.string({description: 'id of the session, or of the run'})}
  static override flags = {note: Flags.string({char: 'n', description: 'why; the log sees it'})}
  static override examples = ['<%= config.bin %> <%= command.id %> ses_01k9x7h2d6b5x1v0m3q8r4t6wz --note "no longer needed"']

  async run(): Promise<Session | Run> {
    const {args, flags} = await this.parse(SessionsEnd)
    const id = await takeSession(this.broker(), args.session, {command: 'sessions end', fits: one => one.state === 'open', orRun: true})
    const asked = {id, ...(flags.note === undefined ? {} : {note: flags.note})}
    const ended = await (id.startsWith('run_') ? this.broker().call(api.endRun, asked) : this.broker().call(api.endSession, asked))
    this.log(`ended ${ended.id} of ${ended.principal.name}`)
    return ended
  }
}
