/** The layout of a log as files, so that any static server and foreign tools can serve and read it. Source: c2sp.org/tlog-tiles. Pure. */
import {append, frontier, type Hash, type ReadHash, rootOf} from './merkle.ts'

/** Hashes in a full tile: subtrees of height 8. */
export const tileWidth = 256
/** An entry bundle has 16-bit lengths, so no entry is longer. */
export const maxEntryBytes = 65535

/** One tile: `level` 0 holds leaf hashes, `entries` the entries themselves. `width` 1-256. */
export interface TileName {
  level: number | 'entries'
  index: number
  width: number
}

/** `tile/0/x001/x234/067`, with `.p/W` for a partial one. */
export function tilePath({level, index, width}: TileName): string {
  const parts = [String(index % 1000).padStart(3, '0')]
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000))
    parts.unshift(`x${String(rest % 1000).padStart(3, '0')}`)
  return `tile/${level}/${parts.join('/')}${width === tileWidth ? '' : `.p/${width}`}`
}

/** Reads a path of {@link tilePath}; undefined for any other spelling. */
export function parseTilePath(path: string): TileName | undefined {
  const [, level, digits, width] = /^tile\/(entries|[1-5]?\d|6[0-3])\/((?:x\d{3}\/){0,4}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(path) ?? []
  if (!level || !digits) return undefined
  const name: TileName = {
    level: level === 'entries' ? level : Number(level),
    index: Number(digits.replace(/[x/]/g, '')),
    width: width === undefined ? tileWidth : Number(width),
  }
  return tilePath(name) === path ? name : undefined
}

/** How many hashes tile `index` of `level` holds when the log has `size` entries: 0-256. */
export function tileHashes(size: number, level: number, index: number): number {
  return Math.max(0, Math.min(tileWidth, Math.floor(size / tileWidth ** level) - index * tileWidth))
}

/** The hash tiles that exist at `size`, partial ones included. */
export function* tilesOf(size: number): Generator<{level: number; index: number; width: number}> {
  for (let level = 0; Math.floor(size / tileWidth ** level) > 0; level++) {
    for (let index = 0; tileHashes(size, level, index) > 0; index++) yield {level, index, width: tileHashes(size, level, index)}
  }
}

/** Entries as one bundle: each with its length before it, 16 bits, big-endian. Throws RangeError for one over {@link maxEntryBytes}. */
export function entryBundle(entries: readonly string[]): Uint8Array {
  return Buffer.concat(
    entries.flatMap(entry => {
      const bytes = Buffer.from(entry)
      if (bytes.length > maxEntryBytes) throw new RangeError('entry too long for a bundle')
      return [Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]
    }),
  )
}

/** Reads subtrees of the tree of `size` leaves out of its tiles; `readTile` is asked only for tiles that exist at that size. */
export function hashesFromTiles(size: number, readTile: (level: number, index: number, width: number) => Uint8Array): ReadHash {
  let [have, bytes]: [string, Uint8Array] = ['', new Uint8Array()]
  return (level, index) => {
    const tileLevel = Math.floor(level / 8)
    const count = 2 ** (level % 8)
    const first = index * count
    const tile = Math.floor(first / tileWidth)
    const offset = (first % tileWidth) * 32
    const width = tileHashes(size, tileLevel, tile)
    if (offset / 32 + count > width) throw new RangeError(`no subtree ${level}/${index} in a tree of ${size}`)
    if (have !== `${tileLevel}/${tile}`) [have, bytes] = [`${tileLevel}/${tile}`, readTile(tileLevel, tile, width)]
    return rootOfHashes(bytes.subarray(offset, offset + count * 32))
  }
}

/** Merkle root over hashes that lie one after the other. */
export function rootOfHashes(bytes: Uint8Array): Hash {
  const tree = frontier()
  for (let at = 0; at < bytes.length; at += 32) append(tree, bytes.subarray(at, at + 32))
  return rootOf(tree)
}
