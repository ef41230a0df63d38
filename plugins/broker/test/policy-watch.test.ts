import {renameSync, rmSync} from 'node:fs'
import {join} from 'node:path'
import {expect, test, vi} from 'vitest'
import type {Finding} from '../src/catalog/finding.ts'
import type {Bundle} from '../src/policy/policy.ts'
import {watchBundle} from '../src/policy/watch.ts'
import {by, commandOf, company, writeFiles, writeFolder} from './policy-folder.ts'

type OnFinished = (fn: () => void) => void

async function follow(onFinished: OnFinished) {
  const {dir, options} = writeFolder(onFinished)
  const swaps: [Bundle, Bundle][] = []
  const refusals: Finding[][] = []
  const watched = await watchBundle(options, {onSwap: (...pair) => swaps.push(pair), onRefused: findings => refusals.push(findings)})
  onFinished(() => watched.close())
  const may = () => {
    const bundle = watched.current()
    return bundle.ask({...by('zoe', 'visitors'), action: 'run', resource: commandOf(bundle, ['unit', 'status', 'x']), context: {}}).decision
  }
  const until = (check: () => void) => vi.waitFor(check, {timeout: 120_000, interval: 10})
  return {dir, watched, swaps, refusals, may, until}
}

const visitors = 'permit (principal in Group::"visitors", action == Action::"run", resource is unit::status);'

test('a changed file is swapped in whole while the broker runs', async ({onTestFinished}) => {
  const {dir, watched, swaps, refusals, may, until} = await follow(onTestFinished)
  const first = watched.current()
  expect(may()).toBe('default')
  writeFiles(dir, {'policy/global/visitors.cedar': visitors})
  await until(() => expect(may()).toBe('allow'))
  expect(swaps).toEqual([[watched.current(), first]])
  expect(watched.current().digest).not.toBe(first.digest)

  rmSync(join(dir, 'policy/global/visitors.cedar'))
  await until(() => expect(may()).toBe('default'))
  expect(watched.current().digest).toBe(first.digest)
  expect(refusals).toEqual([])
  // who still holds the old bundle gets the old answers
  const held = swaps[1]?.[1] as Bundle
  expect(
    held.ask({...by('zoe', 'visitors'), action: 'run', resource: commandOf(held, ['unit', 'status', 'x']), context: {}}).decision,
  ).toBe('allow')
})

test('TM-D3: a change with a fault or a failing test keeps the old bundle, is told once, and the mended one is taken', async ({
  onTestFinished,
}) => {
  const {dir, watched, swaps, refusals, until} = await follow(onTestFinished)
  const first = watched.current()
  writeFiles(dir, {'policy/global/visitors.cedar': visitors.replace('status', 'statsu')})
  await until(() => expect(refusals).toHaveLength(1))
  expect(refusals[0]?.[0]).toMatchObject({file: 'policy/global/visitors.cedar', message: expect.stringContaining('unit::statsu')})
  expect(watched.current()).toBe(first)

  writeFiles(dir, {
    'policy/global/visitors.cedar': visitors,
    'policy/tests/v.yaml': '- {principal: z, groups: [visitors], argv: [unit, status, x], expect: deny}\n',
  })
  await until(() => expect(refusals.at(-1)?.[0]?.message).toContain('expected deny, is allow'))
  expect(watched.current()).toBe(first)
  expect(swaps).toEqual([])

  writeFiles(dir, {'policy/tests/v.yaml': '- {principal: z, groups: [visitors], argv: [unit, status, x], expect: allow}\n'})
  await until(() => expect(swaps).toHaveLength(1))
})

test('a catalog that is gone, or is replaced by a rename, is no reason to allow or to stop', async ({onTestFinished}) => {
  const {dir, watched, swaps, refusals, until} = await follow(onTestFinished)
  const first = watched.current()
  renameSync(join(dir, 'catalog'), join(dir, 'catalog.old'))
  await until(() => expect(refusals.length).toBeGreaterThan(0))
  expect(watched.current()).toBe(first)
  renameSync(join(dir, 'catalog.old'), join(dir, 'catalog'))
  writeFiles(dir, {'catalog/services/web.yaml': `${company['catalog/services/web.yaml']}tier: 1\n`})
  await until(() => expect(swaps).toHaveLength(1))
  expect(watched.current().catalog.services.get('web')?.tier).toBe(1)
})

test('a first bundle that does not load is thrown with all its findings', async ({onTestFinished}) => {
  const {options} = writeFolder(onTestFinished, {'policy/global/a.cedar': 'permit (principal, action);', 'policy/global/b.cedar': 'allow;'})
  const refused = watchBundle(options, {onSwap() {}, onRefused() {}})
  await expect(refused).rejects.toMatchObject({
    code: 'POLICY_INVALID',
    findings: [{file: 'policy/global/a.cedar'}, {file: 'policy/global/b.cedar'}],
  })
})
