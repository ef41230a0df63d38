import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {showFinding} from '../src/catalog/finding.ts'
import {decideUse, explainDenial, mayApprove} from '../src/policy/decide.ts'
import {splitPolicies} from '../src/policy/rules.ts'
import {by, check, commandOf, load, roleOf, targetOf, withRules} from './policy-folder.ts'

describe('a use', () => {
  test('is allowed at once, asked for, or denied, and the answer names the rules', async ({onTestFinished}) => {
    const bundle = await load(onTestFinished)
    const as = (person: string, groups: string[], argv: string[]) =>
      decideUse(bundle, {...by(person, ...groups), resource: commandOf(bundle, argv), context: {}}, 'run')
    expect(as('alice', ['engineers'], ['unit', 'status', 'x'])).toEqual({decision: 'allow', rules: ['global/unit.cedar:1']})
    expect(as('alice', ['engineers'], ['unit', 'restart', 'payments-api'])).toEqual({
      decision: 'request',
      approvals: 1,
      rules: ['global/unit.cedar#restart-payments'],
    })
    expect(as('alice', ['engineers'], ['unit', 'restart', 'ledger'])).toEqual({decision: 'deny', why: 'default', rules: [], errors: []})
    expect(as('alice', [], ['unit', 'status', 'x'])).toMatchObject({decision: 'deny', why: 'default'})
    expect(as('olga', ['operators'], ['unit', 'restart', 'ledger'])).toMatchObject({decision: 'allow'})
  })

  test('that a rule forbids is denied and cannot be asked for, whatever else permits it', async ({onTestFinished}) => {
    const bundle = await load(
      onTestFinished,
      withRules(
        '@id("freeze")\nforbid (principal, action == Action::"run", resource is unit::restart) when { resource.unit == "payments-core" };',
      ),
    )
    const asked = {...by('alice', 'engineers', 'operators'), resource: commandOf(bundle, ['unit', 'restart', 'payments-core']), context: {}}
    expect(decideUse(bundle, asked, 'run')).toEqual({decision: 'deny', why: 'forbidden', rules: ['global/more.cedar#freeze'], errors: []})
    expect(explainDenial(bundle, asked, 'run').message).toBe(
      'you may not run unit restart on local: rule global/more.cedar#freeze forbids it',
    )
  })

  test('asks with what it is about: context.use and context.class are never taken from the asker', async ({onTestFinished}) => {
    const bundle = await load(
      onTestFinished,
      withRules('permit (principal, action == Action::"request", resource) when { context.use == "shell" && context.class == "shell" };'),
    )
    const asked = {...by('alice'), context: {class: 'read' as const, use: 'run' as const}}
    expect(decideUse(bundle, {...asked, resource: targetOf(bundle, 'local')}, 'shell')).toMatchObject({decision: 'request'})
    expect(decideUse(bundle, {...asked, resource: targetOf(bundle, 'local')}, 'forward')).toMatchObject({decision: 'deny'})
    expect(decideUse(bundle, {...asked, resource: commandOf(bundle, ['unit', 'restart', 'x'])}, 'run')).toMatchObject({decision: 'deny'})
    const role = {...by('erin', 'engineers'), resource: roleOf(bundle, 'operator')}
    expect(bundle.ask({...role, action: 'request', context: {use: 'role'}})).toEqual(
      bundle.ask({...role, action: 'request', context: {use: 'assume'}}),
    )
  })

  test('may depend on place, incident, environment and labels', async ({onTestFinished}) => {
    const bundle = await load(
      onTestFinished,
      withRules(`permit (principal, action == Action::"breakGlass", resource is Target in Environment::"production")
when { context.incident && context has address && context.address.isInRange(ip("10.0.0.0/8")) && resource.hasTag("rack") && resource.getTag("rack") == "a" };`),
    )
    const ask = (name: string, address: string | undefined, incident: boolean) =>
      bundle.ask({
        ...by('alice'),
        action: 'breakGlass',
        resource: targetOf(bundle, name),
        context: {incident, ...(address ? {address} : {})},
      }).decision
    expect(ask('local', '10.1.2.3', true)).toBe('allow')
    expect(ask('local', '::ffff:10.1.2.3', true)).toBe('allow')
    expect(ask('local', '10.1.2.3', false)).toBe('default')
    expect(ask('local', undefined, true)).toBe('default')
    expect(ask('local', '11.1.2.3', true)).toBe('default')
    expect(ask('web-1', '10.1.2.3', true)).toBe('default')
    expect(ask('pay-1', '10.1.2.3', true)).toBe('default')
    expect(ask('local', '10.1.2.3.4', true)).toBe('forbidden')
  })

  test('cannot be asked about the wrong kind of thing', async ({onTestFinished}) => {
    const bundle = await load(onTestFinished, withRules('permit (principal, action, resource);'))
    expect(bundle.ask({...by('alice'), action: 'readAudit', resource: targetOf(bundle, 'local'), context: {}})).toMatchObject({
      decision: 'forbidden',
    })
    expect(bundle.ask({...by('alice'), action: 'readAudit', resource: {kind: 'log'}, context: {}})).toMatchObject({decision: 'allow'})
  })
})

test('TM-K1: who may approve, what is listed and what a denial offers come from the same rules as the decision', async ({
  onTestFinished,
}) => {
  const bundle = await load(onTestFinished)
  const restart = commandOf(bundle, ['unit', 'restart', 'payments-api'])
  expect(mayApprove(bundle, restart, by('bob', 'sre-leads'), 'run')).toBe(true)
  expect(mayApprove(bundle, restart, by('alice', 'engineers'), 'run')).toBe(false)
  expect(mayApprove(bundle, restart, by('', 'sre-leads'), 'run')).toBe(false) // nobody knows who that is
  expect(bundle.approverGroups(restart)).toEqual(['sre-leads'])
  expect(bundle.approverGroups(roleOf(bundle, 'operator'))).toEqual([])

  const tool = restart.tool
  const could = (command: number, ...groups: string[]) =>
    bundle.couldUse({...by('alice', ...groups), context: {address: '10.0.0.1'}, tool, command})
  expect([could(0, 'engineers'), could(1, 'engineers'), could(2, 'engineers'), could(1, 'operators'), could(0)]).toEqual([
    'now',
    'request',
    'no',
    'now',
    'no',
  ])
  for (const command of [0, 1, 2]) {
    for (const groups of [[], ['engineers'], ['operators'], ['engineers', 'operators'], ['sre-leads']]) {
      const decisions = ['payments-api', 'ledger'].map(unit => {
        const resource = commandOf(bundle, ['unit', ['status', 'restart', 'mask'][command] as string, unit])
        return decideUse(bundle, {...by('alice', ...groups), resource, context: {}}, 'run').decision
      })
      const best = decisions.includes('allow') ? 'now' : decisions.includes('request') ? 'request' : 'no'
      expect(could(command, ...groups), `${command} ${groups}`).toBe(best)
    }
  }

  const denied = {...by('alice', 'engineers'), resource: commandOf(bundle, ['unit', 'restart', 'ledger']), context: {}}
  expect(explainDenial(bundle, denied, 'run')).toEqual({
    message: 'you may not run unit restart on local: no rule permits it; the role operator would allow it',
    hint: 'prod request create operator',
  })
  // who may not have the role is not sent for it
  expect(explainDenial(bundle, {...denied, ...by('mallory')}, 'run')).toEqual({
    message: 'you may not run unit restart on local: no rule permits it',
    hint: 'prod tools',
  })
})

test('TM-K2: the decision needs nothing that a client says of itself', async ({onTestFinished}) => {
  const bundle = await load(onTestFinished)
  const asked = {
    ...by('alice', 'engineers'),
    resource: commandOf(bundle, ['unit', 'restart', 'ledger']),
    context: {class: 'read' as const, use: 'run' as const, incident: true, reused: false},
  }
  expect(decideUse(bundle, asked, 'run').decision).toBe('deny')
  expect(decideUse(bundle, {...asked, principal: {...asked.principal, name: 'bob'}}, 'run').decision).toBe('deny')
})

describe('TM-L1: a service only narrows', () => {
  test('a permit in its directory, and a directory of no service, refuse the bundle', async ({onTestFinished}) => {
    const {findings} = await check(onTestFinished, {
      'policy/services/web/a.cedar': '\n  permit (principal, action, resource);',
      'policy/services/wed/a.cedar': 'forbid (principal, action, resource);',
    })
    expect(findings.map(showFinding)).toEqual([
      "policy/services/web/a.cedar:2:3 a service's directory may only forbid (permits belong in policy/global)",
      'policy/services/wed/a.cedar:1:1 there is no service wed (name the folder after a service of the catalog)',
    ])
  })

  test('its forbid reaches what is its own, and nothing else', async ({onTestFinished}) => {
    const bundle = await load(onTestFinished, {'policy/services/web/freeze.cedar': 'forbid (principal, action, resource);'})
    const on = (target: string) =>
      decideUse(bundle, {...by('alice', 'engineers'), resource: commandOf(bundle, ['unit', 'status', 'x'], target), context: {}}, 'run')
        .decision
    expect([on('local'), on('web-1'), on('pay-1')]).toEqual(['allow', 'deny', 'allow'])
    expect(decideUse(bundle, {...by('alice', 'engineers'), resource: roleOf(bundle, 'operator'), context: {}}, 'assume').decision).toBe(
      'request',
    )
  })

  test('TM-L1: property: whatever services forbid, no decision gets wider, and others stay as they are', async ({onTestFinished}) => {
    const group = fc.constantFrom('engineers', 'operators', 'sre-leads', 'nobody')
    const scope = fc.oneof(
      fc.constant('principal'),
      group.map(name => `principal in Group::"${name}"`),
    )
    const action = fc.oneof(
      fc.constant('action'),
      fc.constantFrom('run', 'request', 'approve').map(name => `action == Action::"${name}"`),
    )
    const condition = fc.constantFrom(
      '',
      ' when { resource.unit like "p*" }',
      ' unless { resource.unit == "x" }',
      ' when { context.class == "change" }',
    )
    const rule = (effect: string) =>
      fc
        .record({scope, action, type: fc.constantFrom('status', 'restart', 'mask'), condition})
        .map(one => `${effect} (${one.scope}, ${one.action}, resource is unit::${one.type})${one.condition};`)
    const files = fc.record({
      global: fc.array(fc.oneof(rule('permit'), rule('permit'), rule('forbid')), {maxLength: 6}),
      web: fc.array(rule('forbid'), {maxLength: 3}),
      payments: fc.array(rule('forbid'), {maxLength: 3}),
    })
    const rank = {allow: 2, request: 1, deny: 0}
    await fc.assert(
      fc.asyncProperty(files, async ({global, web, payments}) => {
        const base = {'policy/global/unit.cedar': global.join('\n')}
        const plain = await load(onTestFinished, base)
        const narrowed = await load(onTestFinished, {
          ...base,
          'policy/services/web/a.cedar': web.join('\n'),
          'policy/services/payments/a.cedar': payments.join('\n'),
        })
        for (const target of ['local', 'web-1', 'pay-1']) {
          for (const command of ['status', 'restart', 'mask']) {
            for (const groups of [[], ['engineers'], ['operators', 'sre-leads']]) {
              const decide = (bundle: typeof plain) =>
                decideUse(
                  bundle,
                  {...by('alice', ...groups), resource: commandOf(bundle, ['unit', command, 'px'], target), context: {}},
                  'run',
                )
              const [before, after] = [decide(plain), decide(narrowed)]
              expect(rank[after.decision]).toBeLessThanOrEqual(rank[before.decision])
              if (target === 'local') expect(after).toEqual(before)
              const may = (bundle: typeof plain) =>
                mayApprove(bundle, commandOf(bundle, ['unit', command, 'px'], target), by('bob', ...groups), 'run')
              expect(may(plain) || !may(narrowed)).toBe(true)
            }
          }
        }
      }),
      {numRuns: 25},
    )
  })
})

describe('TM-L3: what is not exactly right does not load, and an error denies', () => {
  const findings: [what: string, text: string, said: string][] = [
    [
      'a misspelt argument',
      'permit (principal, action, resource is unit::restart)\nwhen { resource.unt like "p-*" };',
      'policy/global/more.cedar:2:8 attribute `unt` on entity type `unit::restart` not found (did you mean `unit`?)',
    ],
    [
      'a misspelt command',
      'permit (principal, action, resource is unit::statsu);',
      'policy/global/more.cedar:1:40 unrecognized entity type `unit::statsu` (did you mean `unit::status`?)',
    ],
    [
      'a misspelt action',
      '// é\npermit (principal, action == Action::"rnu", resource);',
      'policy/global/more.cedar:2:30 unrecognized action `Action::"rnu"` (did you mean `Action::"run"`?)',
    ],
    [
      'a misspelt tool',
      'permit (principal, action, resource in Tool::"uint");',
      'policy/global/more.cedar:1:40 there is no Tool::"uint" in the catalog (known: unit)',
    ],
    [
      'a misspelt role in a condition',
      'permit (principal, action, resource) when { resource == Role::"op" };',
      'policy/global/more.cedar:1:57 there is no Role::"op" in the catalog (known: operator)',
    ],
    [
      'a misspelt environment',
      '@id("x")\npermit (principal, action, resource in Environment::"prod");',
      'policy/global/more.cedar:2:40 @id x: there is no Environment::"prod" in the catalog (known: production, staging)',
    ],
    [
      'an attribute that may be missing',
      'permit (principal, action, resource) when { context.address.isLoopback() };',
      'policy/global/more.cedar:1:45 unable to guarantee safety of access to optional attribute `address` in context for Action::"approve" (try testing for the attribute\'s presence with `context has address && ..`)',
    ],
    [
      'a rule that can never apply',
      'permit (principal, action == Action::"shell", resource is unit::restart);',
      'policy/global/more.cedar:1:1 unable to find an applicable action given the policy scope constraints',
    ],
    [
      'a condition of the wrong type',
      'permit (principal, action, resource is unit::status) when { resource.unit in principal };',
      'policy/global/more.cedar:1:61 unexpected type: expected __cedar::internal::AnyEntity but saw String',
    ],
    ['what does not parse', 'permit (principal, action, resourc);', 'policy/global/more.cedar:1:28'],
    ['a forgotten semicolon', 'permit (principal, action, resource)', 'policy/global/more.cedar:1:37'],
    ['a template', 'permit (principal == ?principal, action, resource);', 'policy/global/more.cedar:1:'],
    [
      'an id that is given twice',
      '@id("a")\npermit (principal, action, resource);\n@id("a")\nforbid (principal, action, resource);',
      'policy/global/more.cedar:3:1 there are two rules global/more.cedar#a (give each an @id("…") of its own)',
    ],
  ]
  test.for(findings)('%s', async ([, text, said], {onTestFinished}) => {
    const {findings, bundle} = await check(onTestFinished, withRules(text))
    expect(bundle).toBeUndefined()
    expect(findings.map(showFinding).join('\n')).toContain(said)
  })

  test('TM-L3: a rule whose evaluation errors denies everything it is asked about, and says so', async ({onTestFinished}) => {
    // an addition past 2^63 is an error that no schema can foresee
    const bundle = await load(onTestFinished, {
      'catalog/tools/scale.yaml':
        'kind: Tool\nname: scale\nsummary: how many\nprogram: /usr/bin/scale\nrun: {primitive: host, target: local}\ncommands:\n  - {path: [to], class: read, operands: [{name: count, type: {type: integer, min: 0, max: 9007199254740991}}]}\n',
      'policy/global/scale.cedar':
        'permit (principal, action == Action::"run", resource is scale::to);\n@id("few")\nforbid (principal, action, resource is scale::to) when { resource.count * 2048 > 20480 };',
    })
    const of = (count: string) =>
      decideUse(bundle, {...by('alice'), resource: commandOf(bundle, ['scale', 'to', count]), context: {}}, 'run')
    expect(of('3')).toMatchObject({decision: 'allow'})
    expect(of('11')).toMatchObject({decision: 'deny', rules: ['global/scale.cedar#few'], errors: []})
    const answer = of('9007199254740991')
    expect(answer).toMatchObject({decision: 'deny', why: 'forbidden'})
    expect(answer.decision === 'deny' && answer.errors[0]).toMatch(/^global\/scale\.cedar#few: .*overflow/)
    const told = explainDenial(
      bundle,
      {...by('alice'), resource: commandOf(bundle, ['scale', 'to', '9007199254740991']), context: {}},
      'run',
    )
    expect(told.message).toContain('policy could not be evaluated')
  })

  test('a file is cut at the semicolons that end policies, not at those in strings and comments', () => {
    const text =
      '// a; b\npermit (principal, action, resource) when { "a;\\";" == "//" }; // permit;\n\nforbid (principal, action, resource);\n'
    expect(splitPolicies(text).map(one => one.text)).toEqual([
      'permit (principal, action, resource) when { "a;\\";" == "//" };',
      'forbid (principal, action, resource);',
    ])
    for (const {text: policy, start} of splitPolicies(text)) expect(text.slice(start, start + policy.length)).toBe(policy)
  })
})
