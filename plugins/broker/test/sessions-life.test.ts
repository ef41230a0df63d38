/** While a shell lives: who sees it, takes it up, ends it; and what follows. One broker serves all but the tests that end it. */
import {type ChildProcess, spawn} from 'node:child_process'
import {mkdtempSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {fileURLToPath} from 'node:url'
import {api} from '@prod/sdk/api'
import {proof} from '@prod/sdk/dpop'
import {briefly} from '@prod/sdk/testing/kept-code'
import {streamPath, streamProtocol} from '@prod/sdk/wire'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {WebSocket} from 'ws'
import {defaults} from '../src/config.ts'
import {type Core, type OnFinished, openPerson, type Person, people, prepareFolder, startCore} from './core.ts'
import {ask, attach, bytesOf, leave, open, openCuttable, prompt, readRecording, until, watch} from './sessions-shell.ts'

let core: Core
let erins: string
const ends: Parameters<OnFinished>[0][] = []
const more = {
  ...people,
  grace: {groups: ['security', 'newcomers']},
  'alice.sec': {groups: ['security'], person: 'ALICE', sub: 'a-3'},
  anon: {groups: ['security'], person: '', sub: 'n-2'},
}
beforeAll(async () => {
  core = await startCore(end => ends.push(end), {files: {'people.json': JSON.stringify(more)}})
  // erin has a session of her own, over by now
  const shell = await open(await core.as('erin'))
  erins = shell.id
  await leave(shell)
})
afterAll(async () => {
  for (const end of ends) await end()
})

const review = (verdict: 'ok' | 'violation' = 'ok') => ({verdict, note: 'the agent was restarted as the incident says'})
const reviewOf = async (of: Person, session: string) => (await of.client.call(api.showSession, {id: session})).review as string

test('TM-A6: to others a session is as unknown as one that never was, whatever they do with it', async () => {
  const [alice, erin] = [await core.as('alice'), await core.as('erin')]
  const shell = await open(alice)
  const never = `ses_${'0'.repeat(shell.id.length - 4)}`
  const said: unknown[][] = []
  for (const id of [shell.id, never]) {
    const calls = [erin.client.call(api.showSession, {id}), erin.client.call(api.endSession, {id}), erin.client.call(api.recording, {id})]
    const tried = await Promise.allSettled([...calls, attach(erin, id).done, watch(erin, id).done])
    said.push(tried.map(one => (one.status === 'rejected' ? [one.reason.code, one.reason.message.replace(id, 'ID')] : one)))
  }
  expect(said[0]).toEqual(Array.from({length: 5}, () => ['SESSION_NOT_FOUND', 'there is no session ID']))
  expect(said[1]).toEqual(said[0])
  expect((await erin.client.call(api.listSessions)).sessions.map(({id}) => id)).toEqual([erins])
  const id = await reviewOf(alice, shell.id)
  await expect(erin.client.call(api.doneReview, {id, ...review()})).rejects.toMatchObject({code: 'REVIEW_NOT_FOUND'})
  expect((await erin.client.call(api.listReviews)).reviews.map(({session}) => session)).toEqual([erins])
  await leave(shell)
})

test('TM-E10: a recording is read with the right to it alone, and each try is in the log', async () => {
  const [alice, bob, carol] = [await core.as('alice'), await core.as('bob'), await core.as('carol')]
  const shell = await open(alice)
  await leave(shell)
  // whose it is, and who may watch, may not read
  for (const person of [alice, bob])
    await expect(person.client.call(api.recording, {id: shell.id})).rejects.toMatchObject({code: 'SESSION_NOT_FOUND'})
  await carol.client.call(api.recording, {id: shell.id})
  const tries = async (type: string) =>
    (await core.events(type)).filter(({subject}) => subject === shell.id).map(({personal}) => personal.name)
  expect(await tries('recording.refused')).toEqual(['alice', 'bob'])
  expect(await tries('recording.read')).toEqual(['carol'])
})

test('TM-O5: the review is filed by somebody else, in words, once, and of a session that is over', async () => {
  const [alice, carol, grace] = [await core.as('alice'), await core.as('carol'), await core.as('grace')]
  const shell = await open(alice)
  const id = await reviewOf(alice, shell.id)
  const file = (who: Person, change = {}) => who.client.call(api.doneReview, {id, ...review(), ...change})
  await expect(file(carol)).rejects.toThrow(/still open/)
  await leave(shell)
  await expect(file(alice)).rejects.toMatchObject({code: 'SELF_REVIEW'})
  await expect(file(await core.as('alice.sec'))).rejects.toMatchObject({code: 'SELF_REVIEW'})
  await expect(file(await core.as('anon'))).rejects.toMatchObject({code: 'SELF_REVIEW'})
  for (const note of ['', '          ', '..............', 'ok'])
    await expect(file(carol, {note})).rejects.toMatchObject({code: 'REASON_INVALID'})
  await expect(carol.client.call(api.doneReview, {id: `rev_${'0'.repeat(id.length - 4)}`, ...review()})).rejects.toMatchObject({
    code: 'REVIEW_NOT_FOUND',
  })
  const both = await Promise.allSettled([file(carol), file(grace, {verdict: 'violation'})])
  expect(both.map(({status}) => status).sort()).toEqual(['fulfilled', 'rejected'])
  await expect(file(carol)).rejects.toMatchObject({code: 'ALREADY_DECIDED'})
  expect((await core.events('review.done')).filter(({subject}) => subject === id)).toHaveLength(1)
})

test('TM-O5: reviews and recordings outlive their target in the catalog', async () => {
  const [alice, carol] = [await core.as('alice'), await core.as('carol')]
  const file = 'catalog/targets/spare.yaml'
  await core.change(file, 'kind: Target\nname: spare\naddress: host:spare\nenvironment: production\n')
  const shell = ask(alice, {target: 'spare'})
  const session = (await shell.message('started')).id
  await shell.shows('[BREAK-GLASS spare] ')
  await leave(shell)
  const loaded = (await core.events('bundle.loaded')).length
  unlinkSync(join(core.dir, file))
  await until(async () => (await core.events('bundle.loaded')).length > loaded, 'the catalog without it')
  await carol.client.call(api.recording, {id: session})
  await carol.client.call(api.doneReview, {id: await reviewOf(alice, session), ...review()})
})

test('a shell is ended by whoever may watch it, and says by whom', async () => {
  const [alice, bob] = [await core.as('alice'), await core.as('bob')]
  const shell = await open(alice)
  await shell.type('trap "" HUP TERM; sleep 987655 &\n')
  await bob.client.call(api.endSession, {id: shell.id, note: 'enough'})
  expect(await shell.done).toMatchObject({id: shell.id, endedBy: 'ended by bob'})
  await expect(bob.client.call(api.endSession, {id: shell.id})).rejects.toMatchObject({code: 'ALREADY_DECIDED'})
})

test('a shell ends with the login it stands on, and so does watching', async () => {
  const alice = await core.as('alice', true)
  const carol = await core.as('carol', true)
  const shell = await open(alice)
  const seen = watch(carol, shell.id)
  await seen.message('started')
  await carol.logout()
  expect(await seen.outcome).toBe('LOGIN_EXPIRED')
  await alice.logout()
  expect(await shell.done).toMatchObject({endedBy: expect.stringContaining('login was ended')})
})

test('TM-G3: watching ends with the right to watch', async () => {
  const [alice, grace] = [await core.as('alice'), await core.as('grace')]
  const shell = await open(alice)
  const seen = watch(grace, shell.id)
  await seen.message('started')
  const file = 'policy/global/no-watching.cedar'
  await core.change(file, '@id("no-watching")\nforbid (principal in Group::"newcomers", action == Action::"watch", resource);\n')
  expect(await seen.outcome).toBe('DENIED')
  const loaded = (await core.events('bundle.loaded')).length
  unlinkSync(join(core.dir, file))
  await until(async () => (await core.events('bundle.loaded')).length > loaded, 'the policy without it')
  await leave(shell)
})

test('what is shown can be watched live, with its size; that is recorded and told to nobody in the shell', async () => {
  const [alice, carol] = [await core.as('alice'), await core.as('carol')]
  const shell = await open(alice)
  const seen = watch(carol, shell.id)
  expect((await seen.message('started')).banner?.[0]).toBe('watching alice on local, 80x24')
  await shell.type('echo look-$((1+1))\n')
  await seen.shows('look-2')
  expect((await core.events('session.watched')).filter(({subject}) => subject === shell.id)).toMatchObject([{personal: {name: 'carol'}}])
  await leave(shell)
  expect(await seen.outcome).toBe('closed')
  expect(seen.messages.at(-1)).toMatchObject({type: 'notice', text: 'the session has ended'})
  expect(shell.messages.filter(({type}) => type === 'notice')).toHaveLength(1)
})

test('a watcher that does not read is let go, and the session does not wait for it', async () => {
  const [alice, carol] = [await core.as('alice'), await core.as('carol')]
  const shell = await open(alice)
  const {broker, key} = carol.session
  const url = broker.url + streamPath
  const accessToken = await carol.session.token()
  const asleep = new WebSocket(url.replace('http', 'ws'), streamProtocol, {
    headers: {authorization: `DPoP ${accessToken}`, dpop: proof(key, {method: 'GET', url, accessToken})},
  })
  await new Promise<void>((resolve, reject) => {
    asleep.once('error', reject)
    asleep.once('open', () => asleep.send(JSON.stringify({type: 'watch', session: shell.id, client: {version: 'test', platform: 'test'}})))
    asleep.once('message', () => resolve())
  })
  asleep.pause()
  await shell.type("head -c 16000000 /dev/zero | tr '\\0' x; echo; echo over-$((1+1))\n")
  await shell.shows('over-2')
  await leave(shell)
  asleep.terminate()
})

test('a cut link loses nothing: taken up again it goes on at the byte where it was', async () => {
  const [alice, carol] = [await core.as('alice'), await core.as('carol')]
  const link = await openCuttable(alice)
  link.type('for i in $(seq 1 400); do echo "line $i."; sleep 0.002; done; echo all-$((1+1))\n')
  await link.shows('line 100.')
  link.cut()
  const have = link.received()
  const again = attach(alice, link.id, {stdout: have, stderr: 0})
  const started = await again.message('started')
  expect(started).toMatchObject({id: link.id, stdout: have, banner: [expect.stringContaining('BREAK-GLASS'), expect.any(String)]})
  await again.shows('all-2')
  await leave(again)
  const shown = bytesOf((await readRecording(core, carol, link.id)).records, 'stdout')
  expect(again.so).toBe(shown.subarray(have).toString())
})

test('another terminal takes a shell over: the first one is told and stays away, the second has input, output and credit', async () => {
  const alice = await core.as('alice')
  const shell = await open(alice)
  await shell.type("head -c 600000 /dev/zero | tr '\\0' x; echo; echo first-$((1+1))\n")
  await shell.shows('first-2')
  const other = attach(alice, shell.id)
  await other.message('started')
  expect(await shell.outcome).toBe('LINK_LOST')
  ;(await other.connection).resize({columns: 100, rows: 40})
  await other.type("head -c 600000 /dev/zero | tr '\\0' y; echo; stty size; echo second-$((1+1))\n")
  await other.shows('second-2')
  expect(other.so).toContain('40 100')
  // bytes beyond what there was are refused, and take nobody's place
  expect(await attach(alice, shell.id, {stdout: 1e9, stderr: 0}).outcome).toBe('BAD_REQUEST')
  expect(await leave(other)).toMatchObject({exit: {status: 0}})
  expect(await attach(alice, shell.id).done).toMatchObject({id: shell.id, exit: {status: 0}})
})

test('TM-O1: Ctrl-C, Ctrl-Z and Ctrl-D are the shell\u2019s', async () => {
  const shell = await open(await core.as('alice'))
  const begin = async (word: string) => {
    await shell.type(`sh -c 'echo ${word}-$((1+1)); exec sleep 987656'\n`)
    await shell.shows(`${word}-2`)
  }
  await begin('first')
  await shell.type('\x03')
  await begin('second')
  await shell.type('\x1a')
  await shell.shows('Stopped')
  await shell.type('kill -9 %1; wait; clear; echo -n over-$((1+1))\n')
  await shell.shows(/over-2.*\[BREAK-GLASS/s)
  await shell.type('\x04')
  expect(await shell.done).toMatchObject({exit: {status: expect.any(Number)}, endedBy: null})
})

test('TM-O5: an overdue review needs a second person for the next break-glass, until it is filed', async ({onTestFinished}) => {
  const own = await startCore(onTestFinished, {settings: {breakGlass: {...defaults.breakGlass, reviewDueHours: 0}}})
  const [alice, bob, carol] = [await own.as('alice'), await own.as('bob'), await own.as('carol')]
  const first = await open(alice)
  await leave(first)
  const second = ask(alice)
  const {request} = await second.message('waiting')
  await bob.approve(request)
  const {id} = await second.message('started')
  await second.shows(prompt)
  await leave(second)
  for (const session of [first.id, id]) await carol.client.call(api.doneReview, {id: await reviewOf(alice, session), ...review()})
  await leave(await open(alice))
})

test('a change of policy that takes break-glass away ends the shell, and so does the end of the broker', async ({onTestFinished}) => {
  const own = await startCore(onTestFinished)
  const alice = await own.as('alice')
  const shell = await open(alice)
  const path = 'policy/global/break-glass.cedar'
  const text = readFileSync(join(own.dir, path), 'utf8')
  const tests = readFileSync(join(own.dir, 'policy/tests/break-glass.yaml'), 'utf8')
  writeFileSync(join(own.dir, 'policy/tests/break-glass.yaml'), '[]\n')
  await own.change(path, `${text}\n@id("never") forbid (principal, action == Action::"breakGlass", resource);\n`)
  expect(await shell.done).toMatchObject({endedBy: expect.stringContaining('policy no longer allows it')})
  writeFileSync(join(own.dir, 'policy/tests/break-glass.yaml'), tests)
  await own.change(path, text)

  const last = await open(alice)
  await own.stop()
  expect(await last.done).toMatchObject({endedBy: 'broker stop'})
})

/** A broker as a process of its own, that can be killed. */
async function startProcess(dir: string): Promise<{child: ChildProcess; url: string}> {
  const child = spawn(
    process.execPath,
    [...briefly, '--conditions=source', fileURLToPath(new URL('sessions-child.ts', import.meta.url)), dir],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({input: child.stdout!}).once('line', resolve)
    child.once('exit', () => reject(new Error('it ended')))
  })
  return {child, url: (JSON.parse(line) as {url: string}).url}
}

test('after SIGKILL nothing runs on, the session is closed as unknown, what was recorded can be read and the review waits', async ({
  onTestFinished,
}) => {
  const dir = mkdtempSync(join(tmpdir(), 'prod-killed-'))
  onTestFinished(() => rmSync(dir, {recursive: true, force: true}))
  await prepareFolder(dir)
  const {child, url} = await startProcess(dir)
  onTestFinished(() => void child.kill('SIGKILL'))
  const alice = await openPerson({name: 'killed', url}, 'alice', () => new Date())
  const mark = `98${process.pid}${Date.now() % 1e6}`
  const shell = await open(alice)
  await shell.type(`echo seen-$((1+1)); setsid sleep ${mark}\n`)
  await shell.shows('seen-2')
  const chunks = join(dir, 'recordings', shell.id)
  const before = readdirSync(chunks).length
  // a chunk is begun when the one before it is in the log
  await until(async () => {
    await shell.type('\n')
    return readdirSync(chunks).length > before + 2
  }, 'more chunks')
  child.kill('SIGKILL')
  expect(['LINK_LOST', 'BROKER_UNREACHABLE']).toContain(await shell.outcome)
  const sleeping = () =>
    readdirSync('/proc').some(name => {
      try {
        return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(mark)
      } catch {
        return false
      }
    })
  await until(() => !sleeping(), 'the end of what ran in it')

  const again = await startCore(onTestFinished, {dir})
  const [owner, carol] = [await again.as('alice'), await again.as('carol')]
  expect(await owner.client.call(api.showSession, {id: shell.id})).toMatchObject({
    state: 'closed',
    exit: {unknown: expect.any(String)},
    endedBy: 'broker loss',
  })
  expect(await attach(owner, shell.id).done).toMatchObject({id: shell.id, exit: {unknown: expect.any(String)}})
  expect(bytesOf((await readRecording(again, carol, shell.id)).records, 'stdout').toString()).toContain('seen-2')
  expect((await carol.client.call(api.listReviews)).reviews).toMatchObject([{session: shell.id, state: 'open'}])
})
