import type {OpenedEntry} from '@prod/sdk/log/envelope'
import {openEntry} from '@prod/sdk/log/envelope'
import {expect, onTestFinished, test} from 'vitest'
import {type Config, defaults} from '../src/config.ts'
import {addEvent, newFacts} from '../src/metrics/facts.ts'
import {forgetBefore} from '../src/metrics/forget.ts'
import {renderPrometheus} from '../src/metrics/prometheus.ts'
import {makeReport, type ReportOptions} from '../src/metrics/report.ts'
import {reportMetrics} from '../src/metrics/routes.ts'
import {acceptUsage, countUsage, type UsageEvent} from '../src/metrics/usage.ts'
import type {Caller} from '../src/parts.ts'
import type {Bundle} from '../src/policy/policy.ts'
import type {AuditEvent} from '../src/stores/store.ts'
import {notice} from './outbox-notice.ts'
import {makeFolder, openFolder} from './store-folder.ts'

const start = Date.UTC(2026, 10, 16) // a Monday
const minutes = (n: number) => new Date(start + n * 60_000)
const production = {environment: 'production', class: 'shell', kind: 'shell', breakGlass: true}

/** A small week: when (in minutes), and what. */
const story: [number, AuditEvent][] = [
  // alice breaks glass at 600, has the shell open from 601 to 631
  [600, {type: 'request.created', by: 'alice', subject: 'req_1', data: {...production, decision: 'allow'}}],
  [
    601,
    {
      type: 'session.opened',
      by: 'alice',
      subject: 'ses_1',
      data: {request: 'req_1', environment: 'production', breakGlass: true, review: 'rev_1'},
    },
  ],
  [631, {type: 'session.closed', by: 'broker', subject: 'ses_1', data: {request: 'req_1', chunks: 3, endedBy: null}}],
  // bob's shell is approved after 10 minutes and never opened; the right ends after 15 more
  [700, {type: 'request.created', by: 'bob', subject: 'req_2', data: {...production, breakGlass: false, decision: 'request'}}],
  [710, {type: 'request.approved', by: 'carol', subject: 'req_2', data: {complete: true}}],
  [725, {type: 'request.expired', by: 'broker', subject: 'req_2'}],
  // staging counts as a shell, not as one in production
  [799, {type: 'request.created', by: 'dave', subject: 'req_9', data: {kind: 'shell', environment: 'staging', decision: 'allow'}}],
  [800, {type: 'session.opened', by: 'dave', subject: 'ses_2', data: {request: 'req_9', environment: 'staging', breakGlass: false}}],
  [810, {type: 'session.closed', by: 'broker', subject: 'ses_2', data: {request: 'req_9', chunks: 0, endedBy: null}}],
  // two commands: one allowed at once, one after two approvals, used a minute later
  [
    900,
    {
      type: 'request.created',
      by: 'alice',
      subject: 'req_3',
      data: {kind: 'exec', class: 'read', environment: 'production', decision: 'allow', breakGlass: false},
    },
  ],
  [900, {type: 'run.started', by: 'alice', subject: 'run_3', data: {request: 'req_3', class: 'read'}}],
  [
    1000,
    {
      type: 'request.created',
      by: 'alice',
      subject: 'req_4',
      data: {kind: 'exec', class: 'change', environment: 'production', decision: 'request', breakGlass: false},
    },
  ],
  [1001, {type: 'request.approved', by: 'bob', subject: 'req_4', data: {complete: false}}],
  [1020, {type: 'request.approved', by: 'carol', subject: 'req_4', data: {complete: true}}],
  [1021, {type: 'run.started', by: 'alice', subject: 'run_4', data: {request: 'req_4', class: 'change'}}],
  [
    1100,
    {
      type: 'request.created',
      by: 'alice',
      subject: 'req_5',
      data: {kind: 'role', class: 'change', environment: '', decision: 'request', breakGlass: false},
    },
  ],
  [1105, {type: 'request.denied', by: 'bob', subject: 'req_5'}],
  [1110, {type: 'request.refused', by: 'alice', subject: 'web'}],
  [1200, {type: 'review.done', by: 'carol', subject: 'rev_1'}],
]

const entries = (events: [number, AuditEvent][]): OpenedEntry[] =>
  events.map(([minute, {by, type, subject, data, personal = {}}], index) => ({
    v: 1,
    index,
    time: minutes(minute).toISOString(),
    instance: 'test',
    type,
    subject,
    by,
    personal,
    ...(data ? {data} : {}),
  }))

const reportOf = (since: number, until: number, options: Partial<ReportOptions> = {}, events = story) => {
  const facts = newFacts()
  for (const entry of entries(events)) addEvent(facts, entry)
  const report = makeReport(facts, {
    since: minutes(since),
    until: minutes(until),
    teams: [],
    minPeople: 1,
    reviewHours: 72,
    ...options,
  })
  return report as NonNullable<typeof report>
}

test('figures of a week are those that one counts by hand', () => {
  const {values, series} = reportOf(0, 7 * 1440)
  expect(values).toMatchObject({
    zeroTouchShare: 0.667, // two commands and alice's shell
    shellPeopleHeld: 2,
    shellHoursHeld: 0.767, // 31 and 15 minutes
    shellPeopleUsed: 1,
    shellHoursUsed: 0.5,
    shells: 2,
    terminals: 2,
    assumes: 0,
    execs: 2,
    forwards: 0,
    shellShare: 0.5,
    requests: 6,
    approvedAutomaticallyShare: 0.5,
    approvalSecondsMean: 900,
    approvalSecondsP50: 600,
    approvalSecondsP95: 1200,
    usableSecondsP50: 60,
    usableSecondsP95: 1260,
    refusedByPolicy: 1,
    deniedByPeople: 1,
    deniedShare: 0.286,
    breakGlass: 1,
    reviewsOpen: 0,
    reviewsOverdue: 0,
    reviewsDone: 1,
    sessionsRecorded: 1,
    sessionsUnrecorded: 1,
    incidents: 0,
    incidentsTouchedShare: null,
    cliCommands: 0,
  })
  expect(series.map(({name, unit}) => `${name} ${unit}`)).toEqual(
    expect.arrayContaining(['zeroTouchShare each day', 'shells each day', 'execs each day', 'requests each day', 'breakGlass each day']),
  )
  expect(series.find(({name}) => name === 'shells')?.points).toEqual(
    Array.from({length: 7}, (_, day) => ({at: minutes(day * 1440).toISOString(), value: day === 0 ? 2 : 0})),
  )
  expect(JSON.stringify({values, series})).not.toMatch(/alice|bob|carol|dave/)
})

test('a review waits from the break-glass on, and is overdue after its hours', () => {
  expect(reportOf(0, 1199).values).toMatchObject({reviewsOpen: 1, reviewsOverdue: 0})
  expect(reportOf(0, 1199, {reviewHours: 9}).values).toMatchObject({reviewsOpen: 1, reviewsOverdue: 1})
})

test('what a period only touches is cut at its ends; what is still open counts until now', () => {
  const part = (from: number, until: number) => reportOf(from, until).values
  expect(part(611, 621)).toMatchObject({
    shellPeopleUsed: 1,
    shellHoursUsed: 0.167,
    shells: 0,
    requests: 0,
    shellShare: null,
    approvalSecondsP50: null,
  })
  expect(part(601, 621)).toMatchObject({shells: 1, shellHoursHeld: 0.333, sessionsRecorded: 0})
  expect(part(715, 720)).toMatchObject({shellPeopleHeld: 1, shellHoursHeld: 0.083, shellPeopleUsed: 0})
  expect(part(1015, 1030)).toMatchObject({approvalSecondsP50: 1200, usableSecondsP50: 1260, requests: 0})
})

test('longer than two weeks the series go by weeks from Monday on', () => {
  const {series} = reportOf(2 * 1440, 30 * 1440)
  expect(series[0]).toMatchObject({unit: 'each week'})
  expect(series[0]!.points.map(({at}) => at.slice(0, 10))).toEqual(['2026-11-16', '2026-11-23', '2026-11-30', '2026-12-07', '2026-12-14'])
})

/** An assumed role, a forward, and teams. */
const more: [number, AuditEvent][] = [
  ...['ann', 'ben', 'cat'].map((by, n): [number, AuditEvent] => [
    n,
    {
      type: 'request.created',
      by,
      subject: `req_${by}`,
      data: {
        kind: n === 2 ? 'forward' : 'role',
        class: n === 1 ? 'read' : 'admin',
        environment: 'production',
        service: 'web',
        decision: 'allow',
      },
      personal: {groups: n === 0 ? ['team-a', 'engineers'] : ['team-b', 'engineers']},
    },
  ]),
  ...['ann', 'ben'].flatMap((by, n): [number, AuditEvent][] => [
    [5, {type: 'grant.activated', by: 'broker', subject: `grant_${by}`, data: {request: `req_${by}`, provider: 'aws-sts'}}],
    ...[10, 40].map((minute): [number, AuditEvent] => [
      minute,
      {type: 'grant.credential', by: 'broker', subject: `grant_${by}`, data: {request: `req_${by}`, class: n === 1 ? 'read' : 'admin'}},
    ]),
    [65, {type: 'grant.handed-back', by, subject: `grant_${by}`, data: {request: `req_${by}`}}],
  ]),
  [70, {type: 'session.opened', by: 'cat', subject: 'ses_cat', data: {request: 'req_cat', environment: 'production'}}],
]
const ordered = more.toSorted(([a], [b]) => a - b)

test('an assumed role that does more than read counts with shells, once for each grant; a forward stands beside them', () => {
  expect(reportOf(0, 1440, {}, ordered).values).toMatchObject({
    zeroTouchShare: 0,
    shells: 1,
    terminals: 0,
    assumes: 1,
    forwards: 1,
    shellShare: 0.5,
    shellPeopleHeld: 1,
    shellHoursHeld: 1,
    shellPeopleUsed: 1,
    shellHoursUsed: 0.917,
  })
})

test('figures of fewer people than the operator set are shown of no team and no service', () => {
  const names = (options: Partial<ReportOptions>) => {
    const {teams, services, withheld} = reportOf(0, 1440, options, ordered)
    return [teams.map(({name}) => name).sort(), services.map(({name}) => name), withheld]
  }
  expect(names({})).toEqual([['engineers', 'team-a', 'team-b'], ['web'], {teams: 0, services: 0, fewerThan: 1}])
  expect(names({minPeople: 2})).toEqual([['engineers', 'team-b'], ['web'], {teams: 1, services: 0, fewerThan: 2}])
  expect(names({minPeople: 4})).toEqual([[], [], {teams: 3, services: 1, fewerThan: 4}])
  expect(names({teams: ['team-*']})).toEqual([['team-a', 'team-b'], ['web'], {teams: 0, services: 0, fewerThan: 1}])
  expect(reportOf(0, 1440, {minPeople: 2, team: 'team-a'}, ordered)).toBeNull()
  expect(reportOf(0, 1440, {minPeople: 2, team: 'team-b', service: 'web'}, ordered)).toMatchObject({people: 2, team: 'team-b'})
  expect(reportOf(0, 1440, {team: 'nobody'}, ordered)).toBeNull()
  expect(reportOf(0, 1440, {teams: ['team-*'], team: 'engineers'}, ordered)).toBeNull()
})

test('what is older than any report is forgotten, and changes no figure of what is left', () => {
  const facts = newFacts()
  for (const entry of entries(story)) addEvent(facts, entry)
  const options = {since: minutes(850), until: minutes(1440), teams: [], minPeople: 1, reviewHours: 72}
  const before = makeReport(facts, options)
  forgetBefore(facts, minutes(850).getTime())
  expect(facts.requests).toHaveLength(3)
  expect(makeReport(facts, options)).toEqual(before)
})

const config = {...defaults, metrics: {...defaults.metrics, minPeople: 1}} as unknown as Config

async function setUp() {
  const {dir, remove} = makeFolder()
  let now = minutes(0)
  const store = await openFolder(dir, () => now)
  onTestFinished(async () => {
    await store.close()
    remove()
  })
  const at = (minute: number) => (now = minutes(minute))
  return {
    store,
    at,
    play: async (events: [number, AuditEvent][]) => {
      for (const [minute, event] of events) {
        at(minute)
        await store.commit({events: [event]})
      }
    },
  }
}

test('the report reads a real log, from any moment on', async () => {
  const {store, play, at} = await setUp()
  await play(story)
  at(1500)
  const parts = {store, config}
  expect((await reportMetrics(parts)).values).toMatchObject({requests: 6, shellPeopleHeld: 2})
  expect((await reportMetrics(parts, {since: minutes(611).toISOString()})).values).toMatchObject({
    requests: 5,
    shells: 1,
    shellHoursUsed: 0.333,
  })
  await expect(
    reportMetrics({store, config: {...config, metrics: {...config.metrics, minPeople: 2}}}, {service: 'web'}),
  ).rejects.toMatchObject({
    code: 'DENIED',
  })
  for (const bad of ['', 'soon', minutes(1501).toISOString(), '1999-01-01T00:00:00Z'])
    await expect(reportMetrics({store, config}, {since: bad})).rejects.toMatchObject({code: 'BAD_REQUEST'})
})

test('a period of those who may not read the log is whole days, and seven at least: none is about one person', async () => {
  const {store, play, at} = await setUp()
  await play(story)
  at(8 * 1440 + 333)
  const parts = {store, config: {...config, metrics: {...config.metrics, minPeople: 2}}}
  const moment = (minute: number) => minutes(minute).toISOString()
  const asked = {since: moment(611), until: moment(7 * 1440 + 612)}
  const whole = await reportMetrics(parts, asked)
  expect(whole).toMatchObject({since: moment(0), until: moment(7 * 1440), values: {requests: 6}})
  // a minute more or less is the same period: there is no difference to take
  expect(await reportMetrics(parts, {since: moment(610), until: moment(7 * 1440 + 613)})).toEqual(whole)
  expect(await reportMetrics(parts)).toMatchObject({until: moment(8 * 1440), values: {requests: 6}})
  for (const until of [moment(612), moment(7 * 1440 - 1)])
    await expect(reportMetrics(parts, {since: moment(611), until})).rejects.toMatchObject({code: 'DENIED', hint: 'prod metrics --since 7d'})
  // who reads the log, and everybody where one person is enough
  expect(await reportMetrics(parts, {since: moment(611), until: moment(612)}, true)).toMatchObject({since: moment(611)})
  expect(await reportMetrics({store, config}, {since: moment(611), until: moment(612)})).toMatchObject({since: moment(611)})
})

test('what Prometheus reads is counted from the log, once, however often it asks', async () => {
  const {store, play} = await setUp()
  const parts = {store, config, bundle: () => ({loadedAt: minutes(0).toISOString()}) as Bundle}
  const read = async () => {
    const text = await renderPrometheus(parts, {live: 3, alarms: 2})
    return Object.fromEntries(
      text
        .split('\n')
        .filter(line => line !== '' && !line.startsWith('#'))
        .map(line => line.split(/ (?=[^ ]+$)/)),
    )
  }
  expect(await read()).toMatchObject({broker_log_entries: '0', broker_outbox_waiting: '0'})
  await play(story)
  await store.commit({
    put: [{kind: 'review', id: 'rev_2', version: 0, value: {dueAt: minutes(5).toISOString()}, index: {state: 'open'}}],
    events: [],
    notices: [{channels: ['a', 'b'], notice: notice('ntc_1')}],
  })
  const expected = {
    'broker_requests_total{state="created"}': '6',
    'broker_requests_total{state="approved"}': '5',
    'broker_requests_total{state="denied"}': '1',
    'broker_requests_total{state="expired"}': '1',
    'broker_requests_total{state="refused"}': '1',
    'broker_runs_total{class="read"}': '1',
    'broker_runs_total{class="change"}': '1',
    'broker_sessions_total{kind="break-glass"}': '1',
    'broker_approval_seconds_bucket{le="300"}': '0',
    'broker_approval_seconds_bucket{le="600"}': '1',
    'broker_approval_seconds_bucket{le="+Inf"}': '2',
    broker_approval_seconds_sum: '1800',
    broker_30d_zero_touch_share: '0.667',
    broker_30d_shells: '2',
    broker_live: '3',
    broker_alarms_total: '2',
    broker_outbox_waiting: '2',
    broker_outbox_dead: '0',
    broker_reviews_open: '1',
    broker_reviews_overdue: '1',
    broker_log_entries: String(story.length),
  }
  for (const figures of await Promise.all([read(), read(), read()])) expect(figures).toMatchObject(expected)
})

test('usage is kept as counts: no argument gets into the log, and no flood of names', async () => {
  const {store} = await setUp()
  const event = (changed: Partial<UsageEvent>): UsageEvent => ({
    command: 'exec',
    durationMs: 10,
    exit: 0,
    at: minutes(0).toISOString(),
    version: '0.1.0',
    ...changed,
  })
  const events = [
    event({tool: 'web', platform: 'linux', answer: 4}),
    event({tool: 'web', exit: 243}),
    event({command: 'request create'}),
    event({command: 'exec --password hunter2', tool: 'a b', version: 'hunter2'}),
    event({command: '__proto__'}),
  ]
  expect(countUsage(events)).toEqual({
    events: 5,
    commands: {
      exec: {count: 2, exits: {0: 1, 243: 1}, durationMs: 20},
      'request create': {count: 1, exits: {0: 1}, durationMs: 10},
      other: {count: 2, exits: {0: 2}, durationMs: 20},
    },
    tools: {web: {count: 2, exits: {0: 1, 243: 1}, durationMs: 20}, other: {count: 1, exits: {0: 1}, durationMs: 10}},
    versions: {'0.1.0': 4, other: 1},
    platforms: {linux: 1},
    answers: {4: 1},
  })
  const refused = {command: 'assume', denied: 'action_not_allowed', action: 's3:DeleteObject', role: 'deployer', tool: 'aws'}
  const {denials, roles} = countUsage([
    event(refused),
    event(refused),
    event({...refused, action: 's3://payroll/hunter2', role: '--hunter2'}),
    event({denied: 'hunter2'}),
    event({role: 'hunter2\n'}),
  ])
  expect(denials).toEqual([
    {category: 'action_not_allowed', action: 's3:DeleteObject', role: 'deployer', tool: 'aws', count: 2},
    {category: 'action_not_allowed', tool: 'aws', count: 1},
    {category: 'other', count: 1},
  ])
  expect(roles).toEqual({deployer: 2, other: 2})
  const kinds = countUsage(Array.from({length: 500}, (_, n) => event({...refused, role: `r${n}`}))).denials ?? []
  expect([kinds.length, kinds.at(-1)]).toEqual([51, {category: 'other', count: 450}])
  const many = countUsage(Array.from({length: 500}, (_, n) => event({tool: `t${n}`})))
  expect(Object.keys(many.tools)).toHaveLength(51)
  expect(many.tools.other?.count).toBe(450)

  const caller = {
    principal: {iss: 'i', sub: 's', person: 'alice', name: 'Alice'},
    groups: ['team-a'],
    correlation: 'cor_1',
  } as unknown as Caller
  expect(await acceptUsage({store}, caller, events, 'batch0001')).toEqual({accepted: 5})
  expect(await acceptUsage({store}, caller, events, 'batch0001')).toEqual({accepted: 5}) // its answer was not heard
  expect(await acceptUsage({store}, caller, [])).toEqual({accepted: 0})
  const rows = await store.entries({from: 0, limit: 10})
  expect(rows.map(openEntry)).toMatchObject([{type: 'usage.reported', by: 'alice', data: {events: 5}, personal: {groups: ['team-a']}}])
  expect(JSON.stringify(rows)).not.toContain('hunter2')
})
