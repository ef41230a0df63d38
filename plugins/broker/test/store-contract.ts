/** What every store must do, whatever it is built on: each implementation runs this suite. */

import {openCheckpoint} from '@prod/sdk/log/checkpoint'
import {openEntry} from '@prod/sdk/log/envelope'
import {leafHash, verifyInclusion} from '@prod/sdk/log/merkle'
import {verifyEntries} from '@prod/sdk/log/verify'
import {describe, expect, onTestFinished, test} from 'vitest'
import type {AuditEvent, Store} from '../src/stores/store.ts'

/** A fresh store. `reopen` closes it and opens it again on the same data; `set` moves its clock. */
export interface OpenedStore {
  store: Store
  verifierKey: string
  reopen: () => Promise<Store>
  set: (now: Date) => void
  dispose: () => Promise<void>
}

/** An event of little interest. */
export const event = (subject: string, more: Partial<AuditEvent> = {}): AuditEvent => ({
  type: 'thing.changed',
  by: 'alice',
  subject,
  ...more,
})

/** Runs the contract on the stores that `open` gives. */
export function storeContract(open: () => Promise<OpenedStore>): void {
  const fresh = async () => {
    const opened = await open()
    onTestFinished(() => opened.dispose())
    return opened
  }
  const notice = (id: string) => ({
    id,
    type: 'request.created',
    at: '2026-11-22T00:00:00.000Z',
    urgency: 'info' as const,
    title: 't',
    principal: 'alice',
    target: 'local',
    risk: 'change',
    digest: null,
    subject: 'req_1',
    reason: 'r',
    next: null,
  })

  describe('a change', () => {
    test('is found again with its version, and after the store was closed', async () => {
      const {store, reopen} = await fresh()
      expect(await store.find('request', 'req_1')).toBeUndefined()
      expect(
        await store.commit({put: [{kind: 'request', id: 'req_1', version: 0, value: {a: 'é\u0000"'}}], events: [event('req_1')]}),
      ).toMatchObject({ok: true, indices: [0]})
      await store.commit({put: [{kind: 'request', id: 'req_1', version: 1, value: {a: 2}}], events: []})
      expect(await store.find('request', 'req_1')).toEqual({kind: 'request', id: 'req_1', version: 2, value: {a: 2}})
      expect(await (await reopen()).find('request', 'req_1')).toEqual({kind: 'request', id: 'req_1', version: 2, value: {a: 2}})
    })

    test('of two writers one wins, and the other has written nothing', async () => {
      const {store} = await fresh()
      await store.commit({put: [{kind: 'request', id: 'req_1', version: 0, value: 'pending'}], events: []})
      const answers = await Promise.all(
        ['approved', 'cancelled'].map(value =>
          store.commit({
            put: [
              {kind: 'request', id: 'req_1', version: 1, value},
              {kind: 'run', id: value, version: 0, value},
            ],
            events: [event('req_1')],
          }),
        ),
      )
      expect(answers.filter(({ok}) => ok)).toHaveLength(1)
      expect(await store.list({kind: 'run'})).toHaveLength(1)
      expect(await store.logSize()).toBe(1)
    })

    test('TM-N2: an approval for three uses is used three times by 50 at once', async () => {
      const {store, reopen} = await fresh()
      await store.commit({put: [{kind: 'request', id: 'req_1', version: 0, value: {uses: 0}}], events: []})
      const use = async (n: number): Promise<boolean> => {
        for (;;) {
          const found = (await store.find<{uses: number}>('request', 'req_1'))!
          if (found.value.uses >= 3) return false
          const put = [
            {kind: 'request' as const, id: 'req_1', version: found.version, value: {uses: found.value.uses + 1}},
            {kind: 'run' as const, id: `run_${n}`, version: 0, value: {}},
          ]
          if ((await store.commit({put, events: [event(`run_${n}`, {type: 'run.started'})]})).ok) return true
        }
      }
      const used = await Promise.all(Array.from({length: 50}, (_, n) => use(n)))
      expect(used.filter(Boolean)).toHaveLength(3)
      const again = await reopen()
      expect(await again.list({kind: 'run'})).toHaveLength(3)
      expect(await again.find('request', 'req_1')).toMatchObject({version: 4, value: {uses: 3}})
    })

    test('is whole or not at all: one stale record of many stops puts, removals, events and notices', async () => {
      const {store} = await fresh()
      await store.commit({
        put: [
          {kind: 'lock', id: 'a', version: 0, value: 1},
          {kind: 'lock', id: 'b', version: 0, value: 1},
        ],
        events: [],
      })
      const many = Array.from({length: 20}, (_, n) => ({kind: 'run' as const, id: `run_${n}`, version: 0, value: n}))
      const rest = {put: many, events: [event('run_0')], notices: [{channels: ['chat'], notice: notice('n1')}]}
      expect(
        (await store.commit({...rest, expect: [{kind: 'lock', id: 'a', version: 7}], remove: [{kind: 'lock', id: 'b', version: 1}]})).ok,
      ).toBe(false)
      expect((await store.commit({...rest, put: [...many, {kind: 'lock', id: 'a', version: 0, value: 2}]})).ok).toBe(false)
      expect((await store.commit({...rest, remove: [{kind: 'lock', id: 'a', version: 2}]})).ok).toBe(false)
      expect([await store.list({kind: 'run'}), await store.logSize(), (await store.countNotices()).waiting]).toEqual([[], 0, 0])
      expect(
        (
          await store.commit({
            ...rest,
            expect: [
              {kind: 'lock', id: 'c', version: 0},
              {kind: 'lock', id: 'a', version: 1},
            ],
            remove: [{kind: 'lock', id: 'b', version: 1}],
          })
        ).ok,
      ).toBe(true)
      expect([(await store.list({kind: 'run'})).length, await store.find('lock', 'b'), (await store.countNotices()).waiting]).toEqual([
        20,
        undefined,
        1,
      ])
    })

    test('that fails in a group leaves the others of the group', async () => {
      const {store} = await fresh()
      const answers = await Promise.allSettled([
        store.commit({put: [{kind: 'run', id: 'run_1', version: 0, value: 1}], events: [event('run_1')]}),
        store.commit({put: [{kind: 'run', id: 'run_2', version: 5, value: 1}], events: [event('run_2')]}),
        store.commit({
          put: [{kind: 'run', id: 'run_3', version: 0, value: 1}],
          events: [event('run_3', {data: {long: 'x'.repeat(70_000)}})],
        }),
        store.commit({
          put: [{kind: 'run', id: 'run_4', version: 0, value: 1}],
          events: [event('run_4', {personal: {reason: 'lone \ud800'}})],
        }),
        store.commit({put: [{kind: 'run', id: 'run_5', version: 0, value: 1}], events: [event('run_5')]}),
      ])
      expect(answers).toMatchObject([
        {value: {ok: true, indices: [0]}},
        {value: {ok: false}},
        {reason: {code: 'TOO_LARGE'}},
        {reason: {code: 'BAD_REQUEST'}},
        {value: {ok: true, indices: [1]}},
      ])
      expect((await store.list({kind: 'run'})).map(({id}) => id)).toEqual(['run_1', 'run_5'])
    })

    test('is told to listeners once it is there', async () => {
      const {store} = await fresh()
      const told: string[] = []
      const stop = store.subscribe(changed => told.push(...changed.map(({kind, id}) => `${kind} ${id}`)))
      await store.commit({
        put: [
          {kind: 'run', id: 'run_1', version: 0, value: 1},
          {kind: 'lock', id: 'a', version: 0, value: 1},
        ],
        events: [],
      })
      await store.commit({put: [{kind: 'run', id: 'run_1', version: 9, value: 1}], events: []})
      await store.commit({remove: [{kind: 'lock', id: 'a', version: 1}], events: []})
      stop()
      await store.commit({put: [{kind: 'run', id: 'run_2', version: 0, value: 1}], events: []})
      expect(told).toEqual(['run run_1', 'lock a', 'lock a'])
    })
  })

  test('records are listed by state, owner and due time, in the order they were made', async () => {
    const {store} = await fresh()
    const rows = [
      ['a', 'pending', 'alice', '2026-01-01'],
      ['b', 'approved', 'bob', '2026-01-02'],
      ['c', 'pending', 'bob', '2026-01-03'],
      ['d', 'done', 'alice', undefined],
    ] as const
    for (const [id, state, owner, dueAt] of rows) {
      await store.commit({
        put: [{kind: 'request', id, version: 0, value: id, index: {state, owner, ...(dueAt ? {dueAt} : {})}}],
        events: [],
      })
    }
    await store.commit({
      put: [{kind: 'request', id: 'a', version: 1, value: 'a', index: {state: 'approved', owner: 'alice', dueAt: '2026-01-05'}}],
      events: [],
    })
    const ids = async (query: object) => (await store.list({kind: 'request', ...query})).map(({id}) => id).join('')
    expect(await ids({})).toBe('abcd')
    expect(await ids({newest: true, limit: 3})).toBe('dcb')
    expect(await ids({state: 'pending'})).toBe('c')
    expect(await ids({state: ['approved', 'done']})).toBe('abd')
    expect(await ids({state: []})).toBe('')
    expect(await ids({owner: 'alice', state: 'done'})).toBe('d')
    expect(await ids({dueBefore: '2026-01-03'})).toBe('bc')
  })

  describe('the log', () => {
    test('TM-E3: 50 commits at once give a sequence without gaps, each told where its own events lie', async () => {
      const {store, verifierKey} = await fresh()
      const answers = await Promise.all(
        Array.from({length: 50}, (_, n) =>
          store.commit({
            events: Array.from({length: 1 + (n % 3)}, (_, m) => event(`thing_${n}_${m}`)),
            expect: n % 10 === 9 ? [{kind: 'run', id: 'none', version: 1}] : [],
          }),
        ),
      )
      const rows = await store.entries({from: 0, limit: 1000})
      expect(rows.map(({index}) => index)).toEqual(Array.from({length: rows.length}, (_, n) => n))
      expect(rows).toHaveLength(await store.logSize())
      for (const [n, answer] of answers.entries()) {
        expect(answer.ok).toBe(n % 10 !== 9)
        if (answer.ok)
          expect(answer.indices.map(index => openEntry(rows[index]!).subject)).toEqual(
            Array.from({length: 1 + (n % 3)}, (_, m) => `thing_${n}_${m}`),
          )
      }
      expect(await verifyEntries(rows, await store.checkpoint(), verifierKey)).toMatchObject({ok: true, size: rows.length})
    })

    test('every event is proven to be in the tree of the checkpoint that its commit answered, and of later ones', async () => {
      const {store, verifierKey, reopen} = await fresh()
      const answers = []
      for (let n = 0; n < 6; n++)
        answers.push(...(await Promise.all(Array.from({length: 90}, () => store.commit({events: [event('thing_1')]})))))
      const again = await reopen()
      const newest = await again.checkpoint()
      for (const answer of answers) {
        for (const checkpoint of answer.ok ? [answer.checkpoint, newest] : []) {
          const {size, root} = openCheckpoint(checkpoint, verifierKey)
          const [index] = (answer as {indices: number[]}).indices
          const [row] = await again.entries({from: index!, limit: 1})
          expect(verifyInclusion(leafHash(row!.envelope), index!, size, await again.inclusionProof(index!, size), root)).toBe(true)
        }
      }
      expect((await again.tile(0, 1, 256))?.length).toBe(256 * 32)
      expect((await again.tile(1, 0, 2))?.length).toBe(2 * 32)
      expect(await again.tile(0, 2, 29)).toBeUndefined()
      await expect(again.inclusionProof(0, 541)).rejects.toThrow(RangeError)
    })

    test('keeps personal texts beside the envelope, and gives them back', async () => {
      const {store} = await fresh()
      await store.commit({
        events: [
          event('run_1', {
            type: 'run.started',
            correlation: 'c1',
            data: {tool: 'unit'},
            personal: {argv: ["a' 'b", 'c\nd'], reason: 'disk alert'},
          }),
        ],
      })
      const [row] = await store.entries({from: 0, limit: 1})
      expect(row!.envelope).not.toMatch(/alice|disk|a' 'b/)
      expect(openEntry(row!)).toMatchObject({
        index: 0,
        type: 'run.started',
        by: 'alice',
        subject: 'run_1',
        correlation: 'c1',
        data: {tool: 'unit'},
        personal: {argv: ["a' 'b", 'c\nd'], reason: 'disk alert'},
      })
    })

    test('is searched by type, subject and text, from either end', async () => {
      const {store} = await fresh()
      await store.commit({
        events: Array.from({length: 5000}, (_, n) =>
          event(`run_${n % 10}`, {
            type: n % 2 ? 'run.ended' : 'run.started',
            personal: {reason: n % 1000 === 7 ? 'say "Needle" 100%' : 'hay'},
          }),
        ),
      })
      const indices = async (query: object) => (await store.entries({from: 0, limit: 100, ...query})).map(({index}) => index)
      expect(await indices({type: 'run.ended', limit: 2})).toEqual([1, 3])
      expect(await indices({subject: 'run_3', newest: true, limit: 2})).toEqual([4993, 4983])
      expect(await indices({text: 'say "needle" 100%'})).toEqual([7, 1007, 2007, 3007, 4007])
      expect(await indices({text: 'needle', newest: true, limit: 2, type: 'run.ended', from: 3000})).toEqual([4007, 3007])
      expect(await indices({text: 'needle', from: 4008})).toEqual([])
      expect(await store.entries({from: 0, limit: 1_000_000})).toHaveLength(1000)
    })
  })

  test('a notice is taken until it is settled: again after its taker is silent, later when asked, never once delivered or dead', async () => {
    const {store, set, reopen} = await fresh()
    const at = (seconds: number) => set(new Date(Date.UTC(2026, 10, 22) + seconds * 1000))
    at(0)
    await store.commit({events: [], notices: [{channels: ['chat', 'pager'], notice: notice('n1')}]})
    at(1)
    await store.commit({events: [], notices: [{channels: ['chat'], notice: notice('n2')}]})
    const taken = await Promise.all([store.takeNotices(2, 30), store.takeNotices(2, 30)])
    expect(taken.flat().map(({channel, notice: {id}, tries}) => `${channel} ${id} ${tries}`)).toEqual([
      'chat n1 0',
      'pager n1 0',
      'chat n2 0',
    ])
    expect(await store.takeNotices(9, 30)).toEqual([])
    const [chat, pager, second] = taken.flat()
    await store.settleNotice(chat!.id, {delivered: 'chat'})
    await store.settleNotice(pager!.id, {retryAt: new Date(Date.UTC(2026, 10, 22, 0, 1)).toISOString(), why: '503'})
    at(31)
    const again = await reopen()
    expect((await again.takeNotices(9, 30)).map(({id, tries}) => [id, tries])).toEqual([[second!.id, 1]])
    at(60)
    expect((await again.takeNotices(9, 30)).map(({id}) => id)).toEqual([pager!.id])
    await again.settleNotice(pager!.id, {dead: '410'})
    at(600)
    expect((await again.takeNotices(9, 30)).map(({id}) => id)).toEqual([second!.id])
    expect(await again.countNotices()).toEqual({waiting: 1, dead: 1, oldestAt: '2026-11-22T00:00:01.000Z'})
  })

  test('a closed store answers what it was asked before, and nothing after', async () => {
    const {store} = await fresh()
    const last = store.commit({put: [{kind: 'run', id: 'run_1', version: 0, value: 1}], events: [event('run_1')]})
    await Promise.all([store.close(), store.close()])
    expect((await last).ok).toBe(true)
    await expect(store.commit({events: []})).rejects.toMatchObject({code: 'STORE_UNAVAILABLE'})
  })
}
