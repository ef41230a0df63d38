import type {ApprovalDocument} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Core, codeOf, type Person, running, until} from './core.ts'
import {fleetFiles, followMany, startFleet} from './many.ts'

const ends: (() => Promise<void> | void)[] = []
let core: Core
let alice: Person
let bob: Person
beforeAll(async () => {
  core = await startFleet(end => ends.push(end))
  ;[alice, bob] = await Promise.all([core.as('alice'), core.as('bob')])
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

const many = (argv: string[], targets: string[], who = alice) => followMany(who, who.exec(argv, {targets}))
const documentOf = async (id: string) => JSON.parse((await bob.client.call(api.requestDocument, {id})).document) as ApprovalDocument
const startsOf = async (request: string) => (await core.events('run.started')).filter(({data}) => data.request === request)

test('TM-F2: selectors choose by name, by label and by the word all; nothing else, and never nothing', async () => {
  const chosen = async (...on: string[]) => {
    const run = many(['fleet', 'say', 'x'], on)
    await run.over
    return [...run.states.keys()].join(' ')
  }
  expect(await chosen('w3', 'w1')).toBe('w1 w3')
  expect(await chosen('rack=a')).toBe('w1 w3 w5')
  expect(await chosen('rack=a,environment=production')).toBe('w1 w3')
  expect(await chosen('environment=staging', 'w1', 'w1')).toBe('w1 w5 w6')
  expect(await chosen('all')).toBe('w1 w2 w3 w4 w5 w6')
  const refused: [string[], string][] = [
    [[''], 'TARGET_INVALID'],
    [['w1', ''], 'TARGET_INVALID'],
    [['.*'], 'TARGET_INVALID'],
    [['*'], 'TARGET_INVALID'],
    [['w1', 'w[2-4]'], 'TARGET_INVALID'],
    [['rack=.*'], 'TARGET_INVALID'],
    [['rack='], 'TARGET_INVALID'],
    [['=a'], 'TARGET_INVALID'],
    [['rack=a,'], 'TARGET_INVALID'],
    [['rack=a,rack=b'], 'TARGET_INVALID'],
    [['row=7'], 'TARGET_INVALID'],
    [['__proto__=x'], 'TARGET_INVALID'],
    [['rack=z'], 'TARGET_NOT_FOUND'],
    [['ALL'], 'TARGET_NOT_FOUND'],
    [['all', 'w9'], 'TARGET_NOT_FOUND'],
    [['local', 'w1'], 'TARGET_NOT_FOUND'],
  ]
  for (const [on, code] of refused) expect([on, await codeOf(alice.exec(['fleet', 'say', 'x'], {targets: on}).done)]).toEqual([on, code])
})

test('no target is called all', async () => {
  const text = 'kind: Target\nname: all\naddress: host:all\nenvironment: staging\n'
  await core.change('catalog/targets/every.yaml', text, 'bundle.refused')
  await core.change('catalog/targets/every.yaml', text.replace('name: all', 'name: every'))
})

test('TM-F2: a command runs on no more targets, and no larger share of them, than its definition says', async () => {
  const code = (argv: string[], ...on: string[]) => codeOf(alice.exec(argv, {targets: on, wait: false}).done)
  expect(await code(['fleet', 'note', 'x'], 'all')).toBe('LIMIT_REACHED') // 5 of 6
  expect(await code(['fleet', 'wait', 'x'], 'environment=production')).toBe('LIMIT_REACHED') // half of 6
  expect(await code(['fleet', 'stubborn'], 'w1', 'w2')).toBe('LIMIT_REACHED') // a change that says nothing: one
  expect(await code(['fleet', 'cat'], 'w1', 'w2')).toBe('STDIN_REFUSED')
  // denied on one of them is denied
  expect(await code(['fleet', 'note', 'x'], 'w5', 'w6')).toBe('DENIED')
})

test('TM-F2: what was chosen when it was asked for is what people approve and what runs, whatever the selector matches later', async () => {
  const asked = alice.exec(['fleet', 'wait', 'fixed'], {targets: ['rack=a'], wait: false})
  const {request} = await asked.message('pending')
  const document = await documentOf(request)
  expect(document.targets.map(({name}) => name)).toEqual(['w1', 'w3', 'w5'])
  expect(document.rollout).toEqual({on: ['rack=a'], batch: 2, pauseSeconds: 0, stopOnError: true})
  expect((await alice.client.call(api.showRequest, {id: request})).summary).toBe(
    'fleet wait fixed on 3 targets (production, staging): w1, w3, w5',
  )
  await bob.approve(request)
  // now w2 is in rack a too
  const w2 = (fleetFiles(core.dir)['catalog/targets/w2.yaml'] as string).replace('rack: b', 'rack: a')
  await core.change('catalog/targets/w2.yaml', w2)
  const run = followMany(alice, alice.attach(request))
  await until(() => [...run.states.values()].filter(({state}) => state === 'running').length === 2)
  expect(run.states.get('w5')?.state).toBe('waiting')
  const {writeFileSync} = await import('node:fs')
  writeFileSync(`${core.dir}/jobs/go-fixed`, '')
  const {outputs, endedBy} = await run.over
  expect(endedBy).toBeNull()
  expect(Object.fromEntries(outputs)).toEqual({w1: 'waiting\ngone fixed\n', w3: 'waiting\ngone fixed\n', w5: 'waiting\ngone fixed\n'})
  const started = (await startsOf(request)).map(({data}) => data.target)
  // two at a time: the first two in either order
  expect([new Set(started.slice(0, 2)), started.slice(2)]).toEqual([new Set(['w1', 'w3']), ['w5']])
  expect((await alice.client.call(api.showRequest, {id: request})).state).toBe('done')
  // used is used
  const again = followMany(alice, alice.attach(request))
  expect((await again.over).endedBy).toBeNull()
  expect([...again.states.values()].map(({exit}) => exit)).toEqual([{status: 0}, {status: 0}, {status: 0}])
  expect(await startsOf(request)).toHaveLength(3)
  const receipts = await Promise.all([...run.runs.values()].map(async one => (await one.done).receipt?.target))
  expect(new Set(receipts)).toEqual(new Set(['host:w1', 'host:w3', 'host:w5']))
})

test('a target that fails stops what has not begun, unless the definition says to go on', async () => {
  const run = many(['fleet', 'fail', '3'], ['rack=a,environment=production', 'w2'])
  const {endedBy} = await run.over
  expect([...run.states.values()].map(({target, state, exit}) => [target, state, exit])).toEqual([
    ['w1', 'ended', {status: 3}],
    ['w2', 'left', null],
    ['w3', 'left', null],
  ])
  expect(endedBy).toBe('a target failed')
  expect((await core.events('rollout.ended')).at(-1)?.data).toEqual({endedBy: 'a target failed', ended: 1, refused: 0, left: 2})
})

test('batches wait for one another and pause; reads of one batch run side by side, each under its own name', async () => {
  const run = many(['fleet', 'both', '1000'], ['all'])
  const order: string[] = []
  run.control.onMessage(message => {
    if (message.type === 'rollout') for (const {target, state} of message.targets) order.push(`${target} ${state}`)
  })
  await run.over
  const at = (name: string) => order.indexOf(name)
  for (const first of ['w1', 'w2', 'w3'])
    for (const second of ['w4', 'w5', 'w6']) expect(at(`${first} ended`)).toBeLessThan(at(`${second} running`))
  const starts = (await core.events('run.started')).slice(-6).map(event => Date.parse(event.at))
  expect((starts[3] as number) - (starts[2] as number)).toBeGreaterThanOrEqual(1000)
})

test('cancelling ends what runs and begins nothing more', async () => {
  const asked = alice.exec(['fleet', 'wait', 'cancelled'], {targets: ['w1', 'w2', 'w3']})
  const {request} = await asked.message('waiting')
  await bob.approve(request)
  const run = followMany(alice, asked)
  await until(() => [...run.states.values()].filter(({state}) => state === 'running').length === 2)
  await until(() => running(`${core.dir}/jobs/waiter-cancelled`) === 2)
  ;(await asked.connection).send({type: 'cancel'})
  expect((await run.over).endedBy).toBe('cancelled')
  expect([...run.states.values()].map(({state, endedBy}) => [state, endedBy])).toEqual([
    ['ended', 'cancelled'],
    ['ended', 'cancelled'],
    ['left', null],
  ])
  expect(running(`${core.dir}/jobs/waiter-cancelled`)).toBe(0)
})

test('a cut link is taken up again: nothing runs twice and nothing is lost', async () => {
  const asked = alice.exec(['fleet', 'wait', 'cut'], {targets: ['w1', 'w2', 'w3']})
  const {request} = await asked.message('waiting')
  await bob.approve(request)
  const first = followMany(alice, asked)
  await until(() => [...first.states.values()].filter(({state}) => state === 'running').length === 2)
  for (const one of [asked, ...first.runs.values()]) (await one.connection).close()
  const run = followMany(alice, alice.attach(request))
  await until(() => run.runs.size === 2)
  const {writeFileSync} = await import('node:fs')
  writeFileSync(`${core.dir}/jobs/go-cut`, '')
  const {outputs} = await run.over
  expect([...outputs.keys()].sort()).toEqual(['w1', 'w2', 'w3'])
  expect([...run.states.values()].map(({exit}) => exit)).toEqual([{status: 0}, {status: 0}, {status: 0}])
  expect(await startsOf(request)).toHaveLength(3)
})

test('TM-F5: a freeze, and a right that is lost, stop the targets that have not begun', async () => {
  const asked = alice.exec(['fleet', 'note', 'frozen', '0.5'], {targets: ['w1', 'w2', 'w3', 'w4']})
  const run = followMany(alice, asked)
  await until(() => run.states.get('w1')?.state === 'running' && run.states.get('w2')?.state === 'running')
  await bob.client.call(api.freeze, {reason: 'stop it all now'})
  await run.over
  expect([...run.states.values()].map(({state, error}) => [state, error?.code])).toEqual([
    ['ended', undefined],
    ['ended', undefined],
    ['refused', 'FROZEN'],
    ['refused', 'FROZEN'],
  ])
  await bob.client.call(api.liftFreeze, {reason: 'it is over now'})
  await (await core.as('carol')).client.call(api.liftFreeze, {reason: 'it is over now'})
})
