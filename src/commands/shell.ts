import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {afterFailure} from '@prod/sdk/cli/after-failure'
import {clientInfo} from '@prod/sdk/cli/client-info'
import {ProdCommand} from '@prod/sdk/cli/command'
import {explainerPackages} from '@prod/sdk/cli/explainers'
import {newKey} from '@prod/sdk/cli/key'
import {keepingRefusal} from '@prod/sdk/cli/last-failure'
import {takeReason} from '@prod/sdk/cli/reason'
import {ProdError} from '@prod/sdk/errors'
import {pickTarget} from '../catalog/pick.ts'
import {openStreams} from '../channel/login.ts'
import {followShell, type ShellOutcome, sayEnded} from '../channel/shell.ts'
import {ownSize} from '../channel/terminal.ts'
import {askHowItWent} from '../metrics/question.ts'

/** A shell, the last resort. */
export default class Shell extends ProdCommand {
  static override summary = 'open a shell on a target: the last resort'
  static override description =
    'Where policy gives no shell, this is break-glass: it needs an incident, a fresh login and the target’s name typed by hand; two alerts must be accepted before it opens; all is recorded, and somebody else reviews it.'
  static override args = {target: Args.string({description: 'name of a target, or primitive:where'})}
  static override flags = {
    reason: Flags.string({char: 'r', description: 'why, in your words'}),
    incident: Flags.string({char: 'i', description: 'the incident this belongs to', helpValue: 'ID'}),
    explain: Flags.boolean({
      default: true,
      allowNo: true,
      description: 'say at the end why access was denied, where the last command failed of that (setting explainAfterFailure)',
    }),
    question: Flags.boolean({
      default: true,
      allowNo: true,
      description: 'ask at the end how it went: one key, or none (setting askAfterSession)',
    }),
    nowait: Flags.boolean({description: 'do not wait for a second person: print the request id and end with 245'}),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> local --reason "the agent is wedged" --incident INC-1234']

  async run(): Promise<ShellOutcome> {
    const {args, flags} = await this.parse(Shell)
    if (!process.stdin.isTTY || !process.stdout.isTTY) throw new ProdError('NO_TERMINAL', 'a shell needs a terminal', 'prod exec --help')
    const target = args.target ?? (await pickTarget(this.broker()))
    if (flags.reason === '-') throw new ProdError('REASON_INVALID', 'a shell takes a reason of its own', '--reason "why, in your words"')
    const {reason} = await takeReason(flags.reason)
    const {tail, ...ended} = await keepingRefusal({target, use: 'shell'}, async () =>
      followShell({
        ...(await openStreams(this.brokerFlag)),
        first: {
          type: 'shell',
          key: newKey(),
          target,
          reason,
          ...(flags.incident === undefined ? {} : {incident: flags.incident}),
          size: ownSize(),
          term: /^[A-Za-z0-9._+-]{1,64}$/.test(process.env.TERM ?? '') ? (process.env.TERM as string) : 'xterm-256color',
          confirmed: null,
          wait: !flags.nowait,
          client: clientInfo(),
        },
        onInterrupt: act => this.onInterrupt(act),
      }),
    )
    sayEnded(ended)
    if (ended.status === 245) this.log(ended.session)
    this.endWith(ended.status)
    if (ended.exit !== null && 'status' in ended.exit && ended.exit.status !== 0)
      await afterFailure(tail ?? '', {packages: explainerPackages(this.config.pjson), speaks: flags.explain})
    if (ended.exit !== null) this.usageAnswer = await askHowItWent(flags.question)
    return ended
  }
}
