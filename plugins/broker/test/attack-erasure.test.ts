/** Erasing, attacked: by whom it hides, what it leaves, and what it breaks off. */
import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {api} from '@prod/sdk/api'
import {storeFile, verifyFolder} from '@prod/sdk/log/folder'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {openOf} from '../src/erasure/open.ts'
import {performErasures} from '../src/erasure/perform.ts'
import {type ErasureRecord, putErasure} from '../src/erasure/record.ts'
import type {Whom} from '../src/erasure/whom.ts'
import {putFreeze, storedFreeze} from '../src/freeze/state.ts'
import {catchUp, readAnew} from '../src/metrics/ledger.ts'
import {putRequest} from '../src/requests/create.ts'
import {putRun} from '../src/runs/record.ts'
import type {AuditEvent, Put, Store} from '../src/stores/store.ts'
import {type Core, codeOf, startCore} from './core.ts'
import {makeFolder, openFolder} from './store-folder.ts'

const why = 'ticket 204, as the law asks'
const ends: (() => Promise<void> | void)[] = []
let core: Core
beforeAll(async () => {
  core = await startCore(end => ends.push(end))
})
afterAll(async () => {
  for (const end of ends.toReversed()) await end()
})

test('TM-E12 TM-W1: nothing is erased as a person that is none: the broker, an address, a group, a word of somebody', async () => {
  const carol = await core.as('carol')
  await (await core.as('alice')).exec(['job', 'say', 'a-lonely-word'], {reason: 'a-lonely-reason'}).done
  for (const person of [
    'broker',
    'Broker',
    'BROKER',
    'nobody',
    '127.0.0.1',
    'sre-leads',
    'local',
    'job',
    'a-lonely-reason',
    'a-lonely-word',
  ])
    expect([person, await codeOf(carol.client.call(api.askErasure, {person, reason: why}))]).toEqual([person, 'NOT_FOUND'])
})

const them = {iss: 'iss', sub: 'their-sub', person: 'GÖTZ-7', name: 'Their Name'}
const other = {iss: 'iss', sub: '2', person: 'b', name: 'Bob'}
const third = {iss: 'iss', sub: '3', person: 'c', name: 'Carol'}
const whom: Whom = {persons: ['götz-7'], owners: ['iss#their-sub'], subs: ['their-sub'], names: ['Their Name']}
const agreed: ErasureRecord = {
  id: 'era_9',
  state: 'agreed',
  person: them.person,
  about: 'person',
  things: [],
  by: other,
  reason: why,
  askedAt: '2026-11-22T00:00:00.000Z',
  until: '2026-11-23T00:00:00.000Z',
  agreed: {by: third, at: '2026-11-22T00:00:00.000Z'},
  whom,
  doneAt: null,
  erased: {texts: 0, outputs: 0, recordings: 0, records: 0},
}
const told = (type: string, subject: string, by: string, personal: AuditEvent['personal'] = {}): AuditEvent => ({
  type,
  subject,
  by,
  personal,
})
const request = (id: string, state: string, more: object): Put =>
  putRequest({id, state, principal: other, expiresAt: '2026-11-22T00:00:00.000Z', ...more} as never, 0)

async function folder(): Promise<{dir: string; store: Store}> {
  const {dir, remove} = makeFolder()
  ends.push(remove)
  return {dir, store: await openFolder(dir)}
}

const erase = (store: Store, dir: string): Promise<void> => performErasures({store, config: {dir}, keys: {}} as never)
const stateOf = async (store: Store): Promise<unknown> => (await store.find<ErasureRecord>('erasure', 'era_9'))?.value.state

function allOf(dir: string): string {
  return readdirSync(dir)
    .filter(name => name.startsWith(storeFile))
    .map(name => readFileSync(join(dir, name), 'utf8'))
    .join('\n')
}

test('TM-E12: what waits to be delivered, or never was, loses them and is told all the same', async () => {
  const {dir, store} = await folder()
  const notice = {id: 'ntc_1', type: 'break-glass.started', at: '', urgency: 'alert' as const, title: 'break-glass began', target: 'web-1'}
  const rest = {risk: 'shell', digest: null, next: null}
  await store.commit({
    put: [putErasure(agreed, 0)],
    events: [
      told('session.opened', 'ses_1', them.person, {name: them.name, reason: 'their-own-words'}),
      told('request.denied', 'req_1', them.person, {name: them.name}),
    ],
    notices: [
      {channels: ['a', 'b'], notice: {...notice, ...rest, principal: them.name, subject: 'ses_1', reason: 'their-own-words'}},
      {channels: ['a'], notice: {...notice, ...rest, principal: 'Bob', subject: 'ses_2', reason: 'other words'}},
      {
        channels: ['a'],
        notice: {...notice, ...rest, title: `a request was denied by ${them.name}`, principal: 'Bob', subject: 'req_1', reason: 'his'},
      },
    ],
  })
  const [first] = await store.takeNotices(1, 60)
  await store.settleNotice(first!.id, {dead: 'refused'})
  await erase(store, dir)
  expect(await stateOf(store)).toBe('done')
  const left = (await store.takeNotices(9, 60)).map(one => one.notice)
  expect(left).toMatchObject([
    {title: 'break-glass began', target: 'web-1', subject: 'ses_1', principal: '(erased)', reason: '(erased)'},
    {title: 'break-glass began', principal: 'Bob', reason: 'other words'},
    {title: 'a request was denied by (erased)', principal: 'Bob', reason: 'his'},
  ])
  expect(await store.countNotices()).toMatchObject({dead: 1})
  await store.close()
  for (const word of ['their-own-words', 'Their Name']) expect(allOf(dir)).not.toContain(word)
})

test('TM-E12 TM-W1: who erased others is erased too; what they had asked for lapses, so that they cannot agree to it as somebody new', async () => {
  const {dir, store} = await folder()
  const mark = {erasure: 'era_1', at: '2026-11-01T00:00:00.000Z', by: them.name}
  const asked = {...agreed, state: 'asked' as const, agreed: null, whom: null, about: 'things' as const, things: ['run_1'], person: null}
  await store.commit({
    put: [
      putErasure(agreed, 0),
      putErasure({...asked, id: 'era_1', state: 'done', by: other, agreed: {by: them, at: ''}}, 0),
      putErasure({...asked, id: 'era_2', by: them, reason: 'words of theirs', until: '2999-01-01T00:00:00.000Z'}, 0),
      putRun({id: 'run_1', state: 'ended', principal: other, argv: ['x'], instance: 'test', erased: mark} as never, 0),
    ],
    events: [],
  })
  await erase(store, dir)
  expect((await store.find<ErasureRecord>('erasure', 'era_1'))?.value).toMatchObject({
    by: other,
    agreed: {by: {name: '(erased)', person: ''}},
  })
  const open = (await store.find<ErasureRecord>('erasure', 'era_2'))?.value
  expect(open).toMatchObject({by: {name: '(erased)'}, reason: '(erased)'})
  expect(open!.until <= new Date().toISOString()).toBe(true)
  expect((await store.find('run', 'run_1'))?.value).toMatchObject({argv: ['x'], erased: {erasure: 'era_1', by: '(erased)'}})
  await store.close()
  for (const word of ['Their Name', 'their-sub', 'GÖTZ-7', 'words of theirs']) expect(allOf(dir)).not.toContain(word)
})

test('TM-E12: however a record spells them they go from it, and it is found as before', async () => {
  const {dir, store} = await folder()
  await store.commit({
    put: [
      putErasure(agreed, 0),
      {kind: 'membership', id: 'grn_1', version: 0, value: {person: 'GÖTZ-7', group: 'g'}, index: {owner: 'GÖTZ-7'}},
      {kind: 'membership', id: 'grn_2', version: 0, value: {person: 'Go\u0308tz-7', group: 'g'}},
      request('req_1', 'done', {approvals: [{by: them, jws: 'x'}]}),
      request('req_2', 'denied', {approvals: [{by: {...them, sub: '9', iss: 'another'}, jws: 'x'}]}),
    ],
    events: [told('request.created', 'req_3', 'Go\u0308tz-7', {reason: 'in another form'})],
  })
  await erase(store, dir)
  expect(await store.list({kind: 'membership'})).toEqual([])
  expect((await store.list({kind: 'request', owner: 'iss#2'})).map(({id}) => id)).toEqual(['req_1', 'req_2'])
  await store.close()
  for (const word of ['GÖTZ-7', 'Go\u0308tz-7', 'in another form', 'their-sub']) expect(allOf(dir)).not.toContain(word)
})

test('TM-E12 TM-F5: who was the first of two to lift a freeze is none any more: erased and back, they would be the second too', async () => {
  const {dir, store} = await folder()
  const lift = {by: them, at: '2026-11-22T00:00:00.000Z', until: '2999-01-01T00:00:00.000Z', reason: 'r'}
  const freeze = {on: true, all: false, by: other, since: '2026-11-22T00:00:00.000Z', reason: 'stays', lift}
  await store.commit({put: [putErasure(agreed, 0), putFreeze(freeze, 0)], events: []})
  await erase(store, dir)
  expect((await storedFreeze({store}))?.value).toEqual({...freeze, lift: null})
  await store.close()
})

test('TM-E12 TM-E5: what began after the two had agreed is not broken off: it is erased once it is over', async () => {
  const {dir, store} = await folder()
  const run = {id: 'run_1', state: 'started', principal: them, argv: ['job'], reason: 'r', instance: 'test', outputChunks: 0}
  await store.commit({
    put: [
      putErasure(agreed, 0),
      putRun(run as never, 0),
      {kind: 'login', id: 'lgn_1', version: 0, value: {principal: them, revokedAt: null}},
    ],
    events: [],
  })
  await erase(store, dir)
  expect(await stateOf(store)).toBe('agreed')
  expect(await store.find('login', 'lgn_1')).toBeUndefined() // nothing more begins
  expect((await store.find('run', 'run_1'))?.value).toEqual(run)
  await store.commit({put: [putRun({...run, state: 'ended'} as never, 1)], events: []})
  await erase(store, dir)
  expect(await stateOf(store)).toBe('done')
  await store.close()
  expect(allOf(dir)).not.toContain('their-sub')
})

test('TM-E12 TM-J2: a rollout between two batches, and what a provider must still take back, are not over', async () => {
  const {store} = await folder()
  const grant = {principal: them, expiresAt: '2026-11-22T00:00:00.000Z', endedAt: null}
  const found = async (put: Put): Promise<string | undefined> => {
    await store.commit({put: [put], events: []})
    const open = await openOf({store}, whom, [])
    await store.commit({remove: [{kind: put.kind, id: put.id, version: 1}], events: []})
    return open?.what
  }
  expect(await found(request('req_1', 'started', {principal: them}))).toBe('request req_1')
  const conferral = (id: string, state: string): Put => ({
    kind: 'conferral',
    id,
    version: 0,
    value: {state, grant: {...grant, id}},
    index: {state},
  })
  expect(await found(conferral('run_1', 'open'))).toBe('conferral run_1')
  expect(await found(conferral('run_1', 'ending'))).toBe('conferral run_1')
  expect(await found(conferral('run_1', 'ended'))).toBeUndefined()
  const over = (id: string, conferred: boolean): Put => ({
    kind: 'grant',
    id,
    version: 0,
    value: {...grant, id, state: 'revoked', conferred},
    index: {state: 'revoked'},
  })
  expect(await found(over('grn_1', true))).toBe('grant grn_1')
  expect(await found(over('grn_1', false))).toBeUndefined()
  await store.close()
})

test('TM-E12 TM-E2: more texts gone than an erasure tells of are told, though it names their entries', async () => {
  const {dir, store} = await folder()
  await store.commit({events: [told('thing.done', 'x', 'z', {name: 'n', reason: 'r'}), told('thing.done', 'y', 'z', {name: 'n'})]})
  const record = (entries: string, texts: number): AuditEvent => ({
    type: 'text.erased',
    subject: 'era_1',
    by: 'b',
    data: {erasure: 'era_1', entries, texts},
  })
  await store.commit({erase: [{index: 0, fields: ['name']}], events: [record('0', 1)]})
  await store.close()
  expect((await verifyFolder(dir)).untold).toBeUndefined()
  const db = new DatabaseSync(join(dir, storeFile))
  db.exec("UPDATE entries SET openings = '{}' WHERE idx = 0")
  db.close()
  const verdict = await verifyFolder(dir)
  expect(verdict).toMatchObject({ok: true, erased: 3, untold: 2})
})

test('TM-E12: a record that somebody else writes meanwhile is erased as well, before it is said to be done', async () => {
  const {dir, store} = await folder()
  const ended = {state: 'ended', endedAt: '2026-11-22T00:00:00.000Z', outputChunks: 1}
  const run = {id: 'run_1', ...ended, principal: them, argv: ['job'], reason: 'r', instance: 'test'}
  await store.commit({
    put: [putErasure(agreed, 0), request('req_1', 'done', {principal: them, reason: 'their-own-words'}), putRun(run as never, 0)],
    events: [],
  })
  const written = new Set<string>()
  const busy: Store = {
    ...store,
    async commit(change) {
      for (const {kind, id} of [...(change.put ?? []), ...(change.remove ?? [])]) {
        const found = kind === 'request' || kind === 'run' ? await store.find<object>(kind, id) : undefined
        if (!found || written.has(id)) continue
        written.add(id)
        const {value, version} = found
        await store.commit({put: [kind === 'run' ? putRun(value as never, version) : {...request(id, 'done', value), version}], events: []})
      }
      return store.commit(change)
    },
  }
  await erase(busy, dir)
  expect([...written].sort()).toEqual(['req_1', 'run_1'])
  expect(await stateOf(store)).toBe('done')
  expect(await store.find('request', 'req_1')).toBeUndefined()
  expect((await store.find('run', 'run_1'))?.value).toMatchObject({argv: [], erased: {erasure: 'era_9'}})
  await store.close()
  for (const word of ['their-own-words', 'their-sub']) expect(allOf(dir)).not.toContain(word)
})

test('TM-E12: figures that were being read while texts were erased are not kept', async () => {
  const {store} = await folder()
  const events = Array.from({length: 10_000}, (_, n) => told('run.started', `run_${n}`, 'their-person-id', {groups: ['their-group']}))
  await store.commit({events})
  let isRead: () => void = () => {}
  const reading = new Promise<void>(resolve => {
    isRead = resolve
  })
  let goOn: () => void = () => {}
  const waits = new Promise<void>(resolve => {
    goOn = resolve
  })
  const slow: Store = {
    ...store,
    entries: async query => {
      const page = await store.entries(query)
      isRead()
      await waits
      return page
    },
  }
  const figures = catchUp(slow)
  await reading
  const forgotten = readAnew(slow)
  goOn()
  await forgotten
  // what was being read has been written by now, so that what is removed after this stays away
  expect(await store.list({kind: 'facts'})).toHaveLength(1)
  await figures
  await store.close()
})
