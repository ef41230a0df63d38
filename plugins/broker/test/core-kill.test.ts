import {type ChildProcess, spawn, spawnSync} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {api} from '@prod/sdk/api'
import {openEntry} from '@prod/sdk/log/envelope'
import {verifyFolder} from '@prod/sdk/log/folder'
import {briefly} from '@prod/sdk/testing/kept-code'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {codeOf, newKey, notes, openPerson, type Person, prepareFolder, running, until} from './core.ts'
import {fleetFiles, followMany} from './many.ts'

let dir: string
let port: number
let child: ChildProcess
let alice: Person
let bob: Person
let carol: Person
const said: string[] = []

async function start(): Promise<void> {
  child = spawn(process.execPath, [...briefly, '--conditions=source', join(import.meta.dirname, 'core-process.ts'), dir, String(port)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => said.push(text))
  const lines = createInterface({input: child.stdout as NodeJS.ReadableStream})
  const [line] = (await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [undefined])])) as [string | undefined]
  if (line === undefined) throw new Error(`the broker did not start: ${said.join('')}`)
}
async function kill(): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}
async function events(type?: string) {
  const {entries} = await carol.client.call(api.auditEntries, {limit: '1000', ...(type === undefined ? {} : {type})})
  return entries.map(openEntry)
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'prod-kill-'))
  await prepareFolder(dir, fleetFiles(dir))
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as {port: number}).port
  server.close()
  await once(server, 'close')
  await start()
  const place = {name: 'kill', url: `http://127.0.0.1:${port}`}
  ;[alice, bob, carol] = (await Promise.all(['alice', 'bob', 'carol'].map(name => openPerson(place, name, () => new Date())))) as [
    Person,
    Person,
    Person,
  ]
})
afterAll(async () => {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  rmSync(dir, {recursive: true, force: true})
})

test('kill point 1 and 2: what was asked and approved before a broker died is there after it, and runs once', async () => {
  const asked = (await alice.exec(['job', 'note', 'asked'], {wait: false}).message('pending')).request
  const approved = (await alice.exec(['job', 'note', 'approved'], {wait: false}).message('pending')).request
  await bob.approve(approved)
  await kill()
  await start()
  expect((await alice.client.call(api.showRequest, {id: asked})).state).toBe('pending')
  expect((await alice.attach(approved).done).end?.exit).toEqual({status: 0})
  await bob.approve(asked)
  expect((await alice.attach(asked).done).end?.exit).toEqual({status: 0})
  expect(notes(dir)).toEqual(['begin approved', 'end approved', 'begin asked', 'end asked'])
})

test('TM-E5: TM-H12: kill point 5: a broker killed while a child runs leaves nothing running; the outcome is unknown, the target free', async () => {
  const run = alice.exec(['now', 'stubborn'])
  const {id} = await run.message('started')
  await until(() => running(`${dir}/jobs/stubborn-`) === 3)
  await kill()
  expect(await codeOf(run.done)).toBe('LINK_LOST')
  await until(() => running(`${dir}/jobs/stubborn-`) === 0)
  await start()
  const shown = await alice.client.call(api.showRun, {id})
  expect(shown).toMatchObject({
    state: 'unknown',
    endedBy: 'broker loss',
    exit: {unknown: expect.stringContaining('lost')},
    stdout: null,
    receipt: null,
  })
  const again = await alice.attach(id).done
  expect(again.end).toMatchObject({id, exit: {unknown: expect.any(String)}})
  expect(again.receipt).toBeNull()
  const ended = (await events('run.ended')).find(({subject}) => subject === id)
  expect(ended?.data).toMatchObject({outcome: 'unknown', truncated: true})
  expect((await alice.exec(['now', 'note', 'free']).done).end?.exit).toEqual({status: 0})
})

test('TM-E3: TM-E5: TM-N2: killed at any moment, nothing runs twice, nothing is lost, unknown is called unknown, the log is whole', async () => {
  const words: string[] = []
  for (let round = 0; round < 6; round++) {
    const uses = Array.from({length: 4}, (_, at) => {
      const word = `r${round}-${at}`
      words.push(word)
      const key = newKey()
      const run = alice.exec(['now', 'note', word, '0.05'], {key})
      run.done.catch(() => {})
      return {word, key, run}
    })
    await new Promise(resolve => setTimeout(resolve, 15 + round * 30))
    await kill()
    await start()
    // the same key again: what was made stays made
    for (const {word, key} of uses) {
      const again = await alice.exec(['now', 'note', word, '0.05'], {key}).done
      expect([{unknown: expect.any(String)}, {status: 0}], word).toContainEqual(again.end?.exit)
    }
  }
  const all = await events()
  const [started, ended] = [all.filter(({type}) => type === 'run.started'), all.filter(({type}) => type === 'run.ended')]
  expect(started.map(({subject}) => subject).sort()).toEqual(ended.map(({subject}) => subject).sort())
  const begun = notes(dir).filter(line => line.startsWith('begin'))
  for (const word of words) {
    const starts = started.filter(({personal}) => (personal.argv as string[])[2] === word)
    expect(starts, word).toHaveLength(1)
    // durable before it was forked
    expect(begun.filter(line => line === `begin ${word}`).length, word).toBeLessThanOrEqual(1)
    const outcome = ended.find(({subject}) => subject === starts[0]?.subject)?.data
    if (outcome?.outcome === 'ended') expect(notes(dir), word).toContain(`end ${word}`)
  }
  expect(ended.some(({data}) => data?.outcome === 'unknown')).toBe(true)
  expect(await verifyFolder(dir)).toMatchObject({ok: true})
}, 240_000)

test('TM-N4: a grant that was being given when the broker died is given, or not, and ends in its time', async () => {
  const {id} = await alice.client.call(api.createRequest, {key: newKey(), role: 'jobber', reason: 'a role over a kill', durationSeconds: 4})
  await bob.approve(id)
  await kill()
  await start()
  const grant = (await alice.client.call(api.showRequest, {id})).result as string
  await until(async () => (await alice.client.call(api.listGrants, {})).grants.find(one => one.id === grant)?.state === 'expired')
  expect((await alice.client.call(api.whoami)).groups).toEqual(['engineers'])
})

test('TM-E4: while the disk is full nothing starts, the reason is clear, and afterwards it goes on', async ({skip}) => {
  const limit = (size: string) => spawnSync('prlimit', ['--pid', String(child.pid), `--fsize=${size}:unlimited`]).status
  if (limit('unlimited') !== 0) skip('no prlimit here')
  const runs = alice.exec(['now', 'wait', 'full'])
  await until(() => runs.so.stdout.includes('waiting'))
  const before = notes(dir).length
  limit('1')
  try {
    expect(await codeOf(alice.exec(['job', 'say', 'full']).done)).toBe('STORE_UNAVAILABLE')
    const fault = await alice.exec(['now', 'note', 'full']).done.catch((error: unknown) => error)
    expect(fault).toMatchObject({code: 'STORE_UNAVAILABLE', message: expect.stringMatching(/full|disk|room|written/)})
    // what ran ends, and its end waits for room
    writeFileSync(join(dir, 'jobs/go-full'), '')
    await until(() => running(`${dir}/jobs/waiter-full`) === 0)
    expect(notes(dir)).toHaveLength(before)
  } finally {
    limit('unlimited')
  }
  expect((await runs.done).end).toMatchObject({exit: {status: 0}})
  expect((await alice.exec(['now', 'note', 'room']).done).end?.exit).toEqual({status: 0})
  expect(await verifyFolder(dir)).toMatchObject({ok: true})
})

test('a broker that is told to stop ends what runs, records it and leaves nothing', async () => {
  const run = alice.exec(['now', 'stubborn'])
  const {id} = await run.message('started')
  await until(() => running(`${dir}/jobs/stubborn-`) === 3)
  child.kill('SIGTERM')
  const {end} = await run.done
  expect(end?.endedBy).toBe('broker stop')
  await once(child, 'exit')
  expect(running(`${dir}/jobs/stubborn-`)).toBe(0)
  expect(running(dir)).toBe(0)
  await start()
  expect(await alice.client.call(api.showRun, {id})).toMatchObject({state: 'ended', endedBy: 'broker stop'})
  expect(said.join('')).not.toContain('on garbage collection')
})

test('a broker killed in the midst of many targets begins no more of them after it, and says what became of each', async () => {
  const asked = alice.exec(['fleet', 'note', 'many', '5'], {targets: ['w1', 'w2', 'w3', 'w4']})
  const first = followMany(alice, asked)
  await until(() => [...first.states.values()].filter(({state}) => state === 'running').length === 2)
  const {request} = await [...first.runs.values()][0]!.message('started')
  await until(() => notes(dir).filter(line => line === 'begin many').length === 2)
  await kill()
  await start()
  const again = followMany(alice, alice.attach(request))
  expect((await again.over).endedBy).toBe('broker loss')
  expect([...again.states.values()].map(({state, endedBy}) => [state, endedBy])).toEqual([
    ['ended', 'broker loss'],
    ['ended', 'broker loss'],
    ['left', null],
    ['left', null],
  ])
  expect((await alice.client.call(api.showRequest, {id: request})).state).toBe('done')
  expect((await events('run.started')).filter(({data}) => data?.request === request)).toHaveLength(2)
  expect(notes(dir).filter(line => line === 'begin many')).toHaveLength(2)
})
