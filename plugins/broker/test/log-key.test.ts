import {createPublicKey, generateKeyPairSync} from 'node:crypto'
import {existsSync, readFileSync, statSync, unlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {parseCheckpoint} from '@prod/sdk/log/checkpoint'
import {checkpointFile, logKeyFile, storeFile, verifyFolder} from '@prod/sdk/log/folder'
import {keysOf, openCheckpointOf} from '@prod/sdk/log/hand-over'
import {verifierKey} from '@prod/sdk/log/note'
import {expect, onTestFinished, test} from 'vitest'
import {settleLogKey} from '../src/audit/log-key.ts'
import {handOversOf, layLogKey, openKeys, readLogKey} from '../src/keys.ts'
import {rotateLogKey} from '../src/rotate-key.ts'
import {openSqliteStore} from '../src/stores/sqlite/sqlite-store.ts'
import type {Store} from '../src/stores/store.ts'
import {event} from './store-contract.ts'
import {logName, makeFolder} from './store-folder.ts'

/** A data folder with a store that has a record. */
async function folder() {
  const {dir, key, remove} = makeFolder()
  onTestFinished(remove)
  writeFileSync(join(dir, 'keys/log.name'), logName, {mode: 0o600})
  const store = await open(dir)
  await store.commit({events: [event('thing_first')]})
  await store.close()
  return {dir, key}
}

async function open(dir: string): Promise<Store> {
  const store = await openSqliteStore({file: join(dir, storeFile), log: openKeys(dir).log, instance: 'test'})
  onTestFinished(() => store.close())
  return store
}

const published = (dir: string) => readFileSync(join(dir, logKeyFile), 'utf8').trim()

test('TM-E14: the key changes under load, twice: no commit is lost, every checkpoint ever given out still verifies, by each of the three keys', async () => {
  const {dir, key: first} = await folder()
  const store = await open(dir)
  const given: string[] = []
  let loads = 0
  const load = async (): Promise<void> => {
    for (let n = 0; n < 40; n++) {
      const done = await store.commit({events: [event(`thing_${loads++}`)]})
      if (done.ok) given.push(done.checkpoint)
    }
  }
  const change = async () => {
    while (loads < 60) await store.commit({events: []})
    layLogKey(dir)
    const one = await settleLogKey(dir, logName, store)
    layLogKey(dir)
    const two = await settleLogKey(dir, logName, store)
    return [one?.to, two?.to] as [string, string]
  }
  const [[second, third]] = await Promise.all([change(), ...Array.from({length: 8}, load)])

  expect(given).toHaveLength(320)
  expect(await store.logSize()).toBe(1 + 320 + 2)
  const notes = await handOversOf(store)
  for (const key of [first, second, third]) {
    const keys = keysOf(key, notes)
    for (const checkpoint of given) expect(openCheckpointOf(checkpoint, keys).size).toBe(parseCheckpoint(checkpoint).size)
    expect(await verifyFolder(dir, key)).toMatchObject({ok: true, size: 323, keys})
  }
  expect(published(dir)).toBe(third)
  expect(await verifyFolder(dir, verifierKey(logName, generateKeyPairSync('ed25519').publicKey))).toMatchObject({ok: false})
  await store.close()
  const again = await open(dir)
  expect((await again.commit({events: [event('thing_after')]})).ok).toBe(true)
  expect(await verifyFolder(dir)).toMatchObject({ok: true, size: 324})
})

test('killed between any two steps of the change, one key is in force, the next start finishes it, and the log verifies', async () => {
  const steps: Record<string, (dir: string) => Promise<void>> = {
    'the key lies ready': async dir => layLogKey(dir),
    'the log is handed over, the file not in its place': async dir => {
      layLogKey(dir)
      const store = await open(dir)
      await store.changeLogKey(readLogKey(dir)!)
      await store.commit({events: [event('thing_between')]})
      await store.close()
    },
    'the file is in its place, its public half not told': async dir => {
      layLogKey(dir)
      const before = published(dir)
      const store = await open(dir)
      await settleLogKey(dir, logName, store)
      await store.close()
      writeFileSync(join(dir, logKeyFile), `${before}\n`)
    },
  }
  for (const [step, leave] of Object.entries(steps)) {
    const {dir, key} = await folder()
    await leave(dir)
    const store = await open(dir)
    await settleLogKey(dir, logName, store)
    expect((await store.commit({events: [event('thing_next')]})).ok, step).toBe(true)
    await store.close()
    expect(await verifyFolder(dir, key), step).toMatchObject({ok: true, keys: [{key}, {key: published(dir), until: null}]})
    expect(await verifyFolder(dir), step).toMatchObject({ok: true})
    expect(readLogKey(dir), step).toBeUndefined()
    expect(verifierKey(logName, createPublicKey(readFileSync(join(dir, 'keys/log.pem')))), step).toBe(published(dir))
    expect(statSync(join(dir, 'keys/log.pem')).mode & 0o777, step).toBe(0o600)
  }
})

test('TM-E2: a key that somebody put in the place of the log’s own, without a hand-over, does not open the store', async () => {
  const {dir} = await folder()
  const {privateKey} = generateKeyPairSync('ed25519')
  writeFileSync(join(dir, 'keys/log.pem'), privateKey.export({format: 'pem', type: 'pkcs8'}))
  await expect(open(dir)).rejects.toMatchObject({code: 'SIGNATURE_INVALID'})
})

test('TM-E2: the checkpoint beside the store still shows a store that was put back, though an older key signed it', async () => {
  const {dir} = await folder()
  const store = await open(dir)
  await store.commit({events: [event('thing_1'), event('thing_2')]})
  const beside = await store.checkpoint()
  await store.close()
  await rotateLogKey({dir})
  writeFileSync(join(dir, checkpointFile), beside)
  await (await open(dir)).close() // older than the store: as it should be
  expect(readFileSync(join(dir, checkpointFile), 'utf8')).not.toBe(beside)
})

test('the command hands over by itself where no broker runs, and is told of a folder without a log', async () => {
  const {dir, key} = await folder()
  const rotated = await rotateLogKey({dir})
  expect(rotated).toEqual({from: key, to: published(dir), size: 1, doneBy: 'command'})
  expect(existsSync(join(dir, 'keys/log.next.pem'))).toBe(false)
  unlinkSync(join(dir, 'keys/log.pem'))
  await expect(rotateLogKey({dir})).rejects.toMatchObject({code: 'NOT_FOUND'})
})

test('a store that somebody holds and does not hand over leaves the new key ready, and says so', async () => {
  const {dir, key} = await folder()
  const store = await open(dir)
  await expect(rotateLogKey({dir}, 0)).rejects.toMatchObject({code: 'STORE_UNAVAILABLE', hint: expect.stringContaining('rotate-key')})
  expect(await verifyFolder(dir, key)).toMatchObject({ok: true})
  await settleLogKey(dir, logName, store)
  expect(published(dir)).not.toBe(key)
})
