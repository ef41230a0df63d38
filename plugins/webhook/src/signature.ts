/** Signatures of Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`. Pure. */
import {createHmac, timingSafeEqual} from 'node:crypto'
import {ProdError} from '@prod/sdk/errors'
import {holderSecret, secretKey} from './secrets.ts'

/** How far the sender's clock may be from the receiver's, either way. */
export const toleranceSeconds = 300
const maxSignatures = 16

type Body = string | Uint8Array

function mac(secret: string, id: string, timestamp: string, body: Body): Buffer {
  return createHmac('sha256', secretKey(secret)).update(`${id}.${timestamp}.`).update(body).digest()
}

/** The three headers of one message; while secrets are exchanged, one signature by each. `at` is when it is sent, not when it happened. */
export function signWebhook(
  id: string,
  body: Body,
  secrets: readonly string[],
  at: Date,
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const timestamp = String(Math.floor(at.getTime() / 1000))
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': secrets.map(secret => `v1,${mac(secret, id, timestamp, body).toString('base64')}`).join(' '),
  }
}

/**
 * What a receiver does with a message before it believes it: gives its id if one of `secrets` has signed it within 300 s of `now`. Take the
 * body as the bytes that came, before any parser; drop a message whose id was seen already. `holder`: the person whose machine sent it, when the
 * broker was gone; absent: the broker did. Throws SIGNATURE_INVALID.
 */
export function verifyWebhook(
  headers: Record<string, string | string[] | undefined>,
  body: Body,
  secrets: readonly string[],
  now: Date,
): {id: string; sentAt: Date; holder?: string} {
  const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(name => {
    const value = headers[name]
    if (typeof value !== 'string' || value === '') throw new ProdError('SIGNATURE_INVALID', `the header ${name} is not there exactly once`)
    return value
  }) as [string, string, string]
  if (!/^[1-9]\d{0,11}$/.test(timestamp)) throw new ProdError('SIGNATURE_INVALID', 'the timestamp is not a number of seconds')
  if (Math.abs(now.getTime() / 1000 - Number(timestamp)) > toleranceSeconds) {
    throw new ProdError('SIGNATURE_INVALID', `the message was not sent within ${toleranceSeconds} s of now`)
  }
  const given = signatures
    .split(' ')
    .slice(0, maxSignatures)
    .filter(one => one.startsWith('v1,'))
    .map(one => Buffer.from(one.slice(3), 'base64'))
  const holder = holderOf(headers['webhook-holder'])
  const holds = secrets.some(secret => {
    const expected = mac(holder === null ? secret : holderSecret(secret, holder), id, timestamp, body)
    return given.some(one => one.length === expected.length && timingSafeEqual(one, expected))
  })
  if (!holds) throw new ProdError('SIGNATURE_INVALID', 'no signature of the message holds')
  return {id, sentAt: new Date(Number(timestamp) * 1000), ...(holder === null ? {} : {holder})}
}

function holderOf(header: string | string[] | undefined): string | null {
  if (header === undefined) return null
  try {
    if (typeof header === 'string' && header !== '') return decodeURIComponent(header)
  } catch {
    // falls through to the refusal
  }
  throw new ProdError('SIGNATURE_INVALID', 'the header webhook-holder is not a name')
}
