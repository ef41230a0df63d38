import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {clientInfo} from '@prod/sdk/cli/client-info'
import {ProdCommand} from '@prod/sdk/cli/command'
import {passBytes} from '@prod/sdk/cli/output'
import {takeSession} from '../../channel/ids.ts'
import {openStreams} from '../../channel/login.ts'
import {followShell} from '../../channel/shell.ts'
import {giveBack} from '../../channel/terminal.ts'

/** Watches a live session. */
export default class SessionsWatch extends ProdCommand {
  static override summary = 'watch a live session; Ctrl-C stops watching'
  static override description =
    'What is shown from now on, as text that acts on nothing; --raw lets the session’s bytes act on this terminal. That you watch is recorded.'
  static override args = {session: Args.string({description: 'id of the session'})}
  static override flags = {raw: Flags.boolean({description: 'let control sequences act on this terminal, as they do there'})}
  static override examples = ['<%= config.bin %> <%= command.id %> ses_01k9x7h2d6b5x1v0m3q8r4t6wz']

  async run(): Promise<{session: string}> {
    const {args, flags} = await this.parse(SessionsWatch)
    const session = await takeSession(this.broker(), args.session, {command: 'sessions watch', fits: one => one.state === 'open'})
    const first = {type: 'watch', session, client: clientInfo()} as const
    await followShell({...(await openStreams(this.brokerFlag)), first, plain: !flags.raw, onInterrupt: act => this.onInterrupt(act)})
    if (flags.raw && process.stdout.isTTY) await passBytes('stdout', giveBack)
    return {session}
  }
}
