import {expect, test} from 'vitest'
import {readImport} from '../../src/metrics/import-file.ts'

const incident = {kind: 'incident'} as const

test('incidents of the PagerDuty API are read: an object with a list, ids or numbers with a prefix', () => {
  const text = JSON.stringify({
    incidents: [
      {
        id: 'PT4KHLK',
        incident_number: 1234,
        created_at: '2026-10-06T21:30:42Z',
        resolved_at: '2026-10-06T21:38:23Z',
        status: 'resolved',
        service: {id: 'PIJ90N7', type: 'service_reference', summary: 'Mail'},
        teams: [{id: 'PX1', summary: 'team-mail'}],
        assignments: [{assignee: {summary: 'Earline'}}],
      },
      {
        id: 'PT5',
        incident_number: 1235,
        created_at: '2026-10-07T00:00:00+02:00',
        status: 'resolved',
        last_status_change_at: '2026-10-07T01:00:00Z',
      },
      {
        id: 'PT6',
        incident_number: 1236,
        created_at: '2026-10-08T00:00:00Z',
        status: 'triggered',
        last_status_change_at: '2026-10-08T01:00:00Z',
      },
    ],
    limit: 25,
    more: false,
  })
  expect(readImport(text, incident)).toEqual([
    {id: 'PT4KHLK', from: '2026-10-06T21:30:42.000Z', to: '2026-10-06T21:38:23.000Z', service: 'Mail', team: 'team-mail'},
    {id: 'PT5', from: '2026-10-06T22:00:00.000Z', to: '2026-10-07T01:00:00.000Z'},
    {id: 'PT6', from: '2026-10-08T00:00:00.000Z'},
  ])
  expect(readImport(text, {...incident, prefix: 'INC-'}).map(({id}) => id)).toEqual(['INC-1234', 'INC-1235', 'INC-1236'])
})

test('rows of the analytics calls are read, and a line for each', () => {
  const row = {
    id: 'Q1',
    incident_number: 7,
    created_at: '2026-10-06T21:30:42',
    resolved_at: '2026-10-06T22:30:42',
    service_name: 'Web',
    team_name: 'team-web',
  }
  const read = [{id: 'Q1', from: '2026-10-06T21:30:42.000Z', to: '2026-10-06T22:30:42.000Z', service: 'Web', team: 'team-web'}]
  expect(readImport(JSON.stringify({data: [row]}), incident)).toEqual(read)
  expect(readImport(`${JSON.stringify(row)}\n${JSON.stringify({...row, id: 'Q2'})}\n`, incident)).toHaveLength(2)
})

test('CSV is read by its heads, quoted cells whole, times without a zone as UTC', () => {
  const text = [
    '\ufeffId,Incident Number,Description,Service Name,Created On,Resolved On',
    'Q1,12,"disk full, ""again""\nand again",Web,2026-10-06 21:30:42,2026-10-06 22:30:42',
    'Q2,13,,"Mail, in",2026-10-07 00:00:00,',
    '',
  ].join('\r\n')
  expect(readImport(text, {...incident, prefix: 'PD-'})).toEqual([
    {id: 'PD-12', from: '2026-10-06T21:30:42.000Z', to: '2026-10-06T22:30:42.000Z', service: 'Web'},
    {id: 'PD-13', from: '2026-10-07T00:00:00.000Z', service: 'Mail, in'},
  ])
})

test('shells outside prod and standing access need a person, and get an id from what is in them', () => {
  const text = 'person,from,to,team\nalice,2026-10-06T10:00Z,2026-10-06T11:00Z,team-a\nbob,2026-10-06,,\n'
  const rows = readImport(text, {kind: 'outside-shell'})
  expect(rows).toMatchObject([
    {person: 'alice', from: '2026-10-06T10:00:00.000Z', to: '2026-10-06T11:00:00.000Z', team: 'team-a'},
    {person: 'bob', from: '2026-10-06T00:00:00.000Z'},
  ])
  expect(rows.map(({id}) => id)).toEqual(readImport(text, {kind: 'outside-shell'}).map(({id}) => id))
  expect(new Set([...rows, ...readImport(text, {kind: 'entitlement'})].map(({id}) => id)).size).toBe(4)
  expect(() => readImport('from\n2026-10-06\n', {kind: 'entitlement'})).toThrow('row 1 names no person')
})

test.each([
  ['no begin', '[{"id": "x"}]', /row 1 has no time/],
  ['no time', '[{"id": "x", "from": "yesterday"}]', /cannot be read: "yesterday"/],
  ['no date', '[{"id": "x", "from": "2026-13-40T00:00:00Z"}]', /cannot be read/],
  ['no id', '[{"from": "2026-10-06"}]', /row 1 has no id/],
  ['an id that acts', '[{"id": "\\u001b[2J", "from": "2026-10-06"}]', /cannot be one/],
  ['no objects', '[1, 2]', /no list of objects/],
  ['broken JSON', '{"incidents": [', /no list of objects/],
])('a file that cannot be read is refused with its row: %s', (_, text, why) => {
  expect(() => readImport(text, incident)).toThrow(why)
})

test('an empty file has no rows', () => {
  expect(readImport('\n', incident)).toEqual([])
  expect(readImport('id,from\n', incident)).toEqual([])
})
