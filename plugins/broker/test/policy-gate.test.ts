import {describe, expect, test} from 'vitest'
import {showFinding} from '../src/catalog/finding.ts'
import {loadBundle} from '../src/policy/bundle.ts'
import {by, check, commandOf, company, load, withRules, writeFolder} from './policy-folder.ts'

describe('TM-L4: one spelling for each name', () => {
  const forbidding = withRules(
    'forbid (principal == Person::"alice@corp", action, resource);\nforbid (principal in Group::"leavers", action, resource);\nforbid (principal in Group::"café", action, resource);',
  )

  test('no other spelling of a forbidden person or group slips past', async ({onTestFinished}) => {
    const bundle = await load(onTestFinished, forbidding)
    const ask = (person: string, ...groups: string[]) =>
      bundle.ask({...by(person, 'engineers', ...groups), action: 'run', resource: commandOf(bundle, ['unit', 'status', 'x']), context: {}})
    expect(ask('bob@corp').decision).toBe('allow')
    // where policy names nothing alike, names are as they like: capitals, Cyrillic, an emoji with its joiner
    expect(ask('00uAbC').decision).toBe('allow')
    expect(ask('bob@corp', 'Everyone', 'Дежурные', '👩\u200d💻 devs').decision).toBe('allow')
    for (const person of [
      'alice@corp',
      'Alice@corp',
      'ALICE@CORP',
      'alice@corp.',
      'alice%40corp',
      'ａlice@corp',
      'al\u200bice@corp',
      'alice@corp ',
      'аlice@corp',
      '',
    ]) {
      if (person !== '') expect(ask(person).decision, JSON.stringify(person)).toBe('forbidden')
    }
    for (const group of [
      'leavers',
      'Leavers',
      'LEAVERS',
      'leavers.',
      'le%61vers',
      'ｌeavers',
      'leavers\u2060',
      'lеavers',
      '\u202eleavers',
      'cafe\u0301',
      'CAFÉ',
    ]) {
      expect(ask('bob@corp', group).decision, JSON.stringify(group)).toBe('forbidden')
    }
  })

  test('policy itself names nobody in two spellings', async ({onTestFinished}) => {
    const {findings} = await check(
      onTestFinished,
      withRules('permit (principal in Group::"Engineers", action == Action::"run", resource is unit::restart);'),
    )
    expect(findings.map(showFinding).join()).toContain('the name "engineers" is not spelled as the policy\'s "Engineers"')
    const roles = await check(onTestFinished, {
      'catalog/roles/operator.yaml': (company['catalog/roles/operator.yaml'] as string).replace('group: operators', 'group: operators '),
    })
    expect(roles.findings).toEqual([]) // YAML trims
  })

  test('people without a person id are told apart by issuer and subject, never by name', async ({onTestFinished}) => {
    const bundle = await load(
      onTestFinished,
      withRules('permit (principal == Person::"https://a.example#1", action == Action::"run", resource is unit::restart);'),
    )
    const ask = (iss: string, sub: string, person = '') =>
      bundle.ask({
        principal: {iss, sub, person, name: 'https://a.example#1'},
        groups: [],
        action: 'run',
        resource: commandOf(bundle, ['unit', 'restart', 'x']),
        context: {},
      }).decision
    expect([
      ask('https://a.example', '1'),
      ask('https://b.example', '1'),
      ask('https://a.example', '2'),
      ask('https://a.example', '1', 'p1'),
    ]).toEqual(['allow', 'default', 'default', 'default'])
  })
})

describe('TM-D3: tests gate loading', () => {
  const leads = {
    'policy/global/leads.cedar':
      '@id("leads-operator")\npermit (principal in Group::"sre-leads", action == Action::"approve", resource == Role::"operator");\n',
  }
  const tests = `- { principal: alice, groups: [engineers], argv: [unit, status, x], expect: allow }
- { principal: alice, groups: [engineers], argv: [unit, restart, payments-api], expect: request, approvals: 1, rule: restart-payments }
- { principal: alice, groups: [engineers], argv: [unit, restart, ledger], expect: deny }
- { principal: alice, groups: [engineers], argv: [unit, restart, -x], expect: deny, position: 2 }
- { principal: mallory, groups: [], argv: [unit, status, x], expect: deny }
- { principal: olga, groups: [operators], argv: [unit, restart, x], expect: allow }
- { principal: bob, groups: [sre-leads], action: approve, argv: [unit, restart, x], expect: allow }
- { principal: alice, groups: [engineers], role: operator, expect: request }
- { principal: bob, groups: [sre-leads], action: approve, role: operator, expect: allow }
`
  test('a bundle whose tests all hold loads, and each rule has one', async ({onTestFinished}) => {
    const {options} = writeFolder(onTestFinished, {...leads, 'policy/tests/unit.yaml': tests})
    expect((await loadBundle({...options, development: false})).warnings).toEqual([])
  })

  test('a failing test refuses the bundle and says what is so instead', async ({onTestFinished}) => {
    const {options} = writeFolder(onTestFinished, {
      ...leads,
      'policy/tests/unit.yaml': tests.replace('ledger], expect: deny', 'ledger], expect: request'),
    })
    await expect(loadBundle(options)).rejects.toMatchObject({
      code: 'POLICY_INVALID',
      findings: [
        {file: 'policy/tests/unit.yaml', line: 3, message: expect.stringContaining('expected request, is deny, no rule permits it')},
      ],
    })
    const {findings} = await check(onTestFinished, {
      'policy/tests/unit.yaml': '- {principal: a, groups: [], argv: [unit, status, x], expect: never}\n',
    })
    expect(findings.map(showFinding)).toEqual(['policy/tests/unit.yaml:1:55 [0].expect: must be one of allow, request, deny'])
  })

  test('each way in which a test can fail is told apart', async ({onTestFinished}) => {
    const {findings} = await check(onTestFinished, {
      'policy/tests/unit.yaml': `- {principal: a, groups: [], argv: [uint, x], expect: deny}
- {principal: a, groups: [engineers], argv: [unit, status, x], expect: allow, rule: other}
- {principal: a, groups: [engineers], argv: [unit, restart, payments-a], expect: request, approvals: 2}
- {principal: a, groups: [], argv: [unit, status, x], target: nowhere, expect: deny}
- {principal: a, groups: [], argv: [unit, status, x], expect: deny, position: 1}
- {principal: a, groups: [Engineers], argv: [unit, status, x], expect: deny}
- {principal: a, groups: [], role: king, expect: deny}
`,
    })
    expect(findings.map(({line, message}) => `${line} ${message.split('”: ')[1]}`)).toEqual([
      '1 there is no tool uint',
      '2 expected the rule other to decide, global/unit.cedar:1 did',
      '3 expected 2 approvals, needs 1',
      '4 there is no target nowhere',
      '5 expected the grammar to refuse argument 1, it refuses none',
      '6 the name "Engineers" is not spelled as the policy\'s "engineers"',
      '7 there is no role king',
    ])
  })

  test('a rule without a test, and a tool with too few of what must be denied, refuse it; a development broker only warns', async ({
    onTestFinished,
  }) => {
    const some = tests.split('\n').slice(0, 3).join('\n')
    const {options} = writeFolder(onTestFinished, {...leads, 'policy/tests/unit.yaml': some})
    const missing = [
      'policy/global/leads.cedar no test shows what rule global/leads.cedar#leads-operator permits (add one to policy/tests)',
      'policy/global/unit.cedar no test shows what rule global/unit.cedar:4 permits (add one to policy/tests)',
      'policy/global/unit.cedar no test shows what rule global/unit.cedar:5 permits (add one to policy/tests)',
      'policy/global/unit.cedar no test shows what rule global/unit.cedar:6 permits (add one to policy/tests)',
      'policy/tests tool unit has 1 of 3 tests of what must be denied (add the rest to policy/tests)',
    ]
    const refused = await loadBundle({...options, development: false}).catch((error: {findings: []}) => error.findings.map(showFinding))
    expect(refused).toEqual(missing)
    expect((await loadBundle(options)).warnings).toEqual(missing)
  })

  test('TM-D3: tests of another rule, tests taken out, or none for a tool that a broad rule reaches, refuse it', async ({
    onTestFinished,
  }) => {
    const refused = async (changes: Record<string, string | null>): Promise<string[]> => {
      const {options} = writeFolder(onTestFinished, {...leads, 'policy/tests/unit.yaml': tests, ...changes})
      return loadBundle({...options, development: false}).then(
        () => [],
        (error: {findings: []}) => error.findings.map(showFinding),
      )
    }
    expect(await refused({})).toEqual([])
    expect(await refused({'policy/tests/unit.yaml': tests.replace('rule: restart-payments', 'rule: restart-ledger')})).toEqual([
      expect.stringContaining('expected the rule restart-ledger to decide, global/unit.cedar#restart-payments did'),
      expect.stringContaining('no test shows what rule global/unit.cedar#restart-payments permits'),
    ])
    expect(await refused({'policy/tests/unit.yaml': null})).toHaveLength(8)
    const date =
      'kind: Tool\nname: date\nsummary: what time it is\nprogram: /usr/bin/date\nrun: {primitive: host, target: local}\ncommands: [{path: [], class: read}]\n'
    const look =
      '@id("look")\npermit (principal in Group::"engineers", action == Action::"run", resource) when { context.class == "read" };\n'
    expect(await refused({'catalog/tools/date.yaml': date})).toEqual([])
    // one question three times, or three about approving, are no three tests of what must be denied
    const allowed = '- {principal: a, groups: [engineers], argv: [date], expect: allow}\n'
    const denied = (more: string) => `- {principal: m, groups: [], argv: [date], expect: deny${more}}\n`
    for (const [lines, count] of [
      [[', name: a', ', name: b', ', name: c'], 1],
      [[', action: approve', ', action: watch', ', action: approve, target: local'], 0],
    ] as const)
      expect(
        await refused({
          'catalog/tools/date.yaml': date,
          'policy/global/look.cedar': look,
          'policy/tests/date.yaml': allowed + lines.map(denied).join(''),
        }),
      ).toEqual([`policy/tests tool date has ${count} of 3 tests of what must be denied (add the rest to policy/tests)`])
    expect(await refused({'catalog/tools/date.yaml': date, 'policy/global/look.cedar': look})).toEqual([
      'policy/tests tool date has 0 of 3 tests of what must be denied (add the rest to policy/tests)',
      'policy/tests tool date has no test of what is allowed (add one to policy/tests)',
    ])
  })
})
