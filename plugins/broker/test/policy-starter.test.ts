import {execFileSync} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import {checkBundle, loadBundle} from '../src/policy/bundle.ts'
import {decideUse, explainDenial, mayApprove} from '../src/policy/decide.ts'
import {explainArgv} from '../src/policy/explain.ts'
import type {Bundle} from '../src/policy/policy.ts'
import {startDemoService, writeDevStarter, writeStarter} from '../src/policy/starter.ts'
import {by, commandOf, roleOf, targetOf} from './policy-folder.ts'

function folder(onFinished: (fn: () => void) => void): string {
  const dir = mkdtempSync(join(tmpdir(), 'prod-starter-'))
  onFinished(() => rmSync(dir, {recursive: true, force: true}))
  return dir
}

test('the development profile loads as a production bundle would, with a test for each rule', async ({onTestFinished}) => {
  const {findings, warnings, tests} = await checkBundle({...(await writeDevStarter(folder(onTestFinished))), development: false})
  expect({findings, warnings}).toEqual({findings: [], warnings: []})
  expect(tests.length).toBeGreaterThan(40)
})

test('what `policy init` writes loads and allows nothing to anybody', async ({onTestFinished}) => {
  const dir = folder(onTestFinished)
  const made = await writeStarter(join(dir, 'new'))
  const bundle = await loadBundle({...made, development: false})
  for (const groups of [[], ['engineers'], ['admins', 'root', 'security']]) {
    const who = by('somebody', ...groups)
    for (const tool of bundle.catalog.tools.values()) {
      for (const target of tool.targets) {
        const resource = commandOf(bundle, [tool.name], target)
        expect(decideUse(bundle, {...who, resource, context: {}}, 'run').decision).toBe('deny')
        expect(mayApprove(bundle, resource, who, 'run')).toBe(false)
      }
    }
    for (const action of ['shell', 'breakGlass', 'review', 'watch', 'readRecording'] as const) {
      expect(bundle.ask({...who, action, resource: targetOf(bundle, 'local'), context: {incident: true}}).decision).toBe('default')
    }
    expect(bundle.ask({...who, action: 'readAudit', resource: {kind: 'log'}, context: {}}).decision).toBe('default')
  }
  await expect(writeStarter(join(dir, 'new'))).rejects.toMatchObject({code: 'USAGE'})
})

describe('the story of the development profile', () => {
  const start = async (onFinished: (fn: () => void) => void): Promise<Bundle> =>
    loadBundle({...(await writeDevStarter(folder(onFinished))), development: true})
  const alice = by('alice', 'engineers')
  const [bob, carol] = [by('bob', 'sre-leads'), by('carol', 'security')]

  test('looking is allowed, a restart waits for a lead, and nobody else may approve it', async ({onTestFinished}) => {
    const bundle = await start(onTestFinished)
    const restart = commandOf(bundle, ['web', 'restart'])
    expect(decideUse(bundle, {...alice, resource: commandOf(bundle, ['web', 'status']), context: {}}, 'run').decision).toBe('allow')
    expect(decideUse(bundle, {...alice, resource: restart, context: {}}, 'run')).toMatchObject({decision: 'request', approvals: 1})
    expect([bob, carol, alice].map(who => mayApprove(bundle, restart, who, 'run'))).toEqual([true, false, false])
    expect(bundle.approverGroups(restart)).toEqual(['sre-leads'])
  })

  test('stopping is denied by a rule that is named, with the role that would do; with the role it is allowed', async ({onTestFinished}) => {
    const bundle = await start(onTestFinished)
    const asked = {...alice, resource: commandOf(bundle, ['web', 'stop']), context: {}}
    expect(explainDenial(bundle, asked, 'run')).toEqual({
      message: 'you may not run web stop on local: rule services/web/stop.cedar#web-stop forbids it; the role web-operator would allow it',
      hint: 'prod request create web-operator',
    })
    expect(decideUse(bundle, {...alice, resource: roleOf(bundle, 'web-operator'), context: {}}, 'assume')).toMatchObject({
      decision: 'request',
      approvals: 1,
    })
    expect(mayApprove(bundle, roleOf(bundle, 'web-operator'), bob, 'assume')).toBe(true)
    expect(decideUse(bundle, {...asked, ...by('alice', 'engineers', 'web-operators')}, 'run').decision).toBe('allow')
  })

  test('a shell is break-glass, and security reviews', async ({onTestFinished}) => {
    const bundle = await start(onTestFinished)
    const resource = targetOf(bundle, 'local')
    expect(explainDenial(bundle, {...alice, resource, context: {}}, 'shell')).toMatchObject({
      hint: 'prod shell local --reason … --incident …',
    })
    expect(bundle.ask({...carol, action: 'breakGlass', resource, context: {incident: true}}).decision).toBe('default')
    expect([alice, bob, carol].map(who => bundle.ask({...who, action: 'review', resource, context: {}}).decision)).toEqual([
      'default',
      'default',
      'allow',
    ])
  })

  test('TM-K3: explaining a tool that does not even exist on this machine runs nothing and answers the same', async ({onTestFinished}) => {
    const bundle = await start(onTestFinished)
    expect(explainArgv(bundle, {principal: 'alice', groups: ['engineers'], argv: ['web', 'restart']})).toMatchObject({
      decision: 'request',
      approvals: 1,
      approvers: ['sre-leads'],
      rules: ['global/web.cedar#web-restart'],
      structure: {tool: 'web', path: ['restart'], class: 'change'},
    })
    expect(explainArgv(bundle, {principal: 'alice', groups: ['engineers'], argv: ['web', 'restart', '--now']})).toMatchObject({
      decision: 'deny',
      position: 2,
      structure: null,
    })
    expect(explainArgv(bundle, {principal: 'alice', groups: [], argv: ['rm', '-rf']})).toMatchObject({decision: 'deny', position: 0})
    expect(explainArgv(bundle, {principal: 'alice', groups: [], argv: ['web', 'a\u0000']})).toMatchObject({decision: 'deny', position: 1})
    expect(explainArgv(bundle, {principal: 'alice', groups: [], argv: ['web', 'status'], target: 'elsewhere'})).toMatchObject({
      decision: 'deny',
      rules: [],
    })
  })
})

test('the demo service is a real process that a restart replaces, and ends with its supervisor', async ({onTestFinished}) => {
  const dir = folder(onTestFinished)
  await writeDevStarter(dir)
  const service = await startDemoService(dir, {node: process.execPath})
  const run = (...args: string[]) =>
    execFileSync(join(dir, 'bin/web-service'), args, {
      env: {WEB_STATE: join(dir, 'demo')},
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  const pid = (text: string) => Number(/process (\d+)/.exec(text)?.[1])
  const first = pid(run('status'))
  expect(process.kill(first, 0)).toBe(true)
  expect(await (await fetch(/http:\S+/.exec(run('status'))?.[0] ?? '')).text()).toBe(`web, process ${first}\n`)
  const second = pid(run('restart'))
  expect(second).not.toBe(first)
  expect(() => process.kill(first, 0)).toThrow()
  expect(run('stop')).toBe('web is stopped\n')
  const third = pid(run('start'))
  expect(run('logs', '--lines', '1')).toContain(`web ${third} listens`)
  await service.stop()
  expect(() => process.kill(third, 0)).toThrow()
  expect(() => run('restart')).toThrow(/its supervisor does not run/)
  expect(readFileSync(join(dir, 'catalog/tools/web.yaml'), 'utf8')).toContain(join(dir, 'bin/web-service'))
})
