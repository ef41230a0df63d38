/** `assume --break-glass`, through the real stream: a role without an approval, and what it leaves behind. */
import type {Grant} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import {openStream} from '@prod/sdk/stream-client'
import type {FirstMessage, ServerMessage} from '@prod/sdk/wire'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Core, codeOf, newKey, type OnFinished, type Person, startCore, until} from './core.ts'
import {alerts, incident} from './sessions-shell.ts'

const rule = `@id("glass-role")
permit (principal in Group::"engineers", action == Action::"breakGlass", resource == Role::"jobber")
when { context.use == "assume" };
`
const hands =
  'kind: Role\nname: hands\nsummary: nobody breaks glass for it\nprovider: group\nparameters: { group: hands }\nclass: change\nmaxSeconds: 3600\n'
const reason = 'the queue is stuck and customers wait'
const ends: Parameters<OnFinished>[0][] = []
let core: Core
let alice: Person

beforeAll(async () => {
  core = await startCore(end => ends.push(end), {files: {'policy/global/glass.cedar': rule, 'catalog/roles/hands.yaml': hands}})
  alice = await core.as('alice')
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

type Asked = Partial<FirstMessage & {type: 'assume'}>

/** Takes a role by breaking glass; types what is asked for, or `typed`. */
async function take(person: Person, more: Asked = {}, typed?: string): Promise<{grant: Grant; messages: ServerMessage[]}> {
  const first: FirstMessage = {
    type: 'assume',
    key: newKey(),
    role: 'jobber',
    durationSeconds: 1800,
    reason,
    incident,
    breakGlass: {confirmed: null},
    wait: true,
    client: {version: 'test', platform: 'test'},
    ...more,
  }
  const messages: ServerMessage[] = []
  const stream = await openStream({broker: person.session.broker, session: person.session, first})
  for await (const event of stream) {
    if (event.type !== 'message') continue
    messages.push(event.message)
    if (event.message.type === 'confirm') stream.send({type: 'confirmed', text: typed ?? event.message.text})
    if (event.message.type === 'granted') {
      stream.close()
      return {grant: event.message.grant, messages}
    }
  }
  throw new ProdError('INTERNAL', 'the stream ended without a grant')
}
const granted = async (person: Person) =>
  (await person.client.call(api.listGrants, {})).grants.filter(({state}) => state === 'active' || state === 'approved')

test('TM-O1, O2: a role is had at once for an incident, loudly, and somebody else reviews it when it is over', async () => {
  const {grant, messages} = await take(alice)
  const banner = messages.find(message => message.type === 'confirm')?.banner.join('\n')
  expect(banner).toContain('BREAK-GLASS on jobber\n')
  expect(Date.parse(grant.expiresAt) - Date.parse(grant.startsAt)).toBe(1800_000)
  await until(async () => (await alice.client.call(api.whoami)).groups.includes('jobbers'), 'the role')
  for (const name of ['a', 'b'] as const)
    expect(alerts(core, name).find(({subject}) => subject === grant.id)).toMatchObject({
      type: 'break-glass.started',
      target: 'jobber',
      reason: `${incident}: ${reason}`,
    })
  const [logged] = (await core.events('break-glass.granted')).filter(({subject}) => subject === grant.id)
  expect(logged?.data).toMatchObject({role: 'jobber', breakGlass: true, incident, alerted: ['a', 'b'], frozen: false})

  const carol = await core.as('carol')
  const review = async () => (await carol.client.call(api.listReviews)).reviews.find(({session}) => session === grant.id)
  const {id} = (await review()) as {id: string}
  const done = {id, verdict: 'ok', note: 'looked at what it was used for; all as the incident says'} as const
  expect(await codeOf(alice.client.call(api.doneReview, done))).toBe('SELF_REVIEW')
  expect(await codeOf(carol.client.call(api.doneReview, done))).toBe('BAD_REQUEST')
  await alice.client.call(api.revokeGrant, {id: grant.id})
  await until(() => alerts(core, 'b').some(({type, subject}) => type === 'break-glass.ended' && subject === grant.id), 'the end of it')
  expect((await alice.client.call(api.whoami)).groups).not.toContain('jobbers')
  expect((await carol.client.call(api.doneReview, done)).state).toBe('done')
})

test('TM-O3: without an incident, the name typed, a permit, or a time that is allowed, there is no role', async () => {
  expect(await codeOf(take(alice, {incident: undefined}))).toBe('INCIDENT_INVALID')
  expect(await codeOf(take(alice, {}, 'jobbers'))).toBe('CONFIRMATION_FAILED')
  expect(await codeOf(take(alice, {role: 'hands'}))).toBe('DENIED')
  expect(await codeOf(take(alice, {role: 'nobody'}))).toBe('ROLE_NOT_FOUND')
  expect(await codeOf(take(await core.as('bob')))).toBe('DENIED')
  expect(await granted(alice)).toEqual([])
})

test('TM-O2: where an alert is not accepted nothing is granted', async ({onTestFinished}) => {
  const own = await startCore(onTestFinished, {
    files: {'policy/global/glass.cedar': rule},
    settings: {alertChannels: ['a', 'gone']},
  })
  const person = await own.as('alice')
  expect(await codeOf(take(person))).toBe('ALERTS_NOT_ACCEPTED')
  expect(await granted(person)).toEqual([])
})

test('TM-F5: it goes through a freeze and says so, and a grant that was not by break-glass does not', async () => {
  const carol = await core.as('carol')
  await carol.client.call(api.freeze, {reason: 'everybody stops until we know more'})
  try {
    const {grant, messages} = await take(alice)
    expect(JSON.stringify(messages)).toContain('you break glass through a freeze')
    await until(async () => (await alice.client.call(api.whoami)).groups.includes('jobbers'), 'the role')
    await alice.client.call(api.revokeGrant, {id: grant.id})
  } finally {
    await carol.client.call(api.liftFreeze, {reason: 'we know more by now'})
    await (await core.as('bob')).client.call(api.liftFreeze, {reason: 'we know more by now'})
  }
})

test('the same key is the same grant, and no longer than break-glass may last', async () => {
  const key = newKey()
  const [{grant}, again] = [await take(alice, {key, durationSeconds: 3600}), await take(alice, {key, durationSeconds: 3600})]
  expect(again.grant.id).toBe(grant.id)
  await alice.client.call(api.revokeGrant, {id: grant.id})
})
