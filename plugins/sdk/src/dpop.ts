/** The login key and what it signs: DPoP proofs (RFC 9449) and approvals. Plain `node:crypto`, for it is in the path of every call. */
import {createHash, createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign} from 'node:crypto'
import {ProdError} from './errors.ts'
import {type PublicJwk, thumbprint} from './login-binding.ts'

/** As the credential store holds it. Never shown, logged or sent. */
export interface PrivateJwk extends PublicJwk {
  d: string
}

export interface LoginKey {
  readonly publicJwk: PublicJwk
  readonly thumbprint: string
  /** Compact JWS, ES256, over the JSON of `payload`. */
  sign(header: Record<string, unknown>, payload: Record<string, unknown>): string
}

/** A new P-256 key for one login, and the form in which it is kept. */
export function createLoginKey(): {key: LoginKey; privateJwk: PrivateJwk} {
  const {privateKey} = generateKeyPairSync('ec', {namedCurve: 'P-256'})
  const {x, y, d} = privateKey.export({format: 'jwk'}) as {x: string; y: string; d: string}
  const privateJwk: PrivateJwk = {kty: 'EC', crv: 'P-256', x, y, d}
  return {key: loginKey(privateJwk), privateJwk}
}

/** The kept key, ready to sign. Throws NOT_LOGGED_IN where it is not a P-256 private key. */
export function loginKey({kty, crv, x, y, d}: PrivateJwk): LoginKey {
  const publicJwk: PublicJwk = {kty, crv, x, y}
  let privateKey: KeyObject
  try {
    if (crv !== 'P-256') throw new TypeError('not P-256')
    privateKey = createPrivateKey({format: 'jwk', key: {kty, crv, x, y, d}})
  } catch (cause) {
    throw new ProdError('NOT_LOGGED_IN', 'the key of this login is missing or damaged', 'prod login', {cause})
  }
  return {
    publicJwk,
    thumbprint: thumbprint(publicJwk),
    sign(header, payload) {
      const input = `${encode({alg: 'ES256', ...header})}.${encode(payload)}`
      return `${input}.${sign('sha256', Buffer.from(input), {key: privateKey, dsaEncoding: 'ieee-p1363'}).toString('base64url')}`
    },
  }
}

/** What one DPoP proof is for. `url` may carry a query: `htu` goes without. */
export interface ProofInput {
  method: string
  url: string
  accessToken?: string
  nonce?: string
}

/** One DPoP proof (RFC 9449 section 4.2), good for one request: `jti` is 128 random bits. */
export function proof(key: LoginKey, {method, url, accessToken, nonce}: ProofInput): string {
  const {origin, pathname} = new URL(url)
  return key.sign(
    {typ: 'dpop+jwt', jwk: key.publicJwk},
    {
      jti: randomBytes(16).toString('base64url'),
      htm: method,
      htu: origin + pathname,
      iat: Math.floor(Date.now() / 1000),
      ...(accessToken === undefined ? {} : {ath: createHash('sha256').update(accessToken).digest('base64url')}),
      ...(nonce === undefined ? {} : {nonce}),
    },
  )
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
