/** The next tokens of a login. A refresh token is good once; its reuse ends the login (TM-Q4). */
import type {Tokens} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import type {Parts} from '../parts.ts'
import {type From, tokensOf} from './login.ts'
import {actorOf, endLogin, findLogin, grantedGroups, type LoginRecord, putLogin, readGroups, refuseEnded, storedLogin} from './logins.ts'
import {checkProof} from './proofs.ts'
import {seal, unseal} from './seal.ts'
import {hashOf, issueRefreshToken, loginOfRefreshToken} from './tokens.ts'

const graceMs = 60_000

/**
 * Answers a refresh token with the next. The one before, by the same key within 60 s, gets the same successor: an answer may have been
 * lost, or two processes asked at once. Any other use of a token that was issued ends the login. The provider is asked for the groups
 * where they are older than five minutes, and where it cannot be asked the login is not carried on.
 * Throws LOGIN_EXPIRED, TOKEN_INVALID, LOGIN_FAILED.
 */
export async function refresh(
  parts: Parts,
  {refreshToken}: {refreshToken: string},
  {url, proof, address, correlation}: From,
): Promise<Tokens> {
  // first what costs nothing to refuse: a proof that is looked at is written down
  const id = loginOfRefreshToken(parts, refreshToken)
  if (id === undefined) throw new ProdError('LOGIN_EXPIRED', 'this login is not known', 'prod login')
  const key = await checkProof(parts, {method: 'POST', url, proof})
  const hash = hashOf(refreshToken)
  for (;;) {
    const login = await findLogin(parts, id)
    refuseEnded(parts, login)
    if (key.thumbprint !== login.thumbprint || !isUsable(parts, login, hash)) {
      await endReused(parts, login, {address, correlation}, key.thumbprint !== login.thumbprint)
      throw new ProdError(
        'LOGIN_EXPIRED',
        'a refresh token was used twice, so this login was ended: somebody may have copied it',
        'prod login',
      )
    }
    const groups = await carriedGroups(parts, login)
    if (hash !== login.current.hash) {
      const successor = unseal(parts.keys.seal, `${id}/successor`, login.previous?.successor as string)
      return tokensOf(parts, login, successor, groups)
    }
    const next = issueRefreshToken(parts, id)
    const stored = await storedLogin(parts, id)
    if (!stored || stored.value.current.hash !== hash) continue
    const at = parts.store.now().toISOString()
    const renewed: LoginRecord = {
      ...stored.value,
      current: {hash: hashOf(next), at},
      previous: {hash, at, successor: seal(parts.keys.seal, `${id}/successor`, next)},
      lastUsedAt: at,
    }
    const saved = await parts.store.commit({
      put: [putLogin(parts, renewed, stored.version)],
      events: [
        {type: 'login.renewed', by: actorOf(login.principal), subject: id, correlation, personal: {name: login.principal.name, address}},
      ],
    })
    if (saved.ok) return tokensOf(parts, renewed, next, groups)
  }
}

function isUsable({store}: Parts, {current, previous}: LoginRecord, hash: string): boolean {
  if (hash === current.hash) return true
  return previous !== null && hash === previous.hash && store.now().getTime() - Date.parse(previous.at) <= graceMs
}

async function carriedGroups(parts: Parts, login: LoginRecord): Promise<string[]> {
  const {groups, fault} = await readGroups(parts, login)
  if (fault === 'gone') throw new ProdError('LOGIN_EXPIRED', 'the identity provider has ended this login', 'prod login')
  // a provider that gave no token to ask with has vouched once, for this login's whole life
  if (fault === 'unread' && login.providerToken !== null) {
    throw new ProdError('IDENTITY_UNAVAILABLE', 'the identity provider cannot be asked now', 'try again in a moment')
  }
  return [...new Set([...groups, ...(await grantedGroups(parts, login)).groups])]
}

async function endReused(
  parts: Parts,
  {id, principal}: LoginRecord,
  {address, correlation}: Pick<From, 'address' | 'correlation'>,
  otherKey: boolean,
): Promise<void> {
  const ended = await endLogin(parts, id, {
    type: 'login.reuse-detected',
    by: 'broker',
    correlation,
    data: {otherKey},
    personal: {person: actorOf(principal), name: principal.name, address},
  })
  if (ended) parts.alarm('a refresh token was used again: its login was ended', {login: id, correlation})
}
