import {randomBytes} from 'node:crypto'

/** An idempotency key: 128 random bits. A repeated request with the same key is not made twice. */
export function newKey(): string {
  return randomBytes(16).toString('base64url')
}
