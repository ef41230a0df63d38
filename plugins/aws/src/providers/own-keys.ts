/** The broker's own credentials: whatever the machine gives it (instance role, task role, web identity), held and renewed by the SDK. */
import {ProdError} from '@prod/sdk/errors'
import type {Keys} from './sign.ts'

let provide: (() => Promise<Keys>) | undefined

/** Credentials that serve now. Throws TARGET_UNREACHABLE where the machine gives none. */
export async function ownKeys(): Promise<Keys> {
  try {
    provide ??= (await import('@aws-sdk/credential-providers')).fromNodeProviderChain()
    return await provide()
  } catch (cause) {
    throw new ProdError('TARGET_UNREACHABLE', 'the broker has no AWS credentials of its own', 'aws sts get-caller-identity', {cause})
  }
}
