import fc from 'fast-check'
import {expect, test} from 'vitest'
import {approvalsFor, decideUse} from '../src/policy/decide.ts'
import type {Bundle} from '../src/policy/policy.ts'
import {by, commandOf, company, load, roleOf, targetOf} from './policy-folder.ts'

type OnFinished = (fn: () => void) => void

test('TM-L2: property: whatever numbers tool, role and services set, the shorter time and the larger number of approvals hold', async ({
  onTestFinished,
}) => {
  const seconds = fc.integer({min: 1, max: 86_400})
  const people = fc.integer({min: 1, max: 5})
  const limits = fc.record({maxSeconds: fc.option(seconds, {nil: undefined}), approvals: fc.option(people, {nil: undefined})})
  const numbers = fc.record({
    web: limits,
    payments: limits,
    role: seconds,
    roleApprovals: people,
    wall: seconds,
    approvals: people,
    admin: fc.boolean(),
  })
  const service = (name: string, one: {maxSeconds?: number | undefined; approvals?: number | undefined}) =>
    `kind: Service\nname: ${name}\nowner: leads\nlimits: ${JSON.stringify(one)}\n`
  await fc.assert(
    fc.asyncProperty(numbers, async ({web, payments, role, roleApprovals, wall, approvals, admin}) => {
      const bundle = await load(onTestFinished, {
        'catalog/services/web.yaml': service('web', web),
        'catalog/services/payments.yaml': service('payments', payments),
        'catalog/tools/unit.yaml': (company['catalog/tools/unit.yaml'] as string)
          .replace('as: ops }', `as: ops }\nservice: web\nlimits: {wallSeconds: ${wall}}\napprovals: ${approvals}`)
          .replace('approvals: 1, limit', 'limit'),
        'catalog/roles/operator.yaml': `kind: Role\nname: operator\nsummary: restart units\nprovider: group\nparameters: {group: operators}\nservice: payments\nclass: ${admin ? 'admin' : 'change'}\nmaxSeconds: ${role}\napprovals: ${roleApprovals}\n`,
      })
      const least = (...all: (number | undefined)[]) => Math.min(...all.filter(one => one !== undefined))
      const most = (...all: (number | undefined)[]) => Math.max(...all.filter(one => one !== undefined))
      expect(bundle.catalog.tools.get('unit')?.limits.wallSeconds).toBe(least(wall, web.maxSeconds, payments.maxSeconds))
      expect(bundle.catalog.roles.get('operator')?.maxSeconds).toBe(least(role, payments.maxSeconds))
      expect(approvalsFor(bundle, roleOf(bundle, 'operator'))).toBe(most(roleApprovals, payments.approvals, admin ? 2 : 1))
      for (const [target, owner] of [
        ['local', undefined],
        ['web-1', web.approvals],
        ['pay-1', payments.approvals],
      ] as const) {
        const restart = commandOf(bundle, ['unit', 'restart', 'x'], target)
        expect(approvalsFor(bundle, restart)).toBe(most(approvals, web.approvals, owner))
        expect(approvalsFor(bundle, commandOf(bundle, ['unit', 'mask', 'x'], target))).toBe(most(2, approvals, web.approvals, owner))
        expect(approvalsFor(bundle, targetOf(bundle, target))).toBe(most(1, owner))
      }
    }),
    {numRuns: 25},
  )
})

test('TM-L4: property: no other spelling of who is forbidden is decided better than that name', async ({onTestFinished}) => {
  const bundle = await load(onTestFinished, {
    'policy/global/all.cedar':
      'permit (principal, action == Action::"run", resource is unit::status);\nforbid (principal == Person::"mallory", action, resource);\nforbid (principal in Group::"contractors", action, resource);\n',
  })
  const decide = (person: string, groups: string[]) =>
    decideUse(bundle, {...by(person, ...groups), resource: commandOf(bundle, ['unit', 'status', 'x']), context: {}}, 'run').decision
  expect([decide('alice', []), decide('mallory', []), decide('alice', ['contractors'])]).toEqual(['allow', 'deny', 'deny'])
  const twin = (name: string) =>
    fc
      .tuple(
        fc.array(
          fc.constantFrom<(text: string, at: number) => string>(
            (text, at) => text.slice(0, at) + (text[at] ?? '').toUpperCase() + text.slice(at + 1),
            (text, at) => `${text.slice(0, at)}\u200b${text.slice(at)}`,
            (text, at) => `${text.slice(0, at)}\u00ad${text.slice(at)}`,
            (text, at) => text.slice(0, at) + (text[at] ?? '').replace('a', 'а').replace('o', 'ο').replace('r', 'г') + text.slice(at + 1),
            (text, at) =>
              text.slice(0, at) +
              encodeURIComponent(text[at] ?? '').replace(/^[a-z]$/, one => `%${one.charCodeAt(0).toString(16)}`) +
              text.slice(at + 1),
            (text, at) => text.slice(0, at) + String.fromCharCode((text.charCodeAt(at) || 46) + 0xfee0) + text.slice(at + 1),
            text => `${text}.`,
            text => ` ${text} `,
          ),
          {minLength: 1, maxLength: 1},
        ),
        fc.integer({min: 0, max: name.length - 1}),
      )
      .map(([changes, at]) => changes.reduce((text, change) => change(text, at), name))
  fc.assert(fc.property(twin('mallory'), name => void expect(decide(name, []), JSON.stringify(name)).toBe('deny')))
  fc.assert(fc.property(twin('contractors'), name => void expect(decide('alice', [name]), JSON.stringify(name)).toBe('deny')))
})

/** Rules by service, so that each pair of services has a set of its own. */
async function bundles(onFinished: OnFinished): Promise<Bundle[]> {
  const with_ = (web: string, payments: string) =>
    load(onFinished, {
      'policy/services/web/a.cedar': `forbid (principal, action, resource is unit::status) when { resource.unit == "${web}" };`,
      'policy/services/payments/a.cedar': `forbid (principal, action, resource is unit::status) when { resource.unit == "${payments}" };`,
    })
  return [await with_('x', 'y'), await with_('y', 'z'), await with_('z', 'x')]
}

test('TM-L5: property: nothing that was asked before, of this bundle or another, changes an answer', async ({onTestFinished}) => {
  const asked = fc.record({
    bundle: fc.integer({min: 0, max: 2}),
    unit: fc.constantFrom('x', 'y', 'z', 'x|y', 'x","y', 'xy'),
    target: fc.constantFrom('local', 'web-1', 'pay-1'),
    person: fc.constantFrom('alice', 'alice|engineers', 'alice","engineers'),
    groups: fc.constantFrom<string[]>([], ['engineers'], ['engineers', 'x'], ['engineers|x'], ['engineers","x']),
  })
  type Asked = typeof asked extends fc.Arbitrary<infer T> ? T : never
  const decide = (bundle: Bundle, {unit, target, person, groups}: Asked) => {
    const argv = ['unit', 'status', unit]
    try {
      return decideUse(bundle, {...by(person, ...groups), resource: commandOf(bundle, argv, target), context: {}}, 'run').decision
    } catch {
      return 'refused'
    }
  }
  const expected = ({bundle, unit, target, groups}: Asked) => {
    if (!/^[xyz]+$/.test(unit)) return 'refused'
    const forbidden = {local: undefined, 'web-1': 'xyz'[bundle], 'pay-1': 'yzx'[bundle]}[target]
    return unit !== forbidden && groups.includes('engineers') ? 'allow' : 'deny'
  }
  const known = await bundles(onTestFinished)
  await fc.assert(
    fc.asyncProperty(fc.array(asked, {minLength: 1, maxLength: 40}), fc.integer({min: 0, max: 2}), async (questions, again) => {
      for (const one of questions) expect(decide(known[one.bundle] as Bundle, one), JSON.stringify(one)).toBe(expected(one))
      // a swap in between: the same rules loaded anew, and the one that is held goes on answering
      const fresh = (await bundles(onTestFinished))[again] as Bundle
      for (const one of questions.filter(({bundle}) => bundle === again)) expect(decide(fresh, one)).toBe(expected(one))
      for (const one of questions) expect(decide(known[one.bundle] as Bundle, one)).toBe(expected(one))
    }),
    {numRuns: 12},
  )
})
