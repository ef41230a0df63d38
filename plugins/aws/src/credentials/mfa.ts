/** A session that an MFA code was typed for: kept for twelve hours, so that each role of the day takes no code of its own. */
import {hash} from 'node:crypto'
import {withLock} from '@prod/sdk/cli/credential-lock'
import {neverWrite} from '@prod/sdk/cli/output'
import type {SecretStore} from '@prod/sdk/cli/secret-store'
import {AwsRefused, query, textOf} from '../providers/call.ts'
import type {Keys} from '../providers/sign.ts'

/** Asks for the code of an MFA device, by its serial number. */
export type AskCode = (serial: string) => Promise<string>

/** What is kept. `from`: when the code was typed, in milliseconds of this machine's clock. */
interface Session {
  version: 1
  keys: {accessKeyId: string; secretAccessKey: string; sessionToken: string}
  from: number
  endsAt: number
}

/** The longest that AWS gives to a user's keys. Source: `DurationSeconds` of AWS STS's GetSessionToken. */
const longestSeconds = 12 * 3600
/** One that ends sooner is not begun with. */
const leastMs = 16 * 60_000
/** Somebody types a code meanwhile. */
const patience = 11 * 60_000

/**
 * Keys that AWS takes as proven by this device: those of a kept session, if its code was typed `since` then or later, else a new code is asked
 * for. Two who need one at once wait for one code.
 */
export async function mfaKeys(
  keys: Keys,
  {serial, region, store, askCode, since}: {serial: string; region: string; store: SecretStore; askCode: AskCode; since: number},
): Promise<{keys: Keys; from: number}> {
  // no role has such a name: theirs are escaped
  const name = `mfa+${hash('sha256', `${serial} ${keys.accessKeyId}`).slice(0, 32)}`
  return withLock(`aws-${name}`, patience, async () => {
    const kept = parse(await store.find(name))
    const serves = kept && kept.from >= since && kept.from <= Date.now() + 60_000 && kept.endsAt - Date.now() >= leastMs
    const session = serves ? kept : await begin(keys, serial, region, await askCode(serial))
    for (const secret of [session.keys.secretAccessKey, session.keys.sessionToken]) neverWrite(secret)
    if (!serves) await store.save(name, JSON.stringify(session))
    return {keys: session.keys, from: session.from}
  })
}

function parse(text: string | undefined): Session | undefined {
  try {
    const session = JSON.parse(text ?? '') as Session
    return session.version === 1 && typeof session.keys.sessionToken === 'string' && Number.isFinite(session.endsAt) ? session : undefined
  } catch {
    return undefined
  }
}

async function begin(keys: Keys, serial: string, region: string, code: string): Promise<Session> {
  const from = Date.now()
  const parameters = {DurationSeconds: String(longestSeconds), SerialNumber: serial, TokenCode: code}
  const xml = await query('sts', {keys, region}, 'GetSessionToken', parameters).catch((error: unknown) => {
    // as the SDK would throw it
    if (!(error instanceof AwsRefused)) throw error
    throw Object.assign(new Error(error.message), {name: error.code, $metadata: {httpStatusCode: error.status}})
  })
  const [accessKeyId = '', secretAccessKey = '', sessionToken = '', end = ''] = [
    'AccessKeyId',
    'SecretAccessKey',
    'SessionToken',
    'Expiration',
  ].map(name => textOf(xml, name))
  return {version: 1, keys: {accessKeyId, secretAccessKey, sessionToken}, from, endsAt: Date.parse(end)}
}
