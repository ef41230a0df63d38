/** A member of a policy group for as long as a grant lives; sealed, so that who writes into the store alone makes nobody a member (TM-P4). */
import {createHmac, timingSafeEqual} from 'node:crypto'
import {canonical} from '@prod/sdk/document'

/** One membership by grant; asked for at every decision, and past its end it no longer counts. */
export interface Membership {
  person: string
  group: string
  grant: string
  expiresAt: string
  /** HMAC-SHA-256 over the rest by the broker's key */
  seal: string
}

/** The record as a broker writes it. */
export function sealMembership(key: Uint8Array, open: Omit<Membership, 'seal'>): Membership {
  return {...open, seal: sealOf(key, open)}
}

/** Whether a broker wrote it, under this id. */
export function isGenuine(key: Uint8Array, id: string, {seal, ...open}: Membership): boolean {
  const [given, right] = [Buffer.from(seal ?? '', 'hex'), Buffer.from(sealOf(key, open), 'hex')]
  return open.grant === id && given.length === right.length && timingSafeEqual(given, right)
}

function sealOf(key: Uint8Array, {person, group, grant, expiresAt}: Omit<Membership, 'seal'>): string {
  return createHmac('sha256', key)
    .update(`membership ${canonical([person, group, grant, expiresAt])}`)
    .digest('hex')
}
