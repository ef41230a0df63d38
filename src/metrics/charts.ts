/** Charts as SVG text: no script, no style of their own; classes of the page colour them. Each has a table of the same figures beside it. Pure. */
import type {FigureUnit} from '@prod/sdk/figures'
import {forHtml, forHtmlAttribute} from '@prod/sdk/surfaces'
import {showValue} from './show.ts'

/** One line or one part of each bar. */
export interface ChartSeries {
  label: string
  values: readonly (number | null)[]
  /** names the class `c1` … of the page */
  colour: 1 | 2 | 3
}

export interface Chart {
  title: string
  /** what one should know to read it, a sentence */
  note: string
  kind: 'bars' | 'lines'
  unit: FigureUnit
  /** where each step begins, ISO 8601 */
  at: readonly string[]
  series: readonly ChartSeries[]
}

const [width, height, left, right, top, bottom] = [640, 220, 54, 10, 10, 26]
const [plotWidth, plotHeight] = [width - left - right, height - top - bottom]
const px = (value: number): string => String(Math.round(value * 10) / 10)

/** The chart, its legend, and its figures as a table. */
export function figureOf(chart: Chart): string {
  const {title, note, series} = chart
  const legend = series
    .map(({label, colour}) => `<li><span class="key c${colour}" aria-hidden="true"></span>${forHtml(label)}</li>`)
    .join('')
  return [
    '<figure>',
    `<figcaption><h3>${forHtml(title)}</h3><p>${forHtml(note)}</p></figcaption>`,
    series.length > 1 ? `<ul class="legend">${legend}</ul>` : '',
    svg(chart),
    `<details><summary>the figures</summary>${tableOf(chart)}</details>`,
    '</figure>',
  ].join('\n')
}

function svg(chart: Chart): string {
  const {title, kind, unit, at, series} = chart
  const totals = at.map((_, step) =>
    kind === 'bars'
      ? series.reduce((sum, {values}) => sum + (values[step] ?? 0), 0)
      : Math.max(0, ...series.map(({values}) => values[step] ?? 0)),
  )
  const scale = scaleOf(Math.max(0, ...totals), unit)
  const y = (value: number): number => top + plotHeight * (1 - value / scale.most)
  const grid = scale.marks.map(
    mark =>
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${px(y(mark))}" y2="${px(y(mark))}"/>` +
      `<text class="mark" x="${left - 6}" y="${px(y(mark) + 4)}" text-anchor="end">${forHtml(axisText(mark, unit))}</text>`,
  )
  const label = `${title}: ${series.map(one => describe(one, unit)).join('; ')}`
  return [
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${forHtmlAttribute(label)}">`,
    ...grid,
    ...(kind === 'bars' ? barsOf(chart, y) : linesOf(chart, y)),
    ...dateMarks(at),
    '</svg>',
  ].join('\n')
}

/** What a chart says to somebody who does not see it. */
function describe({label, values}: ChartSeries, unit: FigureUnit): string {
  const known = values.filter(value => value !== null)
  if (known.length === 0) return `${label} unknown`
  return `${label} from ${showValue(Math.min(...known), unit)} to ${showValue(Math.max(...known), unit)}, last ${showValue(values.at(-1), unit)}`
}

function slot(step: number, steps: number): {from: number; width: number} {
  return {from: left + (plotWidth / steps) * step, width: plotWidth / steps}
}

function barsOf({at, series, unit}: Chart, y: (value: number) => number): string[] {
  return at.flatMap((day, step) => {
    const {from, width: room} = slot(step, at.length)
    const gap = Math.min(3, room * 0.2)
    let below = 0
    const words = series.map(({label, values}) => `${label} ${showValue(values[step], unit)}`)
    const rects = series.map(({values, colour}) => {
      const value = values[step] ?? 0
      const [high, low] = [y(below + value), y(below)]
      below += value
      return value === 0
        ? ''
        : `<rect class="c${colour}" x="${px(from + gap / 2)}" y="${px(high)}" width="${px(room - gap)}" height="${px(Math.max(0.6, low - high))}"/>`
    })
    return [`<g><title>${forHtml(`${day.slice(0, 10)}: ${words.join(', ')}`)}</title>${rects.join('')}</g>`]
  })
}

function linesOf({at, series, unit}: Chart, y: (value: number) => number): string[] {
  const x = (step: number): number => {
    const {from, width: room} = slot(step, at.length)
    return from + room / 2
  }
  return series.flatMap(({label, values, colour}) => {
    let pen = 'M'
    const path = values
      .map((value, step) => {
        if (value === null) {
          pen = 'M'
          return ''
        }
        const point = `${pen}${px(x(step))} ${px(y(value))}`
        pen = 'L'
        return point
      })
      .join('')
    const alone = (step: number): boolean => (values[step - 1] ?? null) === null && (values[step + 1] ?? null) === null
    const dots = values.map((value, step) =>
      value === null
        ? ''
        : `<circle class="c${colour}" cx="${px(x(step))}" cy="${px(y(value))}" r="${alone(step) ? 4 : 2.4}"><title>${forHtml(`${at[step]?.slice(0, 10)}: ${label} ${showValue(value, unit)}`)}</title></circle>`,
    )
    return [`<path class="line c${colour}" d="${path}"/>`, ...dots]
  })
}

/** Some dates under the chart, first and last among them. */
function dateMarks(at: readonly string[]): string[] {
  const every = Math.max(1, Math.ceil(at.length / 6))
  return at.flatMap((day, step) => {
    if (step % every !== 0) return []
    const {from, width: room} = slot(step, at.length)
    return [`<text class="mark" x="${px(from + room / 2)}" y="${height - 8}" text-anchor="middle">${day.slice(0, 10)}</text>`]
  })
}

/** From 0 to a round number that nothing exceeds. */
function scaleOf(most: number, unit: FigureUnit): {most: number; marks: number[]} {
  if (unit === 'share') return {most: 1, marks: [0, 0.25, 0.5, 0.75, 1]}
  if (unit === 'score') return {most: 5, marks: [1, 2, 3, 4, 5]}
  const steps = unit === 'seconds' ? secondSteps : undefined
  const step = steps?.find(one => one * 5 >= most) ?? roundStep(most / 4)
  const count = Math.max(1, Math.ceil(most / step))
  return {most: step * count, marks: Array.from({length: count + 1}, (_, index) => index * step)}
}

const secondSteps = [1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 43_200, 86_400, 172_800, 604_800]

function roundStep(rough: number): number {
  if (rough <= 1) return 1
  const power = 10 ** Math.floor(Math.log10(rough))
  return ([1, 2, 5, 10].find(factor => factor * power >= rough) ?? 10) * power
}

function axisText(value: number, unit: FigureUnit): string {
  if (unit === 'seconds' || unit === 'share') return value === 0 ? '0' : showValue(value, unit)
  return showValue(value, 'count')
}

function tableOf({title, unit, at, series}: Chart): string {
  const head = ['from', ...series.map(({label}) => label)].map(text => `<th scope="col">${forHtml(text)}</th>`).join('')
  const rows = at.map(
    (day, step) =>
      `<tr><th scope="row">${day.slice(0, 10)}</th>${series.map(({values}) => `<td>${forHtml(showValue(values[step], unit))}</td>`).join('')}</tr>`,
  )
  return `<div class="scroll"><table><caption>${forHtml(title)}</caption><thead><tr>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`
}

/** A small row of bars for a line of a table; the numbers stand beside it. */
export function sparkline(values: readonly number[], colour: 1 | 2 | 3): string {
  const most = Math.max(1, ...values)
  const room = 120 / Math.max(1, values.length)
  const bars = values.map((value, step) => {
    const size = Math.round((value / most) * 20)
    return value === 0 ? '' : `M${px(step * room)} 20v-${Math.max(1, size)}h${px(Math.max(0.5, room - 0.6))}V20z`
  })
  return `<svg class="spark" viewBox="0 0 120 20" aria-hidden="true"><path class="c${colour}" d="${bars.join('')}"/></svg>`
}

/** A bar of a share, for a line of a table. */
export function shareBar(share: number | null | undefined): string {
  const full = Math.round((share ?? 0) * 1000) / 10
  return `<svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="rest" width="100" height="10"/><rect class="c1" width="${full}" height="10"/></svg>`
}
