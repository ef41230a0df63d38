import {generateKeyPairSync} from 'node:crypto'
import {closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {parseCheckpoint} from '@prod/sdk/log/checkpoint'
import {openSqliteStore} from '../../../plugins/broker/src/stores/sqlite/sqlite-store.ts'
import type {Store} from '../../../plugins/broker/src/stores/store.ts'
import {type Figure, median} from '../figure.ts'

const rounds = 5
const eventsEach = 40

/** Commits by so many writers at once: rate, and how many entries each group commit held. */
async function storm(store: Store, writers: number, each: number): Promise<{rate: number; groups: number[]}> {
  const first = await store.logSize()
  const sizes = new Set<number>()
  const from = process.hrtime.bigint()
  await Promise.all(
    Array.from({length: writers}, async (_, writer) => {
      for (let n = 0; n < each; n++) {
        const done = await store.commit({
          events: [
            {type: 'run.started', by: 'alice', subject: `run_${writer}_${n}`, data: {tool: 'unit'}, personal: {reason: 'disk alert'}},
          ],
        })
        if (done.ok) sizes.add(parseCheckpoint(done.checkpoint).size)
      }
    }),
  )
  const seconds = Number(process.hrtime.bigint() - from) / 1e9
  const ends = [first, ...[...sizes].sort((a, b) => a - b)]
  return {rate: (writers * each) / seconds, groups: ends.slice(1).map((size, n) => size - ends[n]!)}
}

/** The same groups as plain bytes at the end of a plain file, each made durable. */
function plainFile(file: string, groups: readonly number[], entryBytes: number): number {
  const handle = openSync(file, 'a')
  const from = process.hrtime.bigint()
  for (const entries of groups) {
    writeSync(handle, Buffer.alloc(entries * entryBytes, 'x'))
    fdatasyncSync(handle)
  }
  const seconds = Number(process.hrtime.bigint() - from) / 1e9
  closeSync(handle)
  return groups.reduce((sum, entries) => sum + entries, 0) / seconds
}

/** Durable events: sealed, hashed, in the signed tree, on the disk before the answer. */
export const figure: Figure = {
  name: 'durable-events',
  async measure() {
    const dir = mkdtempSync(join(tmpdir(), 'prod-bench-'))
    const store = await openSqliteStore({
      file: join(dir, 'broker.sqlite'),
      log: {name: 'bench', privateKey: generateKeyPairSync('ed25519').privateKey},
      instance: 'bench',
    })
    try {
      await storm(store, 64, eventsEach)
      const [row] = await store.entries({from: 0, limit: 1})
      const entryBytes = Buffer.byteLength(JSON.stringify(row))
      const seen: Record<'group' | 'inline' | 'groupFloor' | 'inlineFloor', number>[] = []
      for (let round = 0; round < rounds; round++) {
        const group = await storm(store, 64, eventsEach)
        const inline = await storm(store, 1, 300)
        seen.push({
          group: group.rate,
          inline: inline.rate,
          groupFloor: plainFile(join(dir, 'plain'), group.groups, entryBytes),
          inlineFloor: plainFile(join(dir, 'plain'), inline.groups, entryBytes),
        })
      }
      const [group, inline] = [median(seen.map(one => one.group)), median(seen.map(one => one.inline))]
      const plain = (which: 'group' | 'inline') => ({
        floor: {what: 'plain file + fdatasync', value: median(seen.map(one => one[`${which}Floor`]))},
        ratio: median(seen.map(one => one[which] / one[`${which}Floor`])),
      })
      return [
        {what: 'durable events, 64 writers', value: group, unit: '/s', ...plain('group')},
        {what: 'durable events, 1 writer', value: inline, unit: '/s', ...plain('inline')},
        {
          what: 'durable events, 64 writers against 1',
          value: group,
          unit: '/s',
          floor: {what: '1 writer', value: inline},
          ratio: median(seen.map(one => one.group / one.inline)),
          budget: {ratio: 6, kind: 'at least'},
        },
      ]
    } finally {
      await store.close()
      rmSync(dir, {recursive: true, force: true})
    }
  },
}
