/** `prod broker rotate-key`: a new key for the log, by whoever may write the data folder. No call of the broker can do it (TM-G2). */
import {hostname} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {setTimeout} from 'node:timers/promises'
import {ProdError} from '@prod/sdk/errors'
import {storeFile} from '@prod/sdk/log/folder'
import {openHandOver} from '@prod/sdk/log/hand-over'
import {type LogKeyChanged, settleLogKey} from './audit/log-key.ts'
import {readConfig} from './config.ts'
import {handOversOf, layLogKey, openKeys, readLogKey} from './keys.ts'
import {readEntries} from './stores/sqlite/queries.ts'
import {openSqliteStore} from './stores/sqlite/sqlite-store.ts'

/** What was done, and by whom: the running broker, or this command where none was running. */
export interface Rotated extends LogKeyChanged {
  doneBy: 'broker' | 'command'
}

const askEveryMilliseconds = 100

/**
 * Lays a new log key ready, then hands the log over to it: the broker that has the store open does so within a second, else this process.
 * Throws NOT_FOUND without a log, CONFIG_INVALID for another account's folder, STORE_UNAVAILABLE where a broker holds the store and does
 * not take the key up in `waitSeconds`: it lies ready then, and the broker's next pass or start takes it up. Safe to repeat.
 */
export async function rotateLogKey(place: {configFile: string} | {dir: string}, waitSeconds = 30): Promise<Rotated> {
  const dir = 'dir' in place ? place.dir : (await readConfig(place.configFile)).dir
  layLogKey(dir)
  const file = join(dir, storeFile)
  const {log} = openKeys(dir)
  const store = await openSqliteStore({file, log, instance: hostname()}).catch((error: unknown) => {
    if (error instanceof ProdError && error.code === 'STORE_IN_USE') return undefined
    throw error
  })
  if (store) {
    try {
      const changed = await settleLogKey(dir, log.name, store)
      if (changed) return {...changed, doneBy: 'command'}
    } finally {
      await store.close()
    }
  }
  for (const end = performance.now() + waitSeconds * 1000; readLogKey(dir) !== undefined; ) {
    if (performance.now() > end)
      throw new ProdError(
        'STORE_UNAVAILABLE',
        `the broker on ${dir} has not taken the new key up yet; it lies ready`,
        'prod broker rotate-key again, or start the broker',
      )
    await setTimeout(askEveryMilliseconds)
  }
  const db = new DatabaseSync(file, {readOnly: true, timeout: 10_000})
  try {
    const {from, to, size} = openHandOver((await handOversOf({entries: query => readEntries(db, query)})).at(-1)!)
    return {from, to, size, doneBy: 'broker'}
  } finally {
    db.close()
  }
}
