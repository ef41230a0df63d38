/**
 * RFC 6962 Merkle trees (hashing: section 2.1; proofs as RFC 9162 sections 2.1.3 and 2.1.4 check them). Pure.
 * Sizes and indices are plain numbers up to 2^53, so shifts are written as divisions.
 */
import {hash} from 'node:crypto'

/** A SHA-256 value, 32 bytes. */
export type Hash = Uint8Array

/** Gives the hash of the complete subtree of 2^level leaves that begins at leaf index × 2^level. */
export type ReadHash = (level: number, index: number) => Hash

/** The right edge of a tree: what is needed to append and to know the root. `peaks[l]` counts where bit l of `size` is set. */
export interface Frontier {
  size: number
  peaks: Hash[]
}

/** Root of the tree without leaves: SHA-256 of nothing. */
export const emptyRoot: Hash = hash('sha256', '', 'buffer')

/** SHA-256(0x00 ‖ data); text is taken as UTF-8. */
export function leafHash(data: string | Uint8Array): Hash {
  if (typeof data === 'string') return hash('sha256', `\0${data}`, 'buffer')
  const bytes = new Uint8Array(data.length + 1)
  bytes.set(data, 1)
  return hash('sha256', bytes, 'buffer')
}

const pair = new Uint8Array(65)
pair[0] = 1

/** SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Hash, right: Hash): Hash {
  pair.set(left, 1)
  pair.set(right, 33)
  return hash('sha256', pair, 'buffer')
}

/** True for two equal hashes. */
export function sameHash(a: Hash, b: Hash): boolean {
  return Buffer.compare(a, b) === 0
}

/** A frontier of no leaves, or of the `size` leaves whose subtrees `read` gives. */
export function frontier(size = 0, read?: ReadHash): Frontier {
  const peaks: Hash[] = []
  for (let level = 0, rest = size; rest > 0; level++, rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) peaks[level] = read!(level, rest - 1)
  }
  return {size, peaks}
}

/** A frontier that can be grown without touching the first. */
export function copyFrontier({size, peaks}: Frontier): Frontier {
  return {size, peaks: [...peaks]}
}

/** Appends one leaf hash, in place. `completed` is told of every complete subtree that ends with it. */
export function append(tree: Frontier, leaf: Hash, completed?: (level: number, index: number, hash: Hash) => void): void {
  let level = 0
  let index = tree.size
  let top = leaf
  for (; index % 2 === 1; level++) {
    top = nodeHash(tree.peaks[level]!, top)
    index = (index - 1) / 2
    completed?.(level + 1, index, top)
  }
  tree.peaks[level] = top
  tree.size++
}

/** Root of a frontier. */
export function rootOf({size, peaks}: Frontier): Hash {
  let root: Hash | undefined
  for (let level = 0, rest = size; rest > 0; level++, rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) root = root ? nodeHash(peaks[level]!, root) : peaks[level]!
  }
  return root ?? emptyRoot
}

/** Largest power of two below n, for n > 1. */
function split(n: number): number {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}

function subtree(begin: number, end: number, read: ReadHash): Hash {
  const count = end - begin
  const level = Math.log2(count)
  if (Number.isInteger(level)) return read(level, begin / count)
  const middle = begin + split(count)
  return nodeHash(subtree(begin, middle, read), subtree(middle, end, read))
}

/** Audit path of the leaf `index` in the tree of `size` leaves, from the leaf up. Throws RangeError for an index outside. */
export function inclusionProof(index: number, size: number, read: ReadHash): Hash[] {
  if (!(Number.isSafeInteger(index) && Number.isSafeInteger(size) && index >= 0 && index < size))
    throw new RangeError('index outside the tree')
  const path: Hash[] = []
  let [begin, end] = [0, size]
  while (end - begin > 1) {
    const middle = begin + split(end - begin)
    if (index < middle) {
      path.push(subtree(middle, end, read))
      end = middle
    } else {
      path.push(subtree(begin, middle, read))
      begin = middle
    }
  }
  return path.reverse()
}

/** Proof that the tree of `first` leaves is a prefix of the tree of `second`. Throws RangeError unless 0 ≤ first ≤ second. */
export function consistencyProof(first: number, second: number, read: ReadHash): Hash[] {
  if (!(Number.isSafeInteger(first) && Number.isSafeInteger(second) && first >= 0 && first <= second))
    throw new RangeError('sizes out of order')
  if (first === 0 || first === second) return []
  const path: Hash[] = []
  let [begin, end] = [0, second]
  while (first !== end) {
    const middle = begin + split(end - begin)
    if (first <= middle) {
      path.push(subtree(middle, end, read))
      end = middle
    } else {
      path.push(subtree(begin, middle, read))
      begin = middle
    }
  }
  if (begin > 0) path.push(subtree(begin, end, read))
  return path.reverse()
}

const isHash = (value: unknown): value is Hash => value instanceof Uint8Array && value.length === 32

/** Whether `proof` leads from the leaf to `root`. Never throws on odd input. Source: RFC 9162 section 2.1.3.2. */
export function verifyInclusion(leaf: Hash, index: number, size: number, proof: readonly Hash[], root: Hash): boolean {
  if (!(Number.isSafeInteger(index) && Number.isSafeInteger(size) && index >= 0 && index < size)) return false
  if (!isHash(leaf) || !isHash(root) || !proof.every(isHash)) return false
  let [node, last, result] = [index, size - 1, leaf]
  for (const sibling of proof) {
    if (last === 0) return false
    if (node % 2 === 1 || node === last) {
      result = nodeHash(sibling, result)
      while (node % 2 === 0 && node !== 0) {
        node /= 2
        last = Math.floor(last / 2)
      }
    } else {
      result = nodeHash(result, sibling)
    }
    node = Math.floor(node / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 && sameHash(result, root)
}

/** Whether `proof` shows that the first tree is a prefix of the second. Never throws on odd input. Source: RFC 9162 section 2.1.4.2. */
export function verifyConsistency(first: number, second: number, firstRoot: Hash, secondRoot: Hash, proof: readonly Hash[]): boolean {
  if (!(Number.isSafeInteger(first) && Number.isSafeInteger(second) && first >= 0 && first <= second)) return false
  if (!isHash(firstRoot) || !isHash(secondRoot) || !proof.every(isHash)) return false
  if (first === second) return proof.length === 0 && sameHash(firstRoot, secondRoot)
  if (first === 0) return proof.length === 0 && sameHash(firstRoot, emptyRoot)
  const path = Number.isInteger(Math.log2(first)) ? [firstRoot, ...proof] : [...proof]
  if (path.length === 0) return false
  let [node, last] = [first - 1, second - 1]
  while (node % 2 === 1) {
    node = (node - 1) / 2
    last = Math.floor(last / 2)
  }
  let [old, now] = [path[0]!, path[0]!]
  for (const sibling of path.slice(1)) {
    if (last === 0) return false
    if (node % 2 === 1 || node === last) {
      old = nodeHash(sibling, old)
      now = nodeHash(sibling, now)
      while (node % 2 === 0 && node !== 0) {
        node /= 2
        last = Math.floor(last / 2)
      }
    } else {
      now = nodeHash(now, sibling)
    }
    node = Math.floor(node / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 && sameHash(old, firstRoot) && sameHash(now, secondRoot)
}
