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

/** What the figures of a period are told beside the facts. */
export interface Asked {
  /** milliseconds since 1970: from then, up to and without then */
  since: number
  until: number
  /** how long a review may wait */
  reviewMilliseconds: number
  touched: ReadonlyMap<string, Touched>
}

/** Every figure of a period, of material that was narrowed to it. */
export function figuresOf(material: Material, asked: Asked): Values {
  const tally = newTally()
  for (const name of kinds) for (const fact of material[name]) count(tally, name, fact, asked)
  return figuresFrom(tally)
}

/** Kinds of facts, in the order in which they are counted. */
export const kinds = [
  'requests',
  'approved',
  'usable',
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
] as const satisfies (keyof Material)[]

/** Whose a fact is. */
export function ofFact(fact: Material[keyof Material][number]): Of {
  return 'of' in fact ? fact.of : fact
}

interface Spent {
  people: Set<string>
  milliseconds: number
}

/** Facts of a period as they are counted: each is looked at once, whatever it counts for. */
export interface Tally {
  /** who asked for anything: whose figures these are */
  people: Set<string>
  requests: number
  automatic: number
  /** seconds */
  approvals: number[]
  usable: number[]
  uses: {exec: number; terminal: number; forward: number; assume: number}
  loud: number
  production: number
  zeroTouch: number
  named: Set<string>
  held: Spent
  used: Spent
  entitled: Spent
  elsewhere: Spent
  outside: number
  denied: number
  refused: number
  closed: number
  recorded: number
  reviewsOpen: number
  reviewsOverdue: number
  reviewsDone: number
  told: number
  failed: number
  cliDenied: number
  answers: number
  score: number
  incidents: number
  met: number
  restored: {touched: number[]; untouched: number[]}
  firstTouch: number[]
}

/** Nothing yet. */
export function newTally(): Tally {
  const spent = (): Spent => ({people: new Set(), milliseconds: 0})
  return {
    people: new Set(),
    requests: 0,
    automatic: 0,
    approvals: [],
    usable: [],
    uses: {exec: 0, terminal: 0, forward: 0, assume: 0},
    loud: 0,
    production: 0,
    zeroTouch: 0,
    named: new Set(),
    held: spent(),
    used: spent(),
    entitled: spent(),
    elsewhere: spent(),
    outside: 0,
    denied: 0,
    refused: 0,
    closed: 0,
    recorded: 0,
    reviewsOpen: 0,
    reviewsOverdue: 0,
    reviewsDone: 0,
    told: 0,
    failed: 0,
    cliDenied: 0,
    answers: 0,
    score: 0,
    incidents: 0,
    met: 0,
    restored: {touched: [], untouched: []},
    firstTouch: [],
  }
}

type Count<K extends keyof Material> = (tally: Tally, fact: Material[K][number], asked: Asked) => void

const counts: {readonly [K in keyof Material]: Count<K>} = {
  requests: (tally, {person, allowed, loud}) => {
    tally.people.add(person)
    tally.requests += 1
    if (allowed && !loud) tally.automatic += 1
  },
  approved: (tally, {at, approvedAt}) => void tally.approvals.push(((approvedAt as number) - at) / 1000),
  usable: (tally, {from, usableAt}) => void tally.usable.push(Math.max(0, (usableAt as number) - from) / 1000),
  uses: (tally, {kind, of, loud}) => {
    tally.uses[kind] += 1
    if (loud) tally.loud += 1
    if (of.incident !== null) tally.named.add(of.incident)
    if (!of.production) return
    tally.production += 1
    if (kind === 'exec' && !loud) tally.zeroTouch += 1
  },
  held: (tally, span, asked) => spend(tally.held, span, asked),
  used: (tally, span, asked) => spend(tally.used, span, asked),
  entitled: (tally, span, asked) => spend(tally.entitled, span, asked),
  outside: (tally, span, asked) => {
    spend(tally.elsewhere, span, asked)
    if (span.from >= asked.since && span.from < asked.until) tally.outside += 1
  },
  denied: tally => {
    tally.denied += 1
  },
  refused: (tally, {count: times}) => {
    tally.refused += times
  },
  closed: (tally, {recorded}) => {
    tally.closed += 1
    if (recorded) tally.recorded += 1
  },
  reviews: (tally, {openedAt, doneAt}, {since, until, reviewMilliseconds}) => {
    if (openedAt < until && doneAt >= until) {
      tally.reviewsOpen += 1
      if (openedAt + reviewMilliseconds < until) tally.reviewsOverdue += 1
    }
    if (doneAt >= since && doneAt < until) tally.reviewsDone += 1
  },
  reported: (tally, {events, failed, denied, answers, sum}) => {
    tally.told += events
    tally.failed += failed
    tally.cliDenied += denied
    tally.answers += answers
    tally.score += sum
  },
  incidents: (tally, {id, startedAt, resolvedAt}, {until, touched}) => {
    const met = touched.get(id)
    tally.incidents += 1
    if (met) {
      tally.met += 1
      tally.firstTouch.push(Math.max(0, met.firstAt - startedAt) / 1000)
    }
    if (resolvedAt < until) tally.restored[met ? 'touched' : 'untouched'].push((resolvedAt - startedAt) / 1000)
  },
}

/** Counts one fact, which belongs to the period. */
export function count<K extends keyof Material>(tally: Tally, kind: K, fact: Material[K][number], asked: Asked): void {
  ;(counts[kind] as Count<K>)(tally, fact, asked)
}

/** People and time of a span, cut at the ends of the period. Two of one person count twice as hours, once as a person. */
function spend(spent: Spent, {person, from, to}: SpanFact, {since, until}: Asked): void {
  if (from >= until || to < since) return
  spent.people.add(person)
  spent.milliseconds += Math.max(0, Math.min(to, until) - Math.max(from, since))
}

/** Every figure, of what was counted. */
export function figuresFrom(tally: Tally): Values {
  const {uses, outside, requests, refused, denied, told, answers, incidents, met} = tally
  const shells = uses.terminal + uses.assume
  const hours = ({milliseconds}: Spent): number => round(milliseconds / 3_600_000)
  const [approvals, usable] = [sorted(tally.approvals), sorted(tally.usable)]
  const {touched, untouched} = tally.restored
  const restored = sorted([...touched, ...untouched])
  return {
    zeroTouchShare: share(tally.zeroTouch, tally.production + outside),
    shellPeopleHeld: tally.held.people.size,
    shellHoursHeld: hours(tally.held),
    shellPeopleUsed: tally.used.people.size,
    shellHoursUsed: hours(tally.used),
    shells,
    terminals: uses.terminal,
    assumes: uses.assume,
    execs: uses.exec,
    forwards: uses.forward,
    shellShare: share(shells, shells + uses.exec + uses.forward),
    productionUses: tally.production + outside,
    zeroTouchUses: tally.zeroTouch,
    sessionsRecorded: tally.recorded,
    sessionsUnrecorded: tally.closed - tally.recorded,
    entitledPeople: tally.entitled.people.size,
    entitledHours: hours(tally.entitled),
    outsideShells: outside,
    outsidePeople: tally.elsewhere.people.size,
    outsideHours: hours(tally.elsewhere),
    requests,
    approvedAutomaticallyShare: share(tally.automatic, tally.automatic + approvals.length),
    approvalSecondsMean: mean(approvals),
    approvalSecondsP50: percentile(approvals, 50),
    approvalSecondsP95: percentile(approvals, 95),
    usableSecondsP50: percentile(usable, 50),
    usableSecondsP95: percentile(usable, 95),
    refusedByPolicy: refused,
    deniedByPeople: denied,
    deniedShare: share(refused + denied, requests + refused),
    breakGlass: tally.loud,
    reviewsOpen: tally.reviewsOpen,
    reviewsOverdue: tally.reviewsOverdue,
    reviewsDone: tally.reviewsDone,
    incidents,
    incidentsTouched: met,
    incidentsTouchedShare: share(met, incidents),
    incidentsNamed: tally.named.size,
    restoreSecondsMean: mean(restored),
    restoreSecondsP50: percentile(restored, 50),
    restoreSecondsP95: percentile(restored, 95),
    restoreSecondsP50Touched: percentile(sorted(touched), 50),
    restoreSecondsP50Untouched: percentile(sorted(untouched), 50),
    firstTouchSecondsP50: percentile(sorted(tally.firstTouch), 50),
    satisfactionMean: answers === 0 ? null : round(tally.score / answers),
    satisfactionAnswers: answers,
    cliCommands: told,
    cliFailedShare: share(tally.failed, told),
    cliDenied: tally.cliDenied,
  }
}

const sorted = (numbers: readonly number[]): Float64Array => Float64Array.from(numbers).sort()

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : round(part / whole)
}

function mean(numbers: Float64Array): number | null {
  return numbers.length === 0 ? null : round(numbers.reduce((sum, one) => sum + one, 0) / numbers.length)
}

/** The smallest value that so many of a hundred do not exceed (nearest rank). */
function percentile(numbers: Float64Array, ofHundred: number): number | null {
  const value = numbers[Math.max(0, Math.floor((numbers.length * ofHundred + 99) / 100) - 1)]
  return value === undefined ? null : round(value)
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
