import {createPublicKey, type JsonWebKey, verify} from 'node:crypto'
import {ProdError} from '@prod/sdk/errors'

/**
 * The payload of a compact JWS (RFC 7515) by an Ed25519 key that is known already, of this `typ` alone. The header chooses
 * neither key nor algorithm. Throws OUTCOME_UNKNOWN.
 */
export function verifyJws(jwk: Record<string, string>, jws: string, typ: string): string {
  const [header = '', payload = '', signature = '', ...more] = jws.split('.')
  try {
    const said = JSON.parse(Buffer.from(header, 'base64url').toString()) as {alg?: string; typ?: string}
    const key = createPublicKey({key: jwk as JsonWebKey, format: 'jwk'})
    const signed = verify(null, Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'))
    if (more.length === 0 && said.alg === 'EdDSA' && said.typ === typ && signed) return Buffer.from(payload, 'base64url').toString()
  } catch {
    // falls through to the one refusal
  }
  throw new ProdError('OUTCOME_UNKNOWN', 'the end is not signed by this broker', 'prod doctor')
}
