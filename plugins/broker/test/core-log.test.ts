import {existsSync, readdirSync, readFileSync, statSync} from 'node:fs'
import {join} from 'node:path'
import {type Api, api} from '@prod/sdk/api'
import {sha256} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import {decodeRecords} from '@prod/sdk/recording'
import {Decrypter} from 'age-encryption'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {tellFolded, tellRefusal} from '../src/audit/refusals.ts'
import type {Caller} from '../src/parts.ts'
import {type Core, codeOf, jobFiles, type LoggedEvent, newKey, type Person, reason, startCore, until} from './core.ts'
import {openDoor} from './door.ts'

const ends: (() => Promise<void> | void)[] = []
let core: Core
let alice: Person
let bob: Person
beforeAll(async () => {
  core = await startCore(end => ends.push(end))
  ;[alice, bob] = await Promise.all([core.as('alice'), core.as('bob')])
  await core.as('carol')
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

/** What the log got by one act, but for the broker's own deeds and carol's reading of it. */
async function eventsOf(act: () => Promise<unknown>): Promise<LoggedEvent[]> {
  const before = (await core.events()).length
  await act()
  return (await core.events()).slice(before).filter(({by, type}) => by !== 'broker' && type !== 'audit.read')
}

const role = () => ({key: newKey(), role: 'jobber', reason, durationSeconds: 600})
const asked = async (who = alice) => (await who.client.call(api.createRequest, role())).id
const ran = async () => (await alice.exec(['job', 'say', 'kept']).done).receipt?.run as string
const nothing = 'ses_00000000000000000'

/** What each call leaves in the log when it is answered: one record, or none because it changes and discloses nothing beyond one's own. */
const onAnswer: Record<keyof Api, {records: string | null; act?: () => Promise<() => Promise<unknown>>}> = {
  loginConfiguration: {records: null, act: async () => () => alice.client.call(api.loginConfiguration)},
  login: {records: 'login.created', act: async () => () => core.as('erin', true)},
  refresh: {
    records: 'login.renewed',
    act: async () => {
      const erin = await core.as('erin', true)
      return async () => erin.session.renew(await erin.session.token())
    },
  },
  logout: {
    records: 'login.ended',
    act: async () => {
      const erin = await core.as('erin', true)
      return () => erin.logout()
    },
  },
  whoami: {records: null, act: async () => () => alice.client.call(api.whoami)},
  catalog: {records: null, act: async () => () => alice.client.call(api.catalog)},
  findTargets: {records: null, act: async () => () => alice.client.call(api.findTargets, {text: ''})},
  explainUse: {records: null, act: async () => () => alice.client.call(api.explainUse, {role: 'jobber'})},
  whoHelps: {records: null, act: async () => () => alice.client.call(api.whoHelps, {action: 's3:GetObject'})},
  createRequest: {records: 'request.created', act: async () => () => asked()},
  listRequests: {records: null, act: async () => () => alice.client.call(api.listRequests, {})},
  showRequest: {
    records: null,
    act: async () => async () =>
      alice.client.call(api.showRequest, {id: (await alice.client.call(api.listRequests, {})).requests[0]?.id as string}),
  },
  requestDocument: {
    records: 'request.viewed',
    act: async () => {
      const id = await asked()
      return () => bob.client.call(api.requestDocument, {id})
    },
  },
  approveRequest: {
    records: 'request.approved',
    act: async () => {
      const id = await asked()
      const {document} = await bob.client.call(api.requestDocument, {id})
      const digest = sha256(document)
      const jws = bob.session.key.sign(
        {typ: 'prod-approval+jws'},
        {digest, request: id, decision: 'approve', assurance: 'login-key', iat: 0},
      )
      return () => bob.client.call(api.approveRequest, {id, digest, jws})
    },
  },
  denyRequest: {
    records: 'request.denied',
    act: async () => {
      const id = await asked()
      return () => bob.client.call(api.denyRequest, {id, note: 'no'})
    },
  },
  cancelRequest: {
    records: 'request.cancelled',
    act: async () => {
      const id = await asked()
      return () => alice.client.call(api.cancelRequest, {id})
    },
  },
  listGrants: {records: null, act: async () => () => alice.client.call(api.listGrants, {})},
  // test/aws-grants.test.ts
  grantCredentials: {records: 'grant.credential'},
  revokeGrant: {
    records: 'grant.handed-back',
    act: async () => {
      const id = await asked()
      await bob.approve(id)
      const grant = (await alice.client.call(api.showRequest, {id})).result as string
      await until(async () => (await alice.client.call(api.listGrants, {})).grants.some(one => one.id === grant && one.state === 'active'))
      return () => alice.client.call(api.revokeGrant, {id: grant})
    },
  },
  showRun: {
    records: null,
    act: async () => {
      const id = await ran()
      return () => alice.client.call(api.showRun, {id})
    },
  },
  listRuns: {records: null, act: async () => () => alice.client.call(api.listRuns)},
  runOutput: {
    records: 'output.read',
    act: async () => {
      const id = await ran()
      return () => alice.client.call(api.runOutput, {id})
    },
  },
  // break-glass-exec.test.ts
  endRun: {records: 'run.end-asked'},
  listSessions: {records: null, act: async () => () => alice.client.call(api.listSessions)},
  // a session is opened and reviewed in the tests of sessions; here what all of them leave where they are refused
  showSession: {records: null},
  recording: {records: 'recording.read'},
  endSession: {records: 'session.ended'},
  listReviews: {records: null, act: async () => () => alice.client.call(api.listReviews)},
  doneReview: {records: 'review.done'},
  auditEntries: {records: 'audit.read', act: async () => async () => (await core.as('carol')).client.call(api.auditEntries, {})},
  logCheckpoint: {records: null, act: async () => () => alice.client.call(api.logCheckpoint)},
  metrics: {records: null, act: async () => () => alice.client.call(api.metrics, {})},
  importMetrics: {
    records: 'incident.imported',
    act: async () => {
      const carol = await core.as('carol')
      return () => carol.client.call(api.importMetrics, {kind: 'incident', rows: [{id: 'INC-1', from: '2026-11-22T09:00:00Z'}]})
    },
  },
  usage: {
    records: 'usage.reported',
    act: async () => () =>
      alice.client.call(api.usage, {events: [{command: 'exec', durationMs: 10, exit: 0, at: new Date().toISOString()}]}),
  },
  // handed-in.test.ts; here no target is reached without the broker, so nothing is issued
  breakGlassKit: {records: null, act: async () => () => alice.client.call(api.breakGlassKit)},
  handIn: {records: 'session.opened'},
  showFreeze: {records: null, act: async () => () => alice.client.call(api.showFreeze)},
  // freeze.test.ts
  freeze: {records: 'freeze.set'},
  liftFreeze: {records: 'freeze.lifted'},
  // erasure.test.ts
  askErasure: {records: 'erasure.asked'},
  agreeErasure: {records: 'erasure.agreed'},
  listErasures: {records: null, act: async () => async () => (await core.as('carol')).client.call(api.listErasures)},
  doctor: {records: null, act: async () => () => alice.client.call(api.doctor)},
}

test('TM-E1: every call has its place in this table', () => {
  expect(Object.keys(onAnswer).sort()).toEqual(Object.keys(api).sort())
})

test.each(Object.entries(onAnswer).filter(([name, {act}]) => act && name !== 'auditEntries'))(
  'TM-E1: %s leaves one record, or none where it discloses nothing',
  async (_, {records, act}) => {
    const run = await act?.()
    const events = await eventsOf(async () => run?.())
    expect(events.map(({type}) => type)).toEqual(records === null ? [] : [records])
    if (records === null || records === 'login.renewed') return
    expect(events[0]).toMatchObject({
      type: records,
      by: expect.stringMatching(/^[a-z]+$/),
      at: expect.stringMatching(/^\d{4}-.*Z$/),
      correlation: expect.stringMatching(/^cor_/),
    })
  },
)

test('TM-E1: each call with an id, refused, leaves one record: who, from where, which call, why', async () => {
  const erin = await core.as('erin')
  const bodies: Partial<Record<keyof Api, object>> = {
    approveRequest: {digest: 'a'.repeat(64), jws: 'x'},
    denyRequest: {note: 'x'},
    doneReview: {verdict: 'ok', note: 'x'},
    agreeErasure: {reason},
  }
  for (const [name, endpoint] of Object.entries(api)) {
    if (!endpoint.path.includes(':id')) continue
    const input = {id: nothing, ...bodies[name as keyof Api]}
    const events = await eventsOf(async () =>
      expect(await codeOf(erin.client.call(endpoint as never, input as never)), name).not.toBe('none'),
    )
    expect(events, name).toHaveLength(1)
    expect(events[0], name).toMatchObject({
      by: 'erin',
      correlation: expect.stringMatching(/^cor_/),
      data: {code: expect.stringMatching(/NOT_FOUND|DENIED/), where: `${endpoint.method} ${endpoint.path}`},
      personal: {name: 'erin', address: '127.0.0.1'},
    })
  }
})

test('TM-E1: TM-I3: a run is request, start, end under one correlation id; whatever label a client sends is a label', async () => {
  const {receipt} = await alice.exec(['job', 'say', 'recorded'], {client: {version: 'x', platform: 'y', label: 'cor_forged0000000000'}})
    .done
  const all = (await core.events()).filter(({subject}) => subject === receipt?.run || subject === receipt?.request)
  expect(all.map(({type}) => type)).toEqual(['request.created', 'run.started', 'run.ended'])
  const [created, started, ended] = all as [LoggedEvent, LoggedEvent, LoggedEvent]
  expect(new Set(all.map(({correlation}) => correlation)).size).toBe(1)
  expect(created.correlation).not.toBe('cor_forged0000000000')
  expect(created).toMatchObject({
    by: 'alice',
    data: {decision: 'allow', rules: [expect.stringContaining('job-read')], bundle: expect.stringMatching(/^[0-9a-f]{64}$/)},
    personal: {reason, name: 'alice', address: '127.0.0.1'},
  })
  expect(started).toMatchObject({
    by: 'alice',
    data: {tool: 'job', class: 'read', target: 'local', digest: created.data.digest},
    personal: {argv: ['job', 'say', 'recorded'], reason},
  })
  expect(ended).toMatchObject({data: {exit: {status: 0}, stdout: {bytes: 9}, truncated: false, limit: null, outcome: 'ended'}})
  expect(ended.data.durationMs).toBeGreaterThan(0)
})

test('TM-E11: argv comes back from the log as it was: words are not joined, one record is one line', async () => {
  for (const argv of [
    ['job', 'say', "a' 'b"],
    ['job', 'say', 'a', 'b'],
    ['job', 'say', 'line\n{"type":"run.ended"}\nend'],
  ]) {
    const {receipt} = await alice.exec(argv).done
    const started = (await core.events('run.started')).find(({subject}) => subject === receipt?.run)
    expect(started?.personal.argv).toEqual(argv)
    const {entries} = await (await core.as('carol')).client.call(api.auditEntries, {subject: receipt?.run as string})
    for (const {envelope} of entries) expect(envelope).not.toContain('\n')
  }
})

test('TM-E7: a secret in argv is refused and is in no record; neither is a password in a URL', async () => {
  await core.change(
    'catalog/tools/db.yaml',
    `kind: Tool\nname: db\nsummary: with a secret\nprogram: /usr/bin/true\nrun: { primitive: host, target: local }\ncommands:\n  - { path: [], class: read, options: { --password: { value: { type: string, secret: true } } }, operands: [{ name: word, type: { type: string }, min: 0 }] }\n`,
  )
  await core.change(
    'policy/global/db.cedar',
    'permit (principal in Group::"engineers", action == Action::"run", resource in Tool::"db");\n',
  )
  const canary = 'hunter2canary'
  for (const argv of [
    ['db', '--password', canary],
    ['db', `--password=${canary}`],
    ['db', `--passwort=${canary}`],
    ['db', 'x', 'y', canary],
    ['nothing', canary],
    ['job', 'tty', `https://user:${canary}@host/`],
    ['job', 'say', `HTTPS://${canary}@host/`],
  ]) {
    expect(['ARGV_REFUSED', 'TOOL_NOT_FOUND']).toContain(await codeOf(alice.exec(argv).done))
  }
  expect(JSON.stringify(await core.events())).not.toContain(canary)
  expect((await core.events('request.refused')).filter(({personal}) => JSON.stringify(personal.argv) === '["db"]')).toHaveLength(4)
})

test('TM-E6: no token, proof, code or stdin reaches the log, the store, the notices or what the broker says', async () => {
  const erin = await core.as('erin', true)
  const canaries = {stdin: 'canary-stdin-4711', streamed: 'canary-streamed-4712', environment: 'canary-environment-4713'}
  process.env.PROD_CANARY = canaries.environment
  const secrets: string[] = []
  const sign = erin.session.key.sign
  erin.session.key.sign = (header, payload) => {
    const jws = sign(header, payload)
    if (header.typ === 'dpop+jwt') secrets.push(jws)
    return jws
  }
  secrets.push(await erin.session.token())
  await erin.exec(['job', 'cat'], {}, {stdin: canaries.streamed}).done
  const run = erin.exec(['job', 'take'], {}, {stdin: canaries.stdin})
  await bob.approve((await run.message('waiting')).request)
  await run.done
  await erin.client.call(api.whoami)
  secrets.push(await erin.session.renew(secrets[0] as string))
  await erin.logout()
  delete process.env.PROD_CANARY
  expect(secrets.length).toBeGreaterThan(4)

  const files = readdirSync(core.dir, {recursive: true, withFileTypes: true})
    .filter(one => one.isFile() && !one.name.startsWith('dev-provider'))
    .map(one => join(one.parentPath, one.name))
  expect(files.some(name => name.includes('broker.sqlite'))).toBe(true)
  for (const file of files) {
    const text = readFileSync(file).toString('latin1')
    for (const secret of [...Object.values(canaries), ...secrets])
      expect(text.includes(secret), `${secret.slice(0, 30)}… in ${file}`).toBe(false)
  }
  const said = JSON.stringify(core.alarms)
  for (const secret of secrets) expect(said).not.toContain(secret)
})

test('TM-E8: what is kept of an output is one rule: full is kept sealed, none is a digest, and both end in time', async () => {
  const full = await alice.exec(['job', 'say', 'kept-canary']).done
  const id = full.receipt?.run as string
  const {chunks, truncated} = await alice.client.call(api.runOutput, {id})
  const decrypter = new Decrypter()
  decrypter.addIdentity(readFileSync(join(core.dir, 'recording-key.txt'), 'utf8').trim())
  const records = (
    await Promise.all(chunks.map(async chunk => decodeRecords(await decrypter.decrypt(Buffer.from(chunk, 'base64')))))
  ).flat()
  expect(Buffer.concat(records.map(({bytes}) => bytes)).toString()).toContain('kept-canary')
  expect(truncated).toBe(false)
  expect((await core.events('run.ended')).find(({subject}) => subject === id)?.data.output).toEqual({
    chunks: chunks.length,
    last: sha256(Buffer.from(chunks.at(-1) as string, 'base64')),
  })
  expect(await codeOf((await core.as('erin')).client.call(api.runOutput, {id}))).toBe('RUN_NOT_FOUND')

  const file = 'catalog/tools/job.yaml'
  const text = jobFiles(core.dir)[file] as string
  await core.change(file, text.replace('retention: full', 'retention: none'))
  const none = (await alice.exec(['job', 'say', 'not-kept']).done).receipt
  expect(none?.stdout).toEqual({bytes: 9, sha256: sha256('not-kept\n')})
  expect(existsSync(join(core.dir, 'outputs', none?.run as string))).toBe(false)
  expect(await codeOf(alice.client.call(api.runOutput, {id: none?.run as string}))).toBe('NOT_FOUND')
  await core.change(file, text)

  core.forward(31 * 86_400_000)
  const later = await core.as('alice', true)
  const carol = await core.as('carol', true)
  await until(async () => (await carol.client.call(api.auditEntries, {type: 'output.erased', subject: id})).entries.length === 1)
  await until(() => !existsSync(join(core.dir, 'outputs', id)))
  expect(await codeOf(later.client.call(api.runOutput, {id}))).toBe('NOT_FOUND')
  expect(await later.client.call(api.showRun, {id})).toMatchObject({state: 'ended', stdout: {bytes: 12}})
})

test('TM-E13: a hundred thousand refused calls of one person are few records with the right count; others are told whole', async ({
  onTestFinished,
}) => {
  const door = await openDoor(onTestFinished)
  const caller = (name: string): Caller => ({
    principal: {iss: 'i', sub: name, person: name, name},
    groups: [],
    login: `login_${name}`,
    loggedInAt: '',
    address: '127.0.0.1',
    correlation: 'cor_1',
    tokenExpiresAt: '',
  })
  const size = () => statSync(join(door.dir, 'broker.sqlite')).size
  const before = size()
  for (let at = 0; at < 100_000; at++) {
    await tellRefusal(door.parts, caller('mallory'), new ProdError(at % 2 === 0 ? 'DENIED' : 'ARGV_REFUSED', 'no'), 'stream exec')
    if (at === 50_000) await tellRefusal(door.parts, caller('erin'), new ProdError('DENIED', 'no'), 'stream exec')
  }
  await tellFolded(door.parts.store, true)
  await tellFolded(door.parts.store, true)
  const entries = (await door.parts.store.entries({from: 0, limit: 1000})).map(({envelope, openings}) => ({
    ...(JSON.parse(envelope) as LoggedEvent),
    by: JSON.parse(openings.by?.value ?? '""') as string,
  }))
  const told = entries.filter(({by}) => by === 'mallory')
  expect(told.length).toBeLessThanOrEqual(100)
  expect(told.reduce((sum, {data}) => sum + Number(data.count ?? 1), 0)).toBe(100_000)
  expect(entries.filter(({by}) => by === 'erin')).toHaveLength(1)
  expect(size() - before).toBeLessThan(1024 ** 2)
})
