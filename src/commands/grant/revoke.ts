import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {api, type RevokedGrant} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {takeGrant} from '../../channel/ids.ts'

/** Ends a grant now. */
export default class GrantRevoke extends ProdCommand {
  static override summary = 'end a grant now: my own is handed back, another’s is revoked'
  static override args = {grant: Args.string({description: 'id of the grant'})}
  static override flags = {note: Flags.string({char: 'n', description: 'why; the log sees it'})}
  static override examples = ['<%= config.bin %> <%= command.id %> grant_01k9x7h2d6b5x1v0m3q8r4t6wz']

  async run(): Promise<RevokedGrant> {
    const {args, flags} = await this.parse(GrantRevoke)
    const id = await takeGrant(this.broker(), args.grant, 'grant revoke')
    const grant = await this.broker().call(api.revokeGrant, {id, ...(flags.note === undefined ? {} : {note: flags.note})})
    this.log(`${grant.id} is ${grant.state}; ended with it: ${grant.endedRuns} runs, ${grant.endedSessions} sessions`)
    const {refusedAfterMs} = grant
    if (typeof refusedAfterMs === 'number') this.log(`a call under it was refused after ${(refusedAfterMs / 1000).toFixed(1)} s`)
    return grant
  }
}
