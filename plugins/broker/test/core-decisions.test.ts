import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {HostPort} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {explainArgv} from '../src/policy/explain.ts'
import {type Core, codeOf, newKey, type Person, reason, startCore} from './core.ts'
import {loadBundle} from './core-bundle.ts'
import {shellMessage, stream} from './sessions-shell.ts'

const ends: (() => Promise<void> | void)[] = []
let core: Core
beforeAll(async () => {
  core = await startCore(end => ends.push(end))
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

/** What a stream makes of an argv: at once, after a yes, or not. */
async function asked(who: Person, argv: string[]): Promise<'allow' | 'request' | 'deny'> {
  const run = who.exec(argv, {wait: false})
  return Promise.race([
    run.message('started').then(() => 'allow' as const),
    run.message('pending').then(() => 'request' as const),
    run.done.then(
      () => 'deny' as const,
      (error: unknown) => {
        if (error instanceof ProdError && /DENIED|ARGV_REFUSED|TOOL_NOT_FOUND/.test(error.code)) return 'deny' as const
        throw error
      },
    ),
  ]).catch(error => {
    if (error instanceof ProdError && /DENIED|ARGV_REFUSED|TOOL_NOT_FOUND/.test(error.code)) return 'deny' as const
    throw error
  })
}

const lines: string[][] = [
  ['job', 'say', 'x'],
  ['job', 'cat'],
  ['job', 'tty'],
  ['job', 'flood', '1'],
  ['job', 'note', 'x'],
  ['job', 'take'],
  ['job', 'fail', '3'],
  ['now', 'note', 'table'],
  ['web', 'status'],
  ['web', 'restart'],
  ['web', 'stop'],
  ['true'],
  ['date', '-u'],
  ['job', 'nothing'],
  ['job', 'say'],
  ['uname', '--help'],
  ['nothing'],
]

test.each(['alice', 'bob', 'carol', 'erin', 'nobody'])('TM-K1: explain, the stream and the catalog decide alike for %s', async name => {
  const who = await core.as(name)
  const bundle = await loadBundle(core.dir)
  const {tools} = await who.client.call(api.catalog)
  for (const argv of lines) {
    const target = argv[0] === 'job' ? {target: 'local'} : {}
    const explained = explainArgv(bundle, {principal: name, groups: who.session.groups, argv, ...target})
    expect(await asked(who, argv), `${name}: ${argv.join(' ')}`).toBe(explained.decision)
    const usable =
      tools.find(tool => tool.name === argv[0])?.commands.find(({path}) => path.join() === (explained.structure?.path ?? ['?']).join())
        ?.usable ?? 'no'
    expect(usable, `${name}: ${argv.join(' ')}`).toBe({allow: 'now', request: 'request', deny: 'no'}[explained.decision])
  }
})

test('TM-K1: a role is judged and recorded alike by call and by catalog, for everybody', async () => {
  for (const name of ['alice', 'bob', 'carol', 'erin']) {
    const who = await core.as(name)
    const usable = (await who.client.call(api.catalog)).roles.find(role => role.name === 'jobber')?.usable ?? 'no'
    const code = await codeOf(who.client.call(api.createRequest, {key: newKey(), role: 'jobber', reason, durationSeconds: 60}))
    expect([name, code]).toEqual([name, usable === 'request' ? 'none' : 'DENIED'])
  }
  const refused = await core.events('request.refused')
  const [byStream, byCall] = [
    refused.find(({data}) => data.where === 'stream exec' && data.code === 'DENIED'),
    refused.find(({data}) => data.where === 'POST /v1/requests'),
  ]
  const shape = (event: typeof byStream) => [
    Object.keys(event?.data ?? {})
      .filter(key => key !== 'arguments')
      .sort(),
    event?.data.bundle,
  ]
  expect(shape(byCall)).toEqual(shape(byStream))
})

test('TM-K2: what the CLI would not send is refused by the broker as well', async () => {
  const [alice, bob] = [await core.as('alice'), await core.as('bob')]
  const cases: [Parameters<Person['exec']>[1], string][] = [
    [{reason: ''}, 'REASON_INVALID'],
    [{reason: 'short'}, 'REASON_INVALID'],
    [{argv: ['job', 'note', 'x'], reasonReused: true}, 'REASON_INVALID'],
    [{incident: 'no incident'}, 'INCIDENT_INVALID'],
    [{targets: ['nowhere']}, 'TARGET_NOT_FOUND'],
    [{targets: ['local', '']}, 'TARGET_INVALID'],
    [{targets: ['.*']}, 'TARGET_INVALID'],
    [{startAt: 'tomorrow'}, 'DURATION_INVALID'],
    [{key: 'short'} as never, 'BAD_REQUEST'],
    [{more: 1} as never, 'BAD_REQUEST'],
  ]
  for (const [change, code] of cases)
    expect([JSON.stringify(change), await codeOf(alice.exec(['job', 'say', 'x'], change).done)]).toEqual([JSON.stringify(change), code])
  for (const [input, code] of [
    [{durationSeconds: 3601}, 'DURATION_INVALID'],
    [{reason: '----------------'}, 'REASON_INVALID'],
    [{role: 'nothing'}, 'ROLE_NOT_FOUND'],
    [{target: 'local'}, 'USAGE'],
    [{startAt: '2099-01-01T00:00:00Z'}, 'DURATION_INVALID'],
    [{incident: 'x'}, 'INCIDENT_INVALID'],
  ] as const) {
    expect([
      input,
      await codeOf(alice.client.call(api.createRequest, {key: newKey(), role: 'jobber', reason, durationSeconds: 60, ...input})),
    ]).toEqual([input, code])
  }
  expect(await codeOf(bob.client.call(api.listGrants, {all: 'yes'} as never))).toBe('BAD_REQUEST')
})

test('TM-K3: explaining runs nothing and tells only what the policy files say', async () => {
  const bundle = await loadBundle(core.dir)
  const before = (await core.events('run.started')).length
  for (const argv of lines) explainArgv(bundle, {principal: 'alice', groups: ['engineers'], argv})
  expect(explainArgv(bundle, {principal: 'alice', groups: ['engineers'], argv: ['job', 'say', 'x'], target: 'nowhere'}).decision).toBe(
    'deny',
  )
  expect((await core.events('run.started')).length).toBe(before)
})

test('TM-I1: a reason is needed, as words that can be read, and is kept, shown to approvers and in the notices', async () => {
  const [alice, bob] = [await core.as('alice'), await core.as('bob')]
  for (const bad of [
    '',
    ' '.repeat(40),
    '\u200b'.repeat(40),
    '.'.repeat(40),
    '\u2800'.repeat(40),
    'a\u001b[2Jbcdefghijklm',
    'two\nlines of reason here',
    'x'.repeat(5000),
  ]) {
    expect(await codeOf(alice.exec(['job', 'say', 'x'], {reason: bad}).done), JSON.stringify(bad.slice(0, 20))).toBe('REASON_INVALID')
  }
  const words = '  the cache of ‮web‬ is <b>full</b> ```again```  '
  const run = alice.exec(['job', 'note', 'reason'], {reason: words, wait: false})
  const {request} = await run.message('pending')
  const {document} = await bob.client.call(api.requestDocument, {id: request})
  expect((JSON.parse(document) as {reason: string}).reason).toBe(words.trim())
  await bob.approve(request)
  const {receipt} = await alice.attach(request).done
  expect(receipt?.reason).toBe(words.trim())
  const alert = readFileSync(join(core.dir, 'alerts/a.jsonl'), 'utf8')
  expect(alert).toContain(request)
  expect(alert).not.toContain('\u202e')
})

test('TM-I2: two accounts of one person are two identities in every record, under one person id', async () => {
  const [alice, admin] = [await core.as('alice'), await core.as('alice.admin')]
  for (const who of [alice, admin]) await who.exec(['job', 'say', `by-${who.name}`]).done
  const started = (await core.events('run.started')).filter(({personal}) => String((personal.argv as string[])[2]).startsWith('by-alice'))
  expect(started.map(({by, personal}) => [by, personal.name])).toEqual([
    ['alice', 'alice'],
    ['ALICE', 'alice.admin'],
  ])
  const mine = (await alice.client.call(api.listRuns)).runs
  expect(mine.every(run => run.principal.sub === 'alice')).toBe(true)
})

test('TM-A6, TM-K3: who may know of nothing is answered alike by every door, whether it is there or not; why is in the log', async () => {
  await core.change('catalog/targets/vault.yaml', 'kind: Target\nname: vault\naddress: host:vault\nenvironment: staging\n')
  const folks = JSON.parse(readFileSync(join(core.dir, 'people.json'), 'utf8')) as object
  writeFileSync(join(core.dir, 'people.json'), JSON.stringify({...folks, visitor: {groups: ['visitors']}}))
  const nobody = await core.as('visitor')
  const told = async (work: Promise<unknown>): Promise<{code: string; message: string; hint: string | undefined}> => {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (!(error instanceof ProdError)) throw new Error('it was not refused')
    return {code: error.code, message: error.message, hint: error.hint}
  }
  const name = (there: boolean, real: string): string => (there ? real : 'ghost')
  const exec = (argv: string[], targets: string[] = []) => nobody.exec(argv, {wait: false, targets}).done
  const open = (first: Parameters<typeof stream>[1]) => stream(nobody, first).done
  const forwarded = {
    type: 'forward',
    to: [{host: 'localhost', port: 22}] as HostPort[],
    reason,
    wait: false,
    client: {version: 'test', platform: 'test'},
  } as const
  const role = (there: boolean, durationSeconds: number) =>
    nobody.client.call(api.createRequest, {key: newKey(), role: name(there, 'jobber'), reason, durationSeconds})
  const doors: ((there: boolean) => Promise<unknown>)[] = [
    there => exec([name(there, 'job'), 'note', 'x']),
    there => exec([name(there, 'job'), 'note', 'x'], ['local']),
    there => exec([name(there, 'job'), 'no-such-command']),
    there => exec([name(there, 'job'), 'say', 'x'], ['all']),
    there => open(shellMessage({target: name(there, 'vault')})),
    there => open({...forwarded, key: newKey(), target: name(there, 'vault')}),
    there => role(there, 60),
    there => role(there, 86_400),
  ]
  for (const [at, door] of doors.entries()) {
    const [there, not] = [await told(door(true)), await told(door(false))]
    expect({...there, message: there.message.replace(/job(?:ber)?|vault/g, 'ghost')}, `door ${at}`).toEqual(not)
    expect(there.code, `door ${at}`).toMatch(/^(?:TOOL|TARGET|ROLE)_NOT_FOUND$/)
  }
  const refused = (await core.events('request.refused')).filter(({by}) => by === 'visitor')
  expect(refused.filter(({data}) => data?.unseen === true && data.refused === 'DENIED').length).toBeGreaterThan(0)
  expect(refused.filter(({data}) => data?.unseen === true && data.refused === 'ARGV_REFUSED').length).toBeGreaterThan(0)
  // who may use or ask for it in any way is told the rule
  const erin = await core.as('erin')
  expect(await codeOf(erin.exec(['job', 'no-such-command'], {wait: false}).done)).toBe('ARGV_REFUSED')
})
