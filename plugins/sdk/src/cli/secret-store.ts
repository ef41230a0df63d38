/** Where secrets of a person are kept (TM-Q4): the keychain of the system, or, where the person chose it, plain files that are theirs alone. */
import {join} from 'node:path'
import {ProdError} from '../errors.ts'
import {readConfig} from './config.ts'
import {readPrivate, removePrivate, writePrivate} from './places.ts'

/** Texts by name. */
export interface SecretStore {
  find(name: string): Promise<string | undefined>
  save(name: string, text: string): Promise<void>
  remove(name: string): Promise<void>
}

/** What `PROD_CREDENTIAL_STORE`, else the configuration names, else the keychain. Throws USAGE, CONFIG_INVALID. */
export function secretStoreChoice(env: NodeJS.ProcessEnv = process.env): 'keychain' | 'file' {
  const choice = env.PROD_CREDENTIAL_STORE || readConfig(env).credentialStore || 'keychain'
  if (choice === 'file' || choice === 'keychain') return choice
  throw new ProdError('USAGE', 'PROD_CREDENTIAL_STORE must be keychain or file', 'prod config set credentialStore keychain')
}

/** Secrets of one kind. In the keychain a name is an account `kind:NAME`; as a file it is `folder`/NAME.json, so a name must be a file's. */
export function openSecretStore(kind: string, folder: string, env: NodeJS.ProcessEnv = process.env): SecretStore {
  if (secretStoreChoice(env) === 'keychain') return keychainStore(name => `${kind}:${name}`)
  const path = (name: string): string => join(folder, `${name}.json`)
  return {
    find: async name => readPrivate(path(name), {secret: true}),
    save: async (name, text) => writePrivate(path(name), text),
    remove: async name => removePrivate(path(name)),
  }
}

const service = 'prod'

/** The keychain, under `prod` and what `account` makes of a name. Throws KEYCHAIN_UNAVAILABLE. */
export function keychainStore(account: (name: string) => string): SecretStore {
  const use = async <T>(name: string, act: (entry: import('@napi-rs/keyring').AsyncEntry) => Promise<T>): Promise<T> => {
    try {
      const {AsyncEntry} = await import('@napi-rs/keyring')
      // named, or it falls back in silence to the kernel's keyring, which forgets at reboot
      return await act(new AsyncEntry(service, account(name), {linux: {store: 'secret-service'}}))
    } catch (cause) {
      throw new ProdError(
        'KEYCHAIN_UNAVAILABLE',
        keychainFault(cause),
        'unlock it, or keep logins in a plain 0600 file: prod config set credentialStore file',
        {cause},
      )
    }
  }
  return {
    find: async name => (await use(name, entry => entry.getPassword())) ?? undefined,
    save: (name, text) => use(name, entry => entry.setPassword(text)),
    remove: name => use(name, async entry => void (await entry.deletePassword())),
  }
}

function keychainFault(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : ''
  if (/prompt|locked|dismissed/i.test(text)) return 'the keychain of this system is locked'
  return 'there is no keychain that this session can use'
}
