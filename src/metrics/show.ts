/** How figures are written, in the terminal and on the page. Pure. */
import type {MetricsReport} from '@prod/sdk/api'
import type {FigureUnit} from '@prod/sdk/figures'
import {showDuration} from '@prod/sdk/grammar/duration'

/** Figures by name, as a report has them. */
export type Values = MetricsReport['values']

/** A value with its unit: `12`, `76 %`, `1h30m`, `12.5 hours`; `-` where there was nothing to divide by. */
export function showValue(value: number | null | undefined, unit: FigureUnit): string {
  if (value === null || value === undefined) return '-'
  if (unit === 'share') return `${percent(value)} %`
  if (unit === 'seconds') return value < 10 ? `${Math.round(value * 10) / 10}s` : showDuration(value)
  if (unit === 'hours') return counted(value, 'hour')
  return grouped(value)
}

/** Never 0 % or 100 % of what is not none or all. */
function percent(share: number): string {
  const rounded = Math.round(share * 100)
  if (share > 0 && rounded === 0) return 'under 1'
  if (share < 1 && rounded === 100) return 'over 99'
  return String(rounded)
}

/** `12034` as `12,034`. */
export function grouped(value: number): string {
  const [whole = '', rest] = String(Math.round(value * 10) / 10).split('.')
  return whole.replace(/\B(?=(?:\d{3})+$)/g, ',') + (rest === undefined ? '' : `.${rest}`)
}

/** `1 shell`, `12,034 shells`, `- shells`. */
export function counted(value: number | null | undefined, one: string, several = `${one}s`): string {
  return `${value === null || value === undefined ? '-' : grouped(value)} ${value === 1 ? one : several}`
}

/** `2026-11-22 09:14`, of an ISO 8601 text. */
export function showMoment(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ')
}
