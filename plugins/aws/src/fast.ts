/** `prod assume ROLE --json` and `prod assume ROLE -- CMD` from what was kept, without the framework. At any doubt it answers nothing. */
import {join} from 'node:path'
import {places, readPrivate} from '@prod/sdk/cli/places'
import {keychainStore, secretStoreChoice} from '@prod/sdk/cli/secret-store'
import {writeWhole} from '@prod/sdk/cli/write-whole'
import {runKept} from './child/kept.ts'
import {awsPaths, fileStates} from './config/paths.ts'
import {isFresh, type Kept, keptName, parseKept} from './credentials/kept.ts'

/** Answers, or says that somebody else must and has written nothing. `words`: what follows `assume`. */
export async function answered(words: readonly string[]): Promise<boolean> {
  const [name = '', second, ...command] = words
  const json = words.length === 2 && second === '--json'
  const runs = second === '--' && command.length > 0
  if (name === '' || name.startsWith('-') || !(json || runs)) return false
  // what is wrong with a file the slow way says
  const kept = await findKept(name).catch(() => undefined)
  if (!kept || !isFresh(kept, Date.now()) || kept.files !== fileStates(awsPaths(process.env))) return false
  if (json) {
    writeWhole(JSON.stringify(kept.credentials))
    return true
  }
  const status = await runKept(command, kept)
  // the slow way says why
  if (status === undefined) return false
  process.exitCode = status
  return true
}

async function findKept(name: string): Promise<Kept | undefined> {
  const key = keptName(name)
  if (key === undefined) return undefined
  if (secretStoreChoice() === 'file') return parseKept(readPrivate(join(places().state, 'aws', `${key}.json`), {secret: true}), name)
  return parseKept(await keychainStore(account => `aws:${account}`).find(key), name)
}
