/** Any OpenID Connect issuer, found by discovery: code + PKCE, ID tokens checked here, groups from a claim or from userinfo. */
import type {Principal} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {bindingNonce} from '@prod/sdk/login-binding'
import {createLocalJWKSet, decodeProtectedHeader, errors, type JSONWebKeySet, type JWTPayload, type JWTVerifyOptions, jwtVerify} from 'jose'
import type {IdentityProvider, ProvedLogin} from '../identity-provider.ts'
import {call, checkUrl, type Reach} from './outgoing.ts'

const asymmetric = ['ES256', 'ES384', 'PS256', 'RS256', 'EdDSA']
const discoveryMs = 60 * 60_000
const jwksMs = 10 * 60_000
const jwksRetryMs = 15_000
const skewSeconds = 60
const maxIdTokenAgeSeconds = 10 * 60
const maxGroups = 512

export interface OidcSettings extends Reach {
  issuer: string
  clientId: string
  /** null: a public client */
  clientSecret: string | null
  scopes: string[]
  /** claim with group names or ids, of the ID token or else of userinfo */
  groupsClaim: string
  /** claim with the person id; empty: persons are unknown, and may not approve */
  personClaim: string
  now?: () => Date
}

interface Metadata {
  authorization: string
  token: URL
  userinfo: URL | undefined
  jwks: URL
  algorithms: string[]
}

/** The provider of this issuer. Nothing is asked before it is needed. */
export function openOidc(settings: OidcSettings): IdentityProvider {
  const {issuer, clientId, scopes} = settings
  checkUrl(issuer, settings)
  const now = settings.now ?? (() => new Date())
  const metadata = cached(() => discover(settings), discoveryMs)
  const keys = keySource(async () => fetchJwks((await metadata()).jwks, settings))

  /** Signature by the issuer's keys, nothing that the token itself names (TM-Q5). */
  async function verify(token: string, options: JWTVerifyOptions): Promise<JWTPayload> {
    const {typ} = decodeProtectedHeader(token)
    if (typ !== undefined && typ.toUpperCase() !== 'JWT') throw new errors.JWTInvalid('not an ID token')
    const {algorithms} = await metadata()
    const {payload} = await keys(jwks =>
      jwtVerify(token, jwks, {...options, algorithms, issuer, audience: clientId, requiredClaims: ['sub', 'iat', 'exp', 'nonce']}),
    )
    const {azp, aud} = payload
    if ((azp !== undefined && azp !== clientId) || (Array.isArray(aud) && aud.length > 1))
      throw new errors.JWTClaimValidationFailed('meant for somebody else', payload, 'azp')
    return payload
  }

  async function token(form: Record<string, string>): Promise<Record<string, unknown>> {
    const {token: url} = await metadata()
    const body = new URLSearchParams({...form, client_id: clientId})
    const {clientSecret} = settings
    const authorization =
      clientSecret === null ? undefined : `Basic ${Buffer.from(`${formEncode(clientId)}:${formEncode(clientSecret)}`).toString('base64')}`
    const {status, json} = await call(url, settings, {form: body, ...(authorization === undefined ? {} : {authorization})})
    if (status === 200 && json) return json
    if (status >= 500 || status === 429 || !json)
      throw new ProdError('IDENTITY_UNAVAILABLE', 'the identity provider does not answer as it should', 'try again in a moment')
    throw new Refused(typeof json.error === 'string' ? json.error.slice(0, 64) : 'refused')
  }

  /** Claims of the ID token, and of userinfo where the groups are not in it. */
  async function claimsWith(payload: JWTPayload, accessToken: unknown): Promise<Record<string, unknown>> {
    const {userinfo} = await metadata()
    if (Object.hasOwn(payload, settings.groupsClaim) || !userinfo || typeof accessToken !== 'string') return payload
    const {status, json} = await call(userinfo, settings, {authorization: `Bearer ${accessToken}`})
    if (status !== 200 || json?.sub !== payload.sub)
      throw new ProdError('IDENTITY_UNAVAILABLE', 'the identity provider does not say who this is', 'try again in a moment')
    return {...json, ...payload}
  }

  return {
    issuer,
    clientId,
    scopes,
    authorizationEndpoint: async () => (await metadata()).authorization,

    async exchange({code, verifier, redirectUri, nonce}): Promise<ProvedLogin> {
      try {
        const answer = await token({grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: redirectUri})
        const idToken = answer.id_token
        if (typeof idToken !== 'string') throw new Refused('no ID token')
        const payload = await verify(idToken, {currentDate: now(), clockTolerance: skewSeconds, maxTokenAge: maxIdTokenAgeSeconds})
        if (payload.nonce !== nonce) throw new Refused('the ID token is bound to another key')
        const claims = await claimsWith(payload, answer.access_token)
        const authTime = payload.auth_time
        const refreshToken = answer.refresh_token
        return {
          principal: principalOf(settings, payload, claims),
          groups: groupsIn(claims, settings.groupsClaim),
          idToken,
          providerToken: typeof refreshToken === 'string' ? refreshToken : null,
          authenticatedAt: new Date((typeof authTime === 'number' ? authTime : (payload.iat as number)) * 1000).toISOString(),
        }
      } catch (cause) {
        if (cause instanceof ProdError) throw cause
        throw new ProdError('LOGIN_FAILED', `the identity provider did not vouch for this login: ${whyOf(cause)}`, 'prod login', {cause})
      }
    },

    async groups(providerToken) {
      try {
        const answer = await token({grant_type: 'refresh_token', refresh_token: providerToken})
        const idToken = answer.id_token
        const next = answer.refresh_token
        const accessToken = answer.access_token
        let claims: Record<string, unknown> | undefined
        if (typeof idToken === 'string') {
          // a renewed ID token need not repeat the nonce (OpenID Connect Core, section 12.2)
          const {algorithms} = await metadata()
          const {payload} = await keys(jwks =>
            jwtVerify(idToken, jwks, {algorithms, issuer, audience: clientId, currentDate: now(), clockTolerance: skewSeconds}),
          )
          claims = await claimsWith(payload, accessToken)
        } else {
          const {userinfo} = await metadata()
          if (!userinfo || typeof accessToken !== 'string')
            throw new ProdError('IDENTITY_UNAVAILABLE', 'the identity provider gives no groups with a renewal')
          const {status, json} = await call(userinfo, settings, {authorization: `Bearer ${accessToken}`})
          if (status !== 200) throw new ProdError('IDENTITY_UNAVAILABLE', 'the identity provider gives no groups with a renewal')
          claims = json
        }
        return {groups: groupsIn(claims ?? {}, settings.groupsClaim), providerToken: typeof next === 'string' ? next : providerToken}
      } catch (cause) {
        if (cause instanceof ProdError) throw cause
        if (cause instanceof Refused && cause.message === 'invalid_grant')
          throw new ProdError('LOGIN_EXPIRED', 'the identity provider has ended this login', 'prod login', {cause})
        throw new ProdError('IDENTITY_UNAVAILABLE', 'the identity provider does not renew as it should', 'prod doctor', {cause})
      }
    },

    async verifyBinding(idToken, thumbprint, salt) {
      try {
        // a certificate of a past login: it was valid when it was issued
        const {payload} = {payload: await verify(idToken, {currentDate: issuedAt(idToken)})}
        if (payload.nonce !== bindingNonce(thumbprint, salt)) throw new Refused('bound to another key')
        const {iss, sub, person} = principalOf(settings, payload, payload)
        return {iss, sub, person}
      } catch (cause) {
        if (cause instanceof ProdError && cause.code !== 'LOGIN_FAILED') throw cause
        throw new ProdError('SIGNATURE_INVALID', 'the ID token does not bind this key', 'prod login', {cause})
      }
    },
  }
}

/** The provider said no. Its own words stay inside but for the error code. */
class Refused extends Error {}

async function discover(settings: OidcSettings): Promise<Metadata> {
  const {issuer} = settings
  const url = checkUrl(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, settings)
  const {status, json} = await call(url, settings)
  if (status !== 200 || !json)
    throw new ProdError('IDENTITY_UNAVAILABLE', 'the identity provider does not describe itself', 'try again in a moment')
  if (json.issuer !== issuer)
    throw new ProdError(
      'CONFIG_INVALID',
      `the provider at ${url.host} calls itself by another name than ${issuer}`,
      'set identity.issuer exactly as the provider writes it',
    )
  const offered = json.id_token_signing_alg_values_supported
  const algorithms = Array.isArray(offered) ? asymmetric.filter(one => offered.includes(one)) : ['RS256']
  return {
    authorization: checkUrl(json.authorization_endpoint, settings).href,
    token: checkUrl(json.token_endpoint, settings),
    userinfo: json.userinfo_endpoint === undefined ? undefined : checkUrl(json.userinfo_endpoint, settings),
    jwks: checkUrl(json.jwks_uri, settings),
    algorithms,
  }
}

async function fetchJwks(url: URL, reach: Reach): Promise<JSONWebKeySet> {
  const {status, json} = await call(url, reach)
  if (status !== 200 || !Array.isArray(json?.keys))
    throw new ProdError('IDENTITY_UNAVAILABLE', 'the identity provider shows no keys', 'try again in a moment')
  return json as unknown as JSONWebKeySet
}

/** Uses the known keys; asks again when they are old, or do not have the one that is needed. */
function keySource(
  fetch: () => Promise<JSONWebKeySet>,
): <T>(use: (jwks: ReturnType<typeof createLocalJWKSet>) => Promise<T>) => Promise<T> {
  let known: {jwks: ReturnType<typeof createLocalJWKSet>; at: number} | undefined
  const renew = async (): Promise<ReturnType<typeof createLocalJWKSet>> => {
    known = {jwks: createLocalJWKSet(await fetch()), at: performance.now()}
    return known.jwks
  }
  return async use => {
    const jwks = known && performance.now() - known.at < jwksMs ? known.jwks : await renew()
    try {
      return await use(jwks)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || (known && performance.now() - known.at < jwksRetryMs)) throw error
      return use(await renew())
    }
  }
}

function cached<T>(make: () => Promise<T>, forMs: number): () => Promise<T> {
  let known: {value: Promise<T>; at: number} | undefined
  return () => {
    if (known && performance.now() - known.at < forMs) return known.value
    const value = make()
    known = {value, at: performance.now()}
    value.catch(() => {
      known = undefined
    })
    return value
  }
}

/** Identity is issuer and subject; name and person id are what the provider says of it (TM-I2). */
function principalOf({issuer, personClaim}: OidcSettings, {sub}: JWTPayload, claims: Record<string, unknown>): Principal {
  const person = personClaim === '' ? undefined : claims[personClaim]
  const names = [claims.name, claims.preferred_username, sub]
  const name = names.find(one => typeof one === 'string' && one.trim() !== '') as string
  return {iss: issuer, sub: sub as string, person: typeof person === 'string' ? person.trim().slice(0, 256) : '', name: name.slice(0, 256)}
}

/** What is not a list of names is no group at all. */
function groupsIn(claims: Record<string, unknown>, claim: string): string[] {
  const given = Object.hasOwn(claims, claim) ? claims[claim] : undefined
  if (!Array.isArray(given)) return []
  return [...new Set(given.filter((one): one is string => typeof one === 'string' && one !== '' && one.length <= 256))].slice(0, maxGroups)
}

function issuedAt(idToken: string): Date {
  const [, payload = ''] = idToken.split('.')
  const {iat} = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as {iat?: unknown}
  if (typeof iat !== 'number') throw new Refused('no time of issue')
  return new Date(iat * 1000)
}

/** RFC 6749 section 2.3.1: client id and secret are form-encoded before Basic. */
function formEncode(text: string): string {
  return new URLSearchParams({'': text}).toString().slice(1)
}

function whyOf(cause: unknown): string {
  if (cause instanceof Refused) return cause.message
  return cause instanceof errors.JOSEError ? cause.code : 'its answer does not hold'
}
