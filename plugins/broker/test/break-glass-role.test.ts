/** `assume --break-glass`, through the real stream: a role without an approval, and what it leaves behind. */
import {once} from 'node:events'
import {type IncomingMessage, request} from 'node:http'
import {text} from 'node:stream/consumers'
import type {Grant} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {proof} from '@prod/sdk/dpop'
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
  // she may neither take nor ask for it: as if it were not there
  expect(await codeOf(take(alice, {role: 'hands'}))).toBe('ROLE_NOT_FOUND')
  expect(await codeOf(take(alice, {role: 'nobody'}))).toBe('ROLE_NOT_FOUND')
  expect(await codeOf(take(await core.as('bob')))).toBe('DENIED')
  expect(await granted(alice)).toEqual([])
})

test('TM-O3: what was taken by breaking glass gives its credentials where it was taken, or in a listed place', async ({onTestFinished}) => {
  const own = await startCore(onTestFinished, {files: {'policy/global/glass.cedar': rule}, settings: {places: ['127.0.0.1/32']}})
  const person = await own.as('alice')
  const {grant} = await take(person)
  await until(async () => (await person.client.call(api.whoami)).groups.includes('jobbers'), 'the role')
  const {broker, key} = person.session
  const mintFrom = async (localAddress: string, nonce?: string): Promise<string> => {
    const url = `${broker.url}/v1/grants/${grant.id}/credentials`
    const accessToken = await person.session.token()
    const headers = {
      authorization: `DPoP ${accessToken}`,
      dpop: proof(key, {method: 'POST', url, accessToken, ...(nonce === undefined ? {} : {nonce})}),
      'content-type': 'application/json',
    }
    const call = request(url, {method: 'POST', localAddress, headers}).end('{}')
    const [response] = (await once(call, 'response')) as [IncomingMessage]
    const {error} = JSON.parse(await text(response)) as {error: {code: string}}
    const given = response.headers['dpop-nonce']
    return response.statusCode === 401 && nonce === undefined ? mintFrom(localAddress, String(given)) : error.code
  }
  // the provider of the tests gives no credential to anybody
  expect(await mintFrom('127.0.0.1')).toBe('USAGE')
  expect(await mintFrom('127.0.0.2')).toBe('PLACE_REFUSED')
  expect(await mintFrom('127.0.0.1')).toBe('USAGE')
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
