/** The identity provider that the configuration names. */
import {readFile} from 'node:fs/promises'
import {ProdError} from '@prod/sdk/errors'
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
  const {clientSecretFile, caFile, ...settings} = identity
  const clientSecret = clientSecretFile === null ? null : (await readFile(clientSecretFile, 'utf8')).trim()
  const ca = caFile === null ? undefined : await readCa(caFile)
  return {identity: openOidc({...settings, development, clientSecret, ...(ca === undefined ? {} : {ca})}), stop: async () => {}}
}

async function readCa(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new ProdError('CONFIG_INVALID', `identity.caFile cannot be read: ${file}`, 'ls -l FILE, as the broker’s account', {cause})
  })
  if (!/^-----BEGIN CERTIFICATE-----$/m.test(text))
    throw new ProdError(
      'CONFIG_INVALID',
      `identity.caFile holds no certificate: ${file}`,
      'a PEM file of the CAs that vouch for the provider',
    )
  return text
}
