/** `POST /v1/explain` and `GET /v1/help`: what the broker says of its own refusals, and who can help with others'. */
import {api} from '@prod/sdk/api'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Core, codeOf, newKey, type Person, reason, startCore} from './core.ts'

const ends: (() => Promise<void> | void)[] = []
let core: Core
let alice: Person
let bob: Person
let carol: Person
let erin: Person

const role = (name: string, allows: string, account: string) =>
  `kind: Role\nname: ${name}\nsummary: for tests\nprovider: group\nparameters: { group: ${name}s }\nclass: ${name === 'reader' ? 'read' : 'change'}\nservice: jobs\nmaxSeconds: 3600\nallows: [${allows}]\n# ${account}\n`

beforeAll(async () => {
  core = await startCore(end => ends.push(end))
  await core.change('catalog/roles/reader.yaml', role('reader', '"s3:Get*"', ''))
  await core.change(
    'policy/global/reader.cedar',
    '@id("reader") permit (principal in Group::"engineers", action == Action::"request", resource in Role::"reader");\n@id("reader-yes") permit (principal in Group::"sre-leads", action == Action::"approve", resource in Role::"reader");\n',
  )
  ;[alice, bob, carol, erin] = (await Promise.all(['alice', 'bob', 'carol', 'erin'].map(name => core.as(name)))) as [
    Person,
    Person,
    Person,
    Person,
  ]
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

test('a use that policy denies is explained by the rule that lacked least, and nothing is asked for by it', async () => {
  const before = (await core.events('request.created')).length
  const ruling = await carol.client.call(api.explainUse, {argv: ['job', 'fail', '3'], targets: ['local']})
  expect(ruling).toMatchObject({id: null, decision: 'deny', message: expect.stringContaining('no rule permits it')})
  expect(ruling.rules.length).toBeGreaterThan(0)
  expect(ruling.rules.flatMap(({parts}) => parts).filter(({holds}) => holds)).toEqual([])
  expect(ruling.rules.flatMap(({parts}) => parts.map(({change}) => change))).toContain('be in the group engineers')
  expect((await core.events('request.created')).length).toBe(before)
})

test('what the grammar refuses, and what is allowed, is said too', async () => {
  expect(await alice.client.call(api.explainUse, {argv: ['job', 'nothing']})).toMatchObject({decision: 'deny', rules: []})
  expect(await alice.client.call(api.explainUse, {argv: ['job', 'say', 'x'], targets: ['local']})).toMatchObject({decision: 'allow'})
  expect(await codeOf(alice.client.call(api.explainUse, {}))).toBe('BAD_REQUEST')
})

test('a request says what became of it, to whoever may see it', async () => {
  const request = await alice.client.call(api.createRequest, {key: newKey(), role: 'reader', reason, durationSeconds: 60})
  expect(await alice.client.call(api.explainUse, {id: request.id})).toMatchObject({
    decision: 'request',
    message: expect.stringContaining('waits for 1'),
  })
  await bob.client.call(api.denyRequest, {id: request.id, note: 'say which bucket'})
  const told = await alice.client.call(api.explainUse, {id: request.id})
  expect(told.message).toMatch(/denied it: say which bucket/)
  expect(await codeOf(erin.client.call(api.explainUse, {id: request.id}))).toBe('REQUEST_NOT_FOUND')
})

test('a run says what ended it; of somebody else’s nobody hears but who reads the log', async () => {
  const run = alice.exec(['job', 'frames'], {targets: ['local']})
  const {id} = await run.message('started')
  await run.done
  expect(await alice.client.call(api.explainUse, {id})).toMatchObject({id, message: expect.stringContaining('the program itself failed')})
  expect(await codeOf(erin.client.call(api.explainUse, {id}))).toBe('RUN_NOT_FOUND')
  // carol reads the log: the facts, and no judgement of another's rights
  expect(await carol.client.call(api.explainUse, {id})).toMatchObject({decision: null, rules: []})
})

test('help names the roles that allow an action, who approves them and how fast lately, and the owner of what it is about', async () => {
  const request = await erin.client.call(api.createRequest, {key: newKey(), role: 'reader', reason, durationSeconds: 60})
  core.forward(90_000)
  await bob.approve(request.id)
  const help = await alice.client.call(api.whoHelps, {action: 's3:GetObject', resource: 'arn:aws:s3:::shop-jobs-reports/a.csv'})
  expect(help.roles).toEqual([
    {
      name: 'reader',
      usable: 'request',
      class: 'read',
      active: null,
      approvals: 1,
      approvers: expect.arrayContaining(['bob']),
      medianSeconds: expect.any(Number),
    },
  ])
  expect(help.roles[0]?.medianSeconds).toBeGreaterThanOrEqual(90)
  expect(help.owners).toEqual([{service: 'jobs', owner: 'sre-leads', contacts: [], channel: null}])
  expect((await alice.client.call(api.whoHelps, {action: 'ec2:RunInstances'})).roles).toEqual([])
  // carol may not ask for it: it is not shown to her
  expect((await carol.client.call(api.whoHelps, {action: 's3:GetObject'})).roles).toEqual([])
})

test('help names the roles that allow it on this resource: those of other resources, and of other accounts, are left out', async () => {
  const table = (name: string) => `arn:aws:dynamodb:eu-west-1:111122223333:table/${name}`
  await core.change('catalog/roles/orders.yaml', role('orders', `'dynamodb:DeleteItem on ${table('orders*')}'`, ''))
  await core.change('catalog/roles/tables.yaml', role('tables', '"dynamodb:*Item"', ''))
  await core.change(
    'policy/global/tables.cedar',
    ['orders', 'tables']
      .map(name => `@id("${name}") permit (principal in Group::"engineers", action == Action::"request", resource in Role::"${name}");`)
      .join('\n'),
  )
  const namesFor = async (resource?: string) =>
    (await alice.client.call(api.whoHelps, {action: 'dynamodb:DeleteItem', ...(resource === undefined ? {} : {resource})})).roles.map(
      ({name, only}) => [name, only],
    )
  expect(await namesFor(table('orders'))).toEqual([
    ['orders', [table('orders*')]],
    ['tables', undefined],
  ])
  expect(await namesFor(table('invoices'))).toEqual([['tables', undefined]])
  // what it is on the text does not say: the role that is bound comes after, with its bound
  expect(await namesFor()).toEqual([
    ['tables', undefined],
    ['orders', [table('orders*')]],
  ])
})

test('TM-K3: what somebody may not see is answered as what is not there: tool, target, role; and each answer is in the log', async () => {
  await core.change('catalog/services/hidden.yaml', 'kind: Service\nname: vaultkeepers\nowner: security\n')
  await core.change(
    'catalog/targets/hidden.yaml',
    'kind: Target\nname: deepstore\naddress: host:local\nenvironment: hidden\nservice: vaultkeepers\n',
  )
  await core.change('catalog/roles/hidden.yaml', role('keeper', '', '').replace('service: jobs', 'service: vaultkeepers'))
  await core.change(
    'catalog/tools/hidden.yaml',
    'kind: Tool\nname: unvault\nsummary: for tests\nprogram: /bin/true\nrun: { primitive: host, target: deepstore }\ncommands:\n  - { path: [], class: read }\n',
  )
  const [before] = [(await core.events('call.refused')).length]
  const asked = async (there: object, other: object, names: [string, string]) => {
    const [real, none] = await Promise.all([there, other].map(input => alice.client.call(api.explainUse, input)))
    expect(JSON.parse(JSON.stringify(real).replaceAll(names[0], names[1]))).toEqual(none)
    expect(none).toMatchObject({decision: 'deny', rules: [], message: expect.stringContaining('or none that you may see')})
  }
  for (const use of ['shell', 'forward'] as const)
    await asked({target: 'deepstore', use}, {target: 'nowhere', use}, ['deepstore', 'nowhere'])
  await asked({role: 'keeper'}, {role: 'nobody'}, ['keeper', 'nobody'])
  await asked({argv: ['unvault']}, {argv: ['nothing']}, ['unvault', 'nothing'])
  const refused = (await core.events('call.refused')).slice(before)
  expect(refused).toHaveLength(8)
  expect(refused.map(({subject}) => subject)).toEqual(expect.arrayContaining(['deepstore', 'nowhere', 'keeper', 'unvault']))
  expect(refused.every(({data}) => data.where === 'POST /v1/explain' && data.code === 'DENIED')).toBe(true)
  // a role that she may ask for would open it: she may know of it, as a denial names the role
  await core.change(
    'policy/global/readers.cedar',
    '@id("readers") permit (principal in Group::"readers", action == Action::"shell", resource == Target::"deepstore");\n',
  )
  expect((await alice.client.call(api.explainUse, {target: 'deepstore', use: 'shell'})).message).toMatch(/the role reader would allow it/)
  await core.change('policy/global/readers.cedar', '')
  // who reads the log sees it
  expect((await carol.client.call(api.explainUse, {role: 'keeper'})).message).toMatch(/no rule permits it/)
  const listed = async (who: Person) => (await who.client.call(api.catalog)).targets.map(({name}) => name)
  expect(await listed(alice)).toEqual(expect.not.arrayContaining(['deepstore']))
  expect(await listed(carol)).toEqual(expect.arrayContaining(['deepstore', 'local']))
})

test('TM-K3: a guessed name of a target tells its owner to those alone who see the target', async () => {
  const resource = 'arn:aws:ssm:eu-west-1:111122223333:instance/deepstore'
  const ownersOf = async (who: Person) =>
    (await who.client.call(api.whoHelps, {action: 'ssm:StartSession', resource})).owners.map(({service}) => service)
  expect(await ownersOf(alice)).toEqual([])
  expect(await ownersOf(carol)).toEqual(['vaultkeepers'])
})

test('the owner is found by what is nearest to the resource: patterns, targets, names, the account; and nobody where nothing is', async () => {
  const service = (name: string, more = '') =>
    core.change(`catalog/services/${name}.yaml`, `kind: Service\nname: ${name}\nowner: ${name}-team\n${more}`)
  await service('lake', "owns: { resources: ['arn:aws:s3:::raw-*', 'projects/raw-*'] }\n")
  await service('landing', "owns: { accounts: ['999988887777'] }\n")
  await service('fleet')
  await core.change(
    'catalog/targets/fleet.yaml',
    'kind: Target\nname: fleet-1\naddress: host:i-0a1b2c3d4e5f67890\nenvironment: hidden\nservice: fleet\n',
  )
  await core.change(
    'policy/global/fleet.cedar',
    '@id("fleet") permit (principal in Group::"sre-leads", action == Action::"shell", resource == Target::"fleet-1");\n',
  )
  const ownerOf = async (resource: string, who = alice) =>
    (await who.client.call(api.whoHelps, {action: 's3:GetObject', resource})).owners.map(({owner}) => owner)
  expect(await ownerOf('arn:aws:s3:::raw-2026/landing/a.csv')).toEqual(['lake-team'])
  expect(await ownerOf('projects/raw-7/topics/x')).toEqual(['lake-team'])
  expect(await ownerOf('arn:aws:ec2:eu-west-1:999988887777:instance/i-0a1b2c3d4e5f67890', bob)).toEqual(['fleet-team'])
  // alice does not see the target: of it she learns nothing, of the account's keeper she does
  expect(await ownerOf('arn:aws:ec2:eu-west-1:999988887777:instance/i-0a1b2c3d4e5f67890')).toEqual(['landing-team'])
  expect(await ownerOf('arn:aws:sqs:eu-west-1:999988887777:fleet')).toEqual(['fleet-team'])
  expect(await ownerOf('arn:aws:sqs:eu-west-1:999988887777:unknown')).toEqual(['landing-team'])
  expect(await ownerOf('arn:aws:sqs:eu-west-1:000011112222:unknown')).toEqual([])
})
