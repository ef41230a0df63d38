/** A login begins: the broker exchanges the code, the provider's signature binds the person to the key. */
import {createHash} from 'node:crypto'
import type {Tokens} from '@prod/sdk/api'
import {sha256} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import {bindingNonce} from '@prod/sdk/login-binding'
import type {ProvedLogin} from '../identity-providers/identity-provider.ts'
import type {Parts} from '../parts.ts'
import {actorOf, grantedGroups, type LoginRecord, loginSeconds, putLogin} from './logins.ts'
import {rememberPerson} from './people.ts'
import {checkProof, type ProvedKey} from './proofs.ts'
import {seal} from './seal.ts'
import {accessTokenSeconds, hashOf, issueAccessToken, issueRefreshToken} from './tokens.ts'
import {countTry} from './tries.ts'

const refusalsPerMinute = 20
const maxAddresses = 10_000
const triesPerCode = 10

/** Where a call came from that nobody has proved yet. */
export interface From {
  url: string
  proof: string | undefined
  address: string
  correlation: string
}

/** Exchanges the code and begins the login. Throws LOGIN_FAILED, TOKEN_INVALID, LIMIT_REACHED. */
export async function login(
  parts: Parts,
  {code, verifier, salt, redirectUri, iss}: {code: string; verifier: string; salt: string; redirectUri: string; iss?: string},
  {url, proof, address, correlation}: From,
): Promise<Tokens> {
  refuseFlood(parts, address)
  const key = await checkProof(parts, {method: 'POST', url, proof})
  await countTry(parts, [
    {key: ['code', sha256(code)], most: triesPerCode, seconds: 600, what: 'this code'},
    {key: ['login key', key.thumbprint], most: triesPerCode, seconds: 60, what: 'a login with this key'},
  ])
  let proved: ProvedLogin
  try {
    if (iss !== undefined && iss !== parts.identity.issuer)
      throw new ProdError('LOGIN_FAILED', 'the answer came from another identity provider', 'prod login')
    proved = await parts.identity.exchange({code, verifier, redirectUri, nonce: bindingNonce(key.thumbprint, salt)})
  } catch (error) {
    if (error instanceof ProdError && error.code === 'LOGIN_FAILED') {
      if (!countRefusal(parts, address)) throw error
      await parts.store.commit({
        events: [
          {type: 'login.refused', by: 'nobody', subject: key.thumbprint, correlation, data: {why: error.message}, personal: {address}},
        ],
      })
    }
    throw error
  }
  return begin(parts, proved, key, salt, {address, correlation})
}

async function begin(
  parts: Parts,
  proved: ProvedLogin,
  key: ProvedKey,
  salt: string,
  {address, correlation}: Pick<From, 'address' | 'correlation'>,
): Promise<Tokens> {
  const {store, keys} = parts
  const {principal, groups, idToken, providerToken, authenticatedAt} = proved
  const now = store.now()
  const at = now.toISOString()
  const id = parts.newId('login')
  const refreshToken = issueRefreshToken(parts, id)
  const record: LoginRecord = {
    id,
    principal,
    groups,
    groupsReadAt: at,
    groupsClaimedUntil: null,
    groupsRetryAt: null,
    jwk: key.jwk,
    thumbprint: key.thumbprint,
    salt,
    idToken,
    providerToken: providerToken === null ? null : seal(keys.seal, `${id}/provider`, providerToken),
    current: {hash: hashOf(refreshToken), at},
    previous: null,
    revokedAt: null,
    createdAt: at,
    authenticatedAt,
    lastUsedAt: at,
    expiresAt: new Date(now.getTime() + loginSeconds * 1000).toISOString(),
  }
  await store.commit({
    put: [putLogin(parts, record, 0)],
    events: [
      {
        type: 'login.created',
        by: actorOf(principal),
        subject: id,
        correlation,
        // the certificate's digest: nobody can put another key under this login later, unseen
        data: {
          iss: principal.iss,
          thumbprint: key.thumbprint,
          idToken: createHash('sha256').update(idToken).digest('hex'),
          groups,
          authenticatedAt,
          expiresAt: record.expiresAt,
        },
        personal: {sub: principal.sub, name: principal.name, address},
      },
    ],
  })
  const all = [...new Set([...groups, ...(await grantedGroups(parts, record)).groups])]
  await rememberPerson(parts, principal, all, true)
  return tokensOf(parts, record, refreshToken, all)
}

/** The answer to a login and to each renewal. */
export async function tokensOf(parts: Parts, record: LoginRecord, refreshToken: string, groups: string[]): Promise<Tokens> {
  const {id, principal, thumbprint, authenticatedAt} = record
  const accessToken = await issueAccessToken(parts, id, principal.sub, thumbprint)
  return {accessToken, refreshToken, expiresInSeconds: accessTokenSeconds, principal, groups, loggedInAt: authenticatedAt, login: id}
}

/** Refused logins by address in this minute: what strangers can write to the log is bounded. */
const refusals = new WeakMap<Parts['store'], {minute: number; counts: Map<string, number>}>()

function refuseFlood({store}: Parts, address: string): void {
  const minute = Math.floor(store.now().getTime() / 60_000)
  const known = refusals.get(store)
  if (known?.minute !== minute) return
  if ((known.counts.get(address) ?? 0) >= refusalsPerMinute) {
    throw new ProdError('LIMIT_REACHED', 'too many logins were refused from there', 'wait a minute, then prod login')
  }
}

/** Whether this refusal is written down: of very many addresses in one minute no more are, and an operator is told. Nobody is locked out by others. */
function countRefusal({store, alarm}: Parts, address: string): boolean {
  const minute = Math.floor(store.now().getTime() / 60_000)
  let known = refusals.get(store)
  if (known?.minute !== minute) {
    known = {minute, counts: new Map()}
    refusals.set(store, known)
  }
  const count = known.counts.get(address)
  if (count === undefined && known.counts.size >= maxAddresses) return false
  known.counts.set(address, (count ?? 0) + 1)
  if (known.counts.size === maxAddresses && count === undefined)
    alarm('logins are refused from very many addresses: no more of them are written down in this minute', {addresses: maxAddresses})
  return true
}
