import {join} from 'node:path'
import {checkBundle} from '../src/policy/bundle.ts'
import type {Bundle} from '../src/policy/policy.ts'

/** The bundle of a folder, as the offline commands load it. */
export async function loadBundle(dir: string): Promise<Bundle> {
  const {bundle, findings} = await checkBundle({catalogDir: join(dir, 'catalog'), policyDir: join(dir, 'policy'), development: true})
  if (!bundle || findings.length > 0) throw new Error(JSON.stringify(findings))
  return bundle
}
