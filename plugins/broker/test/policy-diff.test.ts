import {describe, expect, test} from 'vitest'
import {compareBundles, findAsked, foldAsked} from '../src/policy/diff.ts'
import {codeOf, startCore} from './core.ts'
import {load} from './policy-folder.ts'

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
      ].flatMap(entry => findAsked(entry) ?? []),
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
    const asked = [findAsked(record({decision: 'request', approvalsNeeded: 1}, {argv: ['unit', 'restart', 'payments-api']}))].flatMap(
      found => found ?? [],
    )
    expect(compareBundles(two, one, asked)).toMatchObject([{wider: true, before: {approvals: 2}, after: {approvals: 1}}])
    expect(compareBundles(one, two, asked)).toMatchObject([{wider: false}])
  })

  test('records without a person, of break-glass, of another kind or with erased texts are no questions', () => {
    expect(findAsked(record({}, {}, 'run.started'))).toBeUndefined()
    expect(findAsked({...record(), by: undefined} as never)).toBeUndefined()
    expect(findAsked(record({breakGlass: true}))).toBeUndefined()
    expect(findAsked(record({}, {argv: undefined}))).toBeUndefined()
    expect(findAsked(record({}, {groups: undefined}))).toBeUndefined()
    expect(findAsked(record({kind: 'shell'}))).toMatchObject({test: {target: 'local'}})
    expect(findAsked(record({kind: 'role'}, {role: 'operator', argv: undefined}))).toMatchObject({test: {role: 'operator'}})
  })
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
