import {isatty} from 'node:tty'
import * as Flags from '@oclif/core/flags'
import type {Exit, Receipt} from '@prod/sdk'
import {canAsk} from '@prod/sdk/cli/ask'
import {clientInfo} from '@prod/sdk/cli/client-info'
import {ProdCommand} from '@prod/sdk/cli/command'
import {parseMoment} from '@prod/sdk/cli/durations'
import {newKey} from '@prod/sdk/cli/key'
import {keepingRefusal} from '@prod/sdk/cli/last-failure'
import {say} from '@prod/sdk/cli/output'
import {takeReason} from '@prod/sdk/cli/reason'
import {type ErrorDescription, ProdError} from '@prod/sdk/errors'
import {pickTool} from '../catalog/pick.ts'
import {followRun, type OnMany, type RunOutcome} from '../channel/exec.ts'
import {openStreams} from '../channel/login.ts'
import {writeReceipt} from '../channel/receipt-file.ts'
import {isFreshFile, refuseUnread} from '../channel/stdin-file.ts'
import {explainFailure} from '../explain/explain-failure.ts'

/** What `exec --json` prints. */
interface ExecResult {
  run: string
  request: string
  target: string
  exit: Exit
  endedBy: string | null
  stdout: {text: string} | {base64: string}
  stderr: {text: string} | {base64: string}
  truncated: boolean
  receipt: Receipt | null
}

/** One target of a run on many, as `exec --json` prints it: what a run prints, or why there was none. */
export type TargetResult = {target: string; environment: string; state: string; error: ErrorDescription | null} & Partial<ExecResult>

/** Runs a tool through the broker; exits with the tool's own status. */
export default class Exec extends ProdCommand {
  static override summary = 'run a tool in production through the broker'
  static override description =
    'Our options stop at TOOL: all after it is the tool’s. Waits for approval where policy asks for it. Exits with the tool’s own status; 240-249 are prod’s (docs/errors.md).'
  static override strict = false
  static override usage = 'exec [--reason R] [--on TARGET…] [--wait|--nowait] [--break-glass --incident ID] TOOL [ARGS…]'
  static override flags = {
    reason: Flags.string({
      char: 'r',
      description: 'why; approvers and the log see it. - takes the last one (20 minutes at most, read-only commands)',
    }),
    on: Flags.string({
      description: 'the target; several times, label=value[,label=value…] or all: on many targets, as the tool allows',
      helpValue: 'TARGET',
      multiple: true,
      multipleNonGreedy: true,
    }),
    incident: Flags.string({description: 'the incident this belongs to', helpValue: 'ID'}),
    wait: Flags.boolean({default: true, allowNo: false, description: 'wait for approval (the default)', exclusive: ['nowait']}),
    nowait: Flags.boolean({description: 'do not wait for approval: print the request id and end with 245'}),
    'break-glass': Flags.boolean({
      description:
        'in an emergency: at once, on one target, alerted, recorded and reviewed; asks for the target’s name to be typed by hand',
      exclusive: ['at'],
    }),
    at: Flags.string({description: 'start at this time, once approved', helpValue: 'TIME'}),
    receipt: Flags.string({description: 'write the signed receipt to this file', helpValue: 'FILE'}),
    explain: Flags.boolean({
      default: true,
      allowNo: true,
      description: 'say on stderr why access was denied, where the tool failed of that (setting explainAfterFailure)',
    }),
    raw: Flags.boolean({description: 'pass output to a terminal as it is, control characters too'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> --reason "look at the disk alert" df -h',
    '<%= config.bin %> <%= command.id %> -r "payments time out, INC-1234" web restart',
    '<%= config.bin %> <%= command.id %> -r "restart after the update" --on environment=staging,rack=a web restart',
    '<%= config.bin %> <%= command.id %> --break-glass --incident INC-1234 -r "payments time out" web restart',
    '<%= config.bin %> <%= command.id %> --json -r "nightly check of the queue" web status',
  ]

  async run(): Promise<ExecResult | {request: string} | TargetResult[]> {
    const {flags, argv} = await this.parse(Exec)
    let words = argv as string[]
    if (words.some(word => word.includes('\ufffd')))
      throw new ProdError('ARGV_INVALID', 'an argument is not well-formed UTF-8', 'prod exec --help', {
        position: words.findIndex(word => word.includes('\ufffd')),
      })
    if (words.length === 0) words = [await pickTool(this.broker())]
    this.usageTool = words[0]
    if (flags['break-glass']) this.#needTerminal(flags.reason)
    if (isFreshFile()) await refuseUnread(this.broker(), words)
    const {reason, reused} = await takeReason(flags.reason, this.login)
    const outcome = await keepingRefusal({argv: words, targets: flags.on ?? []}, async () =>
      followRun({
        ...(await openStreams(this.brokerFlag)),
        first: {
          type: 'exec',
          key: newKey(),
          argv: words,
          targets: flags.on ?? [],
          reason,
          ...(reused ? {reasonReused: true} : {}),
          ...(flags.incident === undefined ? {} : {incident: flags.incident}),
          ...(flags['break-glass'] ? {breakGlass: {confirmed: null}} : {}),
          wait: !flags.nowait,
          ...(flags.at === undefined ? {} : {startAt: parseMoment(flags.at, new Date())}),
          stdin: !isatty(0),
          client: clientInfo(),
        },
        json: this.jsonEnabled(),
        raw: flags.raw,
        onInterrupt: act => this.onInterrupt(act),
      }),
    )
    if ('pending' in outcome) {
      this.log(outcome.pending)
      if (process.stderr.isTTY) this.say(`prod attach ${outcome.pending} waits for it`)
      this.endWith(245)
      return {request: outcome.pending}
    }
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
    this.usageDenial = await explainFailure([outcome], this.config.pjson, flags.explain && !this.jsonEnabled())
    return shown
  }

  /** Said before anything is asked or sent: nothing confirms a break-glass but a hand. */
  #needTerminal(reason: string | undefined): void {
    if (!canAsk()) {
      const [why, instead] = this.jsonEnabled()
        ? ['--json asks nobody', 'the same command without --json']
        : ['there is no terminal to ask at', 'type the same command at a terminal']
      throw new ProdError('NO_TERMINAL', `break-glass is confirmed by hand, and ${why}`, instead)
    }
    if (reason === '-') throw new ProdError('REASON_INVALID', 'break-glass takes a reason of its own', '--reason "why, in your words"')
  }
}

/** What `--json` prints of a run on many targets: one entry for each, whatever came of it. */
export function showMany({many}: OnMany): TargetResult[] {
  return many.targets.map(({target, environment, state, outcome, error}) => ({
    ...(outcome ? resultOf(outcome) : {}),
    target,
    environment,
    state,
    error,
  }))
}

/** The receipts of all targets that ran. */
export function receiptsOf({many}: OnMany): Receipt[] {
  return many.targets.flatMap(({outcome}) => outcome?.receipt ?? [])
}

/** Says what the person must know beyond the output, and gives what `--json` prints. */
export function showOutcome(outcome: RunOutcome): ExecResult {
  const {id, exit, endedBy, receipt, breakGlass} = outcome
  if ('unknown' in exit) say(`the outcome of ${id} is unknown: ${exit.unknown}`)
  else if (endedBy !== null) say(`${id} was ended: ${endedBy}`)
  if (process.stderr.isTTY && receipt) say(`receipt: ${id}, entry ${receipt.log.index} of the log`)
  if (breakGlass) say(`${id} was break-glass, and its review waits: prod review ls`)
  return resultOf(outcome)
}

function resultOf({id, request, target, exit, endedBy, stdout, stderr, receipt}: RunOutcome): ExecResult {
  return {
    run: id,
    request,
    target,
    exit,
    endedBy,
    stdout: stdout.kept(),
    stderr: stderr.kept(),
    truncated: stdout.cut() || stderr.cut(),
    receipt,
  }
}
