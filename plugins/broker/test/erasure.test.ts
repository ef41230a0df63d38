import {existsSync, readdirSync, readFileSync, statSync} from 'node:fs'
import {join} from 'node:path'
import {api} from '@prod/sdk/api'
import {storeFile, verifyFolder} from '@prod/sdk/log/folder'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {performErasures} from '../src/erasure/perform.ts'
import type {ErasureRecord} from '../src/erasure/record.ts'
import {fieldsOf, ranges, type Whom, without} from '../src/erasure/whom.ts'
import {type Core, codeOf, newKey, type Person, people, reason, startCore, until} from './core.ts'
import {event} from './store-contract.ts'
import {makeFolder, openFolder} from './store-folder.ts'

const why = 'ticket 204, as the law asks'
/** Somebody whose ids and words stand nowhere else. */
const zelda = {groups: ['engineers', 'sre-leads'], person: 'ZELDA-77', sub: 'zelda-sub-77'}
const marks = ['zelda', 'zelda-77', 'zelda-sub-77', 'her-own-words', 'her-argument']
const ends: (() => Promise<void> | void)[] = []
let core: Core
let bob: Person
let carol: Person
beforeAll(async () => {
  core = await startCore(end => ends.push(end), {files: {'people.json': JSON.stringify({...people, zelda})}})
  ;[bob, carol] = await Promise.all([core.as('bob'), core.as('carol'), core.as('alice')])
})
afterAll(async () => {
  for (const end of ends.toReversed()) await end()
})

const ask = (who: Person, what: {person?: string; things?: string[]}, because = why) =>
  who.client.call(api.askErasure, {...what, reason: because})
const agree = (who: Person, id: string, because = why) => who.client.call(api.agreeErasure, {id, reason: because})

/** Where in the broker's folder any of these words stands, in whatever file; outside it people edit theirs. */
function standsIn(words: readonly string[]): string[] {
  const found: string[] = []
  const look = (dir: string): void => {
    for (const entry of readdirSync(dir, {withFileTypes: true})) {
      const path = join(dir, entry.name)
      if (entry.isDirectory()) look(path)
      else if (entry.isFile() && statSync(path).size > 0) {
        const text = readFileSync(path, 'latin1').toLowerCase()
        for (const word of words) if (text.includes(word)) found.push(`${entry.name}: ${word}`)
      }
    }
  }
  for (const name of ['recordings', 'outputs']) look(join(core.dir, name))
  for (const name of readdirSync(core.dir).filter(one => one.startsWith(storeFile))) {
    const text = readFileSync(join(core.dir, name), 'latin1').toLowerCase()
    for (const word of words) if (text.includes(word)) found.push(`${name}: ${word}`)
  }
  return found
}

test('TM-E12: a person is erased by two others: their text stands nowhere any more, the log verifies and tells who erased how much, and when', async () => {
  const her = await core.as('zelda')
  const {receipt} = await her.exec(['job', 'say', 'her-argument'], {reason: 'her-own-words are in it'}).done
  const {id: request} = await her.client.call(api.createRequest, {
    key: newKey(),
    role: 'jobber',
    reason: 'her-own-words again',
    durationSeconds: 600,
  })
  const own = {...receipt!}
  // she approves what alice asks for, and carol looks for her
  const alice = await core.as('alice')
  const asked = await alice.client.call(api.createRequest, {key: newKey(), role: 'jobber', reason, durationSeconds: 600})
  await her.approve(asked.id)
  await codeOf(her.client.call(api.showRun, {id: 'run_00000000000000000'}))
  await carol.client.call(api.auditEntries, {text: 'ZELDA-77'})

  // what is open stays
  expect(await codeOf(ask(carol, {person: 'zelda-77'}))).toBe('STILL_OPEN')
  await her.client.call(api.cancelRequest, {id: request})
  const grant = (await alice.client.call(api.showRequest, {id: asked.id})).result as string
  await until(async () => (await alice.client.call(api.listGrants, {})).grants.some(one => one.id === grant && one.state === 'active'))
  await alice.client.call(api.revokeGrant, {id: grant})

  expect(standsIn(marks)).not.toEqual([])
  const before = await verifyFolder(core.dir)
  const {id, state} = await ask(carol, {person: 'zelda-77'})
  expect(state).toBe('asked')
  const done = await agree(bob, id)
  expect(done).toMatchObject({state: 'done', about: 'person', person: null, by: 'carol', agreedBy: 'bob'})
  expect(done.erased!.texts).toBeGreaterThan(20)
  expect(done.erased).toMatchObject({outputs: 1, recordings: 0})
  expect(standsIn(marks)).toEqual([])

  const after = await verifyFolder(core.dir)
  expect(after).toMatchObject({ok: true, erased: done.erased!.texts, erasures: [{erasure: id, texts: done.erased!.texts, by: 'bob'}]})
  expect(after.untold).toBeUndefined()
  expect(before).toMatchObject({ok: true, erased: 0})

  // others' records stand, without her; what others did is told as before
  const {entries} = await carol.client.call(api.auditEntries, {subject: asked.id, type: 'request.created'})
  expect(JSON.stringify(entries)).toContain(reason)
  expect(await codeOf(carol.client.call(api.runOutput, {id: own.run}))).not.toBe('resolved')
  expect(await codeOf(her.client.call(api.whoami))).toBe('LOGIN_EXPIRED')
  const told = (await core.events()).filter(one => one.data.erasure === id || one.subject === id).map(({type, by}) => [type, by])
  expect(told).toEqual(
    expect.arrayContaining([
      ['erasure.asked', 'carol'],
      ['erasure.agreed', 'bob'],
      ['output.erased', 'bob'],
      ['text.erased', 'bob'],
      ['erasure.done', 'bob'],
    ]),
  )
  expect(core.alarms.map(({what}) => what)).toContain('two people erase what is kept')
  // she may come back, as somebody new
  const again = await core.as('zelda', true)
  expect((await again.exec(['job', 'say', 'hello']).done).end?.exit).toEqual({status: 0})
})

test('TM-E12 TM-E10: the stored output of one run is erased: who asks for it hears when and by whom, the log keeps what ran', async () => {
  const alice = await core.as('alice')
  const run = (await alice.exec(['job', 'say', 'with customer data in it']).done).receipt!.run
  const {id} = await ask(bob, {things: [run]})
  expect(existsSync(join(core.dir, 'outputs', run))).toBe(true)
  expect(await agree(carol, id)).toMatchObject({state: 'done', things: [run], erased: {texts: 0, outputs: 1, recordings: 0, records: 0}})
  expect(existsSync(join(core.dir, 'outputs', run))).toBe(false)
  const error = await alice.client.call(api.runOutput, {id: run}).catch((thrown: Error) => thrown)
  expect(error).toMatchObject({code: 'NOT_FOUND', message: expect.stringMatching(/was erased on \d{4}-\d\d-\d\d by carol/)})
  expect(await alice.client.call(api.showRun, {id: run})).toMatchObject({argv: ['job', 'say', 'with customer data in it'], receipt: {run}})
  expect((await core.events('output.erased')).find(({subject}) => subject === run)).toMatchObject({
    by: 'carol',
    data: {erasure: id},
    personal: {with: 'bob'},
  })
  expect((await carol.client.call(api.listErasures)).erasures[0]).toMatchObject({id, state: 'done', by: 'bob', agreedBy: 'carol'})
})

test('TM-E12 TM-W1: one person alone erases nothing, nobody erases themselves, and nobody whom policy does not let', async () => {
  const alice = await core.as('alice')
  const run = (await alice.exec(['job', 'say', 'kept']).done).receipt!.run
  expect(await codeOf(ask(alice, {things: [run]}))).toBe('DENIED')
  // what is named next is not what was just refused
  await expect(alice.client.call(api.listErasures)).rejects.toMatchObject({code: 'DENIED', hint: 'prod whoami'})
  expect(await codeOf((await core.as('nobody')).client.call(api.askErasure, {things: [run], reason: why}))).toBe('DENIED')
  const {id} = await ask(carol, {things: [run]})
  expect(await codeOf(agree(carol, id))).toBe('SELF_ERASURE')
  // the owner under another account is the owner
  expect(await codeOf(agree(await core.as('alice.admin'), id))).toBe('SELF_ERASURE')
  expect(await codeOf(ask(carol, {person: 'carol'}))).toBe('SELF_ERASURE')
  expect(await codeOf(ask(await core.as('alice.admin'), {person: 'alice'}))).toBe('SELF_ERASURE')
  expect(await codeOf(ask(carol, {person: 'alice'}, 'alice asked me to do it'))).toBe('REASON_INVALID')
  expect(await codeOf(ask(carol, {person: 'no-such-person-at-all'}))).toBe('NOT_FOUND')
  expect(await codeOf(ask(carol, {person: 'alice', things: [run]}))).toBe('BAD_REQUEST')
  expect(await codeOf(ask(carol, {things: ['run_00000000000000000']}))).toBe('RUN_NOT_FOUND')
  expect(await codeOf(agree(bob, 'era_00000000000000000'))).toBe('NOT_FOUND')
  expect(existsSync(join(core.dir, 'outputs', run))).toBe(true)
  expect((await core.events('erasure.refused')).length).toBeGreaterThan(3)

  core.forward(86_400_000)
  const [later, other] = [await core.as('bob', true), await core.as('carol', true)]
  expect((await other.client.call(api.listErasures)).erasures.find(one => one.id === id)?.state).toBe('lapsed')
  expect(await codeOf(agree(later, id))).toBe('ALREADY_DECIDED')
})

const whom: Whom = {persons: ['z'], owners: ['iss#1'], subs: ['1'], names: ['Zed']}
const entry = (by: string, subject: string, personal: Record<string, unknown>) => {
  const openings = Object.fromEntries(
    Object.entries({...personal, by}).map(([name, value]) => [name, {salt: '', value: JSON.stringify(value)}]),
  )
  return {index: 0, envelope: JSON.stringify({v: 1, index: 0, time: '', instance: '', type: 't', subject, commitments: {}}), openings}
}

test('of what a person did all goes; of what others did their own words stay, and of what the broker tells what is about that person', () => {
  const theirs = new Set(['run_1'])
  expect(fieldsOf(whom, entry('Z', 'x', {reason: 'r', name: 'Zed'}), theirs).sort()).toEqual(['by', 'name', 'reason'])
  expect(fieldsOf(whom, entry('iss#1', 'x', {}), theirs)).toEqual(['by'])
  expect(fieldsOf(whom, entry('bob', 'x', {reason: 'z', argv: ['id', 'z'], name: 'Zed', person: 'z'}), theirs)).toEqual(['person'])
  expect(fieldsOf(whom, entry('broker', 'run_1', {name: 'Zed', why: 'over'}), theirs).sort()).toEqual(['name', 'why'])
  // a namesake's
  expect(fieldsOf(whom, entry('broker', 'run_2', {name: 'Zed'}), theirs)).toEqual([])
  expect(fieldsOf(whom, entry('bob', 'x', {changes: [{who: 'z'}], text: 'z'}), theirs)).toEqual(['changes', 'text'])
})

test('a record of others loses a person with their signature and words, and nothing else', () => {
  const other = {iss: 'iss', sub: '2', person: 'b', name: 'Zed'}
  const them = {iss: 'iss', sub: '1', person: 'z', name: 'Zed'}
  const gone = {iss: '', sub: 'era_1', person: '', name: '(erased)'}
  expect(
    without(whom, 'era_1', {
      principal: other,
      reason: 'z is slow',
      approvals: [
        {by: them, jws: 'x.y.z', at: 't'},
        {by: other, jws: 'a'},
      ],
    }),
  ).toEqual({
    principal: other,
    reason: 'z is slow',
    approvals: [
      {by: gone, jws: '(erased)', at: 't'},
      {by: other, jws: 'a'},
    ],
  })
  expect(ranges([1, 2, 3, 7, 9, 10])).toBe('1-3,7,9-10')
  expect(ranges([])).toBe('')
})

test('TM-E12: an erasure is one change with the record of it: neither without the other, and what is hashed stays', async () => {
  const {dir, remove} = makeFolder()
  ends.push(remove)
  const store = await openFolder(dir)
  await store.commit({events: [event('thing_1'), event('thing_2')]})
  const [first] = await store.entries({from: 0, limit: 1})
  const fields = Object.keys(first!.openings)
  const told = {...event('era_1'), type: 'text.erased', data: {erasure: 'era_1', entries: '0', texts: fields.length}}
  expect((await store.commit({expect: [{kind: 'run', id: 'run_1', version: 1}], erase: [{index: 0, fields}], events: [told]})).ok).toBe(
    false,
  )
  expect((await store.entries({from: 0, limit: 1}))[0]).toEqual(first)
  expect(
    (
      await store.commit({
        erase: [
          {index: 0, fields},
          {index: 99, fields},
        ],
        events: [told],
      })
    ).ok,
  ).toBe(true)
  expect((await store.entries({from: 0, limit: 1}))[0]).toEqual({...first, openings: {}})
  await store.close()
  expect(await verifyFolder(dir)).toMatchObject({ok: true, size: 3, erased: fields.length, erasures: [{erasure: 'era_1'}]})
})

test('a broker that died after two people agreed goes on with the erasure', async () => {
  const {dir, remove} = makeFolder()
  ends.push(remove)
  const store = await openFolder(dir)
  const principal = {iss: 'iss', sub: '1', person: 'z', name: 'Zed'}
  const others = {iss: 'iss', sub: '2', person: 'b', name: 'Bob'}
  const record: ErasureRecord = {
    id: 'era_1',
    state: 'agreed',
    person: 'z',
    about: 'person',
    things: [],
    by: {...others, person: 'c'},
    reason: why,
    askedAt: '',
    until: '',
    agreed: {by: others, at: '2026-11-22T00:00:00.000Z'},
    whom,
    doneAt: null,
    erased: {texts: 0, outputs: 0, recordings: 0, records: 0},
  }
  await store.commit({
    put: [
      {kind: 'erasure', id: 'era_1', version: 0, value: record, index: {state: 'agreed'}},
      {kind: 'request', id: 'req_1', version: 0, value: {principal, reason: 'theirs'}, index: {state: 'expired'}},
      {
        kind: 'request',
        id: 'req_2',
        version: 0,
        value: {principal: others, approvals: [{by: principal, jws: 'x'}]},
        index: {state: 'expired'},
      },
    ],
    events: [{...event('req_1'), by: 'z', personal: {reason: 'theirs'}}],
  })
  const parts = {store, config: {dir}} as never
  await Promise.all([performErasures(parts), performErasures(parts)])
  await performErasures(parts)
  expect(await store.find('request', 'req_1')).toBeUndefined()
  expect((await store.find('request', 'req_2'))?.value).toMatchObject({approvals: [{by: {name: '(erased)'}, jws: '(erased)'}]})
  expect((await store.find<ErasureRecord>('erasure', 'era_1'))?.value).toMatchObject({
    state: 'done',
    person: null,
    whom: null,
    erased: {texts: 2, records: 2},
  })
  expect((await store.entries({from: 0, limit: 9})).map(({envelope}) => (JSON.parse(envelope) as {type: string}).type).slice(1)).toEqual([
    'text.erased',
    'erasure.done',
  ])
  await store.close()
  expect(await verifyFolder(dir)).toMatchObject({ok: true, erased: 2})
})
