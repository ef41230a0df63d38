import * as Args from '@oclif/core/args'
import type {Request} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {isSame, takeRequest} from '../../channel/ids.ts'

/** Cancels a request of one's own. */
export default class RequestCancel extends ProdCommand {
  static override summary = 'cancel a request of my own'
  static override args = {request: Args.string({description: 'id of the request'})}
  static override examples = ['<%= config.bin %> <%= command.id %> req_01k9x7h2d6b5x1v0m3q8r4t6wz']

  async run(): Promise<Request> {
    const {args} = await this.parse(RequestCancel)
    const me = async () => (await (await this.connect()).session()).principal
    const id = await takeRequest(this.broker(), args.request, {
      command: 'request cancel',
      fits: async one => (one.state === 'pending' || one.state === 'approved') && isSame(one.principal, await me()),
    })
    const request = await this.broker().call(api.cancelRequest, {id})
    this.log(`cancelled ${request.id}`)
    return request
  }
}
