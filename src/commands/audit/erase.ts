import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type {Erasure} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {showClock} from '@prod/sdk/cli/durations'
import {takeReason} from '@prod/sdk/cli/reason'
import {ProdError} from '@prod/sdk/errors'
import {showLine, showName} from '@prod/sdk/text'

/** Erases what is kept of a person, or of runs and sessions: one person asks, a second agrees. */
export default class AuditErase extends ProdCommand {
  static override summary = 'erase what is kept of a person, or the output or recording of runs and sessions; two people agree to it'
  static override description =
    'The first names a person or ids, the second the erasure: then it is gone for good, and the log says that it is, since when and by whom. The log itself stays whole: audit verify passes as before. Exports, backups and receipts that others keep are not reached.'
  static override strict = false
  static override args = {id: Args.string({description: 'runs and sessions whose output or recording goes; or the erasure to agree to'})}
  static override flags = {
    person: Flags.string({
      description: 'all that is kept of this person: their person id, as audit search --by takes it',
      helpValue: 'PERSON',
      exclusive: ['show'],
    }),
    reason: Flags.string({char: 'r', description: 'why; the log keeps it, so it must not name the person', exclusive: ['show']}),
    show: Flags.boolean({description: 'what was asked for, and what has been erased'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> --person alice --reason "left in May, ticket HR-204"',
    '<%= config.bin %> <%= command.id %> run_01mtpxa9b7kq4w2ze ses_01mtpxb2c8mr5x3af --reason "customer data in it, ticket 4711"',
    '<%= config.bin %> <%= command.id %> era_01mtpxc4d9ns6y4bg --reason "seen and agreed, ticket HR-204"',
    '<%= config.bin %> <%= command.id %> --show',
  ]

  async run(): Promise<Erasure | Erasure[]> {
    const {flags, argv} = await this.parse(AuditErase)
    const ids = argv as string[]
    const now = new Date()
    if (flags.show) {
      const {erasures} = await this.broker().call(api.listErasures)
      this.log(erasures.flatMap(one => words(one, now)))
      if (erasures.length === 0) this.say('nothing was ever erased, nor asked for')
      return erasures
    }
    const erasure = await this.#erase(ids, flags)
    this.log(words(erasure, now))
    return erasure
  }

  async #erase(ids: string[], flags: {person?: string | undefined; reason?: string | undefined}): Promise<Erasure> {
    const agreed = ids.find(id => id.startsWith('era_'))
    const isMixed = agreed !== undefined && (ids.length > 1 || flags.person !== undefined)
    if (isMixed || (ids.length > 0 && flags.person !== undefined) || (ids.length === 0 && flags.person === undefined))
      throw new ProdError(
        'USAGE',
        'one person, or runs and sessions, or one erasure to agree to',
        'prod audit erase --person PERSON --reason …',
      )
    const stranger = ids.find(id => !/^(run|ses|era)_/.test(id))
    if (stranger !== undefined)
      throw new ProdError(
        'USAGE',
        `${stranger} is no run, session or erasure`,
        `prod audit erase --person ${stranger} --reason …, if it is a person`,
      )
    const {reason, reused} = await takeReason(flags.reason, this.login)
    if (reused) throw new ProdError('REASON_INVALID', 'an erasure takes its own reason', 'prod audit erase --reason "why, in your words"')
    const broker = this.broker()
    if (agreed !== undefined) return broker.call(api.agreeErasure, {id: agreed, reason})
    return broker.call(api.askErasure, flags.person === undefined ? {things: ids, reason} : {person: flags.person, reason})
  }
}

function words({id, state, about, person, things, by, reason, askedAt, until, agreedBy, doneAt, erased}: Erasure, now: Date): string[] {
  const what = about === 'person' ? (person === null ? 'all of a person' : `all of ${showName(person)}`) : things.join(' ')
  const asked = `${id}  ${what}: asked for by ${showName(by)} at ${showClock(askedAt, now)}: ${showLine(reason)}`
  if (state === 'asked') return [asked, `  a second person agrees until ${showClock(until, now)}: prod audit erase ${id} --reason …`]
  if (state === 'lapsed') return [asked, '  nobody agreed in time; nothing was erased']
  if (state === 'agreed' || !erased || doneAt === null) return [asked, `  agreed to by ${showName(agreedBy ?? '')}; it is being erased`]
  const {texts, outputs, recordings, records} = erased
  return [
    asked,
    `  erased at ${showClock(doneAt, now)}, agreed to by ${showName(agreedBy ?? '')}: ${some(texts, 'text')} of the log, ${some(outputs, 'output')}, ${some(recordings, 'recording')}, ${some(records, 'record')}`,
  ]
}

function some(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
