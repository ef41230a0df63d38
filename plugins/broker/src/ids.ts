import {randomBytes} from 'node:crypto'

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** `prefix_` and 26 base32 characters: 48 bits of time, so that ids sort by age, and 80 random ones. */
export function newId(prefix: string): string {
  let time = Date.now()
  let text = ''
  for (let i = 0; i < 10; i++) {
    text = alphabet[time % 32] + text
    time = Math.floor(time / 32)
  }
  for (const byte of randomBytes(16)) text += alphabet[byte % 32]
  return `${prefix}_${text}`
}
