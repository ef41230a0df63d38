/** `exec --break-glass`, through the real stream: what it demands, what it leaves behind, and that it is no way around anything. */
import {mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import type {ApprovalDocument} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {sealDocument} from '@prod/sdk/document'
import {decodeRecords, type RecordingRecord} from '@prod/sdk/recording'
import type {FirstMessage} from '@prod/sdk/wire'
import {Decrypter} from 'age-encryption'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Config, defaults} from '../src/config.ts'
import {type Core, codeOf, notes, type OnFinished, type Person, prepareFolder, type Run, startCore, until} from './core.ts'
import {alerts, bytesOf, incident} from './sessions-shell.ts'

/** A tool that no rule lets anybody use, whose output is not kept. */
const quiet = (dir: string) => `kind: Tool
name: quiet
summary: nobody may, and nothing of it is kept
program: ${dir}/bin/job
run: { primitive: host, targets: [local, other] }
env: { JOB_DIR: ${dir}/jobs }
limits: { wallSeconds: 20, outputBytes: 33554432 }
retention: none
commands:
  - { path: [say], class: read, operands: [{ name: word, type: { type: string } }] }
  - { path: [flood], class: read, operands: [{ name: bytes, type: { type: string } }] }
  - { path: [cat], class: read, stdin: true }
  - { path: [wait], class: change, operands: [{ name: word, type: { type: string } }] }
`

/** A broker that knows the tool. */
async function start(onFinished: OnFinished, change: Partial<Config> = {}): Promise<Core> {
  const dir = mkdtempSync(join(tmpdir(), 'prod-loud-'))
  onFinished(() => rmSync(dir, {recursive: true, force: true}))
  await prepareFolder(dir, {'catalog/tools/quiet.yaml': quiet(dir)})
  return startCore(onFinished, {dir, settings: change})
}

let core: Core
const ends: Parameters<OnFinished>[0][] = []
beforeAll(async () => {
  core = await start(end => ends.push(end))
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

const reason = 'the queue is stuck and customers wait'
type Word = Partial<FirstMessage & {type: 'exec'}>

/** Runs it as break-glass; what is asked to be typed is typed. */
function loud(person: Person, argv: string[], more: Word = {}, use?: Parameters<Person['exec']>[2]): Run {
  const run = person.exec(argv, {breakGlass: {confirmed: null}, incident, reason, targets: ['local'], ...more}, use)
  run.onMessage(message => {
    if (message.type === 'confirm') void run.connection.then(link => link.send({type: 'confirmed', text: message.text}))
  })
  return run
}

const settings = (more: Partial<Config['breakGlass']>) => ({breakGlass: {...defaults.breakGlass, ...more}})
const runsOf = async (person: Person) => (await person.client.call(api.listRuns)).runs
const reviewOf = async (of: Core, run: string) =>
  (await (await of.as('carol')).client.call(api.listReviews)).reviews.find(({session}) => session === run)
const verdict = {verdict: 'ok', note: 'looked at what it put out; all as the incident says'} as const
const noticesOf = ({messages}: {messages: {type: string}[]}) =>
  messages.flatMap(message => (message.type === 'notice' ? [(message as {text?: string}).text] : []))

async function recordsOf(of: Core, reader: Person, id: string): Promise<RecordingRecord[]> {
  const decrypter = new Decrypter()
  decrypter.addIdentity(/AGE-SECRET-KEY-\S+/.exec(readFileSync(join(of.dir, 'recording-key.txt'), 'utf8'))?.[0] as string)
  const records: RecordingRecord[] = []
  for (let from: number | null = 0; from !== null; ) {
    const page: {chunks: string[]; next: number | null} = await reader.client.call(api.runOutput, {id, from: String(from)})
    for (const chunk of page.chunks) records.push(...decodeRecords(await decrypter.decrypt(Buffer.from(chunk, 'base64'))))
    from = page.next
  }
  return records
}

test('TM-O1, TM-O2, TM-O5: a command that waits for approval runs at once, after the typed name and both alerts; a review comes with it', async () => {
  const alice = await core.as('alice')
  const run = loud(alice, ['job', 'note', 'loud'])
  const confirm = await run.message('confirm')
  expect(confirm).toMatchObject({
    text: 'local',
    banner: [expect.stringContaining('BREAK-GLASS on local (production)'), expect.stringContaining('recorded')],
  })
  const started = await run.message('started')
  expect(started).toMatchObject({target: 'local', environment: 'production', banner: confirm.banner})
  const {end, receipt, stdout} = await run.done
  expect([String(stdout), end?.exit]).toEqual(['noted loud\n', {status: 0}])
  expect(receipt).toMatchObject({run: started.id, reason, approvals: [], target: 'host:local'})
  for (const name of ['a', 'b'] as const) {
    await until(() => alerts(core, name).filter(({subject}) => subject === started.id).length === 2, 'both alerts')
    expect(alerts(core, name).filter(({subject}) => subject === started.id)).toMatchObject([
      {
        type: 'break-glass.started',
        title: 'BREAK-GLASS: job is being run',
        principal: 'alice',
        target: 'local (production)',
        risk: 'change',
        reason: `${incident}: ${reason}`,
      },
      {type: 'break-glass.ended', next: 'prod review ls'},
    ])
  }
  const [shown] = (await runsOf(alice)).filter(({id}) => id === started.id)
  expect(shown).toMatchObject({breakGlass: true, alerted: true, incident, review: expect.stringMatching(/^rev_/), state: 'ended'})
  expect(await reviewOf(core, started.id)).toMatchObject({id: shown?.review, state: 'open', principal: {name: 'alice'}})
  const {document} = await alice.client.call(api.requestDocument, {id: started.request})
  expect(JSON.parse(document) as ApprovalDocument).toMatchObject({breakGlass: true, incident, approvalsNeeded: 0, retention: 'full'})
  const about = (type: string) => core.events(type).then(found => found.filter(({subject}) => subject === started.id))
  expect(await about('run.started')).toMatchObject([
    {data: {breakGlass: true, incident, alerted: ['a', 'b'], review: shown?.review, frozen: false, beyondLimits: []}},
  ])
  expect(await about('run.ended')).toMatchObject([{data: {breakGlass: true}}])
  expect((await about('run.recorded')).length).toBeGreaterThan(0)
  expect((await core.events('break-glass.confirmed')).at(-1)).toMatchObject({
    subject: 'local',
    data: {incident, use: 'run', tool: 'job'},
    personal: {name: 'alice', reason},
  })
})

test.for([
  ['no reason', {reason: ''}, 'REASON_INVALID'],
  ['a reason that was used before', {reasonReused: true}, 'REASON_INVALID'],
  ['no incident', {incident: undefined}, 'INCIDENT_INVALID'],
  ['an incident of another form', {incident: 'because'}, 'INCIDENT_INVALID'],
  ['another name typed', {breakGlass: {confirmed: 'Local'}}, 'CONFIRMATION_FAILED'],
  ['a piped yes', {breakGlass: {confirmed: 'y'}}, 'CONFIRMATION_FAILED'],
  ['several targets', {targets: ['local', 'other']}, 'USAGE'],
  ['a label for targets', {targets: ['environment=production']}, 'USAGE'],
  ['a time to start at', {startAt: new Date(Date.now() + 60_000).toISOString()}, 'USAGE'],
] as const)('TM-O1: with %s no command breaks glass', async ([, more, code]) => {
  const erin = await core.as('erin')
  const before = alerts(core, 'a').length
  expect(await codeOf(loud(erin, ['job', 'note', 'never'], more as Word).done)).toBe(code)
  expect([await runsOf(erin), alerts(core, 'a').length]).toEqual([[], before])
  expect(notes(core.dir)).not.toContain('begin never')
})

test('TM-O1: with a login of an hour ago, and for what policy forbids or does not give, nothing is asked and nothing runs', async ({
  onTestFinished,
}) => {
  const [alice, carol] = [await core.as('alice'), await core.as('carol')]
  const forbidden = loud(alice, ['web', 'stop'])
  const stranger = loud(carol, ['job', 'note', 'never'])
  for (const run of [forbidden, stranger]) {
    expect(await codeOf(run.done)).toBe('DENIED')
    await expect(run.message('confirm')).rejects.toThrow()
  }
  const refused = (await core.events('request.refused')).map(({data, personal}) => [data.code, data.kind, personal.name])
  for (const name of ['alice', 'carol']) expect(refused).toContainEqual(['DENIED', 'exec', name])

  const own = await start(onTestFinished)
  const late = await own.as('alice')
  own.forward(3_600_000)
  expect(await codeOf(loud(late, ['job', 'note', 'never']).done)).toBe('FRESH_LOGIN_REQUIRED')
})

test('what policy allows as it is runs as always, and no glass is broken', async () => {
  const alice = await core.as('alice')
  const before = alerts(core, 'a').length
  const {receipt, messages} = await loud(alice, ['job', 'say', 'plainly']).done
  expect(noticesOf({messages})).toEqual(['policy allows this as it is: no glass had to be broken'])
  expect(messages.map(({type}) => type)).not.toContain('confirm')
  const run = receipt?.run as string
  expect((await runsOf(alice)).find(({id}) => id === run)).toMatchObject({breakGlass: false, review: null, incident})
  expect([await reviewOf(core, run), alerts(core, 'a').length]).toEqual([undefined, before])
})

test('TM-O4: what goes in and comes out is recorded whole, though the tool keeps nothing; its chunks are those of the log', async () => {
  const [alice, carol] = [await core.as('alice'), await core.as('carol')]
  expect(await codeOf(alice.exec(['quiet', 'say', 'x'], {targets: ['local']}).done)).toBe('DENIED')
  const bytes = 12 * 1024 * 1024
  const flood = await loud(alice, ['quiet', 'flood', String(bytes)], {}, {keep: false}).done
  const id = flood.receipt?.run as string
  const records = await recordsOf(core, carol, id)
  expect(bytesOf(records, 'stdout').byteLength).toBe(bytes)
  expect((await runsOf(alice)).find(one => one.id === id)).toMatchObject({stdout: {bytes}})

  const fed = await loud(alice, ['quiet', 'cat'], {}, {stdin: 'what went in\n'}).done
  expect(String(fed.stdout)).toBe('what went in\n')
  const kept = await recordsOf(core, carol, fed.receipt?.run as string)
  expect([String(bytesOf(kept, 'stdin')), String(bytesOf(kept, 'stdout'))]).toEqual(['what went in\n', 'what went in\n'])

  const file = join(core.dir, 'outputs', fed.receipt?.run as string, '000001.age')
  writeFileSync(file, readFileSync(file).fill(0, 200, 210))
  expect(await codeOf(recordsOf(core, carol, fed.receipt?.run as string))).toBe('NOT_FOUND')
  expect(core.alarms.at(-1)?.what).toBe('a recording is missing or was altered')
}, 240_000)

test('TM-O4: a command whose recording is lost is ended; one that cannot be recorded does not start', async () => {
  const erin = await core.as('erin')
  const run = loud(erin, ['job', 'wait', 'unseen'])
  const {id} = await run.message('started')
  await until(() => run.so.stdout === 'waiting\n', 'its first line')
  const folder = join(core.dir, 'outputs', id)
  await until(() => readdirSync(folder).length > 1, 'the chunk of that line')
  renameSync(folder, `${folder}.gone`)
  writeFileSync(folder, '')
  writeFileSync(join(core.dir, 'jobs/go-unseen'), '')
  expect((await run.done).end).toMatchObject({endedBy: 'recording lost'})
  expect(core.alarms.at(-1)).toMatchObject({what: 'the stored output of a run was lost', run: id})
  expect((await runsOf(erin)).find(one => one.id === id)).toMatchObject({endedBy: 'recording lost'})

  const all = join(core.dir, 'outputs')
  renameSync(all, `${all}.gone`)
  writeFileSync(all, '')
  try {
    expect(await codeOf(loud(erin, ['job', 'note', 'unrecorded']).done)).toBe('STORE_UNAVAILABLE')
  } finally {
    unlinkSync(all)
    renameSync(`${all}.gone`, all)
  }
  expect(core.alarms.at(-1)).toMatchObject({what: 'a break-glass run could not be recorded, so it was not started'})
  expect(notes(core.dir)).not.toContain('begin unrecorded')
  expect((await runsOf(erin))[0]).toMatchObject({state: 'unknown', endedBy: 'not started'})
})

test('TM-O3: from a place that is not listed a second person must agree first', async ({onTestFinished}) => {
  const places = ['10.9.8.0/24']
  const own = await start(onTestFinished, {places})
  const [alice, bob] = [await own.as('alice'), await own.as('bob')]
  const {messages} = await loud(alice, ['job', 'note', 'far'], {wait: false}).done
  const pending = messages.find(({type}) => type === 'pending') as {request: string} | undefined
  expect([messages.map(({type}) => type), notes(own.dir)]).toEqual([['confirm', 'pending'], []])
  const waiting = alice.attach(pending?.request as string)
  expect(await waiting.message('waiting')).toMatchObject({approvalsNeeded: 1, summary: expect.stringContaining('listed place')})
  await bob.approve(pending?.request as string)
  expect((await waiting.done).end?.exit).toEqual({status: 0})
  expect(notes(own.dir)).toContain('begin far')
})

test('whoever breaks glass stands in line for the lock, alerted already; one who gives up leaves it', async () => {
  const [alice, erin, bob] = [await core.as('alice'), await core.as('erin'), await core.as('bob')]
  const first = erin.exec(['job', 'wait', 'ahead'])
  await bob.approve((await first.message('waiting')).request)
  await first.message('started')
  const [second, third] = [loud(alice, ['job', 'wait', 'behind']), loud(alice, ['job', 'note', 'gave-up'])]
  for (const run of [second, third]) await run.message('queued')
  expect(alerts(core, 'b').filter(({type, principal}) => type === 'break-glass.started' && principal === 'alice').length).toBeGreaterThan(1)
  ;(await third.connection).send({type: 'cancel'})
  expect(await codeOf(third.done)).toBe('REQUEST_CANCELLED')
  for (const name of ['ahead', 'behind']) writeFileSync(join(core.dir, `jobs/go-${name}`), '')
  expect((await second.done).end?.exit).toEqual({status: 0})
  expect(notes(core.dir)).not.toContain('begin gave-up')
})

test('TM-P4: a request that somebody wrote into the store as break-glass is void, for the log does not know it', async () => {
  const alice = await core.as('alice')
  const request = (await alice.exec(['job', 'note', 'forged'], {wait: false}).done).messages.at(-1) as {request: string}
  const path = join(core.dir, 'broker.sqlite')
  const db = new DatabaseSync(path, {timeout: 5000})
  const row = db.prepare('SELECT value FROM records WHERE id = ?').get(request.request) as {value: string}
  const value = JSON.parse(row.value) as {document: string; draft: object}
  const {text, digest} = sealDocument({...(JSON.parse(value.document) as ApprovalDocument), incident, approvalsNeeded: 0, breakGlass: true})
  const forged = {
    ...value,
    draft: {...value.draft, incident},
    document: text,
    digest,
    state: 'approved',
    approvalsNeeded: 0,
    breakGlass: true,
  }
  db.prepare('UPDATE records SET value = ?, state = ? WHERE id = ?').run(JSON.stringify(forged), 'approved', request.request)
  db.close()
  expect(await codeOf(alice.attach(request.request).done)).toBe('APPROVAL_VOID')
  expect(core.alarms.at(-1)?.what).toBe('a request in the store was altered')
})

test('TM-O5: a review of a run is filed by somebody else, once it is over; overdue it makes the next break-glass wait for a second person', async ({
  onTestFinished,
}) => {
  const own = await start(onTestFinished, settings({reviewDueHours: 0}))
  const [alice, bob, carol] = [await own.as('alice'), await own.as('bob'), await own.as('carol')]
  const run = loud(alice, ['job', 'wait', 'reviewed'])
  const {id} = await run.message('started')
  const review = (await reviewOf(own, id))?.id as string
  expect(await codeOf(carol.client.call(api.doneReview, {id: review, ...verdict}))).toBe('BAD_REQUEST')
  expect(await codeOf(alice.client.call(api.doneReview, {id: review, ...verdict}))).toBe('SELF_REVIEW')
  writeFileSync(join(own.dir, 'jobs/go-reviewed'), '')
  await run.done
  expect((await carol.client.call(api.metrics, {})).values).toMatchObject({
    breakGlass: 1,
    reviewsOpen: 1,
    reviewsOverdue: 1,
    shells: 0,
  })
  const figures = await (await fetch(own.broker.ready.metricsUrl)).text()
  for (const line of ['broker_break_glass_total{kind="exec"} 1', 'broker_reviews_open 1', 'broker_reviews_overdue 1'])
    expect(figures).toContain(line)

  const second = loud(alice, ['job', 'note', 'second'])
  const {request, summary, approvalsNeeded} = await second.message('waiting')
  expect([summary, approvalsNeeded]).toEqual([expect.stringContaining('still waits for its review'), 1])
  expect(notes(own.dir)).not.toContain('begin second')
  await bob.approve(request)
  const {end} = await second.done
  expect(end?.exit).toEqual({status: 0})
  for (const of of [id, end?.id as string]) {
    const open = await reviewOf(own, of)
    expect(await carol.client.call(api.doneReview, {id: open?.id as string, ...verdict})).toMatchObject({state: 'done', session: of})
  }
  expect((await loud(alice, ['job', 'note', 'third']).done).end?.exit).toEqual({status: 0})
})

test('TM-F3: a limit and a freeze are gone beyond by break-glass alone, counted and told', async ({onTestFinished}) => {
  const own = await start(onTestFinished, {limits: [{per: '1h', perPerson: 1}]})
  const [alice, bob] = [await own.as('alice'), await own.as('bob')]
  const now = {targets: []}
  expect((await alice.exec(['now', 'note', 'one', '0']).done).end?.exit).toEqual({status: 0})
  expect(await codeOf(alice.exec(['now', 'note', 'two', '0']).done)).toBe('LIMIT_REACHED')
  const two = await loud(alice, ['now', 'note', 'two', '0'], now).done
  expect(noticesOf(two).at(-1)).toBe(
    'you break glass beyond a limit: what is of class change, admin, shell starts by one person at most once in 1h: this is number 2',
  )
  const three = await loud(alice, ['now', 'note', 'three', '0'], now).done
  expect(noticesOf(three).at(-1)).toContain('this is number 3')
  expect((await own.events('run.started')).map(({data}) => [data.breakGlass, (data.beyondLimits as string[] | undefined)?.length])).toEqual(
    [
      [false, undefined],
      [true, 1],
      [true, 1],
    ],
  )

  await bob.client.call(api.freeze, {reason: 'nothing moves until we know more', all: false})
  const erin = await own.as('erin')
  expect(await codeOf(erin.exec(['now', 'note', 'cold', '0']).done)).toBe('FROZEN')
  const cold = await loud(erin, ['now', 'note', 'cold', '0'], now).done
  expect(noticesOf(cold).at(-1)).toMatch(/^you break glass through a freeze: production is frozen by bob/)
  expect((await own.events('run.started')).at(-1)?.data).toMatchObject({breakGlass: true, frozen: true, beyondLimits: []})
})

/** A receiver of the tests' own: what it answers can be changed. */
async function openReceiver(onFinished: OnFinished): Promise<{url: string; status: number; seen: number}> {
  const state = {url: '', status: 204, seen: 0}
  const server = createServer((request, response) => {
    request.resume()
    state.seen += 1
    response.writeHead(state.status).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return state
}

/** A broker with these receivers as its two channels; they check no signature. */
function startWithReceivers(onFinished: OnFinished, urls: [string, string], more: Partial<Config['breakGlass']>): Promise<Core> {
  const secretFile = join(core.dir, 'keys/alerts-a.secret')
  const channels = urls.map((url, at) => ({name: at === 0 ? 'a' : 'b', notifier: 'webhook', config: {url, secretFile}}))
  return start(onFinished, {...settings(more), channels})
}

test('TM-O2: while one channel does not accept the alert no command runs, loudly; when it is mended the same request runs', async ({
  onTestFinished,
}) => {
  const [a, b] = [await openReceiver(onTestFinished), await openReceiver(onTestFinished)]
  b.status = 500
  const own = await startWithReceivers(onTestFinished, [a.url, b.url], {alertSeconds: 1})
  const alice = await own.as('alice')
  expect(await codeOf(loud(alice, ['job', 'note', 'unheard']).done)).toBe('ALERTS_NOT_ACCEPTED')
  expect([await runsOf(alice), notes(own.dir), own.alarms.length, readdirSync(join(own.dir, 'outputs'))]).toEqual([[], [], 1, []])
  expect((await own.events('break-glass.unalerted')).at(-1)).toMatchObject({data: {code: 'ALERTS_NOT_ACCEPTED', target: 'local', incident}})
  b.status = 204
  const {requests} = await alice.client.call(api.listRequests, {mine: 'true'})
  expect((await alice.attach(requests[0]?.id as string).done).end?.exit).toEqual({status: 0})
  expect(notes(own.dir)).toContain('begin unheard')
})

test('TM-O2: where the operator allows it a second person stands in for dead channels; the log says unalerted, and the alerts are tried on', async ({
  onTestFinished,
}) => {
  const [a, b] = [await openReceiver(onTestFinished), await openReceiver(onTestFinished)]
  a.status = b.status = 500
  const own = await startWithReceivers(onTestFinished, [a.url, b.url], {alertSeconds: 1, withoutAlerts: true})
  const [alice, bob] = [await own.as('alice'), await own.as('bob')]
  const run = loud(alice, ['job', 'note', 'vouched'])
  const {request, summary} = await run.message('waiting')
  expect(summary).toMatch(/its alerts were not accepted$/)
  await expect(alice.approve(request)).rejects.toMatchObject({code: 'SELF_APPROVAL'})
  await bob.approve(request)
  expect((await run.done).receipt?.approvals).toMatchObject([{by: 'bob'}])
  expect((await own.events('run.started')).at(-1)).toMatchObject({data: {alerted: [], breakGlass: true}})
  expect(await runsOf(alice)).toMatchObject([{alerted: false}])
  const before = a.seen
  a.status = b.status = 204
  own.forward(10 * 60_000)
  await until(() => a.seen > before, 'the alert that is tried on')
})

test('TM-O2, TM-O7: a long command is told again and again, ends at the limit of a break-glass, and is ended by who may watch', async ({
  onTestFinished,
}) => {
  const own = await start(onTestFinished, settings({remindSeconds: 1, maxSeconds: 3}))
  const [alice, bob] = [await own.as('alice'), await own.as('bob')]
  const run = loud(alice, ['job', 'wait', 'long'])
  const {id, request} = await run.message('started')
  const {end} = await run.done
  expect(end?.endedBy).toMatch(/^limit: /)
  const types = () => alerts(own, 'a').flatMap(one => (one.subject === id ? [one.type] : []))
  await until(() => types().includes('break-glass.ended'), 'the last alert')
  expect([types()[0], types().includes('break-glass.goes-on')]).toEqual(['break-glass.started', true])
  // it is over for good
  expect((await alice.attach(request).done).end).toMatchObject({id})

  const other = loud(alice, ['job', 'wait', 'other'])
  const {id: second} = await other.message('started')
  expect(await codeOf((await own.as('erin')).client.call(api.endRun, {id: second}))).toBe('RUN_NOT_FOUND')
  await bob.client.call(api.endRun, {id: second, note: 'this is not what the incident says'})
  expect((await other.done).end).toMatchObject({endedBy: 'ended by bob'})
  expect((await own.events('run.end-asked')).at(-1)).toMatchObject({subject: second, personal: {name: 'bob'}})
})

test('a change of policy that takes break-glass away ends the command', async ({onTestFinished}) => {
  const own = await start(onTestFinished)
  const run = loud(await own.as('alice'), ['job', 'wait', 'judged'])
  await run.message('started')
  writeFileSync(join(own.dir, 'policy/tests/break-glass.yaml'), '[]\n')
  const path = 'policy/global/break-glass.cedar'
  await own.change(
    path,
    `${readFileSync(join(own.dir, path), 'utf8')}\n@id("never") forbid (principal, action == Action::"breakGlass", resource);\n`,
  )
  expect((await run.done).end).toMatchObject({endedBy: expect.stringContaining('policy no longer allows it')})
})

test('TM-O2: whoever leaves while the alerts are tried runs nothing', async ({onTestFinished}) => {
  const [a, b] = [await openReceiver(onTestFinished), await openReceiver(onTestFinished)]
  b.status = 500
  const own = await startWithReceivers(onTestFinished, [a.url, b.url], {})
  const alice = await own.as('alice')
  const run = loud(alice, ['job', 'note', 'left'])
  await run.message('notice')
  ;(await run.connection).send({type: 'cancel'})
  expect(await codeOf(run.done)).toBe('REQUEST_CANCELLED')
  expect([await runsOf(alice), notes(own.dir)]).toEqual([[], []])
})
