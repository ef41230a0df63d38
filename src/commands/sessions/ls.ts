import type {Session} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {showWhen} from '@prod/sdk/cli/durations'
import {table} from '@prod/sdk/cli/table'

/** Shells and forwards, open and closed. */
export default class SessionsLs extends ProdCommand {
  static override summary = 'list the sessions I may see'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  async run(): Promise<Session[]> {
    await this.parse(SessionsLs)
    const {sessions} = await this.broker().call(api.listSessions)
    const now = new Date()
    const rows = sessions.map(one => [
      one.id,
      one.state,
      one.principal.name,
      one.target.name,
      [
        ...(one.breakGlass ? ['BREAK-GLASS'] : []),
        ...(one.offline ? ['offline'] : []),
        ...(one.kind === 'forward' ? ['forward'] : one.breakGlass ? [] : ['shell']),
      ].join(' '),
      showWhen(one.openedAt, now),
      one.review ?? '',
      one.reason,
    ])
    this.log(table(['session', 'state', 'by', 'target', 'kind', 'opened', 'review', {head: 'reason', prose: true}], rows))
    if (sessions.length === 0) this.say('no sessions')
    return sessions
  }
}
