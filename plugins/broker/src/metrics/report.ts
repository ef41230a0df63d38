/** A report for people: the figures of a period, by day or week, by team, by service. Pure; it names nobody. */
import type {MetricsIncident, MetricsPart, MetricsReport} from '@prod/sdk/api'
import {plotted} from '@prod/sdk/figures'
import type {Facts, Of} from './facts.ts'
import {
  type Asked,
  figuresOf,
  type Material,
  materialOf,
  narrow,
  noMaterial,
  peopleOf,
  splitSteps,
  touchedIncidents,
  type Values,
} from './figures.ts'

const dayMilliseconds = 86_400_000
const longestByDay = 14 * dayMilliseconds
const mostParts = 200
const mostIncidents = 200

/** What is asked for, and what the broker's configuration says. */
export interface ReportOptions {
  since: Date
  /** what happened at that very moment does not count */
  until: Date
  team?: string | undefined
  service?: string | undefined
  /** groups that are teams, `*` for any text; none: every group is one */
  teams: readonly string[]
  /** of fewer people no team's or service's figures are shown */
  minPeople: number
  reviewHours: number
}

/** The report at once. Null: fewer people than `minPeople` stand behind the team or service that was asked for. */
export function makeReport(facts: Facts, options: ReportOptions): MetricsReport | null {
  const steps = reportSteps(facts, options)
  for (;;) {
    const {done, value} = steps.next()
    if (done) return value
  }
}

/** The report bit by bit: after each, somebody else may have a turn. What is told in between lies after `until`, and changes nothing. */
export function* reportSteps(facts: Facts, options: ReportOptions): Generator<undefined, MetricsReport | null, undefined> {
  const {since, until, team, service, minPeople} = options
  const [from, to] = [since.getTime(), until.getTime()]
  const all = narrow(materialOf(facts), from, to)
  yield
  const asked: Asked = {
    since: from,
    until: to,
    reviewMilliseconds: options.reviewHours * 3_600_000,
    touched: touchedIncidents(facts.uses, to),
  }
  const isTeam = matcher(options.teams)
  const material =
    team === undefined && service === undefined
      ? all
      : ((yield* splitSteps(all, of => (isOf(of, {team, service}) ? ['this'] : []))).get('this') ?? noMaterial())
  const people = peopleOf(material, from, to)
  if (material !== all && (people < minPeople || (team !== undefined && !isTeam(team)))) return null

  const steps = stepsOf(from, to)
  function* parts(
    keysOf: (of: Of) => readonly string[],
    alike: (of: Of) => unknown,
  ): Generator<undefined, {shown: MetricsPart[]; withheld: number}, undefined> {
    const found: MetricsPart[] = []
    for (const [name, part] of yield* splitSteps(material, keysOf, alike)) {
      found.push(partOf(name, part, asked, steps))
      yield
    }
    const shown = found.filter(part => part.people >= Math.max(1, minPeople))
    const weight = ({shells, others}: MetricsPart): number => [...shells, ...others].reduce((sum, one) => sum + one, 0)
    return {
      shown: shown.sort((a, b) => weight(b) - weight(a) || (a.name < b.name ? -1 : 1)).slice(0, mostParts),
      withheld: found.filter(part => part.people > 0).length - shown.length,
    }
  }
  const teams = yield* parts(
    ({teams: names}) => names.filter(isTeam),
    of => of.teams,
  )
  const services = yield* parts(
    of => (of.service === null ? [] : [of.service]),
    of => of.service,
  )
  const series = yield* seriesOf(material, asked, steps)
  return {
    since: since.toISOString(),
    until: until.toISOString(),
    team: team ?? null,
    service: service ?? null,
    people,
    values: figuresOf(material, asked),
    series,
    teams: teams.shown,
    services: services.shown,
    withheld: {teams: teams.withheld, services: services.withheld, fewerThan: minPeople},
    incidents: incidentsOf(material, asked),
  }
}

function isOf({teams, service}: Of, wanted: {team?: string | undefined; service?: string | undefined}): boolean {
  return (wanted.team === undefined || teams.includes(wanted.team)) && (wanted.service === undefined || service === wanted.service)
}

/** Whether a group is a team: it is named, or a pattern with `*` fits it. */
function matcher(patterns: readonly string[]): (group: string) => boolean {
  if (patterns.length === 0) return () => true
  const forms = patterns.map(
    pattern =>
      new RegExp(
        `^${pattern
          .split('*')
          .map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
          .join('.*')}$`,
        'u',
      ),
  )
  return group => forms.some(form => form.test(group))
}

interface Steps {
  unit: 'each day' | 'each week'
  /** where each begins; UTC */
  at: number[]
  length: number
}

/** Days, or beyond two weeks the weeks from Monday on, that the period touches. */
function stepsOf(since: number, until: number): Steps {
  const weekly = until - since > longestByDay + 1000
  const first = new Date(since)
  first.setUTCHours(0, 0, 0, 0)
  if (weekly) first.setUTCDate(first.getUTCDate() - ((first.getUTCDay() + 6) % 7))
  const length = weekly ? 7 * dayMilliseconds : dayMilliseconds
  const at: number[] = []
  for (let start = first.getTime(); start < until; start += length) at.push(start)
  return {unit: weekly ? 'each week' : 'each day', at, length}
}

function partOf(name: string, material: Material, asked: Asked, {at: starts, length}: Steps): MetricsPart {
  const shells = starts.map(() => 0)
  const others = starts.map(() => 0)
  for (const {at, kind} of material.uses) {
    if (at < asked.since || at >= asked.until) continue
    const step = Math.floor((at - (starts[0] as number)) / length)
    const counts = kind === 'terminal' || kind === 'assume' ? shells : others
    counts[step] = (counts[step] ?? 0) + 1
  }
  return {name, people: peopleOf(material, asked.since, asked.until), values: figuresOf(material, asked), shells, others}
}

function* seriesOf(material: Material, asked: Asked, steps: Steps): Generator<undefined, MetricsReport['series'], undefined> {
  const each: {at: string; values: Values}[] = []
  for (const [index, part] of stepMaterials(material, asked, steps).entries()) {
    const start = steps.at[index] as number
    const values = figuresOf(part, {
      ...asked,
      since: Math.max(asked.since, start),
      until: Math.min(asked.until, start + steps.length),
    })
    each.push({at: new Date(start).toISOString(), values})
    yield
  }
  return plotted.map(name => ({name, unit: steps.unit, points: each.map(({at, values}) => ({at, value: values[name] ?? null}))}))
}

/** What each step is made of: one walk over all, not one for each step. */
function stepMaterials(material: Material, {since, until}: Asked, {at: starts, length}: Steps): Material[] {
  const parts = starts.map(noMaterial)
  const put = <K extends keyof Material>(name: K, momentOf: (fact: Material[K][number]) => number): void => {
    for (const fact of material[name]) {
      const at = momentOf(fact)
      if (at < since || at >= until) continue
      const part = parts[Math.floor((at - (starts[0] as number)) / length)] as Material
      ;(part[name] as Material[K][number][]).push(fact)
    }
  }
  for (const name of ['requests', 'uses', 'denied', 'refused', 'closed', 'reported'] as const) put(name, ({at}: {at: number}) => at)
  put('approved', ({approvedAt}) => approvedAt as number)
  put('usable', ({usableAt}) => usableAt as number)
  put('incidents', ({startedAt}) => startedAt)
  for (const name of ['held', 'used', 'outside', 'entitled'] as const) {
    for (const span of material[name]) {
      if (span.from >= until || span.to < since) continue
      const first = Math.max(0, Math.floor((span.from - (starts[0] as number)) / length))
      const last = Math.min(starts.length - 1, Math.floor((span.to - (starts[0] as number)) / length))
      for (let step = first; step <= last; step++) parts[step]?.[name].push(span)
    }
  }
  return parts
}

function incidentsOf(material: Material, {since, until, touched}: Asked): MetricsIncident[] {
  return material.incidents
    .filter(({startedAt}) => startedAt >= since && startedAt < until)
    .sort((a, b) => b.startedAt - a.startedAt)
    .slice(0, mostIncidents)
    .map(({id, startedAt, resolvedAt}) => {
      const met = touched.get(id)
      const restored = resolvedAt < until
      return {
        id,
        startedAt: new Date(startedAt).toISOString(),
        resolvedAt: restored ? new Date(resolvedAt).toISOString() : null,
        restoreSeconds: restored ? (resolvedAt - startedAt) / 1000 : null,
        shells: met?.shells ?? 0,
        execs: met?.execs ?? 0,
        forwards: met?.forwards ?? 0,
        firstTouchSeconds: met ? Math.max(0, met.firstAt - startedAt) / 1000 : null,
      }
    })
}
