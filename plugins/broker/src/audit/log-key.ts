/** The log's key changes: a new one is laid ready in the keys folder, and whoever has the store open hands over to it. */
import type {KeyObject} from 'node:crypto'
import {openHandOver} from '@prod/sdk/log/hand-over'
import {verifierKey} from '@prod/sdk/log/note'
import {handOversOf, readLogKey, takeUpLogKey} from '../keys.ts'
import type {Store} from '../stores/store.ts'

/** Which key gave over to which; `size`: the records that the old one vouches for. */
export interface LogKeyChanged {
  from: string
  to: string
  size: number
}

/**
 * Hands over to the key that lies ready, if one does: the log first, durably, then the folder. Killed in between, the next start finds
 * the log handed over and puts the file in its place; so one key is in force at each moment, and it is never lost.
 */
export async function settleLogKey(dir: string, name: string, store: Store): Promise<LogKeyChanged | undefined> {
  const next: KeyObject | undefined = readLogKey(dir)
  if (!next) return undefined
  await store.changeLogKey(next)
  takeUpLogKey(dir, verifierKey(name, next))
  const {from, to, size} = openHandOver((await handOversOf(store)).at(-1)!)
  return {from, to, size}
}
