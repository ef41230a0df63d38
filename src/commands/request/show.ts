import * as Args from '@oclif/core/args'
import type {Request} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {showClock} from '@prod/sdk/cli/durations'
import {showDocument} from '../../channel/document.ts'
import {takeRequest} from '../../channel/ids.ts'

/** One request, with exactly what would run. */
export default class RequestShow extends ProdCommand {
  static override summary = 'show a request: what exactly would run, for whom, why'
  static override args = {request: Args.string({description: 'id of the request, such as req_01k9x7h2'})}
  static override examples = ['<%= config.bin %> <%= command.id %> req_01k9x7h2d6b5x1v0m3q8r4t6wz']

  async run(): Promise<Request & {document: string}> {
    const {args} = await this.parse(RequestShow)
    const id = await takeRequest(this.broker(), args.request, {command: 'request show'})
    const [request, {document}] = await Promise.all([
      this.broker().call(api.showRequest, {id}),
      this.broker().call(api.requestDocument, {id}),
    ])
    const {lines} = showDocument(document)
    const people = request.approvals.map(one => one.by).join(', ')
    this.log([
      `${request.id}  ${request.state}${request.note ? `: ${request.note}` : ''}`,
      ...lines,
      `approvals:    ${request.approvals.length} of ${request.approvalsNeeded}${people ? `, by ${people}` : ''}${request.approvers.length > 0 ? `; can approve: ${request.approvers.join(', ')}` : ''}`,
      `until:        ${showClock(request.expiresAt, new Date())}`,
      ...(request.result ? [`became:       ${request.result}`] : []),
    ])
    return {...request, document}
  }
}
