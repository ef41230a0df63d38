import type {Check} from './check.ts'
import type {Explainer} from './explainer.ts'
import type {GrantProvider} from './grant-provider.ts'
import type {Notifier} from './notifier.ts'
import type {Primitive} from './primitive.ts'
import type {RoleSource} from './role-source.ts'

/** What a plugin package's entry may export. Each is optional. */
export interface Plugin {
  // biome-ignore lint/suspicious/noExplicitAny: the target type is the plugin's own
  primitive?: Primitive<any>
  /** of a plugin that has several */
  // biome-ignore lint/suspicious/noExplicitAny: the target type is the plugin's own
  primitives?: readonly Primitive<any>[]
  // biome-ignore lint/suspicious/noExplicitAny: the role type is the plugin's own
  grantProvider?: GrantProvider<any>
  /** of a plugin that has several */
  // biome-ignore lint/suspicious/noExplicitAny: the role type is the plugin's own
  grantProviders?: readonly GrantProvider<any>[]
  notifier?: Notifier
  explainers?: readonly Explainer[]
  check?: Check
  roleSource?: RoleSource
}
