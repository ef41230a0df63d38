import * as Flags from '@oclif/core/flags'
import type {Request} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {clientInfo} from '@prod/sdk/cli/client-info'
import {ProdCommand} from '@prod/sdk/cli/command'
import {showWhen} from '@prod/sdk/cli/durations'
import {resultUnread} from '@prod/sdk/cli/output'
import {table} from '@prod/sdk/cli/table'
import {openStream} from '@prod/sdk/stream-client'
import {openStreams} from '../../channel/login.ts'

/** The requests that a person made or may decide. */
export default class RequestLs extends ProdCommand {
  static override summary = 'list my requests and those I may decide'
  static override flags = {
    state: Flags.string({
      description: 'only those in this state',
      options: ['pending', 'approved', 'started', 'done', 'denied', 'cancelled', 'expired', 'void'],
    }),
    mine: Flags.boolean({description: 'only my own'}),
    watch: Flags.boolean({char: 'w', description: 'stay, and tell of each change'}),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> --state pending', '<%= config.bin %> <%= command.id %> --watch']

  async run(): Promise<Request[]> {
    const {flags} = await this.parse(RequestLs)
    const unread = flags.watch ? resultUnread() : undefined
    const {requests} = await this.broker().call(api.listRequests, {
      ...(flags.state === undefined ? {} : {state: flags.state}),
      ...(flags.mine ? {mine: 'true' as const} : {}),
    })
    const now = new Date()
    const rows = requests.map(one => [
      one.id,
      one.state,
      one.principal.name,
      one.environment || one.kind,
      one.summary,
      showWhen(one.createdAt, now),
      one.reason,
    ])
    this.log(table(['request', 'state', 'by', 'where', {head: 'what', prose: true}, 'asked', {head: 'reason', prose: true}], rows))
    if (requests.length === 0) this.say('no requests')
    if (unread && !this.jsonEnabled()) await this.#watch(unread)
    return requests
  }

  async #watch(unread: AbortSignal): Promise<void> {
    if (unread.aborted) return
    const connection = await openStream({...(await openStreams(this.brokerFlag)), first: {type: 'follow', client: clientInfo()}})
    this.onInterrupt(() => connection.close())
    unread.addEventListener('abort', () => connection.close())
    this.say('watching; Ctrl-C ends it')
    for await (const event of connection) {
      if (event.type !== 'message' || event.message.type !== 'request') continue
      const {id, state, principal, summary, reason} = event.message.request
      this.log([`${new Date().toTimeString().slice(0, 8)}  ${id}  ${state}  ${principal.name}  ${summary}  ${reason}`])
      if (state === 'pending' && process.stdout.isTTY) process.stderr.write('\u0007')
    }
  }
}
