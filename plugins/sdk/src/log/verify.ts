/**
 * Checks a whole log without trusting who keeps it: entries against their kept leaf hashes, the tree of leaf hashes
 * against signed checkpoints. Pure.
 *
 * What can be named: an entry that no longer fits its own leaf hash is named exactly. Whoever rewrites the leaf hash too
 * is found by the next kept checkpoint (one for each 256 entries and the newest): then the first record that no matching
 * checkpoint vouches for is named. What cannot be found: a log whose tail was cut off **together with**
 * every later checkpoint is a true older state of the same log. Only somebody who has seen a later checkpoint (a receipt,
 * a witness, an earlier export) can tell.
 */
import {ProdError} from '../errors.ts'
import {openCheckpoint} from './checkpoint.ts'
import {checkOpenings, type Envelope, type Opening} from './envelope.ts'
import {append, frontier, type Hash, leafHash, rootOf, sameHash} from './merkle.ts'
import {parseVerifierKey} from './note.ts'

/** One entry as it is kept: `leaf` is the hash kept beside it, base64 or bytes. */
export interface KeptEntry {
  index: number
  envelope: string
  openings: Record<string, Opening>
  leaf?: string | Uint8Array
}

/**
 * `root` is base64 as in the checkpoint. `firstBad` is the first record known to be wrong or missing. The records before
 * `vouched` are proven by a signed checkpoint; those between it and `firstBad` look right, but nothing proves them.
 * `erased` counts personal texts that are no longer there.
 */
export interface Verdict {
  ok: boolean
  size: number
  root: string
  firstBad?: {index: number; why: string}
  vouched: number
  erased: number
}

/** Says why one entry is not what was logged at `index`, or gives its leaf hash. */
export function checkEntry(entry: KeptEntry, index: number): {leaf: Hash; erased: number} | {why: string} {
  if (entry.index !== index) return {why: `record ${index} is not in its place; here stands ${String(entry.index)}`}
  const leaf = leafHash(entry.envelope)
  if (entry.leaf !== undefined) {
    const same = typeof entry.leaf === 'string' ? Buffer.from(leaf).toString('base64') === entry.leaf : sameHash(entry.leaf, leaf)
    if (!same) return {why: 'the record does not fit its hash in the log'}
  }
  let envelope: Envelope
  try {
    envelope = JSON.parse(entry.envelope) as Envelope
  } catch {
    return {why: 'the record cannot be read'}
  }
  if (envelope?.v !== 1 || envelope.index !== index || typeof envelope.commitments !== 'object')
    return {why: `this is not record ${index} of a log`}
  const {erased, why} = checkOpenings(envelope, entry.openings)
  return why === undefined ? {leaf, erased} : {why}
}

/**
 * Checks entries 0, 1, 2 … against a checkpoint signed by `key` (a verifier key) and against kept older ones (`history`).
 * Reads `entries` once; keeps 32 bytes for each. Throws only what reading `entries` throws.
 */
export async function verifyEntries(
  entries: Iterable<KeptEntry> | AsyncIterable<KeptEntry>,
  checkpoint: string,
  key: string,
  history: readonly string[] = [],
): Promise<Verdict> {
  const check = checkLog()
  for await (const entry of entries) check.entry(entry)
  return check.finish(checkpoint, key, history)
}

type Completed = (level: number, index: number, hash: Hash) => string | undefined

/** The check of one log, fed entry by entry in order, then told the checkpoints. */
export function checkLog(): {
  entry(entry: KeptEntry): void
  /** Something else is wrong at the place where the next entry should stand. */
  bad(why: string): void
  count(): number
  /** `completed` is told of each complete subtree, and may say why a kept copy of its hash is not right. */
  finish(checkpoint: string, key: string, history: readonly string[], completed?: Completed): Verdict
} {
  let leaves = Buffer.allocUnsafe(32 * 1024)
  let count = 0
  let erased = 0
  let bad: {index: number; why: string} | undefined
  return {
    entry(entry) {
      if (bad) return
      const checked = checkEntry(entry, count)
      if ('why' in checked) {
        bad = {index: count, why: checked.why}
        return
      }
      if ((count + 1) * 32 > leaves.length) leaves = Buffer.concat([leaves, Buffer.allocUnsafe(leaves.length)])
      leaves.set(checked.leaf, count * 32)
      erased += checked.erased
      count++
    },
    bad(why) {
      bad ??= {index: count, why}
    },
    count: () => count,
    finish: (checkpoint, key, history, completed) => ({...checkTree(leaves, count, bad, checkpoint, key, history, completed), erased}),
  }
}

/** The tree over the good leaves in front, against the checkpoints. The smallest index that is known to be bad wins. */
function checkTree(
  leaves: Uint8Array,
  count: number,
  bad: {index: number; why: string} | undefined,
  checkpoint: string,
  key: string,
  history: readonly string[],
  completed?: Completed,
): Omit<Verdict, 'erased'> {
  const verifier = parseVerifierKey(key)
  const reasons: {index: number; why: string}[] = bad ? [bad] : []
  let last: {size: number; root: Hash} | undefined
  const signed: {size: number; root: Hash; newest?: boolean}[] = []
  for (const note of history) {
    try {
      signed.push(openCheckpoint(note, verifier))
    } catch {
      reasons.push({index: count, why: 'a kept checkpoint is not signed by the log'})
    }
  }
  let unsigned: string | undefined
  try {
    last = openCheckpoint(checkpoint, verifier)
    signed.push({...last, newest: true})
  } catch (error) {
    unsigned = error instanceof ProdError ? error.message : 'the checkpoint cannot be read'
  }

  const tree = frontier()
  let vouched = 0
  for (const {size, root, newest} of signed.sort((a, b) => a.size - b.size)) {
    if (size > count) {
      if (!bad) reasons.push({index: count, why: `the log ends before record ${count}, but its checkpoint covers ${size}`})
      break
    }
    while (tree.size < size) {
      append(tree, leaves.subarray(tree.size * 32, tree.size * 32 + 32), (level, index, hash) => {
        const why = completed?.(level, index, hash)
        if (why !== undefined) reasons.push({index: index * 2 ** level, why})
      })
    }
    if (!sameHash(rootOf(tree), root)) {
      reasons.push({
        index: vouched,
        why:
          size === vouched + 1
            ? 'the record was replaced together with its hash'
            : `a record from ${vouched} to ${size - 1} was replaced together with its hash`,
      })
      break
    }
    vouched = size
    if (newest && size < count) reasons.push({index: size, why: `the checkpoint covers ${size} records only`})
  }
  if (unsigned !== undefined) reasons.push({index: vouched, why: `the checkpoint vouches for nothing: ${unsigned}`})

  const firstBad = reasons.sort((a, b) => a.index - b.index)[0]
  return {
    ok: firstBad === undefined,
    size: last?.size ?? count,
    root: last ? Buffer.from(last.root).toString('base64') : '',
    ...(firstBad ? {firstBad} : {}),
    vouched,
  }
}
