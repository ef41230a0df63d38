/** The figures of docs/metrics.md from facts, for any period and any part of the people. Pure: people are only counted. */
import type {Facts, IncidentFact, Of, RequestFact, SpanFact, UseFact} from './facts.ts'

/** Each figure by its name (`@prod/sdk/figures`); null where there is nothing to divide by. */
export type Values = Record<string, number | null>

/** The facts of some people, or of all. */
export interface Material {
  requests: RequestFact[]
  uses: UseFact[]
  held: SpanFact[]
  used: SpanFact[]
  approved: RequestFact[]
  usable: RequestFact[]
  denied: Facts['denied']
  refused: Facts['refused']
  closed: Facts['closed']
  reviews: {of: Of; openedAt: number; doneAt: number}[]
  reported: Facts['reported']
  incidents: IncidentFact[]
  outside: SpanFact[]
  entitled: SpanFact[]
}

/** All that there is. */
export function materialOf(facts: Facts): Material {
  return {
    ...facts,
    reviews: [...facts.reviews.values()],
    incidents: [...facts.incidents.values()],
    outside: [...facts.outside.values()],
    entitled: [...facts.entitled.values()],
  }
}

/** What a period is made of: the rest would be looked at again for each team and service. */
export function narrow(material: Material, since: number, until: number): Material {
  const within = (at: number | null): boolean => at !== null && at >= since && at < until
  const inside = <T extends {at: number}>(facts: readonly T[]): T[] => facts.filter(({at}) => within(at))
  const overlapping = (spans: readonly SpanFact[]): SpanFact[] => spans.filter(({from, to}) => from < until && to >= since)
  return {
    requests: inside(material.requests),
    uses: inside(material.uses),
    held: overlapping(material.held),
    used: overlapping(material.used),
    approved: material.approved.filter(({approvedAt}) => within(approvedAt)),
    usable: material.usable.filter(({usableAt}) => within(usableAt)),
    denied: inside(material.denied),
    refused: inside(material.refused),
    closed: inside(material.closed),
    reviews: material.reviews.filter(({openedAt, doneAt}) => openedAt < until && doneAt >= since),
    reported: inside(material.reported),
    incidents: material.incidents.filter(({startedAt}) => within(startedAt)),
    outside: overlapping(material.outside),
    entitled: overlapping(material.entitled),
  }
}

/** Nothing yet. */
export function noMaterial(): Material {
  return {
    requests: [],
    uses: [],
    held: [],
    used: [],
    approved: [],
    usable: [],
    denied: [],
    refused: [],
    closed: [],
    reviews: [],
    reported: [],
    incidents: [],
    outside: [],
    entitled: [],
  }
}

/**
 * The material of each key: of each team, of each service. What has several keys is in each, what has none in none. Bit by bit. `alike`: two
 * facts of which it is the same thing have the same keys.
 */
export function* splitSteps(
  material: Material,
  keysOf: (of: Of) => readonly string[],
  alike: (of: Of) => unknown = of => of,
): Generator<undefined, Map<string, Material>, undefined> {
  const parts = new Map<string, Material>()
  const known = new Map<unknown, readonly Material[]>()
  const partsOf = (of: Of): readonly Material[] => {
    const one = alike(of)
    const found = known.get(one) ?? keysOf(of).map(partOf)
    if (one !== of) known.set(one, found)
    return found
  }
  const partOf = (key: string): Material => {
    const part = parts.get(key) ?? noMaterial()
    parts.set(key, part)
    return part
  }
  for (const name of ['requests', 'approved', 'usable'] as const) {
    for (const fact of material[name]) for (const part of partsOf(fact)) part[name].push(fact)
    yield
  }
  for (const name of [
    'uses',
    'held',
    'used',
    'denied',
    'refused',
    'closed',
    'reviews',
    'reported',
    'incidents',
    'outside',
    'entitled',
  ] as const) {
    for (const fact of material[name]) for (const part of partsOf(fact.of)) (part[name] as {of: Of}[]).push(fact)
    yield
  }
  return parts
}

/** What an incident met with: whoever it was, of whatever team. */
export interface Touched {
  shells: number
  execs: number
  forwards: number
  firstAt: number
}

/** What was done under `--incident`, by the incident's id, up to `until`. */
export function touchedIncidents(uses: readonly UseFact[], until: number): Map<string, Touched> {
  const touched = new Map<string, Touched>()
  for (const {of, kind, at} of uses) {
    if (of.incident === null || at >= until) continue
    const known = touched.get(of.incident) ?? {shells: 0, execs: 0, forwards: 0, firstAt: at}
    if (kind === 'exec') known.execs += 1
    else if (kind === 'forward') known.forwards += 1
    else known.shells += 1
    known.firstAt = Math.min(known.firstAt, at)
    touched.set(of.incident, known)
  }
  return touched
}

/** What {@link figuresOf} is told beside the facts. */
export interface Asked {
  /** milliseconds since 1970: from then, up to and without then */
  since: number
  until: number
  /** how long a review may wait */
  reviewMilliseconds: number
  touched: ReadonlyMap<string, Touched>
}

/** Every figure of a period. */
export function figuresOf(material: Material, {since, until, reviewMilliseconds, touched}: Asked): Values {
  const within = (at: number): boolean => at >= since && at < until
  const inside = <T extends {at: number}>(facts: readonly T[]): T[] => facts.filter(({at}) => within(at))
  const created = inside(material.requests)
  const uses = inside(material.uses)
  const kinds = {exec: 0, terminal: 0, forward: 0, assume: 0}
  const named = new Set<string>()
  let [loud, production, zeroTouch] = [0, 0, 0]
  for (const {kind, of, loud: isLoud} of uses) {
    kinds[kind] += 1
    if (isLoud) loud += 1
    if (of.incident !== null) named.add(of.incident)
    if (!of.production) continue
    production += 1
    if (kind === 'exec' && !isLoud) zeroTouch += 1
  }
  const outside = material.outside.filter(({from}) => within(from))
  const shells = kinds.terminal + kinds.assume
  const held = spent(material.held, since, until)
  const used = spent(material.used, since, until)
  const entitled = spent(material.entitled, since, until)
  const elsewhere = spent(material.outside, since, until)
  const automatic = created.filter(request => request.allowed && !request.loud).length
  const approvals = material.approved
    .filter(({approvedAt}) => within(approvedAt as number))
    .map(({at, approvedAt}) => ((approvedAt as number) - at) / 1000)
  const usable = material.usable
    .filter(({usableAt}) => within(usableAt as number))
    .map(({from, usableAt}) => Math.max(0, (usableAt as number) - from) / 1000)
  const refused = sum(inside(material.refused).map(({count}) => count))
  const denied = inside(material.denied).length
  const open = material.reviews.filter(({openedAt, doneAt}) => openedAt < until && doneAt >= until)
  const closed = inside(material.closed)
  const recorded = closed.filter(one => one.recorded).length
  const reported = inside(material.reported)
  const told = sum(reported.map(({events}) => events))
  const answers = sum(reported.map(one => one.answers))
  const incidents = material.incidents.filter(({startedAt}) => within(startedAt))
  const met = incidents.filter(({id}) => touched.has(id))
  const restored = (some: readonly IncidentFact[]): number[] =>
    some.filter(({resolvedAt}) => resolvedAt < until).map(({startedAt, resolvedAt}) => (resolvedAt - startedAt) / 1000)
  const restoredAll = restored(incidents)

  return {
    zeroTouchShare: share(zeroTouch, production + outside.length),
    shellPeopleHeld: held.people,
    shellHoursHeld: held.hours,
    shellPeopleUsed: used.people,
    shellHoursUsed: used.hours,
    shells,
    terminals: kinds.terminal,
    assumes: kinds.assume,
    execs: kinds.exec,
    forwards: kinds.forward,
    shellShare: share(shells, uses.length),
    productionUses: production + outside.length,
    zeroTouchUses: zeroTouch,
    sessionsRecorded: recorded,
    sessionsUnrecorded: closed.length - recorded,
    entitledPeople: entitled.people,
    entitledHours: entitled.hours,
    outsideShells: outside.length,
    outsidePeople: elsewhere.people,
    outsideHours: elsewhere.hours,
    requests: created.length,
    approvedAutomaticallyShare: share(automatic, automatic + approvals.length),
    approvalSecondsMean: mean(approvals),
    approvalSecondsP50: percentile(approvals, 50),
    approvalSecondsP95: percentile(approvals, 95),
    usableSecondsP50: percentile(usable, 50),
    usableSecondsP95: percentile(usable, 95),
    refusedByPolicy: refused,
    deniedByPeople: denied,
    deniedShare: share(refused + denied, created.length + refused),
    breakGlass: loud,
    reviewsOpen: open.length,
    reviewsOverdue: open.filter(({openedAt}) => openedAt + reviewMilliseconds < until).length,
    reviewsDone: material.reviews.filter(({doneAt}) => within(doneAt)).length,
    incidents: incidents.length,
    incidentsTouched: met.length,
    incidentsTouchedShare: share(met.length, incidents.length),
    incidentsNamed: named.size,
    restoreSecondsMean: mean(restoredAll),
    restoreSecondsP50: percentile(restoredAll, 50),
    restoreSecondsP95: percentile(restoredAll, 95),
    restoreSecondsP50Touched: percentile(restored(met), 50),
    restoreSecondsP50Untouched: percentile(restored(incidents.filter(({id}) => !touched.has(id))), 50),
    firstTouchSecondsP50: percentile(
      met.map(({id, startedAt}) => Math.max(0, (touched.get(id)?.firstAt ?? startedAt) - startedAt) / 1000),
      50,
    ),
    satisfactionMean: answers === 0 ? null : round(sum(reported.map(one => one.sum)) / answers),
    satisfactionAnswers: answers,
    cliCommands: told,
    cliFailedShare: share(sum(reported.map(({failed}) => failed)), told),
    cliDenied: sum(reported.map(({denied}) => denied)),
  }
}

/** How many people asked for anything: whose figures these are. */
export function peopleOf({requests}: Pick<Material, 'requests'>, since: number, until: number): number {
  return new Set(requests.filter(({at}) => at >= since && at < until).map(({person}) => person)).size
}

/** People and hours of spans, cut at the ends of the period. Two of one person count twice as hours, once as a person. */
function spent(spans: readonly SpanFact[], since: number, until: number): {people: number; hours: number} {
  const people = new Set<string>()
  let milliseconds = 0
  for (const {person, from, to} of spans) {
    if (from >= until || to < since) continue
    people.add(person)
    milliseconds += Math.max(0, Math.min(to, until) - Math.max(from, since))
  }
  return {people: people.size, hours: round(milliseconds / 3_600_000)}
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : round(part / whole)
}

function mean(numbers: readonly number[]): number | null {
  return numbers.length === 0 ? null : round(sum(numbers) / numbers.length)
}

/** The smallest value that so many of a hundred do not exceed (nearest rank). */
function percentile(numbers: readonly number[], ofHundred: number): number | null {
  const sorted = Float64Array.from(numbers).sort()
  const value = sorted[Math.max(0, Math.floor((sorted.length * ofHundred + 99) / 100) - 1)]
  return value === undefined ? null : round(value)
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
