/** The identity provider that the configuration names. */
import {open, readFile} from 'node:fs/promises'
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
  const {text, mode, uid} = await readOnce(file).catch((cause: unknown) => {
    throw new ProdError('CONFIG_INVALID', `identity.caFile cannot be read: ${file}`, 'ls -l FILE, as the broker’s account', {cause})
  })
  // whoever may write it decides who is believed to be the provider
  if ((mode & 0o022) !== 0 || (uid !== 0 && uid !== process.getuid?.()))
    throw new ProdError('CONFIG_INVALID', `identity.caFile can be written by others: ${file}`, `chmod go-w ${file}`)
  if (!/^-----BEGIN CERTIFICATE-----$/m.test(text))
    throw new ProdError(
      'CONFIG_INVALID',
      `identity.caFile holds no certificate: ${file}`,
      'a PEM file of the CAs that vouch for the provider',
    )
  return text
}

async function readOnce(file: string): Promise<{text: string; mode: number; uid: number}> {
  const handle = await open(file)
  try {
    const {mode, uid} = await handle.stat()
    return {text: await handle.readFile('utf8'), mode, uid}
  } finally {
    await handle.close()
  }
}
