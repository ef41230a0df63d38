import {chmodSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {api} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {startBroker} from '../src/main.ts'
import {type Core, codeOf, newKey, notes, type Person, reason, running, startCore, until} from './core.ts'

const ends: (() => Promise<void> | void)[] = []
let core: Core
let alice: Person
let bob: Person
beforeAll(async () => {
  core = await startCore(end => ends.push(end), {demo: true})
  ;[alice, bob] = await Promise.all([core.as('alice'), core.as('bob')])
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

const show = async (id: string) => alice.client.call(api.showRequest, {id})
const started = async (request: string) => (await core.events('run.started')).filter(({data}) => data.request === request).length

test('TM-N1: fifty starts at once on one target, under two names of it, run one at a time and in their order', async () => {
  const runs = []
  for (let at = 0; at < 50; at++) {
    const argv = at % 5 === 4 ? ['job', 'note', `n${at}`, '0'] : ['now', 'note', `n${at}`, '0']
    const run = alice.exec(argv, argv[0] === 'job' ? {targets: ['other']} : {})
    if (argv[0] === 'job') void run.message('waiting').then(({request}) => bob.approve(request))
    // in line before the next one asks
    await Promise.race([run.message('queued'), run.message('started')])
    runs.push(run)
  }
  for (const run of runs) expect((await run.done).end).toMatchObject({exit: {status: 0}})
  expect(notes(core.dir)).toEqual(Array.from({length: 50}, (_, at) => [`begin n${at}`, `end n${at}`]).flat())
}, 240_000)

test('TM-N2: fifty uses of one approval at once make exactly one run, and all see the same one', async () => {
  const asked = alice.exec(['job', 'note', 'once', '0.3'], {wait: false})
  const {request} = await asked.message('pending')
  await bob.approve(request)
  const uses = Array.from({length: 50}, () => alice.attach(request))
  const ids = await Promise.all(uses.map(async use => (await use.message('started')).id))
  expect(new Set(ids).size).toBe(1)
  await Promise.allSettled(uses.map(({done}) => done))
  expect(await started(request)).toBe(1)
  expect(notes(core.dir).filter(line => line === 'begin once')).toHaveLength(1)
  await until(async () => (await show(request)).state === 'done')
  // used is used: later it is shown, not run
  expect((await alice.attach(request).done).end).toMatchObject({id: ids[0], exit: {status: 0}})
  expect(await started(request)).toBe(1)
})

test('TM-N3: one key is one request for one person, with one body, for 24 hours', async () => {
  const key = newKey()
  const twice = [alice.exec(['now', 'note', 'keyed'], {key}), alice.exec(['now', 'note', 'keyed'], {key})]
  const ids = await Promise.all(twice.map(async run => (await run.message('started')).request))
  expect(ids[0]).toBe(ids[1])
  await Promise.allSettled(twice.map(({done}) => done))
  expect(notes(core.dir).filter(line => line === 'begin keyed')).toHaveLength(1)
  expect((await alice.exec(['now', 'note', 'keyed'], {key}).done).end?.exit).toEqual({status: 0})
  expect(notes(core.dir).filter(line => line === 'begin keyed')).toHaveLength(1)
  for (const other of [{argv: ['now', 'note', 'other']}, {reason: 'quite another reason'}]) {
    expect(await codeOf(alice.exec(['now', 'note', 'keyed'], {key, ...other}).done)).toBe('IDEMPOTENCY_CONFLICT')
  }
  const erin = await (await core.as('erin')).exec(['now', 'note', 'keyed'], {key}).done
  expect(erin.receipt?.request).not.toBe(ids[0])

  const role = {key, role: 'web-operator', reason, durationSeconds: 60}
  const [one, two] = await Promise.all([alice.client.call(api.createRequest, role), alice.client.call(api.createRequest, role)])
  expect(one.id).toBe(two.id)
  expect(await codeOf(alice.client.call(api.createRequest, {...role, durationSeconds: 61}))).toBe('IDEMPOTENCY_CONFLICT')
})

test('two approvers at once, and approve and cancel and deny at once: one outcome, told once', async () => {
  const dave = await core.as('dave')
  for (let round = 0; round < 10; round++) {
    const {request} = await alice.exec(['job', 'note', `race${round}`], {wait: false}).message('pending')
    const codes = await Promise.all([
      codeOf(bob.approve(request)),
      codeOf(dave.approve(request)),
      codeOf(
        round % 2 === 0
          ? alice.client.call(api.cancelRequest, {id: request})
          : dave.client.call(api.denyRequest, {id: request, note: 'not now'}),
      ),
    ])
    const {state} = await show(request)
    const decisions = (await core.events())
      .filter(({subject, type}) => subject === request && /^request\.(approved|cancelled|denied)$/.test(type))
      .map(({type}) => type)
    // a cancel may come after the yes; nothing comes after a cancel or a no
    expect(decisions.length - (state === 'cancelled' && decisions[0] === 'request.approved' ? 1 : 0)).toBe(1)
    expect(decisions.at(-1)).toBe(`request.${state}`)
    expect(codes.filter(code => code === 'none').length).toBe(decisions.length)
    if (state !== 'approved')
      expect(await codeOf(alice.attach(request).done)).toBe(state === 'denied' ? 'REQUEST_DENIED' : 'REQUEST_CANCELLED')
    else await alice.attach(request).done
  }
})

test('TM-N4: denied, cancelled and expired requests never become approved', async () => {
  const {request} = await alice.exec(['job', 'note', 'never'], {wait: false}).message('pending')
  await bob.client.call(api.denyRequest, {id: request, note: 'no'})
  expect(await codeOf((await core.as('dave')).approve(request))).toBe('REQUEST_DENIED')
  expect(await codeOf(alice.client.call(api.cancelRequest, {id: request}))).toBe('REQUEST_DENIED')
  const other = (await alice.exec(['job', 'note', 'never'], {wait: false}).message('pending')).request
  await alice.client.call(api.cancelRequest, {id: other})
  expect(await codeOf(bob.approve(other))).toBe('REQUEST_CANCELLED')
  expect(notes(core.dir)).not.toContain('begin never')
})

/** A right to `web` for somebody, approved and active. */
async function grantTo(person: Person): Promise<string> {
  const {id} = await person.client.call(api.createRequest, {key: newKey(), role: 'web-operator', reason, durationSeconds: 600})
  await bob.approve(id)
  const grant = (await show2(person, id)).result as string
  await until(async () => (await person.client.call(api.listGrants, {})).grants.some(one => one.id === grant && one.state === 'active'))
  return grant
}
const show2 = async (person: Person, id: string) => person.client.call(api.showRequest, {id})

test('TM-N4: after a revoke has been answered nothing starts, however the uses are spread around it', async () => {
  const erin = await core.as('erin')
  let [before, after] = [0, 0]
  for (let round = 0; round < 8; round++) {
    const grant = await grantTo(erin)
    const uses: Promise<string>[] = []
    let answered = Number.POSITIVE_INFINITY
    const first = erin.exec(['web', 'start'], {key: newKey()})
    await first.message('started')
    const firing = (async () => {
      for (let at = 0; at < 12; at++) {
        uses.push(codeOf(erin.exec(['web', 'start'], {key: newKey()}).done))
        await new Promise(resolve => setTimeout(resolve, 3))
      }
    })()
    await new Promise(resolve => setTimeout(resolve, round * 4))
    await bob.client.call(api.revokeGrant, {id: grant})
    answered = Date.parse((await core.events('grant.revoked')).at(-1)?.at ?? '')
    await firing
    await Promise.all(uses)
    const starts = (await core.events('run.started')).filter(
      ({by, data, at}) => by === 'erin' && data.tool === 'web' && Date.parse(at) > answered,
    )
    after += starts.length
    before += (await core.events('run.started')).filter(({by, data}) => by === 'erin' && data.tool === 'web').length
    expect(await codeOf(erin.exec(['web', 'start'], {wait: false}).done)).toBe('DENIED')
  }
  expect(before).toBeGreaterThan(0)
  expect(after).toBe(0)
}, 240_000)

test('TM-N4: what runs on a right ends within five seconds of its revocation', async () => {
  const erin = await core.as('erin')
  await core.change(
    'policy/global/erin.cedar',
    '@id("erin-waits") permit (principal in Group::"web-operators", action == Action::"run", resource is job::wait);\n',
  )
  const grant = await grantTo(erin)
  const run = erin.exec(['job', 'wait', 'erin'])
  await until(() => run.so.stdout.includes('waiting'))
  const at = Date.now()
  const {endedRuns} = await erin.client.call(api.revokeGrant, {id: grant})
  expect(endedRuns).toBe(1)
  const {end} = await run.done
  expect(Date.now() - at).toBeLessThan(5000)
  expect(end?.endedBy).toContain('revoked')
  expect(running(`${core.dir}/jobs/waiter-erin`)).toBe(0)
  // a role that was granted is handed back, not cancelled
  const next = await erin.client.call(api.createRequest, {key: newKey(), role: 'web-operator', reason, durationSeconds: 600})
  await bob.approve(next.id)
  expect(await codeOf(erin.client.call(api.cancelRequest, {id: next.id}))).toBe('ALREADY_DECIDED')
})

test('a grant that waits for its time begins only if it would be approved then', async () => {
  const erin = await core.as('erin')
  const startAt = new Date(Date.now() + 3000).toISOString()
  const {id} = await erin.client.call(api.createRequest, {key: newKey(), role: 'jobber', reason, durationSeconds: 60, startAt})
  await bob.approve(id)
  await core.change(
    'policy/global/freeze.cedar',
    '@id("freeze") forbid (principal, action == Action::"assume", resource == Role::"jobber");\n',
  )
  const grant = (await show2(erin, id)).result as string
  await until(async () => (await erin.client.call(api.listGrants, {})).grants.find(one => one.id === grant)?.state === 'revoked')
  expect((await erin.client.call(api.whoami)).groups).not.toContain('jobbers')
  await core.change('policy/global/freeze.cedar', '// over\n')
})

test('TM-N8: a second broker on the same file does not start', async () => {
  const fault = await startBroker({development: true, dir: core.dir, port: 0, alarm: () => {}}).then(
    broker => broker.stop(),
    (error: unknown) => error,
  )
  expect(fault).toBeInstanceOf(ProdError)
  expect(fault).toMatchObject({code: 'STORE_IN_USE'})
  expect((await alice.client.call(api.whoami)).groups).toEqual(['engineers'])
})

test('a policy with a fault is refused and told, and the old one goes on', async () => {
  await core.change(
    'policy/global/typo.cedar',
    'permit (principal in Group::"engineers", action == Action::"run", resource is job::notte);\n',
    'bundle.refused',
  )
  expect(core.alarms.map(({what}) => what)).toContain('a changed bundle was refused; the old one stays')
  expect((await alice.exec(['now', 'note', 'typo']).done).end?.exit).toEqual({status: 0})
  await core.change('policy/global/typo.cedar', '// mended\n')
})

test('a program that is missing, open to others or a link is TOOL_UNAVAILABLE, and nothing is left held', async () => {
  await core.change(
    'catalog/tools/gone.yaml',
    `kind: Tool\nname: gone\nsummary: not there\nprogram: ${core.dir}/bin/gone\nrun: { primitive: host, target: local }\ncommands:\n  - { path: [], class: change }\n`,
  )
  await core.change(
    'policy/global/gone.cedar',
    'permit (principal in Group::"engineers", action == Action::"run", resource in Tool::"gone");\n',
  )
  expect(await codeOf(alice.exec(['gone']).done)).toBe('TOOL_UNAVAILABLE')
  writeFileSync(join(core.dir, 'bin/gone'), '#!/bin/sh\necho here\n', {mode: 0o777})
  chmodSync(join(core.dir, 'bin/gone'), 0o777)
  expect(await codeOf(alice.exec(['gone']).done)).toBe('TOOL_UNAVAILABLE')
  chmodSync(join(core.dir, 'bin/gone'), 0o755)
  expect((await alice.exec(['gone']).done).stdout.toString()).toBe('here\n')
})
