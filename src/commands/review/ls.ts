import type {Review} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {showWhen} from '@prod/sdk/cli/durations'
import {table} from '@prod/sdk/cli/table'

/** Reviews of break-glass sessions. */
export default class ReviewLs extends ProdCommand {
  static override summary = 'list the reviews that wait, and those done'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  async run(): Promise<Review[]> {
    await this.parse(ReviewLs)
    const {reviews} = await this.broker().call(api.listReviews)
    const now = new Date()
    const rows = reviews.map(one => [
      one.id,
      one.state === 'open' && one.dueAt < now.toISOString() ? 'OVERDUE' : one.state,
      one.session,
      one.principal.name,
      one.target.name,
      showWhen(one.dueAt, now),
      one.by?.name ?? '',
      one.verdict ?? '',
    ])
    this.log(table(['review', 'state', 'session', 'of', 'target', 'due', 'by', 'verdict'], rows))
    if (reviews.length === 0) this.say('no reviews')
    return reviews
  }
}
