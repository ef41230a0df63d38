/** The signature on the WebSocket upgrade, §2.2. Pure. */
import {type Keys, signedHeaders} from '../aws/sign.ts'

const presignature = /^X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature|Security-Token)$/i

/** The headers to send with the upgrade: none where some service has signed the URL already. They are credentials. */
export function signUpgrade(streamUrl: string, region: string, keys: Keys, at: Date): Record<string, string> {
  const url = new URL(streamUrl)
  if ([...url.searchParams.keys()].some(name => presignature.test(name))) return {}
  return signedHeaders({method: 'GET', url, service: 'ssmmessages', region, body: '', headers: {}, at}, keys)
}
