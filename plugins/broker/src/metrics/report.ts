/** A report for people: the figures of a period, by day or week, by team, by service. Pure; it names nobody. */
import type {MetricsIncident, MetricsPart, MetricsReport} from '@prod/sdk/api'
import {plotted} from '@prod/sdk/figures'
import type {Facts, Of} from './facts.ts'
import {
  type Asked,
  count,
  figuresFrom,
  kinds,
  type Material,
  materialOf,
  narrow,
  newTally,
  ofFact,
  type Tally,
  touchedIncidents,
} from './figures.ts'

const dayMilliseconds = 86_400_000
const longestByDay = 14 * dayMilliseconds
const mostParts = 200
const mostIncidents = 200
const factsInOneBit = 20_000

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
  const material = team === undefined && service === undefined ? all : only(all, {team, service})
  const whole = newTally()
  yield* countEach(material, () => [whole], asked)
  const people = whole.people.size
  if (material !== all && (people < minPeople || (team !== undefined && !isTeam(team)))) return null

  const steps = stepsOf(from, to)
  function* parts(
    keysOf: (of: Of) => readonly string[],
    alike: (of: Of) => unknown,
  ): Generator<undefined, {shown: MetricsPart[]; withheld: number}, undefined> {
    const found: MetricsPart[] = []
    for (const [name, part] of yield* splitSteps(material, keysOf, alike, {asked, steps})) {
      const {tally, shells, others} = part
      found.push({name, people: tally.people.size, values: figuresFrom(tally), shells, others})
    }
    yield
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
    values: figuresFrom(whole),
    series,
    teams: teams.shown,
    services: services.shown,
    withheld: {teams: teams.withheld, services: services.withheld, fewerThan: minPeople},
    incidents: incidentsOf(material, asked),
  }
}

/** What is of one team, of one service, or of both. */
function only(material: Material, wanted: {team?: string | undefined; service?: string | undefined}): Material {
  const filter = (facts: readonly Material[keyof Material][number][]) => facts.filter(fact => isOf(ofFact(fact), wanted))
  return Object.fromEntries(kinds.map(kind => [kind, filter(material[kind])])) as unknown as Material
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

/** Counts each fact in the tallies that it belongs to, in bits. */
function* countEach(
  material: Material,
  talliesOf: (fact: Material[keyof Material][number]) => readonly Tally[],
  asked: Asked,
): Generator<undefined, void, undefined> {
  for (const kind of kinds) {
    let done = 0
    for (const fact of material[kind]) {
      for (const tally of talliesOf(fact)) count(tally, kind, fact, asked)
      done += 1
      if (done % factsInOneBit === 0) yield
    }
    yield
  }
}

interface Part {
  tally: Tally
  /** uses by day or week */
  shells: number[]
  others: number[]
}

/**
 * The tallies of each key: of each team, of each service. What has several keys is in each, what has none in none. `alike`: two facts of which it
 * is the same thing have the same keys.
 */
function* splitSteps(
  material: Material,
  keysOf: (of: Of) => readonly string[],
  alike: (of: Of) => unknown,
  {asked, steps: {at: starts, length}}: {asked: Asked; steps: Steps},
): Generator<undefined, Map<string, Part>, undefined> {
  const parts = new Map<string, Part>()
  const known = new Map<unknown, {parts: Part[]; tallies: Tally[]}>()
  const partOf = (key: string): Part => {
    const part = parts.get(key) ?? {tally: newTally(), shells: starts.map(() => 0), others: starts.map(() => 0)}
    parts.set(key, part)
    return part
  }
  const ownOf = (of: Of): {parts: Part[]; tallies: Tally[]} => {
    const one = alike(of)
    const found = known.get(one)
    if (found) return found
    const own = keysOf(of).map(partOf)
    const made = {parts: own, tallies: own.map(({tally}) => tally)}
    known.set(one, made)
    return made
  }
  yield* countEach(material, fact => ownOf(ofFact(fact)).tallies, asked)
  for (const {at, kind, of} of material.uses) {
    const step = Math.floor((at - (starts[0] as number)) / length)
    for (const {shells, others} of ownOf(of).parts) {
      const counts = kind === 'terminal' || kind === 'assume' ? shells : others
      counts[step] = (counts[step] ?? 0) + 1
    }
  }
  yield
  return parts
}

function* seriesOf(
  material: Material,
  asked: Asked,
  {at: starts, length, unit}: Steps,
): Generator<undefined, MetricsReport['series'], undefined> {
  const periods = starts.map(start => ({...asked, since: Math.max(asked.since, start), until: Math.min(asked.until, start + length)}))
  const tallies = starts.map(newTally)
  const stepOf = (at: number): number => Math.floor((at - (starts[0] as number)) / length)
  const put = <K extends keyof Material>(kind: K, momentOf: (fact: Material[K][number]) => number): void => {
    for (const fact of material[kind]) {
      const step = stepOf(momentOf(fact))
      count(tallies[step] as Tally, kind, fact, periods[step] as Asked)
    }
  }
  for (const kind of ['requests', 'uses', 'denied', 'refused', 'closed', 'reported'] as const) {
    put(kind, ({at}: {at: number}) => at)
    yield
  }
  put('approved', ({approvedAt}) => approvedAt as number)
  put('usable', ({usableAt}) => usableAt as number)
  yield
  put('incidents', ({startedAt}) => startedAt)
  for (const kind of ['held', 'used', 'outside', 'entitled'] as const) {
    for (const span of material[kind]) {
      const last = Math.min(starts.length - 1, stepOf(span.to))
      for (let step = Math.max(0, stepOf(span.from)); step <= last; step++)
        count(tallies[step] as Tally, kind, span, periods[step] as Asked)
    }
    yield
  }
  const each = tallies.map(tally => figuresFrom(tally))
  yield
  return plotted.map(name => ({
    name,
    unit,
    points: starts.map((start, step) => ({at: new Date(start).toISOString(), value: each[step]?.[name] ?? null})),
  }))
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
