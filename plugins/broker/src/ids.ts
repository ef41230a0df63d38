import {randomBytes} from 'node:crypto'

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** `prefix_` and 17 base32 characters: 45 bits of time in milliseconds, so that ids sort by age, and 40 random ones. A record that exists is never overwritten, so a repeated id is refused, not shared. */
export function newId(prefix: string): string {
  let time = Date.now()
  let text = ''
  for (let i = 0; i < 9; i++) {
    text = alphabet[time % 32] + text
    time = Math.floor(time / 32)
  }
  for (const byte of randomBytes(8)) text += alphabet[byte % 32]
  return `${prefix}_${text}`
}
