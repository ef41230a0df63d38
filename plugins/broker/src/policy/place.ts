/** Where a broker's bundle lies, by its configuration, and how new it must be at least, by its log. */
import {join} from 'node:path'
import {openEntry} from '@prod/sdk/log/envelope'
import {parseVerifierKey, verifierKey} from '@prod/sdk/log/note'
import type {Config} from '../config.ts'
import type {Keys} from '../keys.ts'
import type {Store} from '../stores/store.ts'
import {type Folders, readPolicyKeys, type SignedFile} from './source.ts'

/** In the data folder: the newest signed bundle that was loaded. */
export const keptBundleFile = 'policy.bundle'

/** Where policy comes from: the folders, or the signed file, its keys none of the broker's own. */
export async function placeOfBundle({dir, catalogDir, policyDir, policy}: Config, keys: Keys, store: Store): Promise<Folders | SignedFile> {
  if (!policy) return {catalogDir: catalogDir as string, policyDir: policyDir as string}
  const logged = await newestLogged(store)
  const own = [keys.log.privateKey, keys.receipt.privateKey, keys.token.privateKey].map(key => parseVerifierKey(verifierKey('own', key)))
  return {
    file: policy.bundle,
    keys: readPolicyKeys(policy.keys, policy.signatures, own),
    signatures: policy.signatures,
    kept: join(dir, keptBundleFile),
    ...(logged ? {logged} : {}),
  }
}

/** how far the log is looked back through for it */
const mostLoads = 100

/** The newest signed bundle that any broker on this store has loaded, by its log. */
async function newestLogged(store: Store): Promise<SignedFile['logged']> {
  let newest: SignedFile['logged']
  for (const type of ['broker.started', 'bundle.loaded'])
    for (const row of await store.entries({from: 0, limit: mostLoads, newest: true, type})) {
      const {signed, digest, bundle} = (openEntry(row).data ?? {}) as {signed?: {version: number}; digest?: string; bundle?: string}
      if (signed && signed.version > (newest?.version ?? 0)) newest = {version: signed.version, digest: digest ?? bundle ?? ''}
    }
  return newest
}
