/** `prod metrics --html`: one page that needs nothing else. No script; its policy lets nothing load and no style in but its own. Pure. */
import {createHash} from 'node:crypto'
import type {MetricsPart, MetricsReport} from '@prod/sdk/api'
import {chapters, type FigureUnit} from '@prod/sdk/figures'
import {forHtml} from '@prod/sdk/surfaces'
import {type Chart, type ChartSeries, figureOf, shareBar, sparkline} from './charts.ts'
import {counted, grouped, showMoment, showValue} from './show.ts'
import {pageStyle} from './style.ts'

/** The page of a report. Text that came from elsewhere (teams, services, incidents) is text alone. */
export function metricsPage(report: MetricsReport): string {
  const {since, until, team, service, people} = report
  const policy = [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(pageStyle).digest('base64')}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
  const whose = [team === null ? '' : `team ${team}`, service === null ? '' : `service ${service}`].filter(part => part !== '')
  const period = `${showMoment(since)} to ${showMoment(until)} UTC`
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="referrer" content="no-referrer">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${forHtml(['How people reach production', ...whose, period].join(', '))}</title>`,
    `<style>${pageStyle}</style>`,
    '</head>',
    '<body>',
    '<main>',
    `<header><h1>How people reach production</h1><p>${forHtml([...whose, period, counted(people, 'person', 'people')].join(' · '))}</p></header>`,
    headline(report),
    '<h2>Over time</h2>',
    `<div class="charts">${charts(report).map(figureOf).join('\n')}</div>`,
    ...partsTable('Teams', 'Team', report.teams, report.withheld.teams, report.withheld.fewerThan),
    ...partsTable('Services', 'Service', report.services, report.withheld.services, report.withheld.fewerThan),
    ...incidentTable(report),
    '<h2>All figures</h2>',
    `<div class="chapters">${chapters.map(chapter => chapterTable(chapter, report)).join('\n')}</div>`,
    '<footer><p>Counted from the log of prod. docs/metrics.md says what counts and what does not, and gives the SQL. Nobody is named.</p></footer>',
    '</main>',
    '</body>',
    '</html>',
    '',
  ].join('\n')
}

function headline({values}: MetricsReport): string {
  const share = values.zeroTouchShare
  const tile = (name: string, words: string): string => `<li><b>${forHtml(name)}</b><span>${forHtml(words)}</span></li>`
  return [
    '<section class="headline">',
    `<div><p class="big">${forHtml(showValue(share, 'share'))}</p><p><b>zero-touch share</b>: ${forHtml(
      `${grouped(values.zeroTouchUses ?? 0)} of ${counted(values.productionUses, 'use')} of production went through a tool that knew what was allowed`,
    )}</p>${shareBar(share)}</div>`,
    '<ul>',
    tile(grouped(values.shells ?? 0), values.shells === 1 ? 'shell' : 'shells'),
    tile(
      showValue(values.shellPeopleHeld, 'count'),
      values.shellPeopleHeld === 1 ? 'person held the right to one' : 'people held the right to one',
    ),
    tile(showValue(values.approvalSecondsP50, 'seconds'), 'until half were approved'),
    tile(showValue(values.approvedAutomaticallyShare, 'share'), 'allowed without a person'),
    tile(showValue(values.breakGlass, 'count'), values.breakGlass === 1 ? 'time glass was broken' : 'times glass was broken'),
    tile(showValue(values.reviewsOpen, 'count'), values.reviewsOpen === 1 ? 'review waits' : 'reviews wait'),
    '</ul>',
    '</section>',
  ].join('\n')
}

type Shown = readonly [name: string, label: string, colour: ChartSeries['colour']]

function charts({series}: MetricsReport): Chart[] {
  const at = series[0]?.points.map(point => point.at) ?? []
  const each = series[0]?.unit ?? 'each day'
  const chart = (title: string, note: string, kind: Chart['kind'], unit: FigureUnit, ...shown: Shown[]): Chart[] => {
    const lines = shown.map(([name, label, colour]) => ({
      label,
      colour,
      values: series.find(one => one.name === name)?.points.map(({value}) => value) ?? at.map(() => null),
    }))
    const known = lines.some(({values}) => values.some(value => value !== null && value !== 0))
    return known ? [{title, note, kind, unit, at, series: lines}] : []
  }
  return [
    chart('Zero-touch share', `1 is a company in which no person touches production; ${each}.`, 'lines', 'share', [
      'zeroTouchShare',
      'zero-touch share',
      1,
    ]),
    chart(
      'Shells and what stands in their place',
      `Uses that began, ${each}.`,
      'bars',
      'count',
      ['execs', 'commands', 1],
      ['forwards', 'forwards', 3],
      ['shells', 'shells', 2],
    ),
    chart('Shells', `Terminals and assumed roles that do more than read, ${each}.`, 'bars', 'count', ['shells', 'shells', 2]),
    chart(
      'Hours of production shells',
      `How long the right was held, and a shell open, all people together, ${each}.`,
      'lines',
      'hours',
      ['shellHoursHeld', 'held', 2],
      ['shellHoursUsed', 'used', 1],
    ),
    chart(
      'Until approved',
      `Of requests that needed a person: half, and 95 %, were approved within; ${each}.`,
      'lines',
      'seconds',
      ['approvalSecondsP50', 'half', 1],
      ['approvalSecondsP95', '95 %', 2],
    ),
    chart(
      'Decisions',
      `Requests that policy allowed without a person, and those refused or denied; ${each}.`,
      'lines',
      'share',
      ['approvedAutomaticallyShare', 'without a person', 1],
      ['deniedShare', 'refused or denied', 2],
    ),
    chart('Requests', `Made, ${each}.`, 'bars', 'count', ['requests', 'requests', 1]),
    chart('Break-glass', `How often glass was broken, ${each}.`, 'bars', 'count', ['breakGlass', 'broken', 2]),
    chart('Shells outside prod', `Imported, ${each}.`, 'bars', 'count', ['outsideShells', 'shells', 2]),
    chart(
      'Incidents',
      `Those that began, and of them those with human action, ${each}.`,
      'lines',
      'count',
      ['incidents', 'incidents', 1],
      ['incidentsTouched', 'with human action', 2],
    ),
    chart('Until restored', `Of incidents that began in that time, half were over within; ${each}.`, 'lines', 'seconds', [
      'restoreSecondsP50',
      'half',
      1,
    ]),
    chart('How shells went', `Answers after a shell, 1 to 5; ${each}.`, 'lines', 'score', ['satisfactionMean', 'mean', 1]),
  ].flat()
}

function partsTable(title: string, head: string, parts: readonly MetricsPart[], withheld: number, fewerThan: number): string[] {
  const left = withheld === 0 ? '' : `<p>${forHtml(`${withheld} not shown: fewer than ${fewerThan} people.`)}</p>`
  if (parts.length === 0) return left === '' ? [] : [`<h2>${title}</h2>`, left]
  const heads = [
    head,
    'People',
    'Zero-touch',
    '',
    'Shells',
    'Others',
    'Half approved in',
    'Break-glass',
    'Shells over time',
    'Others over time',
  ]
  const row = ({name, people, values, shells, others}: MetricsPart): string =>
    `<tr><th scope="row"><bdi>${forHtml(name)}</bdi></th>${[grouped(people), showValue(values.zeroTouchShare, 'share')]
      .map(text => `<td>${forHtml(text)}</td>`)
      .join('')}<td>${shareBar(values.zeroTouchShare)}</td>${[
      grouped(values.shells ?? 0),
      grouped((values.execs ?? 0) + (values.forwards ?? 0)),
      showValue(values.approvalSecondsP50, 'seconds'),
      showValue(values.breakGlass, 'count'),
    ]
      .map(text => `<td>${forHtml(text)}</td>`)
      .join('')}<td>${sparkline(shells, 2)}</td><td>${sparkline(others, 1)}</td></tr>`
  return [
    `<h2>${title}</h2>`,
    left,
    `<div class="scroll"><table><thead><tr>${heads.map(text => `<th scope="col">${text}</th>`).join('')}</tr></thead><tbody>${parts
      .map(row)
      .join('\n')}</tbody></table></div>`,
  ]
}

function incidentTable({incidents}: MetricsReport): string[] {
  if (incidents.length === 0) return []
  const heads = ['Incident', 'Began', 'Until restored', 'Until the first action', 'Shells', 'Commands', 'Forwards']
  const rows = incidents.map(
    ({id, startedAt, restoreSeconds, firstTouchSeconds, shells, execs, forwards}) =>
      `<tr><th scope="row"><bdi>${forHtml(id)}</bdi></th>${[
        showMoment(startedAt),
        showValue(restoreSeconds, 'seconds'),
        showValue(firstTouchSeconds, 'seconds'),
        grouped(shells),
        grouped(execs),
        grouped(forwards),
      ]
        .map(text => `<td>${forHtml(text)}</td>`)
        .join('')}</tr>`,
  )
  return [
    '<h2>Incidents</h2>',
    `<details><summary>${counted(incidents.length, 'incident')}, the latest first</summary><div class="scroll"><table><thead><tr>${heads
      .map(text => `<th scope="col">${text}</th>`)
      .join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div></details>`,
  ]
}

function chapterTable({title, figures}: (typeof chapters)[number], {values}: MetricsReport): string {
  const rows = figures.map(
    ({name, words, unit}) => `<tr><th scope="row">${forHtml(words)}</th><td>${forHtml(showValue(values[name], unit))}</td></tr>`,
  )
  return `<table><caption>${forHtml(title)}</caption><tbody>${rows.join('')}</tbody></table>`
}
