import {chmodSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {storeFile, verifyFolder} from '@prod/sdk/log/folder'
import {expect, onTestFinished, test} from 'vitest'
import {migrateStore} from '../src/migrate.ts'
import {migrateSqlite, type Step} from '../src/stores/sqlite/migrate.ts'
import {checkVersion, schemaVersion} from '../src/stores/sqlite/schema.ts'
import {event} from './store-contract.ts'
import {makeFolder, openFolder} from './store-folder.ts'

const next = schemaVersion + 1
const step: Step = {to: next, sql: 'ALTER TABLE outbox ADD COLUMN note TEXT'}

async function storeWithRecords() {
  const {dir, key, remove} = makeFolder()
  onTestFinished(remove)
  const store = await openFolder(dir)
  await store.commit({put: [{kind: 'meta', id: 'a', version: 0, value: {kept: true}}], events: [event('test.written')]})
  await store.close()
  return {dir, key, file: join(dir, storeFile)}
}

function columns(file: string): {version: number; outbox: string[]} {
  const db = new DatabaseSync(file, {readOnly: true})
  const version = Number(db.prepare('PRAGMA user_version').get()!.user_version)
  const outbox = db
    .prepare("SELECT name FROM pragma_table_info('outbox')")
    .all()
    .map(row => String(row.name))
  db.close()
  return {version, outbox}
}

test('a store of an older version is brought on, its records and log as they were', async () => {
  const {dir, file} = await storeWithRecords()
  const before = await verifyFolder(dir)
  expect(migrateSqlite(file, [step], next)).toEqual({from: schemaVersion, to: next})
  expect(columns(file)).toMatchObject({version: next, outbox: expect.arrayContaining(['note'])})
  expect(await verifyFolder(dir)).toEqual(before)
  expect(migrateSqlite(file, [step], next)).toEqual({from: next, to: next})
})

test('of several steps all are done or none', async () => {
  const {file} = await storeWithRecords()
  const before = columns(file)
  const broken = {to: next + 1, sql: 'ALTER TABLE nowhere ADD COLUMN note TEXT'}
  expect(() => migrateSqlite(file, [step, broken], next + 1)).toThrow(expect.objectContaining({code: 'STORE_UNAVAILABLE'}))
  expect(columns(file)).toEqual(before)
})

test('a step that nobody wrote is told, not skipped', async () => {
  const {file} = await storeWithRecords()
  expect(() => migrateSqlite(file, [], next)).toThrow(`no way is known from version ${schemaVersion} to ${next}`)
})

test('a store of a newer version is refused, by the broker and by migrate', async () => {
  const {dir, file} = await storeWithRecords()
  migrateSqlite(file, [step], next)
  expect(() => migrateSqlite(file)).toThrow('a newer prod wrote it')
  await expect(openFolder(dir)).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: expect.stringContaining('a newer prod wrote it'),
  })
})

test('a broker does not start on older tables and says what to type', () => {
  expect(() => checkVersion('/data/broker.sqlite', 1, 2)).toThrow(
    expect.objectContaining({code: 'STORE_UNAVAILABLE', hint: 'prod broker migrate --config FILE'}),
  )
})

test('a store that a broker has open is not touched', async () => {
  const {dir, file} = await storeWithRecords()
  const store = await openFolder(dir)
  try {
    expect(() => migrateSqlite(file, [step], next)).toThrow(expect.objectContaining({code: 'STORE_IN_USE'}))
  } finally {
    await store.close()
  }
  expect(columns(file).version).toBe(schemaVersion)
})

test('prod broker migrate finds the store by the configuration, and says so where nothing is to do', async () => {
  const {dir} = await storeWithRecords()
  writeFileSync(join(dir, 'keys/log.name'), readFileSync(join(dir, 'keys/log.pub'), 'utf8').split('+')[0] as string, {mode: 0o600})
  chmodSync(join(dir, 'keys/log.pub'), 0o600)
  const config = join(dir, 'broker.json')
  const place = {dir: '.', origin: 'https://prod.example', catalogDir: 'catalog', policyDir: 'policy', places: ['10.0.0.0/8']}
  const identity = {kind: 'oidc', issuer: 'https://idp.example', clientId: 'prod', personClaim: 'employee'}
  const channels = ['a', 'b'].map(name => ({name, notifier: 'webhook', config: {}}))
  const rest = {identity, channels, alertChannels: ['a', 'b'], recordingRecipients: ['age1test']}
  writeFileSync(config, JSON.stringify({...place, ...rest}), {mode: 0o600})
  expect(await migrateStore(config)).toEqual({file: join(dir, storeFile), from: schemaVersion, to: schemaVersion})
})

test('without a store there is nothing to bring on', () => {
  expect(() => migrateSqlite('/nowhere/broker.sqlite')).toThrow(expect.objectContaining({code: 'CONFIG_INVALID'}))
})
