/** Recordings: whole, sealed, chained, and without one no shell. */
import {createHash} from 'node:crypto'
import {mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {api} from '@prod/sdk/api'
import {openRecorder} from '@prod/sdk/recorder'
import {decodeRecords, headerOf, recordStream} from '@prod/sdk/recording'
import {Decrypter, generateX25519Identity, identityToRecipient} from 'age-encryption'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Core, type OnFinished, startCore} from './core.ts'
import {ask, bytesOf, leave, open, prompt, readRecording, until} from './sessions-shell.ts'

let core: Core
const ends: Parameters<OnFinished>[0][] = []
beforeAll(async () => {
  core = await startCore(end => ends.push(end))
})
afterAll(async () => {
  for (const end of ends) await end()
})

test('TM-O4: what is typed, shown and resized is recorded with its time, NUL and binary too, and sealed', async () => {
  const [alice, carol] = [await core.as('alice'), await core.as('carol')]
  const shell = await open(alice, {size: {columns: 91, rows: 31}, term: 'screen'})
  ;(await shell.connection).resize({columns: 123, rows: 45})
  await shell.type("echo can''ary $TERM; stty size; printf 'x\\000\\377\\001y'\n")
  await shell.shows('canary screen')
  await shell.shows('45 123')
  expect(await leave(shell)).toMatchObject({exit: {status: 0}})

  const {sealed, records} = await readRecording(core, carol, shell.id)
  expect(bytesOf(records, 'stdin').toString()).toBe("echo can''ary $TERM; stty size; printf 'x\\000\\377\\001y'\nexit\n")
  const shown = bytesOf(records, 'stdout')
  expect(shown.includes(Buffer.from('x\x00\xff\x01y', 'latin1'))).toBe(true)
  expect(shown.toString()).toContain('canary screen')
  const sizes = records.filter(one => one.stream === recordStream.resize).map(one => JSON.parse(Buffer.from(one.bytes).toString()))
  expect([sizes[0], sizes.at(-1)]).toEqual([
    {columns: 91, rows: 31},
    {columns: 123, rows: 45},
  ])
  const times = records.filter(one => one.stream !== recordStream.header).map(one => one.at)
  expect(times).toEqual(times.toSorted((a, b) => a - b))

  const files = readdirSync(join(core.dir, 'recordings', shell.id))
  expect(files).toHaveLength(sealed.length)
  for (const file of sealed) {
    expect(file.subarray(0, 21).toString()).toBe('age-encryption.org/v1')
    expect(file.includes('canary')).toBe(false)
  }
  const stranger = new Decrypter()
  stranger.addIdentity(await generateX25519Identity())
  await expect(stranger.decrypt(sealed[0] as Buffer)).rejects.toThrow()
})

test('TM-O4: every chunk names the one before it and its hash is in the log; an altered or missing one is named', async () => {
  const [alice, carol] = [await core.as('alice'), await core.as('carol')]
  const shell = await open(alice)
  for (const word of ['one', 'two', 'three']) {
    await shell.type(`echo ${word}-$((1+1))\n`)
    await shell.shows(`${word}-2`)
    const before = readdirSync(join(core.dir, 'recordings', shell.id)).length
    await until(() => readdirSync(join(core.dir, 'recordings', shell.id)).length > before, 'the next chunk')
  }
  await leave(shell)
  const {sealed} = await readRecording(core, carol, shell.id)
  expect(sealed.length).toBeGreaterThanOrEqual(4)
  const hashes = sealed.map(file => createHash('sha256').update(file).digest('hex'))
  const logged = (await core.events('session.recorded')).filter(({subject}) => subject === shell.id)
  expect(logged.map(({data}) => data.sha256)).toEqual(hashes)
  const [closed] = (await core.events('session.closed')).filter(({subject}) => subject === shell.id)
  expect(closed?.data).toMatchObject({chunks: hashes.length, lastChunk: hashes.at(-1)})
  const opener = new Decrypter()
  opener.addIdentity(readFileSync(join(core.dir, 'recording-key.txt'), 'utf8').trim())
  for (const [number, file] of sealed.entries()) {
    expect(headerOf(decodeRecords(await opener.decrypt(file)))).toMatchObject({
      id: shell.id,
      chunk: number,
      previous: hashes[number - 1] ?? null,
    })
  }

  const path = join(core.dir, 'recordings', shell.id, '000002.age')
  const good = readFileSync(path)
  writeFileSync(path, Buffer.concat([good.subarray(0, -1), Buffer.of((good.at(-1) as number) ^ 1)]))
  await expect(carol.client.call(api.recording, {id: shell.id})).rejects.toThrow(/chunk 2 .*missing or was altered/)
  unlinkSync(path)
  await expect(carol.client.call(api.recording, {id: shell.id})).rejects.toThrow(/chunk 2 .*missing or was altered/)
  expect(core.alarms.filter(({what, session}) => what.includes('recording') && session === shell.id)).toHaveLength(2)
  // the chunks from there on are still to be had
  expect((await carol.client.call(api.recording, {id: shell.id, from: '3'})).chunks).toEqual(
    sealed.slice(3).map(file => file.toString('base64')),
  )
})

test('TM-O4: a flood of output is recorded whole, in chunks that are few', async () => {
  const [alice, carol] = [await core.as('alice'), await core.as('carol')]
  const shell = await open(alice)
  const size = 12 * 1024 * 1024
  await shell.type(`head -c ${size} /dev/zero | tr '\\0' x; echo; echo over-$((1+1))\n`)
  await shell.shows('over-2')
  await leave(shell)
  const {sealed, records} = await readRecording(core, carol, shell.id)
  const shown = bytesOf(records, 'stdout')
  expect(shown.byteLength).toBe(Buffer.byteLength(shell.so))
  expect(shown.equals(Buffer.from(shell.so))).toBe(true)
  expect(sealed.length).toBeLessThan(250)
})

test('TM-O4: when the recording is lost the session ends, loudly', async () => {
  const alice = await core.as('alice')
  const shell = await open(alice)
  const folder = join(core.dir, 'recordings', shell.id)
  renameSync(folder, `${folder}.gone`)
  writeFileSync(folder, '')
  await shell.type('echo unseen\n')
  expect(await shell.done).toMatchObject({endedBy: 'recording lost'})
  expect(core.alarms.some(({what, session}) => what.includes('recording of a session was lost') && session === shell.id)).toBe(true)
  expect(await alice.client.call(api.showSession, {id: shell.id})).toMatchObject({state: 'closed', endedBy: 'recording lost'})
})

test('TM-O4: what cannot be recorded does not open', async () => {
  const alice = await core.as('alice')
  const folder = join(core.dir, 'recordings')
  renameSync(folder, `${folder}.gone`)
  writeFileSync(folder, '')
  try {
    const shell = ask(alice)
    expect(await shell.outcome).toBe('STORE_UNAVAILABLE')
    expect([shell.so, shell.messages.filter(({type}) => type === 'started')]).toEqual(['', []])
  } finally {
    unlinkSync(folder)
    renameSync(`${folder}.gone`, folder)
  }
  const {sessions} = await alice.client.call(api.listSessions)
  expect(sessions[0]).toMatchObject({state: 'closed', exit: {unknown: 'it did not open'}})
  expect(sessions.filter(({state}) => state === 'open')).toEqual([])
})

test('TM-H9: a shell of the development broker sees neither its keys nor its store', async () => {
  const shell = await open(await core.as('alice'))
  await shell.type(
    `cd ${core.dir}; ls keys recordings outputs alerts | grep -v : | wc -w; cat recording-key.txt broker.sqlite broker.sqlite-wal | wc -c; echo checked-$((1+1))\n`,
  )
  await shell.shows('checked-2')
  expect(shell.so).toMatch(/\r0\r\n0\r\n/)
  expect(shell.so).toContain(prompt)
  await leave(shell)
})

test('TM-O4: a recorder whose chunk cannot be told to the log is lost, and says so to whoever writes', async ({onTestFinished}) => {
  const folder = mkdtempSync(join(tmpdir(), 'prod-recorder-'))
  onTestFinished(() => rmSync(folder, {recursive: true}))
  const recipients = [await identityToRecipient(await generateX25519Identity())]
  let told = 0
  const recorder = await openRecorder({
    id: 'ses_x',
    folder,
    recipients,
    startedAt: new Date(),
    sealed: async () => {
      told += 1
      if (told > 1) throw new Error('no log')
    },
  })
  await recorder.write('stdout', Buffer.from('x'))
  await expect(recorder.lost).rejects.toThrow('no log')
  await expect(recorder.write('stdin', Buffer.from('y'))).rejects.toThrow('no log')
  await expect(recorder.close()).rejects.toThrow('no log')
  expect(recorder.chunks).toHaveLength(1)
  await expect(openRecorder({id: 'ses_x', folder: join(folder, '000000.age'), recipients, startedAt: new Date()})).rejects.toThrow()
})

test('a recorder keeps no more than it may, and says that it cut', async ({onTestFinished}) => {
  const folder = mkdtempSync(join(tmpdir(), 'prod-recorder-'))
  onTestFinished(() => rmSync(folder, {recursive: true}))
  const identity = await generateX25519Identity()
  const recorder = await openRecorder({
    id: 'run_x',
    folder,
    recipients: [await identityToRecipient(identity)],
    startedAt: new Date(),
    maxBytes: 1000,
  })
  for (let at = 0; at < 30; at++) await recorder.write('stdout', Buffer.alloc(100, 97 + at))
  expect(recorder.truncated()).toBe(true)
  const chunks = await recorder.close()
  const opener = new Decrypter()
  opener.addIdentity(identity)
  const records = (await Promise.all(chunks.map((_, at) => opener.decrypt(readFileSync(join(folder, `00000${at}.age`)))))).flatMap(
    decodeRecords,
  )
  expect(bytesOf(records, 'stdout')).toEqual(Buffer.concat(Array.from({length: 10}, (_, at) => Buffer.alloc(100, 97 + at))))
})
