import * as Flags from '@oclif/core/flags'
import {api, type MetricsReport} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {parseSince} from '@prod/sdk/cli/durations'
import {terminalWidth} from '@prod/sdk/cli/output'
import {showReport} from '../metrics/terminal.ts'

/** How far people's access is from none at all. */
export default class Metrics extends ProdCommand {
  static override summary = 'show how people reach production'
  static override description =
    'Figures from the log; they name nobody. docs/metrics.md says what counts, and gives the SQL. --html writes one page that needs nothing else.'
  static override flags = {
    since: Flags.string({description: 'from then on: 7d, 2h, or 2026-11-22T14:30:00Z', default: '30d', helpValue: 'WHEN'}),
    until: Flags.string({description: 'up to then, instead of now', helpValue: 'WHEN'}),
    team: Flags.string({description: 'of this team alone: a group of the identity provider', helpValue: 'NAME'}),
    service: Flags.string({description: 'of this service alone', helpValue: 'NAME'}),
    html: Flags.string({description: 'write a page with charts instead', helpValue: 'FILE'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> --since 7d',
    '<%= config.bin %> <%= command.id %> --team payments --json',
    '<%= config.bin %> <%= command.id %> --since 365d --html metrics.html',
  ]

  async run(): Promise<MetricsReport> {
    const {flags} = await this.parse(Metrics)
    const now = new Date()
    const report = await this.broker().call(api.metrics, {
      since: parseSince(flags.since, now),
      ...(flags.until === undefined ? {} : {until: parseSince(flags.until, now)}),
      ...(flags.team === undefined ? {} : {team: flags.team}),
      ...(flags.service === undefined ? {} : {service: flags.service}),
    })
    if (flags.html === undefined) this.log(showReport(report, terminalWidth()))
    else {
      const [{metricsPage}, {writePage}] = await Promise.all([import('../metrics/page.ts'), import('../metrics/write-page.ts')])
      await writePage(flags.html, metricsPage(report))
      this.log(`wrote ${flags.html}`)
    }
    return report
  }
}
