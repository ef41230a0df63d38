import {DatabaseSync} from 'node:sqlite'
import {ProdError} from '@prod/sdk/errors'

/** An exclusive lock on a file beside the store, held by the kernel for this process: it ends with it, whatever ends it (TM-N8). Throws STORE_IN_USE. */
export function takeLock(file: string, hint = 'prod broker start --dir OTHER'): DatabaseSync {
  const lock = new DatabaseSync(`${file}.lock`, {timeout: 250})
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    if ((error as {errcode?: number}).errcode !== 5) throw error
    throw new ProdError('STORE_IN_USE', `another broker is running on ${file}; an SQLite store serves one broker at a time`, hint, {
      cause: error,
    })
  }
}
