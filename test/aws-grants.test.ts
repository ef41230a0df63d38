/** Roles of AWS that a whole broker confers: asked for, approved, minted, refused, mended. AWS is the stand-in of plugins/aws. */
import {api, type GrantCredentials} from '@prod/sdk/api'
import {beforeAll, expect, test} from 'vitest'
import {type BrokerStandIn, roleArn} from '../plugins/aws/test/providers-stand-in.ts'
import {type Core, codeOf, newKey, openPerson, type Person, reason, until} from '../plugins/broker/test/core.ts'
import {expectNoSecrets, roleFile, startAwsBroker, withKillable} from './aws-broker.ts'
import {call} from './cloud-primitive.ts'

const role = (name: string, more = '') => roleFile(name, `service: jobs\nmaxSeconds: 7200\n${more}`)
const files = {
  'catalog/roles/deployer.yaml': role('deployer', 'allows: ["iam:GetRole"]\n'),
  'catalog/roles/auditor.yaml': role('auditor'),
  'policy/global/aws.cedar': `@id("aws")
permit (principal in Group::"engineers", action == Action::"request", resource) when { resource == Role::"deployer" || resource == Role::"auditor" };
@id("aws-approve")
permit (principal in Group::"sre-leads", action == Action::"approve", resource) when { resource == Role::"deployer" || resource == Role::"auditor" };
`,
}

const broker = startAwsBroker({roles: ['deployer', 'auditor'], files, people: ['alice', 'erin', 'bob']})
let aws: BrokerStandIn
let core: Core
let [alice, erin, bob] = [] as unknown as [Person, Person, Person]
beforeAll(() => {
  ;({aws, core} = broker)
  ;({alice, erin, bob} = broker.people)
})

/** A grant of this role, approved. */
async function granted(person: Person, name = 'deployer', durationSeconds = 1800, approver = bob): Promise<string> {
  const {id} = await person.client.call(api.createRequest, {key: newKey(), role: name, reason, durationSeconds})
  await approver.approve(id)
  return (await person.client.call(api.showRequest, {id})).result as string
}
const mint = (person: Person, id: string, tool?: string): Promise<GrantCredentials> =>
  person.client.call(api.grantCredentials, {id, ...(tool === undefined ? {} : {tool})})

/** Whether a real call with it is let in. Its signature is not looked at here (moto_server does that). */
async function works({credential}: GrantCredentials, name = 'deployer', action = 'GetRole'): Promise<boolean> {
  const status = await call(credential, action, name)
  if (status !== 200 && status !== 403) throw new Error(String(status))
  return status === 200
}

test('an approved role gives credentials to its holder, as often as they ask, and each is in the log', async () => {
  const grant = await granted(alice)
  const first = await mint(alice, grant, 'terraform')
  expect(first).toMatchObject({grant, role: 'deployer', provider: 'aws-sts'})
  expect(await works(first)).toBe(true)
  expect(await works(await mint(alice, grant))).toBe(true)
  const logged = (await core.events('grant.credential')).filter(({subject}) => subject === grant)
  expect(logged.map(({data}) => data)).toMatchObject([{role: 'deployer', class: 'change', tool: 'terraform'}, {tool: null}])
})

test('TM-J2: what the catalog says a role allows bounds the session, and is part of what is approved', async () => {
  const {id} = await alice.client.call(api.createRequest, {key: newKey(), role: 'deployer', reason, durationSeconds: 1800})
  const {document} = await bob.client.call(api.requestDocument, {id})
  expect(JSON.parse(document).role.parameters).toMatchObject({actions: ['iam:GetRole'], regions: ['us-east-1']})
  await bob.approve(id)
  const credentials = await mint(alice, (await alice.client.call(api.showRequest, {id})).result as string)
  expect(await works(credentials)).toBe(true)
  expect(await works(credentials, 'deployer', 'GetRolePolicy')).toBe(false)
})

test('TM-A6: nobody but the holder gets a credential, their other account neither', async () => {
  const grant = await granted(alice)
  for (const name of ['bob', 'erin', 'carol', 'alice.admin']) expect(await codeOf(mint(await core.as(name), grant))).toBe('GRANT_NOT_FOUND')
})

test('TM-I3: person, grant and request are in what AWS writes down', async () => {
  const {credential, grant} = await mint(alice, await granted(alice))
  const session = aws.sessions.get(credential.AccessKeyId as string)
  const {request} = (await alice.client.call(api.listGrants, {})).grants.find(({id}) => id === grant) ?? {}
  expect(session?.tags).toEqual({'prod-grant': grant, 'prod-request': request})
  expect(session?.sessionName).toContain(request)
  expect(session?.sourceIdentity).toBe(alice.session.principal.person)
})

test('TM-N4: a revoked grant is refused at AWS, within seconds and measured, and gives no more', async () => {
  const [kept, ended] = [await granted(alice), await granted(alice)]
  const [first, second] = [await mint(alice, kept), await mint(alice, ended)]
  aws.settleMs = 300
  const revoked = await bob.client.call(api.revokeGrant, {id: ended})
  aws.settleMs = 0
  expect(revoked.state).toBe('revoked')
  expect(revoked.refusedAfterMs).toBeGreaterThan(250)
  expect(revoked.refusedAfterMs).toBeLessThan(10_000)
  expect(await works(second)).toBe(false)
  expect(await codeOf(mint(alice, ended))).toBe('REVOKED')
  // another grant on the same role is not cut
  expect(await works(first)).toBe(true)
  expect(await works(await mint(alice, kept))).toBe(true)
})

test('TM-N4: credentials that are asked for while the grant is revoked are refused, or were never given', async () => {
  const grant = await granted(erin)
  const asked = Array.from({length: 12}, () => mint(erin, grant).catch(() => undefined))
  const [given] = await Promise.all([Promise.all(asked), bob.client.call(api.revokeGrant, {id: grant})])
  const late = await Promise.all(given.filter(one => one !== undefined).map(one => works(one)))
  expect(late.some(Boolean)).toBe(false)
  expect(await codeOf(mint(erin, grant))).toBe('REVOKED')
})

test('an approval that no longer counts gives no credential, and ends the grant', async () => {
  const grant = await granted(alice, 'auditor')
  const credentials = await mint(alice, grant)
  await core.change('catalog/roles/auditor.yaml', role('auditor', 'allows: ["s3:*"]\n'))
  expect(await codeOf(mint(alice, grant))).toBe('APPROVAL_VOID')
  expect(await works(credentials, 'auditor')).toBe(false)
})

test('TM-F5: while production is frozen no credential is given', async () => {
  const grant = await granted(alice)
  const carol = await core.as('carol')
  const frozen = await codeOf(carol.client.call(api.freeze, {reason}))
  expect(frozen).toBe('none')
  expect(await codeOf(mint(alice, grant))).toBe('FROZEN')
  await carol.client.call(api.liftFreeze, {reason})
  await bob.client.call(api.liftFreeze, {reason})
  expect(await works(await mint(alice, grant))).toBe(true)
})

test('a deny that somebody took away by hand is put back', async () => {
  const grant = await granted(alice)
  const credentials = await mint(alice, grant)
  await bob.client.call(api.revokeGrant, {id: grant})
  aws.roles.get(roleArn('deployer'))?.inline.clear()
  expect(await works(credentials)).toBe(true)
  core.forward(121_000)
  await until(async () => !(await works(credentials)))
})

test('AWS that refuses the deny is an alarm, and tried again', async () => {
  const grant = await granted(alice)
  const credentials = await mint(alice, grant)
  aws.broken.set('PutRolePolicy', 500)
  expect(await codeOf(bob.client.call(api.revokeGrant, {id: grant}))).toBe('TARGET_UNREACHABLE')
  expect(await codeOf(mint(alice, grant))).toBe('REVOKED')
  await until(async () => core.alarms.some(({what, grant: id}) => what === 'a grant could not be brought in line' && id === grant))
  aws.broken.clear()
  core.forward(31_000)
  await until(async () => !(await works(credentials)))
})

test('TM-U2: no credential lies in the broker’s folder, its log or its alarms', async () => {
  await mint(alice, await granted(alice))
  expect(aws.secrets.size).toBeGreaterThan(10)
  await expectNoSecrets(broker, ['secret-of-the-broker'])
})

test('TM-P6: killed while it revokes, a broker ends the credential when it is back, and gives none in between', async () => {
  await withKillable(files, [], async (url, kill) => {
    const place = {name: 'aws-kill', url}
    const [holder, lead] = (await Promise.all(['alice', 'bob'].map(name => openPerson(place, name, () => new Date())))) as [Person, Person]
    const grant = await granted(holder, 'deployer', 1800, lead)
    const credentials = await mint(holder, grant)
    // the store knows, AWS does not yet
    aws.hangs.add('PutRolePolicy')
    const at = aws.calls.length
    const answer = codeOf(lead.client.call(api.revokeGrant, {id: grant}))
    await until(async () => aws.calls.slice(at).includes('PutRolePolicy'))
    await kill(async () => {
      expect(await answer).not.toBe('none')
      expect(await works(credentials)).toBe(true)
      aws.hangs.clear()
    })
    await until(async () => !(await works(credentials)))
    expect(await codeOf(mint(holder, grant))).toBe('REVOKED')

    // and while it confers: after the restart the grant is there, once
    const {id} = await holder.client.call(api.createRequest, {key: newKey(), role: 'deployer', reason, durationSeconds: 1800})
    aws.hangs.add('AssumeRole')
    const from = aws.calls.length
    await lead.approve(id)
    await until(async () => aws.calls.slice(from).some(call => call.startsWith('AssumeRole')))
    await kill(async () => aws.hangs.clear())
    const second = (await holder.client.call(api.showRequest, {id})).result as string
    expect(await works(await mint(holder, second))).toBe(true)
  }).finally(() => aws.hangs.clear())
})
