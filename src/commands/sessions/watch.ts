import * as Args from '@oclif/core/args'
import {ProdCommand} from '@prod/sdk/cli/command'
import {clientInfo} from '../../channel/client-info.ts'
import {openStreams} from '../../channel/login.ts'
import {followShell} from '../../channel/shell.ts'

/** Watches a live session. */
export default class SessionsWatch extends ProdCommand {
  static override summary = 'watch a live session; Ctrl-C stops watching'
  static override description = 'The session’s bytes go to the terminal as they are. That you watch is recorded.'
  static override args = {session: Args.string({required: true, description: 'id of the session'})}
  static override examples = ['<%= config.bin %> <%= command.id %> ses_01k9x7h2d6b5x1v0m3q8r4t6wz']

  async run(): Promise<{session: string}> {
    const {args} = await this.parse(SessionsWatch)
    await followShell({...(await openStreams(this.brokerFlag)), first: {type: 'watch', session: args.session, client: clientInfo()}, onInterrupt: act => this.onInterrupt(act)})
    return {session: args.session}
  }
}
