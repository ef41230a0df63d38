import * as Flags from '@oclif/core/flags'
import type {Grant} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {showWhen} from '@prod/sdk/cli/durations'
import {table} from '@prod/sdk/cli/table'

/** Grants: what somebody holds, and until when. */
export default class GrantLs extends ProdCommand {
  static override summary = 'list my grants'
  static override flags = {all: Flags.boolean({char: 'a', description: 'those of others too, where I may approve their role'})}
  static override examples = ['<%= config.bin %> <%= command.id %>']

  async run(): Promise<Grant[]> {
    const {flags} = await this.parse(GrantLs)
    const {grants} = await this.broker().call(api.listGrants, flags.all ? {all: 'true'} : {})
    const now = new Date()
    this.log(
      table(
        ['grant', 'state', 'role', 'of', 'from', 'until'],
        grants.map(one => [
          one.id,
          one.state,
          one.role,
          one.principal.name,
          showWhen(one.startsAt, now),
          showWhen(one.endedAt ?? one.expiresAt, now),
        ]),
      ),
    )
    if (grants.length === 0) this.say('no grants')
    return grants
  }
}
