/** The identity provider that the configuration names. */
import {readFile} from 'node:fs/promises'
import type {Config} from '../config.ts'
import type {IdentityProvider} from './identity-provider.ts'

export interface OpenedIdentity {
  identity: IdentityProvider
  /** development: who can log in with `--as` */
  people?: string[]
  stop(): Promise<void>
}

/** Opens it; `dev` starts one in this process. Throws CONFIG_INVALID, PORT_IN_USE. */
export async function openIdentity({dir, development, identity}: Config): Promise<OpenedIdentity> {
  if (identity.kind === 'dev') {
    const {openDev} = await import('./dev/dev.ts')
    const provider = await openDev({dir, clientId: identity.clientId, issuerPort: identity.issuerPort})
    return {identity: provider, people: provider.people(), stop: () => provider.close()}
  }
  const {openOidc} = await import('./oidc/oidc.ts')
  const {clientSecretFile, ...settings} = identity
  const clientSecret = clientSecretFile === null ? null : (await readFile(clientSecretFile, 'utf8')).trim()
  return {identity: openOidc({...settings, development, clientSecret}), stop: async () => {}}
}
