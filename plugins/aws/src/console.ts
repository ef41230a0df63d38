/** The web console by federation. Source: the IAM User Guide, "Enabling custom identity broker access to the AWS console". */
import {neverWrite} from '@prod/sdk/cli/output'
import {ProdError} from '@prod/sdk/errors'
import type {ProcessCredentials} from './credentials/kept.ts'

const limitMs = 20_000

/** Where each partition signs in, by how its regions begin. */
function hosts(region: string | null): {signIn: string; console: string} {
  if (region?.startsWith('cn-')) return {signIn: 'https://signin.amazonaws.cn/federation', console: 'https://console.amazonaws.cn/'}
  if (region?.startsWith('us-gov-')) {
    return {signIn: 'https://signin.amazonaws-us-gov.com/federation', console: 'https://console.amazonaws-us-gov.com/'}
  }
  return {signIn: 'https://signin.aws.amazon.com/federation', console: 'https://console.aws.amazon.com/'}
}

/**
 * An address that signs the browser in as this role, good for 15 minutes: as secret as what it leads to. `endpoint`: another sign-in
 * service. Throws USAGE for credentials without a session, DENIED, TARGET_UNREACHABLE.
 */
export async function signInUrl(
  {AccessKeyId, SecretAccessKey, SessionToken}: ProcessCredentials,
  {name, region, service, endpoint}: {name: string; region: string | null; service?: string; endpoint?: string},
): Promise<string> {
  if (SessionToken === undefined) {
    throw new ProdError('USAGE', `${name} is a pair of long-lived keys: the console takes roles only`, 'prod roles')
  }
  const {signIn, console} = hosts(region)
  const session = JSON.stringify({sessionId: AccessKeyId, sessionKey: SecretAccessKey, sessionToken: SessionToken})
  let answer: {SigninToken?: unknown}
  try {
    // in the body: an address is kept in the logs of whatever it passes
    const response = await fetch(endpoint ?? signIn, {
      method: 'POST',
      redirect: 'error',
      signal: AbortSignal.timeout(limitMs),
      body: new URLSearchParams({Action: 'getSigninToken', Session: session}),
    })
    if (response.status >= 400 && response.status < 500) throw new ProdError('DENIED', `AWS gives no console for ${name}`, 'prod roles')
    answer = (await response.json()) as {SigninToken?: unknown}
  } catch (cause) {
    if (cause instanceof ProdError) throw cause
    throw new ProdError('TARGET_UNREACHABLE', 'the sign-in service of the AWS console cannot be reached', 'the same command again', {cause})
  }
  if (typeof answer.SigninToken !== 'string') throw new ProdError('DENIED', `AWS gives no console for ${name}`, 'prod roles')
  neverWrite(answer.SigninToken)
  const to = new URL(`${service ?? ''}${service ? '/' : ''}home`, console)
  if (region !== null) to.searchParams.set('region', region)
  const url = new URL(endpoint ?? signIn)
  url.search = new URLSearchParams({Action: 'login', Issuer: 'prod', Destination: to.href, SigninToken: answer.SigninToken}).toString()
  return url.href
}
