import type {DatabaseSync} from 'node:sqlite'

/** Reads the first `width` hashes of a tile; undefined where the log has fewer. Level 0 are the leaf hashes beside the entries. */
export function tileReader(db: DatabaseSync): (level: number, index: number, width: number) => Uint8Array | undefined {
  const leaves = db.prepare('SELECT leaf AS hash FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx')
  const nodes = db.prepare('SELECT hash FROM nodes WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx')
  return (level, index, width) => {
    const range = [index * 256, index * 256 + width] as const
    const rows = level === 0 ? leaves.all(...range) : nodes.all(level, ...range)
    return rows.length < width ? undefined : Buffer.concat(rows.map(row => row.hash as Uint8Array))
  }
}
