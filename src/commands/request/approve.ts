import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type {Principal, Request} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {canAsk, confirm} from '@prod/sdk/cli/ask'
import {ProdCommand} from '@prod/sdk/cli/command'
import {Interrupted} from '@prod/sdk/cli/failure'
import {ProdError} from '@prod/sdk/errors'
import {signApproval} from '@prod/sdk/session'
import {showDocument} from '../../channel/document.ts'
import {isSame, takeRequest} from '../../channel/ids.ts'
import {openStreams} from '../../channel/login.ts'

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
    const me = async () => (await (await this.connect()).session()).principal
    const id = await takeRequest(this.broker(), args.request, {
      command: 'request approve',
      fits: async one => one.state === 'pending' && !isSame(one.principal, await me()),
      none: 'nothing waits for you',
    })
    const [request, {document}] = await Promise.all([
      this.broker().call(api.showRequest, {id}),
      this.broker().call(api.requestDocument, {id}),
    ])
    if (!flags.yes) refuseEarly(request, await me())
    const {lines, digest, document: shown} = showDocument(document)
    if (shown.request !== id) throw new ProdError('DIGEST_MISMATCH', 'the broker answered with another request', 'prod doctor')
    if (flags.digest !== undefined && flags.digest !== digest)
      throw new ProdError('DIGEST_MISMATCH', 'what waits is not what this digest names', `prod request show ${id}`)
    this.log(lines)
    if (!flags.yes) {
      if (!canAsk()) throw new ProdError('NO_TERMINAL', 'an approval is confirmed at a terminal', `prod request approve ${id} --yes`)
      if (!(await confirm({what: 'approve exactly this?', flag: '--yes'}))) {
        this.say(`not approved; prod request deny ${id} says no to it`)
        throw new Interrupted()
      }
    }
    const {session} = await openStreams(this.brokerFlag)
    const jws = signApproval(session, {digest, request: id, decision: 'approve', assurance: 'login-key'})
    const approved = await this.broker().call(api.approveRequest, {id, digest, jws})
    const missing = approved.approvalsNeeded - approved.approvals.length
    this.log(`approved ${id} of ${approved.principal.name}${missing > 0 ? `; ${missing} more needed` : ''}`)
    return approved
  }
}

/** What the broker would refuse anyhow is said before anybody reads and confirms; the broker's own word is still the one that counts. */
function refuseEarly({id, state, principal}: Request, me: Principal): void {
  if (state !== 'pending') throw new ProdError('ALREADY_DECIDED', `request ${id} is ${state} already`, `prod request show ${id}`)
  if (isSame(principal, me)) throw new ProdError('SELF_APPROVAL', 'nobody approves their own request', 'prod request ls --mine')
}
