import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {notifier, verifyWebhook} from '../src/index.ts'
import {holderSecret} from '../src/secrets.ts'
import {signWebhook} from '../src/signature.ts'

// the vector that libraries of standardwebhooks.com test with
const vector = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  at: new Date(1614265330_000),
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
}
const {secret, id, at, body, signature} = vector
const headers = signWebhook(id, body, [secret], at)
const other = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const later = (seconds: number) => new Date(at.getTime() + seconds * 1000)

test('TM-B3: what is signed is the published vector, and the example verifier takes it', () => {
  expect(headers).toEqual({'webhook-id': id, 'webhook-timestamp': '1614265330', 'webhook-signature': signature})
  expect(verifyWebhook(headers, body, [secret], at)).toEqual({id, sentAt: at})
  expect(verifyWebhook(headers, Buffer.from(body), [secret], at)).toEqual({id, sentAt: at})
})

test.each<[string, Record<string, string | string[] | undefined>, string?]>([
  ['an edited body', headers, '{"test": 2432232315}'],
  ['another id', {...headers, 'webhook-id': 'msg_other'}],
  ['another time', {...headers, 'webhook-timestamp': '1614265331'}],
  ['an id that took the dot with it', {...headers, 'webhook-id': `${id}.1614265330`}],
  ['a time that is no whole number', {...headers, 'webhook-timestamp': '1614265330.0'}],
  ['a time with a tail', {...headers, 'webhook-timestamp': '1614265330abc'}],
  ['a time that is negative', {...headers, 'webhook-timestamp': '-1614265330'}],
  ['no signature', {...headers, 'webhook-signature': ''}],
  ['no header', {...headers, 'webhook-signature': undefined}],
  ['two signature headers', {...headers, 'webhook-signature': [signature, signature]}],
  ['another version', {...headers, 'webhook-signature': signature.replace('v1,', 'v0,')}],
  ['a signature without its version', {...headers, 'webhook-signature': signature.slice(3)}],
  ['a short signature', {...headers, 'webhook-signature': signature.slice(0, 20)}],
])('TM-B3: the verifier refuses %s', (_, said, text = body) => {
  expect(() => verifyWebhook(said, text, [secret], at)).toThrow(expect.objectContaining({code: 'SIGNATURE_INVALID'}))
})

test('TM-B3: a message is believed for 300 s either way, and no longer', () => {
  for (const seconds of [-300, 0, 300]) expect(verifyWebhook(headers, body, [secret], later(seconds)).id).toBe(id)
  for (const seconds of [-301, 301])
    expect(() => verifyWebhook(headers, body, [secret], later(seconds))).toThrow(expect.objectContaining({code: 'SIGNATURE_INVALID'}))
})

test('TM-B3: while the secret is exchanged both hold; after it the old one is worth nothing', () => {
  const during = signWebhook(id, body, [other, secret], at)
  for (const known of [[secret], [other], [secret, other]]) expect(verifyWebhook(during, body, known, at).id).toBe(id)
  const after = signWebhook(id, body, [other], at)
  expect(verifyWebhook(after, body, [secret, other], at).id).toBe(id)
  expect(() => verifyWebhook(after, body, [secret], at)).toThrow(expect.objectContaining({code: 'SIGNATURE_INVALID'}))
})

test.each([
  '',
  'whsec_',
  'whsec_AAAA',
  'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-w',
  `whsec_${Buffer.alloc(65).toString('base64')}`,
])('%j is no secret', bad => {
  const sign = () => signWebhook(id, body, [bad], at)
  expect(sign).toThrow(expect.objectContaining({code: 'CONFIG_INVALID'}))
})

test('TM-O6: who sends from their own machine signs in their own name alone, and a receiver can tell', () => {
  const own = holderSecret(secret, 'alice')
  expect(own).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
  const alices = {...signWebhook(id, body, [own], at), 'webhook-holder': 'alice'}
  expect(verifyWebhook(alices, body, [other, secret], at)).toEqual({id, sentAt: at, holder: 'alice'})
  const refused: Record<string, string | string[] | undefined>[] = [
    {...alices, 'webhook-holder': 'bob'},
    {...alices, 'webhook-holder': undefined}, // as if it were the broker
    {...headers, 'webhook-holder': 'alice'},
    {...alices, 'webhook-holder': ''},
    {...alices, 'webhook-holder': '%'},
    {...alices, 'webhook-holder': ['alice', 'bob']},
  ]
  for (const said of refused)
    expect(() => verifyWebhook(said, body, [secret], at)).toThrow(expect.objectContaining({code: 'SIGNATURE_INVALID'}))
})

test('TM-O6: a channel for one person has that secret and no way back to the channel\u2019s own', async ({onTestFinished}) => {
  const folder = mkdtempSync(join(tmpdir(), 'prod-holder-'))
  onTestFinished(() => rmSync(folder, {recursive: true}))
  const secretFile = join(folder, 'secret')
  writeFileSync(secretFile, secret, {mode: 0o600})
  const channel = notifier.channel('chat', {url: 'https://hooks.example/prod', secretFile})
  const own = await channel.forHolder?.('Ünal #1')
  expect(own).toEqual({
    notifier: 'webhook',
    config: {url: 'https://hooks.example/prod', holder: 'Ünal #1', secret: holderSecret(secret, 'Ünal #1')},
  })
  const theirs = notifier.channel('chat', own?.config ?? {})
  await expect(theirs.forHolder?.('bob')).rejects.toMatchObject({code: 'CONFIG_INVALID'})
  for (const bad of [
    {holder: 'alice'},
    {secret: own?.config.secret},
    {holder: 'alice', secret: 'plain'},
    {holder: 'alice', secret: other, secretFile},
  ])
    expect(() => notifier.channel('chat', {url: 'https://hooks.example/prod', ...bad})).toThrow(
      expect.objectContaining({code: 'CONFIG_INVALID'}),
    )
})
