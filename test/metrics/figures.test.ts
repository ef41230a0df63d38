import {figures} from '@prod/sdk/figures'
import {openEntry} from '@prod/sdk/log/envelope'
import {afterAll, expect, test} from 'vitest'
import {addEvent, newFacts} from '../../plugins/broker/src/metrics/facts.ts'
import {makeReport, type ReportOptions} from '../../plugins/broker/src/metrics/report.ts'
import {makeHistory} from './history.ts'
import {keep, lineOf} from './lines.ts'
import {counting, loadExport} from './sql.ts'

const [hour, day] = [3_600_000, 86_400_000]
const from = Date.UTC(2026, 0, 5)
/** Shells of nights without the broker, each handed in nine hours later, by which time a week may have ended. */
const nights = Array.from({length: 20}, (_, night) => {
  const [opened, later] = [from + night * 3 * day + 20 * hour, from + night * 3 * day + 29 * hour]
  const [request, session] = [`req_night${night}`, `ses_night${night}`]
  const moment = (at: number): string => new Date(at).toISOString()
  const data = {offline: true, openedAt: moment(opened), environment: 'production', breakGlass: true}
  const personal = {name: 'p0003', groups: ['engineers', 'team-02']}
  const asked = {kind: 'shell', class: 'shell', service: 'service-03', decision: 'allow', incident: true, incidentId: 'INC-2'}
  const told = (type: string, subject: string, more: object, by = 'p0003') => ({
    at: later,
    type,
    by,
    subject,
    data: {...data, ...more},
    personal,
  })
  return [
    told('request.created', request, asked),
    told('session.opened', session, {request, review: `rev_night${night}`}),
    told('session.closed', session, {request, closedAt: moment(opened + 2 * hour), endedBy: null, chunks: 2}, 'broker'),
  ]
}).flat()
const entries = [...makeHistory({seed: 7, from, days: 70, people: 60, teams: 5, services: 4, perWeek: 6}), ...nights]
  .sort((one, other) => one.at - other.at)
  .map(keep)
const facts = newFacts()
for (const entry of entries) addEvent(facts, openEntry(entry))
const sql = loadExport(entries.map(lineOf))
afterAll(() => sql.close())

const report = (options: Partial<ReportOptions> & {since: Date; until: Date}) =>
  makeReport(facts, {teams: [], minPeople: 1, reviewHours: 72, ...options})

test('docs/metrics.md has a statement for each figure, and no other', () => {
  expect([...counting.keys()].filter(name => !name.startsWith('by')).sort()).toEqual(figures.map(({name}) => name).sort())
})

test.each([
  ['the whole time', 0, 70, {}],
  ['a month', 21, 51, {}],
  ['a week of a team', 14, 21, {team: 'team-02'}],
  ['a service', 10, 70, {service: 'service-03'}],
  ['a service as one team reached it', 3, 66, {team: 'engineers', service: 'service-01'}],
  ['an hour', 30.4, 30.45, {}],
])('every figure is the one that SQL counts from the export: %s', (_, first, last, slice: {team?: string; service?: string}) => {
  const [since, until] = [Math.round(from + first * day), Math.round(from + last * day)]
  sql.ask({since, until, ...slice})
  const told = report({since: new Date(since), until: new Date(until), ...slice})?.values ?? {}
  expect(Object.keys(told).sort()).toEqual(figures.map(({name}) => name).sort())
  for (const {name} of figures) {
    const [ours, theirs] = [told[name] ?? null, sql.value(name)]
    if (ours === null || theirs === null) expect([name, theirs]).toEqual([name, ours])
    else expect(Math.abs(ours - theirs), `${name}: ${ours}, by SQL ${theirs}`).toBeLessThan(0.0011)
  }
})

test('the history has something of everything, so that no figure is equal for want of events', () => {
  const values = report({since: new Date(from), until: new Date(from + 70 * day)})?.values ?? {}
  const empty = Object.entries(values).filter(([, value]) => value === null || value === 0)
  expect(empty).toEqual([])
})

test('a shell without the broker counts in the time in which it was open, once it is handed in', () => {
  const alone = newFacts()
  for (const entry of nights.slice(0, 3).map(keep)) addEvent(alone, openEntry(entry))
  const figuresAt = (since: number, until: number) =>
    makeReport(alone, {teams: [], minPeople: 1, reviewHours: 72, since: new Date(since), until: new Date(until)})?.values
  const spent = {shellPeopleUsed: 1, shellHoursUsed: 2, shellPeopleHeld: 1, shellHoursHeld: 2, terminals: 1}
  expect(figuresAt(from + 20 * hour, from + 22 * hour)).toMatchObject(spent)
  expect(figuresAt(from + 28 * hour, from + 30 * hour)).toMatchObject({shellHoursUsed: 0, shellHoursHeld: 0, terminals: 0})
  expect(figuresAt(from, from + 2 * day)).toMatchObject(spent)
})

test('weeks and teams are those that SQL counts', () => {
  const [since, until] = [from + 9 * day, from + 61 * day]
  sql.ask({since, until})
  const told = report({since: new Date(since), until: new Date(until)})
  const series = (name: string) => told?.series.find(one => one.name === name)?.points ?? []
  const weeks = series('shells').map(({at, value}, index) => ({
    monday: at.slice(0, 10),
    shells: value,
    others: (series('execs')[index]?.value ?? 0) + (series('forwards')[index]?.value ?? 0),
  }))
  expect(weeks).toEqual(sql.rows('byWeek'))
  const add = (numbers: number[] = []) => numbers.reduce((sum, one) => sum + one, 0)
  const teams = (told?.teams ?? []).map(({name, shells, others}) => ({team: name, shells: add(shells), others: add(others)}))
  expect(teams.sort((a, b) => (a.team < b.team ? -1 : 1))).toEqual(
    sql.rows('byTeam').map(({team, shells, others}) => ({team, shells, others})),
  )
})
