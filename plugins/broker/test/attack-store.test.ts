/** Somebody who writes every row of the store, and logs in as an engineer besides (TM-P4). */
import {createHash} from 'node:crypto'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import type {ApprovalDocument} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {sealDocument} from '@prod/sdk/document'
import {createLoginKey} from '@prod/sdk/dpop'
import {signApproval} from '@prod/sdk/session'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Core, codeOf, newKey, notes, type Person, reason, startCore, until} from './core.ts'

const ends: (() => Promise<void> | void)[] = []
let core: Core
let alice: Person
let bob: Person
let erin: Person
beforeAll(async () => {
  core = await startCore(end => ends.push(end))
  ;[alice, bob, erin] = await Promise.all([core.as('alice'), core.as('bob'), core.as('erin')])
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

type Value = Record<string, unknown>

function tamper<T>(change: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(join(core.dir, 'broker.sqlite'), {timeout: 5000})
  try {
    return change(db)
  } finally {
    db.close()
  }
}

const storedValue = (id: string): Value =>
  JSON.parse((tamper(db => db.prepare('SELECT value FROM records WHERE id = ?').get(id)) as {value: string}).value) as Value

function edit(id: string, change: (value: Value) => void): void {
  const value = storedValue(id)
  change(value)
  tamper(db =>
    db
      .prepare('UPDATE records SET value = ?, state = coalesce(?, state) WHERE id = ?')
      .run(JSON.stringify(value), (value.state as string) ?? null, id),
  )
}

async function ask(who: Person, argv: string[]): Promise<string> {
  return (await who.exec(argv, {wait: false}).message('pending')).request
}

test('TM-P4: TM-W8: a key put under an approver’s login forges no approval', async () => {
  const id = await ask(erin, ['job', 'note', 'forged-key'])
  const {key} = createLoginKey()
  const lead = await core.as('bob', true)
  edit(lead.session.login, value => Object.assign(value, {jwk: key.publicJwk}))
  edit(id, value => {
    const digest = value.digest as string
    const jws = signApproval({...lead.session, key}, {digest, request: id, decision: 'approve', assurance: 'login-key'})
    const yes = {by: lead.session.principal, decision: 'approve', digest, jws, at: new Date().toISOString(), login: lead.session.login}
    Object.assign(value, {state: 'approved', approvals: [yes]})
  })
  expect(await codeOf(erin.attach(id).done)).toBe('APPROVAL_VOID')
  expect(notes(core.dir)).not.toContain('begin forged-key')
})

test('TM-P4: a role that nobody approved does not begin because the login that asked for it is gone', async () => {
  const {id} = await erin.client.call(api.createRequest, {key: newKey(), role: 'web-operator', reason, durationSeconds: 3600})
  const at = new Date().toISOString()
  const grant = {
    id: 'grant_forged000009',
    state: 'approved',
    request: id,
    principal: erin.session.principal,
    role: 'web-operator',
    provider: 'group',
    startsAt: at,
    expiresAt: new Date(Date.parse(at) + 3_600_000).toISOString(),
    endedAt: null,
    conferred: false,
    durationSeconds: 3600,
    parameters: {group: 'web-operators'},
  }
  edit(id, value => {
    const {text, digest} = sealDocument({...(JSON.parse(value.document as string) as ApprovalDocument), approvalsNeeded: 0})
    Object.assign(value, {state: 'approved', approvalsNeeded: 0, document: text, digest, login: 'login_0000000000000', result: grant.id})
  })
  tamper(db =>
    db
      .prepare('INSERT INTO records (kind, id, version, value, state, owner, due_at) VALUES (?, ?, 1, ?, ?, ?, ?)')
      .run('grant', grant.id, JSON.stringify(grant), 'approved', `${grant.principal.iss}#${grant.principal.sub}`, at),
  )
  await until(() => storedValue(grant.id).state !== 'approved', 'a word on the grant')
  expect(storedValue(grant.id).state).toBe('revoked')
  expect((await erin.client.call(api.whoami)).groups).toEqual(['engineers'])
})

test('TM-P4: groups, their age, and the age of a login are what the broker wrote, not what a row says', async () => {
  const edits: Value[] = [
    {groups: ['engineers', 'sre-leads', 'web-operators']},
    {groups: ['sre-leads'], groupsReadAt: new Date(Date.now() + 86_400_000).toISOString()},
    {authenticatedAt: new Date(Date.now() + 1000).toISOString()},
    {expiresAt: new Date(Date.now() + 365 * 86_400_000).toISOString()},
    {principal: bob.session.principal},
  ]
  for (const changed of edits) {
    const victim = await core.as('erin', true)
    edit(victim.session.login, value => Object.assign(value, changed))
    expect(await codeOf(victim.client.call(api.whoami)), JSON.stringify(changed)).toBe('LOGIN_EXPIRED')
  }
  const ended = await core.as('erin', true)
  await ended.logout()
  edit(ended.session.login, value => Object.assign(value, {revokedAt: null, state: 'active'}))
  expect(await codeOf(ended.client.call(api.whoami))).toBe('LOGIN_EXPIRED')
  expect(core.alarms.map(({what}) => what)).toContain('a login in the store is not as a broker wrote it')
})

test('TM-P4: a genuine membership counts for the person it was written for, under no other name', async () => {
  const {id} = await alice.client.call(api.createRequest, {key: newKey(), role: 'web-operator', reason, durationSeconds: 600})
  await bob.approve(id)
  await until(async () => (await alice.client.call(api.whoami)).groups.includes('web-operators'), 'the role')
  const {grants} = await alice.client.call(api.whoami)
  tamper(db => db.prepare("UPDATE records SET owner = 'erin' WHERE kind = 'membership' AND id = ?").run(grants[0]?.id as string))
  expect((await erin.client.call(api.whoami)).groups).toEqual(['engineers'])
  tamper(db => db.prepare("UPDATE records SET owner = 'alice' WHERE kind = 'membership' AND id = ?").run(grants[0]?.id as string))
  await alice.client.call(api.revokeGrant, {id: grants[0]?.id as string})
})

test('TM-P4: TM-N2: an approval that was used is not used again by a row that forgets it, once its time is over', async () => {
  const id = await ask(erin, ['job', 'note', 'once'])
  await bob.approve(id)
  await erin.attach(id).done
  core.forward(20 * 60_000)
  edit(id, value => Object.assign(value, {state: 'approved', result: null, expiresAt: new Date(Date.now() + 86_400_000).toISOString()}))
  expect(await codeOf(erin.attach(id).done)).not.toBe('none')
  expect(notes(core.dir).filter(line => line === 'begin once')).toHaveLength(1)
})

test('the digest of a certificate is in the log, so that another one under a login shows', async () => {
  const created = (await core.events('login.created')).map(({data}) => data.idToken)
  expect(created).toContain(
    createHash('sha256')
      .update(storedValue(bob.session.login).idToken as string)
      .digest('hex'),
  )
})
