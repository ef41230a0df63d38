/** The page of `prod metrics` for a terminal: figures, small plots, teams and services. Pure but for how wide it may be. */
import type {MetricsPart, MetricsReport} from '@prod/sdk/api'
import {paint} from '@prod/sdk/cli/output'
import {table} from '@prod/sdk/cli/table'
import {type FigureUnit, figures} from '@prod/sdk/figures'
import {counted, grouped, showMoment, showValue, type Values} from './show.ts'

const labelColumns = 28
const bars = '▁▂▃▄▅▆▇█'
const mostParts = 10
/** no plot is narrower, however narrow the terminal: it wraps then */
const leastBars = 12

/** The lines. `width`: columns there are. */
export function showReport(report: MetricsReport, width: number): string[] {
  const {since, until, team, service, people, values, series, teams, services, withheld} = report
  const whose = [team === null ? '' : `team ${team}`, service === null ? '' : `service ${service}`].filter(part => part !== '')
  const plots = plotted
    .map(([name, title]) => ({title, unit: unitOf(name), one: series.find(found => found.name === name)}))
    .flatMap(({title, unit, one}) => (one?.points.some(({value}) => value !== null && value !== 0) ? [plot(title, unit, one, width)] : []))
  return [
    paint('bold', `from ${showMoment(since)} to ${showMoment(until)} UTC, ${[...whose, counted(people, 'person', 'people')].join(', ')}`),
    '',
    headline(values, width),
    ...figureLines(values),
    ...(plots.length === 0 ? [] : ['', paint('bold', series[0]?.unit ?? '')]),
    ...plots,
    ...parts('teams', 'team', teams, width),
    ...parts('services', 'service', services, width),
    ...hidden(withheld),
  ]
}

function headline({zeroTouchShare: share = null, zeroTouchUses, productionUses}: Values, width: number): string {
  if (share === null) return `${paint('bold', 'zero-touch share')}  -  nothing was done in production`
  const room = Math.max(10, Math.min(40, width - 70))
  const full = Math.round(share * room)
  return [
    paint('bold', 'zero-touch share'),
    paint('bold', showValue(share, 'share')),
    `[${'█'.repeat(full)}${'·'.repeat(room - full)}]`,
    `${grouped(zeroTouchUses ?? 0)} of ${counted(productionUses, 'use')} of production`,
  ].join('  ')
}

/** The figures in a few words each; chapters of which nothing is known are left out. */
function figureLines(values: Values): string[] {
  const show = (name: string): string => showValue(values[name], unitOf(name))
  const some = (...names: string[]): boolean => names.some(name => (values[name] ?? 0) !== 0)
  const line = (label: string, ...words: string[]): string => `  ${label.padEnd(labelColumns)}${words.join(', ')}`
  const known = (name: string): boolean => (values[name] ?? null) !== null
  /** times of one kind, one `-` where none is known */
  const times = (label: string, of: Readonly<Record<string, string>>): string =>
    line(label, ...(Object.keys(of).some(known) ? Object.entries(of).map(([name, words]) => `${words} ${show(name)}`) : ['-']))
  const chapter = (title: string, ...lines: string[]): string[] => ['', paint('bold', title), ...lines]
  return [
    ...chapter(
      'production shells',
      line('people who held the right', show('shellPeopleHeld'), show('shellHoursHeld')),
      line('people who used it', show('shellPeopleUsed'), show('shellHoursUsed')),
      line(
        'shells and commands',
        counted(values.shells, 'shell'),
        counted(values.execs, 'command'),
        counted(values.forwards, 'forward'),
        `${show('shellShare')} shells`,
      ),
      ...(some('assumes') ? [line('of the shells', `${show('terminals')} at a terminal`, `${show('assumes')} by an assumed role`)] : []),
      line(
        'break-glass',
        show('breakGlass'),
        `${counted(values.reviewsOpen, 'review')} open`,
        `${show('reviewsOverdue')} overdue`,
        `${show('reviewsDone')} done`,
      ),
      line('recordings', `${counted(values.sessionsRecorded, 'session')} recorded`, `${show('sessionsUnrecorded')} not`),
    ),
    ...(some('entitledPeople', 'outsideShells', 'outsidePeople')
      ? chapter(
          'outside prod',
          line('people with standing access', show('entitledPeople'), show('entitledHours')),
          line('shells', show('outsideShells'), `by ${counted(values.outsidePeople, 'person', 'people')}`, show('outsideHours')),
        )
      : []),
    ...chapter(
      'requests',
      line('made', show('requests')),
      line('allowed without a person', show('approvedAutomaticallyShare')),
      times('until approved', {approvalSecondsMean: 'mean', approvalSecondsP50: 'half within', approvalSecondsP95: '95 % within'}),
      times('until usable', {usableSecondsP50: 'half within', usableSecondsP95: '95 % within'}),
      line(
        'denied',
        `${show('refusedByPolicy')} by policy`,
        `${show('deniedByPeople')} by people`,
        ...(known('deniedShare') ? [show('deniedShare')] : []),
      ),
    ),
    ...(some('incidents', 'incidentsNamed')
      ? chapter(
          'incidents',
          line(
            'with human action',
            `${show('incidentsTouched')} of ${show('incidents')}`,
            ...(known('incidentsTouchedShare') ? [show('incidentsTouchedShare')] : []),
            `${show('incidentsNamed')} named`,
          ),
          times('until the first action', {firstTouchSecondsP50: 'half within'}),
          times('until restored', {restoreSecondsMean: 'mean', restoreSecondsP50: 'half within', restoreSecondsP95: '95 % within'}),
          times('restored with action', {restoreSecondsP50Touched: 'half within'}),
          times('restored without', {restoreSecondsP50Untouched: 'half within'}),
        )
      : []),
    ...(some('satisfactionAnswers', 'cliCommands')
      ? chapter(
          'prod itself',
          line(
            'how shells went',
            ...(known('satisfactionMean') ? [`${show('satisfactionMean')} of 5`] : []),
            counted(values.satisfactionAnswers, 'answer'),
          ),
          line(
            'commands of CLIs',
            show('cliCommands'),
            `${show('cliFailedShare')} failed in prod`,
            `${show('cliDenied')} refused elsewhere`,
          ),
        )
      : []),
  ]
}

/** What is drawn here, and how it is called. */
const plotted: readonly (readonly [name: string, title: string])[] = [
  ['zeroTouchShare', 'zero-touch share'],
  ['shells', 'shells'],
  ['execs', 'commands'],
  ['forwards', 'forwards'],
  ['outsideShells', 'shells outside prod'],
  ['requests', 'requests'],
  ['approvalSecondsP50', 'until approved, half'],
  ['breakGlass', 'break-glass'],
  ['incidents', 'incidents'],
]

const units = new Map(figures.map(({name, unit}) => [name, unit]))

function unitOf(name: string): FigureUnit {
  return units.get(name) ?? 'count'
}

/** One row of bars, and the figures beside it: no bar is the only carrier of a number. */
function plot(title: string, unit: FigureUnit, {points}: MetricsReport['series'][number], width: number): string {
  const describe = (shown: MetricsReport['series'][number]['points']): string => {
    const known = shown.flatMap(({value}) => (value === null ? [] : [value]))
    return `at most ${showValue(Math.max(...known), unit)}, last ${showValue(shown.at(-1)?.value, unit)}, since ${shown[0]?.at.slice(0, 10)}`
  }
  const label = title.padEnd(21)
  const room = Math.max(leastBars, width - label.length - describe(points).length - 6)
  const shown = points.slice(-room)
  return `  |${row(shown.map(({value}) => value))}|  ${label}${describe(shown)}`
}

/** Bars of the values beside one another; nothing is a blank, and whatever is more is seen. */
function row(values: readonly (number | null)[]): string {
  const most = Math.max(0, ...values.map(value => value ?? 0))
  return values.map(value => (!value ? ' ' : bars[Math.max(0, Math.ceil((value / most) * bars.length) - 1)])).join('')
}

function parts(title: string, head: string, all: readonly MetricsPart[], width: number): string[] {
  if (all.length === 0) return []
  const shown = all.slice(0, mostParts)
  const rows = shown.map(({name, people, values, shells}) => [
    name,
    people,
    showValue(values.zeroTouchShare, 'share'),
    grouped(values.shells ?? 0),
    grouped((values.execs ?? 0) + (values.forwards ?? 0)),
    showValue(values.approvalSecondsP50, 'seconds'),
    // only as much of it as fits: its last bars are the latest
    `|${row(shells.slice(-Math.max(leastBars, width - 75)))}|`,
  ])
  return [
    '',
    paint('bold', shown.length < all.length ? `${title}, the ${shown.length} that did most of ${all.length}` : title),
    ...table([head, 'people', 'zero-touch', 'shells', 'others', 'approved in', 'shells (trend)'], rows, width - 2).map(text => `  ${text}`),
  ]
}

function hidden({teams, services, fewerThan}: MetricsReport['withheld']): string[] {
  const left = [...(teams > 0 ? [counted(teams, 'team')] : []), ...(services > 0 ? [counted(services, 'service')] : [])]
  return left.length === 0 ? [] : ['', `${left.join(' and ')} not shown: fewer than ${fewerThan} people`]
}
