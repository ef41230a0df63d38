import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {afterFailure} from '@prod/sdk/cli/after-failure'
import {askText, pick} from '@prod/sdk/cli/ask'
import {clientInfo} from '@prod/sdk/cli/client-info'
import {ProdCommand} from '@prod/sdk/cli/command'
import {chooseBroker, readConfig} from '@prod/sdk/cli/config'
import {explainerPackages} from '@prod/sdk/cli/explainers'
import {newKey} from '@prod/sdk/cli/key'
import {keepingRefusal} from '@prod/sdk/cli/last-failure'
import {takeReason} from '@prod/sdk/cli/reason'
import {ProdError} from '@prod/sdk/errors'
import {pickTarget} from '../catalog/pick.ts'
import {statusOf} from '../channel/exec.ts'
import {openStreams} from '../channel/login.ts'
import {followShell, type ShellOutcome, sayEnded} from '../channel/shell.ts'
import {ownSize, ownTerm} from '../channel/terminal.ts'
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
    offline: Flags.boolean({
      description: 'the broker is gone: go there by the break-glass kit and your own role, as loud as ever (prod break-glass status)',
    }),
    nowait: Flags.boolean({description: 'do not wait for a second person: print the request id and end with 245'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> local --reason "the agent is wedged" --incident INC-1234',
    '<%= config.bin %> <%= command.id %> web-1 --offline --reason "the agent is wedged" --incident INC-1234',
  ]

  async run(): Promise<ShellOutcome> {
    const {args, flags} = await this.parse(Shell)
    if (!process.stdin.isTTY || !process.stdout.isTTY) throw new ProdError('NO_TERMINAL', 'a shell needs a terminal', 'prod exec --help')
    if (flags.offline) return this.#offline(args.target, flags)
    const target = await pickTarget(this.broker(), args.target)
    if (flags.reason === '-') throw new ProdError('REASON_INVALID', 'a shell takes a reason of its own', '--reason "why, in your words"')
    const {reason} = await takeReason(flags.reason, this.login)
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
          term: ownTerm(),
          confirmed: null,
          wait: !flags.nowait,
          client: clientInfo(),
        },
        onInterrupt: act => this.onInterrupt(act),
      }),
    ).catch(async (error: unknown) => {
      const {isBrokerGone, withWayOut} = await import('../offline/possible.ts')
      throw isBrokerGone(error) ? await withWayOut(error, chooseBroker(readConfig(), this.brokerFlag), target) : error
    })
    sayEnded(ended)
    if (ended.status === 245) this.log(ended.session)
    this.endWith(ended.status)
    if (ended.exit !== null && 'status' in ended.exit && ended.exit.status !== 0)
      this.usageDenial = await afterFailure(tail ?? '', {packages: explainerPackages(this.config.pjson), speaks: flags.explain})
    if (ended.exit !== null) this.usageAnswer = await askHowItWent(flags.question)
    return ended
  }

  /** The same without the broker, once it is seen that it is gone. */
  async #offline(named: string | undefined, flags: {reason?: string | undefined; incident?: string | undefined}): Promise<ShellOutcome> {
    const [{offlineShell}, {openKit}, {refuseWhereBrokerAnswers}] = await Promise.all([
      import('../offline/shell.ts'),
      import('../offline/kit.ts'),
      import('../offline/possible.ts'),
    ])
    await refuseWhereBrokerAnswers(this.brokerFlag)
    const kit = await openKit(chooseBroker(readConfig(), this.brokerFlag))
    const choices = kit.claims.targets.map(({name, environment, role}) => ({name, note: `${environment}  by ${role}`, value: name}))
    const target = named ?? (await pick({what: 'target', choices, instead: 'prod shell TARGET --offline'}))
    if (flags.reason === '-') throw new ProdError('REASON_INVALID', 'a shell takes a reason of its own', '--reason "why, in your words"')
    const {reason} = await takeReason(flags.reason)
    const incident = flags.incident ?? (await askText({what: 'incident', flag: '--incident INC-1234'}))
    const {session, exit, endedBy} = await offlineShell({config: this.config, kit, target, reason, incident, term: ownTerm()})
    const how = endedBy === null ? 'is closed' : `was ended: ${endedBy}`
    this.say(`${session} ${how}; it is handed in as soon as the broker answers: prod break-glass hand-in`)
    const status = statusOf({exit, endedBy})
    this.endWith(status)
    return {status, session, exit, endedBy, breakGlass: true}
  }
}
