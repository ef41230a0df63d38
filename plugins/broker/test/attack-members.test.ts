/** Targets that stand for many, against a target that names one of them, and against each other. */
import {definePrimitive} from '@prod/sdk/primitive'
import {expect, test} from 'vitest'
import {findMany, findTarget} from '../src/catalog/members.ts'
import {defaults} from '../src/config.ts'
import type {Parts} from '../src/parts.ts'
import {checkBundle} from '../src/policy/bundle.ts'
import {decideUse} from '../src/policy/decide.ts'
import type {Bundle} from '../src/policy/policy.ts'
import {makePlan, type Plan, question} from '../src/requests/plan.ts'
import type {Draft} from '../src/requests/state.ts'
import {countStart} from '../src/runs/limits.ts'
import {codeOf} from './core.ts'
import {by, load, writeFolder} from './policy-folder.ts'
import {makeFolder, openFolder} from './store-folder.ts'

const one = 'i-0a1b2c3d4e5f60001'
const target = (name: string, address: string, more = ''): Record<string, string> => ({
  [`catalog/targets/${name}.yaml`]: `kind: Target\nname: ${name}\naddress: ${address}\nenvironment: staging\n${more}`,
})
const files = {
  ...target('web', 'ssm:eu-west-1/*?tag:Role=web'),
  ...target('staging', 'ssm:eu-west-1/*?tag:Env=staging'),
  ...target('vault', `ssm:eu-west-1/${one}?account=111122223333`, 'forwards: [{host: localhost, ports: [22]}]\n'),
  'catalog/tools/agent.yaml': `kind: Tool
name: agent
summary: for tests
program: /usr/bin/agent
run: { primitive: ssm, targets: [web, staging] }
commands:
  - { path: [stop], class: change, limit: { perTarget: 1, per: 10m } }
`,
  'policy/global/members.cedar': `permit (principal in Group::"engineers", action in [Action::"shell", Action::"run"], resource);
forbid (principal, action, resource == Target::"vault");
`,
}
const rest = {reason: 'because this test wants it', incident: null}
const shell = (name: string): Draft => ({kind: 'shell', target: name, ...rest})
const stop = (name: string): Draft => ({kind: 'exec', argv: ['agent', 'stop'], target: name, startAt: null, stdin: null, ...rest})
const decisionOf = (bundle: Bundle, plan: Plan): string =>
  decideUse(bundle, question(plan, {...by('alice', 'engineers'), address: '127.0.0.1'}), plan.action).decision

test('TM-L4, TM-A6: what the catalog names itself is judged as that, also where it is called one of many', async ({onTestFinished}) => {
  const bundle = await load(onTestFinished, files)
  expect(decisionOf(bundle, makePlan(bundle, shell('web/i-0a1b2c3d4e5f60002')))).toBe('allow')
  for (const name of ['vault', `web/${one}`, `staging/${one}`]) {
    const plan = makePlan(bundle, shell(name))
    expect([name, plan.target?.name, decisionOf(bundle, plan)]).toEqual([name, 'vault', 'deny'])
  }
  // nor does a tool of the many run there
  expect(() => makePlan(bundle, stop(`web/${one}`))).toThrow(/does not run on/)
})

test('TM-N1, TM-F3: one machine has one line and one budget, whichever of those that stand for it is named', async ({onTestFinished}) => {
  const bundle = await load(onTestFinished, files)
  const [first, second, other] = ['web/i-0a1b2c3d4e5f60002', 'staging/i-0a1b2c3d4e5f60002', 'web/i-0a1b2c3d4e5f60003'].map(name =>
    makePlan(bundle, stop(name)),
  ) as [Plan, Plan, Plan]
  expect(second.locks).toEqual(first.locks)
  expect(other.locks).not.toEqual(first.locks)
  const {dir, remove} = makeFolder()
  const store = await openFolder(dir)
  onTestFinished(async () => {
    await store.close()
    remove()
  })
  const parts = {store, config: {...defaults, limits: []}, bundle: () => bundle} as unknown as Parts
  const {principal} = by('alice')
  const {put} = await countStart(parts, first, principal)
  await store.commit({put, events: []})
  expect(await codeOf(countStart(parts, second, principal))).toBe('LIMIT_REACHED')
  expect(await codeOf(countStart(parts, other, principal))).toBe('none')
})

test('TM-L4: what is a part of another name, or holds one, is judged by no third one', async ({onTestFinished}) => {
  const bundle = await load(onTestFinished, {
    ...files,
    ...target('many', 'ecs:eu-west-1/prod/*'),
    ...target('app', 'ecs:eu-west-1/prod/web/app?definition=web:7'),
    ...target('batch', 'ecs:eu-west-1/prod/batch'),
    ...target('jobs', 'ecs:eu-west-1/prod/batch/*'),
  })
  const nameOf = (name: string): string | undefined => findTarget(bundle.catalog, name)?.name
  expect(['many/web/app', 'many/web/proxy', 'many/shop', 'jobs/nightly'].map(nameOf)).toEqual([
    'app',
    'many/web/proxy',
    'many/shop',
    'jobs/nightly',
  ])
  const task = '0123456789abcdef0123456789abcde0'
  for (const name of [
    'many/web',
    `many/web/app/${task}`,
    'many/batch/nightly',
    `many/batch/nightly/${task}`,
    'many/',
    'many/a//b',
    'many/..',
  ])
    expect([name, nameOf(name)]).toEqual([name, undefined])
  expect(findMany(bundle.catalog, 'many/web/proxy')?.address).toBe('ecs:eu-west-1/prod/web/proxy/*')
  expect(findMany(bundle.catalog, 'web/i-0a1b2c3d4e5f60002')?.address).toBe('ssm:eu-west-1/i-0a1b2c3d4e5f60002/*?tag:Role=web')
  expect(findMany(bundle.catalog, 'app')).toBeUndefined()
})

test('TM-N1: a machine has one line and one budget by whichever way in it is reached, one of many too', async ({onTestFinished}) => {
  const ways = ['ssm', 'ssh', 'host'].map(id =>
    definePrimitive<string>({
      id,
      summary: 'for tests',
      uses: ['exec', 'shell', 'forward'],
      parse: text => text,
      permissions: () => [],
      machine: where => (id === 'host' || where.includes('*') ? undefined : `aws:${where.replace(/[?].*/, '')}`),
      open: () => Promise.reject(new Error('not opened here')),
    }),
  )
  const {options} = writeFolder(onTestFinished, {
    ...files,
    ...target('door', `ssh:eu-west-1/${one}?user=ops`),
    'catalog/targets/vault.yaml': null,
    'catalog/tools/door.yaml': `kind: Tool
name: door
summary: for tests
program: /usr/bin/agent
run: { primitive: ssh, target: door }
commands:
  - { path: [stop], class: change, limit: { perTarget: 1, per: 10m } }
`,
    'policy/global/members.cedar': 'permit (principal in Group::"engineers", action == Action::"run", resource);\n',
  })
  const {bundle, findings} = await checkBundle({...options, primitives: new Map(ways.map(way => [way.id, way]))})
  expect(findings).toEqual([])
  if (!bundle) throw new Error('no bundle')
  const door = makePlan(bundle, {...stop('door'), argv: ['door', 'stop']} as Draft)
  expect(makePlan(bundle, stop(`web/${one}`)).locks).toEqual(door.locks)
  expect(makePlan(bundle, stop('web/i-0a1b2c3d4e5f60002')).locks).not.toEqual(door.locks)
})
