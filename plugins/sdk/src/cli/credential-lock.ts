import {closeSync, constants, openSync, statSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as wait} from 'node:timers/promises'
import {ProdError} from '../errors.ts'
import {places, privateFolder} from './places.ts'

/** Longer than any one renewal may take: whoever waits this long stands behind a process that hangs. */
const patienceMs = 45_000

/** Does `act` while no other process of this person reads-and-writes the credential store. Throws STORE_IN_USE. */
export function withCredentialLock<T>(act: () => Promise<T>): Promise<T> {
  return withLock('credentials', patienceMs, act)
}

/**
 * Does `act` while no other process of this person does so under this name (a file's). An exclusive SQLite transaction is a lock
 * of the kernel: it dies with its holder, so a killed process leaves nothing behind. Taking it costs under a millisecond. Throws
 * STORE_IN_USE where another holds it for longer than `patience` milliseconds.
 */
export function withLock<T>(name: string, patience: number, act: () => Promise<T>): Promise<T> {
  // one after the other inside this process: such locks belong to the process as a whole
  const turn = (before.get(name) ?? Promise.resolve()).then(() => hold(name, patience, act))
  before.set(
    name,
    turn.catch(() => undefined),
  )
  return turn
}

const before = new Map<string, Promise<unknown>>()

async function hold<T>(name: string, patience: number, act: () => Promise<T>): Promise<T> {
  const path = join(privateFolder(places().state), `${name}.lock`)
  if (!statSync(path, {throwIfNoEntry: false}))
    closeSync(openSync(path, constants.O_WRONLY | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0), 0o600))
  const {DatabaseSync} = await import('node:sqlite')
  const lock = new DatabaseSync(path, {timeout: 0})
  try {
    const giveUpAt = Date.now() + patience
    while (!tryLock(lock)) {
      if (Date.now() > giveUpAt)
        throw new ProdError('STORE_IN_USE', 'another prod holds the credential store and does not let go', 'prod doctor')
      await wait(10 + Math.random() * 15)
    }
    return await act()
  } finally {
    lock.close()
  }
}

function tryLock(lock: import('node:sqlite').DatabaseSync): boolean {
  try {
    lock.exec('BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    // SQLITE_BUSY
    if ((error as {errcode?: number}).errcode === 5) return false
    throw error
  }
}
