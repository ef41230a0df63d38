/** The broker's own tokens: access tokens that anybody can read and only a key can use, refresh tokens that nobody can read. */
import {createHash, createHmac, hkdfSync, randomBytes, timingSafeEqual} from 'node:crypto'
import {ProdError} from '@prod/sdk/errors'
import {jwtVerify, SignJWT} from 'jose'
import type {Parts} from '../parts.ts'

export const accessTokenSeconds = 15 * 60
const maxTokenLength = 4096

/** What an access token says (RFC 9068, `cnf` of RFC 9449 section 6.1). */
export interface AccessClaims {
  login: string
  thumbprint: string
  expiresAt: string
}

/** A JWT of 15 minutes, good with the key of `thumbprint` alone. */
export function issueAccessToken({config, keys, store}: Parts, login: string, sub: string, thumbprint: string): Promise<string> {
  const now = Math.floor(store.now().getTime() / 1000)
  return new SignJWT({login, cnf: {jkt: thumbprint}})
    .setProtectedHeader({alg: 'EdDSA', typ: 'at+jwt'})
    .setIssuer(config.origin)
    .setAudience(config.origin)
    .setSubject(sub)
    .setIssuedAt(now)
    .setNotBefore(now)
    .setExpirationTime(now + accessTokenSeconds)
    .setJti(randomBytes(12).toString('base64url'))
    .sign(keys.token.privateKey)
}

/** Checks signature, algorithm, type, issuer, audience and times (TM-Q5). Keys named in the token are not looked at. Throws TOKEN_INVALID. */
export async function readAccessToken({config, keys, store}: Parts, token: string): Promise<AccessClaims> {
  if (token.length > maxTokenLength) throw refused()
  try {
    const {payload} = await jwtVerify(token, keys.token.publicKey, {
      algorithms: ['EdDSA'],
      typ: 'at+jwt',
      issuer: config.origin,
      audience: config.origin,
      requiredClaims: ['exp', 'nbf', 'iat', 'sub', 'login', 'cnf'],
      currentDate: store.now(),
    })
    const {login, cnf, exp} = payload as {login?: unknown; cnf?: {jkt?: unknown}; exp: number}
    if (typeof login !== 'string' || typeof cnf?.jkt !== 'string') throw new TypeError('not one of ours')
    return {login, thumbprint: cnf.jkt, expiresAt: new Date(exp * 1000).toISOString()}
  } catch (cause) {
    throw refused(cause)
  }
}

/**
 * A refresh token: `login.secret.seal`. The secret is 256 random bits; the seal shows that this broker issued it, so that a used one
 * is told from a made-up one though only the hash of the newest is kept.
 */
export function issueRefreshToken({keys}: Parts, login: string): string {
  const secret = randomBytes(32).toString('base64url')
  return `${login}.${secret}.${sealOf(keys.seal, login, secret)}`
}

/** The login a refresh token belongs to, or undefined where this broker never issued it. */
export function loginOfRefreshToken({keys}: Parts, token: string): string | undefined {
  const [login, secret, seal, ...rest] = token.split('.')
  if (!login || !secret || !seal || rest.length > 0) return undefined
  const due = Buffer.from(sealOf(keys.seal, login, secret))
  const given = Buffer.from(seal)
  return given.length === due.length && timingSafeEqual(given, due) ? login : undefined
}

/** What is stored of a refresh token. */
export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

function sealOf(seal: Uint8Array, login: string, secret: string): string {
  const key = Buffer.from(hkdfSync('sha256', seal, '', 'prod refresh token', 32))
  return createHmac('sha256', key).update(`${login}.${secret}`).digest('base64url')
}

function refused(cause?: unknown): ProdError {
  return new ProdError('TOKEN_INVALID', 'the access token is not valid or no longer', 'prod login', {cause})
}
