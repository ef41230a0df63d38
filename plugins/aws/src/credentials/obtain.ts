/** Credentials of a role by its name: what was kept if it serves, else fetched anew by exactly one process. */
import {hash} from 'node:crypto'
import {join} from 'node:path'
import {withLock} from '@prod/sdk/cli/credential-lock'
import {neverWrite, say} from '@prod/sdk/cli/output'
import {places} from '@prod/sdk/cli/places'
import {openSecretStore, type SecretStore} from '@prod/sdk/cli/secret-store'
import {ProdError} from '@prod/sdk/errors'
import {childSettings} from '../child/settings.ts'
import {type AwsConfig, readAwsConfig, type Settings} from '../config/files.ts'
import {fileStates} from '../config/paths.ts'
import {type Chain, chainOf} from '../config/profile.ts'
import {findListed} from '../identity-center/listed.ts'
import {signIn} from '../identity-center/login.ts'
import {askCode, refuseCode} from './ask-code.ts'
import {type ChildSettings, isFresh, type Kept, keptName, lifeLeft, type ProcessCredentials, parseKept} from './kept.ts'

/** Credentials, and what a child needs besides. */
export interface Obtained {
  name: string
  credentials: ProcessCredentials
  child: ChildSettings
}

/** Longer than a login in the browser may take: another process may be in the middle of one. */
const patience = 11 * 60_000

/** Where credentials are kept, by the same choice as logins; nowhere without a keychain. Throws USAGE, CONFIG_INVALID. */
export function openKept(): SecretStore {
  return forgiving(openSecretStore('aws', join(places().state, 'aws')))
}

/**
 * Who may be bothered: anybody at the terminal; while a command has the terminal, the browser alone; nobody, since a login there came to
 * nothing.
 */
export type Asking = 'terminal' | 'browser' | 'nobody'

/**
 * Credentials that live for at least `remaining` milliseconds, or long enough to begin with; `fresh`: none that were kept before. Throws ROLE_NOT_FOUND, USAGE where AWS
 * gives none that live so long, and as `fetchCredentials`.
 */
export async function obtain(
  name: string,
  {remaining, asking = 'terminal', fresh = false}: {remaining?: number; asking?: Asking; fresh?: boolean} = {},
): Promise<Obtained> {
  const since = fresh ? Date.now() : Number.NEGATIVE_INFINITY
  const config = readAwsConfig()
  const chain = findChain(config, name)
  const made: Making = {name, chain, config, digest: digestOf(chain), files: fileStates(config.paths), child: childSettings(config, chain)}
  const store = openKept()
  const key = keptName(name)
  const kept = key === undefined ? undefined : await readKept(store, key, made)
  if (key !== undefined && kept && kept.from >= since && isFresh(kept, Date.now(), remaining)) {
    // other lines of the files have changed: from now on the fast path knows that this role is as it was
    if (kept.files !== made.files || JSON.stringify(kept.child) !== JSON.stringify(made.child))
      await keep(store, key, {...kept, ...parts(made)})
    return {name, credentials: kept.credentials, child: made.child}
  }
  const waiting = setTimeout(() => say(`another prod is getting credentials of ${name}; waiting for it`), 3000)
  return withLock(`aws-${hash('sha256', name).slice(0, 16)}`, patience, async () => {
    clearTimeout(waiting)
    // whoever held the lock before has fetched them
    const meanwhile = key === undefined ? undefined : await readKept(store, key, made)
    if (meanwhile && meanwhile.from >= since && isFresh(meanwhile, Date.now(), remaining))
      return {name, credentials: meanwhile.credentials, child: made.child}
    const from = Date.now()
    const {fetchCredentials} = await import('./resolve.ts')
    const credentials = await fetchCredentials(chain, config.paths, {
      signIn: (portal, refused) => signIn(portal, refused, asking !== 'nobody'),
      askCode: asking === 'terminal' ? askCode : refuseCode,
      store,
      since,
    })
    const {Expiration} = credentials
    if (key !== undefined && Expiration !== undefined)
      await keep(store, key, {version: 1, credentials: {...credentials, Expiration}, from, ...parts(made)})
    checkLife(name, credentials, remaining)
    return {name, credentials, child: made.child}
  }).finally(() => clearTimeout(waiting))
}

interface Making {
  name: string
  chain: Chain
  config: AwsConfig
  digest: string
  files: string
  child: ChildSettings
}

const parts = ({name, digest, files, child}: Making): Pick<Kept, 'name' | 'digest' | 'files' | 'child'> => ({name, digest, files, child})

/** A profile, else a role that the portal has listed. Throws ROLE_NOT_FOUND, CONFIG_INVALID. */
export function findChain(config: AwsConfig, name: string): Chain {
  const listed = config.profiles.has(name) ? undefined : findListed(config, name)
  if (listed) return {name, source: listed, steps: [], region: undefined}
  if (!config.profiles.has(name) && config.faults.length > 0)
    throw new ProdError('CONFIG_INVALID', config.faults.join('; '), `ls -l ${config.paths.config}`)
  return chainOf(config, name)
}

function digestOf(chain: Chain): string {
  return hash(
    'sha256',
    JSON.stringify(chain, (_, value: unknown) =>
      value instanceof Map ? Object.fromEntries([...(value as Settings)].sort(([a], [b]) => (a < b ? -1 : 1))) : value,
    ),
  )
}

async function readKept(store: SecretStore, key: string, {name, digest}: Making): Promise<Kept | undefined> {
  const kept = parseKept(await store.find(key), name)
  if (kept?.digest !== digest) return undefined
  neverWrite(kept.credentials.SecretAccessKey)
  if (kept.credentials.SessionToken !== undefined) neverWrite(kept.credentials.SessionToken)
  return kept
}

const keep = (store: SecretStore, key: string, kept: Kept): Promise<void> => store.save(key, JSON.stringify(kept))

/** Without a keychain nothing is kept, and each command fetches for itself: said, and no failure. */
function forgiving(store: SecretStore): SecretStore {
  let said = false
  const without = (error: unknown): undefined => {
    if (!(error instanceof ProdError) || error.code !== 'KEYCHAIN_UNAVAILABLE') throw error
    if (!said) say([`${error.message}: credentials are not kept for the next command`, 'try: prod config set credentialStore file'])
    said = true
  }
  return {
    find: name => store.find(name).catch(without),
    save: (name, text) => store.save(name, text).catch(without),
    remove: name => store.remove(name).catch(without),
  }
}

function checkLife(name: string, credentials: ProcessCredentials, remaining: number | undefined): void {
  const left = lifeLeft(credentials, Date.now())
  if (remaining === undefined || left >= remaining) return
  throw new ProdError(
    'USAGE',
    `credentials of ${name} live for ${Math.floor(left / 60_000)} minutes, not for ${Math.ceil(remaining / 60_000)}`,
    'ask for less with --min-remaining, or set duration_seconds in ~/.aws/config where the role allows it',
  )
}
