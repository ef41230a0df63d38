import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type {Session} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {afterFailure} from '@prod/sdk/cli/after-failure'
import {clientInfo} from '@prod/sdk/cli/client-info'
import {ProdCommand} from '@prod/sdk/cli/command'
import {explainerPackages} from '@prod/sdk/cli/explainers'
import {ProdError} from '@prod/sdk/errors'
import {followRun, type RunOutcome} from '../channel/exec.ts'
import {takeAttachable} from '../channel/ids.ts'
import {openStreams} from '../channel/login.ts'
import {writeReceipt} from '../channel/receipt-file.ts'
import {followShell, sayEnded} from '../channel/shell.ts'
import {ownSize} from '../channel/terminal.ts'
import {explainFailure} from '../explain/explain-failure.ts'
import {receiptsOf, showMany, showOutcome} from './exec.ts'

/** Takes up a run, a session or an approved request again. */
export default class Attach extends ProdCommand {
  static override summary = 'take up a run, a session or an approved request again; nothing is lost'
  static override args = {id: Args.string({description: 'run_…, ses_… or req_…'})}
  static override flags = {
    receipt: Flags.string({description: 'write the signed receipt to this file', helpValue: 'FILE'}),
    explain: Flags.boolean({
      default: true,
      allowNo: true,
      description: 'say at the end why access was denied, where it failed of that (setting explainAfterFailure)',
    }),
    raw: Flags.boolean({description: 'pass output to a terminal as it is, control characters too'}),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> run_01k9x7h2d6b5x1v0m3q8r4t6wz']

  async run(): Promise<object> {
    const {args, flags} = await this.parse(Attach)
    const id = await takeAttachable(this.broker(), args.id, async () => (await (await this.connect()).session()).principal)
    await this.#refuseForward(id)
    const streams = await openStreams(this.brokerFlag)
    const onInterrupt = (act: ((times: number) => void) | undefined) => this.onInterrupt(act)
    if (id.startsWith('ses_')) {
      if (!process.stdin.isTTY || !process.stdout.isTTY) throw new ProdError('NO_TERMINAL', 'a shell needs a terminal', 'prod exec --help')
      const {tail, ...ended} = await followShell({
        ...streams,
        first: {type: 'attach', id, have: {stdout: 0, stderr: 0}, size: ownSize(), client: clientInfo()},
        onInterrupt,
      })
      sayEnded(ended)
      this.endWith(ended.status)
      if (ended.exit !== null && 'status' in ended.exit && ended.exit.status !== 0)
        this.usageDenial = await afterFailure(tail ?? '', {packages: explainerPackages(this.config.pjson), speaks: flags.explain})
      return ended satisfies {status: number; session: Session['id']}
    }
    const outcome = await followRun({
      ...streams,
      first: {type: 'attach', id, have: {stdout: 0, stderr: 0}, stdin: !process.stdin.isTTY, client: clientInfo()},
      json: this.jsonEnabled(),
      raw: flags.raw,
      onInterrupt,
    })
    if ('pending' in outcome) return {request: outcome.pending}
    if ('many' in outcome) {
      if (flags.receipt !== undefined) writeReceipt(flags.receipt, receiptsOf(outcome))
      this.endWith(outcome.many.status)
      this.usageDenial = await explainFailure(
        outcome.many.targets.flatMap(one => one.outcome ?? []),
        this.config.pjson,
        flags.explain && !this.jsonEnabled(),
      )
      return showMany(outcome)
    }
    if (flags.receipt !== undefined) writeReceipt(flags.receipt, outcome.receipt)
    this.endWith(outcome.status)
    const shown = showOutcome(outcome)
    this.say(wordsOfEnd(outcome))
    this.usageDenial = await explainFailure([outcome], this.config.pjson, flags.explain && !this.jsonEnabled())
    return shown
  }

  /** A forward has ports on the machine that opened it: what waits is taken up by `prod forward`, what is open by nobody else. */
  async #refuseForward(id: string): Promise<void> {
    const broker = this.broker()
    const kind = id.startsWith('ses_')
      ? (await broker.call(api.showSession, {id})).kind
      : id.startsWith('req_')
        ? (await broker.call(api.showRequest, {id})).kind
        : undefined
    if (kind !== 'forward') return
    const next = id.startsWith('req_') ? `prod forward ${id}` : `prod sessions end ${id}`
    throw new ProdError('USAGE', `${id} is a forward: it is held by the command that opens it`, next)
  }
}

/** That it is over, and whether there was output that did not come here: a run that has ended keeps none for a second terminal. */
function wordsOfEnd({id, exit, receipt, stdout, stderr}: RunOutcome): string {
  const how = 'status' in exit ? `status ${exit.status}` : 'signal' in exit ? `ended by ${exit.signal}` : 'outcome unknown'
  const missing = receipt ? receipt.stdout.bytes + receipt.stderr.bytes - stdout.digest().bytes - stderr.digest().bytes : 0
  return `${id} is over: ${how}${missing > 0 ? `; ${missing} bytes of output were shown where it ran, not here` : ''}`
}
