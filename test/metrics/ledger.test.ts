/** What each ten thousand entries told the figures, kept beside the log. */
import {openEntry} from '@prod/sdk/log/envelope'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {addEvent, newFacts} from '../../plugins/broker/src/metrics/facts.ts'
import {type Counters, catchUp} from '../../plugins/broker/src/metrics/ledger.ts'
import {makeReport} from '../../plugins/broker/src/metrics/report.ts'
import {pack, toldOf, unpack} from '../../plugins/broker/src/metrics/told.ts'
import type {Store} from '../../plugins/broker/src/stores/store.ts'
import {makeFolder, openFolder} from '../../plugins/broker/test/store-folder.ts'
import {makeHistory} from './history.ts'

const day = 86_400_000
const from = Date.UTC(2026, 0, 5)
const until = from + 60 * day
const history = makeHistory({seed: 5, from, days: 60, people: 160, teams: 4, services: 5, perWeek: 5}).slice(0, 20_300)
const {dir, remove} = makeFolder()
let now = new Date(from)
let store: Store

beforeAll(async () => {
  store = await openFolder(dir, () => now)
  for (let at = 0; at < history.length; at += 500) {
    now = new Date((history[at] as {at: number}).at)
    await store.commit({events: history.slice(at, at + 500).map(({at: _, ...event}) => event)})
  }
  now = new Date(until)
})
afterAll(async () => {
  await store.close()
  remove()
})

/** A broker that has just started on this store, and how many entries it reads. */
function started() {
  const reads = {entries: 0}
  const one = {
    ...store,
    entries: async (query: Parameters<Store['entries']>[0]) => {
      const rows = await store.entries(query)
      reads.entries += rows.length
      return rows
    },
  }
  return {one, reads}
}
const options = {since: new Date(from), until: new Date(until), teams: [], minPeople: 1, reviewHours: 72}
const countersOf = (counters: Counters) =>
  JSON.stringify(counters, (_, value: unknown) =>
    value instanceof Map ? [...(value as Map<string, number>)].map(([name, times]) => `${name} ${times}`).sort() : value,
  )
async function allOf(one: Store) {
  const {facts, counters} = await catchUp(one)
  return {report: makeReport(facts, options), counters: countersOf(counters)}
}
async function entriesOfAll() {
  const all = []
  for (let at = 0; at < history.length; at += 1000) all.push(...(await store.entries({from: at, limit: 1000})))
  return all
}

test('what events told is the same after it was kept as columns', async () => {
  const told = (await entriesOfAll()).flatMap(entry => toldOf(openEntry(entry)) ?? [])
  expect(told.length).toBe(history.length)
  const columns = JSON.parse(JSON.stringify(pack(told)))
  expect([...unpack(columns)]).toEqual(told)
})

test('a start reads what is kept, and of the log what came after; every figure and counter is the one that is counted from the log alone', async () => {
  const facts = newFacts()
  for (const entry of await entriesOfAll()) addEvent(facts, openEntry(entry))
  const counted = makeReport(facts, options)
  const first = started()
  const whole = await allOf(first.one)
  expect(whole.report).toEqual(counted)
  // each once, and the last of each chunk
  expect(first.reads.entries).toBe(20_302)
  expect((await store.list({kind: 'facts'})).map(({id}) => id)).toEqual(['to-10000', 'to-20000'])
  const again = started()
  expect(await allOf(again.one)).toEqual(whole)
  // 300 that are in no whole chunk, and the last of each chunk
  expect(again.reads.entries).toBe(302)
  // nothing is read twice
  await allOf(again.one)
  expect(again.reads.entries).toBe(302)
})

test('a chunk that fills up while the broker serves is read as it is then: what was erased in between is not kept', async () => {
  const whole = await allOf(started().one)
  const kept = await store.find<{columns: unknown}>('facts', 'to-10000')
  for (const {kind, id, version} of await store.list({kind: 'facts'})) await store.commit({remove: [{kind, id, version}], events: []})
  const {one} = started()
  let size = 5000
  const growing = {...one, logSize: async () => size}
  await catchUp(growing)
  expect(await store.list({kind: 'facts'})).toEqual([])
  size = await store.logSize()
  expect(await allOf(growing)).toEqual(whole)
  expect((await store.find<object>('facts', 'to-10000'))?.value).toEqual(kept?.value)
})

test('what is kept of other entries, or in another form, is made anew', async () => {
  const whole = await allOf(started().one)
  for (const bad of [{last: 'of another log'}, {form: 0}]) {
    const kept = await store.find<object>('facts', 'to-10000')
    await store.commit({put: [{kind: 'facts', id: 'to-10000', version: kept?.version ?? 0, value: {...kept?.value, ...bad}}], events: []})
    const {one, reads} = started()
    expect(await allOf(one)).toEqual(whole)
    expect(reads.entries).toBeGreaterThan(10_000)
    expect((await store.find<object>('facts', 'to-10000'))?.value).toEqual(kept?.value)
  }
})

test('a store that takes no writes keeps nobody from the figures', async () => {
  const whole = await allOf(started().one)
  const kept = await store.list({kind: 'facts'})
  await store.commit({remove: kept.map(({kind, id, version}) => ({kind, id, version})), events: []})
  const {one} = started()
  const full = {...one, commit: () => Promise.reject(new Error('the disk is full'))}
  expect(await allOf(full)).toEqual(whole)
})
