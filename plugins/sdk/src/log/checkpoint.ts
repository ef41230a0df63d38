/** Checkpoints: the size and root of a log, signed. Source: c2sp.org/tlog-checkpoint. Pure. */
import {ProdError} from '../errors.ts'
import type {Hash} from './merkle.ts'
import {type NoteKey, noteSigner, openNote, parseVerifierKey, type Verifier} from './note.ts'

/** What a checkpoint says. `origin` names the log, and is its key's name. */
export interface Checkpoint {
  origin: string
  size: number
  root: Hash
}

/** Gives the function that signs the checkpoints of one log; the key's name is its origin. */
export function checkpointSigner(key: NoteKey): (size: number, root: Hash) => string {
  const sign = noteSigner(key)
  return (size, root) => sign(`${key.name}\n${size}\n${Buffer.from(root).toString('base64')}\n`)
}

/** Reads the text of a checkpoint, signed or not, and believes it. Throws SIGNATURE_INVALID for other text. */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin, size, base64] = text.split('\n', 3)
  const root = Buffer.from(base64 ?? '', 'base64')
  if (
    !origin ||
    !/^(0|[1-9]\d{0,15})$/.test(size ?? '') ||
    !Number.isSafeInteger(Number(size)) ||
    root.length !== 32 ||
    root.toString('base64') !== base64
  ) {
    throw new ProdError('SIGNATURE_INVALID', 'this is not a checkpoint of a log')
  }
  return {origin, size: Number(size), root}
}

/** Reads a checkpoint that the log's own key has signed. Throws SIGNATURE_INVALID for anything else. */
export function openCheckpoint(note: string, key: string | Verifier): Checkpoint {
  const verifier = typeof key === 'string' ? parseVerifierKey(key) : key
  const checkpoint = parseCheckpoint(openNote(note, verifier))
  if (checkpoint.origin !== verifier.name)
    throw new ProdError('SIGNATURE_INVALID', `this checkpoint is of the log ${checkpoint.origin}, not of ${verifier.name}`)
  return checkpoint
}
