/** Who is calling: token, proof of its key, a login that has not ended, groups that are fresh. */
import {ProdError} from '@prod/sdk/errors'
import type {Caller, Parts} from '../parts.ts'
import {findLogin, grantedGroups, type LoginRecord, readGroups, refuseEnded} from './logins.ts'
import {rememberPerson} from './people.ts'
import {checkProof} from './proofs.ts'
import {type AccessClaims, readAccessToken} from './tokens.ts'

/** What a call shows of its caller. */
export interface Shown {
  method: string
  /** origin and path */
  url: string
  /** header `Authorization`: `DPoP` and the access token */
  authorization: string | undefined
  /** header `DPoP` */
  proof: string | undefined
  address: string
  correlation: string
}

/** The caller of one call. Throws NOT_LOGGED_IN without a token, TOKEN_INVALID where token or proof fail, LOGIN_EXPIRED where the login has ended. */
export async function authenticate(parts: Parts, shown: Shown): Promise<Caller> {
  const claims = await prove(parts, shown)
  const login = await findLogin(parts, claims.login)
  refuseEnded(parts, login)
  if (login.thumbprint !== claims.thumbprint)
    throw new ProdError('TOKEN_INVALID', 'the access token is not valid or no longer', 'prod login')
  const {address, correlation} = shown
  const groups = await currentGroups(parts, login)
  await rememberPerson(parts, login.principal, groups)
  return callerOf(login, groups, {address, correlation, tokenExpiresAt: claims.expiresAt})
}

/** A fresh proof with the broker's nonce by the key of this caller (TM-Q3). Throws TOKEN_INVALID. */
export async function proveAgain(
  parts: Parts,
  caller: Caller,
  shown: Omit<Shown, 'address' | 'correlation'> & {nonce: string},
): Promise<void> {
  const claims = await prove(parts, shown)
  if (claims.login !== caller.login) throw new ProdError('TOKEN_INVALID', 'the token is of another login', 'prod login')
}

/**
 * The caller as of now, for what lasts: the login has not ended, the token has not run out, groups are fresh (TM-G3, TM-Q7).
 * Throws LOGIN_EXPIRED, TOKEN_INVALID.
 */
export async function reauthenticate(parts: Parts, caller: Caller): Promise<Caller> {
  if (caller.tokenExpiresAt <= parts.store.now().toISOString())
    throw new ProdError('TOKEN_INVALID', 'the access token has run out', 'prod attach')
  const login = await findLogin(parts, caller.login)
  refuseEnded(parts, login)
  return {...caller, groups: await currentGroups(parts, login)}
}

async function prove(
  parts: Parts,
  {method, url, authorization, proof, nonce}: Omit<Shown, 'address' | 'correlation'> & {nonce?: string},
): Promise<AccessClaims> {
  if (authorization === undefined) throw new ProdError('NOT_LOGGED_IN', 'this call needs a login', 'prod login')
  const [, accessToken] = /^DPoP ([A-Za-z0-9._-]+)$/i.exec(authorization) ?? []
  if (accessToken === undefined) throw new ProdError('TOKEN_INVALID', 'the access token is not bound to a key', 'prod login')
  const claims = await readAccessToken(parts, accessToken)
  await checkProof(parts, {method, url, proof, accessToken, ...(nonce === undefined ? {} : {nonce}), thumbprint: claims.thumbprint})
  return claims
}

async function currentGroups(parts: Parts, login: LoginRecord): Promise<string[]> {
  const [read, granted] = await Promise.all([readGroups(parts, login), grantedGroups(parts, login)])
  if (read.fault === 'gone') throw new ProdError('LOGIN_EXPIRED', 'the identity provider has ended this login', 'prod login')
  return [...new Set([...read.groups, ...granted.groups])]
}

function callerOf(login: LoginRecord, groups: string[], rest: Pick<Caller, 'address' | 'correlation' | 'tokenExpiresAt'>): Caller {
  return {principal: login.principal, groups, login: login.id, loggedInAt: login.authenticatedAt, ...rest}
}
