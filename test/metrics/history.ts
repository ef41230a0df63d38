/**
 * A made-up history of a company: the events that a broker writes, in the forms in which it writes them. The same seed gives the same history.
 * Knows nothing of how figures are counted.
 */

/** One event, and when. */
export interface HistoryEvent {
  at: number
  type: string
  by: string
  subject: string
  data: Record<string, unknown>
  personal: Record<string, unknown>
}

export interface HistoryOptions {
  seed: number
  /** milliseconds since 1970 */
  from: number
  days: number
  people: number
  teams: number
  services: number
  /** requests of one person in a week, about */
  perWeek: number
}

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** mulberry32 (public domain, by Tommy Ettinger): small and good enough for tests. */
function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** The whole history, oldest first. What would have happened after its end has not happened. */
export function makeHistory({seed, from, days, people, teams, services, perWeek}: HistoryOptions): HistoryEvent[] {
  const next = random(seed)
  const below = (most: number): number => Math.floor(next() * most)
  const chance = (part: number): boolean => next() < part
  const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T
  /** mostly short, sometimes very long */
  const about = (typical: number): number => Math.round(typical * (0.2 + -Math.log(1 - next())))
  const end = from + days * day
  const events: HistoryEvent[] = []
  let made = 0
  const id = (prefix: string): string => `${prefix}_${(made++).toString(36).padStart(17, '0')}`
  const name = (word: string, number: number): string => `${word}-${String(number + 1).padStart(2, '0')}`
  const tell = (at: number, type: string, by: string, subject: string, data = {}, personal = {}): void => {
    if (at < end) events.push({at: Math.round(at), type, by, subject, data, personal})
  }
  const everybody = Array.from({length: people}, (_, number) => ({
    person: `p${String(number).padStart(4, '0')}`,
    groups: ['engineers', name('team', number % teams), ...(number % 7 === 0 ? [name('team', (number + 3) % teams)] : [])],
    service: name('service', (number % teams) % services),
  }))

  const incidents = Array.from({length: Math.max(3, Math.round((days * services) / 40))}, (_, number) => ({
    id: `INC-${number + 1}`,
    at: from + next() * days * day,
    service: name('service', below(services)),
  }))

  /** weekdays and working hours, mostly; what is for an incident lies close after its beginning */
  const moment = (): number => {
    for (;;) {
      const at = from + next() * days * day
      const date = new Date(at)
      const busy = date.getUTCDay() % 6 !== 0 && date.getUTCHours() >= 7 && date.getUTCHours() < 18
      if (busy || chance(0.1)) return Math.round(at)
    }
  }

  const total = Math.round((people * perWeek * days) / 7)
  for (let n = 0; n < total; n++) {
    const who = pick(everybody)
    const incident = chance(0.05) ? incidents[below(Math.ceil(incidents.length * 0.7))] : undefined
    const at = incident ? Math.round(incident.at + about(20 * minute)) : moment()
    const service = incident?.service ?? (chance(0.8) ? who.service : chance(0.1) ? null : name('service', below(services)))
    const environment = chance(0.85) ? pick(['production', 'production', 'prod-eu', 'PROD']) : 'staging'
    const dice = next()
    const kind = dice < 0.78 ? 'exec' : dice < 0.86 ? 'shell' : dice < 0.92 ? 'forward' : 'role'
    const request = id('req')
    const correlation = {name: who.person, groups: who.groups}
    const write = (
      type: string,
      {decision, breakGlass = false, ...more}: {decision: 'allow' | 'request'; breakGlass?: boolean; [name: string]: unknown},
    ): void =>
      tell(
        at,
        type,
        who.person,
        request,
        {
          kind,
          class: kind === 'shell' || kind === 'forward' ? 'shell' : 'read',
          environment: kind === 'role' ? '' : environment,
          service,
          tool: kind === 'exec' ? pick(['unit', 'logs', 'db']) : null,
          target: kind === 'role' ? null : 'web-1',
          ...(incident ? {incident: true, incidentId: incident.id} : {}),
          decision,
          approvalsNeeded: decision === 'allow' ? 0 : 1,
          breakGlass,
          ...more,
        },
        {...correlation, reason: 'look at it'},
      )
    if (chance(0.04)) {
      tell(at, 'request.refused', who.person, 'unit', {code: 'DENIED', service}, correlation)
      if (chance(0.1))
        tell(at + minute, 'request.refused', who.person, 'repeated', {code: 'DENIED', count: 1 + below(30)}, {name: who.person})
      continue
    }

    // break-glass, at once; else allowed or approved, or something that ends before it begins
    const breakGlass = (kind === 'shell' && chance(0.6)) || (kind === 'exec' && chance(0.01))
    const allowed = breakGlass || (kind === 'exec' ? chance(0.7) : kind === 'forward' ? chance(0.4) : chance(0.2))
    const toolClass = kind === 'role' ? pick(['read', 'change', 'admin']) : kind === 'exec' ? pick(['read', 'read', 'change']) : 'shell'
    const startAt = kind === 'role' && chance(0.2) ? at + about(6 * hour) : null
    write('request.created', {
      decision: allowed ? 'allow' : 'request',
      breakGlass,
      class: toolClass,
      ...(startAt === null ? {} : {startAt: new Date(startAt).toISOString()}),
    })
    let ready = at
    if (!allowed) {
      const waited = about(9 * minute)
      const fate = next()
      if (fate < 0.06) {
        tell(at + waited, 'request.denied', pick(everybody).person, request, {digest: ''}, {})
        continue
      }
      if (fate < 0.12) {
        tell(at + waited, fate < 0.09 ? 'request.expired' : 'request.cancelled', 'broker', request, {}, {})
        continue
      }
      if (toolClass === 'admin') tell(at + waited / 2, 'request.approved', pick(everybody).person, request, {complete: false}, {})
      ready = Math.round(at + waited)
      tell(ready, 'request.approved', pick(everybody).person, request, {complete: true}, {})
      if (kind !== 'role' && chance(0.08)) {
        tell(ready + 15 * minute, pick(['request.expired', 'request.voided']), 'broker', request, {}, {})
        continue
      }
    }

    const begun = ready + about(20_000)
    const review = breakGlass ? id('rev') : null
    const reviewed = (over: number): void => {
      if (review !== null && chance(0.9))
        tell(over + about(20 * hour), 'review.done', pick(everybody).person, review, {verdict: pick(['ok', 'ok', 'follow-up'])}, {})
    }
    if (kind === 'exec') {
      const many = chance(0.02) ? 2 + below(4) : 1
      for (let target = 0; target < many; target++) {
        tell(
          begun + target * 700,
          'run.started',
          who.person,
          id('run'),
          {request, tool: 'unit', class: toolClass, environment, breakGlass, ...(breakGlass ? {review} : {})},
          {name: who.person},
        )
      }
      reviewed(begun)
    } else if (kind === 'shell' || kind === 'forward') {
      const session = id('ses')
      const over = begun + about(18 * minute)
      tell(
        begun,
        'session.opened',
        who.person,
        session,
        {request, target: 'web-1', environment, breakGlass, review, ...(kind === 'forward' ? {kind} : {})},
        {name: who.person},
      )
      const unopened = chance(0.02)
      tell(
        over,
        'session.closed',
        'broker',
        session,
        {request, environment, breakGlass, endedBy: unopened ? 'not opened' : null, chunks: unopened || chance(0.01) ? 0 : 1 + below(9)},
        {person: who.person},
      )
      reviewed(over)
    } else {
      const grant = id('grant')
      const active = Math.max(ready, startAt ?? 0) + below(700)
      const provider = chance(0.2) ? 'group' : 'aws-sts'
      tell(active, 'grant.activated', 'broker', grant, {request, role: 'operator', provider}, {person: who.person})
      const over = active + about(2 * hour)
      if (provider !== 'group') {
        for (let asked = active + about(5 * minute); asked < over; asked += 40 * minute)
          tell(asked, 'grant.credential', 'broker', grant, {request, role: 'operator', class: toolClass, provider}, {person: who.person})
      }
      const how = pick(['grant.expired', 'grant.expired', 'grant.revoked', 'grant.handed-back'])
      tell(over, how, 'broker', grant, {request, role: 'operator'}, {person: who.person})
    }
  }

  for (const who of everybody) {
    for (let at = from + next() * 7 * day; at < end; at += about(7 * day)) {
      const commands: Record<string, {count: number; exits: Record<string, number>; durationMs: number}> = {}
      let count = 0
      for (const command of ['exec', 'shell', 'whoami']) {
        const exits = {0: 1 + below(12), ...(chance(0.3) ? {243: 1 + below(2)} : {}), ...(chance(0.2) ? {1: 1} : {})}
        const all = Object.values(exits).reduce((sum, one) => sum + one, 0)
        commands[command] = {count: all, exits, durationMs: all * 300}
        count += all
      }
      const denials = chance(0.2) ? [{category: 'action_not_allowed', action: 's3:GetObject', role: 'operator', count: 1 + below(3)}] : []
      const answers = chance(0.3) ? {[1 + below(5)]: 1 + below(2)} : {}
      tell(
        at,
        'usage.reported',
        who.person,
        'cli',
        {events: count, commands, tools: {}, versions: {'0.1.0': count}, answers, ...(denials.length > 0 ? {denials} : {})},
        {groups: who.groups},
      )
    }
  }

  const iso = (at: number): string => new Date(Math.round(at)).toISOString()
  for (const {id: subject, at, service} of incidents) {
    const row = (to: number | null) => ({from: iso(at), to: to === null ? null : iso(to), service, team: name('team', below(teams))})
    // told while it was open, and told anew when it was over
    tell(at + 5 * minute, 'incident.imported', 'security', subject, row(null), {})
    if (chance(0.9)) {
      const over = at + about(90 * minute)
      tell(over + minute, 'incident.imported', 'security', subject, row(over), {})
    }
  }
  for (let n = 0; n < people / 4; n++) {
    const who = pick(everybody)
    const at = moment()
    const row = {from: iso(at), to: iso(at + about(30 * minute)), service: who.service, team: who.groups[1]}
    tell(at + day, 'outside-shell.imported', 'security', `host:${n}`, row, {person: who.person})
  }
  for (let n = 0; n < people / 5; n++) {
    const who = pick(everybody)
    const at = from + next() * days * day
    const row = {from: iso(at - 30 * day), to: chance(0.3) ? iso(at + about(20 * day)) : null, service: null, team: who.groups[1]}
    tell(at, 'entitlement.imported', 'security', `key:${n}`, row, {person: who.person})
  }
  return events.sort((a, b) => a.at - b.at)
}
