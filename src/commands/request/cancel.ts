import * as Args from '@oclif/core/args'
import type {Request} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'

/** Cancels a request of one's own. */
export default class RequestCancel extends ProdCommand {
  static override summary = 'cancel a request of my own'
  static override args = {request: Args.string({required: true, description: 'id of the request'})}
  static override examples = ['<%= config.bin %> <%= command.id %> req_01k9x7h2d6b5x1v0m3q8r4t6wz']

  async run(): Promise<Request> {
    const {args} = await this.parse(RequestCancel)
    const request = await this.broker().call(api.cancelRequest, {id: args.request})
    this.log(`cancelled ${request.id}`)
    return request
  }
}
