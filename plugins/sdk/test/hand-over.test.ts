import {generateKeyPairSync, type KeyObject} from 'node:crypto'
import {checkpointSigner, openCheckpoint} from '@prod/sdk/log/checkpoint'
import {sealEvent} from '@prod/sdk/log/envelope'
import {exportEnd, exportLine, verifyExport} from '@prod/sdk/log/export'
import {followsFrom, keysOf, openCheckpointOf, openHandOver, sameLog, signHandOver} from '@prod/sdk/log/hand-over'
import {append, frontier, leafHash, rootOf} from '@prod/sdk/log/merkle'
import {verifierKey} from '@prod/sdk/log/note'
import {expect, test} from 'vitest'

const name = 'prod.example/log'
const [first, second, third, thief] = Array.from({length: 4}, () => generateKeyPairSync('ed25519').privateKey) as [
  KeyObject,
  KeyObject,
  KeyObject,
  KeyObject,
]
const text = (key: KeyObject) => verifierKey(name, key)
const root = Buffer.alloc(32, 7)
const refused = expect.objectContaining({code: 'SIGNATURE_INVALID'})

test('a hand-over is a checkpoint that both keys vouch for, and says which they are', () => {
  const note = signHandOver(name, first, second, 12, root)
  expect(openHandOver(note)).toMatchObject({origin: name, size: 12, from: text(first), to: text(second)})
  for (const key of [first, second]) expect(openCheckpoint(note, text(key))).toMatchObject({origin: name, size: 12})
  expect(() => openCheckpoint(note, text(third))).toThrow(refused)
})

test('TM-E2 TM-Q8: a hand-over that one of the two keys has not signed, of a byte changed, or of another log, is none', () => {
  const note = signHandOver(name, first, second, 12, root)
  const [head, signatures] = note.split('\n\n') as [string, string]
  const lines = signatures.trimEnd().split('\n')
  for (const one of lines) expect(() => openHandOver(`${head}\n\n${one}\n`)).toThrow(refused)
  // the old key is named, the thief's signs in its place
  const forged = signHandOver(name, thief, second, 12, root).replace(text(thief), text(first))
  expect(() => openHandOver(forged)).toThrow(refused)
  for (let at = 0; at < note.length; at++) {
    const changed = `${note.slice(0, at)}${note[at] === 'A' ? 'B' : 'A'}${note.slice(at + 1)}`
    expect(() => openHandOver(changed), changed).toThrow(refused)
  }
  expect(() => openHandOver(signHandOver(name, first, first, 12, root))).toThrow(refused)
})

test('a row of hand-overs leads from any of its keys to the newest, and to no other', () => {
  const row = [signHandOver(name, first, second, 12, root), signHandOver(name, second, third, 20, root)]
  const keys = [
    {key: text(first), until: 12},
    {key: text(second), until: 20},
    {key: text(third), until: null},
  ]
  for (const {key} of keys) expect(keysOf(key, row)).toEqual(keys)
  expect(keysOf(text(first), [])).toEqual([{key: text(first), until: null}])
  expect([first, second, third, thief].map(key => followsFrom(text(key), text(third), row))).toEqual([true, true, true, false])
  // nobody is led back to a key that was given up
  expect(followsFrom(text(third), text(first), row)).toBe(false)
  expect(followsFrom(text(third), text(first), [])).toBe(false)
  expect(sameLog(text(third), text(first), row)).toBe(true)
  const bad = [
    row.toReversed(),
    [row[0]!, row[0]!],
    [row[0]!, signHandOver(name, second, third, 12, root)],
    [row[0]!, signHandOver(name, thief, third, 20, root)],
  ]
  for (const notes of bad) expect(() => keysOf(text(second), notes)).toThrow(refused)
})

test('a checkpoint counts by the key that was in force at its size alone: a key that was given up signs nothing any more', () => {
  const keys = keysOf(text(second), [signHandOver(name, first, second, 12, root)])
  const signed = (key: KeyObject, size: number) => checkpointSigner({name, privateKey: key})(size, root)
  expect(openCheckpointOf(signed(first, 12), keys).size).toBe(12)
  expect(openCheckpointOf(signed(second, 13), keys).size).toBe(13)
  expect(() => openCheckpointOf(signed(first, 13), keys)).toThrow(refused)
  expect(() => openCheckpointOf(signed(second, 12), keys)).toThrow(refused)
})

/** The export of a log whose key changed at 20 and 40 of 60 records. `forge` may sign the second hand-over otherwise. */
function exported(forge = (size: number, hash: Uint8Array) => signHandOver(name, second, third, size, hash), last = third) {
  const tree = frontier()
  const lines: string[] = []
  const history: string[] = []
  const inForce = (size: number) => (size <= 20 ? first : size <= 40 ? second : last)
  for (let index = 0; index < 60; index++) {
    const note = index === 20 ? signHandOver(name, first, second, 20, rootOf(tree)) : index === 40 ? forge(40, rootOf(tree)) : undefined
    const event =
      note === undefined
        ? {type: 'thing.done', by: 'alice', subject: 't'}
        : {type: 'log.key-changed', by: 'broker', subject: 'log', data: {note}}
    const {envelope, openings} = sealEvent(event, {
      index,
      time: '2026-11-22T00:00:00.000Z',
      instance: 'b',
      random: n => Buffer.alloc(n, index),
    })
    lines.push(exportLine({index, envelope, openings}))
    append(tree, leafHash(envelope))
    if (index % 16 === 15) history.push(checkpointSigner({name, privateKey: inForce(index + 1)})(index + 1, rootOf(tree)))
  }
  const checkpoint = checkpointSigner({name, privateKey: last})(60, rootOf(tree))
  const write = (key: KeyObject, lines_ = lines) => [...lines_, exportEnd({checkpoint, history, key: text(key)})]
  return {lines, write}
}

test('TM-E14: an export over two changes of the key verifies by any of its three keys, and shows the row of them', async () => {
  const {write} = exported()
  for (const [named, known] of [
    [third, third],
    [third, first],
    [first, third],
    [second, first],
  ] as const) {
    expect(await verifyExport(write(named), text(known))).toMatchObject({
      ok: true,
      size: 60,
      vouched: 60,
      keys: [{key: text(first), until: 20}, {until: 40}, {key: text(third), until: null}],
    })
  }
  expect(await verifyExport(write(first))).toMatchObject({ok: true, keyFrom: 'export'})
  expect(await verifyExport(write(third), text(thief))).toMatchObject({ok: false})
})

test('TM-E2 TM-E14: behind a hand-over that the old key has not signed, nothing counts, and the hand-over is named', async () => {
  const stolen = exported((size, hash) => signHandOver(name, thief, thief === third ? second : third, size, hash))
  expect(await verifyExport(stolen.write(third), text(first))).toMatchObject({ok: false, firstBad: {index: 40}})
  // the thief's key without any hand-over
  const bare = exported((size, hash) => signHandOver(name, second, third, size, hash), thief)
  expect(await verifyExport(bare.write(thief), text(first))).toMatchObject({ok: false})
  expect(await verifyExport(bare.write(first), text(first))).toMatchObject({ok: false})
  // a hand-over of this log, at another place
  const moved = exported(() => signHandOver(name, second, third, 39, root))
  expect(await verifyExport(moved.write(third), text(first))).toMatchObject({ok: false, firstBad: {index: 40}})
})

test('TM-E2: a record altered before a hand-over is named exactly, whichever of the keys is known', async () => {
  const {lines, write} = exported()
  for (const at of [5, 30, 50]) {
    const changed = lines.with(at, lines[at]!.replace('thing.done', 'thing.gone'))
    for (const key of [first, third]) expect((await verifyExport(write(third, changed), text(key))).firstBad).toMatchObject({index: at})
  }
})
