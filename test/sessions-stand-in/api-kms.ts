/** Data keys for encrypted sessions. */
import type {Api, Incoming} from './api.ts'
import {ApiError} from './api-error.ts'
import {account} from './world.ts'

interface KeyInput {
  KeyId: string
  NumberOfBytes?: number
  KeySpec?: string
  EncryptionContext?: Record<string, string>
  CiphertextBlob: string
}

const arnOf = (key: string, region: string): string =>
  key.startsWith('arn:') ? key : `arn:aws:kms:${region}:${account}:${key.startsWith('alias/') ? key : `key/${key}`}`

const contextKeys = (context: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(context).map(([key, value]) => [`kms:EncryptionContext:${key}`, value]))

function generateDataKey({input, region, world, authorize}: Incoming<KeyInput>): object {
  const {KeyId, NumberOfBytes, KeySpec, EncryptionContext = {}} = input
  const arn = arnOf(KeyId, region)
  if (arn.split(':')[3] !== region) throw new ApiError('NotFoundException', `Key '${arn}' does not exist in ${region}`)
  authorize('kms:GenerateDataKey', arn, contextKeys(EncryptionContext))
  const bytes = NumberOfBytes ?? (KeySpec === 'AES_128' ? 16 : 32)
  const {plaintext, ciphertext} = world.keys.generateDataKey(arn, bytes, EncryptionContext)
  return {KeyId: arn, Plaintext: plaintext.toString('base64'), CiphertextBlob: ciphertext.toString('base64')}
}

function decrypt({input, world, authorize}: Incoming<KeyInput>): object {
  const {CiphertextBlob, EncryptionContext = {}} = input
  const {plaintext, keyId} = world.keys.decrypt(Buffer.from(CiphertextBlob, 'base64'), EncryptionContext)
  authorize('kms:Decrypt', keyId, contextKeys(EncryptionContext))
  return {KeyId: keyId, Plaintext: plaintext.toString('base64'), EncryptionAlgorithm: 'SYMMETRIC_DEFAULT'}
}

/** KMS. */
export const kmsApi: Api = {GenerateDataKey: generateDataKey, Decrypt: decrypt}
