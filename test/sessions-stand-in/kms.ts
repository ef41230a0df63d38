/** A key service: data keys that only open with the context they were made with (section 10). */
import {createCipheriv, createDecipheriv, randomBytes} from 'node:crypto'
import {ApiError} from './api-error.ts'

export interface KeyService {
  generateDataKey(keyId: string, bytes: number, context: Record<string, string>): {plaintext: Buffer; ciphertext: Buffer}
  decrypt(ciphertext: Buffer, context: Record<string, string>): {plaintext: Buffer; keyId: string}
}

const written = (context: Record<string, string>): Buffer =>
  Buffer.from(JSON.stringify(Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1))))

/** Makes one; its keys are there when they are named. */
export function startKeys(): KeyService {
  const keys = new Map<string, Buffer>()
  const keyOf = (keyId: string): Buffer => {
    const key = keys.get(keyId) ?? randomBytes(32)
    keys.set(keyId, key)
    return key
  }
  return {
    generateDataKey(keyId, bytes, context) {
      const plaintext = randomBytes(bytes)
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', keyOf(keyId), nonce).setAAD(written(context))
      const name = Buffer.from(keyId)
      const body = Buffer.concat([cipher.update(plaintext), cipher.final()])
      return {plaintext, ciphertext: Buffer.concat([Buffer.from([name.length]), name, nonce, body, cipher.getAuthTag()])}
    },
    decrypt(ciphertext, context) {
      try {
        const length = ciphertext[0] as number
        const keyId = ciphertext.toString('utf8', 1, 1 + length)
        const rest = ciphertext.subarray(1 + length)
        const decipher = createDecipheriv('aes-256-gcm', keyOf(keyId), rest.subarray(0, 12))
          .setAAD(written(context))
          .setAuthTag(rest.subarray(-16))
        return {plaintext: Buffer.concat([decipher.update(rest.subarray(12, -16)), decipher.final()]), keyId}
      } catch {
        throw new ApiError('InvalidCiphertextException', 'the ciphertext is of another key or another context')
      }
    },
  }
}
