import * as Flags from '@oclif/core/flags'
import type {Freeze} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {showClock} from '@prod/sdk/cli/durations'
import {takeReason} from '@prod/sdk/cli/reason'
import {ProdError} from '@prod/sdk/errors'
import {showLine, showName} from '@prod/sdk/text'

/** `again`: it was frozen before, and this one changed nothing. */
type Answer = {freeze: Freeze | null; again?: boolean}

/** Lets nothing that changes production start, until two people lift it. */
export default class FreezeCommand extends ProdCommand {
  static override summary = 'stop every new change, shell and admin command in production; two people lift it'
  static override description =
    'What runs goes on, reads too (not with --all). Requests and approvals stay, unused. Break-glass goes through a freeze and says so.'
  static override flags = {
    reason: Flags.string({char: 'r', description: 'why; everybody who is stopped sees it, and the log', exclusive: ['show']}),
    all: Flags.boolean({description: 'stop reads too', exclusive: ['lift', 'show']}),
    lift: Flags.boolean({description: 'one of the two who let it go again', exclusive: ['show']}),
    show: Flags.boolean({description: 'whether production is frozen, by whom and why'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> --reason "payments lose money, INC-1234"',
    '<%= config.bin %> <%= command.id %> --lift --reason "the cause is found and undone"',
    '<%= config.bin %> <%= command.id %> --show',
  ]

  async run(): Promise<Answer> {
    const {flags} = await this.parse(FreezeCommand)
    const answer = await this.#ask(flags)
    this.log(wordsOf(answer))
    return answer
  }

  async #ask(flags: {reason?: string | undefined; all: boolean; lift: boolean; show: boolean}): Promise<Answer> {
    const broker = this.broker()
    if (flags.show) return broker.call(api.showFreeze)
    const {reason, reused} = await takeReason(flags.reason, this.login)
    if (reused) throw new ProdError('REASON_INVALID', 'a freeze takes its own reason', 'prod freeze --reason "why, in your words"')
    return flags.lift ? broker.call(api.liftFreeze, {reason}) : broker.call(api.freeze, {reason, ...(flags.all ? {all: true} : {})})
  }
}

function wordsOf({freeze, again}: Answer): string[] {
  if (!freeze) return ['nothing is frozen']
  const {all, by, since, reason, lift} = freeze
  const now = new Date()
  return [
    `${again ? 'already ' : ''}frozen by ${showName(by)} since ${showClock(since, now)}: ${showLine(reason)}${again ? '; yours is noted' : ''}`,
    all ? 'nothing starts, reads neither' : 'reads go on; nothing of class change, admin or shell starts',
    lift
      ? `${showName(lift.by)} wants to lift it: a second person may agree until ${showClock(lift.until, now)}`
      : 'two people lift it: prod freeze --lift --reason …',
  ]
}
