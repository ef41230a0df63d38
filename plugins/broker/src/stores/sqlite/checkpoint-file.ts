/**
 * The newest checkpoint, once more, in a small file beside the store. It is written a moment after the commit and never
 * waited for, so it may be behind the store but never ahead of it: a store that is behind was put back to an older state.
 */
import {readFile, rename, writeFile} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import {ProdError} from '@prod/sdk/errors'
import type {Checkpoint} from '@prod/sdk/log/checkpoint'
import {checkpointFile} from '@prod/sdk/log/folder'
import {handOverType, keysOf, type LogKey, openCheckpointOf} from '@prod/sdk/log/hand-over'
import type {StoreThread} from './thread.ts'

/** Pause between two writes of the file, in milliseconds. */
const pause = 100

/** Checks the file against the store (`key`: one of the log's verifier keys), then keeps it up. Throws STORE_UNAVAILABLE when it covers more than the store has. */
export async function keepCheckpoint(
  file: string,
  key: string,
  thread: StoreThread,
): Promise<{note(checkpoint: string): void; done(): Promise<void>}> {
  const path = join(dirname(file), checkpointFile)
  const kept = await readKept(path, readKeys(file, key))
  const {size} = thread.state()
  if (kept && kept.size > size) {
    throw new ProdError(
      'STORE_UNAVAILABLE',
      `${file} is older than ${path}: ${size} records where ${kept.size} were signed; if a backup was put back on purpose, keep that file elsewhere and start again`,
      `prod audit verify --dir ${dirname(file)}`,
    )
  }

  let newest = thread.state().checkpoint
  let written = ''
  let writing: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  const write = async () => {
    const text = newest
    try {
      await writeFile(`${path}.new`, text, {mode: 0o600})
      await rename(`${path}.new`, path)
      written = text
    } catch {
      // a full disk is told by the commits; this copy is tried again with the next one
    }
  }
  const later = () => {
    timer ??= setTimeout(async () => {
      writing = write()
      await writing
      timer = undefined
      if (newest !== written && newest !== undefined) later()
    }, pause).unref()
  }
  return {
    note(checkpoint) {
      newest = checkpoint
      if (newest !== written) later()
    },
    async done() {
      clearTimeout(timer)
      await writing
      if (newest !== written) await write()
    },
  }
}

/** What the file says, if it is signed by this log; a torn or foreign one is worth nothing. */
async function readKept(path: string, keys: readonly LogKey[]): Promise<Checkpoint | undefined> {
  try {
    return openCheckpointOf(await readFile(path, 'utf8'), keys)
  } catch {
    return undefined
  }
}

/** The log's keys as its own hand-overs name them: the file may still be signed by the key before. */
function readKeys(file: string, key: string): LogKey[] {
  const db = new DatabaseSync(file, {readOnly: true, timeout: 10_000})
  try {
    const rows = db.prepare("SELECT envelope ->> '$.data.note' AS note FROM entries WHERE type = ? ORDER BY idx").all(handOverType)
    return keysOf(
      key,
      rows.map(row => String(row.note)),
    )
  } finally {
    db.close()
  }
}
