/** The kit and the hand-in (TM-O6), without a CLI: what a broker issues, and what it makes of a spool, true or altered. */
import {createHmac} from 'node:crypto'
import {mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {api} from '@prod/sdk/api'
import {canonical, sha256} from '@prod/sdk/document'
import {createLoginKey, type LoginKey} from '@prod/sdk/dpop'
import type {KitClaims} from '@prod/sdk/kit'
import {openRecorder} from '@prod/sdk/recorder'
import {hashEntry, type SpoolEvent, signEntry} from '@prod/sdk/spool'
import {decodeJwt, importJWK, jwtVerify} from 'jose'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {defaults} from '../src/config.ts'
import {type Core, codeOf, type OnFinished, type Person, startCore} from './core.ts'
import {alerts, bytesOf, readRecording} from './sessions-shell.ts'

const reason = 'the agent is wedged and pages us'
const size = {columns: 80, rows: 24}
const web1 = `kind: Target
name: web-1
address: ssm:us-east-1/i-0a1b2c3d4e5f60001
environment: production
offline: { role: break-glass }
`
const ends: Parameters<OnFinished>[0][] = []
let core: Core
let alice: Person
let kit: string
let claims: KitClaims

beforeAll(async () => {
  core = await startCore(end => ends.push(end), {files: {'catalog/targets/web-1.yaml': web1}})
  alice = await core.as('alice')
  ;({kit, claims} = await kitOf(alice))
})
afterAll(async () => {
  for (const end of ends) await end()
})

async function kitOf(person: Person): Promise<{kit: string; claims: KitClaims}> {
  const answer = await person.client.call(api.breakGlassKit)
  if (answer.kit === null) throw new Error(answer.why)
  return {kit: answer.kit, claims: decodeJwt(answer.kit) as unknown as KitClaims}
}

let numbered = 0
/** A spool as the CLI writes it, in memory. */
class Spool {
  readonly id = `ses_0000000000000${String(++numbered).padStart(4, '0')}`
  readonly lines: string[] = []
  readonly chunks: string[] = []
  readonly #key: LoginKey
  readonly #kit: string
  at: Date

  constructor(kitId: string, key: LoginKey, at: Date = new Date()) {
    this.#kit = kitId
    this.#key = key
    this.at = at
  }
  add(event: SpoolEvent): this {
    const previous = this.lines.length === 0 ? null : hashEntry(this.lines.at(-1) as string)
    this.lines.push(signEntry(this.#key, {session: this.id, n: this.lines.length, previous, at: this.at.toISOString(), event}))
    return this
  }
  began(more: Partial<SpoolEvent & {type: 'began'}> = {}): this {
    return this.add({type: 'began', kit: this.#kit, drill: false, target: 'web-1', reason, incident: 'INC-7', ...size, ...more})
  }
  async recorded(text: string): Promise<this> {
    const folder = mkdtempSync(join(tmpdir(), 'prod-spool-'))
    const sealed: SpoolEvent[] = []
    const recorder = await openRecorder({
      id: this.id,
      folder,
      recipients: claims.recipients,
      startedAt: this.at,
      sealed: async chunk => void sealed.push({type: 'recorded', ...chunk}),
    })
    await recorder.write('stdout', Buffer.from(text))
    for (const {chunk} of await recorder.close())
      this.chunks.push(readFileSync(join(folder, `${String(chunk).padStart(6, '0')}.age`)).toString('base64'))
    rmSync(folder, {recursive: true})
    for (const event of sealed) this.add(event)
    return this
  }
  closed(more: Partial<SpoolEvent & {type: 'closed'}> = {}): this {
    return this.add({type: 'closed', exit: {status: 0}, endedBy: null, channels: ['a', 'b'], ...more})
  }
  handIn(person: Person, more: Partial<{kit: string; from: number; entries: string[]; chunks: string[]; last: boolean}> = {}) {
    return person.client.call(api.handIn, {kit, session: this.id, from: 0, entries: this.lines, chunks: this.chunks, last: true, ...more})
  }
}

const both: SpoolEvent = {type: 'alerted', channels: ['a', 'b']}
async function whole(key = alice.session.key): Promise<Spool> {
  const spool = await new Spool(claims.id, key).began().add(both).recorded('hello from production\r\n')
  return spool.add({type: 'opened'}).closed()
}
const logged = async (subject: string) => (await core.events()).filter(event => event.subject === subject)

test('TM-O6: a kit names who, where, by which key, how loudly and until when; no credential and no secret is in it', async () => {
  const {publicJwk} = (await core.as('bob')).session.key
  const configuration = await alice.client.call(api.loginConfiguration)
  await jwtVerify(kit, await importJWK(configuration.receiptKey, 'EdDSA'), {typ: 'prod-kit+jws'})
  expect(claims).toMatchObject({
    broker: core.url,
    principal: {name: 'alice'},
    login: alice.session.login,
    jwk: alice.session.key.publicJwk,
    targets: [{name: 'web-1', address: 'ssm:us-east-1/i-0a1b2c3d4e5f60001', environment: 'production', role: 'break-glass'}],
    channels: [{name: 'a'}, {name: 'b'}],
    recipients: [expect.stringMatching(/^age1/)],
    maxSeconds: 3600,
  })
  expect(claims.jwk).not.toEqual(publicJwk)
  expect(Date.parse(claims.expiresAt) - Date.parse(claims.loggedInAt)).toBe(12 * 3_600_000)
  expect(JSON.stringify(claims)).not.toMatch(/whsec_|secret|token/i)
  expect(await logged(claims.id)).toMatchObject([{type: 'break-glass.kit-issued', by: 'alice', data: {targets: ['web-1']}}])
})

test('TM-O6: with it come the alert channels, each with a secret that signs for this person alone', async () => {
  const answer = await alice.client.call(api.breakGlassKit)
  if (answer.kit === null) throw new Error(answer.why)
  const signed = (decodeJwt(answer.kit) as unknown as KitClaims).channels
  expect(answer.channels.map(({config}) => sha256(canonical(config)))).toEqual(signed.map(one => one.sha256))
  const master = readFileSync(join(core.dir, 'keys/alerts-a.secret'), 'utf8')
  const derived = createHmac('sha256', Buffer.from(master.slice(6), 'base64'))
    .update('prod holder alice')
    .digest('base64')
  expect(answer.channels[0]).toMatchObject({name: 'a', notifier: 'webhook', config: {holder: 'alice', secret: `whsec_${derived}`}})
  expect(JSON.stringify(answer)).not.toContain(master)
  expect(JSON.stringify(await core.events())).not.toContain(derived)
})

test('TM-O6: no kit for who may not break glass, outside the listed places, with a login that is too old, or where the operator gives none', async ({
  onTestFinished,
}) => {
  expect(await (await core.as('carol')).client.call(api.breakGlassKit)).toEqual({kit: null, why: expect.stringContaining('no target')})
  const own = async (settings: object, ahead = 0) => {
    const other = await startCore(onTestFinished, {files: {'catalog/targets/web-1.yaml': web1}, settings})
    const person = await other.as('alice')
    other.forward(ahead)
    return (await person.client.call(api.breakGlassKit)) as {kit: null; why: string}
  }
  expect((await own({places: ['10.0.0.0/8']})).why).toContain('listed places')
  expect((await own({breakGlass: {...defaults.breakGlass, kitHours: 0}})).why).toContain('no kits')
  expect((await own({breakGlass: {...defaults.breakGlass, kitHours: 1}}, 3_700_000)).why).toContain('too old')
})

test('TM-O6: what was done without the broker becomes a session with its recording and a review that somebody else closes', async () => {
  const spool = await whole()
  const answer = await spool.handIn(alice)
  expect(answer).toMatchObject({session: spool.id, next: spool.lines.length, review: expect.stringMatching(/^rev_/), faults: []})
  const {receiptKey} = await alice.client.call(api.loginConfiguration)
  const {payload} = await jwtVerify(answer.receipt as string, await importJWK(receiptKey, 'EdDSA'), {typ: 'prod-handed-in+jws'})
  expect(payload).toEqual({session: spool.id, next: spool.lines.length, head: hashEntry(spool.lines.at(-1) as string)})

  const carol = await core.as('carol')
  const {sessions} = await carol.client.call(api.listSessions)
  expect(sessions.find(({id}) => id === spool.id)).toMatchObject({
    state: 'closed',
    breakGlass: true,
    principal: {name: 'alice'},
    target: {name: 'web-1'},
    incident: 'INC-7',
    exit: {status: 0},
    endedBy: null,
    openedAt: spool.at.toISOString(),
    offline: {handedInAt: expect.any(String)},
  })
  expect(bytesOf((await readRecording(core, carol, spool.id)).records, 'stdout').toString()).toBe('hello from production\r\n')
  const types = (await logged(spool.id)).map(({type}) => type)
  expect(types).toEqual(expect.arrayContaining(['session.opened', 'session.recorded', 'session.closed', 'recording.read']))
  await expect.poll(() => alerts(core, 'b').find(({type, subject}) => type === 'break-glass.ended' && subject === spool.id)).toBeDefined()

  const id = answer.review as string
  const filed = {id, verdict: 'ok', note: 'the agent was restarted as the incident says'} as const
  await expect(alice.client.call(api.doneReview, filed)).rejects.toMatchObject({code: 'SELF_REVIEW'})
  expect(await carol.client.call(api.doneReview, filed)).toMatchObject({state: 'done', session: spool.id})
  // handed in again, it is the same one
  expect(await spool.handIn(alice)).toEqual(answer)
  expect((await logged(spool.id)).filter(({type}) => type === 'session.opened')).toHaveLength(1)
})

test('TM-O6: page by page, whatever is sent twice or out of turn; of two at once one counts', async () => {
  const spool = await whole()
  const first = {entries: spool.lines.slice(0, 2), chunks: [], last: false}
  expect(await spool.handIn(alice, first)).toMatchObject({next: 2, receipt: null})
  expect(await spool.handIn(alice, first)).toMatchObject({next: 2, receipt: null})
  expect(await spool.handIn(alice, {from: 4, entries: [], chunks: [], last: true})).toMatchObject({next: 2, receipt: null})
  const rest = {from: 2, entries: spool.lines.slice(2), chunks: spool.chunks, last: true}
  const answers = await Promise.all([spool.handIn(alice, rest), spool.handIn(alice, rest)])
  expect(answers.some(({receipt}) => receipt !== null)).toBe(true)
  const types = (await logged(spool.id)).map(({type}) => type)
  expect(types.filter(type => type === 'session.opened' || type === 'session.closed')).toEqual(['session.opened', 'session.closed'])
})

test('TM-O6: an altered spool is refused, is an alarm and is in the log: entries changed, dropped, swapped, of another key, other bytes', async () => {
  const stranger = createLoginKey().key
  const other = await whole()
  const alter: Record<string, (spool: Spool) => Parameters<Spool['handIn']>[1]> = {
    'signed by another key': spool => ({entries: [signEntry(stranger, entryOf(spool.lines[0])), ...spool.lines.slice(1)]}),
    'a changed word': spool => ({entries: spool.lines.map((line, at) => (at === 0 ? changed(line) : line))}),
    'one is missing': spool => ({entries: spool.lines.filter((_, at) => at !== 1)}),
    'two are swapped': spool => ({entries: [spool.lines[1], spool.lines[0], ...spool.lines.slice(2)] as string[]}),
    'one of another spool': spool => ({entries: [spool.lines[0] as string, other.lines[1] as string, ...spool.lines.slice(2)]}),
    'other bytes in a chunk': spool => ({chunks: spool.chunks.map(() => Buffer.from('nothing to see').toString('base64'))}),
    'a chunk is missing': spool => ({chunks: spool.chunks.slice(1)}),
    'it goes on after its end': spool => ({entries: spool.add({type: 'opened'}).lines}),
    'a kit of nobody': () => ({kit: stranger.sign({typ: 'prod-kit+jws'}, {...claims})}),
  }
  for (const [what, change] of Object.entries(alter)) {
    const spool = await whole()
    const alarms = core.alarms.length
    expect(await codeOf(spool.handIn(alice, change(spool) ?? {})), what).toBe('SIGNATURE_INVALID')
    expect(
      core.alarms.slice(alarms).map(one => one.what),
      what,
    ).toEqual(['the spool of a break-glass without the broker was altered'])
    expect(
      (await logged(spool.id)).map(({type}) => type),
      what,
    ).toEqual(['break-glass.hand-in-refused'])
  }
})

function entryOf(line = ''): never {
  return JSON.parse(Buffer.from(line.split('.')[1] ?? '', 'base64url').toString()) as never
}

function changed(line: string): string {
  const [header, payload = '', signature] = line.split('.')
  const text = Buffer.from(payload, 'base64url').toString().replace('wedged', 'wet')
  return [header, Buffer.from(text).toString('base64url'), signature].join('.')
}

test('TM-O6: a spool never takes the place of a session of the broker', async () => {
  const spool = await whole()
  const taken = await whole()
  await taken.handIn(alice)
  const erin = await core.as('erin')
  const hers = await kitOf(erin)
  const same = Object.assign(new Spool(hers.claims.id, erin.session.key), {id: taken.id}).began().add(both).closed()
  expect(await codeOf(same.handIn(erin, {kit: hers.kit}))).toBe('SIGNATURE_INVALID')
  expect(await spool.handIn(erin)).toMatchObject({faults: []}) // whoever brings it: it is alice's
  expect(await alice.client.call(api.showSession, {id: spool.id})).toMatchObject({principal: {name: 'alice'}})
})

test('TM-O6: what is cut short is taken as far as it goes, is marked, and is an alarm; its review waits', async () => {
  const spool = await new Spool(claims.id, alice.session.key).began().add(both).recorded('half a')
  spool.add({type: 'opened'})
  const answer = await spool.handIn(alice)
  expect(answer).toMatchObject({faults: ['it is cut short'], review: expect.any(String), receipt: expect.any(String)})
  expect(await alice.client.call(api.showSession, {id: spool.id})).toMatchObject({
    endedBy: 'cut short',
    exit: {unknown: expect.any(String)},
  })
  expect(core.alarms.at(-1)).toMatchObject({what: 'a break-glass without the broker is not as its kit allows', session: spool.id})
})

test('TM-O6, TM-O7: a kit of a leaver, one past its end, a target it does not name and an hour too long are kept as evidence, loudly', async () => {
  const leaver = await core.as('alice', true)
  const gone = await kitOf(leaver)
  await leaver.logout()
  const used = new Spool(gone.claims.id, leaver.session.key, new Date(Date.now() + 1000)).began().add(both).closed()
  expect(await used.handIn(alice, {kit: gone.kit})).toMatchObject({
    faults: ['the login of its kit had been ended'],
    review: expect.any(String),
  })

  const day = 86_400_000
  const late = new Spool(claims.id, alice.session.key, new Date(Date.now() + day)).began().add(both).closed()
  expect((await late.handIn(alice)).faults).toEqual(['its kit was past its end', 'it is said to have begun in time to come'])

  const elsewhere = new Spool(claims.id, alice.session.key)
    .began({target: 'ledger', incident: 'none'})
    .add({type: 'alerted', channels: ['a']})
  expect((await elsewhere.closed().handIn(alice)).faults).toEqual([
    'its target is not in the kit',
    'it has no incident',
    'its alerts were not all accepted',
  ])

  const long = new Spool(claims.id, alice.session.key, new Date(Date.now() - 10_000)).began().add(both)
  long.at = new Date(long.at.getTime() + 3_600_000 + 600_000)
  expect((await long.closed().handIn(alice)).faults).toEqual(['it lasted longer than a break-glass may'])
})

test('TM-O6: who was off-boarded while the broker was down: their spool is taken as evidence, by whoever brings it, and is an alarm', async ({
  onTestFinished,
}) => {
  const own = await startCore(onTestFinished, {files: {'catalog/targets/web-1.yaml': web1}})
  const [leaver, carol] = [await own.as('alice'), await own.as('carol')]
  const theirs = await kitOf(leaver)
  const spool = new Spool(theirs.claims.id, leaver.session.key).began().add(both).closed()
  const again = new Spool(theirs.claims.id, leaver.session.key).began().add(both).closed()
  const people = join(own.dir, 'people.json')
  const known = JSON.parse(readFileSync(people, 'utf8')) as Record<string, unknown>
  writeFileSync(people, JSON.stringify({...known, alice: null}))
  own.forward(6 * 60_000)
  const fault = 'the identity provider no longer lets in whose kit it is'
  expect(await spool.handIn(carol, {kit: theirs.kit})).toMatchObject({faults: [fault], review: expect.stringMatching(/^rev_/)})
  expect(own.alarms.at(-1)).toMatchObject({what: 'a break-glass without the broker is not as its kit allows', faults: [fault]})
  // the login has ended with that; what else is brought is marked as well
  expect(await again.handIn(carol, {kit: theirs.kit})).toMatchObject({faults: [fault]})
  expect(await codeOf(leaver.client.call(api.whoami))).toBe('LOGIN_EXPIRED')
})

test('TM-O6, TM-K2, TM-E12: who goes round their own prod does not get a target by a name that is none of the kit, nor passes where the login is not known any more', async ({
  onTestFinished,
}) => {
  const target = (name: string, address: string, more = '') =>
    `kind: Target\nname: ${name}\naddress: ${address}\nenvironment: production\n${more}`
  const offline = 'offline: { role: break-glass }\n'
  const own = await startCore(onTestFinished, {
    files: {
      'catalog/targets/web-1.yaml': web1,
      'catalog/targets/fleet.yaml': target('fleet', 'ecs:eu-west-1/prod/*', offline),
      'catalog/targets/ledger.yaml': target('ledger', 'ecs:eu-west-1/prod/ledger/app'),
    },
  })
  const person = await own.as('alice')
  const theirs = await kitOf(person)
  const faultsAt = async (name: string) => {
    const spool = new Spool(theirs.claims.id, person.session.key).began({target: name}).add(both).closed()
    return (await spool.handIn(person, {kit: theirs.kit})).faults
  }
  expect(await faultsAt('fleet/web/app')).toEqual([])
  for (const name of ['fleet/ledger/app', 'fleet/ledger', 'web-1/other', 'fleet/', 'fleet/a/../b'])
    expect([name, await faultsAt(name)]).toEqual([name, ['its target is not in the kit']])

  const erin = await own.as('erin')
  const erased = await kitOf(erin)
  const spool = new Spool(erased.claims.id, erin.session.key).began().add(both).closed()
  const [bob, carol] = [await own.as('bob'), await own.as('carol')]
  const {id} = await carol.client.call(api.askErasure, {person: 'erin', reason: 'ticket 204, as the law asks'})
  expect((await bob.client.call(api.agreeErasure, {id, reason: 'ticket 204, as the law asks'})).state).toBe('done')
  expect((await spool.handIn(carol, {kit: erased.kit})).faults).toEqual(['the login of its kit is not known any more'])
})

test('TM-O2: what was not opened since its alerts were not accepted is in the log, and needs no review', async () => {
  const spool = new Spool(claims.id, alice.session.key).began().closed({exit: {unknown: 'it did not open'}, endedBy: 'alerts not accepted'})
  expect(await spool.handIn(alice)).toMatchObject({review: null, faults: [], receipt: expect.any(String)})
  expect((await logged(spool.id)).map(({type}) => type)).toEqual(['break-glass.unalerted'])
  expect(await codeOf(alice.client.call(api.showSession, {id: spool.id}))).toBe('SESSION_NOT_FOUND')
})

test('TM-O8: a drill that passed is in the log, without a session; doctor and metric know how long ago, red after 90 days or without any', async ({
  onTestFinished,
}) => {
  const own = await startCore(onTestFinished, {files: {'catalog/targets/web-1.yaml': web1}})
  const person = await own.as('alice')
  const mine = await kitOf(person)
  const check = async () => (await (await own.as('carol')).client.call(api.doctor)).checks.find(({name}) => name === 'break-glass drill')
  const metric = async () =>
    /^broker_break_glass_drill_age_seconds (\d+)/m.exec(await (await fetch(own.broker.ready.metricsUrl)).text())?.[1]
  expect(await check()).toMatchObject({ok: false, detail: expect.stringContaining('never')})
  expect(await metric()).toBeUndefined()

  const drill = () =>
    new Spool(mine.claims.id, person.session.key).began({drill: true, target: null, incident: ''}).add(both).recorded('a drill')
  const failed = (await drill()).closed({endedBy: 'drill failed'})
  await failed.handIn(person, {kit: mine.kit})
  expect(await check()).toMatchObject({ok: false})
  const spool = (await drill()).closed()
  expect(await spool.handIn(person, {kit: mine.kit})).toMatchObject({review: null, faults: []})
  expect((await own.events('break-glass.drill')).map(({subject}) => subject)).toEqual([spool.id])
  expect(await check()).toMatchObject({ok: true, detail: '0 days ago'})
  expect(Number(await metric())).toBeLessThan(600)
  own.forward(91 * 86_400_000)
  const later = await own.as('carol', true)
  const {checks} = await later.client.call(api.doctor)
  expect(checks.find(({name}) => name === 'break-glass drill')).toMatchObject({ok: false, detail: expect.stringContaining('91 days')})
})

test('a target is offered without the broker only where it is reached by a credential of one’s own', async () => {
  const file = 'catalog/targets/here.yaml'
  await core.change(
    file,
    'kind: Target\nname: here\naddress: host:here\nenvironment: production\noffline: { role: any }\n',
    'bundle.refused',
  )
  expect(JSON.stringify(core.alarms.at(-1))).toContain('no shell there is had by a credential')
  unlinkSync(join(core.dir, file))
})
