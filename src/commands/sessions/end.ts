import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type {Session} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'

/** Ends a live session. */
export default class SessionsEnd extends ProdCommand {
  static override summary = 'end a live session'
  static override args = {session: Args.string({required: true, description: 'id of the session'})}
  static override flags = {note: Flags.string({char: 'n', description: 'why; the log sees it'})}
  static override examples = ['<%= config.bin %> <%= command.id %> ses_01k9x7h2d6b5x1v0m3q8r4t6wz --note "no longer needed"']

  async run(): Promise<Session> {
    const {args, flags} = await this.parse(SessionsEnd)
    const session = await this.broker().call(api.endSession, {id: args.session, ...(flags.note === undefined ? {} : {note: flags.note})})
    this.log(`ended ${session.id} of ${session.principal.name}`)
    return session
  }
}
