import {api} from '@prod/sdk/api'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Core, codeOf, newKey, notes, type Person, reason, startCore, until} from './core.ts'

const ends: (() => Promise<void> | void)[] = []
let core: Core
let alice: Person
let bob: Person
let carol: Person
beforeAll(async () => {
  core = await startCore(end => ends.push(end), {demo: true})
  ;[alice, bob, carol] = await Promise.all([core.as('alice'), core.as('bob'), core.as('carol')])
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

const freeze = (who: Person, all = false) => who.client.call(api.freeze, {reason: 'payments lose money', ...(all ? {all} : {})})
const lift = (who: Person) => who.client.call(api.liftFreeze, {reason: 'the cause is found'})
const shown = async () => (await alice.client.call(api.showFreeze)).freeze
async function thaw(): Promise<void> {
  await lift(bob)
  await lift(carol)
}

test('TM-F5: one person freezes, two lift: the same one twice does not, nor one whom policy does not know', async () => {
  expect(await shown()).toBeNull()
  const {freeze: set} = await freeze(alice)
  expect(set).toMatchObject({all: false, by: 'alice', reason: 'payments lose money', lift: null})
  expect((await alice.client.call(api.whoami)).freeze).toMatchObject({by: 'alice'})
  expect((await alice.client.call(api.doctor)).checks.find(({name}) => name === 'freeze')).toMatchObject({ok: false})

  expect(await codeOf(alice.exec(['now', 'note', 'frozen']).done)).toBe('FROZEN')
  expect(await codeOf(alice.exec(['job', 'note', 'frozen'], {wait: false}).done)).toBe('FROZEN')
  expect((await alice.exec(['job', 'say', 'reads go on']).done).end?.exit).toEqual({status: 0})

  expect(await codeOf(lift(alice))).toBe('DENIED')
  const nobody = await core.as('nobody')
  expect(await codeOf(lift(nobody))).toBe('DENIED')
  expect((await lift(bob)).freeze?.lift).toMatchObject({by: 'bob'})
  expect(await codeOf(lift(bob))).toBe('ALREADY_DECIDED')
  expect(await codeOf(alice.exec(['now', 'note', 'frozen']).done)).toBe('FROZEN')
  expect((await lift(carol)).freeze).toBeNull()
  expect((await alice.exec(['now', 'note', 'thawed']).done).end?.exit).toEqual({status: 0})
  expect(notes(core.dir)).not.toContain('begin frozen')

  const told = (await core.events()).filter(({type}) => type.startsWith('freeze.')).map(({type, by}) => [type, by])
  expect(told).toEqual([
    ['freeze.set', 'alice'],
    ['freeze.refused', 'alice'],
    ['freeze.refused', expect.any(String)],
    ['freeze.lift-asked', 'bob'],
    ['freeze.lifted', 'carol'],
  ])
  expect(core.alarms.map(({what}) => what)).toEqual(expect.arrayContaining(['production is frozen', 'production is no longer frozen']))
})

test('TM-F5: a freeze in the midst of fifty starts: none is recorded after its answer', async () => {
  for (let round = 0; round < 3; round++) {
    const codes: Promise<string>[] = []
    const firing = (async () => {
      for (let at = 0; at < 50; at++) {
        codes.push(codeOf(alice.exec([at % 2 ? 'now' : 'web', ...(at % 2 ? ['note', `r${round}-${at}`, '0'] : ['status'])]).done))
        if (at % 5 === 0) await new Promise(resolve => setTimeout(resolve, 2))
      }
    })()
    await new Promise(resolve => setTimeout(resolve, 10 + round * 30))
    await freeze(bob)
    const answered = (await core.events('freeze.set')).length
    const before = (await core.events('run.started')).filter(({data}) => data.class !== 'read').length
    await firing
    const ended = await Promise.all(codes)
    const after = (await core.events('run.started')).filter(({data}) => data.class !== 'read').length
    expect(after).toBe(before)
    expect(answered).toBe(round + 2)
    expect(ended.filter(code => code !== 'none' && code !== 'FROZEN')).toEqual([])
    expect(ended.filter((code, at) => at % 2 === 0 && code !== 'none')).toEqual([])
    await thaw()
  }
}, 240_000)

test('a freeze that changes nothing is recorded, alarms nobody and says so; one that widens it, or takes back a lift, alarms', async () => {
  const told = () => core.alarms.filter(({what}) => what === 'production is frozen').length
  const recorded = async () => (await core.events('freeze.set')).length
  const [alarms, events] = [told(), await recorded()]
  expect((await freeze(alice)).again).toBe(false)
  expect(await freeze(bob)).toMatchObject({again: true, freeze: {by: 'alice'}})
  expect([told() - alarms, (await recorded()) - events]).toEqual([1, 2])
  expect((await freeze(bob, true)).again).toBe(false)
  await lift(bob)
  expect((await freeze(carol)).again).toBe(false)
  expect([told() - alarms, (await recorded()) - events]).toEqual([3, 4])
  await thaw()
})

test('freeze --all stops reads too; break-glass goes through and says so', async () => {
  await freeze(alice, true)
  expect(await codeOf(alice.exec(['job', 'say', 'no']).done)).toBe('FROZEN')
  const {openStream} = await import('@prod/sdk/stream-client')
  const stream = await openStream({
    broker: alice.session.broker,
    session: alice.session,
    first: {
      type: 'shell',
      key: newKey(),
      target: 'local',
      reason: 'the emergency itself',
      incident: 'INC-7',
      size: {columns: 80, rows: 24},
      term: 'xterm',
      confirmed: 'local',
      wait: true,
      client: {version: 'test', platform: 'test'},
    },
  })
  const notices: string[] = []
  for await (const event of stream) {
    if (event.type === 'message' && event.message.type === 'notice') notices.push(event.message.text)
    if (event.type === 'message' && event.message.type === 'started') stream.send({type: 'cancel'})
    if (event.type === 'output') stream.wrote(event.stream as 'stdout', event.bytes.byteLength)
    if (event.type === 'end') break
  }
  stream.close()
  expect(notices.join('\n')).toContain('through a freeze: production is frozen by alice')
  await until(async () => (await core.events('session.opened')).some(({data}) => data.frozen === true))
  await thaw()
})

test('an approved request outlives a freeze, a role waits for its end, and a second freeze takes back a lift that was begun', async () => {
  const {request} = await alice.exec(['job', 'note', 'kept'], {wait: false}).message('pending')
  await bob.approve(request)
  const {id} = await alice.client.call(api.createRequest, {key: newKey(), role: 'web-operator', reason, durationSeconds: 600})
  await freeze(carol)
  await bob.approve(id)
  expect(await codeOf(alice.attach(request).done)).toBe('FROZEN')
  expect((await alice.client.call(api.showRequest, {id: request})).state).toBe('approved')

  await lift(bob)
  expect((await freeze(alice)).freeze).toMatchObject({by: 'carol', lift: null})
  expect((await lift(carol)).freeze).not.toBeNull()
  core.forward(901_000) // the first of the two waits 15 minutes
  const [dan, eve] = [await core.as('bob', true), await core.as('carol', true)]
  expect((await lift(dan)).freeze?.lift).toMatchObject({by: 'bob'})
  expect((await alice.client.call(api.listGrants, {})).grants.filter(({state}) => state === 'active')).toEqual([])
  expect((await lift(eve)).freeze).toBeNull()
})
