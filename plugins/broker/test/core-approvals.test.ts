import {createHash} from 'node:crypto'
import {appendFileSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import type {ApprovalDocument} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {sealDocument, sha256} from '@prod/sdk/document'
import {signApproval} from '@prod/sdk/session'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Core, codeOf, jobFiles, notes, type Person, people, startCore, until} from './core.ts'

const ends: (() => Promise<void> | void)[] = []
let core: Core
let alice: Person
let bob: Person
beforeAll(async () => {
  core = await startCore(end => ends.push(end))
  ;[alice, bob] = await Promise.all([core.as('alice'), core.as('bob')])
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

/** Asks, and does not wait: the id of what waits. */
async function ask(who: Person, argv: string[], more: Record<string, unknown> = {}, use = {}): Promise<string> {
  const run = who.exec(argv, {wait: false, ...more}, use)
  return (await run.message('pending')).request
}
const show = async (id: string) => alice.client.call(api.showRequest, {id})
const documentOf = async (id: string) => (await bob.client.call(api.requestDocument, {id})).document
const approveWith = (who: Person, id: string, digest: string, said = digest, request = id) =>
  codeOf(
    who.client.call(api.approveRequest, {
      id,
      digest,
      jws: signApproval(who.session, {digest: said, request, decision: 'approve', assurance: 'login-key'}),
    }),
  )

test('a changing command waits, is approved by somebody else and runs once', async () => {
  const run = alice.exec(['job', 'note', 'first'])
  const {request, approvers} = await run.message('waiting')
  expect(approvers).toContain('bob')
  await bob.approve(request)
  const {stdout, end, receipt} = await run.done
  expect(stdout.toString()).toBe('noted first\n')
  expect(end).toMatchObject({exit: {status: 0}, endedBy: null})
  expect(receipt).toMatchObject({tool: 'job', argv: ['job', 'note', 'first'], approvals: [{by: 'bob'}]})
  expect(notes(core.dir)).toEqual(['begin first', 'end first'])
  expect(await show(request)).toMatchObject({state: 'done', result: receipt?.run})
})

test('TM-W1: the digest covers every field of the document, and a yes is to that digest alone', async () => {
  const id = await ask(alice, ['job', 'take'], {}, {stdin: 'what goes in'})
  const text = await documentOf(id)
  const document = JSON.parse(text) as ApprovalDocument
  const program = createHash('sha256')
    .update(readFileSync(join(core.dir, 'bin/job')))
    .digest('hex')
  expect(document).toMatchObject({
    request: id,
    argv: ['job', 'take'],
    program: {path: join(core.dir, 'bin/job'), sha256: program},
    stdin: {bytes: 12, sha256: sha256('what goes in')},
    targets: [{name: 'local', environment: 'production'}],
    requester: {sub: 'alice', person: 'alice'},
    approvalsNeeded: 1,
    maxUses: 1,
  })
  const {digest} = await show(id)
  expect(sha256(text)).toBe(digest)
  for (const [field, value] of Object.entries(document)) {
    const other =
      value === null
        ? 'something'
        : typeof value === 'number'
          ? value + 1
          : typeof value === 'boolean'
            ? !value
            : Array.isArray(value)
              ? [...value, 'more']
              : typeof value === 'object'
                ? {...value, more: 1}
                : `${value} `
    const changed = sealDocument({...document, [field]: other}).digest
    expect(changed, field).not.toBe(digest)
    expect(await approveWith(bob, id, changed), field).toBe('DIGEST_MISMATCH')
  }
  const swapped = sealDocument({...document, reason: document.tool as never, tool: document.reason} as never).digest
  expect(await approveWith(bob, id, swapped)).toBe('DIGEST_MISMATCH')
  const joined = sealDocument({...document, argv: ['job take']}).digest
  expect(await approveWith(bob, id, joined)).toBe('DIGEST_MISMATCH')
  expect(await approveWith(bob, id, '')).not.toBe('none')
  expect((await show(id)).state).toBe('pending')
})

test('TM-W8: a signature over another digest, over another request, by another key or with a no in it approves nothing', async () => {
  const [id, other] = [await ask(alice, ['job', 'note', 'signed']), await ask(alice, ['job', 'note', 'other'])]
  const digest = sha256(await documentOf(id))
  const otherDigest = sha256(await documentOf(other))
  expect(await approveWith(bob, id, digest, otherDigest)).toBe('SIGNATURE_INVALID')
  expect(await approveWith(bob, id, digest, digest, other)).toBe('SIGNATURE_INVALID')
  const dave = await core.as('dave')
  const foreign = signApproval(dave.session, {digest, request: id, decision: 'approve', assurance: 'login-key'})
  expect(await codeOf(bob.approve(id, {jws: foreign}))).toBe('SIGNATURE_INVALID')
  const no = signApproval(bob.session, {digest, request: id, decision: 'deny', assurance: 'login-key'})
  expect(await codeOf(bob.approve(id, {jws: no}))).toBe('SIGNATURE_INVALID')
  expect(await codeOf(bob.approve(id, {jws: 'a.b.c'}))).toBe('SIGNATURE_INVALID')
  expect((await show(id)).state).toBe('pending')
  await bob.approve(id)
  expect(await codeOf(bob.approve(id))).toBe('ALREADY_DECIDED')
  expect((await alice.attach(id).done).end).toMatchObject({exit: {status: 0}})
})

test('TM-W8: a key whose login was ended approves nothing more; a yes given before stays good', async () => {
  const lead = await core.as('bob', true)
  const [before, after] = [await ask(alice, ['job', 'note', 'before']), await ask(alice, ['job', 'note', 'after'])]
  await lead.approve(before)
  const digest = sha256(await documentOf(after))
  const jws = signApproval(lead.session, {digest, request: after, decision: 'approve', assurance: 'login-key'})
  await lead.logout()
  expect(await codeOf(lead.client.call(api.approveRequest, {id: after, digest, jws}))).toBe('LOGIN_EXPIRED')
  expect((await show(after)).state).toBe('pending')
  expect((await alice.attach(before).done).end).toMatchObject({exit: {status: 0}})
})

test('TM-W3: nobody approves their own, not by another account of theirs, and not without a person id', async () => {
  const id = await ask(alice, ['job', 'note', 'own'])
  expect(await codeOf(alice.approve(id))).toBe('SELF_APPROVAL')
  // ALICE: the same person id in other case, another subject, in the group of approvers
  expect(await codeOf((await core.as('alice.admin')).approve(id))).toBe('SELF_APPROVAL')
  expect(await codeOf((await core.as('nobody')).approve(id))).not.toBe('none')
  expect((await show(id)).state).toBe('pending')
  const tries = (await core.events('request.self-approval-refused')).filter(({subject}) => subject === id)
  expect(tries.map(({personal}) => personal.name)).toEqual(['alice', 'alice.admin'])
  // and the other way round
  const admin = await ask(await core.as('alice.admin'), ['job', 'note', 'own-too'])
  expect(await codeOf(alice.approve(admin))).toBe('SELF_APPROVAL')
})

test('TM-W4: who may not approve this thing does not, and learns nothing of it', async () => {
  const id = await ask(alice, ['job', 'note', 'scope'])
  expect(await codeOf((await core.as('erin')).approve(id))).toBe('REQUEST_NOT_FOUND')
  expect(await codeOf((await core.as('carol')).approve(id))).toBe('NOT_AN_APPROVER')
  expect(await codeOf(bob.approve('req_0000000000000000'))).toBe('REQUEST_NOT_FOUND')
  expect((await show(id)).state).toBe('pending')
})

test('TM-W2: another program, another digest of it, between yes and use: void', async () => {
  const id = await ask(alice, ['job', 'note', 'swapped'])
  await bob.approve(id)
  const path = join(core.dir, 'bin/job')
  const was = readFileSync(path)
  appendFileSync(path, '# another\n')
  try {
    expect(await codeOf(alice.attach(id).done)).toBe('APPROVAL_VOID')
  } finally {
    writeFileSync(path, was)
  }
  expect(await show(id)).toMatchObject({state: 'void', note: expect.stringContaining('program')})
  expect(await codeOf(alice.attach(id).done)).toBe('APPROVAL_VOID')
  expect(notes(core.dir)).not.toContain('begin swapped')
})

test('TM-W2: the catalog changed what would run, or under which bounds: void', async () => {
  const file = 'catalog/tools/job.yaml'
  const text = jobFiles(core.dir)[file] as string
  for (const changed of [
    text.replace('wallSeconds: 120', 'wallSeconds: 121'),
    text.replace('env: {', 'env: { JOB_MORE: x,'),
    text.replace('retention: full', 'retention: none'),
    text.replace('{ path: [note], class: change,', '{ path: [note], class: admin,'),
  ]) {
    const id = await ask(alice, ['job', 'note', 'catalog'])
    await bob.approve(id)
    await core.change(file, changed)
    try {
      expect(await codeOf(alice.attach(id).done)).toBe('APPROVAL_VOID')
    } finally {
      await core.change(file, text)
    }
  }
  expect(notes(core.dir)).not.toContain('begin catalog')
})

test('TM-W2: other stdin than the approved one, more, or none: refused, and the approval stays', async () => {
  const id = await ask(alice, ['job', 'take'], {}, {stdin: 'right'})
  await bob.approve(id)
  for (const stdin of ['wrong', 'right and more', 'righ', ''])
    expect(await codeOf(alice.attach(id, undefined, {stdin}).done), stdin).toBe('STDIN_REFUSED')
  expect(await codeOf(alice.attach(id).done)).toBe('STDIN_REFUSED')
  const {stdout} = await alice.attach(id, undefined, {stdin: 'right'}).done
  expect(stdout.toString()).toBe('right')
})

test('TM-W7: an approval does not outlive a later forbid; what asks for more people asks again', async () => {
  const file = 'policy/global/later.cedar'
  const id = await ask(alice, ['job', 'note', 'forbidden'])
  await bob.approve(id)
  await core.change(file, '@id("freeze") forbid (principal, action == Action::"run", resource is job::note);\n')
  expect(await codeOf(alice.attach(id).done)).toBe('DENIED')
  expect(await show(id)).toMatchObject({state: 'void'})
  await core.change(file, '// thawed\n')
  expect(await codeOf(alice.attach(id).done)).toBe('APPROVAL_VOID')

  const two = await ask(alice, ['job', 'note', 'two'])
  await bob.approve(two)
  const web = 'catalog/services/jobs.yaml'
  const text = readFileSync(join(core.dir, web), 'utf8')
  await core.change(web, `${text}limits: {approvals: 2}\n`)
  try {
    expect(await codeOf(alice.attach(two).done)).toBe('APPROVAL_VOID')
  } finally {
    await core.change(web, text)
  }
  expect(notes(core.dir)).not.toContain('begin forbidden')
})

test('TM-W4: TM-N5: an approver who has left the group before the use no longer counts; two accounts are one person', async () => {
  const file = 'catalog/tools/job.yaml'
  const text = jobFiles(core.dir)[file] as string
  await core.change(file, text.replace('{ path: [note], class: change,', '{ path: [note], class: change, approvals: 2,'))
  const everybody = {...people, 'dave.too': {groups: ['sre-leads'], person: 'DAVE', sub: 'd-2'}}
  writeFileSync(join(core.dir, 'people.json'), JSON.stringify(everybody))
  try {
    const id = await ask(alice, ['job', 'note', 'quorum'])
    const [dave, twin] = [await core.as('dave'), await core.as('dave.too')]
    await dave.approve(id)
    expect(await codeOf(dave.approve(id))).toBe('ALREADY_DECIDED')
    expect(await codeOf(twin.approve(id))).toBe('ALREADY_DECIDED')
    expect((await show(id)).state).toBe('pending')
    await bob.approve(id)
    expect((await show(id)).state).toBe('approved')
    writeFileSync(join(core.dir, 'people.json'), JSON.stringify({...everybody, dave: {groups: ['engineers']}}))
    core.forward(6 * 60_000)
    expect(await codeOf(alice.attach(id).done)).toBe('APPROVAL_VOID')
    expect((await show(id)).note).toContain('approvals no longer count')
  } finally {
    writeFileSync(join(core.dir, 'people.json'), JSON.stringify(people))
    core.forward(6 * 60_000)
    await core.change(file, text)
  }
  expect(notes(core.dir)).not.toContain('begin quorum')
})

test('TM-W5: TM-N6: requests and approvals expire by the store’s clock', async () => {
  const [asked, approved] = [await ask(alice, ['job', 'note', 'late']), await ask(alice, ['job', 'note', 'late-too'])]
  const waiting = alice.exec(['job', 'note', 'late-three'])
  await waiting.message('waiting')
  await bob.approve(approved)
  core.forward(15 * 60_000 + 1000)
  expect(await codeOf(alice.attach(approved).done)).toBe('REQUEST_EXPIRED')
  core.forward(45 * 60_000)
  expect(await codeOf(bob.approve(asked))).toBe('REQUEST_EXPIRED')
  expect(await codeOf(alice.attach(asked).done)).toBe('REQUEST_EXPIRED')
  await until(async () => (await show(asked)).state === 'expired')
  const told = (await core.events('request.expired')).map(({subject}) => subject)
  expect(told.filter(subject => subject === asked || subject === approved).sort()).toEqual([asked, approved].sort())
  expect(notes(core.dir).join()).not.toContain('late')
})

/** Changes the store as somebody would who has the database alone. */
function tamper(change: (db: DatabaseSync) => void): void {
  const db = new DatabaseSync(join(core.dir, 'broker.sqlite'), {timeout: 5000})
  try {
    change(db)
  } finally {
    db.close()
  }
}
function edit(id: string, change: (value: Record<string, unknown>) => void): void {
  tamper(db => {
    const row = db.prepare('SELECT value FROM records WHERE id = ?').get(id) as {value: string}
    const value = JSON.parse(row.value) as Record<string, unknown>
    change(value)
    db.prepare('UPDATE records SET value = ?, state = ? WHERE id = ?').run(JSON.stringify(value), String(value.state), id)
  })
}

test('TM-P4: TM-W8: a row that says approved, or that was changed after the yes, starts nothing and raises an alarm', async () => {
  const alarms = () => core.alarms.filter(({what}) => /approval|altered/.test(what)).length
  const good = await ask(alice, ['job', 'note', 'good'])
  await bob.approve(good)
  let yes: unknown
  edit(good, value => {
    yes = value.approvals
  })
  // approved by a word in the row; with another request's signature; with a document of one's own; with no need of approvals
  const forgeries: ((value: Record<string, unknown>) => void)[] = [
    value => Object.assign(value, {state: 'approved'}),
    value => Object.assign(value, {state: 'approved', approvals: yes}),
    value => Object.assign(value, {state: 'approved', approvals: (yes as {digest: string}[]).map(one => ({...one, digest: value.digest}))}),
  ]
  for (const forge of forgeries) {
    const before = alarms()
    const id = await ask(alice, ['job', 'note', 'forged'])
    edit(id, forge)
    expect(await codeOf(alice.attach(id).done)).toBe('APPROVAL_VOID')
    expect(alarms()).toBeGreaterThan(before)
  }
  const needless = await ask(alice, ['job', 'note', 'forged'])
  edit(needless, value => {
    const {text, digest} = sealDocument({...(JSON.parse(value.document as string) as ApprovalDocument), approvalsNeeded: 0})
    Object.assign(value, {state: 'approved', approvalsNeeded: 0, document: text, digest})
  })
  expect(await codeOf(alice.attach(needless).done)).toBe('APPROVAL_VOID')
  const loud = await ask(alice, ['job', 'note', 'forged'])
  edit(loud, value => {
    const {text, digest} = sealDocument({
      ...(JSON.parse(value.document as string) as ApprovalDocument),
      approvalsNeeded: 0,
      breakGlass: true,
    })
    Object.assign(value, {state: 'approved', approvalsNeeded: 0, breakGlass: true, document: text, digest})
  })
  expect(await codeOf(alice.attach(loud).done)).toBe('APPROVAL_VOID')

  // changed after the yes: draft and text fit each other, the old digest stays
  const before = alarms()
  edit(good, value => {
    const document = JSON.parse(value.document as string) as ApprovalDocument
    const argv = ['job', 'note', 'forged']
    Object.assign(value, {draft: {...(value.draft as object), argv}, document: sealDocument({...document, argv}).text})
  })
  expect(await codeOf(alice.attach(good).done)).toBe('APPROVAL_VOID')
  expect(alarms()).toBeGreaterThan(before)
  expect(notes(core.dir)).not.toContain('begin forged')
})

test('TM-P4: a membership or a grant that somebody wrote into the store gives no right', async () => {
  const erin = await core.as('erin')
  const expiresAt = new Date(Date.now() + 10 * 3_600_000).toISOString()
  const membership = {person: 'erin', group: 'web-operators', grant: 'grant_forged000001', expiresAt, seal: 'ab'.repeat(32)}
  const pending = (
    await erin.client.call(api.createRequest, {
      key: 'k'.repeat(22),
      role: 'web-operator',
      reason: 'a role for this test',
      durationSeconds: 60,
    })
  ).id
  tamper(db => {
    const columns = (db.prepare('PRAGMA table_info(records)').all() as {name: string; notnull: number}[])
      .map(({name}) => name)
      .filter(name => name !== 'seq')
    const row = db.prepare('SELECT * FROM records WHERE id = ?').get(pending) as Record<string, string>
    const insert = (values: Record<string, unknown>) =>
      db
        .prepare(`INSERT INTO records (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`)
        .run(...columns.map(name => (values[name] ?? null) as string))
    insert({
      ...row,
      kind: 'membership',
      id: membership.grant,
      state: null,
      owner: 'erin',
      due_at: expiresAt,
      version: 1,
      value: JSON.stringify(membership),
    })
    const request = JSON.parse(row.value as string) as Record<string, unknown>
    const now = new Date(Date.now() - 60_000).toISOString()
    const grant = {
      id: 'grant_forged000002',
      state: 'approved',
      request: pending,
      principal: request.principal,
      role: 'web-operator',
      provider: 'group',
      startsAt: now,
      expiresAt: new Date(Date.parse(now) + 60_000 * 600).toISOString(),
      endedAt: null,
      conferred: false,
      durationSeconds: 36_000,
      parameters: {group: 'web-operators'},
    }
    insert({
      ...row,
      kind: 'grant',
      id: grant.id,
      state: 'approved',
      owner: row.owner,
      due_at: now,
      version: 1,
      value: JSON.stringify(grant),
    })
  })
  expect((await erin.client.call(api.whoami)).groups).toEqual(['engineers'])
  expect(core.alarms.map(({what}) => what)).toContain('a group membership in the store is not one that a broker wrote')
  await until(() => core.alarms.some(({what}) => what === 'a grant in the store does not fit its request'))
  expect((await erin.client.call(api.whoami)).groups).toEqual(['engineers'])
  expect(await codeOf(erin.exec(['web', 'stop'], {wait: false}).done)).toBe('DENIED')
})
