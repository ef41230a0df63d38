import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type {Request} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {askText} from '@prod/sdk/cli/ask'
import {ProdCommand} from '@prod/sdk/cli/command'
import {isSame, takeRequest} from '../../channel/ids.ts'

/** Denies a request that waits. */
export default class RequestDeny extends ProdCommand {
  static override summary = 'deny a request that waits for approval'
  static override args = {request: Args.string({description: 'id of the request'})}
  static override flags = {note: Flags.string({char: 'n', description: 'why; the requester and the audit log see it'})}
  static override examples = ['<%= config.bin %> <%= command.id %> req_01k9x7h2d6b5x1v0m3q8r4t6wz --note "use the read replica"']

  async run(): Promise<Request> {
    const {args, flags} = await this.parse(RequestDeny)
    const me = async () => (await (await this.connect()).session()).principal
    const id = await takeRequest(this.broker(), args.request, {
      command: 'request deny',
      fits: async one => one.state === 'pending' && !isSame(one.principal, await me()),
      none: 'nothing waits for you',
    })
    const note = flags.note ?? (await askText({what: 'why', flag: '--note "…"'}))
    const request = await this.broker().call(api.denyRequest, {id, note})
    this.log(`denied ${request.id} of ${request.principal.name}`)
    return request
  }
}
