import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type {Request} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {canAsk, confirm} from '@prod/sdk/cli/ask'
import {ProdCommand} from '@prod/sdk/cli/command'
import {Interrupted} from '@prod/sdk/cli/failure'
import {ProdError} from '@prod/sdk/errors'
import {signApproval} from '@prod/sdk/session'
import {showDocument} from '../../channel/document.ts'
import {openStreams} from '../../channel/login.ts'
import {pickRequest} from '../../channel/pick-request.ts'

/** Shows exactly what will run, and signs a yes to those bytes. */
export default class RequestApprove extends ProdCommand {
  static override summary = 'approve a request: shows exactly what will run, and signs it'
  static override args = {request: Args.string({description: 'id of the request'})}
  static override flags = {
    yes: Flags.boolean({char: 'y', description: 'do not ask again'}),
    digest: Flags.string({description: 'approve only if what waits has this digest', helpValue: 'SHA256'}),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> req_01k9x7h2d6b5x1v0m3q8r4t6wz']

  async run(): Promise<Request> {
    const {args, flags} = await this.parse(RequestApprove)
    const id = args.request ?? (await pickRequest(this.broker(), 'prod request approve ID'))
    const {document} = await this.broker().call(api.requestDocument, {id})
    const {lines, digest, document: shown} = showDocument(document)
    if (shown.request !== id) throw new ProdError('DIGEST_MISMATCH', 'the broker answered with another request', 'prod doctor')
    if (flags.digest !== undefined && flags.digest !== digest)
      throw new ProdError('DIGEST_MISMATCH', 'what waits is not what this digest names', `prod request show ${id}`)
    this.log(lines)
    if (!flags.yes) {
      if (!canAsk()) throw new ProdError('NO_TERMINAL', 'an approval is confirmed at a terminal', `prod request approve ${id} --yes`)
      if (!(await confirm({what: 'approve exactly this?', flag: '--yes'}))) throw new Interrupted()
    }
    const {session} = await openStreams(this.brokerFlag)
    const jws = signApproval(session, {digest, request: id, decision: 'approve', assurance: 'login-key'})
    const request = await this.broker().call(api.approveRequest, {id, digest, jws})
    const missing = request.approvalsNeeded - request.approvals.length
    this.log(`approved ${id} of ${request.principal.name}${missing > 0 ? `; ${missing} more needed` : ''}`)
    return request
  }
}
