import type {BrokerClient} from './client.ts'
import type {Grant, ToolClass} from './domain.ts'

/** A role that a person has without a broker, as a plugin found it on their machine. */
export interface LocalRole {
  /** what `prod assume` takes */
  name: string
  /** where it comes from: `aws profile`, `aws identity center` */
  source: string
  /** how it is had, in a line */
  summary: string
  /** the account it is in, where that is known */
  account: string | null
  /** patterns of what it allows (`s3:Get*`), least first; null: not known */
  allows: string[] | null
  class: ToolClass | null
  /** why it cannot be used as it stands; null: it can be tried */
  fault: string | null
  /** how often it was taken lately: what comes first in a list */
  used: number
}

/** What a source found, and what it could not read. */
export interface LocalRoles {
  roles: LocalRole[]
  /** such as a file that cannot be read; the rest counts all the same */
  faults: string[]
}

/** Finds the roles that a person has already. Light to load; `list` needs no network. */
export interface RoleSource {
  readonly id: string
  list(): Promise<LocalRoles>
  /** Looks again over the network, at what was found before or is known to be there. Throws NOT_LOGGED_IN, TARGET_UNREACHABLE. */
  refresh?(progress: (text: string) => void): Promise<void>
  /** A fresh credential of a role, through the person's own login: for a primitive that runs on this machine. Throws ROLE_NOT_FOUND, DENIED, NOT_LOGGED_IN. */
  credential?(role: string): Promise<Readonly<Record<string, string>>>
  /** An encoded authorization message in clear, as JSON; by a role that may read it, this one or what is at hand. Throws DENIED, NOT_LOGGED_IN, BAD_REQUEST. */
  decodeMessage?(encoded: string, role: string | undefined): Promise<string>
  /**
   * Called before a grant of the caller's own is handed back: what it answers resolves when the far side refuses a real call under that grant.
   * Undefined where the broker sees that itself, and where it cannot be seen.
   */
  watchRefusal?(client: Pick<BrokerClient, 'call'>, grant: Grant): Promise<((signal: AbortSignal) => Promise<void>) | undefined>
}
