/** Where logins are kept (TM-Q4): the keychain of the system, or, where the person chose it, a plain file that is theirs alone. */
import {join} from 'node:path'
import type {Principal} from '../domain.ts'
import type {PrivateJwk} from '../dpop.ts'
import {ProdError} from '../errors.ts'
import {readConfig} from './config.ts'
import {places, privateFolder, readPrivate, writePrivate} from './places.ts'

/** All that is secret of one login, kept as one value. Moments in milliseconds of this machine's clock. */
export interface Credentials {
  version: 1
  /** the broker's origin */
  broker: string
  privateJwk: PrivateJwk
  accessToken: string
  refreshToken: string
  renewAt: number
  tokenEndsAt: number
  principal: Principal
  groups: string[]
  loggedInAt: string
  /** id of the login at the broker */
  login: string
}

/** By broker origin. What cannot be understood is as good as absent. */
export interface CredentialStore {
  find(broker: string): Promise<Credentials | undefined>
  save(credentials: Credentials): Promise<void>
  remove(broker: string): Promise<void>
}

/** The store that `PROD_CREDENTIAL_STORE`, else the configuration names, else the keychain. Throws USAGE, CONFIG_INVALID. */
export function openCredentialStore(env: NodeJS.ProcessEnv = process.env): CredentialStore {
  const choice = env.PROD_CREDENTIAL_STORE || readConfig(env).credentialStore || 'keychain'
  if (choice === 'file') return fileStore(join(places(env).state, 'credentials.json'))
  if (choice === 'keychain') return keychainStore()
  throw new ProdError('USAGE', 'PROD_CREDENTIAL_STORE must be keychain or file', 'prod config set credentialStore keychain')
}

/** The lock keeps two of our processes from writing at once (credential-lock.ts). */
function fileStore(path: string): CredentialStore {
  const readAll = (): Record<string, unknown> => {
    const all = parse(readPrivate(path, {secret: true}) ?? '')
    return typeof all === 'object' && all !== null ? (all as Record<string, unknown>) : {}
  }
  const writeAll = (all: Record<string, unknown>): void => writePrivate(path, `${JSON.stringify(all)}\n`)
  return {
    find: async broker => understood(readAll()[broker], broker),
    async save(credentials) {
      privateFolder(join(path, '..'))
      writeAll({...readAll(), [credentials.broker]: credentials})
    },
    async remove(broker) {
      const {[broker]: gone, ...rest} = readAll()
      if (gone !== undefined) writeAll(rest)
    },
  }
}

const service = 'prod'

function keychainStore(): CredentialStore {
  const use = async <T>(broker: string, act: (entry: import('@napi-rs/keyring').AsyncEntry) => Promise<T>): Promise<T> => {
    try {
      const {AsyncEntry} = await import('@napi-rs/keyring')
      // named, or it falls back in silence to the kernel's keyring, which forgets at reboot
      return await act(new AsyncEntry(service, broker, {linux: {store: 'secret-service'}}))
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
    find: async broker => understood(parse((await use(broker, entry => entry.getPassword())) ?? ''), broker),
    save: credentials => use(credentials.broker, entry => entry.setPassword(JSON.stringify(credentials))),
    remove: broker => use(broker, async entry => void (await entry.deletePassword())),
  }
}

function keychainFault(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : ''
  if (/prompt|locked|dismissed/i.test(text)) return 'the keychain of this system is locked'
  return 'there is no keychain that this session can use'
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function understood(value: unknown, broker: string): Credentials | undefined {
  const kept = value as Partial<Credentials> | undefined | null
  const whole = kept?.version === 1 && kept.broker === broker && kept.privateJwk && kept.accessToken && kept.refreshToken && kept.principal
  return whole ? (kept as Credentials) : undefined
}
