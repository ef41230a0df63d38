/** What the functions of all services share. */

import type {AgentSettings} from './agent.ts'
import type {Gateway, Session} from './gateway.ts'
import type {KeyService} from './kms.ts'
import type {Cluster, Document, Identity, Instance} from './world.ts'

/** The pretended account. Its fields may be changed while it runs. */
export interface World {
  instances: Instance[]
  clusters: Cluster[]
  documents: Document[]
  identities: Map<string, Identity>
  gateway: Gateway
  keys: KeyService
  agent: AgentSettings
  now(): number
  timeScale: number
  /** the address that clients reach it at, `127.0.0.1:PORT` */
  host: string
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
