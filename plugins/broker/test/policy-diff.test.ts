import {openEntry} from '@prod/sdk/log/envelope'
import {describe, expect, test} from 'vitest'
import {compareBundles, findAsked, foldAsked} from '../src/policy/diff.ts'
import {compareWithLog} from '../src/policy/shadow.ts'
import {codeOf, startCore} from './core.ts'
import {load} from './policy-folder.ts'
import {makeFolder, openFolder} from './store-folder.ts'

const record = (more: Record<string, unknown> = {}, personal: Record<string, unknown> = {}, type = 'request.created') => ({
  v: 1 as const,
  index: 0,
  time: '2026-03-01T10:00:00.000Z',
  instance: 'a',
  type,
  subject: 'req_1',
  by: 'alice',
  data: {kind: 'exec', decision: 'allow', approvalsNeeded: 0, rules: ['global/unit.cedar:1'], breakGlass: false, ...more},
  personal: {groups: ['engineers'], argv: ['unit', 'status', 'web'], target: 'local', ...personal},
})

describe('TM-P3: what a new bundle decides otherwise about what was asked', () => {
  test('TM-P3: a bundle that widens one rule shows each past request that it newly allows, first and with how often', async ({
    onTestFinished,
  }) => {
    const before = await load(onTestFinished)
    const after = await load(onTestFinished, {
      'policy/global/wide.cedar':
        '@id("wide")\npermit (principal in Group::"engineers", action == Action::"run", resource is unit::restart);\n',
      'policy/global/narrow.cedar':
        '@id("narrow")\nforbid (principal, action, resource is unit::status) when { resource.unit == "web" };\n',
    })
    const refused = (argv: string[], time: string) => ({...record({decision: undefined}, {argv}, 'request.refused'), time})
    const asked = foldAsked(
      [
        record(),
        record({decision: 'request', approvalsNeeded: 1}, {argv: ['unit', 'restart', 'payments-api']}),
        refused(['unit', 'restart', 'ledger'], '2026-03-02T10:00:00.000Z'),
        refused(['unit', 'restart', 'ledger'], '2026-03-03T10:00:00.000Z'),
        refused(['unit', 'restart', '--force', 'ledger'], '2026-03-03T10:00:00.000Z'),
        {...record({}, {groups: []}), by: 'mallory'},
      ].flatMap(findAsked),
    )
    const shown = (list: ReturnType<typeof compareBundles>) =>
      list.map(({what, wider, before, after, times}) => [what, wider, before.decision, after.decision, after.rules, times])
    const expected = [
      ['alice (engineers): unit restart ledger', true, 'deny', 'allow', ['global/wide.cedar#wide'], 2],
      ['alice (engineers): unit restart payments-api', true, 'request', 'allow', ['global/wide.cedar#wide'], 1],
      ['alice (engineers): unit status web', false, 'allow', 'deny', ['global/narrow.cedar#narrow'], 1],
    ]
    expect(shown(compareBundles(before, after, asked))).toEqual(expected)
    // without the old bundle, what the log says was decided
    const alone = shown(compareBundles(undefined, after, asked))
    expect(alone.slice(0, 2)).toEqual(expected.slice(0, 2))
    expect(compareBundles(before, before, asked)).toEqual([])
  })

  test('TM-P3: fewer approvals are wider, more are narrower', async ({onTestFinished}) => {
    const unit = (approvals: number) => ({
      'catalog/tools/unit.yaml': `kind: Tool
name: unit
summary: look at and restart services on a host
program: /usr/bin/systemctl
run: { primitive: host, targets: [local, web-1, pay-1], as: ops }
commands:
  - { path: [status], class: read, operands: [{ name: unit, type: unit-name }] }
  - { path: [restart], class: change, operands: [{ name: unit, type: unit-name }], approvals: ${approvals} }
`,
    })
    const [one, two] = await Promise.all([load(onTestFinished, unit(1)), load(onTestFinished, unit(2))])
    const asked = findAsked(record({decision: 'request', approvalsNeeded: 1}, {argv: ['unit', 'restart', 'payments-api']}))
    expect(compareBundles(two, one, asked)).toMatchObject([{wider: true, before: {approvals: 2}, after: {approvals: 1}}])
    expect(compareBundles(one, two, asked)).toMatchObject([{wider: false}])
  })

  test('records without a person, of break-glass, of another kind or with erased texts are no questions', () => {
    expect(findAsked(record({}, {}, 'run.started'))).toEqual([])
    expect(findAsked({...record(), by: undefined} as never)).toEqual([])
    expect(findAsked(record({breakGlass: true}))).toEqual([])
    expect(findAsked(record({}, {argv: undefined}))).toEqual([])
    expect(findAsked(record({}, {groups: undefined}))).toEqual([])
    expect(findAsked(record({kind: 'shell'}))).toMatchObject([{test: {target: 'local'}}])
    expect(findAsked(record({kind: 'role'}, {role: 'operator', argv: undefined}))).toMatchObject([{test: {role: 'operator'}}])
  })
})

test('TM-P3: what was asked on many targets is asked on each, and what was asked in an incident in one', async ({onTestFinished}) => {
  const before = await load(onTestFinished)
  const after = await load(onTestFinished, {
    'policy/global/wide.cedar': `@id("there")
permit (principal in Group::"engineers", action == Action::"run", resource is unit::restart) when { resource in Target::"web-1" };
@id("then")
permit (principal in Group::"engineers", action == Action::"run", resource is unit::restart) when { context.incident };
`,
  })
  const asked = record(
    {decision: 'request', approvalsNeeded: 1, targets: ['local', 'web-1']},
    {argv: ['unit', 'restart', 'x'], target: null},
  )
  expect(compareBundles(before, after, foldAsked(findAsked(asked)))).toMatchObject([
    {wider: true, after: {rules: ['global/wide.cedar#there']}},
  ])
  const incident = record({decision: 'request', approvalsNeeded: 1, incident: true}, {argv: ['unit', 'restart', 'x']})
  expect(compareBundles(before, after, foldAsked(findAsked(incident)))).toMatchObject([
    {wider: true, after: {rules: ['global/wide.cedar#then']}},
  ])
})

test('TM-P3: neither many newer requests nor older ones hide what was asked within 30 days', async ({onTestFinished}) => {
  const before = await load(onTestFinished)
  const after = await load(onTestFinished, {
    'policy/global/wide.cedar':
      '@id("wide")\npermit (principal in Group::"engineers", action == Action::"run", resource is unit::restart);\n',
  })
  const {dir, remove} = makeFolder()
  let now = Date.parse('2026-03-01T10:00:00Z')
  const store = await openFolder(dir, () => new Date(now))
  onTestFinished(async () => {
    await store.close()
    remove()
  })
  const write = async (times: number, argv: string[], decision: string, days: number) => {
    const {type, subject, by, data, personal} = record({decision}, {argv})
    await store.commit({events: Array.from({length: times}, () => ({type, subject, by, data, personal}))})
    now += days * 86_400_000
  }
  await write(3, ['unit', 'restart', 'long-ago'], 'request', 10)
  await write(1, ['unit', 'restart', 'buried'], 'request', 1)
  for (let n = 0; n < 3; n++) await write(700, ['unit', 'status', 'web'], 'allow', 9)
  await compareWithLog(store, after, before)
  const [entry] = await store.entries({from: 0, limit: 1, type: 'bundle.compared'})
  const {data, personal} = openEntry(entry as NonNullable<typeof entry>)
  expect(data).toMatchObject({questions: 2, wider: 1, narrower: 0})
  expect(personal).toMatchObject({changes: [{what: 'alice (engineers): unit restart buried', times: 1}]})
})

test('TM-P3: a broker asks a new bundle what it was asked before, and says in its log what changes, before that bundle decides', async ({
  onTestFinished,
}) => {
  const core = await startCore(onTestFinished)
  const [alice, carol] = await Promise.all([core.as('alice'), core.as('carol')])
  await alice.exec(['job', 'say', 'x']).done
  expect(await codeOf(carol.exec(['job', 'say', 'x']).done)).toBe('DENIED')
  await core.change(
    'policy/global/say.cedar',
    '@id("say")\npermit (principal in Group::"security", action == Action::"run", resource is job::say);\n',
  )
  expect(await core.events('bundle.compared')).toMatchObject([
    {data: {questions: 2, wider: 1, narrower: 0}, personal: {changes: [{what: 'carol (security): job say x', times: 1}]}},
  ])
  const types = (await core.events()).map(({type}) => type).filter(type => type.startsWith('bundle.'))
  expect(types).toEqual(['bundle.compared', 'bundle.loaded'])
})
