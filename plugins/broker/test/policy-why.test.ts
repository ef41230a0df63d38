import {expect, test} from 'vitest'
import {by, commandOf, load, withRules} from './policy-folder.ts'

const ledger = ['unit', 'restart', 'ledger']

test('of a use that nothing permits, the permits that lack least are told, with the part that failed and what would change it', async ({
  onTestFinished,
}) => {
  const bundle = await load(onTestFinished)
  const why = (groups: string[], argv: string[]) =>
    bundle.why({...by('alice', ...groups), resource: commandOf(bundle, argv), context: {}}, 'run', [])
  const near = why(['engineers'], ledger).find(({rule}) => rule === 'global/unit.cedar#restart-payments')
  expect(near?.parts).toEqual([{part: expect.stringContaining('payments-*'), holds: false, change: 'choose another unit'}])
  const status = why([], ['unit', 'status', 'x']).find(({rule}) => rule === 'global/unit.cedar:1')
  expect(status?.parts).toEqual([{part: 'principal in Group::"engineers"', holds: false, change: 'be in the group engineers'}])
})

test('of a forbid, the parts that held are told, and the exception that did not', async ({onTestFinished}) => {
  const bundle = await load(
    onTestFinished,
    withRules(
      '@id("calm")\nforbid (principal, action == Action::"run", resource is unit::restart) when { resource.unit == "ledger" && context.class == "change" } unless { context.incident };',
    ),
  )
  const asked = {...by('alice', 'engineers'), resource: commandOf(bundle, ledger), context: {}}
  const [rule] = bundle.why(asked, 'run', bundle.ask({...asked, action: 'run'}).rules)
  expect(rule?.effect).toBe('forbid')
  expect(rule?.parts.map(({holds, change}) => [holds, change])).toEqual([
    [true, 'choose another unit'],
    [true, 'use another command'],
    [false, 'give --incident ID'],
  ])
})
