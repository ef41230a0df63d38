import {api, type LogEntry} from '@prod/sdk/api'
import type {BrokerClient} from '@prod/sdk/client'
import {expect, test} from 'vitest'
import {exportLines} from '../src/audit/export-lines.ts'

const size = 6400

/** Answers as a broker does, which gives `most` entries at once at the most; each answer waits for `turn`. */
function makeBroker({has = size, most = 1000, turn = async () => {}}: {has?: number; most?: number; turn?: () => Promise<void>} = {}) {
  const seen = {calls: 0, open: 0, mostOpen: 0}
  const call = async (endpoint: unknown, input: {from?: string; limit?: string} = {}) => {
    if (endpoint === api.logCheckpoint) return `broker\n${size}\n${Buffer.alloc(32).toString('base64')}\n`
    seen.calls += 1
    seen.open += 1
    seen.mostOpen = Math.max(seen.mostOpen, seen.open)
    await turn()
    seen.open -= 1
    const from = Number(input.from)
    const entries: LogEntry[] = []
    for (let index = from; index < Math.min(from + Math.min(most, Number(input.limit)), has); index++)
      entries.push({index, envelope: `{"n":${index}}`, openings: {}} as LogEntry)
    return {entries, size: has}
  }
  return {seen, broker: {call} as unknown as Pick<BrokerClient, 'call'>}
}

async function indexes(broker: Pick<BrokerClient, 'call'>, until = Number.POSITIVE_INFINITY): Promise<number[]> {
  const found: number[] = []
  for await (const line of exportLines(broker, 'key')) {
    if (found.length >= until) break
    const {index} = JSON.parse(line) as {index?: number}
    if (index !== undefined) found.push(index)
  }
  return found
}

const all = Array.from({length: size}, (_, index) => index)

test('pages of a log come several at once, in large pages, and are written in their order', async () => {
  let waiting: (() => void)[] = []
  // the last that was asked for is answered first, and none before four are asked for or no more are
  const turn = () =>
    new Promise<void>(resolve => {
      waiting.push(resolve)
      setImmediate(() => {
        const now = waiting.reverse()
        waiting = []
        for (const go of now) go()
      })
    })
  const {seen, broker} = makeBroker({turn})
  expect(await indexes(broker)).toEqual(all)
  expect(seen).toMatchObject({calls: 7, mostOpen: 4})
})

test('a broker that gives less at once is asked again, one whose log is shorter than its checkpoint ends the export', async () => {
  expect(await indexes(makeBroker({most: 300}).broker)).toEqual(all)
  expect(await indexes(makeBroker({has: 2500}).broker)).toEqual(all.slice(0, 2500))
})

test('a page that fails ends the export with its error; whoever stops reading asks for no more', async () => {
  const {broker} = makeBroker()
  let calls = 0
  const failing = {
    call: (...args: Parameters<typeof broker.call>) => (++calls > 3 ? Promise.reject(new Error('gone')) : broker.call(...args)),
  } as Pick<BrokerClient, 'call'>
  await expect(indexes(failing)).rejects.toThrow('gone')
  const {seen, broker: left} = makeBroker()
  expect(await indexes(left, 10)).toEqual(all.slice(0, 10))
  expect(seen.calls).toBeLessThanOrEqual(4)
})
