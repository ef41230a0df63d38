/** What the functions of all services share. */

import type {AgentSettings} from './agent-parts.ts'
import type {Execution} from './api-automation.ts'
import type {Command} from './commands.ts'
import type {Gateway, Session} from './gateway.ts'
import type {NewIdentity} from './identities.ts'
import type {KeyService} from './kms.ts'
import type {Cluster, Document, Endpoint, Identity, Instance, Role} from './world.ts'

/** The pretended account. Its fields may be changed while it runs. */
export interface World {
  instances: Instance[]
  clusters: Cluster[]
  documents: Document[]
  endpoints: Endpoint[]
  /** roles by ARN */
  roles: Map<string, Role>
  identities: Map<string, Identity>
  /** Knows a credential from now on. */
  register(it: NewIdentity): Identity
  gateway: Gateway
  keys: KeyService
  commands: Map<string, Command>
  executions: Map<string, Execution>
  /** executions by ClientToken */
  tokens: Map<string, string>
  /** how often GetCommandInvocation does not know yet of what was sent */
  invocationLag: number
  agent: AgentSettings
  now(): number
  timeScale: number
  /** the address that clients reach it at, `127.0.0.1:PORT` */
  host: string
  /** what the marks of all that is started begin with */
  mark: string
  /** the folder of a machine or container */
  folderOf(name: string): string
}

/** One call, its caller known. */
export interface Incoming<I = Record<string, unknown>> {
  input: I
  caller: Identity
  region: string
  world: World
  /** Throws AccessDenied unless IAM allows the action on one of these names of a resource. */
  authorize(action: string, resources: string | readonly string[], context?: Record<string, string>): void
}

/** The functions of a service by action. */
export type Api = Record<string, (call: Incoming<never>) => unknown>

/** What StartSession and its like give. */
export interface Opened {
  session: Session
  streamUrl: string
  token: string
}
