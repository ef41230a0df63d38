import {createHash} from 'node:crypto'
import {decodeJwt} from 'jose'
import {expect, test} from 'vitest'
import {logIn, makeKey, openDoor} from './door.ts'

test('somebody logs in, the ID token binds their key, and whoami knows them', async ({onTestFinished}) => {
  const door = await openDoor(onTestFinished)
  const alice = await logIn(door, 'alice')
  expect(alice.tokens).toMatchObject({
    groups: ['engineers'],
    principal: {iss: door.identity.issuer, sub: 'alice', person: 'alice', name: 'alice'},
  })

  const {status, body} = await alice.call('GET', '/v1/whoami')
  expect(status).toBe(200)
  expect(body).toMatchObject({principal: {sub: 'alice'}, groups: ['engineers'], grants: []})

  const record = (await door.parts.store.find<{idToken: string; salt: string; thumbprint: string}>('login', alice.tokens.login))?.value
  expect(decodeJwt(record!.idToken).nonce).toBe(
    createHash('sha256')
      .update(alice.key.thumbprint + record!.salt)
      .digest('base64url'),
  )
  await expect(door.identity.verifyBinding(record!.idToken, record!.thumbprint, record!.salt)).resolves.toEqual({
    iss: door.identity.issuer,
    sub: 'alice',
    person: 'alice',
  })
  await expect(door.identity.verifyBinding(record!.idToken, (await makeKey()).thumbprint, record!.salt)).rejects.toMatchObject({
    code: 'SIGNATURE_INVALID',
  })
  expect(await door.events()).toEqual(['login.created'])
})
