import fc from 'fast-check'
import {expect, onTestFinished, test} from 'vitest'
import type {Parts} from '../src/parts.ts'
import {type LockRecord, leave, lockId, putLock, releasing, showLock, takeTurn} from '../src/runs/locks.ts'
import type {Store} from '../src/stores/store.ts'
import {until} from './core.ts'
import {makeFolder, openFolder} from './store-folder.ts'

const instances = ['one', 'two', 'three']

async function openStore(clock?: () => Date): Promise<{store: Store; parts: Parts}> {
  const folder = makeFolder()
  const store = await openFolder(folder.dir, clock)
  onTestFinished(async () => {
    await store.close()
    folder.remove()
  })
  // locks lean on the store alone
  return {store, parts: {store} as Parts}
}

const lockOf = async (store: Store, key: string) => (await store.find<LockRecord>('lock', lockId(key)))?.value

/** One start as start.ts makes it: in line, the commit that takes the lock, work, the commit that gives it back. */
async function start(
  parts: Parts,
  key: string,
  request: string,
  instance: string,
  seen: string[],
  work: () => Promise<void>,
): Promise<void> {
  for (;;) {
    const take = await takeTurn(parts, [key], request, {instance, cancelled: () => false, behind() {}, wakeOn: new Promise(() => {})})
    if (!take || !(await parts.store.commit({put: take(request), events: []})).ok) continue
    seen.push(`+${request}`)
    await work()
    seen.push(`-${request}`)
    for (;;) {
      const put = await releasing(parts, [key], request)
      if (put.length === 0) throw new Error('the lock was not ours')
      if ((await parts.store.commit({put, events: []})).ok) return
    }
  }
}

test('TM-N1: fifty starts of three brokers on one store never overlap, and run in the order in which they stood in line', async () => {
  const {store, parts} = await openStore()
  const seen: string[] = []
  const all: Promise<void>[] = []
  const names: string[] = []
  for (let at = 0; at < 50; at++) {
    const request = `r${at}`
    names.push(request)
    all.push(start(parts, 'target', request, instances[at % 3] as string, seen, () => new Promise(resolve => setTimeout(resolve, at % 3))))
    await until(async () => {
      const lock = await lockOf(store, 'target')
      return seen.includes(`+${request}`) || lock?.queue.some(place => place.request === request) === true
    })
  }
  await Promise.all(all)
  expect(seen).toEqual(names.flatMap(name => [`+${name}`, `-${name}`]))
  expect(await lockOf(store, 'target')).toMatchObject({holder: null, queue: []})
}, 240_000)

test('TM-N1: however starts come and go on some keys, each key has one holder at a time and nobody is left behind', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({key: fc.integer({min: 0, max: 2}), leaves: fc.boolean()}), {minLength: 2, maxLength: 14}),
      async plan => {
        const {store, parts} = await openStore()
        const seen = [[], [], []] as string[][]
        await Promise.all(
          plan.map(async ({key, leaves}, at) => {
            if (!leaves) return start(parts, `k${key}`, `r${at}`, 'one', seen[key] as string[], () => Promise.resolve())
            let gone = false
            const waiting = takeTurn(parts, [`k${key}`], `r${at}`, {
              instance: 'two',
              cancelled: () => gone,
              behind() {},
              wakeOn: Promise.resolve(),
            })
            gone = true
            await waiting
            await leave(parts, [`k${key}`], `r${at}`)
          }),
        )
        for (const [key, events] of seen.entries()) {
          for (let at = 0; at < events.length; at += 2) expect(events[at + 1]).toBe(`-${events[at]?.slice(1)}`)
          expect(events).toHaveLength(plan.filter(one => one.key === key && !one.leaves).length * 2)
          const lock = await lockOf(store, `k${key}`)
          if (lock) expect(lock).toMatchObject({holder: null, queue: []})
        }
      },
    ),
    {numRuns: 15},
  )
}, 240_000)

test('TM-N7: who lost a lock neither gives it back nor takes it with what they read before; a place that is not renewed is passed over', async () => {
  let ahead = 0
  const {store, parts} = await openStore(() => new Date(Date.now() + ahead))
  const options = {instance: 'one', cancelled: () => false, behind() {}, wakeOn: new Promise(() => {})}
  const stale = await takeTurn(parts, ['key'], 'old', options)
  const fresh = await takeTurn(parts, ['key'], 'new', options)
  expect((await store.commit({put: fresh?.('new') ?? [], events: []})).ok).toBe(true)
  expect((await store.commit({put: stale?.('old') ?? [], events: []})).ok).toBe(false)
  expect(await releasing(parts, ['key'], 'old')).toEqual([])

  const lock = (await store.find<LockRecord>('lock', lockId('key')))!
  const dead = {request: 'dead', instance: 'two', until: new Date(Date.now() + 30_000).toISOString()}
  await store.commit({put: [putLock({...lock.value, holder: null, queue: [dead]}, lock.version)], events: []})
  ahead = 31_000
  const next = await takeTurn(parts, ['key'], 'next', options)
  expect((await store.commit({put: next?.('next') ?? [], events: []})).ok).toBe(true)
})

test('TM-N1: who wants several things takes all or none, stands in one order in all lines, and is told who holds what', async () => {
  const {store, parts} = await openStore()
  const [one, two, three] = ['["aws:1"]', '["aws:2"]', '["aws:3","unit"]'] as const
  const told: string[] = []
  const ask = (request: string, keys: readonly string[]) =>
    takeTurn(parts, keys, request, {
      instance: 'one',
      cancelled: () => false,
      behind: ({count, holder}) => void told.push(`${request}: ${count} ${holder ? `${holder.run} ${showLock(holder.key)}` : ''}`),
      wakeOn: new Promise(() => {}),
    })
  const take = async (request: string, keys: readonly string[]): Promise<void> => {
    for (;;) {
      const ready = await ask(request, keys)
      if (ready && (await store.commit({put: ready(request), events: []})).ok) return
    }
  }
  const giveBack = async (run: string, keys: readonly string[]): Promise<void> => {
    const put = await releasing(parts, keys, run)
    expect(put).toHaveLength(keys.length)
    expect((await store.commit({put, events: []})).ok).toBe(true)
  }
  const inLine = (key: string, request: string) =>
    until(async () => (await lockOf(store, key))?.queue.some(place => place.request === request) === true)

  await take('first', [three])
  const many = take('many', [one, two, three])
  await inLine(three, 'many')
  expect(told).toEqual(['many: 1 first aws:3 unit'])
  // what is free is not held while it waits, and nobody passes it there
  expect(await lockOf(store, one)).toMatchObject({holder: null, queue: [{request: 'many'}]})
  const crossing = take('crossing', [two, one])
  await inLine(one, 'crossing')
  await giveBack('first', [three])
  await many
  for (const key of [one, two, three]) expect(await lockOf(store, key)).toMatchObject({holder: 'many'})
  await giveBack('many', [one, two, three])
  await crossing
  expect(await lockOf(store, two)).toMatchObject({holder: 'crossing', queue: []})
  expect(await releasing(parts, [one, two, three], 'many')).toEqual([])
})
