/** What happened without the broker, on this disk until it is handed in: a folder for each session, its entries a chain, its recording sealed. */
import {randomBytes} from 'node:crypto'
import {type FileHandle, open, readFile, rm} from 'node:fs/promises'
import {join} from 'node:path'
import {withLock} from '@prod/sdk/cli/credential-lock'
import {places, privateFolder, readPrivate, writePrivate} from '@prod/sdk/cli/places'
import type {LoginKey} from '@prod/sdk/dpop'
import {ProdError} from '@prod/sdk/errors'
import {chunkName} from '@prod/sdk/recorder'
import {hashEntry, type SpoolEvent, signEntry} from '@prod/sdk/spool'
import {spoolFolder} from './spool-folder.ts'

const kitFile = 'kit.jws'
const entriesFile = 'entries.jws'

/** A spool that is being written. What an entry tells of has happened only once it is on the disk. */
export interface Spool {
  readonly id: string
  readonly folder: string
  /** hash of the newest entry: what an alert carries, so that the row cannot be written anew unseen */
  readonly head: string | null
  add(event: SpoolEvent): Promise<void>
}

/** Writes a new spool while `act` lasts; nobody hands it in meanwhile, and the hold dies with this process. */
export async function withSpool<T>(kit: string, key: LoginKey, act: (spool: Spool) => Promise<T>): Promise<T> {
  const id = newSession()
  return holding(id, 0, async () => {
    const folder = privateFolder(join(privateFolder(spoolFolder()), id))
    writePrivate(join(folder, kitFile), kit)
    const file = await open(join(folder, entriesFile), 'ax', 0o600)
    try {
      return await act(writer(id, folder, key, file))
    } finally {
      await file.close()
    }
  })
}

function writer(id: string, folder: string, key: LoginKey, file: FileHandle): Spool {
  let next = 0
  let head: string | null = null
  let turn: Promise<void> = Promise.resolve()
  const write = async (event: SpoolEvent): Promise<void> => {
    const line = signEntry(key, {session: id, n: next, previous: head, at: new Date().toISOString(), event})
    await file.appendFile(`${line}\n`)
    await file.datasync()
    next += 1
    head = hashEntry(line)
  }
  return {
    id,
    folder,
    get head() {
      return head
    },
    add(event) {
      // one after the other; after one that failed none is written any more
      turn = turn.then(() => write(event))
      return turn
    },
  }
}

/** A spool as it was left. A last line that was torn is none. Throws CONFIG_INVALID as `readPrivate`. */
export interface LeftSpool {
  id: string
  kit: string
  entries: string[]
  /** one sealed chunk */
  chunk(number: number): Promise<Buffer>
}

/** Reads a spool that nobody writes any more. */
export function readSpool(id: string): LeftSpool {
  const folder = join(spoolFolder(), id)
  const text = readPrivate(join(folder, entriesFile), {secret: true}) ?? ''
  return {
    id,
    kit: readPrivate(join(folder, kitFile), {secret: true}) ?? '',
    entries: text.split('\n').slice(0, -1),
    chunk: number => readFile(join(folder, chunkName(number))),
  }
}

/** Does `act` while nobody writes or hands in this spool; undefined where somebody does. */
export async function whileLeft<T>(id: string, act: (spool: LeftSpool) => Promise<T>): Promise<T | undefined> {
  try {
    return await holding(id, 0, () => act(readSpool(id)))
  } catch (error) {
    if (error instanceof ProdError && error.code === 'STORE_IN_USE') return undefined
    throw error
  }
}

/** Forgets a spool: the broker has it whole. */
export async function removeSpool(id: string): Promise<void> {
  await rm(join(spoolFolder(), id), {recursive: true, force: true})
  await rm(join(places().state, `${id}.lock`), {force: true})
}

const holding = <T>(id: string, patienceMs: number, act: () => Promise<T>): Promise<T> => withLock(id, patienceMs, act)

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** An id of the broker's form: nine signs of time, eight of chance. */
function newSession(): string {
  let time = Date.now()
  let text = ''
  for (let index = 0; index < 9; index++) {
    text = alphabet[time % 32] + text
    time = Math.floor(time / 32)
  }
  for (const byte of randomBytes(8)) text += alphabet[byte % 32]
  return `ses_${text}`
}
