/** Where logins are kept (TM-Q4): the keychain of the system, or, where the person chose it, a plain file that is theirs alone. */
import {join} from 'node:path'
import type {Principal} from '../domain.ts'
import type {PrivateJwk} from '../dpop.ts'
import {places, privateFolder, readPrivate, writePrivate} from './places.ts'
import {keychainStore, secretStoreChoice} from './secret-store.ts'

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

/** The store that was chosen. Throws USAGE, CONFIG_INVALID. */
export function openCredentialStore(env: NodeJS.ProcessEnv = process.env): CredentialStore {
  if (secretStoreChoice(env) === 'file') return fileStore(join(places(env).state, 'credentials.json'))
  const keychain = keychainStore(broker => broker)
  return {
    find: async broker => understood(parse((await keychain.find(broker)) ?? ''), broker),
    save: credentials => keychain.save(credentials.broker, JSON.stringify(credentials)),
    remove: broker => keychain.remove(broker),
  }
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
