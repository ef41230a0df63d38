import * as Flags from '@oclif/core/flags'
import {api, type MetricsReport} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {parseSince} from '@prod/sdk/cli/durations'
import {paint} from '@prod/sdk/cli/output'
import {showDuration} from '@prod/sdk/grammar/duration'

type Values = MetricsReport['values']

const labelColumns = 34
const bars = ' ▁▂▃▄▅▆▇█'
const mostBars = 60

/** How far people's access is from none at all. */
export default class Metrics extends ProdCommand {
  static override summary = 'show how people reach production'
  static override description = 'Figures from the log; they name nobody. docs/metrics.md says what counts.'
  static override flags = {
    since: Flags.string({description: 'from then on: 7d, 2h, or 2026-11-22T14:30:00Z', default: '30d', helpValue: 'WHEN'}),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> --since 7d', '<%= config.bin %> <%= command.id %> --json']

  async run(): Promise<MetricsReport> {
    const {flags} = await this.parse(Metrics)
    const report = await this.broker().call(api.metrics, {since: parseSince(flags.since, new Date())})
    this.log(showReport(report))
    return report
  }
}

function showReport({since, until, values, series}: MetricsReport): string[] {
  const line = (label: string, ...words: string[]): string => `  ${label.padEnd(labelColumns)}${words.join(', ')}`
  return [
    paint('bold', `from ${since.slice(0, 16).replace('T', ' ')} to ${until.slice(0, 16).replace('T', ' ')} UTC`),
    '',
    paint('bold', 'production shells'),
    line('people who held the right', count(values, 'shellPeopleHeld'), counted(values, 'shellHoursHeld', 'hour')),
    line('people who used it', count(values, 'shellPeopleUsed'), counted(values, 'shellHoursUsed', 'hour')),
    line(
      'shells and commands',
      counted(values, 'shells', 'shell'),
      counted(values, 'execs', 'command'),
      `${percent(values, 'shellShare')} shells`,
    ),
    line(
      'break-glass',
      count(values, 'breakGlass'),
      `${counted(values, 'reviewsOpen', 'review')} open`,
      `${count(values, 'reviewsOverdue')} overdue`,
      `${count(values, 'reviewsDone')} done`,
    ),
    line('recordings', `${counted(values, 'sessionsRecorded', 'session')} recorded`, `${count(values, 'sessionsUnrecorded')} not`),
    '',
    paint('bold', 'requests'),
    line('made', count(values, 'requests')),
    line('allowed without a person', percent(values, 'approvedAutomaticallyShare')),
    line(
      'until approved',
      `mean ${span(values, 'approvalSecondsMean')}`,
      `half within ${span(values, 'approvalSecondsP50')}`,
      `95 % within ${span(values, 'approvalSecondsP95')}`,
    ),
    line('until usable', `half within ${span(values, 'usableSecondsP50')}`, `95 % within ${span(values, 'usableSecondsP95')}`),
    line(
      'denied',
      `${count(values, 'refusedByPolicy')} by policy`,
      `${count(values, 'deniedByPeople')} by people`,
      percent(values, 'deniedShare'),
    ),
    ...series.flatMap(plot),
  ]
}

/** One row of bars, and the figures beside it: no bar is the only carrier of a number. */
function plot({name, unit, points}: MetricsReport['series'][number]): string[] {
  const shown = points.slice(-mostBars)
  const most = Math.max(0, ...shown.map(({value}) => value))
  const row = shown.map(({value}) => bars[value === 0 || most === 0 ? 0 : Math.max(1, Math.round((value / most) * 8))]).join('')
  const last = shown.at(-1)?.value ?? 0
  return ['', paint('bold', `${name} ${unit}`), `  |${row}|  at most ${most}, last ${last}, since ${shown[0]?.at.slice(0, 10) ?? '-'}`]
}

function count(values: Values, name: string): string {
  return String(values[name] ?? '-')
}

function counted(values: Values, name: string, one: string): string {
  return `${count(values, name)} ${one}${values[name] === 1 ? '' : 's'}`
}

function percent(values: Values, name: string): string {
  const value = values[name]
  return value === null || value === undefined ? '-' : `${Math.round(value * 100)} %`
}

function span(values: Values, name: string): string {
  const value = values[name]
  if (value === null || value === undefined) return '-'
  return value < 10 ? `${Math.round(value * 10) / 10}s` : showDuration(value)
}
