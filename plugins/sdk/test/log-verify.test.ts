import {spawnSync} from 'node:child_process'
import {generateKeyPairSync} from 'node:crypto'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {checkpointSigner} from '@prod/sdk/log/checkpoint'
import {type Opening, sealEvent} from '@prod/sdk/log/envelope'
import {exportEnd, exportLine, verifyExport} from '@prod/sdk/log/export'
import {append, frontier, leafHash, rootOf} from '@prod/sdk/log/merkle'
import {verifierKey} from '@prod/sdk/log/note'
import {verifyEntries} from '@prod/sdk/log/verify'
import {describe, expect, onTestFinished, test} from 'vitest'

/** Numbers that look random and are the same each time. */
function chance(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

interface Line {
  index: number
  envelope: string
  openings: Record<string, Opening>
  leaf: string
}

function makeLog(size: number, keptEvery = 64) {
  const {privateKey} = generateKeyPairSync('ed25519')
  const name = 'prod.example/log'
  const key = verifierKey(name, privateKey)
  const sign = checkpointSigner({name, privateKey})
  const tree = frontier()
  const lines: Line[] = []
  const history: string[] = []
  const random = chance(1)
  for (let index = 0; index < size; index++) {
    const event = {
      type: 'run.started',
      by: index % 2 ? 'alice' : 'bob',
      subject: `run_${index % 9}`,
      data: {n: index % 7},
      personal: {reason: `é ${index % 5}`, argv: ['unit', 'status']},
    }
    const {envelope, openings} = sealEvent(event, {
      index,
      time: '2026-11-22T00:00:00.000Z',
      instance: 'b1',
      random: n => Uint8Array.from({length: n}, () => random(256)),
    })
    const leaf = leafHash(envelope)
    lines.push({index, envelope, openings, leaf: Buffer.from(leaf).toString('base64')})
    append(tree, leaf)
    if ((index + 1) % keptEvery === 0) history.push(sign(index + 1, rootOf(tree)))
  }
  const checkpoint = sign(size, rootOf(tree))
  return {key, sign, lines, checkpoint, end: exportEnd({checkpoint, history, key}), root: Buffer.from(rootOf(tree)).toString('base64')}
}

const write = (lines: readonly Line[], end: string) => `${[...lines.map(line => exportLine(line)), end].join('\n')}\n`
const verify = (text: string, key?: string) => verifyExport(text.split('\n'), key)

describe('an export', () => {
  const log = makeLog(300)
  const whole = write(log.lines, log.end)

  test('TM-E14: passes as it is, needs nothing else, and says whose key was believed', async () => {
    expect(await verify(whole, log.key)).toEqual({
      ok: true,
      size: 300,
      root: log.root,
      vouched: 300,
      erased: 0,
      key: log.key,
      keyFrom: 'given',
    })
    expect(await verify(whole)).toMatchObject({ok: true, keyFrom: 'export'})
    expect(await verify(whole, makeLog(1).key)).toMatchObject({ok: false, keyFrom: 'given'})
    expect(await verify('')).toMatchObject({ok: false, firstBad: {index: 0}})
    const empty = makeLog(0)
    expect(await verify(write([], empty.end), empty.key)).toMatchObject({ok: true, size: 0})
    await expect(verify(whole, 'nonsense')).rejects.toMatchObject({code: 'CONFIG_INVALID'})
  })

  test('TM-E12: passes with erased texts, and counts them', async () => {
    const erased = log.lines.map(line => (line.index % 2 ? {...line, openings: {}} : line))
    expect(await verify(write(erased, log.end), log.key)).toMatchObject({ok: true, erased: 450})
  })

  test('TM-E2: of 700 changes of one byte, each is found, and named by the line it was made in', async () => {
    const random = chance(2)
    const bytes = Buffer.from(whole)
    const lastLine = bytes.length - Buffer.byteLength(log.end) - 1
    for (let n = 0; n < 700; n++) {
      const at = n < 60 ? lastLine + random(bytes.length - 1 - lastLine) : random(bytes.length - 1)
      const changed = Buffer.from(bytes)
      changed[at]! ^= 1 << random(8)
      const line = bytes.subarray(0, at).toString().split('\n').length - 1
      const verdict = await verify(changed.toString(), log.key)
      expect({at, line, ok: verdict.ok}).toEqual({at, line, ok: false})
      if (line < 300) expect({at, index: verdict.firstBad!.index}).toEqual({at, index: line})
    }
  })

  /** What somebody with the file but without the key can do; each tells the first record it touches, and how far off the name may be. */
  const attacks: Record<string, (lines: Line[], random: (below: number) => number) => {first: number; slack: number} | undefined> = {
    'an entry deleted': (lines, random) => ({first: lines.splice(random(300), 1)[0]!.index, slack: 0}),
    'an entry deleted and the rest renumbered': (lines, random) => {
      const first = random(299)
      lines.splice(first, 1)
      for (const line of lines.slice(first)) Object.assign(line, rehash(line, {index: line.index - 1}))
      return {first, slack: 63}
    },
    'an entry twice': (lines, random) => {
      const at = random(300)
      lines.splice(at, 0, lines[at]!)
      return {first: at + 1, slack: 0}
    },
    'a foreign entry put in': (lines, random) => {
      const at = random(300)
      lines.splice(at, 0, {...makeLog(at + 1).lines[at]!})
      return {first: at, slack: 63}
    },
    'two entries in each other’s place': (lines, random) => {
      const [a, b] = [random(150), 150 + random(150)]
      ;[lines[a], lines[b]] = [lines[b]!, lines[a]!]
      return {first: a, slack: 0}
    },
    'two entries in each other’s place, renumbered and hashed anew': (lines, random) => {
      const [a, b] = [random(150), 150 + random(150)]
      ;[lines[a], lines[b]] = [rehash(lines[b]!, {index: a}), rehash(lines[a]!, {index: b})]
      return {first: a, slack: 63}
    },
    'the tail cut': (lines, random) => {
      const first = random(300)
      lines.length = first
      return {first, slack: 0}
    },
    'the text of one entry given to another': (lines, random) => {
      const [a, b] = [random(150), 150 + random(150)]
      ;[lines[a], lines[b]] = [
        {...lines[a]!, openings: lines[b]!.openings},
        {...lines[b]!, openings: lines[a]!.openings},
      ]
      return {first: a, slack: 0}
    },
    'one person put in place of another': (lines, random) => {
      const at = random(300)
      const by = {...lines[at]!.openings.by!, value: '"carol"'}
      lines[at] = {...lines[at]!, openings: {...lines[at]!.openings, by}}
      return {first: at, slack: 0}
    },
    'a text added that was not recorded': (lines, random) => {
      const at = random(300)
      lines[at] = {...lines[at]!, openings: {...lines[at]!.openings, note: lines[at]!.openings.by!}}
      return {first: at, slack: 0}
    },
    'an entry rewritten': (lines, random) => {
      const at = random(300)
      lines[at] = {...lines[at]!, envelope: lines[at]!.envelope.replace('run.started', 'run.stopped')}
      return {first: at, slack: 0}
    },
    'an entry rewritten together with its hash': (lines, random) => {
      const at = random(300)
      lines[at] = rehash(lines[at]!, {subject: 'run_x'})
      return {first: at, slack: 63}
    },
  }
  const rehash = (line: Line, change: object): Line => {
    const envelope = JSON.stringify({...JSON.parse(line.envelope), ...change})
    return {index: JSON.parse(envelope).index, envelope, openings: line.openings, leaf: Buffer.from(leafHash(envelope)).toString('base64')}
  }

  test.each(Object.keys(attacks))('TM-E2 TM-E14: 40 times %s: each is found, and named', async name => {
    const random = chance(name.length)
    for (let n = 0; n < 40; n++) {
      const lines = log.lines.map(line => ({...line}))
      const {first, slack} = attacks[name]!(lines, random)!
      const {ok, firstBad, vouched} = await verify(write(lines, log.end), log.key)
      expect(ok).toBe(false)
      expect(vouched).toBeLessThanOrEqual(first)
      expect(Math.abs(firstBad!.index - first)).toBeLessThanOrEqual(slack)
    }
  })

  test('a tail cut together with every later checkpoint is a true older log: only who knows more can tell', async () => {
    const older = {lines: log.lines.slice(0, 128), checkpoint: JSON.parse(log.end).history[1] as string}
    expect(await verifyEntries(older.lines, older.checkpoint, log.key)).toMatchObject({ok: true, size: 128})
    expect(await verifyEntries(older.lines, older.checkpoint, log.key, [log.checkpoint])).toMatchObject({ok: false, firstBad: {index: 128}})
  })

  test('another key may sign what it likes: it is not the log', async () => {
    const forged = makeLog(300)
    expect(await verify(write(forged.lines, forged.end), log.key)).toMatchObject({ok: false})
    expect(await verify(write(log.lines, exportEnd({checkpoint: forged.checkpoint, history: [], key: log.key})), log.key)).toMatchObject({
      ok: false,
      firstBad: {index: 0},
    })
  })

  test('a second implementation, in another language and from the specifications alone, comes to the same root', ({skip}) => {
    const tools = [
      ['python3', '--version'],
      ['openssl', 'version'],
    ] as const
    for (const [tool, flag] of tools) if (spawnSync(tool, [flag]).status !== 0) skip(`there is no ${tool} here`)
    const dir = mkdtempSync(join(tmpdir(), 'prod-export-'))
    onTestFinished(() => rmSync(dir, {recursive: true, force: true}))
    const run = (text: string) => {
      writeFileSync(join(dir, 'export'), text)
      return spawnSync('python3', [new URL('./verify-export.py', import.meta.url).pathname, join(dir, 'export'), log.key], {
        encoding: 'utf8',
      })
    }
    const good = run(whole)
    expect(good.stderr).toBe('')
    expect(JSON.parse(good.stdout)).toEqual({entries: 300, openings: 900, checkpoints: 5, root: log.root})
    expect(run(whole.replace('run_8', 'run_7')).status).not.toBe(0)
  })
})

test('100,000 entries are checked while they stream by', async () => {
  const {privateKey} = generateKeyPairSync('ed25519')
  const key = verifierKey('a', privateKey)
  const tree = frontier()
  function* entries() {
    for (let index = 0; index < 100_000; index++) {
      const envelope = `{"commitments":{},"index":${index},"v":1}`
      append(tree, leafHash(envelope))
      yield {index, envelope, openings: {}}
    }
  }
  for (const _ of entries());
  const checkpoint = checkpointSigner({name: 'a', privateKey})(tree.size, rootOf(tree))
  tree.size = 0
  expect(await verifyEntries(entries(), checkpoint, key)).toMatchObject({ok: true, size: 100_000})
})
