import {spawn, spawnSync} from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {DatabaseSync} from 'node:sqlite'
import {openEntry} from '@prod/sdk/log/envelope'
import {checkpointFile, storeFile, verifyFolder} from '@prod/sdk/log/folder'
import {expect, onTestFinished, test} from 'vitest'
import {networkFileSystem} from '../src/stores/sqlite/files.ts'
import {event, storeContract} from './store-contract.ts'
import {makeFolder, openFolder} from './store-folder.ts'

storeContract(async () => {
  const {dir, key, remove} = makeFolder()
  let now: Date | undefined
  const clock = () => now ?? new Date()
  let store = await openFolder(dir, clock)
  return {
    store,
    verifierKey: key,
    async reopen() {
      await store.close()
      store = await openFolder(dir, clock)
      return store
    },
    set(to) {
      now = to
    },
    async dispose() {
      await store.close()
      remove()
    },
  }
})

function folder() {
  const made = makeFolder()
  onTestFinished(made.remove)
  return made
}

const storm = new URL('./store-storm.ts', import.meta.url).pathname
const disk = new URL('./store-disk.ts', import.meta.url).pathname
const node = (script: string, ...args: string[]) => [process.execPath, '--conditions=source', script, ...args] as const

test('TM-E2 TM-E3 TM-E5 TM-N2: killed in the middle of a storm, the store has every answered commit, its log is whole and no approval was used twice', async () => {
  const {dir} = folder()
  const answered: {run: string; index: number}[] = []
  for (let round = 0; round < 3; round++) {
    const [command, ...args] = node(storm, dir, String(round))
    const child = spawn(command!, args, {stdio: ['ignore', 'pipe', 'inherit']})
    const ended = new Promise(resolve => child.once('exit', resolve))
    let lines = 0
    for await (const line of createInterface({input: child.stdout})) {
      answered.push(JSON.parse(line))
      if (++lines === 150 * (round + 1)) child.kill('SIGKILL')
    }
    await ended
    expect(lines).toBeGreaterThanOrEqual(150)
    expect(await verifyFolder(dir)).toMatchObject({ok: true})
  }
  const store = await openFolder(dir)
  onTestFinished(() => store.close())
  for (const {run, index} of answered) {
    const [row] = await store.entries({from: index, limit: 1})
    expect(openEntry(row!)).toMatchObject({index, subject: run, by: 'alice'})
    expect(await store.find('run', run)).toMatchObject({version: 1})
  }
  // a run is there exactly if its event is: nothing half done, no gap, no void
  const size = await store.logSize()
  const subjects = new Set<string>()
  for (let from = 0; from < size; from += 1000) {
    for (const row of await store.entries({from, limit: 1000})) subjects.add(openEntry(row).subject)
  }
  const runs = (await store.list({kind: 'run'})).map(({id}) => id)
  expect(subjects.size).toBe(size)
  expect(new Set(runs)).toEqual(subjects)
  for (const {value} of await store.list<{uses: number; max: number; runs: string[]}>({kind: 'request'})) {
    expect(value.uses).toBeLessThanOrEqual(value.max)
    for (const run of value.runs) expect(subjects.has(run)).toBe(true)
  }
})

test('TM-N8: a second broker on the same file is refused in clear words, from this process and from another; the file is free once its holder is killed', async () => {
  const {dir} = folder()
  const [command, ...args] = node(storm, dir, '0', 'hold')
  const child = spawn(command!, args, {stdio: ['ignore', 'pipe', 'inherit']})
  const ended = new Promise(resolve => child.once('exit', resolve))
  await new Promise(resolve => child.stdout.once('data', resolve))
  await expect(openFolder(dir)).rejects.toMatchObject({
    code: 'STORE_IN_USE',
    message: expect.stringContaining('another broker is running on'),
  })
  child.kill('SIGKILL')
  await ended

  const store = await openFolder(dir)
  await expect(openFolder(dir)).rejects.toMatchObject({code: 'STORE_IN_USE'})
  // being refused did not loosen the holder's lock
  const other = spawnSync(command!, args, {encoding: 'utf8'})
  expect([other.status, other.stdout]).toEqual([3, 'STORE_IN_USE\n'])
  expect((await store.commit({events: [event('thing_1')]})).ok).toBe(true)
  await store.close()
  await (await openFolder(dir)).close()
})

test('TM-N8: a broker whose lock was taken away by force writes nothing more', async () => {
  const {dir} = folder()
  const first = await openFolder(dir)
  await first.commit({events: [event('thing_1')]})
  unlinkSync(join(dir, `${storeFile}.lock`))
  const second = await openFolder(dir)
  await expect(first.commit({events: [event('thing_2')]})).rejects.toMatchObject({code: 'STORE_IN_USE'})
  expect((await second.commit({events: [event('thing_3')]})).ok).toBe(true)
  await Promise.all([first.close(), second.close()])
  expect(await verifyFolder(dir)).toMatchObject({ok: true, size: 2})
})

test('TM-N8: network file systems are known by their type', () => {
  expect([0x6969, 0xff534d42, -0xacb2be, 0x01021994, 0xef53].map(networkFileSystem)).toEqual(['NFS', 'CIFS', 'CIFS', undefined, undefined])
})

test('TM-U1: the file is for its owner alone; links, foreign and open folders are refused', async () => {
  const {dir} = folder()
  await (await openFolder(dir)).close()
  expect([statSync(dir).mode & 0o777, statSync(join(dir, storeFile)).mode & 0o777]).toEqual([0o700, 0o600])
  chmodSync(join(dir, storeFile), 0o644)
  const store = await openFolder(dir)
  await store.commit({events: [event('thing_1')]})
  for (const end of ['', '-wal', '-shm', '.lock']) expect(statSync(join(dir, storeFile + end)).mode & 0o777).toBe(0o600)
  await store.close()

  chmodSync(dir, 0o777)
  await expect(openFolder(dir)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('can be written by others'),
  })
  chmodSync(dir, 0o700)
  const linked = folder().dir
  symlinkSync(join(dir, storeFile), join(linked, storeFile))
  await expect(openFolder(linked)).rejects.toMatchObject({code: 'CONFIG_INVALID', message: expect.stringContaining('is not a plain file')})
})

test('TM-E4: on a full and on a read-only disk a change fails whole and in clear words, and works again when there is room', ({skip}) => {
  // a namespace of our own, in which we may mount
  const inside = (command: string, ...args: string[]) =>
    spawnSync('/bin/sh', ['-c', 'exec unshare -Urm sh -c "$@"', 'sh', command, ...args], {encoding: 'utf8'})
  if (inside('d=$(mktemp -d) && mount -t tmpfs none $d && umount $d && rmdir $d').status !== 0)
    skip('this machine lets us mount no small disk of our own')
  const parent = mkdtempSync(join(tmpdir(), 'prod-disk-'))
  onTestFinished(() => rmSync(parent, {recursive: true, force: true}))
  const ran = inside('mount -t tmpfs -o size=16m,mode=700 none "$0" && exec "$@"', parent, ...node(disk, parent))
  expect(ran.stderr).toBe('')
  const steps = JSON.parse(ran.stdout)
  expect(steps.full).toMatchObject({code: 'STORE_UNAVAILABLE', message: expect.stringMatching(/full/)})
  expect(steps.readsWhileFull).toBe(true)
  expect(steps.halfDone).toEqual([])
  expect(steps.afterRoom).toBe(true)
  expect(steps.readOnly).toMatchObject({code: 'STORE_UNAVAILABLE'})
  expect(steps.readable).toMatchObject({ok: true, size: steps.commits})
  expect(steps.writable).toBe(true)
})

test('TM-E2: a store that was put back to an older state does not open, and verify names the first record that is gone', async () => {
  const {dir} = folder()
  const first = await openFolder(dir)
  await first.commit({events: [event('thing_1'), event('thing_2')]})
  await first.close()
  const backup = join(dir, 'backup')
  copyFileSync(join(dir, storeFile), backup)
  const second = await openFolder(dir)
  await second.commit({events: [event('thing_3')]})
  await second.close()
  copyFileSync(backup, join(dir, storeFile))
  await expect(openFolder(dir)).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: expect.stringContaining('2 records where 3 were signed'),
  })
  expect(await verifyFolder(dir)).toMatchObject({ok: false, firstBad: {index: 2}})
})

test('TM-E2 TM-E14: each change made to the store file is found and named, in a copy as beside a running broker', async () => {
  const {dir, key} = folder()
  const store = await openFolder(dir)
  for (let n = 0; n < 10; n++) {
    await store.commit({
      events: Array.from({length: 60}, (_, m) => event(`run_${n * 60 + m}`, {personal: {reason: `because ${m}`}, data: {n: m}})),
    })
  }
  expect(await verifyFolder(dir)).toMatchObject({ok: true, size: 600, erased: 0})
  const parent = mkdtempSync(join(tmpdir(), 'prod-copies-'))
  onTestFinished(() => rmSync(parent, {recursive: true, force: true}))
  const copy = async (change: (db: DatabaseSync) => void) => {
    const to = mkdtempSync(join(parent, 'c-'))
    cpSync(dir, to, {recursive: true})
    const db = new DatabaseSync(join(to, storeFile))
    db.exec('PRAGMA wal_checkpoint')
    change(db)
    db.close()
    return verifyFolder(to, key)
  }
  expect(await copy(() => {})).toMatchObject({ok: true, size: 600})
  for (const index of [0, 1, 255, 256, 300, 598, 599]) {
    const at = (sql: string) => copy(db => db.prepare(sql).run(index))
    expect(await at(`UPDATE entries SET envelope = replace(envelope, '"n":', '"m":') WHERE idx = ?`)).toMatchObject({
      ok: false,
      firstBad: {index},
    })
    expect(await at('DELETE FROM entries WHERE idx = ?')).toMatchObject({ok: false, firstBad: {index}})
    expect(await at(`UPDATE entries SET openings = replace(openings, 'because', 'becausE') WHERE idx = ?`)).toMatchObject({
      ok: false,
      firstBad: {index},
    })
    expect(await at(`UPDATE entries SET openings = 'x' WHERE idx = ?`)).toMatchObject({ok: false, firstBad: {index}})
    expect(await at('UPDATE entries SET leaf = zeroblob(32) WHERE idx = ?')).toMatchObject({ok: false, firstBad: {index}})
    expect(await at('UPDATE entries SET idx = 1000 WHERE idx = ?')).toMatchObject({ok: false, firstBad: {index}})
    // an erased text is not damage
    expect(await at(`UPDATE entries SET openings = json_remove(openings, '$.by') WHERE idx = ?`)).toMatchObject({ok: true, erased: 1})
  }
  expect(await copy(db => db.exec('DELETE FROM entries WHERE idx >= 590'))).toMatchObject({ok: false, firstBad: {index: 590}})
  expect(await copy(db => db.exec('UPDATE nodes SET hash = zeroblob(32) WHERE level = 1 AND idx = 1'))).toMatchObject({
    ok: false,
    firstBad: {index: 256},
  })
  expect(await copy(db => db.exec('DELETE FROM nodes'))).toMatchObject({ok: false, firstBad: {index: 0}})
  expect(await copy(db => db.exec('DELETE FROM checkpoints'))).toMatchObject({ok: false})
  expect(await copy(db => db.exec(`UPDATE checkpoints SET note = replace(note, '600', '601')`))).toMatchObject({ok: false})

  // a byte of the log that is still in the -wal file: SQLite drops that commit without a word, the checkpoint beside it does not
  await store.commit({events: [event('run_600', {personal: {reason: 'a needle in the wal'}})]})
  await store.close()
  await (await openFolder(dir)).close()
  const late = await openFolder(dir)
  onTestFinished(() => late.close())
  await late.commit({events: [event('run_601', {personal: {reason: 'a needle in the wal'}})]})
  const to = mkdtempSync(join(parent, 'c-'))
  for (const name of [storeFile, `${storeFile}-wal`]) copyFileSync(join(dir, name), join(to, name))
  writeFileSync(join(to, checkpointFile), await late.checkpoint())
  expect(await verifyFolder(to, key)).toMatchObject({ok: true, size: 602})
  const wal = readFileSync(join(to, `${storeFile}-wal`))
  const byte = wal.indexOf('a needle in the wal')
  expect(byte).toBeGreaterThan(0)
  wal[byte]! ^= 1
  rmSync(join(to, `${storeFile}-shm`), {force: true})
  writeFileSync(join(to, `${storeFile}-wal`), wal)
  expect(await verifyFolder(to, key)).toMatchObject({ok: false, firstBad: {index: 601}})
  await expect(verifyFolder(parent)).rejects.toMatchObject({code: 'NOT_FOUND'})
})

test('a damaged file is a verdict, not a crash', async () => {
  const {dir, key} = folder()
  const store = await openFolder(dir)
  await store.commit({events: Array.from({length: 400}, (_, n) => event(`run_${n}`))})
  await store.close()
  const whole = readFileSync(join(dir, storeFile))
  const to = join(dir, 'copy')
  mkdirSync(to)
  for (const cut of [100, 4096, Math.floor(whole.length / 2), whole.length - 4096]) {
    writeFileSync(join(to, storeFile), whole.subarray(0, cut))
    expect((await verifyFolder(to, key)).ok).toBe(false)
  }
  for (let at = 4096; at < whole.length; at += 4096) {
    const bytes = Buffer.from(whole)
    bytes.fill(0xff, at, at + 64) // the head of a page
    writeFileSync(join(to, storeFile), bytes)
    await verifyFolder(to, key)
  }
})
