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
import {checkOpenings, type Envelope, type Opening} from './envelope.ts'
import {handOverType, keysOf, type LogKey, openCheckpointOf, openHandOver} from './hand-over.ts'
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
 * `erased` counts personal texts that are no longer there; `erasures` what the log itself says of that, and `untold` how many are gone of
 * which none tells. `keys`: the log's keys, oldest first, where there has been more than one.
 */
export interface Verdict {
  ok: boolean
  size: number
  root: string
  firstBad?: {index: number; why: string}
  vouched: number
  erased: number
  erasures?: ErasureTold[]
  untold?: number
  keys?: LogKey[]
}

/** One erasure, as the log tells of it; `by`: who agreed to it, unless they were erased since. */
export interface ErasureTold {
  erasure: string
  at: string
  by: string | null
  texts: number
}

/** Says why one entry is not what was logged at `index`, or gives its leaf hash. */
export function checkEntry(entry: KeptEntry, index: number): {leaf: Hash; erased: number; envelope: Envelope} | {why: string} {
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
  return why === undefined ? {leaf, erased, envelope} : {why}
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
  /** The hand-overs of the log's key that were seen, oldest first. */
  handOvers(): string[]
  /** `completed` is told of each complete subtree, and may say why a kept copy of its hash is not right. */
  finish(checkpoint: string, key: string, history: readonly string[], completed?: Completed): Verdict
} {
  let leaves = Buffer.allocUnsafe(32 * 1024)
  let count = 0
  let erased = 0
  let bad: {index: number; why: string} | undefined
  const handOvers: string[] = []
  const gaps = new Map<number, number>()
  const erasures = new Map<string, ErasureTold>()
  return {
    entry(entry) {
      if (bad) return seekHandOver(entry, handOvers)
      const checked = checkEntry(entry, count)
      if ('why' in checked) {
        bad = {index: count, why: checked.why}
        return seekHandOver(entry, handOvers)
      }
      if ((count + 1) * 32 > leaves.length) leaves = Buffer.concat([leaves, Buffer.allocUnsafe(leaves.length)])
      if (checked.envelope.type === handOverType) {
        const why = whyNoHandOver(checked.envelope, handOvers)
        if (why !== undefined) {
          bad = {index: count, why}
          return
        }
      }
      if (checked.erased > 0) gaps.set(count, checked.erased)
      if (checked.envelope.type === erasedType) takeErasure(checked.envelope, entry, gaps, erasures)
      leaves.set(checked.leaf, count * 32)
      erased += checked.erased
      count++
    },
    bad(why) {
      bad ??= {index: count, why}
    },
    count: () => count,
    handOvers: () => [...handOvers],
    finish(checkpoint, key, history, completed) {
      const keys = knownKeys(key, handOvers)
      return {
        ...checkTree(leaves, count, bad, checkpoint, keys, [...handOvers, ...history], completed),
        erased,
        ...(erasures.size > 0 ? {erasures: [...erasures.values()]} : {}),
        ...untoldOf(erased, gaps, erasures),
        ...(keys.length > 1 ? {keys} : {}),
      }
    },
  }
}

/** Texts that no erasure tells of: those of entries that none names, or as many as are gone beyond what they tell. */
function untoldOf(erased: number, gaps: Map<number, number>, erasures: Map<string, ErasureTold>): {untold?: number} {
  const unnamed = [...gaps.values()].reduce((sum, one) => sum + one, 0)
  const told = [...erasures.values()].reduce((sum, {texts}) => sum + texts, 0)
  const untold = Math.max(unnamed, erased - told)
  return untold > 0 ? {untold} : {}
}

/** Type of the log's entries that say which entries' texts were erased: `data.entries` as `3-9,12`, `data.texts`, `data.erasure`. */
const erasedType = 'text.erased'

/** Takes what an erasure names out of the gaps; those that are left nobody has told of. */
function takeErasure({data, time}: Envelope, {openings}: KeptEntry, gaps: Map<number, number>, told: Map<string, ErasureTold>): void {
  const {entries, texts, erasure} = data ?? {}
  if (typeof entries !== 'string' || typeof texts !== 'number' || typeof erasure !== 'string') return
  for (const range of entries.split(',')) {
    const [first = 0, last = first] = range.split('-').map(Number)
    if (last - first < gaps.size) for (let index = first; index <= last; index++) gaps.delete(index)
    else for (const index of gaps.keys()) if (index >= first && index <= last) gaps.delete(index)
  }
  const by = /^"([^"\\]*)"$/.exec(openings.by?.value ?? '')?.[1] ?? null
  told.set(erasure, {erasure, at: time, by, texts: texts + (told.get(erasure)?.texts ?? 0)})
}

/** Why the entry is no hand-over that belongs here; one that does is added to the row. */
function whyNoHandOver({index, data}: Envelope, row: string[]): string | undefined {
  const note = data?.note
  try {
    if (typeof note !== 'string' || openHandOver(note).size !== index) return 'the hand-over of the log’s key is not one for this place'
    keysOf(openHandOver(row[0] ?? note).from, [...row, note])
  } catch (error) {
    return `the hand-over of the log’s key does not hold: ${error instanceof ProdError ? error.message : 'it cannot be read'}`
  }
  row.push(note)
  return undefined
}

/** Behind a bad record the hand-overs still tell by which key the newest checkpoint is to be judged. They prove themselves. */
function seekHandOver({envelope: text}: KeptEntry, row: string[]): void {
  if (!text.includes(handOverType)) return
  try {
    const envelope = JSON.parse(text) as Envelope
    if (envelope.type === handOverType) whyNoHandOver(envelope, row)
  } catch {
    // what cannot be read is no hand-over
  }
}

/** The keys by which the log is judged. A row of hand-overs without the key that is known counts for nothing: that key alone does then. */
function knownKeys(key: string, handOvers: readonly string[]): LogKey[] {
  parseVerifierKey(key)
  try {
    return keysOf(key, handOvers)
  } catch {
    return [{key, until: null}]
  }
}

/** The tree over the good leaves in front, against the checkpoints. The smallest index that is known to be bad wins. */
function checkTree(
  leaves: Uint8Array,
  count: number,
  bad: {index: number; why: string} | undefined,
  checkpoint: string,
  keys: readonly LogKey[],
  history: readonly string[],
  completed?: Completed,
): Omit<Verdict, 'erased' | 'erasures' | 'untold' | 'keys'> {
  const reasons: {index: number; why: string}[] = bad ? [bad] : []
  let last: {size: number; root: Hash} | undefined
  const signed: {size: number; root: Hash; newest?: boolean}[] = []
  for (const note of history) {
    try {
      signed.push(openCheckpointOf(note, keys))
    } catch {
      reasons.push({index: count, why: 'a kept checkpoint is not signed by the log'})
    }
  }
  let unsigned: string | undefined
  try {
    last = openCheckpointOf(checkpoint, keys)
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
  // a record that is known to be bad says more: it may be the hand-over without which the checkpoint's key is not the log's
  if (unsigned !== undefined && !bad) reasons.push({index: vouched, why: `the checkpoint vouches for nothing: ${unsigned}`})

  const firstBad = reasons.sort((a, b) => a.index - b.index)[0]
  return {
    ok: firstBad === undefined,
    size: last?.size ?? count,
    root: last ? Buffer.from(last.root).toString('base64') : '',
    ...(firstBad ? {firstBad} : {}),
    vouched,
  }
}
