/** The parts a broker is made of. main.ts chooses and starts them; features take what they need and read nothing else. */
import type {GrantProvider, NoticeChannel, Primitive} from '@prod/sdk'
import type {Config} from './config.ts'
import type {IdentityProvider} from './identity-providers/identity-provider.ts'
import type {Keys} from './keys.ts'
import type {Bundle} from './policy/policy.ts'
import type {Store} from './stores/store.ts'

export interface Parts {
  readonly config: Config
  readonly store: Store
  readonly identity: IdentityProvider
  readonly keys: Keys
  /** the loaded bundle: read it once for each decision */
  readonly bundle: () => Bundle
  readonly primitives: ReadonlyMap<string, Primitive>
  readonly grantProviders: ReadonlyMap<string, GrantProvider>
  readonly channels: ReadonlyMap<string, NoticeChannel>
  /** ids: `newId('req')` gives `req_…` (17 base32 characters: time and randomness) */
  readonly newId: (prefix: string) => string
  /** tells an operator: one JSON line on stderr, counted in the metrics */
  readonly alarm: (what: string, detail: Record<string, unknown>) => void
  /** Why nothing new starts here: the broker stops, or its clock is off (TM-N6). Null: it starts. */
  readonly draining: () => string | null
  /** Whether the broker is on its way out: what cannot be written now is found by its next start. */
  readonly stopping: () => boolean
}

/** Who is calling, checked: token, proof, groups at most 5 minutes old (TM-G3) with those of active grants. */
export interface Caller {
  readonly principal: import('@prod/sdk').Principal
  readonly groups: string[]
  /** the login (token family) this call belongs to */
  readonly login: string
  readonly loggedInAt: string
  /** address of the peer (or, from configured proxies only, what they forward) */
  readonly address: string
  readonly correlation: string
  /** what the client calls this call: a label alone (TM-I3) */
  readonly label?: string
  readonly tokenExpiresAt: string
}
