/**
 * DPoP proofs (RFC 9449 section 4.3, TM-Q3): one proof, one request.
 *
 * What was seen is a record of the store, so that a proof replayed at another broker is refused too. The commit shares a
 * transaction with whatever else is under way, and calls by people are few. When the store cannot write (a full disk), reads go on
 * with what this process remembers; changes do not.
 */
import {createHash} from 'node:crypto'
import {ProdError} from '@prod/sdk/errors'
import {calculateJwkThumbprint, importJWK, type JWK, jwtVerify} from 'jose'
import type {Parts} from '../parts.ts'

const maxSkewSeconds = 60
const maxProofLength = 4096

export interface ProofInput {
  method: string
  /** without query and fragment */
  url: string
  proof: string | undefined
  /** the access token that goes with it; absent at login and refresh */
  accessToken?: string
  /** one the broker has just sent; where given, it must be in the proof */
  nonce?: string
  /** the key it must be signed with; absent at login, where any key may come */
  thumbprint?: string
}

/** The key that signed, as it names itself. */
export interface ProvedKey {
  jwk: {kty: 'EC'; crv: 'P-256'; x: string; y: string}
  thumbprint: string
}

/** Checks a proof and remembers it. Throws TOKEN_INVALID; STORE_UNAVAILABLE where a change cannot be remembered. */
export async function checkProof(parts: Parts, input: ProofInput): Promise<ProvedKey> {
  const {key, jti} = await readProof(parts, input)
  if (input.thumbprint !== undefined && key.thumbprint !== input.thumbprint) throw refused('the access token belongs to another key')
  const id = createHash('sha256').update(`${key.thumbprint} ${jti}`).digest('base64url')
  await remember(parts, id, input.method === 'GET')
  return key
}

async function readProof({store}: Parts, {method, url, proof, accessToken, nonce}: ProofInput): Promise<{key: ProvedKey; jti: string}> {
  if (proof === undefined) throw refused('a DPoP proof is missing')
  if (proof.length > maxProofLength) throw refused('the DPoP proof is too long')
  let key: ProvedKey | undefined
  let payload: Record<string, unknown>
  try {
    const verified = await jwtVerify(
      proof,
      async header => {
        key = await publicKey(header.jwk)
        return importJWK(key.jwk, 'ES256')
      },
      {algorithms: ['ES256'], typ: 'dpop+jwt', currentDate: store.now(), clockTolerance: maxSkewSeconds},
    )
    payload = verified.payload as Record<string, unknown>
  } catch (cause) {
    throw refused('the DPoP proof is malformed or not signed by its key', cause)
  }
  const {htm, htu, iat, jti, ath, nonce: given} = payload
  if (htm !== method || !isSameUrl(htu, url)) throw refused('the DPoP proof is for another call')
  if (typeof iat !== 'number' || Math.abs(iat - store.now().getTime() / 1000) > maxSkewSeconds)
    throw refused('the DPoP proof is not of this minute')
  if (typeof jti !== 'string' || jti.length < 16 || jti.length > 128) throw refused('the DPoP proof has no id of its own')
  if (accessToken !== undefined && ath !== createHash('sha256').update(accessToken).digest('base64url'))
    throw refused('the DPoP proof is for another token')
  if (nonce !== undefined && given !== nonce) throw refused('the DPoP proof does not answer the challenge')
  return {key: key as ProvedKey, jti}
}

/** A public P-256 key and nothing else. */
async function publicKey(jwk: unknown): Promise<ProvedKey> {
  const {kty, crv, x, y, ...rest} = (jwk ?? {}) as Record<string, unknown>
  if (kty !== 'EC' || crv !== 'P-256' || typeof x !== 'string' || typeof y !== 'string') throw new TypeError('not a P-256 key')
  if (['d', 'p', 'q', 'k'].some(name => Object.hasOwn(rest, name))) throw new TypeError('not a public key')
  const plain = {kty, crv, x, y} as const
  return {jwk: plain, thumbprint: await calculateJwkThumbprint(plain as JWK)}
}

function isSameUrl(given: unknown, url: string): boolean {
  const parsed = typeof given === 'string' ? URL.parse(given) : null
  return parsed !== null && parsed.search === '' && parsed.hash === '' && parsed.origin + parsed.pathname === url
}

/** What this process has seen, per store: id to the moment it may be forgotten. */
const memories = new WeakMap<Parts['store'], Map<string, number>>()

async function remember({store}: Parts, id: string, isRead: boolean): Promise<void> {
  const seen = memories.get(store) ?? new Map<string, number>()
  memories.set(store, seen)
  const now = store.now().getTime()
  for (const [old, until] of seen) {
    if (until > now) break // in order of time
    seen.delete(old)
  }
  if (seen.has(id)) throw refused('the DPoP proof was used before')
  const until = now + 2 * maxSkewSeconds * 1000
  seen.set(id, until)
  try {
    const dueAt = new Date(until).toISOString()
    const saved = await store.commit({put: [{kind: 'seen', id, version: 0, value: {}, index: {dueAt}}], events: []})
    if (!saved.ok) throw refused('the DPoP proof was used before')
  } catch (error) {
    if (!(isRead && error instanceof ProdError && error.code === 'STORE_UNAVAILABLE')) throw error
  }
}

function refused(why: string, cause?: unknown): ProdError {
  return new ProdError('TOKEN_INVALID', why, 'prod doctor', {cause})
}
