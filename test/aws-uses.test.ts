/** Targets that are reached by a credential of AWS: conferred for one run or shell, within what it needs, gone with it. AWS is the stand-in of plugins/aws. */
import {mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Access} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {beforeAll, expect, test} from 'vitest'
import {type BrokerStandIn, roleArn} from '../plugins/aws/test/providers-stand-in.ts'
import {releasing} from '../plugins/broker/src/grants/conferral.ts'
import {type Core, codeOf, newKey, openPerson, type Person, reason, until} from '../plugins/broker/test/core.ts'
import {shellMessage, stream} from '../plugins/broker/test/sessions-shell.ts'
import {expectNoSecrets, roleFile, startAwsBroker, withKillable} from './aws-broker.ts'
import {call, far, given, looked, released} from './cloud-primitive.ts'

const target = (name: string, role: string, more = '') => `kind: Target
name: ${name}
address: cloud:${role}
environment: staging
${more}`
const tool = (name: string, more = '', targets = '[east, west]') => `kind: Tool
name: ${name}
summary: asks a role about itself
program: /usr/bin/${name}
run: { primitive: cloud, targets: ${targets}${more} }
limits: { wallSeconds: 120 }
commands:
  - { path: [], class: change, rollout: { maxTargets: 5 }, operands: [{ name: words, type: { type: string, maxLength: 100 }, min: 1, max: 10 }] }
`
const files = {
  'catalog/roles/reach.yaml': roleFile('reach', 'maxSeconds: 3600\nallows: ["iam:Get*"]\n'),
  'catalog/roles/narrow.yaml': roleFile('narrow', 'maxSeconds: 3600\nallows: ["s3:Get*"]\n'),
  'catalog/roles/member.yaml':
    'kind: Role\nname: member\nsummary: for tests\nprovider: group\nparameters: { group: members }\nclass: change\nmaxSeconds: 3600\n',
  'catalog/targets/east.yaml': target('east', 'reach', 'role: reach\nforwards: [{host: localhost, ports: [80]}]\n'),
  'catalog/targets/west.yaml': target('west', 'narrow', 'role: narrow\n'),
  'catalog/targets/wide.yaml': target('wide', 'narrow/*', 'role: narrow\n'),
  'catalog/tools/cloud.yaml': tool('cloud'),
  'catalog/tools/narrowed.yaml': tool('narrowed', ', role: narrow', '[east]'),
  'policy/global/cloud.cedar': `@id("cloud")
permit (principal in Group::"engineers", action == Action::"run", resource) when { resource in Tool::"cloud" || resource in Tool::"narrowed" };
@id("cloud-shell")
permit (principal in Group::"engineers", action == Action::"shell", resource == Target::"east");
@id("cloud-forward")
permit (principal in Group::"engineers", action == Action::"forward", resource == Target::"east");
@id("cloud-look")
permit (principal in Group::"sre-leads", action == Action::"shell", resource == Target::"wide");
@id("cloud-late")
permit (principal in Group::"sre-leads", action == Action::"request", resource in Tool::"cloud");
@id("cloud-approve")
permit (principal in Group::"sre-leads", action == Action::"approve", resource in Tool::"cloud");
`,
}

const plugin = `prod-test-cloud-${process.pid}`

beforeAll(() => {
  const folder = mkdtempSync(join(tmpdir(), 'prod-cloud-'))
  const link = join(import.meta.dirname, '../node_modules', plugin)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({name: plugin, version: '1.0.0', type: 'module', exports: './index.js'}))
  writeFileSync(join(folder, 'index.js'), `export {primitive} from ${JSON.stringify(join(import.meta.dirname, 'cloud-primitive.ts'))}\n`)
  symlinkSync(folder, link)
  return () => {
    rmSync(link)
    rmSync(folder, {recursive: true})
  }
})
const broker = startAwsBroker({roles: ['reach', 'narrow'], files, people: ['alice', 'bob'], plugins: [plugin]})
let aws: BrokerStandIn
let core: Core
let [alice, bob] = [] as unknown as [Person, Person]
beforeAll(() => {
  ;({aws, core} = broker)
  ;({alice, bob} = broker.people)
})

/** What the newest use was given. */
const newest = () => (given.at(-1) as (typeof given)[number]).access
const renewed = ({renew}: Access) => codeOf(renew?.() ?? Promise.resolve())
const run = (words: string[], on = 'east', tool = 'cloud') => alice.exec([tool, ...words], {targets: [on]})
const runOf = async (one: ReturnType<typeof run>) => (await one.message('started')).id
const cancel = async (one: ReturnType<typeof run>) => {
  ;(await one.connection).send({type: 'cancel'})
  await one.done
}

test('TM-C4: a run gets a credential of its target’s role, under the caller’s name and its own', async () => {
  const one = run(['call:GetRole', 'renew', 'call:GetRole'])
  const {stdout, receipt} = await one.done
  expect(stdout.toString()).toBe('call:GetRole 200\ncall:GetRole 200\n')
  const id = receipt?.run as string
  const sessions = [...aws.sessions.values()].filter(({tags}) => tags['prod-grant'] === id)
  expect(sessions).toHaveLength(2)
  for (const session of sessions) {
    expect(session).toMatchObject({sourceIdentity: alice.session.principal.person, tags: {'prod-request': receipt?.request}})
  }
  const minted = (await core.events('credential.minted')).filter(({subject}) => subject === id)
  expect(minted.map(({data}) => data)).toMatchObject([
    {role: 'reach', class: 'change', provider: 'aws-sts', request: receipt?.request, target: 'east'},
    {role: 'reach'},
  ])
})

test('TM-J2: its session reaches what the use needs, of what the role allows, and is refused when the use is over', async () => {
  const {stdout, receipt} = await run(['call:GetRole', 'call:GetRolePolicy']).done
  expect(stdout.toString()).toBe('call:GetRole 200\ncall:GetRolePolicy 403\n')
  const {credential} = newest()
  // another resource, and another role's
  expect(await call(credential, 'GetRole', 'narrow')).toBe(403)
  await until(async () => (await call(credential, 'GetRole', 'reach')) === 403, 'the end of the credential')
  const denied = [...(aws.roles.get(roleArn('reach'))?.inline.values() ?? [])].map(({text}) => text).join()
  expect(denied).toContain(receipt?.run)
  expect(await renewed(newest())).toBe('REVOKED')
})

test('TM-J2: what a role does not allow is denied though the use needs it; a tool’s role goes before its target’s', async () => {
  const narrow = await run(['call:GetRole'], 'west').done
  expect(narrow.stdout.toString()).toBe('call:GetRole 403\n')
  const tool = await run(['call:GetRole'], 'east', 'narrowed').done
  expect(tool.stdout.toString()).toBe('call:GetRole 403\n')
  expect(newest().id).toBe(tool.receipt?.run)
})

test('TM-W1: the role is part of what is approved, of one target and of several', async () => {
  const dave = await core.as('bob')
  const one = dave.exec(['cloud', 'call:GetRole'], {targets: ['east']})
  const {request} = await one.message('waiting')
  const document = JSON.parse((await bob.client.call(api.requestDocument, {id: request})).document)
  expect(document.targets).toEqual([{name: 'east', address: 'cloud:reach', environment: 'staging', role: 'reach'}])
  expect(document.role).toMatchObject({name: 'reach', provider: 'aws-sts', parameters: {actions: ['iam:Get*']}})
  await core.change('catalog/targets/east.yaml', target('east', 'reach', 'role: narrow\n'))
  await (await core.as('dave')).approve(request)
  expect(await codeOf(one.done)).toBe('APPROVAL_VOID')
  await core.change('catalog/targets/east.yaml', files['catalog/targets/east.yaml'])

  const many = dave.exec(['cloud', 'call:GetRole'], {targets: ['east', 'west']})
  const both = (await many.message('waiting')).request
  const whole = JSON.parse((await bob.client.call(api.requestDocument, {id: both})).document)
  expect(whole.targets.map((one: {role: string}) => one.role)).toEqual(['reach', 'narrow'])
  expect(whole.role).toBeNull()
  expect(whole.roles.map((one: {name: string}) => one.name)).toEqual(['reach', 'narrow'])
  await (await core.as('dave')).approve(both)
  await until(async () => (await core.events('rollout.ended')).some(({subject}) => subject === both), 'the end of the rollout')
  const minted = (await core.events('credential.minted')).filter(({data}) => data.request === both)
  expect(new Set(minted.map(({data}) => data.target))).toEqual(new Set(['east', 'west']))
})

test('a target that is reached by a credential is not used where no role gives one', async () => {
  const refused = async (name: string, text: string, why: string): Promise<void> => {
    await core.change(name, text, 'bundle.refused')
    expect(JSON.stringify(core.alarms.at(-1))).toContain(why)
    writeFileSync(join(core.dir, name), files[name as keyof typeof files])
  }
  await refused('catalog/targets/east.yaml', target('east', 'reach'), 'neither it nor cloud names the role that gives it')
  await refused('catalog/targets/east.yaml', target('east', 'reach', 'role: nobody\n'), 'there is no role nobody')
  await refused('catalog/targets/east.yaml', target('east', 'reach', 'role: member\n'), 'gives no credential that reaches a target')
  await refused('catalog/tools/narrowed.yaml', tool('narrowed', ', role: member', '[east]'), 'gives no credential that reaches a target')
})

test('a run that does not start leaves nothing conferred, whether AWS or the target refuses', async () => {
  aws.broken.set('AssumeRole', 403)
  const from = given.length
  expect(await codeOf(run(['call:GetRole']).done)).toBe('DENIED')
  expect(given).toHaveLength(from)
  aws.broken.clear()
  expect(await codeOf(run(['fail']).done)).toBe('TARGET_UNREACHABLE')
  const {credential} = newest()
  await until(async () => (await call(credential, 'GetRole', 'reach')) === 403, 'the end of the credential')
  expect((await core.events('run.ended')).at(-1)?.data).toMatchObject({endedBy: 'not started'})
})

test('TM-N4: a run that is ended loses its credential with it', async () => {
  const one = run(['hold'])
  await until(() => one.so.stdout.includes('holding'), 'the run')
  const access = newest()
  expect(await call(access.credential, 'GetRole', 'reach')).toBe(200)
  const other = run(['hold'], 'west')
  await until(() => other.so.stdout.includes('holding'), 'the other run')
  await cancel(one)
  await until(async () => (await call(access.credential, 'GetRole', 'reach')) === 403, 'the end of the credential')
  expect(await renewed(access)).toBe('REVOKED')
  // the other run's still renews
  expect(await renewed(newest())).toBe('none')
  await cancel(other)
})

test('what AWS does not take back at the end of a run is tried again, and told', async () => {
  aws.broken.set('PutRolePolicy', 500)
  const {receipt} = await run(['call:GetRole']).done
  const told = () => core.alarms.some(({what, use}) => what === 'the role of a use could not be taken back' && use === receipt?.run)
  await until(told, 'the alarm')
  aws.broken.clear()
  const {credential} = newest()
  core.forward(31_000)
  await until(async () => (await call(credential, 'GetRole', 'reach')) === 403, 'the end of the credential')
})

test('TM-U3: a person gets no credential of a run, nor does it show as a role they hold', async () => {
  const one = run(['hold'])
  const id = await runOf(one)
  await until(() => one.so.stdout.includes('holding'), 'the run')
  expect(await codeOf(alice.client.call(api.grantCredentials, {id}))).toBe('GRANT_NOT_FOUND')
  expect((await alice.client.call(api.listGrants, {})).grants.map(grant => grant.id)).not.toContain(id)
  expect((await alice.client.call(api.catalog)).roles.find(({name}) => name === 'reach')?.active ?? null).toBeNull()
  await cancel(one)
  await expectNoSecrets(broker)
})

test('TM-P6: killed while it confers, while the run goes on, or while it takes back, a broker leaves nothing conferred', async () => {
  await withKillable(files, [plugin], async (url, kill) => {
    const killed = () => kill(async () => aws.hangs.clear())
    const holder = await openPerson({name: 'uses-kill', url}, 'alice', () => new Date())
    const begin = (words: string[]) => holder.exec(['cloud', ...words], {targets: ['east']})
    const last = () => [...aws.sessions].at(-1) as [string, {token: string}]
    const isRefused = async ([id, {token}]: [string, {token: string}]): Promise<boolean> =>
      (await call({AccessKeyId: id, SessionToken: token}, 'GetRole', 'reach')) === 403

    aws.hangs.add('AssumeRole')
    const from = aws.calls.length
    const first = begin(['hold'])
    await until(async () => aws.calls.slice(from).some(one => one.startsWith('AssumeRole')), 'the conferring')
    await killed()
    await first.done.catch(() => {})
    // nobody has that credential, and it is refused all the same
    const denied = () => [...(aws.roles.get(roleArn('reach'))?.inline.values() ?? [])].map(({text}) => text).join()
    const [lost] = (await holder.client.call(api.listRuns, {})).runs
    await until(() => denied().includes(lost?.id as string), 'the deny of what may have been conferred')

    const second = begin(['hold'])
    await until(() => second.so.stdout.includes('holding'), 'the run')
    const held = last()
    expect(await isRefused(held)).toBe(false)
    await killed()
    await second.done.catch(() => {})
    await until(() => isRefused(held), 'the end of the credential')

    aws.hangs.add('PutRolePolicy')
    await begin(['call:GetRole']).done
    const late = last()
    expect(await isRefused(late)).toBe(false)
    await killed()
    await until(() => isRefused(late), 'the end of the credential')
  }).finally(() => aws.hangs.clear())
})

test('TM-F1, TM-N4: looking among targets is counted, and takes no room from those whose rights are revoked', async () => {
  const look = () => bob.client.call(api.findTargets, {text: '', within: 'wide'})
  const found = await look()
  expect(found).toMatchObject({targets: [{name: 'wide/one'}], faults: []})
  // a way in that names nothing that looking takes gets nothing
  const {credential} = looked.at(-1) as Access
  expect(await call(credential, 'GetRole', 'narrow')).toBe(403)
  expect(await renewed(looked.at(-1) as Access)).toBe('REVOKED')
  const denied = [...(aws.roles.get(roleArn('narrow'))?.inline.values() ?? [])].map(({text}) => text).join()
  expect(denied).not.toContain('look_')
  // how often one person may
  const faults = (await Promise.all(Array.from({length: 125}, look))).flatMap(one => one.faults.map(({message}) => message))
  expect(faults).toHaveLength(6)
  expect(faults[0]).toMatch(/^targets are looked for by one person at most 120 times in 10m/)
})

test('TM-C4: a shell gets a credential of its own, renewed while it is open and refused when it is closed', async () => {
  const shell = stream(alice, shellMessage({target: 'east', incident: undefined, reason}))
  await shell.shows('holding')
  const access = newest()
  expect(await call(access.credential, 'GetRole', 'reach')).toBe(200)
  expect(await renewed(access)).toBe('none')
  const {id} = await shell.message('started')
  expect(access.id).toBe(id)
  expect((await core.events('credential.minted')).filter(({subject}) => subject === id)).toHaveLength(2)
  ;(await shell.connection).send({type: 'cancel'})
  await shell.done.catch(() => {})
  await until(async () => (await call(access.credential, 'GetRole', 'reach')) === 403, 'the end of the credential')
  expect(await renewed(access)).toBe('REVOKED')
})

test('TM-X4: what a forward left at the far side is ended while its credential still can, which ends then', async () => {
  const [client, to] = [
    {version: 'test', platform: 'test'},
    {host: 'localhost', port: 80},
  ]
  const forward = stream(alice, {type: 'forward', key: newKey(), target: 'east', to: [to], reason, wait: true, client})
  const {id} = await forward.message('started')
  const one = stream(alice, {type: 'connect', session: id, to, client})
  await one.message('started')
  const {credential} = newest()
  ;(await forward.connection).send({type: 'stdin-end'})
  await forward.done
  expect(released.filter(one => one.id === id)).toEqual([{id, status: 200}])
  await until(async () => (await call(credential, 'GetRole', 'reach')) === 403, 'the end of the credential')
})

test('TM-X4: the credential of a command lives until what it left at the far side is ended, though nobody waits for that', async () => {
  const {promise, resolve} = Promise.withResolvers<void>()
  far.settled = promise
  try {
    await run(['call:GetRole']).done
    const access = newest()
    await until(() => releasing.has(access.id), 'the end of the run')
    expect(await renewed(access)).toBe('none')
    resolve()
    await until(() => released.some(({id, status}) => id === access.id && status === 200), 'the release')
    await until(async () => (await call(access.credential, 'GetRole', 'reach')) === 403, 'the end of the credential')
    expect(await renewed(access)).toBe('REVOKED')
  } finally {
    resolve()
    far.settled = Promise.resolve()
  }
})
