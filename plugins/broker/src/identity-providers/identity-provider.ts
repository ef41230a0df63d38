/** Who is calling: the port. `oidc/` is every issuer; `dev/` starts one of our own inside the broker. */
import type {Principal} from '@prod/sdk'

/** What the provider says of a person who has just logged in. */
export interface ProvedLogin {
  principal: Principal
  groups: string[]
  /** the ID token: the certificate that binds the person to the key through its nonce */
  idToken: string
  /** the provider's own refresh token, to re-read groups; never leaves the broker; sealed at rest */
  providerToken: string | null
  authenticatedAt: string
}

export interface IdentityProvider {
  readonly issuer: string
  readonly clientId: string
  readonly scopes: string[]
  authorizationEndpoint(): Promise<string>
  /** Exchanges the code. Checks signature, iss, aud, exp, nonce === `nonce`. Throws LOGIN_FAILED. */
  exchange(input: {code: string; verifier: string; redirectUri: string; nonce: string}): Promise<ProvedLogin>
  /** Groups now (TM-G3), and the provider's next token. Throws where the provider says the person is gone or cannot be reached. */
  groups(providerToken: string): Promise<{groups: string[]; providerToken: string}>
  /**
   * Whether this ID token binds this key: signature by the issuer's configured JWKS (never `jku`, `x5u`, `jwk`), iss, aud,
   * nonce = base64url(SHA-256(thumbprint ‖ salt)). Expiry is not asked: it is a certificate of a past login. Throws SIGNATURE_INVALID.
   */
  verifyBinding(idToken: string, thumbprint: string, salt: string): Promise<{iss: string; sub: string; person: string}>
}
