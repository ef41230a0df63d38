import {createHash, createPrivateKey, generateKeyPairSync} from 'node:crypto'
import {canonical} from '@prod/sdk/document'
import {checkpointSigner, openCheckpoint, parseCheckpoint} from '@prod/sdk/log/checkpoint'
import {openEntry, sealEvent} from '@prod/sdk/log/envelope'
import {
  append,
  consistencyProof,
  emptyRoot,
  frontier,
  type Hash,
  inclusionProof,
  leafHash,
  nodeHash,
  type ReadHash,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from '@prod/sdk/log/merkle'
import {noteSigner, openNote, parseVerifierKey, verifierKey} from '@prod/sdk/log/note'
import {entryBundle, hashesFromTiles, parseTilePath, tileHashes, tilePath, tilesOf} from '@prod/sdk/log/tiles'
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import vectors from './log-vectors.json' with {type: 'json'}

const hex = (hash: Uint8Array) => Buffer.from(hash).toString('hex')
const bytes = (text: string) => Buffer.from(text, 'hex')

/** The definition of RFC 6962 section 2.1, word by word. */
function mth(leaves: Hash[]): Hash {
  if (leaves.length === 0) return emptyRoot
  if (leaves.length === 1) return leaves[0]!
  const k = 2 ** Math.floor(Math.log2(leaves.length - 1))
  return nodeHash(mth(leaves.slice(0, k)), mth(leaves.slice(k)))
}
const readFrom =
  (leaves: Hash[]): ReadHash =>
  (level, index) =>
    mth(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level))

describe('the tree', () => {
  const leaves = vectors.leaves.map(leaf => leafHash(bytes(leaf)))

  test('gives the published roots of the eight leaves, for each size', () => {
    const tree = frontier()
    for (const [size, root] of vectors.roots.entries()) {
      expect(hex(rootOf(tree))).toBe(root)
      if (size < 8) append(tree, leaves[size]!)
    }
    expect(hex(leafHash(''))).toBe(vectors.roots[1])
  })

  test('gives the published proofs, and takes them', () => {
    for (const {index, size, proof} of vectors.inclusion) {
      expect(inclusionProof(index, size, readFrom(leaves)).map(hex)).toEqual(proof)
      expect(verifyInclusion(leaves[index]!, index, size, proof.map(bytes), bytes(vectors.roots[size]!))).toBe(true)
    }
    for (const {first, second, proof} of vectors.consistency) {
      expect(consistencyProof(first, second, readFrom(leaves)).map(hex)).toEqual(proof)
      expect(verifyConsistency(first, second, bytes(vectors.roots[first]!), bytes(vectors.roots[second]!), proof.map(bytes))).toBe(true)
    }
  })

  test('every proof of every size up to 40 holds, and none with anything changed', () => {
    const all = Array.from({length: 40}, (_, n) => leafHash(`leaf ${n}`))
    const roots = Array.from({length: 41}, (_, size) => mth(all.slice(0, size)))
    const read = readFrom(all)
    for (let size = 1; size <= 40; size++) {
      for (let index = 0; index < size; index++) {
        const proof = inclusionProof(index, size, read)
        const holds = (leaf: Hash, at: number, of: number, path: Hash[]) => verifyInclusion(leaf, at, of, path, roots[size]!)
        expect(holds(all[index]!, index, size, proof)).toBe(true)
        expect(holds(emptyRoot, index, size, proof)).toBe(false)
        expect(holds(all[index]!, index, size, [...proof, emptyRoot])).toBe(false)
        expect(holds(all[index]!, index, size, proof.slice(1))).toBe(proof.length === 0)
        expect(holds(all[index]!, index + 1, size, proof)).toBe(false)
        expect(holds(all[index]!, -1, size, proof)).toBe(false)
        for (let n = 0; n < proof.length; n++) expect(holds(all[index]!, index, size, proof.with(n, emptyRoot))).toBe(false)
      }
      for (let first = 0; first <= size; first++) {
        const proof = consistencyProof(first, size, read)
        const holds = (path: Hash[]) => verifyConsistency(first, size, roots[first]!, roots[size]!, path)
        expect(holds(proof)).toBe(true)
        expect(holds([...proof, emptyRoot])).toBe(false)
        for (let n = 0; n < proof.length; n++) expect(holds(proof.with(n, emptyRoot))).toBe(false)
        if (first > 0 && first < size) {
          expect(holds(proof.slice(1))).toBe(false)
          expect(verifyConsistency(first, size, emptyRoot, roots[size]!, proof)).toBe(false)
          expect(verifyConsistency(first, size, roots[first]!, emptyRoot, proof)).toBe(false)
        }
      }
    }
  })

  test('tiles of any size give the same proofs and the same right edge', () => {
    const all = Array.from({length: 70_000}, (_, n) => leafHash(String(n)))
    const nodes = new Map<string, Hash>()
    const tree = frontier()
    for (const [n, leaf] of all.entries()) {
      nodes.set(`0/${n}`, leaf)
      append(tree, leaf, (level, index, hash) => nodes.set(`${level}/${index}`, hash))
    }
    const tile = (level: number, index: number, width: number) =>
      Buffer.concat(Array.from({length: width}, (_, n) => nodes.get(`${level * 8}/${index * 256 + n}`)!))
    fc.assert(
      fc.property(fc.integer({min: 1, max: 70_000}), fc.double({min: 0, max: 0.999999, noNaN: true}), (size, part) => {
        const index = Math.floor(size * part)
        const read = hashesFromTiles(size, tile)
        const root = rootOf(frontier(size, read))
        expect(verifyInclusion(all[index]!, index, size, inclusionProof(index, size, read), root)).toBe(true)
        const whole = hashesFromTiles(70_000, tile)
        expect(verifyConsistency(size, 70_000, root, rootOf(tree), consistencyProof(size, 70_000, whole))).toBe(true)
      }),
      {numRuns: 60},
    )
  })
})

describe('tiles', () => {
  test('have the paths of the specification', () => {
    expect(tilePath({level: 0, index: 1_234_067, width: 256})).toBe('tile/0/x001/x234/067')
    expect(tilePath({level: 2, index: 0, width: 1})).toBe('tile/2/000.p/1')
    expect(tilePath({level: 'entries', index: 1000, width: 7})).toBe('tile/entries/x001/000.p/7')
  })

  test('a path is read only as it is written', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.constant('entries' as const), fc.integer({min: 0, max: 63})),
        fc.integer({min: 0, max: 10 ** 14}),
        fc.integer({min: 1, max: 256}),
        (level, index, width) => {
          expect(parseTilePath(tilePath({level, index, width}))).toEqual({level, index, width})
        },
      ),
    )
    for (const path of [
      'tile/64/000',
      'tile/00/000',
      'tile/0/0',
      'tile/0/x000/000',
      'tile/0/000.p/0',
      'tile/0/000.p/256',
      'tile/0/000.p/01',
      'tile/0/000/001',
      'tile/0/../000',
      '/tile/0/000',
      'tile/-1/000',
      'tile/0/000\n',
    ]) {
      expect([path, parseTilePath(path)]).toEqual([path, undefined])
    }
  })

  test('a log of 70,000 entries has the tiles that the specification counts', () => {
    const tiles = [...tilesOf(70_000)]
    const count = (level: number, width: (n: number) => boolean) => tiles.filter(tile => tile.level === level && width(tile.width)).length
    expect([count(0, n => n === 256), count(1, n => n === 256)]).toEqual([273, 1])
    expect(tiles.filter(({width}) => width < 256)).toEqual([
      {level: 0, index: 273, width: 112},
      {level: 1, index: 1, width: 17},
      {level: 2, index: 0, width: 1},
    ])
    expect([...tilesOf(256)]).toEqual([
      {level: 0, index: 0, width: 256},
      {level: 1, index: 0, width: 1},
    ])
    expect(tileHashes(70_000, 0, 274)).toBe(0)
  })

  test('an entry bundle has 16-bit lengths and refuses longer entries', () => {
    expect(Buffer.from(entryBundle(['ab', '', 'é'])).toString('hex')).toBe('000261620000' + '0002c3a9')
    expect(() => entryBundle(['x'.repeat(65_536)])).toThrow(RangeError)
  })
})

describe('notes', () => {
  const {key, seed, text, signature, other, keys} = vectors.note
  const privateKey = createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(seed, 'base64').subarray(1)]),
    format: 'der',
    type: 'pkcs8',
  })

  test('are signed as the published one is', () => {
    expect(verifierKey('PeterNeumann', privateKey)).toBe(key)
    expect(noteSigner({name: 'PeterNeumann', privateKey})(text)).toBe(`${text}\n${signature}`)
  })

  test('published keys are read, and no part or change of one', () => {
    for (const good of [key, ...keys]) expect(verifierKey(parseVerifierKey(good).name, parseVerifierKey(good).publicKey)).toBe(good)
    for (let n = 0; n < key.length; n++) {
      expect(() => parseVerifierKey(key.slice(0, n))).toThrow()
      expect(() => parseVerifierKey(key.slice(n + 1))).toThrow()
      expect(() => parseVerifierKey(key.slice(0, n) + String.fromCharCode(key.charCodeAt(n) + 1) + key.slice(n + 1))).toThrow()
    }
  })

  test('open with the key that signed them, among signatures of others, and in no other form', () => {
    const verifier = parseVerifierKey(key)
    expect(openNote(`${text}\n${signature}`, verifier)).toBe(text)
    expect(openNote(`${text}\n${other}${signature}`, verifier)).toBe(text)
    const bad = [
      text,
      `${text}\n`,
      `${text}\n${signature.slice(0, -1)}`,
      `\u0001${text}\n${signature}`,
      `${text}\n${signature}more\n`,
      `${text}\n${other}`,
      `x${text}\n${signature}`,
      `${text}\n${signature.replace('PeterNeumann', 'Bad Name')}`,
      `${text}\n${signature.replace('ZJ', 'ZK')}`,
      `${text}\n${signature.repeat(101)}`,
    ]
    for (const note of bad) expect(() => openNote(note, verifier)).toThrow()
  })

  test('a checkpoint says origin, size and root, and is believed only from its own log', () => {
    const log = generateKeyPairSync('ed25519').privateKey
    const vkey = verifierKey('prod.example/log', log)
    const note = checkpointSigner({name: 'prod.example/log', privateKey: log})(3, emptyRoot)
    expect(note.split('\n').slice(0, 3)).toEqual(['prod.example/log', '3', '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='])
    expect(openCheckpoint(note, vkey)).toEqual({origin: 'prod.example/log', size: 3, root: emptyRoot})
    const elsewhere = noteSigner({name: 'prod.example/log', privateKey: log})(
      `other.example/log\n3\n${Buffer.from(emptyRoot).toString('base64')}\n`,
    )
    expect(() => openCheckpoint(elsewhere, vkey)).toThrow('other.example/log')
    for (const text of ['a\n03\nAAAA\n', 'a\n-1\n', 'a\n1\n', '', note.replace('\n3\n', '\n03\n')])
      expect(() => parseCheckpoint(text)).toThrow()
  })
})

describe('an envelope', () => {
  const make = (event: Parameters<typeof sealEvent>[0]) =>
    sealEvent(event, {index: 7, time: '2026-11-22T00:00:00.000Z', instance: 'b1', random: n => new Uint8Array(n).fill(1)})

  test('is canonical JSON whose personal fields are commitments that the openings open', () => {
    const {envelope, openings} = make({
      type: 'run.started',
      by: 'alice',
      subject: 'run_1',
      data: {b: 1, a: 2},
      personal: {reason: 'disk "full"', name: undefined},
    })
    const salt = Buffer.alloc(16, 1).toString('base64url')
    const commitment = (json: string) => createHash('sha256').update(`["${salt}",${json}]`).digest('hex')
    expect(JSON.parse(envelope).commitments).toEqual({by: commitment('"alice"'), reason: commitment('"disk \\"full\\""')})
    expect(canonical(JSON.parse(envelope))).toBe(envelope)
    expect(JSON.parse(envelope)).toMatchObject({
      v: 1,
      index: 7,
      time: '2026-11-22T00:00:00.000Z',
      instance: 'b1',
      type: 'run.started',
      subject: 'run_1',
      data: {a: 2, b: 1},
    })
    expect(Object.keys(openings)).toEqual(['by', 'reason'])
    expect(openings.reason!.value).toBe('"disk \\"full\\""')
    expect(envelope).not.toMatch(/alice|disk/)
    expect(openEntry({envelope, openings})).toEqual({
      v: 1,
      index: 7,
      time: '2026-11-22T00:00:00.000Z',
      instance: 'b1',
      type: 'run.started',
      subject: 'run_1',
      data: {a: 2, b: 1},
      by: 'alice',
      personal: {reason: 'disk "full"'},
    })
    expect(openEntry({envelope, openings: {}})).toMatchObject({subject: 'run_1', personal: {}})
  })

  test('TM-E11: any argv comes back as it was', () => {
    fc.assert(
      fc.property(fc.array(fc.string({unit: 'binary'}), {maxLength: 8}), argv => {
        expect(openEntry(make({type: 'run.started', by: 'alice', subject: 'run_1', personal: {argv}})).personal.argv).toEqual(argv)
      }),
    )
  })

  test('refuses what cannot be kept: no Unicode, too long, a field without a plain name', () => {
    expect(() => make({type: 'a.b', by: 'x\udc00', subject: 's'})).toThrow(expect.objectContaining({code: 'BAD_REQUEST'}))
    expect(() => make({type: 'a.b', by: 'x', subject: 's', data: {a: 'é'.repeat(33_000)}})).toThrow(
      expect.objectContaining({code: 'TOO_LARGE'}),
    )
    expect(() => make({type: 'a.b', by: 'x', subject: 's', personal: {'0': 1}})).toThrow(TypeError)
  })
})
