/** Encryption of payloads between client and agent: AES-256-GCM, nonce ‖ ciphertext ‖ tag, §10. */
import {createCipheriv, createDecipheriv, createSecretKey, randomFillSync} from 'node:crypto'

/** The two directions of one session's encryption. */
export interface Seal {
  /** seals what we send; no nonce is used twice */
  seal(plain: Uint8Array): Buffer
  /** opens what the agent sent, or undefined where it was not sealed by the agent */
  open(sealed: Uint8Array): Buffer | undefined
}

export const dataKeyBytes = 64
const nonceBytes = 12
const tagBytes = 16
const algorithm = 'aes-256-gcm'

/** From the 64 bytes that KMS made: the first half is the agent's, the second ours. They are wiped: nothing else keeps them. */
export function createSeal(dataKey: Uint8Array): Seal {
  if (dataKey.length !== dataKeyBytes) throw new RangeError('a data key has 64 bytes')
  const theirs = createSecretKey(dataKey.subarray(0, 32))
  const ours = createSecretKey(dataKey.subarray(32))
  dataKey.fill(0)
  const nonce = randomFillSync(Buffer.alloc(nonceBytes))
  return {
    seal(plain) {
      count(nonce)
      const cipher = createCipheriv(algorithm, ours, nonce)
      return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
    },
    open(sealed) {
      if (sealed.length < nonceBytes + tagBytes) return undefined
      const decipher = createDecipheriv(algorithm, theirs, sealed.subarray(0, nonceBytes), {authTagLength: tagBytes})
      decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes))
      try {
        const plain = decipher.update(sealed.subarray(nonceBytes, sealed.length - tagBytes))
        decipher.final()
        return plain
      } catch {
        return undefined
      }
    },
  }
}

/** One up, as a little-endian number: random at first, then never the same. */
function count(nonce: Buffer): void {
  for (let at = 0; at < nonce.length; at++) {
    nonce[at] = ((nonce[at] as number) + 1) & 0xff
    if (nonce[at] !== 0) return
  }
}
