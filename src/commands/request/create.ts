import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type {Request} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {parseDuration, parseMoment} from '@prod/sdk/cli/durations'
import {followRequest} from '@prod/sdk/cli/follow'
import {newKey} from '@prod/sdk/cli/key'
import {keepingRefusal} from '@prod/sdk/cli/last-failure'
import {takeReason} from '@prod/sdk/cli/reason'
import {showDuration} from '@prod/sdk/grammar/duration'
import {pickRole} from '../../catalog/pick.ts'
import {openStreams} from '../../channel/login.ts'

/** Asks for a role for some time. */
export default class RequestCreate extends ProdCommand {
  static override summary = 'ask for a role for some time'
  static override description = 'Waits until it is decided, unless --nowait. The grant ends by itself.'
  static override args = {role: Args.string({description: 'name of a role (prod roles)'})}
  static override flags = {
    reason: Flags.string({char: 'r', description: 'why; approvers and the log see it'}),
    duration: Flags.string({char: 'd', default: '30m', description: 'for how long', helpValue: '30m'}),
    at: Flags.string({description: 'from this time on, once approved', helpValue: 'TIME'}),
    incident: Flags.string({char: 'i', description: 'the incident this belongs to', helpValue: 'ID'}),
    nowait: Flags.boolean({description: 'do not wait: print the request id and end with 245'}),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> web-operator -d 30m --reason "drain the web tier for INC-1234"']

  async run(): Promise<Request> {
    const {args, flags} = await this.parse(RequestCreate)
    const durationSeconds = parseDuration(flags.duration)
    const role = args.role ?? (await pickRole(this.broker()))
    const {reason} = await takeReason(flags.reason, this.login)
    const request = await keepingRefusal({role}, () =>
      this.broker().call(api.createRequest, {
        key: newKey(),
        role,
        reason,
        durationSeconds,
        ...(flags.incident === undefined ? {} : {incident: flags.incident}),
        ...(flags.at === undefined ? {} : {startAt: parseMoment(flags.at, new Date())}),
      }),
    )
    if (request.state === 'pending' && flags.nowait) {
      this.log(request.id)
      this.endWith(245)
      return request
    }
    const decided =
      request.state === 'pending'
        ? await followRequest({
            ...(await openStreams(this.brokerFlag)),
            request,
            onInterrupt: act => this.onInterrupt(act),
            cancel: () => this.broker().call(api.cancelRequest, {id: request.id}),
          })
        : request
    this.log(
      `${decided.result ?? decided.id}: ${role} for ${showDuration(durationSeconds)}${flags.at === undefined ? '' : ` from ${flags.at}`}`,
    )
    return decided
  }
}
