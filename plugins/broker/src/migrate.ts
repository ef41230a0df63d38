/** `prod broker migrate`: the store's tables as this version needs them. */
import {hostname} from 'node:os'
import {join} from 'node:path'
import {storeFile} from '@prod/sdk/log/folder'
import {readConfig} from './config.ts'
import {openKeys} from './keys.ts'
import {migrateSqlite} from './stores/sqlite/migrate.ts'
import {openSqliteStore} from './stores/sqlite/sqlite-store.ts'

/** What was done to a store. `from` and `to` are alike where nothing was. */
export interface Migrated {
  file: string
  from: number
  to: number
}

/**
 * Brings the store that a configuration names to this version; the broker must be stopped. Then the store is opened as a broker does,
 * so that a log that does not fit is told now, and what was done is recorded. Throws what {@link migrateSqlite} and the store throw.
 */
export async function migrateStore(configFile: string): Promise<Migrated> {
  const config = await readConfig(configFile)
  const file = join(config.dir, storeFile)
  const {from, to} = migrateSqlite(file)
  const {log} = openKeys(config.dir)
  const store = await openSqliteStore({file, log, instance: hostname()})
  try {
    if (from !== to) await store.commit({events: [{type: 'store.migrated', by: 'broker', subject: 'store', data: {from, to}}]})
  } finally {
    await store.close()
  }
  return {file, from, to}
}
