import {createHash} from 'node:crypto'

/** The public half of a login key: P-256, as a JWK (RFC 7517, RFC 7518 section 6.2.1). */
export interface PublicJwk {
  kty: 'EC'
  crv: 'P-256'
  x: string
  y: string
}

/** RFC 7638 thumbprint: base64url SHA-256 over the required members in lexical order. Pure. */
export function thumbprint({crv, kty, x, y}: PublicJwk): string {
  return createHash('sha256').update(JSON.stringify({crv, kty, x, y})).digest('base64url')
}

/**
 * The OIDC `nonce` by which the provider's signature binds a person to a key: base64url SHA-256 over the ASCII of
 * thumbprint and salt, one after the other. The salt (32 random bytes, base64url) keeps the key out of the provider's sight. Pure.
 */
export function bindingNonce(thumbprint: string, salt: string): string {
  return createHash('sha256')
    .update(thumbprint + salt, 'ascii')
    .digest('base64url')
}
