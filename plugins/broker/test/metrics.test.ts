import type {OpenedEntry} from '@prod/sdk/log/envelope'
import {openEntry} from '@prod/sdk/log/envelope'
import {expect, onTestFinished, test} from 'vitest'
import {computeMetrics} from '../src/metrics/compute.ts'
import {renderPrometheus} from '../src/metrics/prometheus.ts'
import {indexSince} from '../src/metrics/read.ts'
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
  [601, {type: 'session.opened', by: 'alice', subject: 'ses_1', data: {request: 'req_1', environment: 'production', breakGlass: true}}],
  [631, {type: 'session.closed', by: 'broker', subject: 'ses_1', data: {request: 'req_1', chunks: 3, endedBy: null}}],
  // bob's shell is approved after 10 minutes and never opened; the right ends after 15 more
  [700, {type: 'request.created', by: 'bob', subject: 'req_2', data: {...production, breakGlass: false, decision: 'request'}}],
  [710, {type: 'request.approved', by: 'carol', subject: 'req_2', data: {complete: true}}],
  [725, {type: 'request.expired', by: 'broker', subject: 'req_2'}],
  // staging counts as a shell, not as one in production
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
  events.map(([minute, {by, type, subject, data}], index) => ({
    v: 1,
    index,
    time: minutes(minute).toISOString(),
    instance: 'test',
    type,
    subject,
    by,
    personal: {},
    ...(data ? {data} : {}),
  }))

test('figures of a week are those that one counts by hand', () => {
  const {values, series} = computeMetrics({
    since: minutes(0),
    until: minutes(7 * 1440),
    events: entries(story).reverse(),
    openReviews: [{dueAt: minutes(100).toISOString()}, {dueAt: minutes(99_999).toISOString()}],
  })
  expect(values).toEqual({
    shellPeopleHeld: 2,
    shellHoursHeld: 0.767, // 31 and 15 minutes
    shellPeopleUsed: 1,
    shellHoursUsed: 0.5,
    shells: 2,
    execs: 2,
    shellShare: 0.5,
    requests: 5,
    approvedAutomaticallyShare: 0.333,
    approvalSecondsMean: 900,
    approvalSecondsP50: 600,
    approvalSecondsP95: 1200,
    usableSecondsP50: 60,
    usableSecondsP95: 1260,
    refusedByPolicy: 1,
    deniedByPeople: 1,
    deniedShare: 0.333,
    breakGlass: 1,
    reviewsOpen: 2,
    reviewsOverdue: 1,
    reviewsDone: 1,
    sessionsRecorded: 1,
    sessionsUnrecorded: 1,
    cliCommands: 0,
  })
  expect(series.map(({name, unit}) => `${name} ${unit}`)).toEqual([
    'shells each day',
    'execs each day',
    'requests each day',
    'break-glass each day',
  ])
  expect(series[0]!.points).toEqual(
    Array.from({length: 7}, (_, day) => ({at: minutes(day * 1440).toISOString(), value: day === 0 ? 2 : 0})),
  )
  expect(JSON.stringify({values, series})).not.toMatch(/alice|bob|carol|dave/)
})

test('what a period only touches is cut at its ends; what is still open counts until now', () => {
  const part = (from: number, until: number) =>
    computeMetrics({since: minutes(from), until: minutes(until), events: entries(story), openReviews: []}).values
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
  const {series} = computeMetrics({since: minutes(2 * 1440), until: minutes(30 * 1440), events: entries(story), openReviews: []})
  expect(series[0]).toMatchObject({unit: 'each week'})
  expect(series[0]!.points.map(({at}) => at.slice(0, 10))).toEqual(['2026-11-16', '2026-11-23', '2026-11-30', '2026-12-07', '2026-12-14'])
})

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
  expect(await indexSince(store, minutes(700).toISOString())).toBe(3)
  expect(await indexSince(store, minutes(701).toISOString())).toBe(4)
  expect(await indexSince(store, minutes(5000).toISOString())).toBe(story.length)
  expect((await reportMetrics({store})).values).toMatchObject({requests: 5, shellPeopleHeld: 2})
  expect((await reportMetrics({store}, minutes(611).toISOString())).values).toMatchObject({requests: 4, shells: 1, shellHoursUsed: 0.333})
  for (const bad of ['', 'soon', minutes(1501).toISOString(), '1999-01-01T00:00:00Z'])
    await expect(reportMetrics({store}, bad)).rejects.toMatchObject({code: 'BAD_REQUEST'})
})

test('what Prometheus reads is counted from the log, once, however often it asks', async () => {
  const {store, play} = await setUp()
  const parts = {store, bundle: () => ({loadedAt: minutes(0).toISOString()}) as Bundle}
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
    'broker_requests_total{state="created"}': '5',
    'broker_requests_total{state="approved"}': '4',
    'broker_requests_total{state="denied"}': '1',
    'broker_requests_total{state="expired"}': '1',
    'broker_requests_total{state="refused"}': '1',
    'broker_runs_total{class="read"}': '1',
    'broker_runs_total{class="change"}': '1',
    'broker_sessions_total{kind="break-glass"}': '1',
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
    event({tool: 'web'}),
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
  })
  const many = countUsage(Array.from({length: 500}, (_, n) => event({tool: `t${n}`})))
  expect(Object.keys(many.tools)).toHaveLength(51)
  expect(many.tools.other?.count).toBe(450)

  const caller = {principal: {iss: 'i', sub: 's', person: 'alice', name: 'Alice'}, correlation: 'cor_1'} as Caller
  expect(await acceptUsage({store}, caller, events)).toEqual({accepted: 5})
  expect(await acceptUsage({store}, caller, [])).toEqual({accepted: 0})
  const rows = await store.entries({from: 0, limit: 10})
  expect(rows.map(openEntry)).toMatchObject([{type: 'usage.reported', by: 'alice', data: {events: 5}}])
  expect(JSON.stringify(rows)).not.toContain('hunter2')
})
