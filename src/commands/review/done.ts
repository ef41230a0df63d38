import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type {Review} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {askText, pick} from '@prod/sdk/cli/ask'
import {ProdCommand} from '@prod/sdk/cli/command'
import {checkNote} from '@prod/sdk/reason'
import {takeReview} from '../../channel/ids.ts'

const verdicts = ['ok', 'follow-up', 'violation'] as const

/** Files the review of somebody else's break-glass session. */
export default class ReviewDone extends ProdCommand {
  static override summary = 'file the review of a break-glass session'
  static override args = {review: Args.string({description: 'id of the review'})}
  static override flags = {
    verdict: Flags.string({options: [...verdicts], description: 'what was found'}),
    note: Flags.string({char: 'n', description: 'in words: what was done, and what must follow'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> rev_01k9x7h2d6b5x1v0m3q8r4t6wz --verdict ok --note "restarted the agent, as the incident says"',
  ]

  async run(): Promise<Review> {
    const {args, flags} = await this.parse(ReviewDone)
    const id = await takeReview(this.broker(), args.review, 'review done')
    const verdict = (flags.verdict ??
      (await pick({
        what: 'verdict',
        choices: verdicts.map(name => ({name, value: name})),
        instead: '--verdict ok',
      }))) as (typeof verdicts)[number]
    const note =
      flags.note === undefined ? await askText({what: 'what was found', flag: '--note "…"', check: checkNote}) : checkNote(flags.note)
    const review = await this.broker().call(api.doneReview, {
      id,
      verdict,
      note,
    })
    this.log(`${review.id} of ${review.principal.name} is done: ${review.verdict}`)
    return review
  }
}
